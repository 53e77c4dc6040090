//! The chunks of a scan: tables in the order of their keys, many to a chunk.
//!
//! The last step of a scan. Tables that follow each other and have one shape share a chunk, up to a chunk's rows: a chunk
//! never reaches over a table of another shape, since a reader is promised tables in order. Nothing is allocated per table
//! and column.

mod fold;

use std::ops::Range;
use std::sync::Arc;

use hashbrown::HashMap;

pub(super) use self::fold::ScanFold;

use super::super::predicate::IdentityFilter;
use super::chunk_builder::{ChunkBuilder, Shapes};
use super::order::{BEFORE_FIELD, BEFORE_MEASUREMENT, BETWEEN, Output, ranks};
use super::table_plan::TablePlan;
use super::{Pick, Picked};
use crate::error::Result;
use crate::name::Name;
use crate::table::chunk::MAX_CHUNK_ROWS;
use crate::table::scan::Bounds;
use crate::table::{Chunk, Segment};

/// Most cells of row columns in a chunk.
const MAX_CHUNK_CELLS: usize = 1 << 20;

/// Gives the chunks of a scan one after the other.
pub(super) struct Emitter {
    tables: Vec<TablePlan>,
    bounds: Bounds,
    wide: bool,
    /// Of tables with one field only one row is given.
    pick: Option<Pick>,
    /// Of wide tables only one row is given.
    pick_wide: Option<Picked>,
    /// Sets of fields that some series of a measurement has in range: places in the plan's fields.
    presences: Vec<Vec<u32>>,
    outputs: Vec<Output>,
    shapes: Shapes,
    /// Rows are not given, but what becomes of them.
    fold: Option<Arc<ScanFold>>,
    /// The next output, and the next of its merged rows.
    next: usize,
    next_row: Option<usize>,
    next_id: u64,
}

impl Emitter {
    /// One table per series and field.
    pub(super) fn long(tables: Vec<TablePlan>, filter: &IdentityFilter, bounds: Bounds, pick: Option<Pick>) -> Self {
        let mut fields: Vec<(&Name, u32, u32)> = Vec::new();
        for (table, plan) in tables.iter().enumerate() {
            fields.extend((0..).zip(&plan.fields).map(|(place, field)| (&field.name, table as u32, place)));
        }
        fields.sort_by(|left, right| (left.0, left.1).cmp(&(right.0, right.1)));
        let mut outputs = Vec::new();
        for (name, table, of) in &fields {
            let plan = &tables[*table as usize];
            for (series, planned) in (0..).zip(&plan.series) {
                if plan.holds_for_both(filter, planned, name) {
                    outputs.push(Output { table: *table, series, of: *of });
                }
            }
        }
        let (before, between) = (ranks(&tables, BEFORE_FIELD), ranks(&tables, BETWEEN));
        if before.is_some() || between.is_some() {
            let rank = |ranks: &Option<Vec<Vec<u32>>>, at: &Output| {
                ranks.as_ref().map_or(0, |ranks| ranks[at.table as usize][at.series as usize])
            };
            let name = |at: &Output| &tables[at.table as usize].fields[at.of as usize].name;
            outputs.sort_by(|left, right| {
                (rank(&before, left), name(left), rank(&between, left), left.table, left.series).cmp(&(
                    rank(&before, right),
                    name(right),
                    rank(&between, right),
                    right.table,
                    right.series,
                ))
            });
        }
        Emitter { pick, ..Emitter::new(tables, bounds, false, Vec::new(), outputs) }
    }

    /// One table per series, with a column for each field that has a value there.
    pub(super) fn wide(
        mut tables: Vec<TablePlan>,
        filter: &IdentityFilter,
        bounds: Bounds,
        pick: Option<Picked>,
    ) -> Self {
        let mut presences: Vec<Vec<u32>> = Vec::new();
        let mut places: HashMap<Vec<u32>, u32> = HashMap::new();
        let mut outputs = Vec::new();
        for (table, plan) in tables.iter_mut().enumerate() {
            let present = present_fields(plan, filter);
            for (series, present) in (0..).zip(present) {
                if present.is_empty() {
                    continue;
                }
                let of = *places.entry(present).or_insert_with_key(|present| {
                    presences.push(present.clone());
                    presences.len() as u32 - 1
                });
                outputs.push(Output { table: table as u32, series, of });
            }
        }
        if let Some(before) = ranks(&tables, BEFORE_MEASUREMENT) {
            outputs.sort_by_key(|at| (before[at.table as usize][at.series as usize], at.table, at.series));
        }
        Emitter { pick_wide: pick, ..Emitter::new(tables, bounds, true, presences, outputs) }
    }

    fn new(tables: Vec<TablePlan>, bounds: Bounds, wide: bool, presences: Vec<Vec<u32>>, outputs: Vec<Output>) -> Self {
        Emitter {
            tables,
            bounds,
            wide,
            pick: None,
            pick_wide: None,
            presences,
            outputs,
            shapes: Shapes::default(),
            fold: None,
            next: 0,
            next_row: None,
            next_id: 0,
        }
    }

    /// Goes on where an emitter has ended: with its shapes, and with the ids after its own.
    pub(super) fn after(mut self, earlier: Option<Emitter>) -> Self {
        if let Some(earlier) = earlier {
            self.shapes = earlier.shapes.of_other_plans();
            self.next_id = earlier.next_id;
        }
        self
    }

    /// Gives its tables ids from one on.
    pub(super) fn numbered_from(self, next_id: u64) -> Self {
        Emitter { next_id, ..self }
    }

    /// The next chunk.
    pub(super) fn next(&mut self) -> Result<Option<Chunk>> {
        if let Some(fold) = self.fold.clone() {
            return self.next_folded(&fold);
        }
        while self.next < self.outputs.len() {
            if let Some(chunk) = self.fill_chunk()? {
                return Ok(Some(chunk));
            }
        }
        Ok(None)
    }

    /// The next chunk, or none where the tables looked at have no row.
    fn fill_chunk(&mut self) -> Result<Option<Chunk>> {
        let mut building: Option<ChunkBuilder> = None;
        let mut room = MAX_CHUNK_ROWS;
        let mut cells = MAX_CHUNK_CELLS;
        while self.next < self.outputs.len() && room > 0 && cells > 0 {
            let output = self.outputs[self.next];
            let plan = &self.tables[output.table as usize];
            let series = &plan.series[output.series as usize];
            let fields: &[u32] =
                if self.wide { &self.presences[output.of as usize] } else { std::slice::from_ref(&output.of) };
            let key = (output.table, series.group, output.of);
            let shape = self.shapes.get(key, plan, fields, self.wide);
            if building.as_ref().is_some_and(|builder| !Arc::ptr_eq(&builder.shape, &shape)) {
                break;
            }
            let builder = building.get_or_insert_with(|| ChunkBuilder::new(shape));

            let first = self.next_row.unwrap_or(series.rows.start);
            let most = room.min((cells / fields.len()).max(1));
            let rows = first..series.rows.end;
            let before = builder.times.len();
            let stopped = if let Some(pick) = self.pick {
                builder.push_one(output, plan, rows.clone(), pick)
            } else if let Some(pick) = &self.pick_wide {
                let row = pick.row(plan, fields, rows.clone());
                builder.push_wide(output, plan, fields, row..row + 1);
                rows.end
            } else if self.wide {
                builder.push_wide(output, plan, fields, rows.start..rows.end.min(first + most))
            } else {
                builder.push_long(output, plan, rows.clone(), most)
            };
            let pushed = builder.times.len() - before;
            let done = stopped >= rows.end;
            room -= pushed;
            cells = cells.saturating_sub(pushed * fields.len());
            if pushed > 0 || self.next_row.is_some() {
                builder.segments.push(Segment {
                    table: self.next_id,
                    key_row: builder.keys.len() as u32,
                    end: builder.times.len() as u32,
                    done,
                });
                builder.keys.push((output, series.group, series.row));
                self.next_id += u64::from(done);
            }
            if done {
                self.next += 1;
                self.next_row = None;
            } else {
                self.next_row = Some(stopped);
                break;
            }
        }
        match building.filter(|builder| !builder.segments.is_empty()) {
            Some(builder) => builder.finish(&self.tables, self.bounds).map(Some),
            None => Ok(None),
        }
    }
}

impl Picked {
    /// The row of a wide table, of those with the fields that have a value there.
    fn row(&self, plan: &TablePlan, fields: &[u32], rows: Range<usize>) -> usize {
        // Other columns have one value in all rows, or none.
        let field = fields.iter().map(|field| &plan.fields[*field as usize]).find(|field| field.name == self.column);
        let columns = field.map(|field| &field.columns);
        match self.which {
            Pick::First => {
                columns.and_then(|columns| columns.first(&plan.merged, rows.clone())).map_or(rows.start, |(row, _)| row)
            }
            Pick::Last => columns
                .and_then(|columns| columns.last(&plan.merged, rows.clone()))
                .map_or(rows.end - 1, |(row, _)| row),
        }
    }
}

/// For each series of a plan the fields that have a value in range. Rows in which no wanted field has one are left out.
fn present_fields(plan: &mut TablePlan, filter: &IdentityFilter) -> Vec<Vec<u32>> {
    let mut all = Vec::with_capacity(plan.series.len());
    let mut empty_rows = false;
    for series in &plan.series {
        let mut present = Vec::new();
        let mut dense = false;
        for (place, field) in (0..).zip(&plan.fields) {
            if plan.holds_for_both(filter, series, &field.name) && field.columns.any(&plan.merged, series.rows.clone())
            {
                present.push(place);
                dense |= field.columns.is_dense();
            }
        }
        empty_rows |= !dense;
        all.push(present);
    }
    if empty_rows {
        plan.drop_empty_rows(&all);
    }
    all
}
