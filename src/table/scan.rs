//! The vocabulary between the planner and a store: what is read, what a store may take over, what it hands back.
//!
//! Spoken by `plan` (offers), `store` (takes) and `exec` (reads). It names no bucket file and no operator's code: a
//! [`PushOp`] describes the first operators of a pipeline; a store that takes one answers exactly as the operator would.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;

use super::{Chunk, Name};
use crate::error::Result;
use crate::time::WindowSpec;

/// A time range `[start, stop)` in nanoseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// First nanosecond inside.
    pub start_ns: i64,
    /// First nanosecond after.
    pub stop_ns: i64,
}

/// A bounded read of a bucket: `from |> range`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SourceRef {
    /// The bucket's id (16 hex digits).
    pub bucket: Name,
    /// The range; its two values are the `_start` and `_stop` columns.
    pub bounds: Bounds,
}

/// The windows of a stream: what `every`, `period`, `offset` and `location` say.
#[derive(Clone, Debug, PartialEq)]
pub enum Windows {
    /// `every: inf`: one window, the bounds of the stream, which holds all rows.
    Whole,
    /// A window starts each `every`.
    Family(WindowSpec),
}

impl Windows {
    /// Whether every row lies in exactly one window.
    pub fn is_partition(&self) -> bool {
        match self {
            Windows::Whole => true,
            Windows::Family(spec) => spec.is_partition(),
        }
    }

    /// The boundaries of windows that lie side by side, cut to the bounds: ascending, from one bound to the other. `None` if
    /// windows do not lie so, if there would be more than `most`, or if the bounds hold no time.
    pub fn boundaries(&self, bounds: Bounds, most: u64) -> Option<Vec<i64>> {
        let Bounds { start_ns, stop_ns } = bounds;
        if start_ns >= stop_ns {
            return None;
        }
        let mut lines = vec![start_ns];
        if let Windows::Family(spec) = self {
            if !spec.is_partition() || spec.approximate_count(start_ns, stop_ns) > most {
                return None;
            }
            let mut last = start_ns;
            while let Some(line) = spec.boundary_after(last).filter(|line| *line < stop_ns) {
                lines.push(line);
                last = line;
            }
        }
        lines.push(stop_ns);
        Some(lines)
    }

    /// Whether, of two windows, the one that starts later never ends earlier.
    pub fn ends_ascend(&self) -> bool {
        match self {
            Windows::Whole => true,
            Windows::Family(spec) => spec.is_partition() || spec.period().months == 0,
        }
    }
}

impl fmt::Display for Windows {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Windows::Whole => formatter.write_str("every: inf"),
            Windows::Family(spec) => spec.fmt(formatter),
        }
    }
}

/// A literal in a predicate.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// A string.
    String(Name),
    /// A time in nanoseconds since the epoch.
    Time(i64),
}

/// How a column is compared with a literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `==`.
    Equal,
    /// `!=`.
    NotEqual,
    /// `<`.
    Less,
    /// `<=`.
    LessEqual,
    /// `>`.
    Greater,
    /// `>=`.
    GreaterEqual,
}

/// A predicate over a point's identity (`_measurement`, `_field`, tags, `_time`): the only kind that may be decided below
/// "the newest version wins". Three-valued: a comparison with an absent tag is null, and a row is kept on true only.
#[derive(Clone, Debug)]
pub enum Predicate {
    /// All of them.
    And(Vec<Predicate>),
    /// Any of them.
    Or(Vec<Predicate>),
    /// Not this one.
    Not(Box<Predicate>),
    /// `r.column op literal`.
    Compare {
        /// `_measurement`, `_field`, `_time` or a tag.
        column: Name,
        /// The operator.
        comparison: Comparison,
        /// The right side.
        literal: Literal,
    },
    /// `r.column =~ /pattern/`.
    Matches {
        /// `_measurement`, `_field` or a tag.
        column: Name,
        /// The compiled pattern; the search is not anchored.
        pattern: Arc<regex::Regex>,
    },
    /// `exists r.column`.
    Exists(Name),
}

/// The first operators of a pipeline as a store sees them. The store may take over any prefix that it answers
/// identically; an op that it does not know ends the prefix.
#[derive(Clone, Debug)]
pub enum PushOp {
    /// `filter` on identity columns only, `onEmpty: "drop"`. It is stated for tables as a bucket gives them: behind
    /// [`PushOp::PivotWide`] a name may be a field's, so a filter there is not offered.
    Filter(Predicate),
    /// `pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")`: the store's own wide row.
    PivotWide,
    /// `group(columns: [...])`, mode `by`.
    GroupKeys(Vec<Name>),
    /// `first(column: ...)`.
    First(Name),
    /// `last(column: ...)`.
    Last(Name),
    /// A function of `_value` that makes one row of each table: `count()`, `sum()`, `mean()`, `spread()`.
    Aggregate(ScanFunction),
    /// `aggregateWindow` by `_time` of a function of `_value`.
    Window(WindowOp),
}

/// What a store may make of the values of a table or window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanFunction {
    /// How many rows there are.
    Count,
    /// The sum, one value after the other; integers wrap.
    Sum,
    /// The mean, a float.
    Mean,
    /// The greatest less the least value.
    Spread,
    /// The first row.
    First,
    /// The last row.
    Last,
    /// The first row with the least value.
    Min,
    /// The first row with the greatest value.
    Max,
}

/// `aggregateWindow(...)` with `column: "_value"` and `timeDst: "_time"`.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowOp {
    /// Which windows.
    pub windows: Windows,
    /// What becomes of each.
    pub function: ScanFunction,
    /// Whether the time of a row is the start of its window, not the end.
    pub at_start: bool,
    /// Whether windows without rows get a row.
    pub create_empty: bool,
}

/// How the parts of tables arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Parts {
    /// At most one table is open at a time, and tables come with ascending ids: what arrives is in the logical order.
    Clustered,
    /// Parts of many tables may alternate, and tables may come in any order; their ids tell the logical one.
    Scattered,
}

/// The logical order of tables (ascending ids).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TableOrder {
    /// As they first arrived.
    Arrival,
    /// Ascending by group key (flux-semantics 1.1, "Key ordering").
    KeySorted,
}

/// What is known of a stream before its first chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamProps {
    /// How parts arrive.
    pub parts: Parts,
    /// What ascending ids mean.
    pub tables: TableOrder,
    /// Every table's rows ascend by `_time`.
    pub rows_by_time: bool,
    /// No two tables have equal keys.
    pub unique_keys: bool,
    /// All tables have one shape: the same columns, types and key columns. Where it is known, tables can be merged while
    /// they stream; where it is not (`false`), the columns of a merged table are known only when all have been seen.
    pub one_shape: bool,
    /// The bounds that a `range` upstream has set, for windows.
    pub bounds: Option<Bounds>,
}

/// A source of chunks that is pulled: a partition of a scan.
pub trait ChunkSource: Send {
    /// The next chunk, or `None` at the end.
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Chunk>>>;

    /// The same chunks in parts that can be read at the same time, in the order of their tables; `None` if there is too
    /// little for that, or no way to cut it: then it is to be pulled. Asked before the first chunk or never; whoever has
    /// parts pulls no more.
    fn parts(&mut self) -> BoxFuture<'_, Result<Option<ScanParts>>> {
        Box::pin(std::future::ready(Ok(None)))
    }
}

/// A part of a source: tables that no other part has, in the order of their ids, which lie above those of the parts
/// before it.
pub trait ScanPart: Send + Sync {
    /// Its chunks from the first one on, each time the same.
    fn open(&self) -> Box<dyn ChunkSource>;
}

/// All parts of a source, in order.
pub type ScanParts = Vec<Box<dyn ScanPart>>;

/// A store's answer to an offer: the chunks after the ops that it took.
pub struct Scan {
    /// Partitions by ranges of series; table ids ascend from one partition to the next, and a table is never split.
    pub partitions: Vec<Box<dyn ChunkSource>>,
    /// What is known of the stream.
    pub props: StreamProps,
    /// One line for `explain`: files, rows, what was taken.
    pub explain: String,
}

/// What became of an offer.
pub struct Taken {
    /// How many of the offered ops the scan answers; the planner runs the rest itself.
    pub count: usize,
    /// The scan.
    pub scan: Scan,
}
