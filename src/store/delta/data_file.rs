//! A data file as the store knows it without opening it: path, rows, ranges; and, once asked for, its footer and series.
//!
//! Made from an `add` action of the table's log, shared by `Arc` between the table and the scans that pinned it. What was
//! read once (footer, series) is kept, so that a scan begins with the pages that it wants.

use std::sync::Arc;

use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use super::super::run::SeriesRows;
use super::names::{DAY, SEQ, TIME, TIME_NS};

/// How the names of files begin that hold only rows newer than all that their series had in files before, each point once:
/// nothing in them has to be merged with each other.
pub(crate) const IN_ORDER: &str = "in-order-";
/// How the names of the other files of flushes begin.
pub(crate) const LATE: &str = "late-";
/// How the names of files begin whose rows have no fields: each says that the older versions of its point are deleted.
pub(crate) const DELETES: &str = "deletes-";
/// How the names of files that compaction made begin, if each point stands in them once.
pub(crate) const COMPACT: &str = "compact-";
/// How those begin in which versions of a point stand side by side: one row of them would give a field the arrival of
/// another.
pub(crate) const VERSIONS: &str = "versions-";

/// A file of a table.
#[derive(Debug)]
pub(crate) struct DataFile {
    /// Relative to the table's directory.
    pub(crate) path: String,
    /// In bytes.
    pub(crate) size: u64,
    /// How many rows it has; 0 if its statistics do not say.
    pub(crate) rows: u64,
    /// The least and the greatest time in it, in nanoseconds; at least as wide as in truth.
    pub(crate) times: (i64, i64),
    /// The least and the greatest `_seq` in it; at least as wide as in truth.
    pub(crate) seqs: (i64, i64),
    /// No point stands in two of its rows.
    pub(crate) in_order: bool,
    /// Its rows are deletes.
    pub(crate) deletes: bool,
    /// Every time is a whole number of microseconds.
    pub(crate) whole_microseconds: bool,
    /// The footer.
    pub(crate) footer: OnceCell<ArrowReaderMetadata>,
    /// The series, in the order of the rows.
    pub(crate) series: OnceCell<Arc<Vec<SeriesRows>>>,
}

/// The statistics of an `add` action (Delta protocol, "Per-file Statistics").
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct FileStats {
    pub(crate) num_records: u64,
    pub(crate) min_values: serde_json::Map<String, serde_json::Value>,
    pub(crate) max_values: serde_json::Map<String, serde_json::Value>,
    pub(crate) null_count: serde_json::Map<String, serde_json::Value>,
}

impl DataFile {
    /// The file of an `add` action.
    pub(crate) fn new(path: String, size: u64, stats: Option<&str>) -> Self {
        let stats: FileStats = stats.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let name = path.rsplit('/').next().unwrap_or(&path);
        let deletes = name.starts_with(DELETES);
        let in_order = deletes || name.starts_with(IN_ORDER) || name.starts_with(COMPACT);
        let micros = |values: &serde_json::Map<String, serde_json::Value>| {
            let text = values.get(TIME)?.as_str()?;
            Some(chrono::DateTime::parse_from_rfc3339(text).ok()?.timestamp_micros())
        };
        // A writer may have cut times to milliseconds: the last one is a millisecond wide.
        let first = micros(&stats.min_values).and_then(|micros| micros.checked_mul(1_000)).unwrap_or(i64::MIN);
        let last = micros(&stats.max_values)
            .and_then(|micros| micros.checked_mul(1_000)?.checked_add(999_999))
            .unwrap_or(i64::MAX);
        let seq = |values: &serde_json::Map<String, serde_json::Value>| values.get(SEQ)?.as_i64();
        let seqs = match stats.null_count.get(SEQ).and_then(serde_json::Value::as_u64).unwrap_or(0) {
            0 => (seq(&stats.min_values).unwrap_or(i64::MIN), seq(&stats.max_values).unwrap_or(i64::MAX)),
            // Where it is left out it is the time.
            nulls if nulls == stats.num_records => (first, last),
            _ => (
                seq(&stats.min_values).map_or(i64::MIN, |least| least.min(first)),
                seq(&stats.max_values).map_or(i64::MAX, |greatest| greatest.max(last)),
            ),
        };
        let most_ns = stats.max_values.get(TIME_NS).and_then(serde_json::Value::as_i64);
        DataFile {
            size,
            rows: stats.num_records,
            times: (first, last),
            seqs,
            in_order,
            deletes,
            whole_microseconds: most_ns == Some(0),
            footer: OnceCell::new(),
            series: OnceCell::new(),
            path,
        }
    }

    /// Its series, in the order of the rows; none as long as nobody has read them.
    pub(crate) fn known_series(&self) -> &[SeriesRows] {
        self.series.get().map_or(&[], |series| series.as_slice())
    }

    /// Whether it may have rows with `start_ns <= time < stop_ns`.
    pub(crate) fn may_hold(&self, start_ns: i64, stop_ns: i64) -> bool {
        self.times.0 < stop_ns && self.times.1 >= start_ns
    }

    /// Its day as the partition names it; empty for a file that others have put elsewhere.
    pub(crate) fn day(&self) -> &str {
        let folder = self.path.split('/').next().unwrap_or_default();
        folder.strip_prefix(DAY).and_then(|rest| rest.strip_prefix('=')).unwrap_or_default()
    }

    /// Whether its rows are deletes.
    pub(crate) fn holds_deletes(&self) -> bool {
        self.deletes
    }

    /// Whether compaction made it.
    pub(crate) fn is_compacted(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or(&self.path);
        name.starts_with(COMPACT) || name.starts_with(VERSIONS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows whose arrival is left out count with their time, which statistics may give up to a millisecond too wide.
    #[test]
    fn arrivals_that_are_left_out_widen_the_range() {
        let seqs = |nulls: u64, said: Option<(i64, i64)>| {
            let mut stats = serde_json::json!({
                "numRecords": 3,
                "minValues": {"time": "1970-01-01T00:00:00.000100Z"},
                "maxValues": {"time": "1970-01-01T00:00:00.000200Z"},
                "nullCount": {"_seq": nulls},
            });
            if let Some((least, greatest)) = said {
                stats["minValues"]["_seq"] = least.into();
                stats["maxValues"]["_seq"] = greatest.into();
            }
            DataFile::new("day=1970-01-01/late-0.parquet".into(), 1, Some(&stats.to_string())).seqs
        };
        let times = (100_000, 200_000 + 999_999);
        assert_eq!(seqs(0, Some((5, 7))), (5, 7));
        assert_eq!(seqs(3, None), times);
        assert_eq!(seqs(2, Some((5, 7))), (5, times.1));
        assert_eq!(seqs(1, Some((150_000, 9_000_000))), (times.0, 9_000_000));
        // Statistics that say less are taken for less.
        assert_eq!(seqs(2, None), (i64::MIN, i64::MAX));
        assert_eq!(seqs(0, None), (i64::MIN, i64::MAX));
    }
}
