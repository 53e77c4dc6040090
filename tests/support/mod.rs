//! What several integration tests share: tables in a form that compares, daemons as child processes, devices that speak
//! MQTT, real Kafka brokers.

pub mod daemon;
pub mod device;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod outcome;
pub mod plain;
#[cfg(feature = "repl")]
pub mod pty;
