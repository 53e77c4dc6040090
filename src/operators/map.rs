//! `map`: each row becomes the record that a function makes of it (flux-semantics 6.5).
//!
//! The new columns are the properties of the record, in its order; everything else is gone. The new key has those columns
//! of the old one that are still there, with their new values: a table may be split, and tables that come to share a key
//! merge. Columns and types follow from the function and the shape, not from the rows. Empty tables are dropped.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::take;

use super::by_shape::ByShape;
use super::filter::drop_empty;
use super::rekey::{self, Applied, Rekeyed, Rekeys};
use super::row_program::{Columns, Property, Rate, RecordProgram, RowFunction, ValueType};
use super::{Operator, Transform};
use crate::error::Result;
use crate::flux::Value;
use crate::flux::host::Host;
use crate::table::merge::{Duplicates, Target};
use crate::table::scan::{StreamProps, TableOrder};
use crate::table::size;
use crate::table::{Chunk, ColumnType, KeyBlock, Name, Place, Segment, Shape, TableId};

/// `map(fn)`. The deprecated `mergeKey` has no effect, as in the reference.
#[derive(Clone, Debug)]
pub struct Map {
    function: RowFunction,
}

impl Map {
    /// What the function makes of each row.
    pub fn new(function: RowFunction) -> Map {
        Map { function }
    }
}

impl Transform for Map {
    fn name(&self) -> &'static str {
        "map"
    }

    fn operator(&self, input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let mapping = Mapping {
            function: self.function.clone(),
            host: self.function.hosts.host(),
            one_shape: input[0].one_shape,
            programs: ByShape::default(),
            plans: Vec::new(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            given: HashSet::new(),
        };
        Ok(rekey::run(&input[0], TableOrder::Arrival, Duplicates::Merge, mapping))
    }

    fn works_by_table(&self, input: &StreamProps) -> bool {
        // A record that is not the row with changes loses key columns, and tables merge.
        let of_nothing = Shape::new([]);
        let program = RecordProgram::compile("map", &self.function, &of_nothing);
        rekey::works_by_table(input, TableOrder::Arrival) && program.is_ok_and(|program| program.extends_row())
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        rekey::gives(&input[0], TableOrder::Arrival)
    }

    fn explain(&self) -> String {
        "fn: (r) => ...".to_string()
    }
}

struct Mapping {
    function: RowFunction,
    host: Box<dyn Host + Send>,
    one_shape: bool,
    /// The number of the plan of each shape.
    programs: ByShape<usize>,
    plans: Vec<Plan>,
    /// Evaluated chunks that wait until the types of all columns are known, those in front of them among them.
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    /// Tables that have not ended and of which rows were given.
    given: HashSet<TableId>,
}

struct Waiting {
    plan: usize,
    chunk: Chunk,
    columns: Columns,
    /// What it takes, in bytes; nothing before it has to wait.
    bytes: usize,
}

/// What `map` means for tables of a shape.
struct Plan {
    program: RecordProgram,
    keeps_keys: bool,
    /// What is known of each column, in order; `None` before the first row of a function that hides its record.
    types: Option<Vec<Known>>,
    rekeyed: Option<Arc<Rekeyed>>,
}

/// What is known of a column's type.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Known {
    Type(ColumnType),
    /// It has no type, since it is null everywhere: there is no such column.
    Absent,
    /// The first value that is not null will tell.
    NotYet,
}

impl Plan {
    fn new(function: &RowFunction, shape: &Shape, one_shape: bool) -> Result<Plan> {
        let program = RecordProgram::compile("map", function, shape)?;
        let properties = program.properties();
        let types = properties.as_ref().map(|properties| properties.iter().map(known).collect());
        let kept = |column: &crate::table::Column| {
            let same = |property: &&Property| property.name == column.name && property.column == Some(column.place);
            properties.as_ref().is_some_and(|properties| properties.iter().any(|property| same(&property)))
        };
        // Where the record is the row with changes, which key columns change depends on their names alone: tables whose keys
        // stay and tables whose keys change have different key columns. Else a key may lose a column and become another's.
        let apart = program.extends_row() || one_shape;
        let keeps_keys = apart && shape.key_columns().all(kept);
        Ok(Plan { program, keeps_keys, types, rekeyed: None })
    }

    fn is_known(&self) -> bool {
        self.types.as_ref().is_some_and(|types| !types.contains(&Known::NotYet))
    }

    /// Takes from evaluated rows what they tell of types.
    fn learn(&mut self, columns: &Columns) -> Result<()> {
        let types = self.types.get_or_insert_with(|| vec![Known::NotYet; columns.properties.len()]);
        for (at, known) in types.iter_mut().enumerate().filter(|(_, known)| **known == Known::NotYet) {
            if let Some(column_type) = columns.type_of("map", at)? {
                *known = Known::Type(column_type);
            }
        }
        Ok(())
    }
}

fn known(property: &Property) -> Known {
    match property.value_type {
        ValueType::Column(column_type) => Known::Type(column_type),
        ValueType::Null => Known::Absent,
        ValueType::Other => Known::NotYet,
    }
}

impl Mapping {
    fn plan(&mut self, shape: &Arc<Shape>) -> Result<usize> {
        let (function, plans, one_shape) = (&self.function, &mut self.plans, self.one_shape);
        let number = self.programs.get(shape, |shape| {
            plans.push(Plan::new(function, shape, one_shape)?);
            Ok(plans.len() - 1)
        })?;
        Ok(*number)
    }

    /// Gives what waits, as far as its columns are known.
    fn give(&mut self) -> Result<Vec<Applied>> {
        let mut given = Vec::new();
        while let Some(front) = self.waiting.front() {
            let plan = &mut self.plans[front.plan];
            if !plan.is_known() {
                break;
            }
            let Some(Waiting { chunk, columns, bytes, .. }) = self.waiting.pop_front() else { break };
            self.waiting_bytes -= bytes;
            given.push(apply(plan, chunk, &columns)?);
        }
        Ok(given)
    }
}

impl Rekeys for Mapping {
    fn keeps_keys(&mut self, shape: &Arc<Shape>) -> Result<bool> {
        let plan = self.plan(shape)?;
        Ok(self.plans[plan].keeps_keys)
    }

    fn works_by_table(&mut self, shape: &Arc<Shape>) -> Result<bool> {
        let plan = self.plan(shape)?;
        Ok(self.plans[plan].keeps_keys && self.plans[plan].is_known())
    }

    fn apply(&mut self, mut chunk: Chunk) -> Result<Vec<Applied>> {
        let number = self.plan(&chunk.shape)?;
        let plan = &mut self.plans[number];
        drop_empty(&mut chunk, &mut self.given);
        if !plan.keeps_keys {
            // A merger needs no ends, and a table without rows has no key.
            let mut start = 0;
            chunk.segments.retain(|segment| std::mem::replace(&mut start, segment.end) < segment.end);
        }
        if chunk.segments.is_empty() {
            return Ok(Vec::new());
        }
        let columns = plan.program.columns("map", &chunk, &mut self.host)?;
        if !plan.is_known() {
            plan.learn(&columns)?;
        }
        self.waiting.push_back(Waiting { plan: number, chunk, columns, bytes: 0 });
        let given = self.give()?;
        if let Some(last) = self.waiting.back_mut() {
            let values = last.chunk.len * last.columns.properties.len() * size_of::<Value>();
            last.bytes = size::of_rows(&last.chunk) + values;
            self.waiting_bytes += last.bytes;
        }
        Ok(given)
    }

    fn finish(&mut self) -> Result<Vec<Applied>> {
        for plan in &mut self.plans {
            for known in plan.types.iter_mut().flatten().filter(|known| **known == Known::NotYet) {
                *known = Known::Absent;
            }
        }
        self.give()
    }

    fn memory(&self) -> usize {
        self.waiting_bytes + size::of_map::<TableId>(self.given.capacity())
    }
}

/// The chunk with the new columns behind the old ones, and where each of them is.
fn apply(plan: &mut Plan, mut chunk: Chunk, columns: &Columns) -> Result<Applied> {
    let types = plan.types.as_deref().unwrap_or_default();
    let properties = plan.program.properties();
    let shape = Arc::clone(&chunk.shape);
    let old_keys = chunk.keys.columns.len() as u32;
    let mut keys: Vec<ArrayRef> = Vec::new();
    let mut targets = Vec::new();
    for (at, known) in types.iter().enumerate() {
        let Known::Type(column_type) = *known else { continue };
        let name: Name = columns.properties[at].0.clone();
        let in_key = shape.is_key(&name);
        let property = properties.as_ref().map(|properties| &properties[at]);
        let from = match property {
            Some(Property { column: Some(place), .. }) => *place,
            Some(property) if in_key && property.rate <= Rate::Table => {
                if let Some(array) = columns.key_column("map", at, column_type)? {
                    keys.push(array);
                    Place::Key(old_keys + keys.len() as u32 - 1)
                } else {
                    return Err(crate::error::Error::internal("a value of tables differs within a table"));
                }
            }
            _ => {
                chunk.rows.push(columns.column("map", at, column_type)?);
                Place::Row(chunk.rows.len() as u32 - 1)
            }
        };
        targets.push(Target { name, column_type, in_key, from });
    }
    if !keys.is_empty() {
        add_keys(&mut chunk, keys)?;
    }
    let keeps_keys = plan.keeps_keys;
    let rekeyed = plan.rekeyed.get_or_insert_with(|| Arc::new(Rekeyed { targets, keeps_keys }));
    Ok(Applied { chunk, rekeyed: Arc::clone(rekeyed) })
}

/// Puts columns with one value per segment behind the key's own.
fn add_keys(chunk: &mut Chunk, added: Vec<ArrayRef>) -> Result<()> {
    let rows = UInt32Array::from_iter_values(chunk.segments.iter().map(|segment| segment.key_row));
    let mut columns = Vec::with_capacity(chunk.keys.columns.len() + added.len());
    for column in &chunk.keys.columns {
        columns.push(take(column, &rows, None)?);
    }
    columns.extend(added);
    chunk.keys = Arc::new(KeyBlock { columns });
    for (row, segment) in chunk.segments.iter_mut().enumerate() {
        *segment = Segment { key_row: row as u32, ..*segment };
    }
    Ok(())
}

#[cfg(test)]
mod tests;
