//! Exponential moving averages, once and several times over.
//!
//! Called by `super`. Each function gives the rows that it says something of, and the values there.

use std::ops::Range;

/// What is made of a table: its rows that stay, and their values.
type Made = (Range<usize>, Vec<Option<f64>>);

/// The averages from the n-th value on: the first is the mean of n values, each later one weighs its value by 2/(n+1). A
/// null repeats the average. Empty where there are fewer than n values.
fn averages(values: &[Option<f64>], n: usize) -> Vec<Option<f64>> {
    if values.len() < n {
        return Vec::new();
    }
    let weight = 2.0 / (n as f64 + 1.0);
    let mut average = mean(&values[..n]);
    let mut averages = Vec::with_capacity(values.len() - n + 1);
    averages.push(average);
    for value in &values[n..] {
        average = match (average, *value) {
            (average, None) => average,
            (None, value) => value,
            (Some(average), Some(value)) => Some(value * weight + average * (1.0 - weight)),
        };
        averages.push(average);
    }
    averages
}

fn mean(values: &[Option<f64>]) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0_u64);
    for value in values.iter().flatten() {
        sum += value;
        count += 1;
    }
    (count > 0).then(|| sum / count as f64)
}

/// As [`averages`]; where there are too few values, the last row with the mean of them all.
pub(super) fn ema(values: &[Option<f64>], n: usize) -> Made {
    let averages = averages(values, n);
    match values.len() {
        0 => (0..0, Vec::new()),
        len if averages.is_empty() => (len - 1..len, vec![mean(values)]),
        len => (n - 1..len, averages),
    }
}

/// Twice the average less the average of the averages.
pub(super) fn double_ema(values: &[Option<f64>], n: usize) -> Made {
    let (first_rows, first) = ema(values, n);
    let (second_rows, second) = ema(&first, n);
    let doubled = first[second_rows.clone()].iter().zip(&second);
    let doubled = doubled.map(|(first, second)| Some(2.0 * (*first)? - (*second)?)).collect();
    (first_rows.start + second_rows.start..first_rows.start + second_rows.end, doubled)
}

/// Three times the average less three times the average of the averages, plus the average of those.
pub(super) fn triple_ema(values: &[Option<f64>], n: usize) -> Made {
    let (first_rows, first) = ema(values, n);
    let (second_rows, second) = ema(&first, n);
    let (third_rows, third) = ema(&second, n);
    let tripled = third.iter().zip(third_rows.clone()).map(|(third, row)| {
        let (first, second) = (first[second_rows.start + row]?, second[row]?);
        Some(3.0 * first - 3.0 * second + (*third)?)
    });
    let start = first_rows.start + second_rows.start;
    let tripled = tripled.collect();
    (start + third_rows.start..start + third_rows.end, tripled)
}

/// The change in per cent of the average taken three times over; the last row with null where there are too few values.
pub(super) fn trix(values: &[Option<f64>], n: usize) -> Made {
    let len = values.len();
    let third = averages(&averages(&averages(values, n), n), n);
    if third.is_empty() {
        return if len == 0 { (0..0, Vec::new()) } else { (len - 1..len, vec![None]) };
    }
    let change = |pair: &[Option<f64>]| Some((pair[1]? / pair[0]? - 1.0) * 100.0);
    let changes: Vec<Option<f64>> = third.windows(2).map(change).collect();
    (len - changes.len()..len, changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(values: &[f64]) -> Vec<Option<f64>> {
        values.iter().copied().map(Some).collect()
    }

    #[test]
    fn nulls_repeat_the_average() {
        let values = [None, Some(4.0), None, Some(1.0)];
        assert_eq!(ema(&values, 2), (1..4, vec![Some(4.0), Some(4.0), Some(2.0)]));
        assert_eq!(ema(&[None, None, Some(3.0)], 2), (1..3, vec![None, Some(3.0)]));
        assert_eq!(ema(&[], 2), (0..0, vec![]));
    }

    /// By hand with n 2: averages 1.5, 2.5, 3.5, 4.5 of 1 to 5; of these 2, 3, 4; of these 2.5, 3.5.
    #[test]
    fn averages_of_averages() {
        let values = some(&[1.0, 2.0, 3.0, 4.0, 5.0]);
        let close = |made: Made, rows: Range<usize>, expected: &[f64]| {
            assert_eq!(made.0, rows);
            assert_eq!(made.1.len(), expected.len());
            for (own, expected) in made.1.iter().zip(expected) {
                assert!((own.unwrap_or(f64::NAN) - expected).abs() < 1e-12, "{own:?} {expected}");
            }
        };
        close(ema(&values, 2), 1..5, &[1.5, 2.5, 3.5, 4.5]);
        close(double_ema(&values, 2), 2..5, &[3.0, 4.0, 5.0]);
        close(triple_ema(&values, 2), 3..5, &[4.0, 5.0]);
        close(trix(&values, 2), 4..5, &[40.0]);
        assert_eq!(trix(&values, 9), (4..5, vec![None]));
        assert_eq!(trix(&some(&[1.0]), 1), (1..1, vec![]));
        close(double_ema(&values, 9), 4..5, &[3.0]);
    }
}
