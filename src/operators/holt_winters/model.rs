//! The damped model with seasons: its relations, and the parameters that fit best.
//!
//! Used by `super`. Parameters are, in this order, the weights of level, trend and season, the damping, the level and the
//! trend at the start, and one factor per interval of a season.

use super::simplex::minimize;

const DAMPING: usize = 3;
const LEVEL: usize = 4;
const TREND: usize = 5;
const SEASONS: usize = 6;

/// The model of a row of values.
pub(super) struct Model<'a> {
    values: &'a [Option<f64>],
    /// Intervals to forecast.
    horizon: usize,
    /// Intervals of a season; 0 for none.
    season: usize,
}

impl Model<'_> {
    /// The model; `None` where there is nothing to forecast, or too little to do it from.
    pub(super) fn new(values: &[Option<f64>], horizon: i64, season: i64) -> Option<Model<'_>> {
        let season = usize::try_from(season).ok().filter(|season| *season >= 2).unwrap_or(0);
        let horizon = usize::try_from(horizon).ok().filter(|horizon| *horizon > 0)?;
        (values.len() >= season.max(2)).then_some(Model { values, horizon, season })
    }

    /// The forecast, behind the fitted values if they are wanted, and the least sum of squared errors.
    pub(super) fn forecast(&self, with_fit: bool) -> Option<(Vec<f64>, f64)> {
        let mut start = self.start();
        let mut best: Option<(Vec<f64>, f64)> = None;
        // A coarse grid of weights to begin from.
        let guesses = [0.3, 0.7];
        for level in guesses {
            for trend in guesses {
                for season in guesses {
                    for damping in guesses {
                        start[..LEVEL].copy_from_slice(&[level, trend, season, damping]);
                        let found = minimize(&start, |parameters| self.error(parameters));
                        if best.as_ref().is_none_or(|best| found.1 < best.1) {
                            best = Some(found);
                        }
                    }
                }
            }
        }
        let (parameters, error) = best?;
        Some((self.run(&parameters, self.horizon, with_fit), error))
    }

    /// First guesses of level, trend and seasons; missing values are passed over.
    fn start(&self) -> Vec<f64> {
        let value = |at: usize| self.values.get(at).copied().flatten();
        let season = self.season;
        let mut start = vec![0.0; SEASONS + season];
        if season == 0 {
            start[LEVEL] = 0.5 * value(0).unwrap_or(0.0);
            start[TREND] = value(1).map_or(0.0, |second| 0.5 * (second - value(0).unwrap_or(0.0)));
            return start;
        }
        for at in 0..season {
            start[LEVEL] += value(at).map_or(0.0, |value| value / season as f64);
            if let (Some(first), Some(second)) = (value(at), value(season + at)) {
                start[TREND] += (second - first) / (season * season) as f64;
            }
        }
        for at in 0..season {
            start[SEASONS + at] = value(at).map_or(1.0, |value| value / start[LEVEL]);
        }
        start
    }

    /// The sum of squared errors of the fitted values.
    fn error(&self, parameters: &[f64]) -> f64 {
        let fitted = self.run(parameters, 0, true);
        let errors = fitted.iter().zip(self.values).filter_map(|(fitted, value)| Some(fitted - (*value)?));
        errors.map(|error| error * error).sum()
    }

    /// Runs the relations over all values and `horizon` intervals more.
    fn run(&self, parameters: &[f64], horizon: usize, with_fit: bool) -> Vec<f64> {
        let weight = |at: usize| parameters[at].clamp(0.0, 1.0);
        let (level_weight, trend_weight, season_weight, damping) = (weight(0), weight(1), weight(2), weight(DAMPING));
        let (mut level, mut trend) = (parameters[LEVEL], parameters[TREND]);
        let mut seasons = parameters[SEASONS..].to_vec();
        let (len, period) = (self.values.len(), self.season);
        let mut offset = period.saturating_sub(1);
        let mut value = self.values[0].unwrap_or(0.0);
        let mut damped = damping;
        let mut given = Vec::with_capacity(horizon + if with_fit { len } else { 0 });
        if with_fit {
            given.push(value);
        }
        for at in 1..len + horizon {
            let (mut before, mut ahead) = (1.0, 1.0);
            if period > 0 {
                // The ring of seasons turns with every step.
                before = seasons[(at + offset) % period];
                ahead = seasons[(at + at % period + offset) % period];
            }
            let (old_level, old_trend) = (level, trend);
            level = level_weight * (value / before) + (1.0 - level_weight) * (old_level + damping * old_trend);
            trend = trend_weight * (level - old_level) + (1.0 - trend_weight) * damping * old_trend;
            if period > 0 {
                let season = season_weight * (value / (old_level + damping * old_trend));
                seasons[(at + offset) % period] = season + (1.0 - season_weight) * before;
                offset += 1;
            }
            value = (level + damped * trend) * ahead;
            damped += damping.powf(at as f64);
            if with_fit || at >= len {
                given.push(value);
            }
        }
        given
    }
}
