//! Committed positions: the offsets of consumer groups, with their metadata.
//!
//! Called by `KafkaLog::committed` and `commit`, on threads that may block. A client per group; none ever joins its group,
//! so that nothing is rebalanced, and Kafka's own tools show and set the positions. Commits of a group go one after
//! another, also when one was not answered in time: an old one never overtakes a newer. What passes by itself is waited for
//! within the time that a call may take: a broker makes and loads the positions of groups when they are first asked for,
//! and says so many times while it is busy.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::consumer::Consumer;
use rdkafka::{Offset, TopicPartitionList};

use super::client::{self, KafkaOptions};
use super::errors::from_kafka;
use super::native::{Client, PendingCommit, metadata_of, to_native};
use crate::commitlog::Committed;
use crate::error::{Error, ErrorKind, Result};
use crate::table::Name;

/// The time between two questions.
const PAUSE: Duration = Duration::from_millis(100);

/// The groups.
pub(super) struct Positions {
    options: KafkaOptions,
    groups: Mutex<HashMap<String, Arc<Group>>>,
}

struct Group {
    client: Arc<Client>,
    /// The commit that was not answered in time, if there is one.
    unanswered: Mutex<Option<PendingCommit>>,
}

impl Positions {
    pub(super) fn new(options: &KafkaOptions) -> Self {
        Positions { options: options.clone(), groups: Mutex::new(HashMap::new()) }
    }

    fn group(&self, name: &str) -> Result<Arc<Group>> {
        let mut groups = self.groups.lock();
        if let Some(group) = groups.get(name) {
            return Ok(Arc::clone(group));
        }
        let id = format!("{}{name}", self.options.group_prefix);
        let client = client::connect(&client::positions(&self.options, &id))?;
        let group = Arc::new(Group { client, unanswered: Mutex::new(None) });
        groups.insert(name.to_owned(), Arc::clone(&group));
        Ok(group)
    }

    /// A group's position; blocks.
    pub(super) fn committed(&self, group: &str, topic: &str, partition: u32) -> Result<Option<Committed>> {
        let mut asked = TopicPartitionList::with_capacity(1);
        asked.add_partition(topic, to_native(partition)?);
        let failed = |error| from_kafka(&format!("asking kafka for the position of group {group:?}"), &error);
        let client = &self.group(group)?.client;
        let deadline = Instant::now() + self.options.timeout;
        until(deadline, || {
            let list = client.committed_offsets(asked.clone(), left(deadline)).map_err(failed)?;
            let Some(element) = list.elements().into_iter().next() else { return Ok(None) };
            element.error().map_err(failed)?;
            match element.offset() {
                Offset::Offset(offset) => {
                    let offset = u64::try_from(offset).unwrap_or(0);
                    Ok(Some(Committed { offset, metadata: metadata_of(&list, 0) }))
                }
                _ => Ok(None),
            }
        })
    }

    /// Commits a group's positions; blocks.
    pub(super) fn commit(&self, group: &str, positions: &[(Name, u32, Committed)]) -> Result<()> {
        let mut list = TopicPartitionList::with_capacity(positions.len());
        for (topic, partition, position) in positions {
            let mut element = list.add_partition(topic, to_native(*partition)?);
            let offset = Offset::Offset(to_native(position.offset)?);
            element.set_offset(offset).map_err(|error| from_kafka("a position for kafka", &error))?;
            element.set_metadata(&position.metadata);
        }
        let unanswered = || Error::unavailable(format!("committing positions of group {group:?} to kafka: no answer"));
        let group = self.group(group)?;
        let deadline = Instant::now() + self.options.timeout;
        let mut earlier = group.unanswered.lock();
        until(deadline, || {
            if let Some(commit) = &*earlier {
                // What became of it does not matter: the new one stands behind it.
                commit.wait(left(deadline)).ok_or_else(unanswered)?.ok();
                *earlier = None;
            }
            let commit = PendingCommit::start(Arc::clone(&group.client), &list)?;
            commit.wait(left(deadline)).unwrap_or_else(|| {
                *earlier = Some(commit);
                Err(unanswered())
            })
        })
    }

    /// Lets all clients go; blocks.
    pub(super) fn close(&self) {
        let groups = std::mem::take(&mut *self.groups.lock());
        drop(groups);
    }
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

/// Asks until the answer is not one that passes by itself, or until the time is over.
fn until<T>(deadline: Instant, mut ask: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        let answer = ask();
        let passes = matches!(&answer, Err(error) if error.kind() == ErrorKind::Unavailable);
        // A question needs some time to be answered: an old reason says more than that there was none.
        if !passes || left(deadline) <= 5 * PAUSE {
            return answer;
        }
        thread::sleep(PAUSE);
    }
}
