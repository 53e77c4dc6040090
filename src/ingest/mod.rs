//! The way in: routes, the one door to the log, the MQTT listener, and the sink that builds buckets from topics.
//!
//! Started by `daemon`; the API uses the door ([`accept`]) and the sink for its writes. Nothing here acknowledges a message
//! before the log has it.

pub mod accept;
pub mod dead_letter;
pub mod decode;
pub mod delete;
pub mod filter;
pub mod freshness;
#[cfg(feature = "mqtt")]
pub mod mqtt;
pub mod record;
pub mod route;
pub mod sink;
pub mod write;

pub use accept::Accept;
#[cfg(feature = "mqtt")]
pub use mqtt::{MqttOptions, MqttServer};
pub use sink::{Sink, SinkOptions};
pub use write::{Written, write_lines};
#[cfg(test)]
mod testing;
