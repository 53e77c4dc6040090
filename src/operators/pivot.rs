//! `pivot`: values that stand below each other in a column come to stand beside each other (flux-semantics 6.2).
//!
//! Tables that share the new key merge; tables come out in the order of their keys. Rows come in order of first
//! appearance, but by time where the row key is `_time` and every input table is in order of time (flux-semantics 18,
//! row 28). A row id is the tuple of its values, never a text. The input is held until the end: the wide scan of a bucket
//! spares all of this.

mod assemble;
mod names;

use std::sync::Arc;

use assemble::Assembly;
use names::Names;

use super::by_shape::ByShape;
use super::in_order::in_order;
use super::{Operator, Out, Split, Transform};
use crate::error::{Error, Result};
use crate::table::key::{KeyIndex, KeySchemaId, equal_runs};
use crate::table::scan::{Parts, PushOp, StreamProps, TableOrder};
use crate::table::size::Tally;
use crate::table::{Cell, Chunk, ColumnType, ColumnView, Name, Place, Shape, TableId};

/// `pivot(rowKey, columnKey, valueColumn)`.
#[derive(Clone, Debug)]
pub struct Pivot {
    row_key: Vec<Name>,
    column_key: Vec<Name>,
    value_column: Name,
}

impl Pivot {
    /// Rows by `row_key`, columns by `column_key`, cells from `value_column`.
    ///
    /// # Errors
    /// Invalid if a column is in both lists.
    pub fn new(row_key: Vec<Name>, column_key: Vec<Name>, value_column: Name) -> Result<Pivot> {
        match row_key.iter().find(|name| column_key.contains(name)) {
            Some(name) => Err(Error::invalid(format!("column name found in both rowKey and colKey: {name}"))),
            None => Ok(Pivot { row_key, column_key, value_column }),
        }
    }

    /// `pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")`.
    pub fn fields_as_columns() -> Pivot {
        Pivot { row_key: vec!["_time".into()], column_key: vec!["_field".into()], value_column: "_value".into() }
    }

    fn is_fields_as_columns(&self) -> bool {
        let only = |names: &[Name], name: &str| names.len() == 1 && &*names[0] == name;
        only(&self.row_key, "_time") && only(&self.column_key, "_field") && &*self.value_column == "_value"
    }
}

impl Transform for Pivot {
    fn name(&self) -> &'static str {
        "pivot"
    }

    fn operator(&self, input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let operator = PivotOperator { pivot: self.clone(), plans: ByShape::default(), held: Held::default() };
        Ok(in_order(&input[0], operator))
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        let by_time = input[0].rows_by_time && self.row_key.len() == 1 && &*self.row_key[0] == "_time";
        StreamProps {
            parts: Parts::Clustered,
            tables: TableOrder::KeySorted,
            rows_by_time: by_time,
            unique_keys: true,
            one_shape: false,
            bounds: input[0].bounds,
        }
    }

    fn split(&self) -> Option<Split> {
        self.is_fields_as_columns().then_some(Split { push: PushOp::PivotWide, rest: None })
    }

    fn explain(&self) -> String {
        let list = |names: &[Name]| names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
        let (rows, columns) = (list(&self.row_key), list(&self.column_key));
        format!("rowKey: [{rows}], columnKey: [{columns}], valueColumn: {:?}", self.value_column)
    }
}

/// What pivoting means for tables of a shape.
struct Plan {
    key_schema: KeySchemaId,
    /// The places of the new key's columns, in label order.
    key_from: Vec<Place>,
    /// The columns that stay, in order: those of the new key and the row key.
    base: Vec<Base>,
    /// The places of the row key's columns that vary within a table.
    row_key: Vec<Place>,
    /// The places of the columns that name the new ones.
    names_from: Vec<Place>,
    value: Place,
    value_type: ColumnType,
}

/// A column that stays.
#[derive(Clone, Debug, PartialEq)]
struct Base {
    name: Name,
    column_type: ColumnType,
    from: Place,
}

/// Cells on their way: consecutive rows of a chunk that go into one column of one table.
#[derive(Clone, Copy, Debug)]
struct Part {
    /// The new table, by key number.
    table: u32,
    /// The new column, by number of its name.
    name: u32,
    /// The table that it comes from.
    input: TableId,
    chunk: u32,
    key_row: u32,
    start: u32,
    end: u32,
}

/// All that has come.
#[derive(Default)]
struct Held {
    keys: KeyIndex,
    names: Names,
    /// Chunks with the numbers of their plans.
    chunks: Vec<(u32, Chunk)>,
    parts: Vec<Part>,
    plans: Vec<Arc<Plan>>,
    /// Of each new table the plan of the first input table: it fixes the columns that stay.
    first_plan: Vec<u32>,
    size: Tally,
}

struct PivotOperator {
    pivot: Pivot,
    plans: ByShape<u32>,
    held: Held,
}

impl Operator for PivotOperator {
    fn push(&mut self, _port: usize, chunk: Chunk, _out: &mut Out) -> Result<()> {
        let (pivot, held) = (&self.pivot, &mut self.held);
        let plan_number = *self.plans.get(&chunk.shape, |shape| {
            let plan = pivot.plan(shape, &mut held.keys)?;
            held.plans.push(Arc::new(plan));
            Ok(held.plans.len() as u32 - 1)
        })?;
        held.take(plan_number, chunk)
    }

    fn finish(&mut self, _port: usize, out: &mut Out) -> Result<()> {
        let held = std::mem::take(&mut self.held);
        out.chunks.extend(Assembly::new(&held)?.run()?);
        Ok(())
    }

    fn memory(&self) -> usize {
        self.held.memory()
    }
}

impl Pivot {
    fn plan(&self, shape: &Shape, keys: &mut KeyIndex) -> Result<Plan> {
        let find = |name: &Name, what: &str| {
            let column = shape.column(name);
            column.ok_or_else(|| Error::invalid(format!("specified {what} does not exist in table: {name}")))
        };
        for name in &self.row_key {
            find(name, "row key column")?;
        }
        let value = find(&self.value_column, "value column")?;
        let names_from: Vec<Place> =
            self.column_key.iter().map(|name| Ok(find(name, "column")?.place)).collect::<Result<_>>()?;
        let goes = |name: &Name| self.column_key.contains(name) || *name == self.value_column;
        let key: Vec<_> = shape.key_columns().filter(|column| !goes(&column.name)).collect();
        let labels: Vec<(Name, ColumnType)> =
            key.iter().map(|column| (column.name.clone(), column.column_type)).collect();
        let (key_schema, order) = keys.schema(&labels);
        let stays = |column: &&crate::table::Column| {
            let in_key = matches!(column.place, Place::Key(_));
            !goes(&column.name) && (in_key || self.row_key.contains(&column.name))
        };
        let base = shape.columns.iter().filter(stays).map(|column| Base {
            name: column.name.clone(),
            column_type: column.column_type,
            from: column.place,
        });
        let row_key = self.row_key.iter().filter_map(|name| shape.column(name)).map(|column| column.place);
        Ok(Plan {
            key_schema,
            key_from: order.iter().map(|at| key[*at].place).collect(),
            base: base.collect(),
            // A column of the old key is part of the new one and the same for all rows of a table.
            row_key: row_key.filter(|place| matches!(place, Place::Row(_))).collect(),
            names_from,
            value: value.place,
            value_type: value.column_type,
        })
    }
}

impl Held {
    fn take(&mut self, plan_number: u32, chunk: Chunk) -> Result<()> {
        let plan = Arc::clone(&self.plans[plan_number as usize]);
        let number = self.chunks.len() as u32;
        let in_rows: Vec<ColumnView<'_>> =
            plan.names_from.iter().filter_map(|place| row_view(&chunk, *place)).collect();
        for (segment, rows) in chunk.tables() {
            let key_row = segment.key_row as usize;
            let (table, new) = self.keys.number(plan.key_schema, |at| cell(&chunk, plan.key_from[at], key_row, 0));
            if new {
                self.first_plan.push(plan_number);
            }
            let same = |left: usize, right: usize| in_rows.iter().all(|view| view.cell(left).same(view.cell(right)));
            for run in equal_runs(rows, same) {
                let cells = plan.names_from.iter().map(|place| cell(&chunk, *place, key_row, run.start));
                self.parts.push(Part {
                    table,
                    name: self.names.number(cells),
                    input: segment.table,
                    chunk: number,
                    key_row: segment.key_row,
                    start: run.start as u32,
                    end: run.end as u32,
                });
            }
        }
        drop(in_rows);
        self.size.add(&chunk);
        self.chunks.push((plan_number, chunk));
        Ok(())
    }

    /// What it takes, in bytes; of the list of parts there is a sorted copy in the end.
    fn memory(&self) -> usize {
        let parts = 2 * self.parts.capacity() * size_of::<Part>() + self.first_plan.capacity() * size_of::<u32>();
        self.size.bytes() + self.keys.memory() + self.names.memory() + parts
    }

    fn plan(&self, part: &Part) -> &Plan {
        &self.plans[self.chunks[part.chunk as usize].0 as usize]
    }
}

fn row_view(chunk: &Chunk, place: Place) -> Option<ColumnView<'_>> {
    match place {
        Place::Key(_) => None,
        Place::Row(index) => Some(ColumnView::of(&chunk.rows[index as usize])),
    }
}

fn cell(chunk: &Chunk, place: Place, key_row: usize, row: usize) -> Cell<'_> {
    match place {
        Place::Key(index) => ColumnView::of(&chunk.keys.columns[index as usize]).cell(key_row),
        Place::Row(index) => ColumnView::of(&chunk.rows[index as usize]).cell(row),
    }
}

#[cfg(test)]
mod tests;
