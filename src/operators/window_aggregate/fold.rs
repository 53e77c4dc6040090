//! What a window keeps of its rows: an accumulator, or the one row that it picks.
//!
//! Used by the fused `aggregateWindow`. Picked rows are copied out of their chunks, so that what is held is as small as
//! what will be given.

use super::WindowFunction;
use super::slots::Slot;
use crate::error::Result;
use crate::operators::first_last::{self, Look};
use crate::operators::{Accumulator, Aggregate, Out, Pick};
use crate::table::gather::{Gather, Stretch};
use crate::table::size::Tally;
use crate::table::{Cell, Chunk, ColumnBuilder, ColumnType, ColumnView, Name, Segment};

/// No chunk: the row of a window without one is null.
const NOWHERE: u32 = u32::MAX;

/// The state of all windows.
pub(super) enum Fold {
    /// Accumulators, by slot.
    Aggregate {
        aggregate: Aggregate,
        states: Vec<Option<Accumulator>>,
        /// What those hold beside themselves, in bytes.
        bytes: usize,
    },
    /// Rows, by slot.
    Pick {
        columns: first_last::Columns,
        rows: Vec<Option<At>>,
        /// Rows that were picked, and some that others have taken the place of.
        held: Vec<Chunk>,
        size: Tally,
    },
}

/// Where a picked row is.
#[derive(Clone, Copy)]
pub(super) struct At {
    chunk: u32,
    row: u32,
    /// Its value, where the size of values decides.
    value: Cell<'static>,
}

impl Fold {
    pub(super) fn new(function: &WindowFunction) -> Fold {
        match function {
            WindowFunction::Aggregate(aggregate) => {
                Fold::Aggregate { aggregate: aggregate.clone(), states: Vec::new(), bytes: 0 }
            }
            WindowFunction::Pick(pick) => Fold::Pick {
                columns: first_last::Columns { of: pick.clone(), found: false, lacking: 0 },
                rows: Vec::new(),
                held: Vec::new(),
                size: Tally::default(),
            },
        }
    }

    /// Looks at a chunk, whose tables come one after the other.
    ///
    /// # Errors
    /// FailedPrecondition for a column of a type by which no row can be picked.
    pub(super) fn begin<'a>(&'a mut self, chunk: &'a Chunk) -> Result<Folding<'a>> {
        Ok(match self {
            Fold::Aggregate { aggregate, states, bytes } => {
                let column_type = chunk.shape.column(&aggregate.column).map(|column| column.column_type);
                let view = chunk.row_array(&aggregate.column).map(|array| ColumnView::of(array));
                Folding::Aggregate { aggregate, column: column_type.zip(view), states, bytes }
            }
            Fold::Pick { columns, rows, held, size } => {
                let pick = columns.of.pick;
                let look = columns.look_at(chunk)?;
                Folding::Pick { columns, pick, look, chunk, rows, held, size, touched: Vec::new() }
            }
        })
    }

    /// Takes over what a copy keeps of its windows, whose slots come behind the `slots` that are here.
    pub(super) fn absorb(&mut self, copy: Fold, slots: usize) {
        match (self, copy) {
            (Fold::Aggregate { states, bytes, .. }, Fold::Aggregate { states: others, bytes: more, .. }) => {
                states.resize_with(slots, || None);
                states.extend(others);
                *bytes += more;
            }
            (
                Fold::Pick { columns, rows, held, size },
                Fold::Pick { columns: counted, rows: others, held: chunks, .. },
            ) => {
                for chunk in &chunks {
                    size.add(chunk);
                }
                let before = held.len() as u32;
                rows.resize_with(slots, || None);
                rows.extend(others.into_iter().map(|at| at.map(|at| At { chunk: at.chunk + before, ..at })));
                held.extend(chunks);
                columns.absorb(&counted);
            }
            // Both were made for one function.
            (Fold::Aggregate { .. }, Fold::Pick { .. }) | (Fold::Pick { .. }, Fold::Aggregate { .. }) => {}
        }
    }

    /// Whether a window has a row of its own.
    pub(super) fn has_row(&self, slot: Slot) -> bool {
        match self {
            Fold::Aggregate { .. } => true,
            Fold::Pick { rows, .. } => rows.get(slot).is_some_and(Option::is_some),
        }
    }

    /// What it takes, in bytes.
    pub(super) fn memory(&self) -> usize {
        match self {
            Fold::Aggregate { states, bytes, .. } => states.capacity() * size_of::<Option<Accumulator>>() + bytes,
            Fold::Pick { rows, size, .. } => rows.capacity() * size_of::<Option<At>>() + size.bytes(),
        }
    }

    /// All rows have come.
    pub(super) fn finish(&self, out: &mut Out) -> Result<()> {
        match self {
            Fold::Aggregate { .. } => Ok(()),
            Fold::Pick { columns, .. } => columns.finish(out),
        }
    }

    /// The columns of rows that are to be given.
    pub(super) fn columns<'a>(&'a mut self, slots: impl Iterator<Item = Option<Slot>> + 'a) -> Values<'a> {
        match self {
            Fold::Aggregate { aggregate, states, .. } => {
                Values::Aggregate { aggregate, states, slots: slots.collect() }
            }
            Fold::Pick { rows, held, .. } => {
                let row = |slot: Option<Slot>| match slot.and_then(|slot| rows.get(slot).copied().flatten()) {
                    Some(at) => Stretch::rows(at.chunk, at.row as usize..at.row as usize + 1),
                    None => Stretch::repeat(NOWHERE, 0, 1),
                };
                Values::Pick { gather: Gather::new(slots.map(row)), held }
            }
        }
    }
}

/// A chunk being looked at.
pub(super) enum Folding<'a> {
    Aggregate {
        aggregate: &'a Aggregate,
        column: Option<(ColumnType, ColumnView<'a>)>,
        states: &'a mut Vec<Option<Accumulator>>,
        bytes: &'a mut usize,
    },
    Pick {
        columns: &'a mut first_last::Columns,
        pick: Pick,
        look: Option<Look<'a>>,
        chunk: &'a Chunk,
        rows: &'a mut Vec<Option<At>>,
        held: &'a mut Vec<Chunk>,
        size: &'a mut Tally,
        /// Slots that got a row of this chunk, in the order of the rows.
        touched: Vec<(Slot, u32)>,
    },
}

impl Folding<'_> {
    /// A table gives nothing, since it lacks the column.
    pub(super) fn lacks(&mut self, done: bool) {
        if let Folding::Pick { columns, .. } = self {
            columns.lacking += u64::from(done);
        }
    }

    /// A table has the column.
    pub(super) fn has(&mut self) {
        if let Folding::Pick { columns, .. } = self {
            columns.found = true;
        }
    }

    /// Rows of a window.
    pub(super) fn add(&mut self, slot: Slot, segment: &Segment, range: std::ops::Range<usize>) {
        match self {
            Folding::Aggregate { aggregate, column, states, bytes } => {
                if states.len() <= slot {
                    states.resize_with(slot + 1, || None);
                }
                if let Some((column_type, view)) = column {
                    let state = states[slot].get_or_insert_with(|| aggregate.kind.accumulator(*column_type));
                    let before = state.memory();
                    state.add(*view, range);
                    **bytes = **bytes + state.memory() - before;
                }
            }
            Folding::Pick { pick, look, rows, touched, .. } => {
                let Some(look) = look else { return };
                if rows.len() <= slot {
                    rows.resize_with(slot + 1, || None);
                }
                let earlier = rows[slot].map(|at| at.value);
                if let Some((row, value)) = look.row(*pick, segment, range, earlier) {
                    // The place is known when the rows of the chunk have been put together.
                    rows[slot] = Some(At { chunk: NOWHERE, row: 0, value });
                    touched.push((slot, row as u32));
                }
            }
        }
    }

    /// Copies what is wanted of the chunk.
    pub(super) fn end(self) -> Result<()> {
        let Folding::Pick { chunk, rows, held, size, touched, .. } = self else { return Ok(()) };
        if touched.is_empty() {
            return Ok(());
        }
        let number = held.len() as u32;
        for (row, (slot, _)) in (0..).zip(&touched) {
            // Of several rows of one slot the last is the one.
            rows[*slot] = rows[*slot].map(|at| At { chunk: number, row, ..at });
        }
        let gather = Gather::new(touched.iter().map(|(_, row)| Stretch::rows(0, *row as usize..*row as usize + 1)));
        let mut columns = Vec::with_capacity(chunk.rows.len());
        for (column, array) in chunk.shape.row_columns().zip(&chunk.rows) {
            columns.push(gather.column(column.column_type, |_| Some(array))?);
        }
        let (shape, keys) = (chunk.shape.clone(), chunk.keys.clone());
        let kept = Chunk { shape, keys, segments: Vec::new(), rows: columns, len: gather.len() }.compact()?;
        size.add(&kept);
        held.push(kept);
        Ok(())
    }
}

/// Rows to be given, column by column.
pub(super) enum Values<'a> {
    Aggregate { aggregate: &'a Aggregate, states: &'a mut Vec<Option<Accumulator>>, slots: Vec<Option<Slot>> },
    Pick { gather: Gather, held: &'a [Chunk] },
}

impl Values<'_> {
    /// One column.
    pub(super) fn column(&mut self, name: &Name, column_type: ColumnType) -> Result<arrow::array::ArrayRef> {
        match self {
            Values::Aggregate { aggregate, states, slots } => {
                let mut builder = ColumnBuilder::new(column_type);
                for slot in slots {
                    let state = slot.and_then(|slot| states.get_mut(slot)).and_then(Option::take);
                    builder.push(state.map_or_else(|| aggregate.kind.of_nothing(), Accumulator::value))?;
                }
                Ok(builder.finish())
            }
            Values::Pick { gather, held } => {
                gather.column(column_type, |source| held.get(source as usize).and_then(|chunk| chunk.row_array(name)))
            }
        }
    }
}
