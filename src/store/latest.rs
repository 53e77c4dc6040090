//! The newest value of each field of each series: what `last` asks for, without reading a file.
//!
//! Kept by a table as rows are appended, pinned by the scans that use it. "Unknown" is not "none": an entry says from which
//! time on it knows everything, and answers only for ranges that this covers. Where it cannot answer, the scan reads.

use std::sync::Arc;

use super::columns::FieldId;
use super::series::SeriesId;
use crate::point::FieldValue;

/// Most entries of a table; beyond it new series are not remembered.
const MAX_ENTRIES: usize = 4_000_000;

/// Longer texts are not remembered.
const MAX_TEXT: usize = 256;

/// The newest values of a table.
#[derive(Clone, Debug)]
pub(crate) struct Latest {
    fields: Vec<Option<Arc<Vec<Entry>>>>,
    entries: usize,
    /// From when on a series without an entry is known to have no value: after all that others have put into files.
    known_from_ns: i64,
}

/// Among the values with `time >= known_from_ns` the newest is this one.
#[derive(Clone, Debug)]
struct Entry {
    known_from_ns: i64,
    newest: Option<Newest>,
}

/// A value with what orders it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Newest {
    pub(crate) time_ns: i64,
    pub(crate) seq: i64,
    pub(crate) value: FieldValue,
}

/// What is known of a range.
#[derive(Debug, PartialEq)]
pub(crate) enum Known<'a> {
    /// Its last value.
    Value(&'a Newest),
    /// There is none.
    Nothing,
    /// It has to be read.
    Unknown,
}

impl Latest {
    /// Nothing is known before `known_from_ns`, and nothing has come since.
    pub(crate) fn new(known_from_ns: i64) -> Self {
        Latest { fields: Vec::new(), entries: 0, known_from_ns }
    }

    /// A value has come.
    pub(crate) fn add(&mut self, series: SeriesId, field: FieldId, time_ns: i64, seq: i64, value: &FieldValue) {
        let (series, field) = (series as usize, field as usize);
        if self.fields.len() <= field {
            self.fields.resize_with(field + 1, || None);
        }
        let entries = self.fields[field].get_or_insert_with(Arc::default);
        if entries.len() <= series {
            if self.entries >= MAX_ENTRIES {
                // Of series without an entry nothing is known from now on.
                self.known_from_ns = i64::MAX;
                return;
            }
            let absent = Entry { known_from_ns: self.known_from_ns, newest: None };
            let entries = Arc::make_mut(entries);
            self.entries += series + 1 - entries.len();
            entries.resize(series + 1, absent);
        }
        let known = &entries[series];
        let is_older = |newest: &Newest| (time_ns, seq) < (newest.time_ns, newest.seq);
        if time_ns < known.known_from_ns || known.newest.as_ref().is_some_and(is_older) {
            return;
        }
        let entry = &mut Arc::make_mut(entries)[series];
        entry.newest = match value {
            FieldValue::String(text) if text.len() > MAX_TEXT => {
                entry.known_from_ns = time_ns.saturating_add(1);
                None
            }
            value => Some(Newest { time_ns, seq, value: value.clone() }),
        };
    }

    /// What is known of the last value with `start_ns <= time < stop_ns`.
    pub(crate) fn last(&self, series: SeriesId, field: FieldId, start_ns: i64, stop_ns: i64) -> Known<'_> {
        let absent = Entry { known_from_ns: self.known_from_ns, newest: None };
        let entries = self.fields.get(field as usize).and_then(Option::as_ref);
        let (known_from_ns, newest) = match entries.and_then(|entries| entries.get(series as usize)) {
            Some(entry) => (entry.known_from_ns, entry.newest.as_ref()),
            None => (absent.known_from_ns, None),
        };
        match newest {
            Some(newest) if newest.time_ns >= stop_ns => Known::Unknown,
            Some(newest) if newest.time_ns >= start_ns => Known::Value(newest),
            _ if start_ns >= known_from_ns => Known::Nothing,
            _ => Known::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::point::FieldValue::{Int, String};

    #[test]
    fn the_newest_value_is_known() {
        let mut latest = Latest::new(i64::MIN);
        assert_eq!(latest.last(0, 0, 0, 100), Known::Nothing);
        latest.add(1, 0, 50, 7, &Int(1));
        latest.add(1, 0, 40, 8, &Int(2));
        latest.add(1, 0, 50, 6, &Int(3));
        assert!(matches!(latest.last(1, 0, 0, 100), Known::Value(newest) if newest.value == Int(1)));
        latest.add(1, 0, 50, 7, &Int(4));
        assert!(matches!(latest.last(1, 0, 50, 51), Known::Value(newest) if newest.value == Int(4)));
        assert_eq!(latest.last(1, 0, 51, 100), Known::Nothing);
        assert_eq!(latest.last(1, 0, 0, 50), Known::Unknown, "what came before is not remembered");
        assert_eq!(latest.last(0, 0, 0, 100), Known::Nothing);
        assert_eq!(latest.last(1, 1, 0, 100), Known::Nothing);
    }

    /// Files that others have written may hold anything up to their newest time.
    #[test]
    fn unknown_is_not_none() {
        let mut latest = Latest::new(60);
        latest.add(1, 0, 50, 7, &Int(1));
        assert_eq!(latest.last(1, 0, 0, 100), Known::Unknown);
        assert_eq!(latest.last(1, 0, 60, 100), Known::Nothing);
        latest.add(1, 0, 60, 8, &Int(2));
        assert!(matches!(latest.last(1, 0, 0, 100), Known::Value(newest) if newest.value == Int(2)));
        assert_eq!(latest.last(2, 0, 0, 100), Known::Unknown);
    }

    #[test]
    fn long_texts_are_not_remembered() {
        let mut latest = Latest::new(i64::MIN);
        latest.add(0, 0, 10, 1, &String("short".into()));
        latest.add(0, 0, 20, 2, &String("x".repeat(MAX_TEXT + 1).into()));
        assert_eq!(latest.last(0, 0, 0, 100), Known::Unknown);
        assert_eq!(latest.last(0, 0, 21, 100), Known::Nothing);
        latest.add(0, 0, 10, 3, &Int(1));
        assert_eq!(latest.last(0, 0, 0, 100), Known::Unknown);
    }
}
