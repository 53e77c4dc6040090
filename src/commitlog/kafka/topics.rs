//! Topics: asked, made, and remembered for a while.
//!
//! Called by every operation of the Kafka log. Asking never makes a topic, whatever the brokers are set to.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::RDKafkaErrorCode;

use super::blocking;
use super::client::{self, KafkaOptions, Logged};
use super::errors::{from_code, from_kafka};
use super::native::{self, Client, Described};
use crate::commitlog::TopicInfo;
use crate::error::{Error, Result};
use crate::table::Name;

/// How long an answer is believed: a topic made anew, or grown, is noticed after so long.
const BELIEVED: Duration = Duration::from_secs(30);
/// The pause between two looks at whether a new topic is ready.
const PAUSE: Duration = Duration::from_millis(20);

/// The topics of the cluster.
pub(super) struct Topics {
    options: KafkaOptions,
    client: Arc<Client>,
    admin: AdminClient<Logged>,
    known: RwLock<HashMap<Name, (TopicInfo, Instant)>>,
}

impl Topics {
    pub(super) fn new(options: &KafkaOptions, client: Arc<Client>) -> Result<Self> {
        let admin = AdminClient::from_config_and_context(&client::reading(options), Logged::default())
            .map_err(|error| from_kafka("making a kafka admin client", &error))?;
        Ok(Topics { options: options.clone(), client, admin, known: RwLock::new(HashMap::new()) })
    }

    /// A topic as it was when last asked, at most half a minute ago.
    pub(super) fn known(&self, name: &str) -> Option<TopicInfo> {
        let known = self.known.read();
        known.get(name).filter(|(_, asked)| asked.elapsed() < BELIEVED).map(|(info, _)| info.clone())
    }

    /// A topic.
    pub(super) async fn get(&self, name: &str) -> Result<TopicInfo> {
        match self.known(name) {
            Some(info) => Ok(info),
            None => self.ask(name).await?.ok_or_else(|| Error::not_found(format!("no topic {name:?} in kafka"))),
        }
    }

    /// A topic that has such a partition.
    pub(super) async fn get_with(&self, name: &str, partition: u32) -> Result<TopicInfo> {
        let info = self.get(name).await?;
        if partition >= info.partitions {
            return Err(Error::not_found(format!(
                "topic {name:?} has no partition {partition}: it has {}",
                info.partitions
            )));
        }
        Ok(info)
    }

    /// Forgets what was known of a topic, after an error that says it was wrong.
    pub(super) fn forget(&self, name: &str) {
        self.known.write().remove(name);
    }

    async fn ask(&self, name: &str) -> Result<Option<TopicInfo>> {
        if crate::commitlog::check_topic(name, 1).is_err() {
            return Ok(None);
        }
        let described = self.describe(vec![name.to_owned()], self.options.timeout).await?;
        Ok(described.into_iter().next().map(|topic| self.remember(topic)))
    }

    /// Asks the brokers whether they are there.
    pub(super) async fn probe(&self, name: &str, timeout: Duration) -> Result<()> {
        self.describe(vec![name.to_owned()], timeout).await.map(|_| ())
    }

    async fn describe(&self, names: Vec<String>, timeout: Duration) -> Result<Vec<Described>> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let client = Arc::clone(&self.client);
        blocking(move || {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            native::describe_topics(&client, &names, timeout)
        })
        .await
    }

    fn remember(&self, topic: Described) -> TopicInfo {
        let name = Name::from(topic.name);
        // A topic that is deleted and made again has another id: the generations differ, though they do not grow.
        let generation = if topic.id == [0; 16] { 0 } else { crc32fast::hash(&topic.id) };
        let info = TopicInfo { name: Arc::clone(&name), partitions: topic.partitions, generation };
        self.known.write().insert(name, (info.clone(), Instant::now()));
        info
    }

    /// All topics but Kafka's own, by name.
    pub(super) async fn all(&self) -> Result<Vec<TopicInfo>> {
        let (client, timeout) = (Arc::clone(&self.client), self.options.timeout);
        let names = blocking(move || native::topic_names(&client, timeout)).await?;
        let described = self.describe(names, self.options.timeout).await?;
        let mut topics: Vec<_> =
            described.into_iter().filter(|topic| !topic.internal).map(|topic| self.remember(topic)).collect();
        topics.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(topics)
    }

    /// Makes a topic, with as many replicas as the brokers make by default; returns it as it is if it exists.
    pub(super) async fn create(&self, name: &str, partitions: u32) -> Result<TopicInfo> {
        if let Some(info) = self.ask(name).await? {
            return Ok(info);
        }
        let topic = NewTopic::new(name, native::to_native(partitions)?, TopicReplication::Fixed(-1));
        let timeout = Some(self.options.timeout);
        let options = AdminOptions::new().request_timeout(timeout).operation_timeout(timeout);
        let made = self.admin.create_topics([&topic], &options).await;
        let made = made.map_err(|error| from_kafka("making a kafka topic", &error))?;
        match made.into_iter().next() {
            Some(Ok(_)) | Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => {}
            Some(Err((_, code))) => {
                return Err(from_code(&format!("making kafka topic {name:?}"), code as i32, &code.to_string()));
            }
            None => return Err(Error::internal("kafka did not say whether it made the topic")),
        }
        // It is made before every broker knows of it.
        let deadline = Instant::now() + self.options.timeout;
        loop {
            if let Some(info) = self.ask(name).await? {
                return Ok(info);
            }
            if Instant::now() > deadline {
                return Err(Error::unavailable(format!("kafka made topic {name:?} and does not know it yet")));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
