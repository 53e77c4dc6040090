//! `sort` with its rows on disk against `sort` in memory: the same rows bit for bit, in the same order, whatever goes to
//! disk when. The one in memory is tested against flux-semantics 9.1 in [`super`].
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, StringViewArray, TimestampNanosecondArray, UInt64Array,
};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::super::limit::Limit;
use super::*;
use crate::error::ErrorKind;
use crate::table::check::check_stream;
use crate::table::pool::Pool;
use crate::table::scan::Parts;
use crate::table::testing::{recut, scatter};
use crate::table::{Cell, ColumnType, KeyBlock, Segment, TableId};

/// Few values of each type, so that many rows are equal in some column, and those that are hard to order among them.
fn chunk_of(tables: &[usize], random: &mut StdRng) -> Chunk {
    let rows: usize = tables.iter().sum();
    let floats = [0.0, -0.0, 1.5, -1.5, f64::INFINITY, f64::NAN, f64::from_bits(0xfff8_0000_0000_0007)];
    let texts = ["", "a", "B", "é", "longer than twelve bytes", "longer than twelve bytes, and more"];
    let some = |random: &mut StdRng| random.random_bool(0.8);
    let mut columns: Vec<ArrayRef> = Vec::new();
    let pick = |random: &mut StdRng, count: usize| random.random_range(0..count);
    let floats: Float64Array = (0..rows).map(|_| some(random).then(|| floats[pick(random, floats.len())])).collect();
    columns.push(Arc::new(floats));
    let ints: Int64Array = (0..rows).map(|_| some(random).then(|| [-1, 0, i64::MIN, 3][pick(random, 4)])).collect();
    columns.push(Arc::new(ints));
    let uints: UInt64Array = (0..rows).map(|_| some(random).then(|| [0, 7, u64::MAX][pick(random, 3)])).collect();
    columns.push(Arc::new(uints));
    let bools: BooleanArray = (0..rows).map(|_| some(random).then(|| random.random_bool(0.5))).collect();
    columns.push(Arc::new(bools));
    let texts: StringViewArray = (0..rows).map(|_| some(random).then(|| texts[pick(random, texts.len())])).collect();
    columns.push(Arc::new(texts));
    let times: TimestampNanosecondArray =
        (0..rows).map(|_| some(random).then(|| [-5, 0, 9, i64::MAX][pick(random, 4)])).collect();
    columns.push(Arc::new(times));
    // Tells apart rows that are equal otherwise.
    columns.push(Arc::new(Int64Array::from_iter_values(0..rows as i64)));
    let types = [
        ("h", ColumnType::String, true),
        ("f", ColumnType::Float, false),
        ("i", ColumnType::Int, false),
        ("u", ColumnType::UInt, false),
        ("b", ColumnType::Bool, false),
        ("s", ColumnType::String, false),
        ("t", ColumnType::Time, false),
        ("row", ColumnType::Int, false),
    ];
    let hosts: ArrayRef = Arc::new(StringViewArray::from_iter_values((0..tables.len()).map(|n| format!("host {n}"))));
    let mut end = 0;
    let segments = tables.iter().enumerate().map(|(number, rows)| {
        end += *rows as u32;
        Segment { table: number as TableId, key_row: number as u32, end, done: true }
    });
    Chunk {
        segments: segments.collect(),
        shape: Shape::new(types.map(|(name, column_type, in_key)| (Name::from(name), column_type, in_key))),
        keys: Arc::new(KeyBlock { columns: vec![hosts] }),
        rows: columns,
        len: rows,
    }
}

/// Every row as it comes, floats as their bits: its table, its values; and where tables end.
fn lines(chunks: &[Chunk]) -> Vec<String> {
    let mut lines = Vec::new();
    for chunk in chunks {
        for (segment, rows) in chunk.tables() {
            let key = ColumnView::of(&chunk.keys.columns[0]).cell(segment.key_row as usize).to_string();
            for row in rows {
                let cells = chunk.rows.iter().map(|array| match ColumnView::of(array).cell(row) {
                    Cell::Float(value) => format!("{:016x}", value.to_bits()),
                    cell => format!("{cell:?}"),
                });
                lines.push(format!("{} {key} {}", segment.table, cells.collect::<Vec<_>>().join(" ")));
            }
            if segment.done {
                lines.push(format!("{} ends", segment.table));
            }
        }
    }
    lines
}

fn props(parts: Parts) -> StreamProps {
    super::super::testing::props(parts)
}

/// Runs an operator that goes to disk after a chunk with this probability.
fn run(
    transform: &dyn Transform,
    parts: Parts,
    chunks: &[Chunk],
    relieve: f64,
    space: &SpillSpace,
    random: &mut StdRng,
) -> Result<Vec<Chunk>> {
    let mut operator = transform.operator(&[props(parts)])?;
    let mut out = Out::default();
    for chunk in chunks {
        operator.push(0, chunk.clone(), &mut out)?;
        while std::mem::take(&mut out.more) {
            operator.resume(&mut out)?;
        }
        if random.random_bool(relieve) {
            operator.relieve(space)?;
        }
    }
    operator.finish(0, &mut out)?;
    out.chunks = out.take_chunks()?;
    check_stream(&out.chunks, transform.gives(&[props(parts)]).parts).unwrap();
    Ok(out.chunks)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn on_disk_and_in_memory_agree_bit_for_bit(
        seed: u64,
        tables in proptest::collection::vec(prop_oneof![1 => Just(0_usize), 4 => 1..60_usize], 1..6),
        columns in proptest::sample::subsequence(vec!["f", "i", "u", "b", "s", "t", "h", "absent"], 0..4).prop_shuffle(),
        descending: bool,
        scattered: bool,
        limit in proptest::option::of((0..30_i64, 0..5_i64)),
        piece_bytes in prop_oneof![Just(1_usize), Just(200), Just(5_000), Just(1 << 20)],
        relieve in prop_oneof![Just(1.0), Just(0.5), Just(0.1)],
    ) {
        let random = &mut StdRng::seed_from_u64(seed);
        let whole = [chunk_of(&tables, random)];
        let (chunks, parts) = match scattered {
            true => (scatter(&whole, random), Parts::Scattered),
            false => (recut(&whole, random), Parts::Clustered),
        };
        let sort = Sort { columns: columns.into_iter().map(Name::from).collect(), descending };
        let transform: Arc<dyn Transform> = match limit {
            Some((n, offset)) => Arc::new(TopN::new(sort, Limit::new(n, offset).unwrap())),
            None => Arc::new(sort),
        };
        let (disk, folder) = (Pool::new(1 << 30), tempfile::tempdir().unwrap());
        let space = SpillSpace::new(folder.path(), Arc::clone(&disk), piece_bytes);
        let expected = run(transform.as_ref(), parts, &chunks, 0.0, &space, random).unwrap();
        let found = run(transform.as_ref(), parts, &chunks, relieve, &space, random).unwrap();
        prop_assert_eq!(lines(&found), lines(&expected));
        prop_assert_eq!(disk.taken(), 0);
    }
}

/// Hundreds of runs of one table are merged level by level, and come out as parts of one table.
#[test]
fn many_runs_of_a_table_are_merged() {
    let random = &mut StdRng::seed_from_u64(7);
    let whole = chunk_of(&[700], random);
    let part = |row: usize| Chunk {
        segments: vec![Segment { end: 1, done: row == 699, ..whole.segments[0] }],
        rows: whole.rows.iter().map(|array| array.slice(row, 1)).collect(),
        len: 1,
        ..whole.clone()
    };
    let chunks: Vec<Chunk> = (0..700).map(part).collect();
    let sort = Sort { columns: vec!["s".into(), "f".into()], descending: true };
    let (disk, folder) = (Pool::new(1 << 30), tempfile::tempdir().unwrap());
    let space = SpillSpace::new(folder.path(), Arc::clone(&disk), 2_000);
    let expected = run(&sort, Parts::Clustered, std::slice::from_ref(&whole), 0.0, &space, random).unwrap();
    let found = run(&sort, Parts::Clustered, &chunks, 1.0, &space, random).unwrap();
    assert_eq!(lines(&found), lines(&expected));
    assert!(found.len() > 1);
}

#[test]
fn what_is_on_disk_is_not_in_memory() {
    let random = &mut StdRng::seed_from_u64(3);
    let mut chunk = chunk_of(&[5_000], random);
    chunk.segments[0].done = false;
    let (disk, folder) = (Pool::new(1 << 30), tempfile::tempdir().unwrap());
    let space = SpillSpace::new(folder.path(), Arc::clone(&disk), 4_000);
    let sort = Sort { columns: vec!["i".into()], descending: false };
    let mut operator = sort.operator(&[props(Parts::Clustered)]).unwrap();
    let mut out = Out::default();
    assert!(!operator.relieve(&space).unwrap());
    operator.push(0, chunk.clone(), &mut out).unwrap();
    let held = operator.memory();
    assert!(held > 2 * crate::table::size::of_rows(&chunk), "{held}");
    assert!(operator.relieve(&space).unwrap());
    assert!(operator.memory() < held / 10, "{} of {held}", operator.memory());
    assert!(disk.taken() > 0);
    // Nothing is left that could go there.
    assert!(!operator.relieve(&space).unwrap());
    drop(operator);
    assert_eq!(disk.taken(), 0);
}

#[test]
fn a_bound_on_disk_ends_the_sort() {
    let random = &mut StdRng::seed_from_u64(3);
    let mut chunk = chunk_of(&[5_000], random);
    chunk.segments[0].done = false;
    let (disk, folder) = (Pool::new(10_000), tempfile::tempdir().unwrap());
    let space = SpillSpace::new(folder.path(), Arc::clone(&disk), 4_000);
    let sort = Sort { columns: vec!["i".into()], descending: false };
    let error = run(&sort, Parts::Clustered, &[chunk], 1.0, &space, random).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
    assert_eq!(disk.taken(), 0);
}
