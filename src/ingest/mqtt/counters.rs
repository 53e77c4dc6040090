//! The listener's metrics: handles that are looked up once, not per message.

use std::sync::atomic::{AtomicI64, Ordering};

use metrics::{Counter, Gauge};

/// Counters of the listener.
pub(super) struct Counters {
    /// `fluxmill_mqtt_connections`: clients that are connected.
    pub connections: Gauge,
    /// `fluxmill_mqtt_messages_total{qos}`: PUBLISH packets.
    pub messages: [Counter; 3],
    /// `fluxmill_mqtt_bytes_total`: bytes of their payloads.
    pub bytes: Counter,
    /// `fluxmill_mqtt_unrouted_total`: messages whose topic no route takes.
    pub unrouted: Counter,
    /// `fluxmill_mqtt_retained_total`: messages with the retain flag, which is ignored.
    pub retained: Counter,
    /// `fluxmill_mqtt_oversized_total`: packets over the limit.
    pub oversized: Counter,
    /// `fluxmill_mqtt_wills_total`: Last Wills published.
    pub wills: Counter,
    /// When the last line about an unrouted topic was written.
    unrouted_logged_ns: AtomicI64,
}

/// At most one line about unrouted topics in this time; the counter has them all.
const UNROUTED_EVERY_NS: i64 = 10_000_000_000;

impl Counters {
    pub(super) fn new() -> Self {
        let messages = |qos: &'static str| metrics::counter!("fluxmill_mqtt_messages_total", "qos" => qos);
        Counters {
            connections: metrics::gauge!("fluxmill_mqtt_connections"),
            messages: [messages("0"), messages("1"), messages("2")],
            bytes: metrics::counter!("fluxmill_mqtt_bytes_total"),
            unrouted: metrics::counter!("fluxmill_mqtt_unrouted_total"),
            retained: metrics::counter!("fluxmill_mqtt_retained_total"),
            oversized: metrics::counter!("fluxmill_mqtt_oversized_total"),
            wills: metrics::counter!("fluxmill_mqtt_wills_total"),
            unrouted_logged_ns: AtomicI64::new(i64::MIN),
        }
    }

    /// Counts a message that goes nowhere, and says so now and then.
    pub(super) fn unrouted(&self, topic: &str, client: &str, now_ns: i64) {
        self.unrouted.increment(1);
        let last_ns = self.unrouted_logged_ns.load(Ordering::Relaxed);
        if now_ns.saturating_sub(last_ns) < UNROUTED_EVERY_NS {
            return;
        }
        self.unrouted_logged_ns.store(now_ns, Ordering::Relaxed);
        tracing::warn!(topic, client, "no route takes messages of this topic; they are dropped");
    }

    /// `fluxmill_mqtt_disconnects_total{reason}`.
    pub(super) fn disconnected(&self, reason: &'static str) {
        metrics::counter!("fluxmill_mqtt_disconnects_total", "reason" => reason).increment(1);
    }

    /// `fluxmill_mqtt_refused_connections_total{reason}`.
    pub(super) fn refused(&self, reason: &'static str) {
        metrics::counter!("fluxmill_mqtt_refused_connections_total", "reason" => reason).increment(1);
    }
}
