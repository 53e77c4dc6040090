//! `fill`: a value in the place of nulls, or the value of the row before (flux-semantics 9.3).
//!
//! A column that is not there is added with the value; a key that is null gets it, and tables that then share a key merge.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use hashbrown::HashMap;

use super::rekey::{self, Applied, Rekeyed, RekeyedShapes, Rekeys};
use super::{Operator, Transform};
use crate::error::{Error, Result};
use crate::table::gather::{Gather, Stretch, compact};
use crate::table::merge::{Duplicates, Target};
use crate::table::scan::{StreamProps, TableOrder};
use crate::table::size;
use crate::table::{Cell, Chunk, ColumnBuilder, ColumnType, ColumnView, KeyBlock, Name, Place, Shape, TableId};

/// `fill(column, value | usePrevious)`.
#[derive(Clone, Debug)]
pub struct Fill {
    column: Name,
    with: With,
}

/// What takes the place of nulls.
#[derive(Clone, Debug)]
enum With {
    /// A value, as a column of one row.
    Value(ArrayRef, ColumnType),
    /// The last value before it in the table.
    Previous,
}

impl Fill {
    /// Nulls of the column become a value.
    ///
    /// # Errors
    /// Invalid for a null.
    pub fn with_value(column: Name, value: Cell<'_>) -> Result<Fill> {
        let Some(column_type) = value.column_type() else {
            return Err(Error::invalid("fill: value is null"));
        };
        let mut builder = ColumnBuilder::new(column_type);
        builder.push(value)?;
        Ok(Fill { column, with: With::Value(builder.finish(), column_type) })
    }

    /// Nulls of the column become the value before them.
    pub fn with_previous(column: Name) -> Fill {
        Fill { column, with: With::Previous }
    }

    fn rekeyed(&self, shape: &Shape) -> Rekeyed {
        let mut targets = Target::of_shape(shape);
        let With::Value(_, column_type) = &self.with else { return Rekeyed { targets, keeps_keys: true } };
        let Some(target) = targets.iter().find(|target| target.name == self.column) else {
            let from = Place::Row(shape.row_columns().count() as u32);
            targets.push(Target { name: self.column.clone(), column_type: *column_type, in_key: false, from });
            return Rekeyed { targets, keeps_keys: true };
        };
        let keeps_keys = !target.in_key;
        Rekeyed { targets, keeps_keys }
    }
}

impl Transform for Fill {
    fn name(&self) -> &'static str {
        "fill"
    }

    fn operator(&self, input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let running =
            Running { fill: self.clone(), shapes: RekeyedShapes::default(), blocks: None, open: HashMap::new() };
        Ok(rekey::run(&input[0], TableOrder::Arrival, Duplicates::Merge, running))
    }

    fn works_by_table(&self, input: &StreamProps) -> bool {
        rekey::works_by_table(input, TableOrder::Arrival)
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        let by_time = input[0].rows_by_time && &*self.column != "_time";
        StreamProps { rows_by_time: by_time, ..rekey::gives(&input[0], TableOrder::Arrival) }
    }

    fn explain(&self) -> String {
        let with = match &self.with {
            With::Value(value, _) => format!("value: {}", ColumnView::of(value).cell(0)),
            With::Previous => "usePrevious: true".to_string(),
        };
        format!("column: {:?}, {with}", self.column)
    }
}

struct Running {
    fill: Fill,
    shapes: RekeyedShapes,
    /// The key block seen last, and what became of it: chunks of a source share theirs.
    blocks: Option<(Arc<KeyBlock>, Arc<KeyBlock>)>,
    /// The last value of tables that are not done, a column of one row.
    open: HashMap<TableId, ArrayRef>,
}

impl Rekeys for Running {
    fn keeps_keys(&mut self, shape: &Arc<Shape>) -> Result<bool> {
        Ok(self.shapes.get(shape, |shape| Ok(self.fill.rekeyed(shape)))?.keeps_keys)
    }

    fn apply(&mut self, mut chunk: Chunk) -> Result<Vec<Applied>> {
        let rekeyed = self.shapes.get(&chunk.shape, |shape| Ok(self.fill.rekeyed(shape)))?;
        let column = chunk.shape.column(&self.fill.column).cloned();
        match (&self.fill.with, column.as_ref().map(|column| (column.place, column.column_type))) {
            (With::Previous, Some((Place::Row(index), column_type))) => {
                let filled = previous(&chunk, index as usize, column_type, &mut self.open)?;
                chunk.rows[index as usize] = filled;
            }
            (With::Previous, _) => {}
            (With::Value(value, wanted), None) => {
                let gather = Gather::new([Stretch::repeat(0, 0, chunk.len)]);
                chunk.rows.push(gather.column(*wanted, |_| Some(value))?);
            }
            (With::Value(value, wanted), Some((Place::Row(index), found))) => {
                check_types(found, *wanted)?;
                let array = &chunk.rows[index as usize];
                chunk.rows[index as usize] = fill_nulls(array, value, *wanted)?;
            }
            (With::Value(value, wanted), Some((Place::Key(index), found))) => {
                let known = self.blocks.as_ref().filter(|(from, _)| Arc::ptr_eq(from, &chunk.keys));
                let keys = match known {
                    Some((_, to)) => Arc::clone(to),
                    None => {
                        let mut columns = chunk.keys.columns.clone();
                        let array = &columns[index as usize];
                        if array.null_count() > 0 {
                            check_types(found, *wanted)?;
                            columns[index as usize] = fill_nulls(array, value, *wanted)?;
                        }
                        let keys = Arc::new(KeyBlock { columns });
                        self.blocks = Some((Arc::clone(&chunk.keys), Arc::clone(&keys)));
                        keys
                    }
                };
                chunk.keys = keys;
            }
        }
        Ok(vec![Applied { chunk, rekeyed }])
    }

    fn memory(&self) -> usize {
        // A column of one row is some hundred bytes of bookkeeping.
        size::of_map::<(TableId, ArrayRef)>(self.open.capacity()) + self.open.len() * 256
    }
}

fn check_types(found: ColumnType, wanted: ColumnType) -> Result<()> {
    if found == wanted {
        return Ok(());
    }
    let (found, wanted) = (found.flux_name(), wanted.flux_name());
    Err(Error::failed_precondition(format!("fill column type mismatch: {found}/{wanted}"))
        .with_hint(format!("the column is of type {found}, the value of type {wanted}")))
}

/// The array with a value in the place of nulls.
fn fill_nulls(array: &ArrayRef, value: &ArrayRef, column_type: ColumnType) -> Result<ArrayRef> {
    if array.null_count() == 0 {
        return Ok(Arc::clone(array));
    }
    let rows = (0..array.len()).map(|row| match array.is_null(row) {
        true => Stretch::repeat(1, 0, 1),
        false => Stretch::rows(0, row..row + 1),
    });
    Gather::new(rows).column(column_type, |source| Some(if source == 0 { array } else { value }))
}

/// A row column with the value before them in the place of nulls.
fn previous(
    chunk: &Chunk,
    index: usize,
    column_type: ColumnType,
    open: &mut HashMap<TableId, ArrayRef>,
) -> Result<ArrayRef> {
    let array = &chunk.rows[index];
    let mut held: Vec<ArrayRef> = Vec::new();
    let mut rows: Vec<Stretch> = Vec::new();
    for (segment, range) in chunk.tables() {
        // Where the last value is: in this chunk (0) or in what is held of tables that began before it.
        let mut last: Option<(u32, usize)> = open.remove(&segment.table).map(|value| {
            held.push(value);
            (held.len() as u32, 0)
        });
        for row in range {
            if array.is_valid(row) {
                last = Some((0, row));
                rows.push(Stretch::rows(0, row..row + 1));
                continue;
            }
            rows.push(match last {
                Some((source, at)) => Stretch::repeat(source, at, 1),
                None => Stretch::rows(0, row..row + 1),
            });
        }
        if let (Some((source, at)), false) = (last, segment.done) {
            let value =
                if source == 0 { compact(&array.slice(at, 1))? } else { Arc::clone(&held[source as usize - 1]) };
            open.insert(segment.table, value);
        }
    }
    if array.null_count() == 0 {
        return Ok(Arc::clone(array));
    }
    let source = |source: u32| if source == 0 { Some(array) } else { held.get(source as usize - 1) };
    Gather::new(rows).column(column_type, source)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::testing::*;
    use super::*;

    fn value(column: &str, value: Cell<'_>) -> Fill {
        Fill::with_value(column.into(), value).unwrap()
    }

    const INPUT: &str = "h:string* v:float w:string\na - x\na 1.5 -\na - y\na - -\n\nb - -\n\n= c\n";

    #[test]
    fn a_value_takes_the_place_of_nulls() {
        let expected = "h:string* v:float w:string\na 0.5 x\na 1.5 -\na 0.5 y\na 0.5 -\n\nb 0.5 -\n\n= c\n";
        expect(&value("v", Cell::Float(0.5)), INPUT, expected);
        let error = expect_error(&value("v", Cell::Int(1)), INPUT);
        assert_eq!(error.message(), "fill column type mismatch: float/int");
        assert!(Fill::with_value("v".into(), Cell::Null).is_err());
    }

    #[test]
    fn the_value_before_takes_the_place_of_nulls() {
        let expected = "h:string* v:float w:string\na - x\na 1.5 -\na 1.5 y\na 1.5 -\n\nb - -\n\n= c\n";
        expect(&Fill::with_previous("v".into()), INPUT, expected);
        let expected = "h:string* v:float w:string\na - x\na 1.5 x\na - y\na - y\n\nb - -\n\n= c\n";
        expect(&Fill::with_previous("w".into()), INPUT, expected);
        expect(&Fill::with_previous("x".into()), INPUT, INPUT);
    }

    #[test]
    fn a_column_is_added_and_a_null_key_is_filled() {
        let input = "h:string* v:int\na 1\n\n- 2\n\nz 3\n\n= b\n";
        let expected = "h:string* v:int n:int\na 1 7\n\n- 2 7\n\nz 3 7\n\n= b\n";
        expect(&value("n", Cell::Int(7)), input, expected);
        expect(&value("h", Cell::String("z")), input, "h:string* v:int\na 1\n\nz 2\nz 3\n\n= b\n");
        // A key that is not null stays, whatever its type.
        expect(&value("h", Cell::Int(7)), "h:string* v:int\na 1\n", "h:string* v:int\na 1\n");
    }
}
