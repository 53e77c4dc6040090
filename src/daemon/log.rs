//! Opens the log that the configuration names.
//!
//! Called by `daemon` only; the two kinds are told apart here and nowhere else.

use std::path::Path;
use std::sync::Arc;

use crate::clock::Clock;
use crate::commitlog::CommitLog;
use crate::commitlog::embedded::{EmbeddedLog, EmbeddedOptions};
use crate::config::{LogConfig, LogKind};
use crate::error::Result;

/// The embedded log of a data directory, or a Kafka cluster.
///
/// Errors: `Unavailable` if the disk or the broker does not answer.
pub(super) async fn open(data_dir: &Path, config: &LogConfig, clock: Arc<dyn Clock>) -> Result<Arc<dyn CommitLog>> {
    match config.kind {
        LogKind::Embedded => {
            let options = EmbeddedOptions {
                retention_age: Some(config.retention_age.0),
                retention_bytes: Some(config.retention_bytes.0),
                disk_cap_bytes: Some(config.disk_cap.0),
                ..EmbeddedOptions::default()
            };
            Ok(Arc::new(EmbeddedLog::open(data_dir.join("log"), options, clock)?))
        }
        LogKind::Kafka => kafka(config).await,
    }
}

#[cfg(feature = "kafka")]
async fn kafka(config: &LogConfig) -> Result<Arc<dyn CommitLog>> {
    use crate::commitlog::kafka::{KafkaLog, KafkaOptions};
    let options = KafkaOptions {
        // The sink's group and the tasks' producers have names of their own: the configured group keeps two
        // installations on one cluster apart.
        transactional_prefix: format!("{}-", config.kafka.group),
        group_prefix: String::new(),
        properties: config.kafka.properties.clone().into_iter().collect(),
        ..KafkaOptions::new(config.kafka.brokers.clone())
    };
    Ok(Arc::new(KafkaLog::connect(options).await?))
}

#[cfg(not(feature = "kafka"))]
async fn kafka(_config: &LogConfig) -> Result<Arc<dyn CommitLog>> {
    Err(crate::error::Error::invalid("this fluxmill was built without Kafka")
        .with_hint("build it with --features kafka"))
}
