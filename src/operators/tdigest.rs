//! A merging t-digest: quantiles of any number of values in bounded memory (Dunning and Ertl, arcsine scale).
//!
//! Used by the accumulator of `quantile` and `median`. Up to about 1,000 values at the usual compression none are merged,
//! and the answer is exact: half of the way between the middles of two neighbours in order (flux-semantics 8). NaN has no
//! place in an order and is passed over.

use std::f64::consts::{FRAC_PI_2, PI};

/// How many values wait, at most, until they are merged.
const MAX_WAITING: usize = 1 << 20;

/// Values that lie close to each other, as one.
#[derive(Clone, Copy, Debug)]
struct Centroid {
    mean: f64,
    weight: f64,
}

/// The values seen so far.
#[derive(Clone, Debug)]
pub struct Digest {
    compression: f64,
    /// In order of their means.
    centroids: Vec<Centroid>,
    /// Not merged yet, in no order.
    waiting: Vec<f64>,
    weight: f64,
    least: f64,
    greatest: f64,
}

impl Digest {
    /// No values yet. The greater the compression, the more is kept and the closer is the answer.
    pub fn new(compression: f64) -> Digest {
        let (least, greatest) = (f64::INFINITY, f64::NEG_INFINITY);
        Digest { compression, centroids: Vec::new(), waiting: Vec::new(), weight: 0.0, least, greatest }
    }

    /// Takes a value.
    pub fn add(&mut self, value: f64) {
        if value.is_nan() {
            return;
        }
        self.least = self.least.min(value);
        self.greatest = self.greatest.max(value);
        self.waiting.push(value);
        if self.waiting.len() >= MAX_WAITING.min(8 * self.compression.ceil() as usize) {
            self.merge();
        }
    }

    /// What it takes, in bytes.
    pub fn memory(&self) -> usize {
        let values = self.centroids.capacity() * size_of::<Centroid>() + self.waiting.capacity() * size_of::<f64>();
        size_of::<Digest>() + values
    }

    /// The value below which the part `q` of all values lies; NaN if there is none.
    pub fn quantile(&mut self, q: f64) -> f64 {
        self.merge();
        let (first, rest) = match &self.centroids[..] {
            [] => return f64::NAN,
            [only] => return only.mean,
            [first, rest @ ..] => (first, rest),
        };
        let rank = q * self.weight;
        if rank <= first.weight / 2.0 {
            return if first.mean == self.least {
                self.least
            } else {
                self.least + 2.0 * rank / first.weight * (first.mean - self.least)
            };
        }
        // A centroid stands for the rank in the middle of its weight.
        let (mut below, mut middle) = (first, first.weight / 2.0);
        for above in rest {
            let next = middle + (below.weight + above.weight) / 2.0;
            if rank <= next {
                return between(below.mean, next - rank, above.mean, rank - middle);
            }
            (below, middle) = (above, next);
        }
        self.greatest
    }

    /// Puts what waits to the centroids and joins neighbours as far as the scale allows: few where the order begins and
    /// ends, many in its middle.
    fn merge(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        self.weight += self.waiting.len() as f64;
        let mut all = std::mem::take(&mut self.centroids);
        all.extend(self.waiting.drain(..).map(|mean| Centroid { mean, weight: 1.0 }));
        all.sort_by(|left, right| left.mean.total_cmp(&right.mean));
        let mut all = all.into_iter();
        let Some(mut last) = all.next() else { return };
        let mut seen = last.weight;
        let mut limit = self.weight * self.share(1.0);
        for next in all {
            if seen + next.weight <= limit {
                last.weight += next.weight;
                if last.mean != next.mean {
                    last.mean += next.weight * (next.mean - last.mean) / last.weight;
                }
            } else {
                limit = self.weight * self.share(self.location(seen / self.weight) + 1.0);
                self.centroids.push(last);
                last = next;
            }
            seen += next.weight;
        }
        self.centroids.push(last);
    }

    /// The share of the weight that lies below a place on the scale.
    fn share(&self, location: f64) -> f64 {
        ((location.min(self.compression) * PI / self.compression - FRAC_PI_2).sin() + 1.0) / 2.0
    }

    /// The place on the scale below which a share of the weight lies.
    fn location(&self, share: f64) -> f64 {
        self.compression * ((2.0 * share - 1.0).asin() + FRAC_PI_2) / PI
    }
}

/// The weighted mean of two values in order, never outside of them.
fn between(low: f64, low_weight: f64, high: f64, high_weight: f64) -> f64 {
    if low_weight == 0.0 || low == high {
        return high;
    }
    if high_weight == 0.0 {
        return low;
    }
    ((low * low_weight + high * high_weight) / (low_weight + high_weight)).clamp(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(values: impl IntoIterator<Item = f64>) -> Digest {
        let mut digest = Digest::new(1000.0);
        values.into_iter().for_each(|value| digest.add(value));
        digest
    }

    /// flux-semantics 8: h = q * n; up to 0.5 the least, above n - 0.5 the greatest, else between the ranks around
    /// h - 0.5.
    #[test]
    fn few_values_are_exact() {
        let mut ten = digest((1..=10).rev().map(f64::from));
        for (q, expected) in [(0.0, 1.0), (0.05, 1.0), (0.5, 5.5), (0.9, 9.5), (0.95, 10.0), (1.0, 10.0), (0.12, 1.7)] {
            assert!((ten.quantile(q) - expected).abs() < 1e-12, "{q}: {}", ten.quantile(q));
        }
        assert_eq!(digest([3.0]).quantile(0.1), 3.0);
        assert_eq!(digest([1.0, 2.0]).quantile(0.5), 1.5);
        assert!(digest([]).quantile(0.5).is_nan());
        assert!(digest([f64::NAN]).quantile(0.5).is_nan());
        assert_eq!(digest([f64::NAN, 4.0]).quantile(0.5), 4.0);
        assert_eq!(digest([f64::NEG_INFINITY, 1.0, f64::INFINITY]).quantile(0.5), 1.0);
    }

    #[test]
    fn many_values_are_close_and_few_are_kept() {
        // 7919 is a prime: every value of 0..1,000,000 once, in a mixed order.
        let mut many = digest((0..1_000_000_u64).map(|value| (value * 7919 % 1_000_000) as f64));
        for (q, near) in [(0.5, 1_000.0), (0.9, 700.0), (0.99, 200.0), (0.001, 100.0)] {
            let expected = q * 1_000_000.0;
            assert!((many.quantile(q) - expected).abs() < near, "{q}: {}", many.quantile(q));
        }
        assert_eq!((many.quantile(0.0), many.quantile(1.0)), (0.0, 999_999.0));
        assert!(many.centroids.len() < 2_000, "{}", many.centroids.len());
    }
}
