//! The headers of records (formats.md 2): their names, and how values are written and read.
//!
//! Shared by the door that writes raw records, by the sink that reads them, and by `tasks` for results.

use std::sync::LazyLock;

use bytes::Bytes;

use crate::commitlog::Record;
use crate::name::Name;

/// Header names. Values are ASCII; unknown headers are ignored.
pub mod header {
    /// The arrival time in nanoseconds since the epoch, decimal.
    pub const TIME: &str = "fm-time";
    /// The MQTT topic, or `http`.
    pub const SOURCE: &str = "fm-source";
    /// What the payload is.
    pub const CONTENT_TYPE: &str = "content-type";
    /// What the columns of a result are.
    pub const SCHEMA: &str = "fm-schema";
    /// The MQTT client.
    pub const CLIENT: &str = "fm-client";
    /// The MQTT packet identifier (QoS 1 and 2), decimal.
    pub const PACKET: &str = "fm-packet";
    /// The code of a dead letter's problem.
    pub const DEAD_CODE: &str = "fm-dl-code";
    /// The sentence of a dead letter's problem.
    pub const DEAD_DETAIL: &str = "fm-dl-detail";
    /// The topic in which the dead letter's record stands.
    pub const DEAD_TOPIC: &str = "fm-dl-topic";
    /// The partition in which it stands.
    pub const DEAD_PARTITION: &str = "fm-dl-partition";
    /// The offset at which it stands.
    pub const DEAD_OFFSET: &str = "fm-dl-offset";
    /// The first bad line or element of it, from 1.
    pub const DEAD_LINE: &str = "fm-dl-line";
    /// The SHA-256 of a payload of which the dead letter holds only the head, in hex digits.
    pub const DEAD_SHA256: &str = "fm-dl-sha256";
}

/// The content type of JSON.
pub const JSON: &str = "application/json";

/// The content type of line protocol; its timestamps are nanoseconds.
pub const LINE_PROTOCOL: &str = "text/vnd.influxdb.line-protocol";

/// The content type of deletes.
pub const DELETE: &str = crate::point::delete::CONTENT_TYPE;

/// Headers under construction. Names are shared: a message costs no allocation for them.
#[derive(Debug, Default)]
pub struct Headers(Vec<(Name, Bytes)>);

impl Headers {
    /// Room for `count` headers.
    pub fn with_capacity(count: usize) -> Self {
        Headers(Vec::with_capacity(count))
    }

    /// Adds one. The name must be one of [`header`]'s.
    pub fn add(&mut self, name: &'static str, value: impl Into<Bytes>) {
        self.0.push((shared(name), value.into()));
    }

    /// Adds a number.
    pub fn add_number(&mut self, name: &'static str, value: impl std::fmt::Display) {
        self.add(name, value.to_string());
    }

    /// The headers.
    pub fn into_vec(self) -> Vec<(Name, Bytes)> {
        self.0
    }
}

const ALL: [&str; 13] = [
    header::TIME,
    header::SOURCE,
    header::CONTENT_TYPE,
    header::CLIENT,
    header::PACKET,
    header::SCHEMA,
    header::DEAD_CODE,
    header::DEAD_DETAIL,
    header::DEAD_TOPIC,
    header::DEAD_PARTITION,
    header::DEAD_OFFSET,
    header::DEAD_LINE,
    header::DEAD_SHA256,
];

fn shared(name: &'static str) -> Name {
    static NAMES: LazyLock<[Name; ALL.len()]> = LazyLock::new(|| ALL.map(Name::from));
    match NAMES.iter().find(|own| &***own == name) {
        Some(own) => Name::clone(own),
        None => Name::from(name),
    }
}

/// A header's value as text.
pub fn text<'r>(record: &'r Record, name: &str) -> Option<&'r str> {
    record.header(name).and_then(|value| std::str::from_utf8(value).ok())
}

/// The arrival time that the record carries; `None` for records that others wrote.
pub fn arrival_ns(record: &Record) -> Option<i64> {
    text(record, header::TIME)?.parse().ok()
}

/// A text made fit for a header: what is not printable ASCII becomes `?`, and it is cut at `limit` bytes.
pub fn ascii(value: &str, limit: usize) -> String {
    let plain = |character: char| if character.is_ascii_graphic() || character == ' ' { character } else { '?' };
    value.chars().map(plain).take(limit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shared_and_values_read_back() {
        let mut headers = Headers::with_capacity(2);
        headers.add_number(header::TIME, -5);
        headers.add(header::SOURCE, "a/b");
        let again = Headers::default();
        assert!(again.into_vec().is_empty());
        let record = Record {
            offset: 0,
            timestamp_ms: 0,
            key: Bytes::new(),
            headers: headers.into_vec(),
            payload: Bytes::new(),
        };
        assert_eq!(arrival_ns(&record), Some(-5));
        assert_eq!(text(&record, header::SOURCE), Some("a/b"));
        assert_eq!(text(&record, header::CLIENT), None);
    }

    #[test]
    fn header_text_is_ascii_and_bounded() {
        assert_eq!(ascii("a\u{e4}\nb c", 4), "a??b");
    }
}
