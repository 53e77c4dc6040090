//! The configuration: one TOML file, `FLUXMILL_*` variables over it, flags over both.
//!
//! Read once by the rim (`cli`, `daemon`, `demo`) and handed down as values. `fixtures/fluxmill.toml` is the normative,
//! commented example; an unknown key is an error with a suggestion. Nothing here opens a socket or a data directory.

mod load;
mod units;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::name::Name;

pub use load::load;
pub use units::{Age, Bytes};

/// The whole configuration. Every section and key has a default, with which the generators of the demo are served.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// The durable log.
    pub log: LogConfig,
    /// The MQTT listener.
    pub mqtt: MqttConfig,
    /// What becomes of an MQTT message, the first matching route wins.
    #[serde(rename = "route")]
    pub routes: Vec<RouteConfig>,
    /// The consumer that builds buckets from topics.
    pub sink: SinkConfig,
    /// Memory and files of buckets.
    pub store: StoreConfig,
    /// Buckets that need more than a name.
    #[serde(rename = "bucket")]
    pub buckets: Vec<BucketConfig>,
    /// What scripts may take: queries and runs of tasks.
    pub query: QueryConfig,
    /// Flux tasks.
    pub tasks: TasksConfig,
    /// The HTTP listener.
    pub http: HttpConfig,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            data_dir: PathBuf::from("fluxmill-data"),
            log: LogConfig::default(),
            mqtt: MqttConfig::default(),
            routes: vec![RouteConfig::generators()],
            sink: SinkConfig::default(),
            store: StoreConfig::default(),
            buckets: Vec::new(),
            query: QueryConfig::default(),
            tasks: TasksConfig::default(),
            http: HttpConfig::default(),
        }
    }
}

/// Which log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogKind {
    /// In the data directory.
    #[default]
    Embedded,
    /// An Apache Kafka cluster.
    Kafka,
}

/// `[log]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// `embedded` or `kafka`.
    pub kind: LogKind,
    /// Records older than this may be dropped once every bucket has them in files (embedded log).
    pub retention_age: Age,
    /// The oldest records may be dropped beyond this size once every bucket has them in files (embedded log).
    pub retention_bytes: Bytes,
    /// Publishes are refused when the log has this size (embedded log).
    pub disk_cap: Bytes,
    /// Partitions of topics that fluxmill makes.
    pub partitions: u32,
    /// `[log.kafka]`.
    pub kafka: KafkaConfig,
}

impl Default for LogConfig {
    fn default() -> Self {
        LogConfig {
            kind: LogKind::Embedded,
            retention_age: Age::days(7),
            retention_bytes: Bytes::gib(20),
            disk_cap: Bytes::gib(40),
            partitions: 1,
            kafka: KafkaConfig::default(),
        }
    }
}

impl LogConfig {
    /// What keeps this installation apart from others over the same log, if there may be any: on a Kafka cluster the group's
    /// name, unless it is the default one.
    pub fn installation(&self) -> Option<Name> {
        let shared = self.kind == LogKind::Kafka && self.kafka.group != DEFAULT_GROUP;
        shared.then(|| self.kafka.group.as_str().into())
    }
}

/// The consumer group of an installation that has its Kafka cluster for itself.
const DEFAULT_GROUP: &str = "fluxmill";

/// `[log.kafka]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct KafkaConfig {
    /// Bootstrap servers, `host:port,host:port`.
    pub brokers: String,
    /// The consumer group that carries the sink's position, the prefix of transactional ids, and the end of the control
    /// topic's name: installations on one cluster need one each.
    pub group: String,
    /// Further librdkafka properties (`security.protocol`, `sasl.username`, ...).
    pub properties: BTreeMap<String, String>,
}

impl Default for KafkaConfig {
    fn default() -> Self {
        KafkaConfig { brokers: "127.0.0.1:9092".into(), group: DEFAULT_GROUP.into(), properties: BTreeMap::new() }
    }
}

/// `[mqtt]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct MqttConfig {
    /// `address:port` or `off`; port 0 picks a free one.
    pub listen: String,
    /// Larger packets are refused (MQTT 5: reason 0x95).
    pub max_packet: Bytes,
    /// How much of one connection may wait for a stalled log before the connection is held back by TCP.
    pub hold_bytes: Bytes,
    /// Names and passwords; empty lets everybody in.
    pub users: Vec<MqttUser>,
    /// Also connections from other machines without users are accepted.
    pub insecure: bool,
}

impl Default for MqttConfig {
    fn default() -> Self {
        MqttConfig {
            listen: "127.0.0.1:1883".into(),
            max_packet: Bytes::kib(512),
            hold_bytes: Bytes::mib(1),
            users: Vec::new(),
            insecure: false,
        }
    }
}

/// A user of the MQTT listener.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MqttUser {
    /// The user name.
    pub name: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for MqttUser {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "MqttUser({}, password hidden)", self.name)
    }
}

/// How a payload is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PayloadFormat {
    /// A JSON object, or an array of objects.
    #[default]
    Json,
    /// InfluxDB line protocol.
    LineProtocol,
}

/// The unit of a time in a payload that is a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TimeUnit {
    /// Seconds.
    S,
    /// Milliseconds.
    Ms,
    /// Microseconds.
    Us,
    /// Nanoseconds.
    #[default]
    Ns,
}

/// The type that a field is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldType {
    /// A 64-bit float.
    Float,
    /// A 64-bit integer.
    Int,
    /// An unsigned 64-bit integer.
    Uint,
    /// A boolean.
    Bool,
    /// A string.
    String,
}

/// `[[route]]`: MQTT topic filter to log topic, key and decoding.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// An MQTT topic filter; `{name}` matches one level like `+` and gives it a name: `plant/{site}/+/{device}/#`.
    pub filter: String,
    /// The log topic; also the bucket, unless a `[[bucket]]` lists the topic.
    pub topic: String,
    /// The record's key, from named levels: `{site}/{device}`; default: the whole MQTT topic. One key, one partition.
    #[serde(default)]
    pub key: Option<String>,
    /// `json` or `line_protocol`.
    #[serde(default)]
    pub format: PayloadFormat,
    /// The measurement, literal or with `{name}` of a level or a payload path; JSON only.
    #[serde(default)]
    pub measurement: Option<String>,
    /// Tags: name to source, `{level}` or a payload path such as `device.id`.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Fields: name to source and type. Absent: every other scalar of the payload, nested names joined by `_`.
    #[serde(default)]
    pub fields: BTreeMap<String, FieldConfig>,
    /// The payload path of the point's time (RFC 3339 text, or a number in `time_unit`). If the payload lacks it, the
    /// arrival time counts.
    #[serde(default)]
    pub time: Option<String>,
    /// The unit of a numeric time.
    #[serde(default)]
    pub time_unit: TimeUnit,
    /// A payload path whose value identifies a message of one key: a second one with the same value is the same message.
    #[serde(default)]
    pub dedupe_key: Option<String>,
}

impl RouteConfig {
    /// The route of the default configuration: the emergency generators of the demo and the simulator.
    pub fn generators() -> Self {
        RouteConfig {
            filter: "emergency_generator/{generatorID}".into(),
            topic: "kafka_raw".into(),
            key: Some("{generatorID}".into()),
            format: PayloadFormat::Json,
            measurement: Some("genData".into()),
            tags: BTreeMap::from([("generatorID".into(), "{generatorID}".into())]),
            fields: BTreeMap::new(),
            time: Some("time".into()),
            time_unit: TimeUnit::Ns,
            dedupe_key: None,
        }
    }
}

/// A field of a route: a payload path, or a path with a type.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub enum FieldConfig {
    /// `name = "path"`: the type follows from the value (a number is a float).
    Path(String),
    /// `name = { path = "a.b", type = "int" }`.
    Typed {
        /// The payload path; default: the field's name.
        #[serde(default)]
        path: Option<String>,
        /// The type.
        #[serde(rename = "type")]
        field_type: FieldType,
    },
}

/// `[sink]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SinkConfig {
    /// Rows of a measurement in memory that make a flush due.
    pub flush_rows: usize,
    /// Bytes of a measurement in memory that make a flush due.
    pub flush_bytes: Bytes,
    /// The age of the oldest row in memory that makes a flush due.
    pub flush_age: Age,
    /// HTTP writes are asked to wait (503, Retry-After) while the sink is further behind than this many records.
    pub max_lag: u64,
}

impl Default for SinkConfig {
    fn default() -> Self {
        SinkConfig { flush_rows: 100_000, flush_bytes: Bytes::mib(64), flush_age: Age::seconds(30), max_lag: 1_000_000 }
    }
}

/// `[store]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// What rows that are not yet in files may take in memory.
    pub memory: Bytes,
    /// How long files stay after they were replaced.
    pub vacuum_after: Age,
}

impl Default for StoreConfig {
    fn default() -> Self {
        StoreConfig { memory: Bytes::mib(512), vacuum_after: Age::hours(24) }
    }
}

/// `[[bucket]]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BucketConfig {
    /// The bucket's name.
    pub name: String,
    /// How long rows are kept; absent: for ever.
    #[serde(default)]
    pub retention: Option<Age>,
    /// The topics that fill it; absent: the topic of its name (with what topics cannot have in hex).
    #[serde(default)]
    pub topics: Vec<String>,
}

/// `[query]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct QueryConfig {
    /// What all queries and runs together may hold in memory.
    pub memory: Bytes,
    /// What one of them may hold of it; beyond, it is refused.
    pub memory_per_run: Bytes,
    /// What rows that do not fit in memory may take on disk, all runs together.
    pub disk: Bytes,
}

impl Default for QueryConfig {
    fn default() -> Self {
        QueryConfig { memory: Bytes::gib(1), memory_per_run: Bytes::mib(512), disk: Bytes::gib(10) }
    }
}

/// `[tasks]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TasksConfig {
    /// The directory of task files.
    pub dir: PathBuf,
    /// Runs at once, over all tasks.
    pub concurrency: usize,
    /// How long a slot waits for the sink to have applied what had arrived before its end.
    pub wait_for_data: Age,
    /// How long a run may take; absent: as long as its task's interval, at least a minute.
    pub run_limit: Option<Age>,
    /// Slots that were missed while nobody ran them: `none`, `last`, or `all` of them.
    pub catchup: CatchUpPolicy,
    /// With `all`: only the newest so many.
    pub catchup_limit: usize,
}

impl Default for TasksConfig {
    fn default() -> Self {
        TasksConfig {
            dir: PathBuf::from("tasks"),
            concurrency: 8,
            wait_for_data: Age::seconds(60),
            run_limit: None,
            catchup: CatchUpPolicy::All,
            catchup_limit: 1_000,
        }
    }
}

/// What is done about missed slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CatchUpPolicy {
    /// They are passed over.
    None,
    /// The newest one runs.
    Last,
    /// They run, oldest first.
    #[default]
    All,
}

/// `[http]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// `address:port` or `off`; port 0 picks a free one.
    pub listen: String,
    /// How long a write waits until its rows can be read.
    pub visible_timeout: Age,
    /// Largest body, after decompression.
    pub max_body: Bytes,
    /// No token is asked for; on loopback only.
    pub no_auth: bool,
    /// The operator's token; absent: one is made on the first start and stands in the file `token`.
    #[serde(skip_serializing)]
    pub token: Option<String>,
}

impl Default for HttpConfig {
    fn default() -> Self {
        HttpConfig {
            listen: "127.0.0.1:8086".into(),
            visible_timeout: Age::seconds(1),
            max_body: Bytes::mib(64),
            no_auth: false,
            token: None,
        }
    }
}
