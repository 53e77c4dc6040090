//! The way in: routes, the one door to the log, the MQTT listener, and the sink that builds buckets from topics.
//!
//! Started by `daemon`; the API uses the door ([`accept`]) and the sink for its writes. Nothing here acknowledges a message
//! before the log has it.

pub mod accept;
pub mod decode;
pub mod filter;
#[cfg(feature = "mqtt")]
pub mod mqtt;
pub mod record;
pub mod route;
#[cfg(test)]
mod testing;
