//! The way in from a socket to a bucket: embedded log, store, door, sink and MQTT listener, as the daemon ties them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fluxmill::catalogue::Catalogue;
use fluxmill::clock::{ArrivalClock, Clock, SystemClock};
use fluxmill::commitlog::{CommitLog, EmbeddedLog, EmbeddedOptions, Record};
use fluxmill::config::{MqttConfig, RouteConfig};
use fluxmill::ingest::route::Routes;
use fluxmill::ingest::{Accept, MqttOptions, MqttServer, Sink, SinkOptions};
use fluxmill::store::{Bucket, NewBucket, SourcePartition, Store, StoreOptions};
use fluxmill::table::scan::{Bounds, SourceRef};

use crate::support::plain::{self, Value};

/// Everything between a device and a bucket.
pub struct Chain {
    pub log: Arc<dyn CommitLog>,
    pub store: Arc<Store>,
    pub accept: Arc<Accept>,
    pub sink: Arc<Sink>,
    pub server: MqttServer,
    pub bucket: Bucket,
    _directory: tempfile::TempDir,
}

impl Chain {
    /// With the default route of the generators and three partitions.
    pub async fn start() -> Chain {
        let directory = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let log: Arc<dyn CommitLog> = Arc::new(
            EmbeddedLog::open(directory.path().join("log"), EmbeddedOptions::default(), Arc::clone(&clock)).unwrap(),
        );
        let catalogue = Arc::new(Catalogue::open(&directory.path().join("catalogue")).unwrap());
        let files = directory.path().join("buckets");
        let store =
            Arc::new(Store::open(&files, StoreOptions::default(), catalogue, Arc::clone(&clock)).await.unwrap());
        let bucket = store.create_bucket(NewBucket::named("kafka_raw")).unwrap();
        let routes = Arc::new(Routes::new(&[RouteConfig::generators()]).unwrap());
        let arrivals = Arc::new(ArrivalClock::new(Arc::clone(&clock), 0));
        let accept = Accept::open(Arc::clone(&routes), Arc::clone(&log), arrivals, 3, &[]).await.unwrap();
        let sink =
            Sink::start(Arc::clone(&log), Arc::clone(&store), routes, clock, SinkOptions::default()).await.unwrap();
        let options = MqttOptions { listen: "127.0.0.1:0".into(), ..MqttOptions::from(&MqttConfig::default()) };
        let server = MqttServer::start(options, Arc::clone(&accept)).await.unwrap();
        Chain { log, store, accept, sink, server, bucket, _directory: directory }
    }

    /// Where the listener is.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Waits until everything that is in the log can be read.
    pub async fn settle(&self) {
        let topic = self.log.topic("kafka_raw").await.unwrap();
        for partition in 0..topic.partitions {
            let end = self.log.offsets(&topic.name, partition).await.unwrap().end;
            let source = SourcePartition { topic: topic.name.clone(), generation: topic.generation, partition };
            assert!(self.store.wait_applied(&source, end, Duration::from_secs(30)).await, "the sink is behind");
        }
    }

    /// The records of a topic, partition by partition.
    pub async fn records(&self, topic: &str) -> Vec<Record> {
        let mut records = Vec::new();
        let Ok(topic) = self.log.topic(topic).await else { return records };
        for partition in 0..topic.partitions {
            let range = self.log.offsets(&topic.name, partition).await.unwrap();
            let mut next = range.start;
            while next < range.end {
                let fetched = self.log.read(&topic.name, partition, next, 5_000, Duration::from_secs(5)).await.unwrap();
                next = fetched.next_offset;
                records.extend(fetched.records);
            }
        }
        records
    }

    /// The values of a numeric field in the bucket: how often each stands there, and at which times.
    pub async fn values(&self, field: &str) -> BTreeMap<i64, Vec<i64>> {
        let bounds = Bounds { start_ns: 0, stop_ns: i64::MAX };
        let source = SourceRef { bucket: self.bucket.id.clone(), bounds };
        let mut chunks = Vec::new();
        for mut partition in self.store.offer(&source, &[], 0).unwrap().scan.partitions {
            while let Some(chunk) = partition.next().await.unwrap() {
                chunks.push(chunk);
            }
        }
        let mut found: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for table in plain::result(&"raw".into(), &chunks).tables {
            let place = |name: &str| table.columns.iter().position(|(own, _, _)| own == name).unwrap();
            let (field_at, value_at, time_at) = (place("_field"), place("_value"), place("_time"));
            for row in table.rows.iter().filter(|row| row[field_at] == Value::String(field.into())) {
                let (Value::Float(bits), Value::Time(time)) = (&row[value_at], &row[time_at]) else {
                    panic!("{row:?}");
                };
                found.entry(f64::from_bits(*bits) as i64).or_default().push(*time);
            }
        }
        found
    }

    /// Ends everything in order.
    pub async fn stop(self) {
        self.server.shutdown().await;
        self.accept.close().await;
        self.sink.shutdown().await;
        self.log.close().await.unwrap();
    }
}
