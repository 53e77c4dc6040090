//! `distinct` and `unique`: each value of a column once per table, alone or as the first row that has it (flux-semantics
//! 8).
//!
//! Null is a value, zeros of either sign are one, and so are all NaN. Values are kept in one index for all tables, until
//! their table has ended.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanBufferBuilder};

use super::by_shape::ByShape;
use super::in_key_order::{gives, in_key_order};
use super::values_of::{Origin, Values};
use super::{Operator, Out, Transform};
use crate::error::{Error, Result};
use crate::table::gather::{Gather, Stretch};
use crate::table::key::{KeyIndex, KeyNumber, KeySchemaId};
use crate::table::scan::StreamProps;
use crate::table::select::keep_rows;
use crate::table::size;
use crate::table::{Cell, Chunk, ColumnBuilder, ColumnType, ColumnView, Name, Place, Segment, Shape, TableId};

/// Values of ended tables are let go when there are so many more than of open ones.
const SPARE_VALUES: usize = 65_536;

/// `distinct(column)`: the values.
#[derive(Clone, Debug)]
pub struct Distinct {
    /// The column; the values come out as `_value`.
    pub column: Name,
}

/// `unique(column)`: the rows.
#[derive(Clone, Debug)]
pub struct Unique {
    /// The column.
    pub column: Name,
}

impl Transform for Distinct {
    fn name(&self) -> &'static str {
        "distinct"
    }

    fn operator(&self, input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let operator = DistinctOperator {
            column: self.column.clone(),
            plans: ByShape::default(),
            seen: Seen::default(),
            given: HashSet::new(),
        };
        Ok(in_key_order("distinct", &input[0], operator))
    }

    fn works_by_table(&self, _input: &StreamProps) -> bool {
        true
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        gives(&input[0])
    }

    fn explain(&self) -> String {
        format!("column: {:?}", self.column)
    }
}

impl Transform for Unique {
    fn name(&self) -> &'static str {
        "unique"
    }

    fn operator(&self, input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let operator = UniqueOperator { column: self.column.clone(), seen: Seen::default() };
        Ok(in_key_order("unique", &input[0], operator))
    }

    fn works_by_table(&self, _input: &StreamProps) -> bool {
        true
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        StreamProps { rows_by_time: input[0].rows_by_time, ..gives(&input[0]) }
    }

    fn explain(&self) -> String {
        format!("column: {:?}", self.column)
    }
}

/// The values that tables have had so far.
#[derive(Default)]
struct Seen {
    values: KeyIndex,
    schemas: Vec<(ColumnType, KeySchemaId)>,
    open: HashSet<TableId>,
    /// How many values there were when those of ended tables were last let go.
    kept: usize,
}

/// The columns of the index, in the order of their labels.
const TABLE: &str = "table";
const VALUE: &str = "value";

impl Seen {
    /// The schema of values of a type.
    fn schema(&mut self, column_type: ColumnType) -> KeySchemaId {
        if let Some((_, schema)) = self.schemas.iter().find(|(own, _)| *own == column_type) {
            return *schema;
        }
        let columns = [(Name::from(TABLE), ColumnType::UInt), (Name::from(VALUE), column_type)];
        let (schema, _) = self.values.schema(&columns);
        self.schemas.push((column_type, schema));
        schema
    }

    /// Whether a table has not had a value before.
    fn is_new(&mut self, schema: KeySchemaId, table: TableId, value: Cell<'_>) -> bool {
        self.values.number(schema, |at| if at == 0 { Cell::UInt(table) } else { value }).1
    }

    /// What they take, in bytes.
    fn memory(&self) -> usize {
        self.values.memory() + size::of_map::<TableId>(self.open.capacity())
    }

    /// A part of a table has been seen.
    fn end_part(&mut self, segment: &Segment) {
        if segment.done {
            self.open.remove(&segment.table);
        } else {
            self.open.insert(segment.table);
        }
    }

    /// A chunk has been seen: lets go of the values of tables that have ended.
    fn end_chunk(&mut self) {
        if self.open.is_empty() {
            *self = Seen::default();
        } else if self.values.len() > 2 * self.kept + SPARE_VALUES {
            let old = std::mem::take(&mut self.values);
            let schemas = std::mem::take(&mut self.schemas);
            for key in 0..old.len() as KeyNumber {
                let of_key = old.schema_of(key);
                if let (Some(Cell::UInt(table)), Some(value)) = (old.value(key, TABLE), old.value(key, VALUE))
                    && let Some((column_type, _)) = schemas.iter().find(|(_, schema)| *schema == of_key)
                    && self.open.contains(&table)
                {
                    let schema = self.schema(*column_type);
                    self.is_new(schema, table, value);
                }
            }
            self.kept = self.values.len();
        }
    }
}

struct DistinctOperator {
    column: Name,
    plans: ByShape<Values>,
    seen: Seen,
    /// Open tables whose one value was given.
    given: HashSet<TableId>,
}

impl Operator for DistinctOperator {
    fn push(&mut self, _port: usize, chunk: Chunk, out: &mut Out) -> Result<()> {
        let column = &self.column;
        let plan = self.plans.get(&chunk.shape, |shape| Values::of("distinct", column, shape))?;
        let mut segments = Vec::with_capacity(chunk.segments.len());
        let values: ArrayRef;
        match plan.from {
            Origin::Rows(index) => {
                let view = ColumnView::of(&chunk.rows[index]);
                let schema = self.seen.schema(plan.value_type);
                let mut rows = Vec::new();
                for (segment, range) in chunk.tables() {
                    for row in range {
                        if self.seen.is_new(schema, segment.table, view.cell(row)) {
                            rows.push(Stretch::rows(0, row..row + 1));
                        }
                    }
                    self.seen.end_part(&segment);
                    segments.push(Segment { end: rows.len() as u32, ..segment });
                }
                values = Gather::new(rows).column(plan.value_type, |_| Some(&chunk.rows[index]))?;
                self.seen.end_chunk();
            }
            // One value a table, whether it has rows or not.
            Origin::Key(_) | Origin::Nowhere => {
                let mut builder = ColumnBuilder::new(plan.value_type);
                let mut end = 0;
                for segment in &chunk.segments {
                    if !self.given.remove(&segment.table) {
                        builder.push(match plan.from {
                            Origin::Key(index) => {
                                ColumnView::of(&chunk.keys.columns[index]).cell(segment.key_row as usize)
                            }
                            _ => Cell::String(""),
                        })?;
                        end += 1;
                    }
                    if !segment.done {
                        self.given.insert(segment.table);
                    }
                    segments.push(Segment { end, ..*segment });
                }
                values = builder.finish();
            }
        }
        let (shape, keys, len) = (Arc::clone(&plan.shape), Arc::clone(&chunk.keys), values.len());
        out.push(Chunk { shape, keys, segments, rows: vec![values], len });
        Ok(())
    }

    fn finish(&mut self, _port: usize, _out: &mut Out) -> Result<()> {
        Ok(())
    }

    fn memory(&self) -> usize {
        self.seen.memory() + size::of_map::<TableId>(self.given.capacity())
    }
}

struct UniqueOperator {
    column: Name,
    seen: Seen,
}

impl UniqueOperator {
    fn place(&self, shape: &Shape) -> Result<(Place, ColumnType)> {
        match shape.column(&self.column) {
            Some(column) => Ok((column.place, column.column_type)),
            None => Err(Error::failed_precondition(format!("no column {:?} exists", self.column))
                .with_hint("unique needs a column with values; which columns there are shows |> limit(n: 1)")),
        }
    }
}

impl Operator for UniqueOperator {
    fn push(&mut self, _port: usize, chunk: Chunk, out: &mut Out) -> Result<()> {
        let (place, column_type) = self.place(&chunk.shape)?;
        let view = match place {
            Place::Key(index) => ColumnView::of(&chunk.keys.columns[index as usize]),
            Place::Row(index) => ColumnView::of(&chunk.rows[index as usize]),
        };
        let schema = self.seen.schema(column_type);
        let mut kept = BooleanBufferBuilder::new(chunk.len);
        for (segment, range) in chunk.tables() {
            for row in range {
                let at = if matches!(place, Place::Key(_)) { segment.key_row as usize } else { row };
                kept.append(self.seen.is_new(schema, segment.table, view.cell(at)));
            }
            self.seen.end_part(&segment);
        }
        self.seen.end_chunk();
        out.push(keep_rows(chunk, &kept.finish())?);
        Ok(())
    }

    fn finish(&mut self, _port: usize, _out: &mut Out) -> Result<()> {
        Ok(())
    }

    fn memory(&self) -> usize {
        self.seen.memory()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::testing::*;
    use super::*;

    fn distinct(column: &str) -> Distinct {
        Distinct { column: column.into() }
    }

    fn unique(column: &str) -> Unique {
        Unique { column: column.into() }
    }

    const TABLES: &str = "h:string* v:float w:string\nb 1.0 x\nb - y\nb 2.0 z\nb 1.0 x\nb - -\n\na NaN q\na NaN p\na 0.0 q\na -0.0 -\n\n= c\n";

    /// flux-semantics 8: first-seen order, null once; tables in the order of their keys.
    #[test]
    fn each_value_once() {
        let head = "h:string* _value:float\n";
        expect(&distinct("v"), TABLES, &format!("{head}a NaN\na 0.0\n\nb 1.0\nb -\nb 2.0\n\n= c\n"));
        let head = "h:string* _value:string\n";
        expect(&distinct("w"), TABLES, &format!("{head}a q\na p\na -\n\nb x\nb y\nb z\nb -\n\n= c\n"));
        expect(
            &unique("w"),
            TABLES,
            "h:string* v:float w:string\n\
            a NaN q\na NaN p\na -0.0 -\n\nb 1.0 x\nb - y\nb 2.0 z\nb - -\n\n= c\n",
        );
    }

    /// flux-semantics 8: a key column gives one row even for an empty table, a missing one the empty string.
    #[test]
    fn a_key_column_and_a_missing_one_give_one_row() {
        let head = "h:string* _value:string\n";
        expect(&distinct("h"), TABLES, &format!("{head}a a\n\nb b\n\nc c\n"));
        expect(&distinct("x"), TABLES, &format!("{head}a ''\n\nb ''\n\nc ''\n"));
        expect(&unique("h"), TABLES, "h:string* v:float w:string\na NaN q\n\nb 1.0 x\n\n= c\n");
    }

    #[test]
    fn what_does_not_go_is_refused() {
        let error = expect_error(&unique("x"), TABLES);
        assert_eq!(error.message(), "no column \"x\" exists");
        let error = expect_error(&distinct("v"), "_value:int* v:int\n1 1\n");
        assert_eq!(error.message(), "distinct: column \"_value\" is in the group key");
        let error = expect_error(&distinct("v"), "h:string* v:int\na 1\n\na 2\n");
        assert_eq!(error.message(), "distinct found duplicate table with key: {h=a}");
    }

    #[test]
    fn values_of_ended_tables_are_let_go() {
        let mut seen = Seen::default();
        for table in 0..200_000 {
            let schema = seen.schema(ColumnType::Int);
            assert!(seen.is_new(schema, table, Cell::Int(1)));
            assert!(!seen.is_new(schema, table, Cell::Int(1)));
            seen.end_part(&Segment { table, done: table != 7, ..Segment::default() });
            seen.end_chunk();
        }
        assert!(seen.values.len() <= 2 + SPARE_VALUES);
        let schema = seen.schema(ColumnType::Int);
        assert!(!seen.is_new(schema, 7, Cell::Int(1)));
    }
}
