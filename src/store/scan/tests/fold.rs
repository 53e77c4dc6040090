//! What a scan makes of rows against a plain fold over the tables of the oracle.

use super::*;
use crate::table::scan::{ScanFunction, WindowOp, Windows};
use crate::time::{Duration, Location, WindowSpec};

const NUMBERS: [&str; 3] = ["f", "i", "u"];

fn float(cell: &Cell) -> f64 {
    match cell {
        Cell::Float(bits) => f64::from_bits(*bits),
        Cell::Int(value) => *value as f64,
        Cell::UInt(value) => *value as f64,
        other => panic!("{other:?} is no number"),
    }
}

/// What a function makes of values; the values of one field are of one type and ascend as numbers do.
fn value(function: ScanFunction, values: &[Cell]) -> Cell {
    let compare = |left: &&Cell, right: &&Cell| float(left).partial_cmp(&float(right)).unwrap();
    let exact = |cell: &Cell| match cell {
        Cell::Int(value) => i128::from(*value),
        Cell::UInt(value) => i128::from(*value),
        other => panic!("{other:?} is no integer"),
    };
    let is_float = matches!(values.first(), Some(Cell::Float(_)));
    let sum = || values.iter().fold(0.0, |sum, value| sum + float(value));
    // The first of equal ones.
    let least = || values.iter().min_by(compare);
    let greatest = || values.iter().rev().max_by(compare);
    match (function, values) {
        (ScanFunction::Count, _) => Cell::Int(values.len() as i64),
        (_, []) => Cell::Null,
        (ScanFunction::First, [first, ..]) => first.clone(),
        (ScanFunction::Last, [.., last]) => last.clone(),
        (ScanFunction::Min, _) => values.iter().min_by_key(|cell| order(cell)).unwrap().clone(),
        (ScanFunction::Max, _) => values.iter().rev().max_by_key(|cell| order(cell)).unwrap().clone(),
        (ScanFunction::Sum, _) if is_float => Cell::Float(sum().to_bits()),
        (ScanFunction::Mean, _) if is_float => Cell::Float((sum() / values.len() as f64).to_bits()),
        (ScanFunction::Spread, _) if is_float => {
            Cell::Float((float(greatest().unwrap()) - float(least().unwrap())).to_bits())
        }
        (ScanFunction::Mean, _) => {
            let sum: i128 = values.iter().map(exact).sum();
            Cell::Float((sum as f64 / values.len() as f64).to_bits())
        }
        (ScanFunction::Sum, [Cell::Int(_), ..]) => Cell::Int(values.iter().map(exact).sum::<i128>() as i64),
        (ScanFunction::Sum, _) => Cell::UInt(values.iter().map(exact).sum::<i128>() as u64),
        (ScanFunction::Spread, [Cell::Int(_), ..]) => {
            Cell::Int((values.iter().map(exact).max().unwrap() - values.iter().map(exact).min().unwrap()) as i64)
        }
        (ScanFunction::Spread, _) => {
            Cell::UInt((values.iter().map(exact).max().unwrap() - values.iter().map(exact).min().unwrap()) as u64)
        }
    }
}

/// A number as something that orders exactly; zeros of either sign are one.
fn order(cell: &Cell) -> i128 {
    match cell {
        Cell::Int(value) => i128::from(*value),
        Cell::UInt(value) => i128::from(*value),
        // Eighths, as the points have them.
        other => (float(other) * 8.0) as i128,
    }
}

fn folded(table: &PlainTable, function: ScanFunction, lines: Option<&[i64]>, op: &WindowOp) -> PlainTable {
    let place = |name: &str| table.columns.iter().position(|(own, _, _)| own == name).unwrap();
    let (time, column) = (place("_time"), place("_value"));
    let picks = matches!(function, ScanFunction::First | ScanFunction::Last | ScanFunction::Min | ScanFunction::Max);
    let windows = lines.map_or(vec![(i64::MIN, i64::MAX)], |lines| lines.windows(2).map(|w| (w[0], w[1])).collect());
    let mut rows = Vec::new();
    for (start, stop) in windows {
        let inside = |row: &&Vec<Cell>| matches!(row[time], Cell::Time(time) if start <= time && time < stop);
        let values: Vec<Cell> = table.rows.iter().filter(inside).map(|row| row[column].clone()).collect();
        if values.is_empty() && !op.create_empty {
            continue;
        }
        let (value, at) = (value(function, &values), Cell::Time(if op.at_start { start } else { stop }));
        let mut row = table.rows[0].clone();
        if picks {
            (row[time], row[column]) = (at, value);
        } else {
            let keys = table.columns.iter().zip(row).filter(|((_, _, in_key), _)| *in_key);
            row = keys.map(|(_, cell)| cell).chain([value]).chain(lines.map(|_| at)).collect();
        }
        rows.push(row);
    }
    if picks {
        return PlainTable { columns: table.columns.clone(), rows };
    }
    let value_type = match function {
        ScanFunction::Count => ColumnType::Int,
        ScanFunction::Mean => ColumnType::Float,
        _ => table.columns[column].1,
    };
    let keys = table.columns.iter().filter(|(_, _, in_key)| *in_key).cloned();
    let time = lines.map(|_| ("_time".to_string(), ColumnType::Time, false));
    PlainTable { columns: keys.chain([("_value".to_string(), value_type, false)]).chain(time).collect(), rows }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn folds_equal_the_oracle(rows in points(60), every in 1i64..9, offset in -9i64..9, at_start: bool, create_empty: bool) {
        use ScanFunction::{Count, First, Last, Max, Mean, Min, Spread, Sum};
        let fixture = Fixture::of_thread();
        let bucket = fixture.bucket("b");
        let mut oracle = Oracle::default();
        for batch in rows.chunks(7) {
            prop_assert_eq!(fixture.store.apply(&bucket, &partition("b", 0), batch).unwrap(), vec![]);
            batch.iter().for_each(|row| oracle.add(row));
        }
        let bounds = Bounds { start_ns: START + 2, stop_ns: START + 18 };
        let (every, offset) = (Duration::from_nanoseconds(every), Duration::from_nanoseconds(offset));
        let windows = Windows::Family(WindowSpec::aligned(every, offset, Location::UTC).unwrap());
        let lines = windows.boundaries(bounds, 1_000).unwrap();
        let source = crate::table::scan::SourceRef { bucket, bounds };
        for function in [Count, Sum, Mean, Spread, First, Last, Min, Max] {
            let any = matches!(function, Count | First | Last);
            let numbers = Predicate::Or(NUMBERS.iter().map(|name| equal("_field", name)).collect());
            let filter: Vec<PushOp> = if any { vec![] } else { vec![PushOp::Filter(numbers)] };
            let tables = oracle.long(bounds, |_, _, field, _| any || NUMBERS.contains(&field));
            let op = WindowOp { windows: windows.clone(), function, at_start, create_empty };
            let ops: Vec<PushOp> = filter.iter().cloned().chain([PushOp::Window(op.clone())]).collect();
            let taken = fixture.store.offer(&source, &ops, ops.len()).unwrap();
            prop_assert_eq!(taken.count, ops.len());
            let expected: Vec<PlainTable> =
                tables.iter().map(|table| folded(table, function, Some(&lines), &op)).collect();
            prop_assert_eq!(super::super::super::testing::read(taken), expected, "{:?}", function);
            if matches!(function, Count | Sum | Mean | Spread) {
                let ops: Vec<PushOp> = filter.into_iter().chain([PushOp::Aggregate(function)]).collect();
                let taken = fixture.store.offer(&source, &ops, ops.len()).unwrap();
                prop_assert_eq!(taken.count, ops.len());
                let expected: Vec<PlainTable> = tables.iter().map(|table| folded(table, function, None, &op)).collect();
                prop_assert_eq!(super::super::super::testing::read(taken), expected, "{:?}", function);
            }
        }
    }
}

/// Where a field of another type may be met, the operator is to say what is wrong with it.
#[test]
fn a_fold_that_would_fail_is_not_taken() {
    let fixture = Fixture::new();
    let bucket = fixture.bucket("b");
    let rows = [row(0, START, "m", &[], &[("i", Int(1)), ("g", FieldValue::String("x".into()))], START)];
    fixture.store.apply(&bucket, &partition("b", 0), &rows).unwrap();
    let sum = PushOp::Aggregate(ScanFunction::Sum);
    assert_eq!(fixture.read(&bucket, always(), std::slice::from_ref(&sum)).0, 0);
    assert_eq!(fixture.read(&bucket, always(), &[PushOp::Filter(equal("_field", "i")), sum]).0, 2);
    assert_eq!(fixture.read(&bucket, always(), &[PushOp::Aggregate(ScanFunction::Count)]).0, 1);
    assert_eq!(fixture.read(&bucket, always(), &[PushOp::Aggregate(ScanFunction::Max)]).0, 0);
}
