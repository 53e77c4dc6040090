//! Settings of the Kafka clients: what fluxmill's promises rest on, what may be changed, where their messages go.
//!
//! Called by the files that make a client. Nothing here connects.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;

use crate::error::{Error, Result};

/// How the log on Kafka is reached.
#[derive(Clone, Debug)]
pub struct KafkaOptions {
    /// Bootstrap servers: `host:port`, more of them separated by commas.
    pub brokers: String,
    /// Put before every consumer group's name.
    pub group_prefix: String,
    /// Put before every producer's name to make its transactional id.
    pub transactional_prefix: String,
    /// Further properties of librdkafka for every client: security, timeouts.
    pub properties: Vec<(String, String)>,
    /// How long a question to the brokers may take before it is `Unavailable`.
    pub timeout: Duration,
    /// How long an append may take before it is `Unavailable`.
    pub delivery_timeout: Duration,
    /// How long records wait for others to share a request with.
    pub linger: Duration,
    /// Appends under way take at most so many bytes; more wait for room.
    pub queue_bytes: usize,
    /// How long an append waits for room before it is refused.
    pub queue_wait: Duration,
}

impl KafkaOptions {
    /// Brokers with everything else as it is by default: prefixes `fluxmill-`, 10 s for questions, 30 s for appends,
    /// 5 ms of linger, 64 MiB under way.
    pub fn new(brokers: impl Into<String>) -> Self {
        KafkaOptions {
            brokers: brokers.into(),
            group_prefix: "fluxmill-".to_owned(),
            transactional_prefix: "fluxmill-".to_owned(),
            properties: Vec::new(),
            timeout: Duration::from_secs(10),
            delivery_timeout: Duration::from_secs(30),
            linger: Duration::from_millis(5),
            queue_bytes: 64 << 20,
            queue_wait: Duration::from_secs(10),
        }
    }
}

/// Properties that are not for the configuration to change: durability, order and positions depend on them.
const FIXED: [&str; 15] = [
    "acks",
    "request.required.acks",
    "enable.idempotence",
    "transactional.id",
    "isolation.level",
    "auto.offset.reset",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.partition.eof",
    "allow.auto.create.topics",
    "bootstrap.servers",
    "metadata.broker.list",
    "group.id",
    "message.timeout.ms",
    "delivery.timeout.ms",
];

/// Refuses properties that must stay as they are.
pub(super) fn check_properties(options: &KafkaOptions) -> Result<()> {
    for (name, _) in &options.properties {
        if FIXED.contains(&name.as_str()) {
            return Err(Error::invalid(format!("kafka client property {name:?} cannot be changed"))
                .with_hint("fluxmill sets it itself: acknowledgements and positions depend on it"));
        }
    }
    Ok(())
}

fn common(options: &KafkaOptions) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &options.brokers).set("client.id", "fluxmill");
    // Back quickly when a broker is: by default the pause grows to ten seconds.
    config.set("reconnect.backoff.ms", "50").set("reconnect.backoff.max.ms", "1000");
    config.set("socket.timeout.ms", options.timeout.as_millis().max(1_000).to_string());
    config.set("socket.connection.setup.timeout.ms", "5000");
    config
}

fn with_properties(mut config: ClientConfig, options: &KafkaOptions) -> ClientConfig {
    for (name, value) in &options.properties {
        config.set(name, value);
    }
    config
}

/// The client that reads partitions and answers questions about topics.
pub(super) fn reading(options: &KafkaOptions) -> ClientConfig {
    let mut config = common(options);
    config.set("isolation.level", "read_committed").set("auto.offset.reset", "error");
    config
        .set("enable.auto.commit", "false")
        .set("auto.commit.enable", "false")
        .set("enable.auto.offset.store", "false");
    config.set("enable.partition.eof", "true").set("allow.auto.create.topics", "false");
    // A full local queue is looked at again after 10 ms instead of a second.
    config.set("fetch.queue.backoff.ms", "10").set("fetch.wait.max.ms", "100");
    // What is fetched ahead, per partition: memory stays flat when a reader stands still.
    config.set("queued.min.messages", "20000").set("queued.max.messages.kbytes", "4096");
    with_properties(config, options)
}

/// The client that keeps a group's positions. It never joins the group.
pub(super) fn positions(options: &KafkaOptions, group: &str) -> ClientConfig {
    let mut config = common(options);
    config.set("group.id", group).set("enable.auto.commit", "false").set("allow.auto.create.topics", "false");
    // Bounds how long a commit waits for the group's coordinator; it has no timeout of its own.
    config.set("session.timeout.ms", options.timeout.as_millis().clamp(6_000, 60_000).to_string());
    with_properties(config, options)
}

/// The producer of ordinary appends, or with an id, of atomic ones.
pub(super) fn producing(options: &KafkaOptions, transactional_id: Option<&str>) -> ClientConfig {
    let mut config = common(options);
    config.set("enable.idempotence", "true").set("acks", "all").set("compression.type", "lz4");
    config.set("linger.ms", options.linger.as_millis().to_string());
    config.set("queue.buffering.max.messages", "1000000");
    config.set("queue.buffering.max.kbytes", (options.queue_bytes / 1_024 * 2).clamp(65_536, 2_097_151).to_string());
    let mut timeout = options.delivery_timeout;
    if let Some(id) = transactional_id {
        timeout = transaction_timeout(options);
        config.set("transactional.id", id);
        config.set("transaction.timeout.ms", timeout.as_millis().to_string());
    }
    config.set("message.timeout.ms", timeout.as_millis().to_string());
    with_properties(config, options)
}

/// How long a transaction may stay open. A dead writer's holds back every reader of its partitions, the sink too, until a
/// new one takes over or this time is out: it is a quarter of the minute that is the default.
pub(super) fn transaction_timeout(options: &KafkaOptions) -> Duration {
    options.delivery_timeout.clamp(Duration::from_secs(1), Duration::from_secs(15))
}

/// Passes on what librdkafka has to say.
pub(super) struct Logged;

impl ClientContext for Logged {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        pass_on(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka client");
    }
}

impl ConsumerContext for Logged {}

/// Errors of single connections come again and again while a broker is away: the calls that they make fail say so, once.
pub(super) fn pass_on(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(facility, "kafka client: {message}");
        }
        _ => tracing::debug!(facility, "kafka client: {message}"),
    }
}
