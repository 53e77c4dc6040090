//! Committed positions: the offsets of consumer groups, with their metadata.
//!
//! Called by `KafkaLog::committed` and `commit`, on threads that may block. A client per group; none ever joins its group,
//! so that nothing is rebalanced and Kafka's own tools show and set the positions.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use super::client::{self, KafkaOptions, Logged};
use super::errors::from_kafka;
use super::native::{Client, metadata_of, to_native};
use crate::commitlog::Committed;
use crate::error::Result;
use crate::table::Name;

/// The groups' clients.
pub(super) struct Positions {
    options: KafkaOptions,
    groups: Mutex<HashMap<String, Arc<Client>>>,
}

impl Positions {
    pub(super) fn new(options: &KafkaOptions) -> Self {
        Positions { options: options.clone(), groups: Mutex::new(HashMap::new()) }
    }

    fn client(&self, group: &str) -> Result<Arc<Client>> {
        let mut groups = self.groups.lock();
        if let Some(client) = groups.get(group) {
            // Takes away events of the client itself, which nobody else does.
            while client.poll(Duration::ZERO).is_some() {}
            return Ok(Arc::clone(client));
        }
        let id = format!("{}{group}", self.options.group_prefix);
        let client = Client::from_config_and_context(&client::positions(&self.options, &id), Logged);
        let client = Arc::new(client.map_err(|error| from_kafka("making a kafka consumer", &error))?);
        groups.insert(group.to_owned(), Arc::clone(&client));
        Ok(client)
    }

    /// A group's position; blocks.
    pub(super) fn committed(&self, group: &str, topic: &str, partition: u32) -> Result<Option<Committed>> {
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition(topic, to_native(partition)?);
        let failed = |error| from_kafka(&format!("asking kafka for the position of group {group:?}"), &error);
        let list = self.client(group)?.committed_offsets(list, self.options.timeout).map_err(failed)?;
        let Some(element) = list.elements().into_iter().next() else { return Ok(None) };
        element.error().map_err(failed)?;
        match element.offset() {
            Offset::Offset(offset) => {
                let offset = u64::try_from(offset).unwrap_or(0);
                Ok(Some(Committed { offset, metadata: metadata_of(&list, 0) }))
            }
            _ => Ok(None),
        }
    }

    /// Commits a group's positions; blocks.
    pub(super) fn commit(&self, group: &str, positions: &[(Name, u32, Committed)]) -> Result<()> {
        let failed = |error| from_kafka(&format!("committing positions of group {group:?} to kafka"), &error);
        let mut list = TopicPartitionList::with_capacity(positions.len());
        for (topic, partition, position) in positions {
            let mut element = list.add_partition(topic, to_native(*partition)?);
            element.set_offset(Offset::Offset(to_native(position.offset)?)).map_err(failed)?;
            element.set_metadata(&position.metadata);
        }
        self.client(group)?.commit(&list, CommitMode::Sync).map_err(failed)
    }

    /// Lets all clients go; blocks.
    pub(super) fn close(&self) {
        let groups = std::mem::take(&mut *self.groups.lock());
        drop(groups);
    }
}
