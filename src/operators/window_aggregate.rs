//! `aggregateWindow` of a known function: windows, one row for each, and no table of a window is ever made.
//!
//! By definition (flux-semantics 7.3) it is `window |> fn |> table.fill |> duplicate |> window(every: inf)`, and that is
//! what runs where windows overlap or columns get in each other's way ([`AggregateWindow::definition`]). Else the rows of
//! each window go straight into an accumulator, or pick a row, and both ways agree bit for bit.

mod fold;
mod slots;

use std::sync::Arc;

use self::fold::Fold;
use self::slots::Slots;
use super::by_shape::ByShape;
use super::chain::Chain;
use super::in_order::in_order;
use super::table_fill::TableFill;
use super::window::frame::{Frame, bounds_of};
use super::window::{Times, Window, check_time_column, runs};
use super::{Aggregate, Columns, FirstLast, Operator, Out, Split, Transform, copy_of};
use crate::error::{Error, Result};
use crate::table::key::{KeyIndex, KeySchemaId};
use crate::table::layout::{LayoutColumn, LayoutId, Layouts};
use crate::table::merge::Target;
use crate::table::scan::{Parts, PushOp, ScanFunction, StreamProps, TableOrder, WindowOp, Windows};
use crate::table::{Cell, Chunk, Column, ColumnType, ColumnView, Name, Place, Shape};
use crate::time::Window as Range;

const START: &str = "_start";
const STOP: &str = "_stop";

/// What makes one row of the rows of a window.
#[derive(Clone, Debug)]
pub enum WindowFunction {
    /// The key and a value.
    Aggregate(Aggregate),
    /// One of the rows.
    Pick(FirstLast),
}

impl WindowFunction {
    fn transform(&self) -> Arc<dyn Transform> {
        match self {
            WindowFunction::Aggregate(aggregate) => Arc::new(aggregate.clone()),
            WindowFunction::Pick(pick) => Arc::new(pick.clone()),
        }
    }

    /// The same in the words of a store, which knows a few functions of `_value`.
    fn scan_function(&self) -> Option<ScanFunction> {
        let known = [
            ("count", ScanFunction::Count),
            ("sum", ScanFunction::Sum),
            ("mean", ScanFunction::Mean),
            ("spread", ScanFunction::Spread),
            ("first", ScanFunction::First),
            ("last", ScanFunction::Last),
            ("min", ScanFunction::Min),
            ("max", ScanFunction::Max),
        ];
        let name = self.transform().name();
        let mut known = known.into_iter().filter(|(own, _)| *own == name && &**self.column() == "_value");
        known.next().map(|(_, function)| function)
    }

    /// The column that it looks at.
    pub fn column(&self) -> &Name {
        match self {
            WindowFunction::Aggregate(aggregate) => &aggregate.column,
            WindowFunction::Pick(pick) => &pick.column,
        }
    }
}

/// `aggregateWindow(...)`, its function known.
#[derive(Clone, Debug)]
pub struct AggregateWindow {
    /// Which windows.
    pub windows: Windows,
    /// What becomes of each.
    pub function: WindowFunction,
    /// The column that the time of a row is taken from.
    pub time_src: Name,
    /// The column that it goes to.
    pub time_dst: Name,
    /// Whether windows without rows get a row.
    pub create_empty: bool,
}

impl AggregateWindow {
    /// What it means, in the words of other operators.
    pub fn definition(&self) -> Vec<Arc<dyn Transform>> {
        let mut chain: Vec<Arc<dyn Transform>> =
            vec![Arc::new(Window::new(self.windows.clone(), self.create_empty)), self.function.transform()];
        chain.extend(rest(&self.time_src, &self.time_dst, self.create_empty));
        chain
    }

    /// Whether the short way may be gone: each row lies in one window, and the columns that are made stand apart.
    fn fuses(&self) -> bool {
        let bound = |name: &Name| matches!(&**name, START | STOP);
        let apart = bound(&self.time_src) && !bound(&self.time_dst) && !bound(self.function.column());
        let aggregate = matches!(self.function, WindowFunction::Aggregate(_));
        let free = !aggregate || self.time_dst != *self.function.column();
        apart && free && self.windows.is_partition()
    }
}

/// An aggregate of whole tables in the words of a store.
pub(super) fn split_aggregate(aggregate: &Aggregate) -> Option<Split> {
    let function = WindowFunction::Aggregate(aggregate.clone()).scan_function()?;
    Some(Split { push: PushOp::Aggregate(function), rest: None })
}

/// What `aggregateWindow` does with the tables that its function has made.
pub fn rest(time_src: &Name, time_dst: &Name, create_empty: bool) -> Vec<Arc<dyn Transform>> {
    let mut rest: Vec<Arc<dyn Transform>> = Vec::new();
    if create_empty {
        rest.push(Arc::new(TableFill));
    }
    rest.push(Arc::new(Columns::Duplicate { column: time_src.clone(), copy: time_dst.clone() }));
    rest.push(Arc::new(Window::by(time_dst.clone(), Windows::Whole, false)));
    rest
}

impl Transform for AggregateWindow {
    fn name(&self) -> &'static str {
        "aggregateWindow"
    }

    fn operator(&self, input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let bounds = bounds_of(input[0].bounds)?;
        if !self.fuses() {
            return Ok(Box::new(Chain::new(&self.definition(), &input[0])?));
        }
        let frame = Frame::new(&self.windows, bounds)?;
        let all = if self.create_empty { frame.all()? } else { Vec::new() };
        let fused = Fused {
            props: StreamProps { parts: Parts::Clustered, ..input[0] },
            of: self.clone(),
            frame,
            all,
            plans: ByShape::default(),
            keys: KeyIndex::default(),
            layouts: Layouts::default(),
            slots: Slots::default(),
            fold: Fold::new(&self.function),
            scratch: Vec::new(),
            way: Way::Undecided,
        };
        Ok(in_order(&input[0], fused))
    }

    fn works_by_table(&self, input: &StreamProps) -> bool {
        // Keys get the bounds of the stream as their own: those of a scan have them already, and stay apart.
        self.fuses() && input.unique_keys
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        StreamProps {
            parts: Parts::Clustered,
            tables: TableOrder::KeySorted,
            rows_by_time: &*self.time_dst == "_time" && self.windows.ends_ascend(),
            unique_keys: true,
            ..input[0]
        }
    }

    fn split(&self) -> Option<Split> {
        let function = self.function.scan_function().filter(|_| self.fuses() && &*self.time_dst == "_time")?;
        let (windows, create_empty) = (self.windows.clone(), self.create_empty);
        let op = WindowOp { windows, function, at_start: &*self.time_src == START, create_empty };
        Some(Split { push: PushOp::Window(op), rest: None })
    }

    fn explain(&self) -> String {
        let function = self.function.transform();
        let time = if &*self.time_src == STOP { String::new() } else { format!(", timeSrc: {:?}", self.time_src) };
        let dst = if &*self.time_dst == "_time" { String::new() } else { format!(", timeDst: {:?}", self.time_dst) };
        let empty = if self.create_empty { "" } else { ", createEmpty: false" };
        format!("{}, fn: {}, {}{time}{dst}{empty}", self.windows, function.name(), function.explain())
    }
}

/// Where a column of the new key comes from.
#[derive(Clone, Copy, Debug)]
enum KeyFrom {
    Start,
    Stop,
    Key(usize),
}

/// What becomes of tables of a shape.
#[derive(Debug)]
struct Plan {
    time: Place,
    key_schema: KeySchemaId,
    /// In label order.
    key_from: Vec<KeyFrom>,
    /// The shape as windows would leave it.
    windowed: Arc<Shape>,
    /// The columns that come out, once a table needs them; `None` within if such tables give nothing.
    layout: Option<Option<LayoutId>>,
}

/// Which way the rows go.
enum Way {
    /// None has come.
    Undecided,
    /// The short one.
    Short,
    /// That of the definition.
    Long(Chain),
}

struct Fused {
    props: StreamProps,
    of: AggregateWindow,
    frame: Frame,
    /// The windows that every table gets a row for.
    all: Vec<Range>,
    plans: ByShape<Plan>,
    keys: KeyIndex,
    layouts: Layouts,
    slots: Slots,
    fold: Fold,
    scratch: Vec<(Range, std::ops::Range<usize>)>,
    way: Way,
}

impl Operator for Fused {
    fn push(&mut self, port: usize, chunk: Chunk, out: &mut Out) -> Result<()> {
        if chunk.shape.is_key(&self.of.time_dst) && !matches!(self.way, Way::Long(_)) {
            if matches!(self.way, Way::Short) {
                let time_dst = &self.of.time_dst;
                return Err(Error::unimplemented(format!(
                    "aggregateWindow over tables of which only some have {time_dst:?} in the group key"
                )));
            }
            self.way = Way::Long(Chain::new(&self.of.definition(), &self.props)?);
        }
        if let Way::Long(chain) = &mut self.way {
            return chain.push(port, chunk, out);
        }
        self.way = Way::Short;
        self.take(chunk)
    }

    fn works_by_table(&mut self, shape: &Arc<Shape>) -> Result<bool> {
        Ok(!matches!(self.way, Way::Long(_)) && !shape.is_key(&self.of.time_dst))
    }

    fn absorb(&mut self, copy: Box<dyn Operator>) -> Result<()> {
        let copy = *copy_of::<Self>(copy)?;
        if let Way::Short = copy.way {
            self.way = Way::Short;
        }
        let keys = self.keys.append(&copy.keys);
        self.fold.absorb(copy.fold, self.slots.len());
        self.slots.absorb(copy.slots, &keys, (&mut self.layouts, &copy.layouts))
    }

    fn finish(&mut self, port: usize, out: &mut Out) -> Result<()> {
        if let Way::Long(chain) = &mut self.way {
            return chain.finish(port, out);
        }
        self.fold.finish(out)?;
        let order = self.keys.sorted();
        let given = slots::Given {
            keys: &self.keys,
            layouts: &self.layouts,
            all: &self.all,
            start: &*self.of.time_src == START,
            time_dst: &self.of.time_dst,
        };
        out.chunks.extend(self.slots.give(&order, &given, &mut self.fold)?);
        Ok(())
    }

    fn memory(&self) -> usize {
        match &self.way {
            Way::Long(chain) => chain.memory(),
            Way::Undecided | Way::Short => self.keys.memory() + self.slots.memory() + self.fold.memory(),
        }
    }
}

impl Fused {
    fn take(&mut self, chunk: Chunk) -> Result<()> {
        let (of, keys, bounds) = (&self.of, &mut self.keys, self.frame.bounds());
        let plan = self.plans.get(&chunk.shape, |shape| plan(of, keys, shape))?;
        let views: Vec<ColumnView<'_>> = chunk.keys.columns.iter().map(|array| ColumnView::of(array)).collect();
        let times = Times::of(&chunk, plan.time);
        let mut folding = self.fold.begin(&chunk)?;
        for (segment, rows) in chunk.tables() {
            self.scratch.clear();
            if self.frame.is_whole() {
                if !rows.is_empty() && !self.frame.is_empty() {
                    self.scratch.push((self.frame.whole(), rows));
                }
            } else {
                runs(&mut self.frame, segment.key_row, rows, times, |window, rows| self.scratch.push((window, rows)));
            }
            let wanted = segment.done && !self.all.is_empty();
            if self.scratch.is_empty() && !wanted {
                continue;
            }
            let layout = match plan.layout {
                Some(layout) => layout,
                None => *plan.layout.insert(layout(of, &mut self.layouts, &plan.windowed)?),
            };
            let Some(layout) = layout else {
                folding.lacks(segment.done);
                continue;
            };
            let key_row = segment.key_row as usize;
            let (table, _) = keys.number(plan.key_schema, |at| match plan.key_from[at] {
                KeyFrom::Start => Cell::Time(bounds.start_ns),
                KeyFrom::Stop => Cell::Time(bounds.stop_ns),
                KeyFrom::Key(index) => views[index].cell(key_row),
            });
            folding.has();
            self.slots.open(table, layout, &mut self.layouts)?;
            for (window, rows) in self.scratch.drain(..) {
                folding.add(self.slots.slot(table, window), &segment, rows);
            }
        }
        folding.end()
    }
}

fn plan(of: &AggregateWindow, keys: &mut KeyIndex, shape: &Shape) -> Result<Plan> {
    // The windows of `aggregateWindow` go by `_time`, wherever the time of its rows then goes.
    let time = check_time_column(shape, "_time")?;
    let targets = Window::new(of.windows.clone(), of.create_empty).targets(shape);
    let in_key: Vec<_> = targets.iter().filter(|target| target.in_key).collect();
    let columns: Vec<(Name, ColumnType)> =
        in_key.iter().map(|target| (target.name.clone(), target.column_type)).collect();
    let (key_schema, order) = keys.schema(&columns);
    let from = |target: &Target| match (&*target.name, target.from) {
        (START, _) => KeyFrom::Start,
        (STOP, _) => KeyFrom::Stop,
        (_, Place::Key(index) | Place::Row(index)) => KeyFrom::Key(index as usize),
    };
    let key_from = order.iter().map(|at| from(in_key[*at])).collect();
    let columns = targets.iter().map(|target| (target.name.clone(), target.column_type, target.in_key));
    Ok(Plan { time, key_schema, key_from, windowed: Shape::new(columns), layout: None })
}

/// The columns that come out of tables of a windowed shape; `None` if such tables give nothing.
fn layout(of: &AggregateWindow, layouts: &mut Layouts, windowed: &Shape) -> Result<Option<LayoutId>> {
    let mut columns: Vec<LayoutColumn> = match &of.function {
        WindowFunction::Aggregate(aggregate) => {
            let shape = aggregate.gives_shape(windowed)?;
            shape.columns.iter().map(layout_column).collect()
        }
        WindowFunction::Pick(pick) if windowed.column(&pick.column).is_none() => return Ok(None),
        WindowFunction::Pick(_) => windowed.columns.iter().map(layout_column).collect(),
    };
    let time = (of.time_dst.clone(), ColumnType::Time, false);
    match columns.iter_mut().find(|(name, _, _)| *name == of.time_dst) {
        Some(column) => *column = time,
        None => columns.push(time),
    }
    Ok(Some(layouts.number(columns)))
}

fn layout_column(column: &Column) -> LayoutColumn {
    (column.name.clone(), column.column_type, matches!(column.place, Place::Key(_)))
}

#[cfg(test)]
mod tests;
