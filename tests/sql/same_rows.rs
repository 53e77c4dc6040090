//! SQL and Flux over one bucket give the same rows, whatever was written, deleted and flushed, and whatever is asked for.
//!
//! Random buckets and conditions from fixed seeds. The Flux side offers nothing to the scan: the operators alone filter and
//! pivot, which is what a wide row means.

use std::collections::BTreeMap;
use std::sync::Arc;

use fluxmill::catalogue::Catalogue;
use fluxmill::clock::ManualClock;
use fluxmill::diagnostic::Source;
use fluxmill::engine::sql::Sql;
use fluxmill::engine::{CollectedResults, Engine, RunRequest, StoreWorld};
use fluxmill::point::delete::{Deleted, RangeDelete, parse_predicate};
use fluxmill::point::{FieldValue, Point};
use fluxmill::store::{NewBucket, SeqDelete, SeqPoint, SourcePartition, Store, StoreOptions};
use fluxmill::table::{Chunk, ColumnType, ColumnView, Place};
use fluxmill::time::rfc3339;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// 2026-03-01T10:00:00Z.
const START: i64 = 1_772_359_200_000_000_000;
const SECOND: i64 = 1_000_000_000;
/// Tag keys and their values; as names in SQL they have to stand in quotes, in part.
const TAGS: [(&str, &[&str]); 3] = [("host", &["a", "b", "it's"]), ("Region", &["eu", "US"]), ("two words", &["x"])];

/// Column and value of the cells that hold something, per row.
type Row = BTreeMap<String, String>;

struct House {
    _directory: tempfile::TempDir,
    store: Arc<Store>,
    sql: Sql,
    engine: Engine,
    clock: Arc<ManualClock>,
    bucket: fluxmill::name::Name,
    source: SourcePartition,
    next: u64,
}

impl House {
    async fn new() -> House {
        let directory = tempfile::tempdir().unwrap();
        let catalogue = Arc::new(Catalogue::open(&directory.path().join("catalogue")).unwrap());
        let clock = Arc::new(ManualClock::new(START));
        // Small stretches, so that scans are cut.
        let options = StoreOptions { scan_stretch_rows: 9, ..StoreOptions::default() };
        let store = Store::open(directory.path(), options, catalogue, Arc::clone(&clock) as _).await.unwrap();
        let store = Arc::new(store);
        let mut new = NewBucket::named("my-bucket");
        new.retention_ns = Some(3_600 * SECOND);
        let bucket = store.create_bucket(new).unwrap().id;
        let sql = Sql::new(Arc::clone(&store)).unwrap();
        let source = SourcePartition { topic: "my-bucket".into(), generation: 0, partition: 0 };
        House { _directory: directory, store, sql, engine: Engine::new(), clock, bucket, source, next: 0 }
    }

    fn write(&mut self, random: &mut StdRng, fields: &[&str]) {
        let mut rows = Vec::new();
        for _ in 0..random.random_range(1..12) {
            let mut tags = Vec::new();
            for (key, values) in TAGS {
                if random.random_bool(0.6) {
                    tags.push((key.into(), (*values.choose(random).unwrap()).into()));
                }
            }
            tags.sort();
            let count = random.random_range(1..=3.min(fields.len()));
            let chosen: Vec<&str> = fields.choose_multiple(random, count).copied().collect();
            let fields = chosen.into_iter().map(|name| (name.into(), value(name, random))).collect();
            let time_ns = START + random.random_range(0..20) * SECOND + random.random_range(0..2) * 7;
            let measurement = if random.random_bool(0.9) { "m 1" } else { "other" };
            let point = Point { measurement: measurement.into(), tags, fields, time_ns };
            rows.push(SeqPoint { offset: self.next, seq: START + 60 * SECOND + self.next as i64, point });
            self.next += 1;
        }
        assert_eq!(self.store.apply(&self.bucket, &self.source, &rows).unwrap(), []);
    }

    fn delete(&mut self, random: &mut StdRng) {
        let start_ns = START + random.random_range(0..20) * SECOND;
        let predicate = *["", "host=a", "_measurement=\"m 1\" and Region=eu"].choose(random).unwrap();
        let stop_ns = start_ns + random.random_range(1..6) * SECOND;
        let what = Deleted::Range(RangeDelete { start_ns, stop_ns, predicate: parse_predicate(predicate).unwrap() });
        let delete = SeqDelete { offset: self.next, seq: START + 60 * SECOND + self.next as i64, what: &what };
        self.store.delete(&self.bucket, &self.source, delete).unwrap();
        self.next += 1;
    }

    async fn by_sql(&self, text: &str) -> Vec<Row> {
        let answer = self.sql.open(&Source::new("<sql>", text), START).await;
        let mut answer = answer.unwrap_or_else(|error| panic!("{text}: {error:?} {:?}", error.hint()));
        let mut rows = Vec::new();
        while let Some(chunk) = answer.next().await.unwrap() {
            add(&mut rows, &chunk, |name| Some(name.to_string()));
        }
        rows
    }

    async fn by_flux(&self, text: &str) -> Vec<Row> {
        let world = Arc::new(StoreWorld::new(Arc::clone(&self.store), Arc::clone(&self.clock) as _));
        let mut request = RunRequest::new(Source::new("<flux>", text), START, world);
        request.max_push_ops = 0;
        let mut results = CollectedResults::default();
        self.engine.run(request, &mut results).await.unwrap_or_else(|error| panic!("{text}: {error}"));
        let mut rows = Vec::new();
        for chunk in results.results.iter().flat_map(|result| &result.chunks) {
            add(&mut rows, chunk, |name| match name {
                "_start" | "_stop" | "_measurement" => None,
                "_time" => Some("time".to_string()),
                other => Some(other.to_string()),
            });
        }
        rows
    }
}

fn value(name: &str, random: &mut StdRng) -> FieldValue {
    match name {
        "load" => FieldValue::Float(*[-0.0, 0.5, 1e300, -1e-300].choose(random).unwrap()),
        "N" => FieldValue::Int(*[i64::MIN, -1, 0, i64::MAX].choose(random).unwrap()),
        "count" => FieldValue::UInt(*[0, 7, u64::MAX].choose(random).unwrap()),
        "up" => FieldValue::Bool(random.random_bool(0.5)),
        _ => FieldValue::String((*["", "ok", "a longer text than a view holds inline"].choose(random).unwrap()).into()),
    }
}

fn add(rows: &mut Vec<Row>, chunk: &Chunk, column_name: impl Fn(&str) -> Option<String>) {
    for (segment, range) in chunk.tables() {
        for row in range {
            let mut cells = Row::new();
            for column in &chunk.shape.columns {
                let Some(name) = column_name(&column.name) else { continue };
                let (array, at) = match column.place {
                    Place::Key(place) => (&chunk.keys.columns[place as usize], segment.key_row as usize),
                    Place::Row(place) => (&chunk.rows[place as usize], row),
                };
                let view = ColumnView::of(array);
                if !view.is_null(at) {
                    let text = match view.cell(at) {
                        // -0.0 is not 0.0.
                        fluxmill::table::Cell::Float(value) => format!("{value:?}"),
                        other => other.to_string(),
                    };
                    cells.insert(name, format!("{}:{text}", ColumnType::flux_name(column.column_type)));
                }
            }
            rows.push(cells);
        }
    }
    rows.sort();
}

fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

fn string(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// A condition in both languages.
fn condition(random: &mut StdRng, depth: u32) -> (String, String) {
    if depth > 0 && random.random_bool(0.5) {
        let (left, right) = (condition(random, depth - 1), condition(random, depth - 1));
        return match random.random_range(0..3) {
            0 => (format!("({} AND {})", left.0, right.0), format!("({} and {})", left.1, right.1)),
            1 => (format!("({} OR {})", left.0, right.0), format!("({} or {})", left.1, right.1)),
            _ => (format!("(NOT {})", left.0), format!("(not {})", left.1)),
        };
    }
    let (key, values) = *TAGS.choose(random).unwrap();
    let value = *values.choose(random).unwrap();
    let time = rfc3339::to_text(START + random.random_range(0..20) * SECOND + random.random_range(0..2) * 7);
    let member = format!("r[\"{key}\"]");
    match random.random_range(0..7) {
        0 => (format!("{} = {}", quoted(key), string(value)), format!("{member} == \"{value}\"")),
        1 => (format!("{} <> {}", quoted(key), string(value)), format!("{member} != \"{value}\"")),
        2 => (format!("{} <= {}", string(value), quoted(key)), format!("{member} >= \"{value}\"")),
        3 => {
            let all: Vec<String> = values.iter().map(|value| string(value)).collect();
            let any: Vec<String> = values.iter().map(|value| format!("{member} == \"{value}\"")).collect();
            let (not, no) = if random.random_bool(0.3) { ("NOT ", "not ") } else { ("", "") };
            (format!("{} {not}IN ({})", quoted(key), all.join(", ")), format!("({no}({}))", any.join(" or ")))
        }
        4 => match random.random_bool(0.5) {
            true => (format!("{} IS NULL", quoted(key)), format!("(not exists {member})")),
            false => (format!("{} IS NOT NULL", quoted(key)), format!("(exists {member})")),
        },
        5 => (format!("time >= '{time}'"), format!("r._time >= {time}")),
        _ => (format!("time <> TIMESTAMP '{time}'"), format!("r._time != {time}")),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sql_gives_the_rows_that_flux_pivots() {
    for seed in 0..12 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut house = House::new().await;
        let mut asked = 0;
        for step in 0..14 {
            // One field comes mid-way; a tag's name is a field's from the beginning of every third bucket.
            let fields = ["load", "N", "up", "text", "count"];
            house.write(&mut random, if step < 7 { &fields[..4] } else { &fields });
            match random.random_range(0..5) {
                0 => house.delete(&mut random),
                1 | 2 => drop(house.store.flush_all().await.unwrap()),
                3 => drop(house.store.compact_bucket(&house.bucket).await.unwrap()),
                _ => {}
            }
            if step == 11 {
                // Rows that are too old are gone for both.
                house.clock.set(START + (3_600 + 4) * SECOND);
            }
            let columns: Vec<_> = house.store.measurements("my-bucket").unwrap();
            let Some(measurement) = columns.iter().find(|one| &*one.name == "m 1") else { continue };
            for _ in 0..3 {
                let from = START + random.random_range(-2..18) * SECOND;
                let to = from + random.random_range(1..22) * SECOND;
                let (from, to) = (rfc3339::to_text(from), rfc3339::to_text(to));
                // The conditions may name tags that the measurement does not have (yet): SQL refuses those.
                let (in_sql, in_flux) = loop {
                    let (in_sql, in_flux) = condition(&mut random, 2);
                    let is_known =
                        |key: &str| measurement.tags.iter().any(|tag| &**tag == key) || !in_sql.contains(&quoted(key));
                    if TAGS.iter().all(|(key, _)| is_known(key)) {
                        break (in_sql, in_flux);
                    }
                };
                let rows = house
                    .by_sql(&format!(
                        "SELECT * FROM \"my-bucket\".\"m 1\" WHERE time >= '{from}' AND time < '{to}' AND {in_sql}"
                    ))
                    .await;
                let expected = house
                    .by_flux(&format!(
                        "from(bucket: \"my-bucket\") |> range(start: {from}, stop: {to})
                            |> filter(fn: (r) => r._measurement == \"m 1\") |> filter(fn: (r) => {in_flux})
                            |> pivot(rowKey: [\"_time\"], columnKey: [\"_field\"], valueColumn: \"_value\")"
                    ))
                    .await;
                assert_eq!(rows, expected, "seed {seed}, step {step}: {in_sql}");
                asked += expected.len();
                // Fewer columns are the same rows with fewer cells.
                let known = |name: &str| measurement.fields.iter().any(|(own, _)| &**own == name);
                let fields: Vec<&str> =
                    fields.into_iter().filter(|name| known(name) && random.random_bool(0.4)).collect();
                let list: Vec<String> = fields.iter().map(|name| format!(", {}", quoted(name))).collect();
                let few = house
                    .by_sql(&format!(
                        "SELECT time{} FROM \"my-bucket\".\"m 1\" WHERE {in_sql} AND time >= '{from}' AND '{to}' > time",
                        list.concat()
                    ))
                    .await;
                let cut = |row: &Row| {
                    row.iter()
                        .filter(|(name, _)| *name == "time" || fields.contains(&name.as_str()))
                        .map(|(name, value)| (name.clone(), value.clone()))
                        .collect()
                };
                let mut expected: Vec<Row> = expected.iter().map(cut).collect();
                expected.sort();
                assert_eq!(few, expected, "seed {seed}, step {step}: {fields:?} where {in_sql}");
            }
        }
        assert!(asked > 100, "seed {seed}: the conditions left only {asked} rows to compare");
    }
}
