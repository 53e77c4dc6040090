//! The calls of librdkafka that `rdkafka` does not wrap, and all of the log's unsafe code.
//!
//! `partition` reads, `admin` asks, `offsets` commits. What is unsafe ends at this folder's border: its functions take and give values.

mod admin;
mod offsets;
mod partition;

use std::ffi::{CStr, c_char, c_void};
use std::time::Duration;

use rdkafka::bindings as native;
use rdkafka::consumer::BaseConsumer;

pub(super) use self::admin::{Described, describe_topics, stable_ends, topic_names};
pub(super) use self::offsets::{PendingCommit, metadata_of};
pub(super) use self::partition::{PartitionReader, Taken};
use super::errors::from_code;
use crate::error::{Error, Result};

/// A client that reads partitions, asks, or commits; what it is set to says which.
pub(super) type Client = BaseConsumer<super::client::Logged>;

/// Partitions and offsets are signed in Kafka.
pub(super) fn to_native<From, To: TryFrom<From>>(number: From) -> Result<To>
where
    From: Copy + std::fmt::Display,
{
    To::try_from(number).map_err(|_| Error::out_of_range(format!("{number} is more than kafka can count")))
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

/// # Safety
/// The pointer is null or leads to so many bytes that live long enough.
unsafe fn slice<'a>(pointer: *mut c_void, length: usize) -> &'a [u8] {
    if pointer.is_null() || length == 0 {
        return &[];
    }
    // SAFETY: as the caller promises.
    unsafe { std::slice::from_raw_parts(pointer.cast::<u8>(), length) }
}

/// # Safety
/// The pointer is null or leads to a text that ends with a zero.
unsafe fn text_of(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

/// The error of one partition in an answer, if it has one.
///
/// # Safety
/// `element` is valid.
unsafe fn check_element(what: &str, element: *const native::rd_kafka_topic_partition_t) -> Result<()> {
    // SAFETY: as the caller promises. The code is read as a number: a newer broker's need not be in the enumeration.
    let (code, topic, partition) =
        unsafe { ((&raw const (*element).err).cast::<i32>().read(), text_of((*element).topic), (*element).partition) };
    match code {
        0 => Ok(()),
        _ => Err(from_code(&format!("{what}, topic {topic:?} partition {partition}"), code, "refused")),
    }
}
