//! `set`: a column becomes one value for all rows (flux-semantics 6.6); a string in `set` of the prelude, any column value
//! in that of `experimental`.
//!
//! A column that is in the key changes the key, and tables that then share one merge; a new column is appended and is not
//! part of the key.

use std::sync::Arc;

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::take;

use super::rekey::{self, Applied, Rekeyed, RekeyedShapes, Rekeys};
use super::row_program::cell_of;
use super::{Operator, Transform};
use crate::error::Result;
use crate::flux::Value;
use crate::table::merge::{Duplicates, Target};
use crate::table::scan::{StreamProps, TableOrder};
use crate::table::{Cell, Chunk, ColumnBuilder, ColumnType, KeyBlock, Name, Place, Shape};

/// `set(key, value)`.
#[derive(Clone, Debug)]
pub struct Set {
    /// The column's name.
    pub key: Name,
    /// Its value: one that a column can hold.
    pub value: Value,
}

impl Transform for Set {
    fn name(&self) -> &'static str {
        "set"
    }

    fn operator(&self, input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let setting = Setting { set: self.clone(), shapes: RekeyedShapes::default(), blocks: None };
        Ok(rekey::run(&input[0], TableOrder::Arrival, Duplicates::Merge, setting))
    }

    fn works_by_table(&self, input: &StreamProps) -> bool {
        rekey::works_by_table(input, TableOrder::Arrival)
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        rekey::gives(&input[0], TableOrder::Arrival)
    }

    fn explain(&self) -> String {
        match &self.value {
            Value::String(text) => format!("key: {:?}, value: {text:?}", self.key),
            other => format!("key: {:?}, value: {other:?}", self.key),
        }
    }
}

struct Setting {
    set: Set,
    shapes: RekeyedShapes,
    /// The key block seen last, and what became of it: chunks of a source share theirs.
    blocks: Option<(Arc<KeyBlock>, Arc<KeyBlock>)>,
}

impl Set {
    fn column_type(&self) -> ColumnType {
        cell_of(&self.value).and_then(|cell| cell.column_type()).unwrap_or(ColumnType::String)
    }

    fn rekeyed(&self, shape: &Shape) -> Rekeyed {
        let mut targets = Target::of_shape(shape);
        let column_type = self.column_type();
        let Some(target) = targets.iter_mut().find(|target| target.name == self.key) else {
            let from = Place::Row(shape.row_columns().count() as u32);
            let name = self.key.clone();
            targets.push(Target { name, column_type, in_key: false, from });
            return Rekeyed { targets, keeps_keys: true };
        };
        // A column of another type is replaced (the reference breaks down).
        target.column_type = column_type;
        // Tables that have the column in the key are apart from those that do not, before as after.
        let keeps_keys = !target.in_key;
        Rekeyed { targets, keeps_keys }
    }
}

impl Rekeys for Setting {
    fn keeps_keys(&mut self, shape: &Arc<Shape>) -> Result<bool> {
        Ok(self.shapes.get(shape, |shape| Ok(self.set.rekeyed(shape)))?.keeps_keys)
    }

    fn apply(&mut self, mut chunk: Chunk) -> Result<Vec<Applied>> {
        let rekeyed = self.shapes.get(&chunk.shape, |shape| Ok(self.set.rekeyed(shape)))?;
        let value = &self.set.value;
        match chunk.shape.column(&self.set.key).map(|column| column.place) {
            Some(Place::Key(index)) => {
                let known = self.blocks.as_ref().filter(|(from, _)| Arc::ptr_eq(from, &chunk.keys));
                let keys = match known {
                    Some((_, to)) => Arc::clone(to),
                    None => {
                        let mut columns = chunk.keys.columns.clone();
                        columns[index as usize] = repeated(value, columns[index as usize].len())?;
                        let keys = Arc::new(KeyBlock { columns });
                        self.blocks = Some((Arc::clone(&chunk.keys), Arc::clone(&keys)));
                        keys
                    }
                };
                chunk.keys = keys;
            }
            Some(Place::Row(index)) => chunk.rows[index as usize] = repeated(value, chunk.len)?,
            None => chunk.rows.push(repeated(value, chunk.len)?),
        }
        Ok(vec![Applied { chunk, rekeyed }])
    }
}

/// A column that has one value in all rows; a text it holds once.
fn repeated(value: &Value, len: usize) -> Result<ArrayRef> {
    let cell = cell_of(value).unwrap_or(Cell::Null);
    let mut one = ColumnBuilder::new(cell.column_type().unwrap_or(ColumnType::String));
    one.push(cell)?;
    Ok(take(&one.finish(), &UInt32Array::from_value(0, len), None)?)
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    fn set(key: &str, value: &str) -> Set {
        Set { key: key.into(), value: Value::string(value) }
    }

    /// flux-semantics 16.5.
    #[test]
    fn a_key_column_takes_the_key_along() {
        expect(&set("host", "z"), "host:string* v:int\na 1\n", "host:string* v:int\nz 1\n");
    }

    /// flux-semantics 6.6: tables may merge; 1.5: in the order in which they came.
    #[test]
    fn tables_that_come_to_share_a_key_merge() {
        let input = "host:string* v:int\na 1\n\nb 2\n\nhost:string* v:int w:int\nz 4 5\n";
        expect(&set("host", "z"), input, "host:string* v:int w:int\nz 1 -\nz 2 -\nz 4 5\n");
    }

    #[test]
    fn a_new_column_is_appended_outside_of_the_key() {
        let input = "host:string* v:int\na 1\na -\n\n= b\n";
        expect(&set("agg", "mean"), input, "host:string* v:int agg:string\na 1 mean\na - mean\n\n= b\n");
    }

    #[test]
    fn a_column_of_the_rows_is_overwritten_in_place() {
        let input = "v:string host:string*\nx a\n- a\n";
        let long = "a_text_longer_than_twelve";
        expect(&set("v", long), input, &format!("v:string host:string*\n{long} a\n{long} a\n"));
        expect(&set("v", "s"), "v:int\n1\n-\n", "v:string\ns\ns\n");
        expect(&set("v", ""), "", "");
    }

    #[test]
    fn values_of_other_types() {
        let one = Set { key: "v".into(), value: Value::Float(1.5) };
        expect(&one, "h:string* v:int\na 1\na -\n", "h:string* v:float\na 1.5\na 1.5\n");
        let time = Set { key: "h".into(), value: Value::Time(0) };
        expect(&time, "h:string* v:int\na 1\n\nb 2\n", "h:time* v:int\nT0 1\nT0 2\n");
    }

    #[test]
    fn some_tables_have_the_column_in_the_key_and_others_not() {
        let input =
            "host:string* v:int\na 1\n\nv:int\n2\n\nhost:string* v:int\nb 3\n\nv:int host:string w:int*\n4 q 9\n";
        let expected = "host:string* v:int\nz 1\nz 3\n\nv:int host:string\n2 z\n\nv:int host:string w:int*\n4 z 9\n";
        expect(&set("host", "z"), input, expected);
    }
}
