//! How much of the movement of a value is upwards: `relativeStrengthIndex`, `chandeMomentumOscillator`, `kaufmansER`,
//! `kaufmansAMA`.
//!
//! Called by `super`. Each function gives the rows that it says something of, and the values there. A null is no movement.

use std::ops::Range;

/// What is made of a table: its rows that stay, and their values.
type Made = (Range<usize>, Vec<Option<f64>>);

/// The strength of rises among all changes, 0 to 100, from the n-th change on. The first value counts as a change from
/// zero. Averages run over all changes until there are n of them, then each new one weighs 1/n.
pub(super) fn rsi(values: &[Option<f64>], n: usize) -> Made {
    let (mut up, mut down) = (Smoothed::default(), Smoothed::default());
    let mut last = None;
    let mut strengths = Vec::with_capacity(values.len().saturating_sub(n));
    let strength = |up: &Smoothed, down: &Smoothed| 100.0 - 100.0 / (1.0 + up.value / down.value);
    for (row, value) in values.iter().enumerate() {
        if let Some(value) = *value {
            let before = last.replace(value).unwrap_or(0.0);
            up.add(if value > before { value - before } else { 0.0 }, row, n);
            down.add(if value < before { before - value } else { 0.0 }, row, n);
        }
        if row >= n {
            strengths.push(last.map(|_| strength(&up, &down)));
        }
    }
    match values.len() {
        0 => (0..0, Vec::new()),
        len if len <= n => (len - 1..len, vec![Some(strength(&up, &down))]),
        len => (n..len, strengths),
    }
}

/// An average that weighs new values by 1/n once n rows have been seen.
#[derive(Default)]
struct Smoothed {
    value: f64,
    count: usize,
}

impl Smoothed {
    fn add(&mut self, value: f64, row: usize, n: usize) {
        let weight = 1.0 / n as f64;
        self.value = match self.count {
            0 => value,
            count if row < n => (self.value * count as f64 + value) / (count as f64 + 1.0),
            _ => value * weight + self.value * (1.0 - weight),
        };
        self.count = (self.count + 1).min(n);
    }
}

/// 100 times rises less falls over rises and falls, of the last n changes.
pub(super) fn cmo(values: &[Option<f64>], n: usize) -> Made {
    let len = values.len();
    let mut sums = Sums::default();
    let values = without_nulls(values);
    let mut oscillator = Vec::with_capacity(len.saturating_sub(n));
    for row in 0..len {
        let own = sums.next(&values, row, n);
        if row >= n {
            oscillator.push(Some(own));
        }
    }
    (n.min(len)..len, oscillator)
}

/// The size of [`cmo`], 0 to 1.
pub(super) fn er(values: &[Option<f64>], n: usize) -> Made {
    let (rows, values) = cmo(values, n);
    (rows, values.into_iter().map(|value| value.map(|value| value.abs() / 100.0)).collect())
}

/// An average that follows the value the faster the more of its movement is in one direction.
pub(super) fn ama(values: &[Option<f64>], n: usize) -> Made {
    const FAST: f64 = 2.0 / 3.0;
    const SLOW: f64 = 2.0 / 31.0;
    let len = values.len();
    let mut sums = Sums::default();
    let values = without_nulls(values);
    let mut average = 0.0;
    let mut averages = Vec::with_capacity(len.saturating_sub(n));
    for row in 0..len {
        let ratio = sums.next(&values, row, n).abs() / 100.0;
        if row == n {
            average = values[n - 1];
        }
        if row >= n {
            let smoothing = (ratio * (FAST - SLOW) + SLOW).powi(2);
            average += smoothing * (values[row] - average);
            averages.push(Some(average));
        }
    }
    (n.min(len)..len, averages)
}

/// Rises and falls of the last rows.
#[derive(Default)]
struct Sums {
    up: f64,
    down: f64,
}

impl Sums {
    /// Takes the change of a row and lets go of the one n rows before; the oscillator in between.
    fn next(&mut self, values: &[f64], row: usize, n: usize) -> f64 {
        let change = if row == 0 { 0.0 } else { values[row] - values[row - 1] };
        if change > 0.0 {
            self.up += change;
        } else if change < 0.0 {
            self.down -= change;
        }
        let oscillator = 100.0 * (self.up - self.down) / (self.up + self.down);
        if row >= n {
            let gone = values[row + 1 - n] - values[row - n];
            if gone > 0.0 {
                self.up -= gone;
            } else {
                self.down += gone;
            }
        }
        oscillator
    }
}

/// A null becomes the value before it, those in front the first value.
fn without_nulls(values: &[Option<f64>]) -> Vec<f64> {
    let mut last = values.iter().flatten().next().copied().unwrap_or(0.0);
    let value = |value: &Option<f64>| {
        last = value.unwrap_or(last);
        last
    };
    values.iter().map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(values: &[f64]) -> Vec<Option<f64>> {
        values.iter().copied().map(Some).collect()
    }

    /// By hand: changes +1, -1, +3; of the last two each.
    #[test]
    fn rises_and_falls_of_the_last_changes() {
        assert_eq!(cmo(&some(&[1.0, 2.0, 1.0, 4.0]), 2), (2..4, vec![Some(0.0), Some(50.0)]));
        assert_eq!(er(&some(&[4.0, 3.0, 2.0]), 2), (2..3, vec![Some(1.0)]));
        assert_eq!(cmo(&[Some(1.0), None, Some(2.0)], 2), (2..3, vec![Some(100.0)]));
        assert_eq!(cmo(&some(&[1.0]), 2), (1..1, vec![]));
    }

    /// By hand, n 2: rises 10, 1, 0 and falls 0, 0, 1; averages of two rows 5.5 and 0, then 2.75 and 0.5.
    #[test]
    fn strength_from_the_second_change_on() {
        let expected = 100.0 - 100.0 / (1.0 + 2.75 / 0.5);
        assert_eq!(rsi(&some(&[10.0, 11.0, 10.0]), 2), (2..3, vec![Some(expected)]));
        assert_eq!(rsi(&some(&[10.0]), 2), (0..1, vec![Some(100.0)]));
        assert_eq!(rsi(&[], 2), (0..0, vec![]));
    }

    /// By hand, n 1: a change in one direction has the ratio 1, so that the average moves by (2/3)^2 of the distance.
    #[test]
    fn the_average_follows_a_straight_movement_fast() {
        let (rows, averages) = ama(&some(&[1.0, 2.0, 3.0]), 1);
        let first = 1.0 + 4.0 / 9.0;
        let second = first + 4.0 / 9.0 * (3.0 - first);
        assert_eq!(rows, 1..3);
        for (own, expected) in averages.iter().zip([first, second]) {
            assert!((own.unwrap_or(f64::NAN) - expected).abs() < 1e-12);
        }
    }
}
