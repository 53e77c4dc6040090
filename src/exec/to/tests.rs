//! `to()` against flux-semantics 5.3; the notation of tables is that of `table::testing`.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::diagnostic::Span;
use crate::error::ErrorKind;
use crate::exec::{BucketWrite, Memory};
use crate::point::line_protocol;
use crate::table::TableId;
use crate::table::pool::Kept;
use crate::table::pool::Pool;
use crate::table::testing::{normal, show, tables};

fn spec() -> ToSpec {
    ToSpec {
        bucket: "1".into(),
        bucket_name: "out".into(),
        time_column: "_time".into(),
        measurement_column: "_measurement".into(),
        tag_columns: None,
        field_fn: None,
        wide: false,
    }
}

fn memory(process: &Arc<Pool>) -> Memory {
    Memory::of_run(process, usize::MAX, &Pool::new(0), std::path::Path::new("nowhere"))
}

const SPAN: Span = Span { start: 3, end: 5 };

/// What is staged; the operators have reserved nothing.
fn taken(staging: Staging) -> (Vec<BucketWrite>, Kept) {
    let held = std::iter::repeat_with(|| staging.memory().reservation()).take(staging.calls()).collect();
    staging.take_writes(held).unwrap()
}

fn staging(max_points: usize) -> Staging {
    Staging::new(max_points, memory(&Pool::new(usize::MAX)))
}

/// Points as line protocol, the rows that were passed on, and warnings.
fn run(spec: ToSpec, input: &str) -> Result<(String, String, Vec<String>)> {
    let mut staging = staging(1_000);
    let mut operator = staging.operator(&Arc::new(spec), SPAN, true).unwrap();
    let mut out = Out::default();
    for chunk in tables(input) {
        operator.push(0, chunk, &mut out)?;
    }
    operator.finish(0, &mut out)?;
    let warnings = staging.warnings();
    Ok((lines(&taken(staging).0), show(&out.chunks), warnings))
}

fn lines(writes: &[BucketWrite]) -> String {
    let mut text = String::new();
    for write in writes {
        text.push_str(&format!("# {}\n", write.bucket_name));
        for point in write.points.staged() {
            line_protocol::write(&mut text, &point.unwrap()).unwrap();
        }
    }
    text
}

fn refusal(spec: ToSpec, input: &str) -> String {
    let error = run(spec, input).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::FailedPrecondition | ErrorKind::Invalid), "{error:?}");
    error.message().to_owned()
}

/// The example of flux-semantics 5.3.
#[test]
fn empty_tags_and_null_values_make_nothing_and_a_null_time_removes_the_row() {
    let input = "
        _time:time _measurement:string* _field:string* _value:float host:string* site:string n:int
        T1 m f 2.5 a '' 7
        T2 m f - a x 7
        - m f 1.0 a x 7";
    let (points, passed, warnings) = run(spec(), input).unwrap();
    assert_eq!(points, "# out\nm,host=a f=2.5 1000000000\n");
    assert_eq!(
        passed,
        normal(
            "
        _time:time _measurement:string* _field:string* _value:float host:string* site:string n:int
        T1 m f 2.5 a '' 7
        T2 m f - a x 7"
        )
    );
    assert!(warnings.is_empty());
}

#[test]
fn tags_are_the_string_columns_sorted_whether_in_the_key_or_not() {
    let input = "
        zone:string _time:time _measurement:string _field:string _value:int host:string* load:float
        z T1 m f 1 a 0.5";
    assert_eq!(run(spec(), input).unwrap().0, "# out\nm,host=a,zone=z f=1i 1000000000\n");
}

#[test]
fn listed_tags_are_the_only_ones_and_an_absent_one_is_ignored() {
    let input = "
        _time:time _measurement:string _field:string _value:int host:string zone:string
        T1 m f 1 a z";
    let listed = vec!["zone".into(), "nowhere".into(), "zone".into(), "_measurement".into()];
    let spec = ToSpec { tag_columns: Some(listed), ..spec() };
    assert_eq!(run(spec, input).unwrap().0, "# out\nm,zone=z f=1i 1000000000\n");
}

#[test]
fn a_listed_tag_of_another_type_is_refused() {
    let input = "
        _time:time _measurement:string _field:string _value:int n:int
        T1 m f 1 7";
    let spec = ToSpec { tag_columns: Some(vec!["n".into()]), ..spec() };
    assert!(refusal(spec, input).starts_with("invalid type for tag column"));
}

#[test]
fn every_type_of_value_is_a_field_and_floats_must_be_finite() {
    let input = "
        _time:time _measurement:string _field:string _value:float
        T1 m a NaN
        T2 m a inf
        T3 m a -0.0

        _time:time _measurement:string _field:string _value:uint
        T1 m u 7

        _time:time _measurement:string _field:string _value:bool
        T1 m b true

        _time:time _measurement:string _field:string _value:time
        T1 m t T9

        _time:time _measurement:string _field:string _value:string
        T1 m s word";
    assert_eq!(
        run(spec(), input).unwrap().0,
        "# out\nm a=-0.0 3000000000\nm u=7u 1000000000\nm b=true 1000000000\nm t=9000000000i 1000000000\n\
         m s=\"word\" 1000000000\n"
    );
}

#[test]
fn time_and_measurement_may_come_from_other_columns_and_are_then_no_tags() {
    let input = "
        _time:time at:time name:string _measurement:string _field:string _value:int
        T1 T2 n m f 1";
    let spec = ToSpec { time_column: "at".into(), measurement_column: "name".into(), ..spec() };
    assert_eq!(run(spec, input).unwrap().0, "# out\nn f=1i 2000000000\n");
}

#[test]
fn rows_without_measurement_or_field_are_counted_and_pass_on() {
    let input = "
        _time:time _measurement:string _field:string _value:int
        T1 - f 1
        T2 '' f 1
        T3 m - 1
        T4 m f 1";
    let (points, passed, warnings) = run(spec(), input).unwrap();
    assert_eq!(points, "# out\nm f=1i 4000000000\n");
    assert_eq!(passed, normal(input));
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("2 row(s)") && warnings[0].contains("_measurement"), "{warnings:?}");
    assert!(warnings[1].contains("1 row(s)") && warnings[1].contains("_field"), "{warnings:?}");
}

#[test]
fn missing_and_mistyped_columns_are_named_even_on_an_empty_table() {
    let columns = "
        _time:time* _field:string* _value:int
        = T1 f";
    assert_eq!(refusal(spec(), columns), "no column with label _measurement exists");
    let columns = "
        _time:int* _measurement:string* _field:string* _value:int
        = 1 m f";
    assert_eq!(refusal(spec(), columns), "column _time of type int is not of type time");
    let columns = "
        _measurement:string* _field:string* _value:int
        = m f";
    assert_eq!(refusal(spec(), columns), "no time column detected");
    let columns = "
        _time:time _measurement:int* _field:string* _value:int
        = 1 f";
    assert_eq!(refusal(spec(), columns), "column _measurement of type int is not of type string");
    let columns = "
        _time:time _measurement:string* fuel:int
        = m";
    assert_eq!(refusal(spec(), columns), "table has no _field column");
    let columns = "
        _time:time _measurement:string* _field:string* fuel:int
        = m f";
    assert_eq!(refusal(spec(), columns), "table has no _value column");
}

#[test]
fn an_empty_field_name_is_refused() {
    let input = "
        _time:time _measurement:string _field:string _value:int
        T1 m '' 1";
    assert_eq!(refusal(spec(), input), "all fields must have non-empty names");
}

#[test]
fn a_null_time_in_the_key_leaves_an_empty_table() {
    let input = "
        _time:time* _measurement:string _field:string _value:int
        - m f 1";
    let (points, passed, _) = run(spec(), input).unwrap();
    assert_eq!(points, "# out\n");
    assert_eq!(
        passed,
        normal(
            "
        _time:time* _measurement:string _field:string _value:int
        = -"
        )
    );
}

#[test]
fn more_points_than_the_limit_are_refused() {
    let mut staging = staging(1);
    let spec = Arc::new(spec());
    let mut out = Out::default();
    let row = "
        _time:time _measurement:string _field:string _value:int
        T1 m f 1";
    staging.operator(&spec, SPAN, true).unwrap().push(0, tables(row).remove(0), &mut out).unwrap();
    // The limit is for all `to()` of a script together.
    let error = staging.operator(&spec, SPAN, true).unwrap().push(0, tables(row).remove(0), &mut out).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
}

#[test]
fn points_come_in_the_order_of_tables_and_of_the_calls_not_of_arrival() {
    let mut staging = staging(10);
    let spec = Arc::new(spec());
    let (mut first, mut second) =
        (staging.operator(&spec, SPAN, true).unwrap(), staging.operator(&spec, SPAN, true).unwrap());
    let mut out = Out::default();
    let mut chunks = tables(
        "
        _time:time _measurement:string _field:string _value:int
        T1 m f 1

        _time:time _measurement:string _field:string _value:int other:int
        T1 m f 2 0",
    );
    second.push(0, chunks[0].clone(), &mut out).unwrap();
    first.push(0, chunks.remove(1), &mut out).unwrap();
    first.push(0, chunks.remove(0), &mut out).unwrap();
    assert_eq!(lines(&taken(staging).0), "# out\nm f=1i 1000000000\nm f=2i 1000000000\nm f=1i 1000000000\n");
}

#[test]
fn without_staging_rows_pass_and_no_point_is_made() {
    let mut staging = staging(10);
    let mut operator = staging.operator(&Arc::new(spec()), SPAN, false).unwrap();
    let mut out = Out::default();
    let input = "
        _time:time _measurement:string _field:string _value:int
        T1 m f 1";
    operator.push(0, tables(input).remove(0), &mut out).unwrap();
    assert_eq!(show(&out.chunks), normal(input));
    assert!(taken(staging).0.is_empty());
}

/// flux-semantics 5.4: the key's columns are tags, all others fields.
#[test]
fn wide_rows_make_a_point_each() {
    let wide = || ToSpec { wide: true, ..spec() };
    let input = "
        _start:time* _stop:time* _measurement:string* host:string* site:string* _time:time load:float n:int note:string
        T0 T9 m a '' T1 0.5 7 ok
        T0 T9 m a '' T2 NaN - -
        T0 T9 m a '' - 1.5 8 -";
    let (points, passed, warnings) = run(wide(), input).unwrap();
    assert_eq!(points, "# out\nm,host=a load=0.5,n=7i,note=\"ok\" 1000000000\n");
    assert_eq!(passed, normal(&input.replace("\n        T0 T9 m a '' - 1.5 8 -", "")));
    assert!(warnings.is_empty());
    let key = "_measurement:string _time:time v:int\nm T1 1\n";
    assert_eq!(refusal(wide(), key), "required column \"_measurement\" not in group key");
    let key = "_measurement:string* n:int* _time:time v:int\nm 1 T1 1\n";
    assert_eq!(refusal(wide(), key), "group key column \"n\" has type int; type string is required");
    let key = "_measurement:string* _field:string* _time:time _value:int\nm f T1 1\n";
    let text = "found column \"_field\" in the group key; wideTo() expects pivoted data";
    assert_eq!(refusal(wide(), key), text);
    assert_eq!(refusal(wide(), "_measurement:string* v:int\nm 1\n"), "no time column detected");
}

/// A table's rows may come in several parts, and the same identities by several calls: whatever goes to disk when, each
/// identity comes once, with the latest value of each of its fields in the order in which they first came.
#[test]
fn points_on_disk_merge_as_those_in_memory_do() {
    let (mut on_disk, mut merged) = (0, 0);
    for seed in 0..300 {
        let random = &mut StdRng::seed_from_u64(seed);
        let (disk, folder) = (Pool::new(1 << 24), tempfile::tempdir().unwrap());
        // A piece holds some of the rows, or all of them.
        let bytes = [100_000, 1_000_000, 1 << 30][random.random_range(0..3)];
        let process = Pool::new(1 << 30);
        let memory = Memory::of_run(&process, bytes, &disk, folder.path());
        let mut staging = Staging::new(100_000, memory.clone());
        let spec = Arc::new(spec());
        let mut calls: Vec<To> =
            (0..random.random_range(1..4)).map(|_| staging.operator(&spec, SPAN, true).unwrap()).collect();
        // Rows by call, table and part: what counts is that order, not that of arrival.
        let mut pushed = Vec::new();
        for part in 0..random.random_range(1..40) {
            let (call, table) = (random.random_range(0..calls.len()), random.random_range(0..3));
            let mut text = "_time:time _measurement:string host:string _field:string _value:int".to_string();
            let mut rows = Vec::new();
            for _ in 0..random.random_range(1..30) {
                let row = (random.random_range(0..4), random.random_range(0..6), random.random_range(0..3));
                let value = random.random_range(-9..9);
                rows.push((row.0, row.1, row.2, value));
                text += &format!("\nT{} m h{} f{} {value}", row.1, row.0, row.2);
            }
            let mut chunk = tables(&text).remove(0);
            chunk.segments[0].table = table as TableId;
            calls[call].push(0, chunk, &mut Out::default()).unwrap();
            pushed.push(((call, table, part), rows));
            if random.random_bool(0.5) {
                calls[call].relieve(memory.space()).unwrap();
            }
        }
        on_disk += usize::from(disk.taken() > 0);
        drop(calls);
        merged += usize::from(staging.has_merged_runs());
        let (writes, kept) = taken(staging);
        assert_eq!(writes[0].points.len(), pushed.iter().map(|(_, rows)| rows.len()).sum::<usize>());
        assert_eq!(writes[0].points.staged().map(Result::unwrap).count(), writes[0].points.len());

        pushed.sort_by_key(|(place, _)| *place);
        let mut expected: BTreeMap<(String, i64), Vec<(String, i64)>> = BTreeMap::new();
        for (host, time, field, value) in pushed.into_iter().flat_map(|(_, rows)| rows) {
            let fields = expected.entry((format!("h{host}"), time)).or_default();
            match fields.iter_mut().find(|(name, _)| *name == format!("f{field}")) {
                Some((_, old)) => *old = value,
                None => fields.push((format!("f{field}"), value)),
            }
        }
        let mut found = BTreeMap::new();
        for point in writes.into_iter().flat_map(|write| write.points.merged()) {
            let point = point.unwrap();
            let int = |value| if let FieldValue::Int(value) = value { value } else { panic!("{value:?}") };
            let fields = point.fields.into_iter().map(|(name, value)| (name.to_string(), int(value))).collect();
            let identity = (point.tags[0].1.to_string(), point.time_ns / 1_000_000_000);
            assert!(found.insert(identity, fields).is_none(), "seed {seed}: an identity comes twice");
        }
        assert_eq!(found, expected, "seed {seed}");
        drop(kept);
        assert_eq!((process.taken(), disk.taken()), (0, 0), "seed {seed}");
    }
    assert!(on_disk > 100 && on_disk < 290 && merged > 10, "{on_disk} {merged}");
}

/// Names may hold what stands between names in line protocol.
#[test]
fn series_whose_line_protocol_reads_alike_stay_apart() {
    let spec = Arc::new(spec());
    for bytes in [1 << 16, 1 << 30] {
        let (disk, folder) = (Pool::new(1 << 24), tempfile::tempdir().unwrap());
        let memory = Memory::of_run(&Pool::new(1 << 30), bytes, &disk, folder.path());
        let mut staging = Staging::new(10_000, memory.clone());
        let mut call = staging.operator(&spec, SPAN, true).unwrap();
        for text in [
            r"_time:time _measurement:string t:string _field:string _value:int
              T1 m\ v f 1",
            r"_time:time _measurement:string _field:string _value:int
              T1 m,t=v f 2",
        ] {
            for _ in 0..300 {
                call.push(0, tables(text).remove(0), &mut Out::default()).unwrap();
            }
        }
        assert_eq!(call.relieve(memory.space()).unwrap(), bytes == 1 << 16);
        drop(call);
        let (writes, _kept) = taken(staging);
        let points: Vec<Point> = writes[0].points.clone().merged().collect::<Result<_>>().unwrap();
        let mut found: Vec<&str> = points.iter().map(|point| &*point.measurement).collect();
        found.sort_unstable();
        assert_eq!(found, ["m,t=v", r"m\"]);
    }
}

#[test]
fn points_on_disk_are_not_in_memory() {
    let (disk, folder) = (Pool::new(1 << 24), tempfile::tempdir().unwrap());
    let process = Pool::new(1 << 30);
    let memory = Memory::of_run(&process, 1 << 20, &disk, folder.path());
    let mut staging = Staging::new(100_000, memory.clone());
    let mut call = staging.operator(&Arc::new(spec()), SPAN, true).unwrap();
    let mut text = "_time:time _measurement:string host:string _field:string _value:float".to_string();
    (0..4_000).for_each(|row| text += &format!("\nT{row} m a f {row}.5"));
    let chunk = tables(&text).remove(0);
    assert!(!call.relieve(memory.space()).unwrap(), "nothing is there to go");
    for _ in 0..10 {
        call.push(0, chunk.clone(), &mut Out::default()).unwrap();
        let held = call.memory();
        assert!(held > 4_000 * size_of::<Point>(), "{held}");
        assert!(call.relieve(memory.space()).unwrap());
        assert!(call.memory() < held / 20, "{} of {held}", call.memory());
    }
    drop(call);
    let (writes, kept) = taken(staging);
    // A piece of each run: eight of the first ten have become one.
    assert!(kept.bytes() < 4 * (memory.space().piece_bytes() + 10_000), "{}", kept.bytes());
    let points: Vec<Point> = writes[0].points.clone().merged().collect::<Result<_>>().unwrap();
    let expected: Vec<i64> = (0..4_000).map(|row| row * 1_000_000_000).collect();
    assert_eq!(points.iter().map(|point| point.time_ns).collect::<Vec<_>>(), expected);
    assert_eq!(points[77].fields, [("f".into(), FieldValue::Float(77.5))]);
}

#[test]
fn a_bound_on_disk_refuses_points() {
    let (disk, folder) = (Pool::new(1_000), tempfile::tempdir().unwrap());
    let memory = Memory::of_run(&Pool::new(1 << 30), 1 << 16, &disk, folder.path());
    let mut staging = Staging::new(100_000, memory.clone());
    let mut call = staging.operator(&Arc::new(spec()), SPAN, true).unwrap();
    let mut text = "_time:time _measurement:string _field:string _value:int".to_string();
    (0..1_000).for_each(|row| text += &format!("\nT{row} m f {row}"));
    call.push(0, tables(&text).remove(0), &mut Out::default()).unwrap();
    let error = call.relieve(memory.space()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
    assert_eq!(disk.taken(), 0);
}
