//! Table operators on chunks: what each function that takes and gives streams does to the rows.
//!
//! Made by builtins (as [`Transform`] descriptions), run by `exec`. Synchronous and pure: an operator sees chunks and
//! gives chunks; it opens no file, reads no clock and knows no bucket.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

pub mod accumulator;
pub mod aggregate;
pub mod align_time;
mod by_shape;
mod chain;
pub mod columns;
pub mod convert;
pub mod covariance;
pub mod cumulative_sum;
pub mod derivative;
pub mod describe;
pub mod diff;
pub mod difference;
mod discard;
pub mod distinct;
pub mod elapsed;
mod expect_rows;
pub mod fill;
pub mod filter;
pub mod first_last;
pub mod group;
pub mod histogram;
pub mod histogram_quantile;
pub mod holt_winters;
pub mod hour_selection;
mod in_key_order;
mod in_order;
pub mod indicator;
pub mod integral;
mod interpolate;
pub mod join;
mod keyed;
pub mod limit;
pub mod map;
pub mod mode;
pub mod moving_average;
mod per_table;
pub mod pivot;
pub mod preview;
pub mod prometheus;
pub mod quantile_row;
pub mod range;
pub mod reduce;
mod rekey;
pub mod row_program;
pub mod sample;
pub mod set;
pub mod sort;
pub mod state_tracking;
pub mod survey;
pub mod table_fill;
pub mod tail;
mod tdigest;
#[cfg(test)]
mod testing;
pub mod time_columns;
pub mod top_n;
pub mod union;
pub mod unpivot;
mod values_of;
pub mod window;
pub mod window_aggregate;

pub use accumulator::{Accumulator, AggregateKind};
pub use aggregate::Aggregate;
pub use align_time::AlignTime;
pub use columns::{Columns, NameFunction, Renaming, Selection};
pub use convert::Convert;
pub use covariance::Covariance;
pub use cumulative_sum::CumulativeSum;
pub use derivative::Derivative;
pub use describe::{KeyValues, Labels};
pub use diff::Diff;
pub use difference::Difference;
pub use discard::Discard;
pub use distinct::{Distinct, Unique};
pub use elapsed::Elapsed;
pub use expect_rows::{ExpectEmpty, ExpectEqual};
pub use fill::Fill;
pub use filter::{Filter, OnEmpty};
pub use first_last::{FirstLast, Pick};
pub use group::{Group, GroupMode};
pub use histogram::Histogram;
pub use histogram_quantile::{HistogramQuantile, OnFalling};
pub use holt_winters::HoltWinters;
pub use hour_selection::HourSelection;
pub use indicator::{Indicator, IndicatorKind};
pub use integral::Integral;
pub use interpolate::Interpolate;
pub use join::{JoinColumns, JoinMethod, JoinTables, OnPair};
pub use limit::Limit;
pub use map::Map;
pub use mode::Mode;
pub use moving_average::MovingAverage;
pub use pivot::Pivot;
pub use preview::Preview;
pub use quantile_row::QuantileRow;
pub use range::Range;
pub use reduce::Reduce;
pub use row_program::RowFunction;
pub use sample::Sample;
pub use set::Set;
pub use sort::Sort;
pub use state_tracking::StateTracking;
pub use survey::Survey;
pub use table_fill::TableFill;
pub use tail::Tail;
pub use time_columns::TimeColumns;
pub use top_n::TopN;
pub use union::Union;
pub use unpivot::Unpivot;
pub use window::Window;
pub use window_aggregate::{AggregateWindow, WindowFunction};

use crate::error::{Error, Result};
use crate::table::merge::Merging;
use crate::table::scan::PushOp;
use crate::table::spill::SpillSpace;
use crate::table::{Chunk, Name, Shape, StreamProps};

/// Where an operator puts its chunks.
#[derive(Debug)]
pub struct Out {
    /// What it has given so far, in order.
    pub chunks: Vec<Chunk>,
    /// What it has passed over and somebody should know: for the log of the run, each once.
    pub warnings: Vec<String>,
    /// The operator has more to give than it wants to hold: [`Operator::resume`] is to be called once these chunks are
    /// worked off, before anything else reaches it.
    pub more: bool,
    /// Tables that come behind those chunks, made as they are worked off; before anything else reaches the operator.
    pub merging: Option<Box<Merging>>,
    /// How many bytes of memory there are, about, beside what it holds already: for operators that make many rows of few.
    pub room: usize,
}

impl Default for Out {
    fn default() -> Self {
        Out { chunks: Vec::new(), warnings: Vec::new(), more: false, merging: None, room: usize::MAX }
    }
}

impl Out {
    /// Gives a chunk.
    pub fn push(&mut self, chunk: Chunk) {
        self.chunks.push(chunk);
    }

    /// Gives the tables of a merger, behind everything else.
    pub fn merge(&mut self, merging: Merging) {
        self.merging = Some(Box::new(merging));
    }

    /// Takes all that has been given, made at once: for operators that hold it.
    pub fn take_chunks(&mut self) -> Result<Vec<Chunk>> {
        let mut chunks = std::mem::take(&mut self.chunks);
        if let Some(merging) = self.merging.take() {
            chunks.extend(merging.all()?);
        }
        Ok(chunks)
    }

    /// Tells of something that was passed over.
    pub fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }
}

/// A running operator: state per table, fed chunk by chunk.
///
/// Copies of it may each be fed some of the tables of a stream, if its [`Transform::works_by_table`]. They are not finished:
/// [`Operator::absorb`] brings them together, in the order of their tables, in the one that is.
pub trait Operator: Any + Send {
    /// Takes a chunk that arrives at input `port` (0 for operators of one input).
    fn push(&mut self, port: usize, chunk: Chunk, out: &mut Out) -> Result<()>;

    /// Input `port` has ended.
    fn finish(&mut self, port: usize, out: &mut Out) -> Result<()>;

    /// Gives what it said there was more of ([`Out::more`]).
    fn resume(&mut self, _out: &mut Out) -> Result<()> {
        Ok(())
    }

    /// About how many bytes its state takes, with what it takes to make the output of it where that is much. Asked after
    /// every chunk: it has to be cheap. Operators whose state does not grow with their input answer nothing.
    fn memory(&self) -> usize {
        0
    }

    /// Memory is short: puts rows that it holds on disk. Whether it did; most operators cannot.
    fn relieve(&mut self, _space: &SpillSpace) -> Result<bool> {
        Ok(false)
    }

    /// Of an operator that may have copies: whether tables of this shape too can be left to them. Asked before each of
    /// their chunks; from the first chunk for which it is not so all chunks are pushed into one operator.
    ///
    /// # Errors
    /// What a push of such a chunk would raise at once.
    fn works_by_table(&mut self, _shape: &Arc<Shape>) -> Result<bool> {
        Ok(true)
    }

    /// Takes over what a copy has kept of its tables, which all have ended and stand behind its own.
    ///
    /// # Errors
    /// A limit that is passed.
    fn absorb(&mut self, _copy: Box<dyn Operator>) -> Result<()> {
        Ok(())
    }
}

/// What a copy of an operator has kept, for [`Operator::absorb`].
///
/// # Errors
/// Internal for a copy of something else.
fn copy_of<O: Operator>(copy: Box<dyn Operator>) -> Result<Box<O>> {
    (copy as Box<dyn Any>).downcast().map_err(|_| Error::internal("a copy of another operator"))
}

/// An operator parted into what a store may do and what stays.
#[derive(Clone, Debug)]
pub struct Split {
    /// For the store.
    pub push: PushOp,
    /// What remains when the store has taken `push`; `None` if that is all of it.
    pub rest: Option<Arc<dyn Transform>>,
}

/// The description of an operator with its arguments: what a plan holds, what `explain` prints, what makes the operator.
pub trait Transform: Any + fmt::Debug + Send + Sync {
    /// The function's name, as users write it.
    fn name(&self) -> &'static str;

    /// A fresh operator for one run. `input` has one entry per input, in the order of the ports.
    fn operator(&self, input: &[StreamProps]) -> Result<Box<dyn Operator>>;

    /// What is known of the output, given what is known of the inputs.
    fn gives(&self, input: &[StreamProps]) -> StreamProps;

    /// What a store could take over of it, in the store's words, and what then stays to be run; `None` if nothing.
    ///
    /// A planner offers the `push` of each operator of a pipeline in turn. A store that takes one which has a `rest`
    /// leaves the planner with that rest in the operator's place; such an offer can only be the last of its pipeline, as
    /// what follows has to see the rest's rows.
    fn split(&self) -> Option<Split> {
        None
    }

    /// What it does to one table, if that makes a single row that `aggregateWindow` can make without tables of windows.
    fn by_window(&self) -> Option<WindowFunction> {
        None
    }

    /// This operator and the one that alone takes its rows as a single operator that gives the same; `None` if there is
    /// none.
    fn joined(&self, _next: &dyn Transform) -> Option<Arc<dyn Transform>> {
        None
    }

    /// The column whose rows it counts, if that is all that it looks at beside the key.
    fn counts(&self) -> Option<&Name> {
        None
    }

    /// What does the same for an operator that alone takes its rows, and fails less; `None` if there is nothing.
    fn before(&self, _next: &dyn Transform) -> Option<Arc<dyn Transform>> {
        None
    }

    /// Whether copies of its operator may work on several cores, each on some of the tables of an input whose tables come
    /// one after the other.
    ///
    /// So it is if each table gives tables with its own id that depend on that table alone, one shape for tables of one
    /// shape, all by the time it ends; and if nothing but [`Operator::absorb`] is needed for what is kept until the input
    /// ends. An operator that compares tables, orders them or numbers them anew gives them at that end.
    fn works_by_table(&self, _input: &StreamProps) -> bool {
        false
    }

    /// The arguments, for `explain`: `fn: (r) => ...`, `n: 10`.
    fn explain(&self) -> String {
        String::new()
    }
}
