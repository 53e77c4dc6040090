//! What several integration tests share: tables in a form that compares, daemons as child processes, devices that speak
//! MQTT.

pub mod daemon;
pub mod device;
pub mod plain;
