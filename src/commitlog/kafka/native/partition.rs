//! One partition, read in batches through a queue of its own.
//!
//! Called by `reader`. Not by way of `rdkafka`'s consumer, because that costs twice the CPU per record, does not tell where
//! transaction markers end, and panics on header names that are not UTF-8, which anybody may send.

use std::ffi::{CStr, CString, c_void};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rdkafka::TopicPartitionList;
use rdkafka::bindings as native;
use rdkafka::consumer::Consumer;
use tokio::sync::Notify;

use super::super::errors::from_code;
use super::{Client, millis, slice, text_of, to_native};
use crate::commitlog::Record;
use crate::error::{Error, Result};
use crate::table::Name;

/// What one step of a reader gave.
#[derive(Default)]
pub(in super::super) struct Taken {
    pub(in super::super) records: Vec<Record>,
    /// Where the partition has been read up to, markers included; `None` before anything arrived.
    pub(in super::super) position: Option<u64>,
    /// An error of this partition: the reader is of no further use.
    pub(in super::super) fault: Option<Error>,
}

/// Reads one partition through a queue of its own.
pub(in super::super) struct PartitionReader {
    topic: *mut native::rd_kafka_topic_t,
    queue: *mut native::rd_kafka_queue_t,
    partition: i32,
    position: TopicPartitionList,
    messages: Vec<*mut native::rd_kafka_message_t>,
    arrived: Arc<Notify>,
    // Last: it must outlive what the pointers above belong to.
    client: Arc<Client>,
}

// SAFETY: librdkafka's objects may be used from any thread; this struct is their only holder, and every use that is not
// safe from several threads at once takes `&mut self`.
unsafe impl Send for PartitionReader {}

impl PartitionReader {
    /// Starts to read a partition; the client may read it only once at a time.
    pub(in super::super) fn start(client: Arc<Client>, topic: &str, partition: u32, from: u64) -> Result<Self> {
        let name = CString::new(topic).map_err(|_| Error::invalid("a topic name holds a zero byte"))?;
        let (partition, from) = (to_native(partition)?, to_native(from)?);
        let arrived = Arc::new(Notify::new());
        let mut position = TopicPartitionList::with_capacity(1);
        position.add_partition(topic, partition);
        let rk = client.client().native_ptr();
        // SAFETY: `rk` lives as long as `client`, which this struct keeps; the name is copied. Null stands for the
        // client's default topic configuration.
        let (handle, queue) =
            unsafe { (native::rd_kafka_topic_new(rk, name.as_ptr(), ptr::null_mut()), native::rd_kafka_queue_new(rk)) };
        let reader =
            PartitionReader { topic: handle, queue, partition, position, messages: Vec::new(), arrived, client };
        if reader.topic.is_null() || reader.queue.is_null() {
            return Err(Error::internal(format!("kafka gave no handle for topic {topic:?}")));
        }
        // SAFETY: both pointers are valid. The callback's argument points into the `Arc` that this struct keeps until after
        // the callback has been taken off (in `drop`).
        let started = unsafe {
            let opaque = Arc::as_ptr(&reader.arrived).cast_mut().cast::<c_void>();
            native::rd_kafka_queue_cb_event_enable(reader.queue, Some(wake), opaque);
            native::rd_kafka_consume_start_queue(reader.topic, partition, from, reader.queue)
        };
        if started != 0 {
            return Err(Error::internal(format!(
                "kafka would not start to read topic {topic:?} partition {partition}"
            )));
        }
        Ok(reader)
    }

    /// Moves to another offset; blocks until the client has.
    pub(in super::super) fn seek(&mut self, to: u64, timeout: Duration) -> Result<()> {
        let (to, timeout_ms) = (to_native(to)?, millis(timeout));
        // SAFETY: the topic handle is valid.
        let code = unsafe { native::rd_kafka_seek(self.topic, self.partition, to, timeout_ms) } as i32;
        match code {
            0 => Ok(()),
            _ => Err(from_code("seeking in kafka", code, "the client did not move")),
        }
    }

    /// Is notified when something arrives for this reader.
    pub(in super::super) fn arrived(&self) -> Arc<Notify> {
        Arc::clone(&self.arrived)
    }

    /// Takes what has arrived, at most so many records; does not wait.
    pub(in super::super) fn take(&mut self, max_records: usize) -> Taken {
        self.messages.resize(max_records, ptr::null_mut());
        // SAFETY: the queue is valid and the buffer has room for so many pointers.
        let count = unsafe {
            native::rd_kafka_consume_batch_queue(self.queue, 0, self.messages.as_mut_ptr(), self.messages.len())
        };
        let mut taken = Taken::default();
        let mut names = Vec::new();
        for place in 0..usize::try_from(count).unwrap_or(0) {
            let message = self.messages[place];
            // After a fault the rest is read anew from before it: nothing is skipped.
            if taken.fault.is_none() {
                // SAFETY: librdkafka filled so many entries with valid messages, which are ours until destroyed.
                unsafe { take_message(message, &mut taken, &mut names) };
            }
            // SAFETY: as above; nothing that was taken refers to the message.
            unsafe { native::rd_kafka_message_destroy(message) };
        }
        if taken.fault.is_none() {
            // Markers of transactions take offsets and are no messages: the client's position passes them.
            taken.position = taken.position.max(self.client_position());
        }
        taken
    }

    fn client_position(&mut self) -> Option<u64> {
        let rk = self.client.client().native_ptr();
        // SAFETY: the client and the list of one element are valid.
        unsafe {
            native::rd_kafka_position(rk, self.position.ptr());
            let list = &*self.position.ptr();
            if list.cnt != 1 {
                return None;
            }
            u64::try_from((*list.elems).offset).ok()
        }
    }
}

impl Drop for PartitionReader {
    /// Blocks for a moment: the client's own threads stop the fetching.
    fn drop(&mut self) {
        // SAFETY: the pointers are valid or null, and not used afterwards; the callback is off before its argument goes.
        unsafe {
            if !self.queue.is_null() {
                native::rd_kafka_queue_cb_event_enable(self.queue, None, ptr::null_mut());
            }
            if !self.topic.is_null() {
                native::rd_kafka_consume_stop(self.topic, self.partition);
            }
            if !self.queue.is_null() {
                native::rd_kafka_queue_destroy(self.queue);
            }
            if !self.topic.is_null() {
                native::rd_kafka_topic_destroy(self.topic);
            }
        }
    }
}

/// Called by librdkafka's threads when the queue is no longer empty.
///
/// # Safety
/// `opaque` points to a `Notify` that lives until the callback has been taken off.
unsafe extern "C" fn wake(_: *mut native::rd_kafka_t, opaque: *mut c_void) {
    // SAFETY: as the caller promises.
    unsafe { &*opaque.cast::<Notify>() }.notify_one();
}

/// Copies one message into what was taken.
///
/// # Safety
/// `message` is a valid message.
unsafe fn take_message(message: *mut native::rd_kafka_message_t, taken: &mut Taken, names: &mut Vec<Name>) {
    // SAFETY: the message is valid. The code is read as a number: a newer broker's need not be in the enumeration.
    let (code, offset) = unsafe { ((&raw const (*message).err).cast::<i32>().read(), (*message).offset) };
    let offset = u64::try_from(offset).ok();
    if code != 0 {
        // SAFETY: the text is valid as long as the message.
        let text = unsafe { text_of(native::rd_kafka_message_errstr(message)) };
        taken.fault = Some(from_code("reading from kafka", code, &text));
        return;
    }
    let Some(offset) = offset else { return };
    // SAFETY: the message is valid; key, value and headers are slices of it with their lengths.
    let record = unsafe { copy_record(message, offset, names) };
    taken.records.push(record);
    taken.position = Some(offset + 1);
}

/// Copies key, headers and payload into one piece of memory and slices it.
///
/// # Safety
/// `message` is a valid message without an error.
unsafe fn copy_record(message: *mut native::rd_kafka_message_t, offset: u64, names: &mut Vec<Name>) -> Record {
    // SAFETY: as the caller promises.
    let (key, payload, headers, timestamp_ms) = unsafe {
        let key = slice((*message).key, (*message).key_len);
        let payload = slice((*message).payload, (*message).len);
        let mut kind = native::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        let timestamp_ms = native::rd_kafka_message_timestamp(message, &mut kind);
        (key, payload, message_headers(message, names), timestamp_ms.max(0))
    };
    let length = key.len() + payload.len() + headers.iter().map(|(_, value)| value.len()).sum::<usize>();
    let mut memory = Vec::with_capacity(length);
    memory.extend_from_slice(key);
    memory.extend_from_slice(payload);
    for (_, value) in &headers {
        memory.extend_from_slice(value);
    }
    let memory = Bytes::from(memory);
    let mut at = key.len() + payload.len();
    let mut copied = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        copied.push((name, memory.slice(at..at + value.len())));
        at += value.len();
    }
    Record {
        offset,
        timestamp_ms,
        key: memory.slice(..key.len()),
        headers: copied,
        payload: memory.slice(key.len()..key.len() + payload.len()),
    }
}

/// The headers of a message; names are shared by all messages of a batch.
///
/// # Safety
/// `message` is a valid message, and lives as long as what is returned.
unsafe fn message_headers<'a>(
    message: *const native::rd_kafka_message_t,
    names: &mut Vec<Name>,
) -> Vec<(Name, &'a [u8])> {
    let mut list = ptr::null_mut();
    let mut headers = Vec::new();
    // SAFETY: as the caller promises; the loop ends at the first place without a header.
    unsafe {
        if native::rd_kafka_message_headers(message, &mut list) as i32 != 0 {
            return headers;
        }
        let (mut name, mut value, mut length) = (ptr::null(), ptr::null(), 0);
        while native::rd_kafka_header_get_all(list, headers.len(), &mut name, &mut value, &mut length) as i32 == 0 {
            let text = CStr::from_ptr(name).to_string_lossy();
            let known = names.iter().position(|known| **known == *text).unwrap_or_else(|| {
                names.push(Name::from(&*text));
                names.len() - 1
            });
            headers.push((Arc::clone(&names[known]), slice(value.cast_mut(), length)));
        }
    }
    headers
}
