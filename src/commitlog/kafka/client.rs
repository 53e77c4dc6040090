//! Settings of the Kafka clients: what fluxmill's promises rest on, what may be changed, where their messages go.
//!
//! Called by the files that make a client.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;

use super::errors::from_kafka;
use super::native::Client;
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

/// How often the thread that takes in a client's messages looks whether the client is still held.
const EVENTS_WAIT: Duration = Duration::from_millis(200);

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

/// The clients that read partitions, and the one that asks about topics and offsets. They have no group.
pub(super) fn reading(options: &KafkaOptions) -> ClientConfig {
    let mut config = common(options);
    config.set("isolation.level", "read_committed").set("auto.offset.reset", "error");
    config
        .set("enable.auto.commit", "false")
        .set("auto.commit.enable", "false")
        .set("enable.auto.offset.store", "false");
    // Not even to learn where a partition ends: librdkafka counts the message that says so as one that was read.
    config.set("enable.partition.eof", "false").set("allow.auto.create.topics", "false");
    // A full local queue is looked at again after 10 ms instead of a second.
    config.set("fetch.queue.backoff.ms", "10").set("fetch.wait.max.ms", "100");
    // What is fetched ahead, per partition, and what one answer may hold: memory stays flat when readers stand still.
    config
        .set("queued.min.messages", "20000")
        .set("queued.max.messages.kbytes", "2048")
        .set("fetch.max.bytes", "16777216");
    with_properties(config, options)
}

/// The client that keeps a group's positions. It never joins the group.
pub(super) fn positions(options: &KafkaOptions, group: &str) -> ClientConfig {
    let mut config = common(options);
    config.set("group.id", group).set("enable.auto.commit", "false").set("allow.auto.create.topics", "false");
    // Bounds how long librdkafka keeps a commit whose coordinator is away.
    config.set("session.timeout.ms", options.timeout.as_millis().clamp(6_000, 60_000).to_string());
    with_properties(config, options)
}

/// The producer of ordinary appends, or with an id, of atomic ones.
pub(super) fn producing(options: &KafkaOptions, transactional_id: Option<&str>) -> ClientConfig {
    let mut config = common(options);
    config.set("enable.idempotence", "true").set("acks", "all").set("compression.type", "lz4");
    let mut linger = options.linger;
    config.set("queue.buffering.max.messages", "1000000");
    config.set("queue.buffering.max.kbytes", (options.queue_bytes / 1_024 * 2).clamp(65_536, 2_097_151).to_string());
    let mut timeout = options.delivery_timeout;
    if let Some(id) = transactional_id {
        timeout = transaction_timeout(options);
        // Its records come all at once, and its commit waits for them.
        linger = Duration::ZERO;
        config.set("transactional.id", id);
        config.set("transaction.timeout.ms", timeout.as_millis().to_string());
    }
    config.set("linger.ms", linger.as_millis().to_string());
    config.set("message.timeout.ms", timeout.as_millis().to_string());
    with_properties(config, options)
}

/// How long a transaction may stay open. A dead writer's holds back every reader of its partitions, the sink too, until a
/// new one takes over or this time is out: it is a quarter of the minute that is the default.
pub(super) fn transaction_timeout(options: &KafkaOptions) -> Duration {
    options.delivery_timeout.clamp(Duration::from_secs(1), Duration::from_secs(15))
}

/// Makes a client that reads or asks, and a thread that takes in its messages for as long as somebody holds it.
pub(super) fn connect(config: &ClientConfig) -> Result<Arc<Client>> {
    let client = Client::from_config_and_context(config, Logged::default());
    let client = Arc::new(client.map_err(|error| from_kafka("making a kafka client", &error))?);
    let held = Arc::downgrade(&client);
    let take_in = move || {
        while let Some(client) = held.upgrade() {
            // Partitions are read through queues of their own: nothing but messages comes here.
            let _ = client.poll(EVENTS_WAIT);
        }
    };
    std::thread::Builder::new().name("kafka-events".to_owned()).spawn(take_in)?;
    Ok(client)
}

/// Passes on what librdkafka has to say.
#[derive(Default)]
pub(super) struct Logged {
    trouble: AtomicBool,
}

impl Logged {
    /// Whether a broker could not be reached, or went away, since this was last asked.
    pub(super) fn had_trouble(&self) -> bool {
        self.trouble.swap(false, Ordering::SeqCst)
    }
}

impl ClientContext for Logged {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        pass_on(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.trouble.store(true, Ordering::SeqCst);
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
