//! The package `join`: tables of one group key, rows that agree on columns of any names, and a function that makes the new
//! row of two.
//!
//! Inner, left, right or full: a row that matches none stands beside a row of nulls that has the key's values. The new row
//! must keep the key. Tables whose key the other side does not have are joined with an empty one.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};

use super::super::row_program::{Property, RecordProgram, RowFunction};
use super::super::{Operator, Out, Transform};
use super::columns::joined;
use super::pairs::Pairs;
use super::rows::{Ordered, walk};
use super::side::{Batch, Side, check_bytes};
use crate::diagnostic::nearest;
use crate::error::{Error, Result};
use crate::flux::host::Host;
use crate::table::chunk::MAX_CHUNK_ROWS;
use crate::table::gather::{Gather, Stretch};
use crate::table::key::{KeyIndex, KeyNumber};
use crate::table::merge::{Duplicates, Merger, Target};
use crate::table::scan::{StreamProps, TableOrder};
use crate::table::{Chunk, Column, ColumnType, ColumnView, KeyBlock, Name, Place, Shape, TableId};

/// Which rows come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinMethod {
    /// Those that match.
    Inner,
    /// And those of the left side that match none.
    Left,
    /// And those of the right side that match none.
    Right,
    /// And those of either side that match none.
    Full,
}

impl JoinMethod {
    /// The method of that name.
    ///
    /// # Errors
    /// Invalid for another name.
    pub fn parse(name: &str) -> Result<JoinMethod> {
        match name {
            "inner" => Ok(JoinMethod::Inner),
            "left" => Ok(JoinMethod::Left),
            "right" => Ok(JoinMethod::Right),
            "full" => Ok(JoinMethod::Full),
            _ => Err(Error::invalid(
                "invalid argument for 'method' - must be \"inner\", \"left\", \"right\", or \"full\"",
            )),
        }
    }

    fn keeps_left(self) -> bool {
        matches!(self, JoinMethod::Left | JoinMethod::Full)
    }

    fn keeps_right(self) -> bool {
        matches!(self, JoinMethod::Right | JoinMethod::Full)
    }
}

/// A column of the left side and the one of the right side that it has to be equal to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnPair {
    /// Of the left side.
    pub left: Name,
    /// Of the right side.
    pub right: Name,
}

/// `join.tables(left, right, on, as, method)` and its relatives.
#[derive(Clone, Debug)]
pub struct JoinTables {
    /// The function's name, as the script has it.
    pub name: &'static str,
    /// What has to be equal.
    pub on: Vec<OnPair>,
    /// Makes the new row.
    pub function: RowFunction,
    /// The names of its two parameters.
    pub parameters: [&'static str; 2],
    /// For each side, the columns that the function reads by name.
    pub reads: [Vec<Name>; 2],
    /// Which rows come out.
    pub method: JoinMethod,
}

impl Transform for JoinTables {
    fn name(&self) -> &'static str {
        self.name
    }

    fn operator(&self, _input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let host = self.function.hosts.host();
        Ok(Box::new(Joining { join: self.clone(), host, sides: [Side::default(), Side::default()], open: 2 }))
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        joined(input)
    }

    fn explain(&self) -> String {
        let on: Vec<String> = self.on.iter().map(|pair| format!("l.{} == r.{}", pair.left, pair.right)).collect();
        format!("on: {}, method: {:?}", on.join(" and "), self.method)
    }
}

struct Joining {
    join: JoinTables,
    host: Box<dyn Host + Send>,
    sides: [Side; 2],
    open: usize,
}

impl Operator for Joining {
    fn push(&mut self, port: usize, chunk: Chunk, _out: &mut Out) -> Result<()> {
        self.sides[port].push(chunk)
    }

    fn finish(&mut self, _port: usize, out: &mut Out) -> Result<()> {
        self.open = self.open.saturating_sub(1);
        if self.open > 0 {
            return Ok(());
        }
        let [left, right] = std::mem::take(&mut self.sides);
        let sides = [left.batches()?, right.batches()?];
        self.join.check_reads(&sides)?;
        out.chunks.extend(self.join.run(&sides, &mut self.host, out.room)?);
        Ok(())
    }

    fn memory(&self) -> usize {
        self.sides.iter().map(Side::memory).sum()
    }
}

/// Tables of both sides with one key, by number of batch and table.
#[derive(Default)]
struct Partners {
    sides: [Vec<(usize, usize)>; 2],
}

/// The pairs of tables of two batches that are on their way. Batches are numbered from zero.
struct Open {
    pairs: Pairs,
    program: Program,
}

impl JoinTables {
    /// A column that the function reads by name has to be somewhere on its side.
    fn check_reads(&self, sides: &[Vec<Batch>; 2]) -> Result<()> {
        for (side, batches) in sides.iter().enumerate().filter(|(_, batches)| !batches.is_empty()) {
            for name in &self.reads[side] {
                if batches.iter().any(|batch| batch.shape.column(name).is_some()) {
                    continue;
                }
                let what = if side == 0 { "left" } else { "right" };
                let error = Error::invalid(format!("{}: the {what} table is missing label {name}", self.name));
                let columns = batches.iter().flat_map(|batch| &batch.shape.columns);
                return Err(match nearest(name, columns.map(|column| &*column.name)) {
                    Some(near) => error.with_hint(format!("there is a column {near:?}")),
                    None => error,
                });
            }
        }
        Ok(())
    }

    /// What is compared has to be of one type.
    fn check_types(&self, left: &Shape, right: &Shape) -> Result<()> {
        for pair in &self.on {
            let (Some(own), Some(other)) = (left.column(&pair.left), right.column(&pair.right)) else { continue };
            if own.column_type != other.column_type {
                return Err(Error::failed_precondition(format!(
                    "{} cannot compare l.{} of type {} with r.{} of type {}",
                    self.name,
                    pair.left,
                    own.column_type.flux_name(),
                    pair.right,
                    other.column_type.flux_name()
                ))
                .with_hint("convert one of them first, or join on other columns"));
            }
        }
        Ok(())
    }

    fn run(&self, sides: &[Vec<Batch>; 2], host: &mut Box<dyn Host + Send>, room: usize) -> Result<Vec<Chunk>> {
        let ordered = [self.order(&sides[0], 0)?, self.order(&sides[1], 1)?];
        // What a side has where it has no table: all columns that it has anywhere.
        let absent = [absent_shape(&sides[0]), absent_shape(&sides[1])];
        let mut merger = Merger::new(TableOrder::KeySorted, Duplicates::Merge);
        let mut open: HashMap<[Option<usize>; 2], Open> = HashMap::new();
        let mut order: Vec<[Option<usize>; 2]> = Vec::new();
        let mut next: TableId = 0;
        let mut bytes = 0;
        for partners in partners(sides) {
            let (keep_left, keep_right) = (self.method.keeps_left(), self.method.keeps_right());
            for (left, right) in partners.pairs(keep_left, keep_right) {
                let batches = [left.map(|left| left.0), right.map(|right| right.0)];
                let own = match open.entry(batches) {
                    Entry::Occupied(own) => own.into_mut(),
                    Entry::Vacant(place) => {
                        let batch = |side: usize| batches[side].map(|number| &sides[side][number]);
                        let shapes = [batch(0), batch(1)];
                        let program = Program::new(self, shapes, [&absent[0], &absent[1]])?;
                        order.push(batches);
                        place.insert(Open { pairs: Pairs::default(), program })
                    }
                };
                own.pairs.begin(next, left.map(|left| left.1), right.map(|right| right.1));
                let left = left.map(|(batch, table)| (&ordered[0][batch], table));
                let right = right.map(|(batch, table)| (&ordered[1][batch], table));
                walk(left, right, |found| own.pairs.add(&found, keep_left, keep_right));
                next += TableId::from(own.pairs.end()?);
                if own.pairs.len >= MAX_CHUNK_ROWS || own.pairs.segments.len() >= MAX_CHUNK_ROWS {
                    bytes += own.pairs.len * 8 * own.program.width();
                    check_bytes("gives", bytes, room)?;
                    own.flush(self, sides, batches, host)?;
                }
            }
        }
        for batches in order {
            let Some(mut own) = open.remove(&batches) else { continue };
            own.flush(self, sides, batches, host)?;
            own.program.give(self, &mut merger)?;
        }
        merger.finish(0)?.all()
    }

    fn order(&self, batches: &[Batch], side: usize) -> Result<Vec<Ordered>> {
        let mut ordered = Vec::with_capacity(batches.len());
        for batch in batches {
            let mut columns = Vec::with_capacity(self.on.len());
            for pair in &self.on {
                let (name, what) = if side == 0 { (&pair.left, "left") } else { (&pair.right, "right") };
                columns.push(batch.shape.column(name).ok_or_else(|| {
                    let error = Error::invalid(format!(
                        "cannot set join columns in {what} table stream: table is missing column '{name}'"
                    ));
                    match nearest(name, batch.shape.columns.iter().map(|column| &*column.name)) {
                        Some(near) => error.with_hint(format!("there is a column {near:?}")),
                        None => error,
                    }
                })?);
            }
            ordered.push(Ordered::new(batch, &columns)?);
        }
        Ok(ordered)
    }
}

impl Open {
    /// Evaluates the function over the pairs that are there.
    fn flush(
        &mut self,
        join: &JoinTables,
        sides: &[Vec<Batch>; 2],
        batches: [Option<usize>; 2],
        host: &mut Box<dyn Host + Send>,
    ) -> Result<()> {
        if self.pairs.is_empty() {
            return Ok(());
        }
        let batch = |side: usize| batches[side].map(|number| &sides[side][number]);
        self.program.push(join, std::mem::take(&mut self.pairs), batch(0), batch(1), host)
    }
}

/// A table of a side: its batch and its place there.
type TableAt = (usize, usize);

impl Partners {
    /// The pairs of tables; with one side missing where that side has none and rows without a match are wanted.
    fn pairs(&self, keep_left: bool, keep_right: bool) -> Vec<(Option<TableAt>, Option<TableAt>)> {
        let [lefts, rights] = &self.sides;
        match (&lefts[..], &rights[..]) {
            (lefts, []) if keep_left => lefts.iter().map(|left| (Some(*left), None)).collect(),
            ([], rights) if keep_right => rights.iter().map(|right| (None, Some(*right))).collect(),
            (lefts, rights) => {
                let with = |left: &(usize, usize)| {
                    let left = *left;
                    rights.iter().map(move |right| (Some(left), Some(*right)))
                };
                lefts.iter().flat_map(with).collect()
            }
        }
    }
}

/// The tables of both sides by their keys, in the order in which keys come first.
fn partners(sides: &[Vec<Batch>; 2]) -> Vec<Partners> {
    let mut index = KeyIndex::default();
    let mut partners: Vec<Partners> = Vec::new();
    for (side, batches) in sides.iter().enumerate() {
        for (number, batch) in batches.iter().enumerate() {
            let columns: Vec<&Column> = batch.shape.key_columns().collect();
            let labels: Vec<_> = columns.iter().map(|column| (column.name.clone(), column.column_type)).collect();
            let (schema, order) = index.schema(&labels);
            let views: Vec<ColumnView<'_>> = order.iter().map(|at| ColumnView::of(&batch.keys[*at])).collect();
            for table in (0..batch.tables.len()).filter(|table| !batch.tables[*table].is_empty()) {
                let (key, new): (KeyNumber, bool) = index.number(schema, |at| views[at].cell(table));
                if new {
                    partners.push(Partners::default());
                }
                partners[key as usize].sides[side].push((number, table));
            }
        }
    }
    partners
}

/// All columns that tables of a side have, each of the type that it has first.
fn absent_shape(batches: &[Batch]) -> Arc<Shape> {
    let mut columns: Vec<(Name, ColumnType, bool)> = Vec::new();
    for column in batches.iter().flat_map(|batch| &batch.shape.columns) {
        if columns.iter().all(|(name, _, _)| *name != column.name) {
            columns.push((column.name.clone(), column.column_type, false));
        }
    }
    Shape::new(columns)
}

/// The function for pairs of rows of two shapes, and what it has given so far.
struct Program {
    program: RecordProgram,
    /// The shape of the chunks that it runs over: the key, the rows of the left side, those of the right side.
    shape: Arc<Shape>,
    /// Where the columns of `shape` come from.
    sources: Vec<(usize, Column)>,
    given: Vec<(Chunk, super::super::row_program::Columns)>,
}

impl Program {
    fn new(join: &JoinTables, batches: [Option<&Batch>; 2], absent: [&Arc<Shape>; 2]) -> Result<Program> {
        let Some(keyed) = batches[0].or(batches[1]) else { return Err(Error::internal("a join of no tables")) };
        if let [Some(left), Some(right)] = batches {
            join.check_types(&left.shape, &right.shape)?;
        }
        let key_side = usize::from(batches[0].is_none());
        let mut sources: Vec<(usize, Column)> = Vec::new();
        let mut columns: Vec<(Name, ColumnType, bool)> = Vec::new();
        for column in keyed.shape.key_columns() {
            sources.push((key_side, column.clone()));
            columns.push((column.name.clone(), column.column_type, true));
        }
        let key_column = |name: &Name, column_type: ColumnType| {
            keyed.shape.key_columns().position(|key| key.name == *name && key.column_type == column_type)
        };
        let mut visible: [Vec<(Name, ColumnType, Place)>; 2] = Default::default();
        let mut row = 0;
        for (side, visible) in visible.iter_mut().enumerate() {
            let shape = batches[side].map_or(absent[side], |batch| &batch.shape);
            for column in &shape.columns {
                let place = match key_column(&column.name, column.column_type) {
                    Some(key) => Place::Key(key as u32),
                    None => {
                        // Names within the chunk are of no consequence, but for being different ones.
                        columns.push((format!("{side}.{}", column.name).into(), column.column_type, false));
                        sources.push((side, column.clone()));
                        row += 1;
                        Place::Row(row - 1)
                    }
                };
                visible.push((column.name.clone(), column.column_type, place));
            }
        }
        let shape = Shape::new(columns);
        let sides = [(join.parameters[0], &visible[0][..]), (join.parameters[1], &visible[1][..])];
        let program = RecordProgram::compile_pair(join.name, &join.function, &shape, &sides)?;
        Ok(Program { program, shape, sources, given: Vec::new() })
    }

    /// How many columns a pair of rows has.
    fn width(&self) -> usize {
        self.sources.len()
    }

    fn push(
        &mut self,
        join: &JoinTables,
        pairs: Pairs,
        left: Option<&Batch>,
        right: Option<&Batch>,
        host: &mut Box<dyn Host + Send>,
    ) -> Result<()> {
        let (left_reader, right_reader) = pairs.readers(left, right);
        let readers = [left_reader, right_reader];
        let (mut keys, mut rows) = (Vec::new(), Vec::new());
        for (place, (side, column)) in self.sources.iter().enumerate() {
            let array = readers[*side].column(column)?;
            if place < self.shape.key.len() { keys.push(array) } else { rows.push(array) }
        }
        let keys = Arc::new(KeyBlock { columns: keys });
        let chunk = Chunk { shape: Arc::clone(&self.shape), keys, segments: pairs.segments, rows, len: pairs.len };
        let columns = self.program.columns(join.name, &chunk, host)?;
        self.given.push((chunk, columns));
        Ok(())
    }

    /// Gives what the function has made, the types of all columns being known.
    fn give(self, join: &JoinTables, merger: &mut Merger) -> Result<()> {
        let Some((_, first)) = self.given.first() else { return Ok(()) };
        let properties: Option<Vec<Property>> = self.program.properties();
        let names: Vec<Name> = first.properties.iter().map(|(name, _)| name.clone()).collect();
        let mut types: Vec<Option<ColumnType>> = Vec::with_capacity(names.len());
        for at in 0..names.len() {
            let known = properties.as_ref().and_then(|properties| properties[at].value_type.column_type());
            let mut own = known;
            for (_, columns) in &self.given {
                if own.is_none() {
                    own = columns.type_of(join.name, at)?;
                }
            }
            types.push(own);
        }
        for key in self.shape.key_columns() {
            let at = names.iter().position(|name| *name == key.name);
            if !at.is_some_and(|at| types[at] == Some(key.column_type) || types[at].is_none()) {
                return Err(changes_key(join, key));
            }
        }
        let typed = |at: usize| {
            let key = self.shape.key_columns().find(|key| key.name == names[at]);
            types[at].or(key.map(|key| key.column_type))
        };
        let kept: Vec<(usize, ColumnType)> = (0..names.len()).filter_map(|at| Some((at, typed(at)?))).collect();
        let is_key = |name: &Name| self.shape.is_key(name);
        let shape = Shape::new(kept.iter().map(|(at, own)| (names[*at].clone(), *own, is_key(&names[*at]))));
        let mapping = merger.mapping(Target::of_shape(&shape));
        for (chunk, columns) in &self.given {
            let (mut keys, mut rows) = (Vec::new(), Vec::new());
            for (at, column_type) in &kept {
                let unchanged = properties.as_ref().and_then(|properties| properties[*at].column);
                let key = chunk.shape.key_columns().position(|key| key.name == names[*at]);
                match (key, unchanged) {
                    (Some(key), Some(Place::Key(place))) if place as usize == key => {
                        keys.push(Arc::clone(&chunk.keys.columns[key]));
                    }
                    (Some(key), _) => {
                        let array = columns.column(join.name, *at, *column_type)?;
                        check_key(join, chunk, key, &array)?;
                        keys.push(Arc::clone(&chunk.keys.columns[key]));
                    }
                    (None, _) => rows.push(columns.column(join.name, *at, *column_type)?),
                }
            }
            let keys = Arc::new(KeyBlock { columns: keys });
            let (shape, segments, len) = (Arc::clone(&shape), chunk.segments.clone(), chunk.len);
            merger.push(mapping, Chunk { shape, keys, segments, rows, len })?;
        }
        Ok(())
    }
}

/// Whether the function has left a column of the key as it is.
fn check_key(join: &JoinTables, chunk: &Chunk, key: usize, made: &ArrayRef) -> Result<()> {
    let repeat = chunk.tables().map(|(segment, rows)| Stretch::repeat(0, segment.key_row as usize, rows.len()));
    let Some(column) = chunk.shape.key_columns().nth(key) else { return Ok(()) };
    let spread = Gather::new(repeat).column(column.column_type, |_| chunk.keys.columns.get(key))?;
    let (own, made) = (ColumnView::of(&spread), ColumnView::of(made));
    match (0..spread.len()).all(|row| own.cell(row).same(made.cell(row))) {
        true => Ok(()),
        false => Err(changes_key(join, column)),
    }
}

fn changes_key(join: &JoinTables, column: &Column) -> Error {
    Error::invalid(format!(
        "join cannot modify group key: output record has a missing or invalid value for column '{}:{}'",
        column.name,
        column.column_type.flux_name()
    ))
    .with_hint(format!(
        "{}: give the column as it is, as in {{{} with ...}}, or group both sides by other columns first",
        join.name, join.parameters[0]
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::super::testing::{row_function, run_pair};
    use super::*;
    use crate::table::testing::normal;

    fn join(method: JoinMethod, on: &[(&str, &str)], function: &str) -> JoinTables {
        let on = on.iter().map(|(left, right)| OnPair { left: (*left).into(), right: (*right).into() }).collect();
        let function = row_function(function);
        JoinTables { name: "tables", on, function, parameters: ["l", "r"], reads: Default::default(), method }
    }

    const LEFT: &str = "h:string* t:int v:int\na 1 10\na 2 20\na - 30\n\nb 1 40\n\n= c\n";
    const RIGHT: &str = "h:string* s:int w:float\na 2 0.5\na 2 1.5\na 3 2.5\na - 3.5\n\nd 1 4.5\n";
    const WITH: &str = "(l, r) => ({l with w: r.w, s: r.s})";
    const HEAD: &str = "h:string* t:int v:int w:float s:int\n";

    fn expect(method: JoinMethod, function: &str, expected: &str) {
        let shown = run_pair(&join(method, &[("t", "s")], function), LEFT, RIGHT).unwrap();
        assert_eq!(shown, normal(expected), "{method:?}");
    }

    #[test]
    fn rows_that_match_and_those_that_do_not() {
        let both = "a 2 20 0.5 2\na 2 20 1.5 2\n";
        expect(JoinMethod::Inner, WITH, &format!("{HEAD}{both}"));
        expect(JoinMethod::Left, WITH, &format!("{HEAD}a 1 10 - -\n{both}a - 30 - -\n\nb 1 40 - -\n"));
        expect(JoinMethod::Right, WITH, &format!("{HEAD}{both}a - - 2.5 3\na - - 3.5 -\n\nd - - 4.5 1\n"));
        expect(
            JoinMethod::Full,
            WITH,
            &format!("{HEAD}a 1 10 - -\n{both}a - - 2.5 3\na - 30 - -\na - - 3.5 -\n\nb 1 40 - -\n\nd - - 4.5 1\n"),
        );
    }

    #[test]
    fn a_side_without_any_table() {
        let left = join(JoinMethod::Left, &[("t", "s")], "(l, r) => ({h: l.h, v: l.v, w: r.w})");
        assert_eq!(run_pair(&left, "h:string* t:int v:int\na 1 10\n", "").unwrap(), normal("h:string* v:int\na 10\n"));
        let inner = JoinTables { method: JoinMethod::Inner, ..left };
        assert_eq!(run_pair(&inner, LEFT, "").unwrap(), "");
    }

    #[test]
    fn the_key_has_to_stay() {
        let message = |function: &str| {
            run_pair(&join(JoinMethod::Inner, &[("t", "s")], function), LEFT, RIGHT).unwrap_err().message().to_owned()
        };
        let text = "join cannot modify group key: output record has a missing or invalid value for column 'h:string'";
        assert_eq!(message("(l, r) => ({v: l.v})"), text);
        assert_eq!(message("(l, r) => ({h: \"x\", v: l.v})"), text);
        assert_eq!(message("(l, r) => ({h: 1, v: l.v})"), text);
        let same = "(l, r) => ({h: if l.v > 0 then l.h else r.h, v: l.v})";
        expect(JoinMethod::Inner, same, "h:string* v:int\na 20\na 20\n");
    }

    #[test]
    fn columns_that_are_not_there_are_refused() {
        let missing = join(JoinMethod::Inner, &[("t", "x")], WITH);
        let error = run_pair(&missing, LEFT, RIGHT).unwrap_err();
        let text = "cannot set join columns in right table stream: table is missing column 'x'";
        assert_eq!(error.message(), text);
        let reads = [vec!["v".into()], vec!["W".into()]];
        let error = run_pair(&JoinTables { reads, ..join(JoinMethod::Left, &[("t", "s")], WITH) }, LEFT, RIGHT);
        assert_eq!(error.unwrap_err().message(), "tables: the right table is missing label W");
        let error = run_pair(&join(JoinMethod::Inner, &[("v", "w")], WITH), LEFT, RIGHT).unwrap_err();
        assert_eq!(error.message(), "tables cannot compare l.v of type int with r.w of type float");
    }
}
