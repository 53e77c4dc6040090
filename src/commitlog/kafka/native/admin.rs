//! Questions to the brokers with a bound on each: topics with their ids, ends of partitions.
//!
//! Called by `topics` and `KafkaLog`, on threads that may block. Only questions that any broker or a partition's leader
//! answers: those to a group's coordinator end the process on an assertion of librdkafka 2.12 when it is away too long. Not by way of `rdkafka`: it does not give topic ids, its
//! commit waits for the brokers without end, and it panics on position metadata that is not UTF-8.

use std::ffi::{CString, c_char};
use std::ptr;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::bindings as native;
use rdkafka::bindings::rd_kafka_admin_op_t as Operation;
use rdkafka::consumer::Consumer;

use super::super::errors::{from_code, kind_of};
use super::{Client, check_element, millis, text_of, to_native};
use crate::error::{Error, ErrorKind, Result};
use crate::table::Name;

/// A topic as the cluster describes it.
pub(in super::super) struct Described {
    pub(in super::super) name: String,
    pub(in super::super) partitions: u32,
    /// The topic's id; all zeros from a broker that knows none.
    pub(in super::super) id: [u8; 16],
    /// Whether it is Kafka's own.
    pub(in super::super) internal: bool,
}

/// Asks the cluster for topics by name. Topics that do not exist are left out; nothing is created.
pub(in super::super) fn describe_topics(client: &Client, names: &[&str], timeout: Duration) -> Result<Vec<Described>> {
    let mut texts = Vec::with_capacity(names.len());
    for name in names {
        texts.push(text(name)?);
    }
    let mut pointers: Vec<*const c_char> = texts.iter().map(|text| text.as_ptr()).collect();
    let what = "asking kafka for topics";
    let send = |rk, options: *mut native::rd_kafka_AdminOptions_t, queue| {
        // SAFETY: the pointers are valid during the call; the names are copied by it.
        unsafe {
            let topics = native::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
            native::rd_kafka_DescribeTopics(rk, topics, options, queue);
            native::rd_kafka_TopicCollection_destroy(topics);
        }
    };
    ask(client, Operation::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, timeout, what, send, |event| {
        // SAFETY: the event is valid; the result, if it is one, belongs to it.
        unsafe {
            let result = native::rd_kafka_event_DescribeTopics_result(event);
            if result.is_null() { Err(no_result(what)) } else { read_topics(result) }
        }
    })
}

/// # Safety
/// `result` is valid; all that is read belongs to it.
unsafe fn read_topics(result: *const native::rd_kafka_DescribeTopics_result_t) -> Result<Vec<Described>> {
    let mut described = Vec::new();
    // SAFETY: as the caller promises; arrays have as many elements as their counts say.
    unsafe {
        let mut count = 0;
        let topics = native::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        for place in 0..count {
            let topic = *topics.add(place);
            let name = text_of(native::rd_kafka_TopicDescription_name(topic));
            let error = native::rd_kafka_TopicDescription_error(topic);
            let code = native::rd_kafka_error_code(error) as i32;
            if code != 0 && kind_of(code) == ErrorKind::NotFound {
                continue;
            }
            if code != 0 {
                let reason = text_of(native::rd_kafka_error_string(error));
                return Err(from_code(&format!("asking kafka for topic {name:?}"), code, &reason));
            }
            let mut partitions = 0;
            native::rd_kafka_TopicDescription_partitions(topic, &mut partitions);
            let mut id = [0; 16];
            let uuid = native::rd_kafka_TopicDescription_topic_id(topic);
            if !uuid.is_null() {
                id[..8].copy_from_slice(&native::rd_kafka_Uuid_most_significant_bits(uuid).to_be_bytes());
                id[8..].copy_from_slice(&native::rd_kafka_Uuid_least_significant_bits(uuid).to_be_bytes());
            }
            let internal = native::rd_kafka_TopicDescription_is_internal(topic) != 0;
            described.push(Described { name, partitions: u32::try_from(partitions).unwrap_or(u32::MAX), id, internal });
        }
    }
    Ok(described)
}

/// The names of all topics that the client may see.
pub(in super::super) fn topic_names(client: &Client, timeout: Duration) -> Result<Vec<String>> {
    let rk = client.client().native_ptr();
    let mut metadata: *const native::rd_kafka_metadata = ptr::null();
    // SAFETY: the client is valid; what it allocates is read as its counts say and destroyed once.
    unsafe {
        let code = native::rd_kafka_metadata(rk, 1, ptr::null_mut(), &mut metadata, millis(timeout)) as i32;
        if code != 0 || metadata.is_null() {
            return Err(from_code("asking kafka for its topics", code, "no answer"));
        }
        let count = usize::try_from((*metadata).topic_cnt).unwrap_or(0);
        let names = (0..count).map(|place| text_of((*(*metadata).topics.add(place)).topic)).collect();
        native::rd_kafka_metadata_destroy(metadata);
        Ok(names)
    }
}

/// The ends of partitions as committed records go: their last stable offsets, in the order of the question.
pub(in super::super) fn stable_ends(
    client: &Client,
    partitions: &[(Name, u32)],
    timeout: Duration,
) -> Result<Vec<u64>> {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for (topic, partition) in partitions {
        list.add_partition(topic, to_native(*partition)?);
    }
    let what = "asking kafka for ends of partitions";
    let send = |rk, options: *mut native::rd_kafka_AdminOptions_t, queue| {
        // SAFETY: the pointers are valid during the call, which copies what they lead to; the list has as many elements as
        // its count says. The options are of the kind that takes an isolation level.
        unsafe {
            let native_list = &mut *list.ptr();
            for place in 0..partitions.len() {
                (*native_list.elems.add(place)).offset =
                    native::rd_kafka_OffsetSpec_t::RD_KAFKA_OFFSET_SPEC_LATEST as i64;
            }
            let committed = native::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED;
            native::rd_kafka_AdminOptions_set_isolation_level(options, committed);
            native::rd_kafka_ListOffsets(rk, native_list, options, queue);
        }
    };
    ask(client, Operation::RD_KAFKA_ADMIN_OP_LISTOFFSETS, timeout, what, send, |event| {
        let mut ends = vec![0; partitions.len()];
        // SAFETY: the event is valid; the result, if it is one, belongs to it and has as many elements as its count says.
        unsafe {
            let result = native::rd_kafka_event_ListOffsets_result(event);
            if result.is_null() {
                return Err(no_result(what));
            }
            let mut count = 0;
            let infos = native::rd_kafka_ListOffsets_result_infos(result, &mut count);
            for place in 0..count {
                let element = &raw const *native::rd_kafka_ListOffsetsResultInfo_topic_partition(*infos.add(place));
                let (topic, partition) = (text_of((*element).topic), (*element).partition);
                check_element(what, element)?;
                let asked =
                    |(name, number): &(Name, u32)| **name == *topic && i64::from(*number) == i64::from(partition);
                if let Some(place) = partitions.iter().position(asked) {
                    ends[place] = u64::try_from((*element).offset).unwrap_or(0);
                }
            }
        }
        Ok(ends)
    })
}

/// Sends one request and reads its answer. It ends by itself at its timeout.
fn ask<T>(
    client: &Client,
    operation: Operation,
    timeout: Duration,
    what: &str,
    send: impl FnOnce(*mut native::rd_kafka_t, *mut native::rd_kafka_AdminOptions_t, *mut native::rd_kafka_queue_t),
    read: impl FnOnce(*mut native::rd_kafka_event_t) -> Result<T>,
) -> Result<T> {
    let (rk, timeout_ms) = (client.client().native_ptr(), millis(timeout));
    // SAFETY: the client lives until the end of this function; what is made here is destroyed here, once, after its last
    // use. `read` gives values that do not refer to the event.
    unsafe {
        let queue = native::rd_kafka_queue_new(rk);
        let options = native::rd_kafka_AdminOptions_new(rk, operation);
        let mut reason = [0; 256];
        native::rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, reason.as_mut_ptr(), reason.len());
        send(rk, options, queue);
        native::rd_kafka_AdminOptions_destroy(options);
        // A little longer than the request's own timeout, so that its reason is told.
        let event = native::rd_kafka_queue_poll(queue, timeout_ms.saturating_add(1_000));
        let answer = if event.is_null() {
            Err(Error::unavailable(format!("{what}: no answer")))
        } else {
            let code = native::rd_kafka_event_error(event) as i32;
            let answer = match code {
                0 => read(event),
                _ => Err(from_code(what, code, &text_of(native::rd_kafka_event_error_string(event)))),
            };
            native::rd_kafka_event_destroy(event);
            answer
        };
        native::rd_kafka_queue_destroy(queue);
        answer
    }
}

fn no_result(what: &str) -> Error {
    Error::internal(format!("{what}: kafka answered something else"))
}

fn text(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::invalid(format!("{text:?} holds a zero byte")))
}
