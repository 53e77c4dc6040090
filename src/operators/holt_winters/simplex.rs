//! The method of Nelder and Mead: the least value of a function of several parameters, without its derivatives.
//!
//! Used by the model. Steps adapt to the number of parameters. It ends when the least value has not improved for a while.

/// How far the first simplex reaches from the start.
const SIZE: f64 = 0.05;
/// An improvement smaller than this is none.
const TOLERANCE: f64 = 1e-4;
/// So many rounds without an improvement end the search.
const ROUNDS: usize = 100;
/// And so many end it in any case.
const MAX_ROUNDS: usize = 100_000;

/// The parameters with the least value that was found, and that value.
pub(super) fn minimize(start: &[f64], of: impl Fn(&[f64]) -> f64) -> (Vec<f64>, f64) {
    let mut simplex = Simplex::new(start, &of);
    let mut best = simplex.vertices[0].1;
    let mut without = 0;
    for _ in 0..MAX_ROUNDS {
        simplex.step(&of);
        let least = simplex.vertices[0].1;
        if best - least > TOLERANCE {
            best = least;
            without = 0;
            continue;
        }
        without += 1;
        if without >= ROUNDS {
            break;
        }
    }
    let (parameters, value) = simplex.vertices.swap_remove(0);
    (parameters, value)
}

/// Points around the least value, the best one first.
struct Simplex {
    vertices: Vec<(Vec<f64>, f64)>,
    /// The mean of all but the worst point.
    centroid: Vec<f64>,
}

impl Simplex {
    fn new(start: &[f64], of: &impl Fn(&[f64]) -> f64) -> Simplex {
        let mut vertices = Vec::with_capacity(start.len() + 1);
        for at in 0..start.len() {
            let mut point = start.to_vec();
            point[at] += SIZE;
            let value = of(&point);
            vertices.push((point, value));
        }
        vertices.push((start.to_vec(), of(start)));
        let mut simplex = Simplex { vertices, centroid: vec![0.0; start.len()] };
        simplex.order();
        simplex
    }

    fn order(&mut self) {
        self.vertices.sort_by(|left, right| left.1.total_cmp(&right.1));
        let count = self.centroid.len();
        self.centroid.fill(0.0);
        for (point, _) in &self.vertices[..count] {
            for (sum, own) in self.centroid.iter_mut().zip(point) {
                *sum += own;
            }
        }
        self.centroid.iter_mut().for_each(|sum| *sum /= count as f64);
    }

    /// The point from the centroid away from the worst one, `scale` times as far.
    fn away(&self, scale: f64) -> Vec<f64> {
        let (worst, _) = &self.vertices[self.centroid.len()];
        self.centroid.iter().zip(worst).map(|(centre, worst)| centre + scale * (centre - worst)).collect()
    }

    /// One round: the worst point is reflected, and the simplex grows or shrinks by what is found there.
    fn step(&mut self, of: &impl Fn(&[f64]) -> f64) {
        let count = self.centroid.len();
        let dimensions = count as f64;
        let (expansion, contraction) = (1.0 + 2.0 / dimensions, 0.75 - 1.0 / (2.0 * dimensions));
        let reflected = self.away(1.0);
        let value = of(&reflected);
        let (best, second_worst, worst) = (self.vertices[0].1, self.vertices[count - 1].1, self.vertices[count].1);
        if value >= best && value < second_worst {
            return self.replace_worst(reflected, value);
        }
        if value < best {
            let expanded = self.away(expansion);
            let further = of(&expanded);
            return if further < value {
                self.replace_worst(expanded, further)
            } else {
                self.replace_worst(reflected, value)
            };
        }
        let (point, fits) = if value < worst {
            let point = self.away(contraction);
            let own = of(&point);
            ((point, own), own <= value)
        } else {
            let point = self.away(-contraction);
            let own = of(&point);
            ((point, own), own < worst)
        };
        if fits { self.replace_worst(point.0, point.1) } else { self.shrink(of) }
    }

    fn replace_worst(&mut self, point: Vec<f64>, value: f64) {
        let count = self.centroid.len();
        let share = 1.0 / count as f64;
        let entering = point.clone();
        self.vertices[count] = (point, value);
        for at in (0..count).rev() {
            if self.vertices[at].1 < value {
                break;
            }
            self.vertices.swap(at, at + 1);
        }
        let (leaving, _) = &self.vertices[count];
        for ((centre, leaving), entering) in self.centroid.iter_mut().zip(leaving).zip(&entering) {
            *centre = *centre - share * leaving + share * entering;
        }
    }

    /// All points move towards the best one.
    fn shrink(&mut self, of: &impl Fn(&[f64]) -> f64) {
        let factor = 1.0 - 1.0 / self.centroid.len() as f64;
        let best = self.vertices[0].0.clone();
        for (point, value) in &mut self.vertices[1..] {
            for (own, best) in point.iter_mut().zip(&best) {
                *own = factor * (*own - best) + best;
            }
            *value = of(point);
        }
        self.order();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bottom_of_a_bowl() {
        let bowl = |at: &[f64]| (at[0] - 1.0).powi(2) + 3.0 * (at[1] + 2.0).powi(2) + 7.0;
        let (at, value) = minimize(&[0.0, 0.0], bowl);
        assert!((value - 7.0).abs() < 1e-6 && (at[0] - 1.0).abs() < 1e-3 && (at[1] + 2.0).abs() < 1e-3, "{at:?}");
    }

    #[test]
    fn values_that_are_no_numbers_end() {
        let (_, value) = minimize(&[0.0, 0.0], |_| f64::NAN);
        assert!(value.is_nan());
    }
}
