//! Counts, sums, means, spreads, first, last, least and greatest values of whole tables or of windows, made where the rows lie: no row is gathered.
//!
//! A part of the emitter for the operators that a scan takes over last. Values are taken one after the other in the order
//! of time, as the operators do, so that float sums agree bit for bit; a stretch of rows of one run is one loop.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, TimestampNanosecondArray};

use super::super::super::merge::{Gather, RowRef};
use super::super::super::predicate::IdentityFilter;
use super::super::super::table::TableView;
use super::super::chunk_builder::key_block;
use super::super::holds_for_field;
use super::super::order::Output;
use super::super::table_plan::{PlannedField, PlannedSeries, TablePlan};
use super::Emitter;
use crate::error::Result;
use crate::table::chunk::MAX_CHUNK_ROWS;
use crate::table::scan::{Bounds, PushOp, ScanFunction, WindowOp};
use crate::table::{Cell, Chunk, Column, ColumnBuilder, ColumnType, ColumnView, Name, Place, Segment, Shape};

/// Most windows that are taken over: a table's rows fit into a chunk.
const MAX_WINDOWS: u64 = MAX_CHUNK_ROWS as u64;

/// What becomes of the rows of each table.
#[derive(Debug)]
pub(in super::super) struct ScanFold {
    function: ScanFunction,
    windows: Option<FoldWindows>,
}

#[derive(Debug)]
struct FoldWindows {
    /// The boundaries of the windows, from one bound to the other.
    lines: Vec<i64>,
    at_start: bool,
    create_empty: bool,
}

impl ScanFold {
    /// What an operator asks for; `None` if that cannot be done here.
    pub(in super::super) fn new(op: &PushOp, bounds: Bounds) -> Option<ScanFold> {
        match op {
            // A picked row would have a time of its own.
            PushOp::Aggregate(function) if !picks(*function) => Some(ScanFold { function: *function, windows: None }),
            PushOp::Window(WindowOp { windows, function, at_start, create_empty }) => {
                let lines = windows.boundaries(bounds, MAX_WINDOWS)?;
                let windows = FoldWindows { lines, at_start: *at_start, create_empty: *create_empty };
                Some(ScanFold { function: *function, windows: Some(windows) })
            }
            _ => None,
        }
    }

    /// Whether it can be done with all fields that a view may give; where not, it is for the operator to say so.
    pub(in super::super) fn takes(&self, view: &TableView, filter: &IdentityFilter) -> bool {
        let mut fields = view.columns.fields().iter();
        fields.all(|field| {
            self.value_type(field.column_type).is_some()
                || !holds_for_field(filter, &view.table.measurement, &field.name)
        })
    }

    /// The type of the value, given that of the field.
    fn value_type(&self, field: ColumnType) -> Option<ColumnType> {
        let number = matches!(field, ColumnType::Int | ColumnType::UInt | ColumnType::Float);
        match self.function {
            ScanFunction::Count => (field != ColumnType::Time).then_some(ColumnType::Int),
            ScanFunction::Mean => number.then_some(ColumnType::Float),
            ScanFunction::Sum | ScanFunction::Spread | ScanFunction::Min | ScanFunction::Max => number.then_some(field),
            ScanFunction::First | ScanFunction::Last => Some(field),
        }
    }

    fn picks(&self) -> bool {
        picks(self.function)
    }

    /// The shape that tables of a shape get.
    fn shape(&self, long: &Arc<Shape>) -> Arc<Shape> {
        if self.picks() {
            return Arc::clone(long);
        }
        let keys = long.key_columns().map(|key| (key.name.clone(), key.column_type, true));
        let field = long.column("_value").map_or(ColumnType::Float, |column| column.column_type);
        let mut made: Vec<(Name, ColumnType, bool)> =
            vec![("_value".into(), self.value_type(field).unwrap_or(field), false)];
        if self.windows.is_some() {
            made.push(("_time".into(), ColumnType::Time, false));
        }
        Shape::new(keys.chain(made))
    }

    /// Calls `each` for every stretch of rows of one run that lie in one window: the window's number, the run, its rows.
    fn stretches(
        &self,
        plan: &TablePlan,
        field: &PlannedField,
        rows: Range<usize>,
        mut each: impl FnMut(usize, u32, Range<usize>),
    ) {
        let lines: &[i64] = self.windows.as_ref().map_or(&[i64::MIN, i64::MAX], |windows| &windows.lines);
        let last = lines.len() - 2;
        let mut window = 0;
        let mut stretch: Option<(u32, Range<usize>)> = None;
        field.columns.for_each(&plan.merged, rows, |row, at| {
            let Some(RowRef { run, row: own }) = at else { return true };
            let own = own as usize;
            let time_ns = plan.merged.times[row];
            let ends = window < last && time_ns >= lines[window + 1];
            match &mut stretch {
                Some((of, rows)) if !ends && *of == run && rows.end == own => rows.end += 1,
                _ => {
                    if let Some((run, rows)) = stretch.replace((run, own..own + 1)) {
                        each(window, run, rows);
                    }
                    if ends {
                        window += lines[window + 1..=last].partition_point(|line| *line <= time_ns);
                    }
                }
            }
            true
        });
        if let Some((run, rows)) = stretch {
            each(window, run, rows);
        }
    }
}

/// Whether a function picks one of the rows.
fn picks(function: ScanFunction) -> bool {
    matches!(function, ScanFunction::First | ScanFunction::Last | ScanFunction::Min | ScanFunction::Max)
}

impl Emitter {
    /// Gives what becomes of the rows instead of them.
    pub(in super::super) fn folding(mut self, fold: Option<Arc<ScanFold>>) -> Self {
        self.fold = fold;
        self
    }

    /// The next chunk of what becomes of the rows.
    pub(super) fn next_folded(&mut self, fold: &ScanFold) -> Result<Option<Chunk>> {
        let mut building: Option<Folded> = None;
        while self.next < self.outputs.len() {
            let output = self.outputs[self.next];
            let plan = &self.tables[output.table as usize];
            let series = &plan.series[output.series as usize];
            let key = (output.table, series.group, output.of);
            let long = self.shapes.get(key, plan, std::slice::from_ref(&output.of), false);
            let mut built = match building.take() {
                Some(built) if Arc::ptr_eq(&built.long, &long) && built.has_room(fold) => built,
                // Full, or of another shape; one without rows is let go of.
                Some(built) if !built.segments.is_empty() => {
                    return built.finish(&self.tables, self.bounds).map(Some);
                }
                _ => Folded::new(fold, &long),
            };
            self.next_id += u64::from(built.push(fold, output, plan, series, self.next_id)?);
            self.next += 1;
            building = Some(built);
        }
        let last = building.filter(|built| !built.segments.is_empty());
        last.map(|built| built.finish(&self.tables, self.bounds)).transpose()
    }
}

/// A chunk in the making.
struct Folded {
    long: Arc<Shape>,
    shape: Arc<Shape>,
    segments: Vec<Segment>,
    /// For each segment its table, tag group and row in the group.
    keys: Vec<(Output, u32, u32)>,
    /// The times of rows, if they have one.
    times: Vec<i64>,
    len: usize,
    values: Values,
    /// What the windows of the table at hand have come to: number and value, those without rows left out.
    totals: Vec<(usize, Totals)>,
}

enum Values {
    Made(ColumnBuilder),
    /// With the numbers of arrays for the plan and field at hand.
    Picked(Gather, Option<((u32, u32), Vec<usize>)>),
}

impl Folded {
    fn new(fold: &ScanFold, long: &Arc<Shape>) -> Folded {
        let shape = fold.shape(long);
        let value_type = shape.column("_value").map_or(ColumnType::Float, |column: &Column| column.column_type);
        let values = match fold.picks() {
            true => Values::Picked(Gather::new(value_type), None),
            false => Values::Made(ColumnBuilder::new(value_type)),
        };
        Folded {
            long: Arc::clone(long),
            shape,
            segments: Vec::new(),
            keys: Vec::new(),
            times: Vec::new(),
            len: 0,
            values,
            totals: Vec::new(),
        }
    }

    /// Whether another table is sure to fit.
    fn has_room(&self, fold: &ScanFold) -> bool {
        self.len + fold.windows.as_ref().map_or(1, |windows| windows.lines.len() - 1) <= MAX_CHUNK_ROWS
    }

    /// Adds a table; returns whether it has rows.
    fn push(
        &mut self,
        fold: &ScanFold,
        output: Output,
        plan: &TablePlan,
        series: &PlannedSeries,
        id: u64,
    ) -> Result<bool> {
        let field = &plan.fields[output.of as usize];
        let value_type = self.shape.column("_value").map_or(field.column_type, |column| column.column_type);
        let totals = &mut self.totals;
        totals.clear();
        let mut view: Option<(u32, ColumnView<'_>)> = None;
        fold.stretches(plan, field, series.rows.clone(), |window, run, rows| {
            if totals.last().is_none_or(|(last, _)| *last != window) {
                totals.push((window, Totals::default()));
            }
            let Some((_, total)) = totals.last_mut() else { return };
            total.rows += rows.len() as u64;
            match fold.function {
                ScanFunction::Count => return,
                ScanFunction::First => {
                    total.picked.get_or_insert(RowRef { run, row: rows.start as u32 });
                    return;
                }
                ScanFunction::Last => {
                    total.picked = Some(RowRef { run, row: rows.end as u32 - 1 });
                    return;
                }
                _ => {}
            }
            if view.is_none_or(|(of, _)| of != run) {
                view = field.columns.array(run).map(|array| (run, ColumnView::of(array)));
            }
            if let Some((_, view)) = view {
                total.add(fold.function, view, run, rows);
            }
        });
        if totals.is_empty() {
            return Ok(false);
        }
        let mut own = totals.iter().peekable();
        let windows = fold.windows.as_ref();
        let all = windows.filter(|windows| windows.create_empty).map(|windows| windows.lines.len() - 1);
        let mut window = 0;
        // Every window, or those with rows only.
        while let Some(at) = match all {
            Some(count) => (window < count).then_some(window),
            None => own.peek().map(|(window, _)| *window),
        } {
            window = at + 1;
            let total = own.next_if(|(window, _)| *window == at).map(|(_, total)| *total).unwrap_or_default();
            match &mut self.values {
                Values::Made(builder) => builder.push(total.value(fold.function, value_type))?,
                Values::Picked(gather, arrays) => {
                    let key = (output.table, output.of);
                    if arrays.as_ref().is_none_or(|(known, _)| *known != key) {
                        *arrays = Some((key, field.columns.add_to(gather)));
                    }
                    if let Some((_, arrays)) = arrays {
                        gather.push_at(arrays, total.picked);
                    }
                }
            }
            if let Some(windows) = windows {
                self.times.push(windows.lines[at + usize::from(!windows.at_start)]);
            }
            self.len += 1;
        }
        let key_row = self.keys.len() as u32;
        self.segments.push(Segment { table: id, key_row, end: self.len as u32, done: true });
        self.keys.push((output, series.group, series.row));
        Ok(true)
    }

    fn finish(self, plans: &[TablePlan], bounds: Bounds) -> Result<Chunk> {
        let keys = key_block(&self.shape, &self.keys, plans, bounds)?;
        let values = match self.values {
            Values::Made(mut builder) => builder.finish(),
            Values::Picked(gather, _) => gather.finish()?,
        };
        let times: ArrayRef = Arc::new(TimestampNanosecondArray::from(self.times));
        let row = |column: &Column| match (&*column.name, column.place) {
            (_, Place::Key(_)) => None,
            ("_time", _) => Some(Arc::clone(&times)),
            _ => Some(Arc::clone(&values)),
        };
        let rows = self.shape.columns.iter().filter_map(row).collect();
        Ok(Chunk { shape: self.shape, keys: Arc::new(keys), segments: self.segments, rows, len: self.len })
    }
}

/// What a window has come to.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    rows: u64,
    float: f64,
    /// Exact for 2^63 rows of any integers.
    integer: i128,
    least: Option<Cell<'static>>,
    greatest: Option<Cell<'static>>,
    picked: Option<RowRef>,
}

impl Totals {
    /// Takes rows of a run, which all have a value.
    fn add(&mut self, function: ScanFunction, view: ColumnView<'_>, run: u32, rows: Range<usize>) {
        match function {
            ScanFunction::Sum | ScanFunction::Mean => self.sum(view, rows),
            ScanFunction::Min => {
                if let Some(row) = improve(&mut self.least, view, rows, false) {
                    self.picked = Some(RowRef { run, row });
                }
            }
            ScanFunction::Max => {
                if let Some(row) = improve(&mut self.greatest, view, rows, true) {
                    self.picked = Some(RowRef { run, row });
                }
            }
            ScanFunction::Spread => {
                improve(&mut self.least, view, rows.clone(), false);
                improve(&mut self.greatest, view, rows, true);
            }
            ScanFunction::Count | ScanFunction::First | ScanFunction::Last => {}
        }
    }

    fn sum(&mut self, view: ColumnView<'_>, rows: Range<usize>) {
        match view {
            ColumnView::Float(array) => array.values()[rows].iter().for_each(|value| self.float += value),
            ColumnView::Int(array) => array.values()[rows].iter().for_each(|value| self.integer += i128::from(*value)),
            ColumnView::UInt(array) => array.values()[rows].iter().for_each(|value| self.integer += i128::from(*value)),
            ColumnView::Bool(_) | ColumnView::String(_) | ColumnView::Time(_) => {}
        }
    }

    fn value(self, function: ScanFunction, value_type: ColumnType) -> Cell<'static> {
        match (function, value_type) {
            (ScanFunction::Count, _) => Cell::Int(i64::try_from(self.rows).unwrap_or(i64::MAX)),
            _ if self.rows == 0 => Cell::Null,
            // The low 64 bits: what wrapping addition gives.
            (ScanFunction::Sum, ColumnType::Int) => Cell::Int(self.integer as i64),
            (ScanFunction::Sum, ColumnType::UInt) => Cell::UInt(self.integer as u64),
            (ScanFunction::Sum, _) => Cell::Float(self.float),
            (ScanFunction::Spread, _) => match (self.least, self.greatest) {
                (Some(Cell::Int(least)), Some(Cell::Int(greatest))) => Cell::Int(greatest.wrapping_sub(least)),
                (Some(Cell::UInt(least)), Some(Cell::UInt(greatest))) => Cell::UInt(greatest.wrapping_sub(least)),
                (Some(Cell::Float(least)), Some(Cell::Float(greatest))) => Cell::Float(greatest - least),
                _ => Cell::Null,
            },
            // One of the two is zero.
            _ => Cell::Float((self.float + self.integer as f64) / self.rows as f64),
        }
    }
}

/// Looks for a better value than the best so far; gives its row. Nothing is better than NaN, and NaN than nothing.
fn improve(best: &mut Option<Cell<'static>>, view: ColumnView<'_>, rows: Range<usize>, greatest: bool) -> Option<u32> {
    match view {
        ColumnView::Float(array) => {
            let before = if let Some(Cell::Float(value)) = best { Some(*value) } else { None };
            let (row, value) = better(array.values(), rows, before, greatest)?;
            *best = Some(Cell::Float(value));
            Some(row)
        }
        ColumnView::Int(array) => {
            let before = if let Some(Cell::Int(value)) = best { Some(*value) } else { None };
            let (row, value) = better(array.values(), rows, before, greatest)?;
            *best = Some(Cell::Int(value));
            Some(row)
        }
        ColumnView::UInt(array) => {
            let before = if let Some(Cell::UInt(value)) = best { Some(*value) } else { None };
            let (row, value) = better(array.values(), rows, before, greatest)?;
            *best = Some(Cell::UInt(value));
            Some(row)
        }
        ColumnView::Bool(_) | ColumnView::String(_) | ColumnView::Time(_) => None,
    }
}

/// The first of the best values, if one is better than what was before.
fn better<T: Copy + PartialOrd>(
    values: &[T],
    rows: Range<usize>,
    before: Option<T>,
    greatest: bool,
) -> Option<(u32, T)> {
    let (mut best, mut found) = (before, None);
    for row in rows {
        let value = values[row];
        if best.is_none_or(|best| if greatest { best < value } else { value < best }) {
            best = Some(value);
            found = Some((row as u32, value));
        }
    }
    found
}
