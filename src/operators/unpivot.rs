//! `experimental.unpivot`: columns become tables of `_field` and `_value`, the reverse of a pivot.
//!
//! Every column that is neither in the key nor one of the others becomes a table with its name as `_field` in the key; rows
//! where it is null are left out. Tables come in the order of their keys.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringViewArray, UInt32Array};
use arrow::compute::take;

use super::by_shape::ByShape;
use super::in_order::in_order;
use super::{Operator, Out, Transform};
use crate::error::{Error, Result};
use crate::table::merge::{Duplicates, MappingId, Merger, Target};
use crate::table::scan::{Parts, StreamProps, TableOrder};
use crate::table::whole::WholeTables;
use crate::table::{Chunk, Column, ColumnType, KeyBlock, Name, Place, Segment, Shape, TableId};

const FIELD: &str = "_field";
const VALUE: &str = "_value";

/// `unpivot(otherColumns)`.
#[derive(Clone, Debug)]
pub struct Unpivot {
    /// The columns that stay columns. `_field` among them keeps the name of the field out of the key.
    pub other_columns: Vec<Name>,
}

impl Transform for Unpivot {
    fn name(&self) -> &'static str {
        "unpivot"
    }

    fn operator(&self, input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let operator = Unpivoting {
            unpivot: self.clone(),
            plans: ByShape::default(),
            whole: WholeTables::new(),
            merger: Merger::new(TableOrder::KeySorted, Duplicates::Merge),
            next: 0,
        };
        Ok(in_order(&input[0], operator))
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        let rows_by_time = input[0].rows_by_time && !self.other_columns.iter().any(|name| &**name == FIELD);
        StreamProps {
            parts: Parts::Clustered,
            tables: TableOrder::KeySorted,
            rows_by_time: rows_by_time && input[0].unique_keys,
            unique_keys: true,
            one_shape: false,
            bounds: input[0].bounds,
        }
    }

    fn explain(&self) -> String {
        let columns: Vec<String> = self.other_columns.iter().map(|name| format!("{name:?}")).collect();
        format!("otherColumns: [{}]", columns.join(", "))
    }
}

/// A column that becomes tables.
struct Field {
    /// Its place in the rows.
    place: usize,
    /// The shape of its tables.
    shape: Arc<Shape>,
    mapping: MappingId,
}

/// What a shape turns into.
struct Plan {
    fields: Vec<Field>,
    /// The other columns, as the input has them in its rows; `None` for the name of the field.
    others: Vec<Option<usize>>,
    /// The names of the fields.
    names: StringViewArray,
    field_in_key: bool,
}

struct Unpivoting {
    unpivot: Unpivot,
    plans: ByShape<Plan>,
    whole: WholeTables,
    merger: Merger,
    /// The number of the next table that comes out.
    next: TableId,
}

impl Unpivot {
    fn plan(&self, shape: &Shape, merger: &mut Merger) -> Result<Plan> {
        if let Some(name) = [FIELD, VALUE].iter().find(|name| shape.column(name).is_some()) {
            return Err(Error::invalid(format!("unpivot can't have {FIELD:?} or {VALUE:?} as an input column"))
                .with_hint(format!("the tables have a column {name:?}: rename or drop it first")));
        }
        let mut others = Vec::new();
        let field_in_key = !self.other_columns.iter().any(|name| &**name == FIELD);
        for name in &self.other_columns {
            if &**name == FIELD {
                others.push(None);
                continue;
            }
            let column = shape.column(name).ok_or_else(|| {
                Error::invalid(format!("unpivot could not find column named {name:?}"))
                    .with_hint("name the columns that are no fields as otherColumns")
            })?;
            // A column of the key is one of them anyway.
            if let Place::Row(place) = column.place {
                others.push(Some((column, place as usize)));
            }
        }
        let is_other = |column: &&Column| !self.other_columns.contains(&column.name);
        let (mut fields, mut names) = (Vec::new(), Vec::new());
        for column in shape.row_columns().filter(is_other) {
            let Place::Row(place) = column.place else { continue };
            let keys = shape.key_columns().map(|key| (key.name.clone(), key.column_type, true));
            let field = field_in_key.then(|| (FIELD.into(), ColumnType::String, true));
            let other = others.iter().map(|other| match other {
                Some((column, _)) => (column.name.clone(), column.column_type, false),
                None => (FIELD.into(), ColumnType::String, false),
            });
            let value = std::iter::once((VALUE.into(), column.column_type, false));
            let shape = Shape::new(keys.chain(field).chain(other).chain(value));
            let mapping = merger.mapping(Target::of_shape(&shape));
            fields.push(Field { place: place as usize, shape, mapping });
            names.push(&*column.name);
        }
        let names = StringViewArray::from_iter_values(names);
        let others = others.into_iter().map(|other| other.map(|(_, place)| place)).collect();
        Ok(Plan { fields, others, names, field_in_key })
    }
}

impl Operator for Unpivoting {
    fn push(&mut self, _port: usize, chunk: Chunk, _out: &mut Out) -> Result<()> {
        for chunk in self.whole.push(chunk)? {
            let (unpivot, merger) = (&self.unpivot, &mut self.merger);
            let plan = self.plans.get(&chunk.shape, |shape| unpivot.plan(shape, merger))?;
            for number in 0..plan.fields.len() {
                let made = plan.table_of(number, &chunk, &mut self.next)?;
                merger.push(plan.fields[number].mapping, made)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, _port: usize, out: &mut Out) -> Result<()> {
        let merger = std::mem::replace(&mut self.merger, Merger::new(TableOrder::KeySorted, Duplicates::Merge));
        out.merge(merger.finish(0)?);
        Ok(())
    }

    fn memory(&self) -> usize {
        self.whole.memory() + self.merger.memory()
    }
}

impl Plan {
    /// The rows of all tables of a chunk that have a value of a field.
    fn table_of(&self, number: usize, chunk: &Chunk, next: &mut TableId) -> Result<Chunk> {
        let field = &self.fields[number];
        let values = &chunk.rows[field.place];
        let mut kept: Vec<u32> = Vec::with_capacity(chunk.len);
        let mut segments = Vec::with_capacity(chunk.segments.len());
        for (segment, rows) in chunk.tables() {
            let before = kept.len();
            kept.extend(rows.filter(|row| values.is_valid(*row)).map(|row| row as u32));
            if kept.len() > before {
                segments.push(Segment { table: *next, end: kept.len() as u32, ..segment });
                *next += 1;
            }
        }
        let len = kept.len();
        let kept = UInt32Array::from(kept);
        let name = |len: usize| take(&self.names, &UInt32Array::from_value(number as u32, len), None);
        let mut rows = Vec::with_capacity(self.others.len() + 1);
        for other in &self.others {
            rows.push(match other {
                Some(place) => take(&chunk.rows[*place], &kept, None)?,
                None => name(len)?,
            });
        }
        rows.push(take(values, &kept, None)?);
        let mut keys: Vec<ArrayRef> = chunk.keys.columns.clone();
        if self.field_in_key {
            let key_rows = chunk.segments.iter().map(|segment| segment.key_row as usize + 1).max().unwrap_or(0);
            keys.push(name(keys.first().map_or(key_rows, |column| column.len()))?);
        }
        let (shape, keys) = (Arc::clone(&field.shape), Arc::new(KeyBlock { columns: keys }));
        Ok(Chunk { shape, keys, segments, rows, len })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    fn unpivot(others: &[&str]) -> Unpivot {
        Unpivot { other_columns: others.iter().map(|name| Name::from(*name)).collect() }
    }

    const WIDE: &str = "h:string* _time:time b:int a:float n:string\na T1 1 0.5 x\na T2 - 1.5 y\n\nb T1 2 - z\n\n= c\n";

    #[test]
    fn columns_become_tables() {
        let expected = "h:string* _field:string* _time:time _value:float\na a T1 0.5\na a T2 1.5\n\n\
                        h:string* _field:string* _time:time _value:int\na b T1 1\n\nb b T1 2\n\n";
        // The keys order by _field first.
        let text = "h:string* _field:string* _time:time _value:string\na n T1 x\na n T2 y\n\nb n T1 z\n";
        expect(&unpivot(&["_time"]), WIDE, &format!("{expected}{text}"));
        let expected = "h:string* _field:string* _time:time n:string _value:float\na a T1 x 0.5\na a T2 y 1.5\n\n\
                        h:string* _field:string* _time:time n:string _value:int\na b T1 x 1\n\nb b T1 z 2\n";
        expect(&unpivot(&["_time", "n"]), WIDE, expected);
    }

    #[test]
    fn the_field_may_stay_out_of_the_key() {
        let input = "h:string* _time:time b:int a:int\na T1 1 3\na T2 - 4\n\nb T1 2 -\n";
        let expected = "h:string* _time:time _field:string _value:int\na T1 b 1\na T1 a 3\na T2 a 4\n\nb T1 b 2\n";
        expect(&unpivot(&["_time", "_field"]), input, expected);
    }

    #[test]
    fn what_is_in_the_way_is_refused() {
        let message = |others: &[&str], input: &str| expect_error(&unpivot(others), input).message().to_owned();
        assert_eq!(message(&["_time"], "v:int\n1\n"), "unpivot could not find column named \"_time\"");
        let text = "unpivot can't have \"_field\" or \"_value\" as an input column";
        assert_eq!(message(&["_time"], "_time:time _value:int\nT1 1\n"), text);
    }
}
