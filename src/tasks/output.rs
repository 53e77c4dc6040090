//! What a run appends: its points as records of their buckets' topics, and itself as a point of the bucket of runs.
//!
//! Called by the executor and by queries once the whole script has succeeded. Nothing is appended here.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::manifest::Written;
use super::run::RunRecord;
use crate::clock::{Arrival, ArrivalClock};
use crate::commitlog::NewRecord;
use crate::commitlog::murmur2::partition_of;
use crate::engine::{BucketWrite, refusal};
use crate::error::{Error, Result};
use crate::name::Name;
use crate::point::delete::{CONTENT_TYPE as DELETE, Delete, Deleted, PointSet, SeriesName, portions, sets_of};
use crate::point::{FieldValue, Point, result_json, series_key};
use crate::table::pool::{Kept, Reservation};
use crate::time::rfc3339;

/// What a record takes beside what is counted: the time, and what its buffers have to spare; about.
const SLACK_BYTES: usize = 128;

/// The bucket in which runs can be read as points, with InfluxDB's names.
pub const RUNS_BUCKET: &str = "_tasks";

/// Where a run's records come from: what their headers say.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The task.
    pub task: Name,
    /// The slot.
    pub slot_ns: i64,
    /// The attempt.
    pub attempt: u32,
}

impl Origin {
    fn headers(&self) -> [(Name, Bytes); 3] {
        [
            ("fm-task".into(), Bytes::copy_from_slice(self.task.as_bytes())),
            ("fm-slot".into(), self.slot_ns.to_string().into()),
            ("fm-attempt".into(), self.attempt.to_string().into()),
        ]
    }
}

/// Records that are ready to be appended. Keep it until they are: their arrival times count as in flight, and what they take
/// as memory of the run.
#[derive(Default)]
pub struct Output {
    /// The records.
    pub records: Vec<NewRecord>,
    in_flight: Option<Arrival>,
    held: Option<Reservation>,
    bytes: usize,
}

/// The points of a bucket, and the topic that takes them.
pub struct TopicWrite {
    /// The topic.
    pub topic: Name,
    /// What was staged.
    pub write: BucketWrite,
}

/// The records of a script's points, one for each identity, and which points they are of, bucket by bucket, each bucket once.
/// `kept` is what the points take of the run's memory: it is let go when they are records. `origin` says which run wrote them;
/// of an ad-hoc script (`None`) nobody asks which points they were.
///
/// Points may be on disk, and many: this works on a thread where waiting is allowed.
///
/// # Errors
/// ResourceExhausted if the run may not take as much memory as the records want, Unavailable if points are on disk and cannot
/// be read.
pub async fn records(
    writes: Vec<TopicWrite>,
    kept: Kept,
    origin: Option<Origin>,
    arrivals: &Arc<ArrivalClock>,
) -> Result<(Output, Vec<Written>)> {
    let arrivals = Arc::clone(arrivals);
    let making = tokio::task::spawn_blocking(move || {
        let mut output = Output { held: kept.beside(), ..Output::default() };
        let mut writer = RecordWriter::new(origin.as_ref());
        let mut written = Vec::with_capacity(writes.len());
        for TopicWrite { topic, write } in writes {
            let named = write.points.merged().filter_map(|point| {
                let made = point.and_then(|point| {
                    output.push(writer.record(&topic, &point))?;
                    Ok(origin.is_some().then(|| (SeriesName::of(&point), point.time_ns)))
                });
                made.transpose()
            });
            let sets = itertools::process_results(named, |named| sets_of(named))?;
            written.push(Written { bucket: write.bucket, sets });
        }
        // All arrive now: while points are read from disk nobody waits for them.
        output.date(&arrivals);
        Ok((output, written))
    });
    making.await.map_err(|error| Error::internal(format!("making records of points ended early: {error}")))?
}

impl Output {
    /// Adds a record, if the run may take as much memory.
    fn push(&mut self, record: NewRecord) -> Result<()> {
        let headers = record.headers.capacity() * size_of::<(Name, Bytes)>();
        self.bytes += size_of::<NewRecord>() + headers + record.key.len() + record.payload.len() + SLACK_BYTES;
        if let Some(held) = &mut self.held {
            let wanted = "the points of to(), ready to be written, want";
            held.set(self.bytes).map_err(|full| refusal(wanted, self.bytes, full))?;
        }
        self.records.push(record);
        Ok(())
    }

    /// Gives all records so far the times at which they arrive.
    fn date(&mut self, arrivals: &Arc<ArrivalClock>) {
        let mut records = std::mem::take(&mut self.records);
        for record in &mut records {
            let time_ns = self.next_arrival(arrivals);
            record.headers[0].1 = time_ns.to_string().into();
            record.timestamp_ms = time_ns / 1_000_000;
        }
        self.records = records;
    }

    /// Adds the run itself as a point of the bucket of runs.
    pub fn add_run(&mut self, topic: &Name, run: &RunRecord, name: &str, arrivals: &Arc<ArrivalClock>) {
        let mut record = RecordWriter::new(None).record(topic, &run_point(run, name));
        let time_ns = self.next_arrival(arrivals);
        record.headers[0].1 = time_ns.to_string().into();
        record.timestamp_ms = time_ns / 1_000_000;
        self.records.push(record);
    }

    /// Adds deletes of points, in the partitions in which they stand.
    pub fn add_deletes(
        &mut self,
        sets: &[PointSet],
        bucket: &Name,
        topic: &Name,
        partitions: u32,
        origin: &Origin,
        arrivals: &Arc<ArrivalClock>,
    ) -> Result<()> {
        let mut by_partition: BTreeMap<u32, Vec<PointSet>> = BTreeMap::new();
        for set in sets {
            let mut divided: BTreeMap<u32, Vec<SeriesName>> = BTreeMap::new();
            for series in &set.series {
                let partition = partition_of(series.key().as_bytes(), partitions);
                divided.entry(partition).or_default().push(series.clone());
            }
            for (partition, series) in divided {
                by_partition.entry(partition).or_default().push(PointSet { series, times: set.times.clone() });
            }
        }
        for (partition, sets) in by_partition {
            for portion in portions(sets) {
                let time_ns = self.next_arrival(arrivals);
                let payload = Delete { bucket: bucket.clone(), what: Deleted::Points(portion) }.write()?;
                let mut headers = vec![
                    ("fm-time".into(), time_ns.to_string().into()),
                    ("content-type".into(), Bytes::from_static(DELETE.as_bytes())),
                ];
                headers.extend(origin.headers());
                self.push(NewRecord {
                    topic: topic.clone(),
                    partition: Some(partition),
                    key: Bytes::new(),
                    headers,
                    payload: payload.into(),
                    timestamp_ms: time_ns / 1_000_000,
                })?;
            }
        }
        Ok(())
    }

    /// Only the first arrival is tracked: the later ones are younger, and end with it.
    fn next_arrival(&mut self, arrivals: &Arc<ArrivalClock>) -> i64 {
        match &self.in_flight {
            Some(_) => arrivals.next_ns(),
            None => self.in_flight.insert(arrivals.begin()).time_ns(),
        }
    }
}

/// Makes records of points that all have one origin.
struct RecordWriter {
    points: result_json::Writer,
    /// In front of those of the origin: time, content type, schema.
    names: [Name; 3],
    of_origin: Option<[(Name, Bytes); 3]>,
}

impl RecordWriter {
    fn new(origin: Option<&Origin>) -> RecordWriter {
        RecordWriter {
            points: result_json::Writer::default(),
            names: ["fm-time", "content-type", "fm-schema"].map(Name::from),
            of_origin: origin.map(Origin::headers),
        }
    }

    /// A record without the time at which it arrives: its first header.
    fn record(&mut self, topic: &Name, point: &Point) -> NewRecord {
        let (payload, schema) = self.points.write(point);
        let values = [Bytes::new(), Bytes::from_static(b"application/json"), schema];
        let own = self.names.iter().cloned().zip(values);
        NewRecord {
            topic: topic.clone(),
            partition: None,
            key: series_key(&point.measurement, &point.tags).into(),
            headers: own.chain(self.of_origin.iter().flatten().cloned()).collect(),
            payload,
            timestamp_ms: 0,
        }
    }
}

/// A run with the names of InfluxDB's `_tasks` bucket, which dashboards and dead-man checks read.
fn run_point(run: &RunRecord, name: &str) -> Point {
    let text = |text: &str| FieldValue::String(text.into());
    let time = |time_ns: i64| FieldValue::String(rfc3339::to_short_text(time_ns).into());
    let logs = serde_json::to_string(&run.log).unwrap_or_default();
    let mut fields: Vec<(Name, FieldValue)> = vec![
        ("runID".into(), text(&run.id)),
        ("name".into(), text(name)),
        ("scheduledFor".into(), time(run.slot_ns)),
        ("requestedAt".into(), time(run.requested_ns)),
        ("startedAt".into(), time(run.started_ns)),
        ("finishedAt".into(), time(run.finished_ns)),
        ("logs".into(), text(&logs)),
        ("attempt".into(), FieldValue::Int(i64::from(run.attempt))),
        ("rowsIn".into(), FieldValue::Int(i64::try_from(run.rows_in).unwrap_or(i64::MAX))),
        ("rowsOut".into(), FieldValue::Int(i64::try_from(run.rows_out).unwrap_or(i64::MAX))),
    ];
    if let Some(error) = &run.error {
        fields.push(("error".into(), text(&error.message)));
    }
    Point {
        measurement: "runs".into(),
        tags: vec![("status".into(), run.status.as_str().into()), ("taskID".into(), run.task.clone())],
        fields,
        time_ns: run.started_ns,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::clock::ManualClock;
    use crate::point::names::Names;
    use crate::tasks::manifest;

    fn point(field: &str, value: f64) -> Point {
        Point {
            measurement: "genData".into(),
            tags: vec![("generatorID".into(), "gen 1".into())],
            fields: vec![(field.into(), FieldValue::Float(value))],
            time_ns: 60,
        }
    }

    #[tokio::test]
    async fn fields_of_one_identity_become_one_record_that_reads_back() {
        let points = vec![point("fuel", 1.0), point("load", 2.0), point("fuel", 3.0)].into();
        let write = BucketWrite { bucket: "b1".into(), bucket_name: "down".into(), points };
        let clock = Arc::new(ManualClock::new(1_000_000_000));
        let arrivals = Arc::new(ArrivalClock::new(clock, 0));
        let origin = Origin { task: "00000000000000aa".into(), slot_ns: 60, attempt: 2 };
        let writes = vec![TopicWrite { topic: "down".into(), write }];
        let (output, written) = records(writes, Kept::default(), Some(origin), &arrivals).await.unwrap();
        assert_eq!((output.records.len(), manifest::count(&written), &*written[0].bucket), (1, 1, "b1"));
        let record = &output.records[0];
        assert_eq!(&*record.topic, "down");
        assert_eq!(&record.key[..], b"genData,generatorID=gen\\ 1");
        let header = |name: &str| {
            let (_, value) = record.headers.iter().find(|(own, _)| &**own == name).unwrap();
            std::str::from_utf8(value).unwrap()
        };
        assert_eq!(header("fm-time"), "1000000000");
        assert_eq!((header("fm-task"), header("fm-slot"), header("fm-attempt")), ("00000000000000aa", "60", "2"));
        let back = result_json::read(&record.payload, header("fm-schema").as_bytes(), &mut Names::default()).unwrap();
        let expected = vec![("fuel".into(), FieldValue::Float(3.0)), ("load".into(), FieldValue::Float(2.0))];
        assert_eq!(back.fields, expected);
        // While it is not appended, nothing older than it counts as settled.
        assert_eq!(arrivals.oldest_in_flight_ns(), Some(1_000_000_000));
        drop(output);
        assert_eq!(arrivals.oldest_in_flight_ns(), None);
    }
}
