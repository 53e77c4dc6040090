//! One chunk of a scan in the making: rows of many tables of one shape, then their keys.
//!
//! Used by the emitter alone. Values are gathered column by column when the chunk is full, so that the work per table is a
//! few pushes.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringViewArray, TimestampNanosecondArray};
use hashbrown::{HashMap, HashSet};

use super::super::merge::Gather;
use super::Pick;
use super::order::Output;
use super::table_plan::TablePlan;
use crate::error::Result;
use crate::name::Name;
use crate::table::scan::Bounds;
use crate::table::{Chunk, ColumnType, KeyBlock, Segment, Shape};

/// Shapes by what they follow from; equal ones are shared.
#[derive(Default)]
pub(super) struct Shapes {
    by_source: HashMap<(u32, u32, u32), Arc<Shape>>,
    shared: HashSet<Arc<Shape>>,
}

impl Shapes {
    /// The same shapes for other plans.
    pub(super) fn of_other_plans(self) -> Shapes {
        Shapes { by_source: HashMap::new(), shared: self.shared }
    }

    /// The shape of tables of a plan's tag group with some of its fields; `source` is the plan's place, the group and what
    /// the fields follow from.
    pub(super) fn get(&mut self, source: (u32, u32, u32), plan: &TablePlan, fields: &[u32], wide: bool) -> Arc<Shape> {
        if let Some(shape) = self.by_source.get(&source) {
            return Arc::clone(shape);
        }
        let mut columns: Vec<(Name, ColumnType, bool)> = vec![
            ("_start".into(), ColumnType::Time, true),
            ("_stop".into(), ColumnType::Time, true),
            ("_time".into(), ColumnType::Time, false),
        ];
        let mut keys: Vec<Name> = plan.order.groups[source.1 as usize].keys.to_vec();
        keys.push("_measurement".into());
        if !wide {
            columns.push(("_value".into(), plan.fields[fields[0] as usize].column_type, false));
            keys.push("_field".into());
        }
        keys.sort();
        columns.extend(keys.into_iter().map(|name| (name, ColumnType::String, true)));
        if wide {
            let of = |place: &u32| &plan.fields[*place as usize];
            columns.extend(fields.iter().map(|place| (of(place).name.clone(), of(place).column_type, false)));
        }
        let shape = Shape::new(columns);
        let shape = Arc::clone(self.shared.get_or_insert(shape));
        self.by_source.insert(source, Arc::clone(&shape));
        shape
    }
}

/// A chunk in the making.
pub(super) struct ChunkBuilder {
    pub(super) shape: Arc<Shape>,
    pub(super) times: Vec<i64>,
    pub(super) segments: Vec<Segment>,
    /// For each segment its table, tag group and row in the group.
    pub(super) keys: Vec<(Output, u32, u32)>,
    /// The columns after `_time`.
    values: Vec<Gather>,
    /// The numbers of arrays in `values`: for each plan and set of fields, for each column, for each run.
    arrays: HashMap<(u32, u32), Vec<Vec<usize>>>,
}

impl ChunkBuilder {
    pub(super) fn new(shape: Arc<Shape>) -> Self {
        let values = shape.row_columns().skip(1).map(|column| Gather::new(column.column_type)).collect();
        ChunkBuilder {
            shape,
            times: Vec::new(),
            segments: Vec::new(),
            keys: Vec::new(),
            values,
            arrays: HashMap::new(),
        }
    }

    /// Adds at most `most` rows that have a value of the one field; returns the row before which it stopped.
    pub(super) fn push_long(&mut self, output: Output, plan: &TablePlan, rows: Range<usize>, most: usize) -> usize {
        let mut stopped = rows.end;
        let columns = &plan.fields[output.of as usize].columns;
        let gather = &mut self.values[0];
        let arrays = self.arrays.entry((output.table, output.of)).or_insert_with(|| vec![columns.add_to(gather)]);
        let full = self.times.len() + most;
        columns.for_each(&plan.merged, rows, |row, at| {
            if at.is_none() {
                return true;
            }
            if self.times.len() == full {
                stopped = row;
                return false;
            }
            gather.push_at(&arrays[0], at);
            self.times.push(plan.merged.times[row]);
            true
        });
        stopped
    }

    /// Adds the first or the last row that has a value of the one field.
    pub(super) fn push_one(&mut self, output: Output, plan: &TablePlan, rows: Range<usize>, pick: Pick) -> usize {
        let columns = &plan.fields[output.of as usize].columns;
        let gather = &mut self.values[0];
        let arrays = self.arrays.entry((output.table, output.of)).or_insert_with(|| vec![columns.add_to(gather)]);
        let found = match pick {
            Pick::First => columns.first(&plan.merged, rows.clone()),
            Pick::Last => columns.last(&plan.merged, rows.clone()),
        };
        if let Some((row, at)) = found {
            gather.push_at(&arrays[0], Some(at));
            self.times.push(plan.merged.times[row]);
        }
        rows.end
    }

    /// Adds rows with all of their present fields; returns the row before which it stopped.
    pub(super) fn push_wide(&mut self, output: Output, plan: &TablePlan, fields: &[u32], rows: Range<usize>) -> usize {
        let values = &mut self.values;
        let columns = |field: &u32| &plan.fields[*field as usize].columns;
        let arrays = self.arrays.entry((output.table, output.of)).or_insert_with(|| {
            fields.iter().zip(values.iter_mut()).map(|(field, gather)| columns(field).add_to(gather)).collect()
        });
        for ((field, gather), arrays) in fields.iter().zip(values).zip(arrays) {
            columns(field).for_each(&plan.merged, rows.clone(), |_, at| {
                gather.push_at(arrays, at);
                true
            });
        }
        self.times.extend_from_slice(&plan.merged.times[rows.clone()]);
        rows.end
    }

    /// The chunk.
    pub(super) fn finish(self, plans: &[TablePlan], bounds: Bounds) -> Result<Chunk> {
        let keys = key_block(&self.shape, &self.keys, plans, bounds)?;
        let len = self.times.len();
        let mut rows: Vec<ArrayRef> = vec![Arc::new(TimestampNanosecondArray::from(self.times))];
        for values in self.values {
            rows.push(values.finish()?);
        }
        Ok(Chunk { shape: self.shape, keys: Arc::new(keys), segments: self.segments, rows, len })
    }
}

/// A key row per segment.
pub(super) fn key_block(
    shape: &Shape,
    keys: &[(Output, u32, u32)],
    plans: &[TablePlan],
    bounds: Bounds,
) -> Result<KeyBlock> {
    // Columns of tag values are gathered from the series' own, one source per measurement and tag group.
    let mut sources: Vec<(u32, u32)> = Vec::new();
    let mut place_of: HashMap<(u32, u32), usize> = HashMap::new();
    let mut places: Vec<usize> = Vec::with_capacity(keys.len());
    for (output, group, _) in keys {
        places.push(*place_of.entry((output.table, *group)).or_insert_with_key(|source| {
            sources.push(*source);
            sources.len() - 1
        }));
    }
    let constant = |value: i64| -> ArrayRef { Arc::new(TimestampNanosecondArray::from_value(value, keys.len())) };
    let mut columns = Vec::with_capacity(shape.key.len());
    for column in shape.key_columns() {
        columns.push(match &*column.name {
            "_start" => constant(bounds.start_ns),
            "_stop" => constant(bounds.stop_ns),
            "_measurement" => text_column(keys, plans, |output| (output.table, 0), |plan, _| &plan.measurement)?,
            "_field" => text_column(
                keys,
                plans,
                |output| (output.table, output.of),
                |plan, field| &plan.fields[field as usize].name,
            )?,
            tag => {
                let mut gather = Gather::new(ColumnType::String);
                let mut arrays = Vec::with_capacity(sources.len());
                for (table, group) in &sources {
                    let group = &plans[*table as usize].order.groups[*group as usize];
                    let key = group.keys.iter().position(|key| &**key == tag);
                    let values = key.map(|key| Arc::clone(&group.values[key]) as ArrayRef);
                    arrays.push(values.map_or(0, |values| gather.add_array(values)));
                }
                for ((_, _, row), place) in keys.iter().zip(&places) {
                    gather.push(arrays[*place], *row as usize);
                }
                gather.finish()?
            }
        });
    }
    Ok(KeyBlock { columns })
}

/// A column of names, each of which follows from a pair of numbers.
fn text_column<'a>(
    keys: &[(Output, u32, u32)],
    plans: &'a [TablePlan],
    of: impl Fn(&Output) -> (u32, u32),
    name: impl Fn(&'a TablePlan, u32) -> &'a Name,
) -> Result<ArrayRef> {
    let mut gather = Gather::new(ColumnType::String);
    let mut arrays: HashMap<(u32, u32), usize> = HashMap::new();
    for (output, _, _) in keys {
        let key = of(output);
        let array = *arrays.entry(key).or_insert_with(|| {
            let text = name(&plans[key.0 as usize], key.1);
            gather.add_array(Arc::new(StringViewArray::from_iter_values([&**text])))
        });
        gather.push(array, 0);
    }
    gather.finish()
}
