//! Committing positions of a group, with a bound on the wait.
//!
//! Called by `positions`. Not by way of `rdkafka`: its commit waits for the brokers without end, and it panics on position
//! metadata that is not UTF-8.

use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::bindings as native;
use rdkafka::consumer::Consumer;

use super::super::errors::from_code;
use super::{Client, check_element, millis, slice, text_of};
use crate::error::{Error, Result};

const WHAT: &str = "committing positions of a group to kafka";

/// A commit that was asked for and is not answered yet.
pub(in super::super) struct PendingCommit {
    queue: *mut native::rd_kafka_queue_t,
    // Last: it must outlive the queue.
    _client: Arc<Client>,
}

// SAFETY: librdkafka's queues may be used from any thread, and this is the only holder of its own.
unsafe impl Send for PendingCommit {}

impl PendingCommit {
    /// Asks to commit positions of the client's group.
    pub(in super::super) fn start(client: Arc<Client>, positions: &TopicPartitionList) -> Result<Self> {
        let rk = client.client().native_ptr();
        // SAFETY: the client is valid, and kept; the list is copied by the call.
        let (queue, code) = unsafe {
            let queue = native::rd_kafka_queue_new(rk);
            let code = native::rd_kafka_commit_queue(rk, positions.ptr(), queue, None, ptr::null_mut()) as i32;
            (queue, code)
        };
        let pending = PendingCommit { queue, _client: client };
        match code {
            0 => Ok(pending),
            _ => Err(from_code(WHAT, code, "refused")),
        }
    }

    /// Waits for the answer; `None` if there is none yet.
    pub(in super::super) fn wait(&self, timeout: Duration) -> Option<Result<()>> {
        // SAFETY: the queue is valid; the event and what is read from it are ours until it is destroyed.
        unsafe {
            let event = native::rd_kafka_queue_poll(self.queue, millis(timeout));
            if event.is_null() {
                return None;
            }
            let answer = read_answer(event);
            native::rd_kafka_event_destroy(event);
            Some(answer)
        }
    }
}

impl Drop for PendingCommit {
    fn drop(&mut self) {
        // SAFETY: the queue is valid and not used afterwards; an answer that comes later is dropped by librdkafka.
        unsafe { native::rd_kafka_queue_destroy(self.queue) };
    }
}

/// # Safety
/// `event` is valid.
unsafe fn read_answer(event: *mut native::rd_kafka_event_t) -> Result<()> {
    // SAFETY: as the caller promises; the list belongs to the event and has as many elements as its count says.
    unsafe {
        if native::rd_kafka_event_type(event) != native::RD_KAFKA_EVENT_OFFSET_COMMIT {
            return Err(Error::internal(format!("{WHAT}: kafka answered something else")));
        }
        let code = native::rd_kafka_event_error(event) as i32;
        if code != 0 {
            return Err(from_code(WHAT, code, &text_of(native::rd_kafka_event_error_string(event))));
        }
        let list = native::rd_kafka_event_topic_partition_list(event);
        if list.is_null() {
            return Ok(());
        }
        for place in 0..usize::try_from((*list).cnt).unwrap_or(0) {
            check_element(WHAT, (*list).elems.add(place))?;
        }
    }
    Ok(())
}

/// The metadata of the n-th position in a list, read as text whatever its bytes are.
pub(in super::super) fn metadata_of(list: &TopicPartitionList, place: usize) -> String {
    // SAFETY: the list is valid and has as many elements as its count says; metadata is null or has its length.
    unsafe {
        let list = &*list.ptr();
        if place >= usize::try_from(list.cnt).unwrap_or(0) {
            return String::new();
        }
        let element = &*list.elems.add(place);
        String::from_utf8_lossy(slice(element.metadata, element.metadata_size)).into_owned()
    }
}
