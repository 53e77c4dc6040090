//! Kafka's error codes as classes of errors.
//!
//! Called by every file of the Kafka log. Codes are handled as numbers: a broker may send one that is newer than the
//! client library, and that must be an error like any other.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::error::{Error, ErrorKind};

/// The class of a code.
pub(super) fn kind_of(code: i32) -> ErrorKind {
    use RDKafkaErrorCode as Code;
    const NOT_FOUND: [Code; 4] =
        [Code::UnknownTopicOrPartition, Code::UnknownTopic, Code::UnknownPartition, Code::UnknownTopicId];
    const OUT_OF_RANGE: [Code; 2] = [Code::OffsetOutOfRange, Code::AutoOffsetReset];
    const INVALID: [Code; 7] = [
        Code::MessageSizeTooLarge,
        Code::MessageBatchTooLarge,
        Code::InvalidTopic,
        Code::InvalidPartitions,
        Code::InvalidReplicationFactor,
        Code::InvalidConfig,
        Code::OffsetMetadataTooLarge,
    ];
    const UNAUTHORIZED: [Code; 6] = [
        Code::TopicAuthorizationFailed,
        Code::GroupAuthorizationFailed,
        Code::ClusterAuthorizationFailed,
        Code::TransactionalIdAuthorizationFailed,
        Code::SaslAuthenticationFailed,
        Code::Authentication,
    ];
    const CONFLICT: [Code; 4] =
        [Code::Fenced, Code::ProducerFenced, Code::InvalidProducerEpoch, Code::TopicAlreadyExists];
    const EXHAUSTED: [Code; 1] = [Code::QueueFull];
    let classes: [(&[Code], ErrorKind); 6] = [
        (&NOT_FOUND, ErrorKind::NotFound),
        (&OUT_OF_RANGE, ErrorKind::OutOfRange),
        (&INVALID, ErrorKind::Invalid),
        (&UNAUTHORIZED, ErrorKind::Unauthorized),
        (&CONFLICT, ErrorKind::Conflict),
        (&EXHAUSTED, ErrorKind::ResourceExhausted),
    ];
    for (codes, kind) in classes {
        if codes.iter().any(|known| *known as i32 == code) {
            return kind;
        }
    }
    ErrorKind::Unavailable
}

/// The error for what the client library returned while doing `what`.
pub(super) fn from_kafka(what: &str, error: &KafkaError) -> Error {
    match error {
        KafkaError::ClientConfig(_, reason, key, _) => {
            // The value is not shown: it may be a password.
            Error::invalid(format!("kafka client property {key:?}: {}", reason.trim_end_matches('.')))
        }
        KafkaError::ClientCreation(reason) => Error::invalid(format!("kafka client: {}", reason.trim_end_matches('.'))),
        KafkaError::Transaction(inner) => from_code(what, inner.code() as i32, &inner.string()),
        _ => match error.rdkafka_error_code() {
            Some(code) => from_code(what, code as i32, &code.to_string()),
            None => Error::unavailable(format!("{what}: {error}")),
        },
    }
}

/// Whether a partition is without a leader for the moment, or the client has not heard of its new one.
pub(super) fn has_no_leader_yet(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(error.rdkafka_error_code(), Some(Code::NotLeaderForPartition | Code::LeaderNotAvailable))
}

/// The error for a code and its text.
pub(super) fn from_code(what: &str, code: i32, text: &str) -> Error {
    // librdkafka begins its texts with where an error arose and with its name: `Broker: `, `Local: `.
    let text = text.rsplit_once(": ").map_or(text, |(_, text)| text);
    Error::new(kind_of(code), format!("{what}: {}", text.trim_end_matches('.').to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_that_the_library_does_not_know_is_unavailable() {
        assert_eq!(kind_of(32_000), ErrorKind::Unavailable);
        assert_eq!(kind_of(3), ErrorKind::NotFound);
        assert_eq!(kind_of(-144), ErrorKind::Conflict);
    }

    #[test]
    fn a_wrong_property_does_not_show_its_value() {
        let mut config = rdkafka::ClientConfig::new();
        config.set("acks", "hunter2");
        let error = config.create::<rdkafka::producer::BaseProducer>().err().expect("a value that is no number");
        let error = from_kafka("connecting", &error);
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(!error.message().contains("hunter2"), "{error}");
    }
}
