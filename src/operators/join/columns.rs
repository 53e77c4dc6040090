//! `join(tables, on)`: rows of two streams that agree on some columns (flux-semantics 10).
//!
//! Each pair of tables that agree on the columns that are in the keys of both becomes a table, sorted by the columns joined
//! on. Columns come in the order of their names; a name that both sides have gets the side's name behind it. Null is equal
//! to nothing. Tables that lack a column joined on give nothing.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::{Operator, Out, Transform};
use super::pairs::Pairs;
use super::rows::{Match, Ordered, walk};
use super::side::{Batch, Side, check_bytes};
use crate::error::{Error, Result};
use crate::table::chunk::MAX_CHUNK_ROWS;
use crate::table::key::{KeyIndex, KeyNumber};
use crate::table::merge::{Duplicates, Merger, Target};
use crate::table::scan::{Parts, StreamProps, TableOrder};
use crate::table::{Bounds, Cell, Chunk, Column, ColumnType, ColumnView, KeyBlock, Name, Place, Shape, TableId};

/// `join(tables: {first: ..., second: ...}, on)`, inner.
#[derive(Clone, Debug)]
pub struct JoinColumns {
    /// The names of the two inputs.
    names: [Name; 2],
    /// The columns, sorted, each once.
    on: Vec<Name>,
}

impl JoinColumns {
    /// On these columns; the inputs have these names.
    pub fn new(names: [Name; 2], mut on: Vec<Name>) -> JoinColumns {
        on.sort();
        on.dedup();
        JoinColumns { names, on }
    }
}

impl Transform for JoinColumns {
    fn name(&self) -> &'static str {
        "join"
    }

    fn operator(&self, _input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        Ok(Box::new(Joining { join: self.clone(), sides: [Side::default(), Side::default()], open: 2 }))
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        joined(input)
    }

    fn explain(&self) -> String {
        let on: Vec<String> = self.on.iter().map(|name| format!("{name:?}")).collect();
        format!("tables: {{{}, {}}}, on: [{}]", self.names[0], self.names[1], on.join(", "))
    }
}

/// What is known of joined tables.
pub(super) fn joined(input: &[StreamProps]) -> StreamProps {
    let bounds = input.iter().filter_map(|props| props.bounds).reduce(|left, right| Bounds {
        start_ns: left.start_ns.min(right.start_ns),
        stop_ns: left.stop_ns.max(right.stop_ns),
    });
    StreamProps {
        parts: Parts::Clustered,
        tables: TableOrder::KeySorted,
        rows_by_time: false,
        unique_keys: true,
        one_shape: false,
        bounds,
    }
}

struct Joining {
    join: JoinColumns,
    sides: [Side; 2],
    open: usize,
}

impl Operator for Joining {
    fn push(&mut self, port: usize, chunk: Chunk, _out: &mut Out) -> Result<()> {
        self.sides[port].push(chunk)
    }

    fn finish(&mut self, _port: usize, out: &mut Out) -> Result<()> {
        self.open = self.open.saturating_sub(1);
        if self.open == 0 {
            let [left, right] = std::mem::take(&mut self.sides);
            out.chunks.extend(self.join.run(&left.batches()?, &right.batches()?, out.room)?);
        }
        Ok(())
    }

    fn memory(&self) -> usize {
        self.sides.iter().map(Side::memory).sum()
    }
}

/// A column that comes out.
struct OutColumn<'a> {
    name: Name,
    in_key: bool,
    /// The side it comes from, and the column there.
    side: usize,
    column: &'a Column,
}

/// What becomes of the pairs of tables of two shapes.
struct Pairing<'a> {
    /// The columns that are in the keys of both, and those that are not, as each side has them.
    in_keys: [Vec<&'a Column>; 2],
    in_rows: [Vec<&'a Column>; 2],
    columns: Vec<OutColumn<'a>>,
}

impl JoinColumns {
    fn run(&self, left: &[Batch], right: &[Batch], room: usize) -> Result<Vec<Chunk>> {
        let mut merger = Merger::new(TableOrder::KeySorted, Duplicates::Merge);
        let mut ordered: HashMap<(usize, usize, Vec<Place>), Arc<Ordered>> = HashMap::new();
        let mut order = |side: usize, number: usize, batch: &Batch, columns: &[&Column]| -> Result<Arc<Ordered>> {
            let key = (side, number, columns.iter().map(|column| column.place).collect());
            if let Some(known) = ordered.get(&key) {
                return Ok(Arc::clone(known));
            }
            let new = Arc::new(Ordered::new(batch, columns)?);
            ordered.insert(key, Arc::clone(&new));
            Ok(new)
        };
        let mut next: TableId = 0;
        let mut bytes = 0;
        for (left_number, left_batch) in left.iter().enumerate() {
            for (right_number, right_batch) in right.iter().enumerate() {
                let Some(pairing) = self.pairing(&left_batch.shape, &right_batch.shape)? else { continue };
                let lefts = order(0, left_number, left_batch, &pairing.in_rows[0])?;
                let rights = order(1, right_number, right_batch, &pairing.in_rows[1])?;
                let shape = Shape::new(
                    pairing.columns.iter().map(|own| (own.name.clone(), own.column.column_type, own.in_key)),
                );
                let mapping = merger.mapping(Target::of_shape(&shape));
                let width = left_batch.row_width() + right_batch.row_width();
                let mut pairs = Pairs::default();
                for (left_table, right_tables) in pairing.partners(left_batch, right_batch) {
                    for right_table in right_tables.iter().copied() {
                        pairs.begin(next, Some(left_table), Some(right_table));
                        walk(Some((&lefts, left_table)), Some((&rights, right_table)), |found| {
                            if matches!(found, Match::Both(..)) {
                                pairs.add(&found, false, false);
                            }
                        });
                        next += TableId::from(pairs.end()?);
                        if pairs.len >= MAX_CHUNK_ROWS || pairs.segments.len() >= MAX_CHUNK_ROWS {
                            bytes += pairs.len * width;
                            check_bytes("gives", bytes, room)?;
                            merger.push(
                                mapping,
                                pairing.chunk(&shape, std::mem::take(&mut pairs), left_batch, right_batch)?,
                            )?;
                        }
                    }
                }
                if !pairs.is_empty() {
                    merger.push(mapping, pairing.chunk(&shape, pairs, left_batch, right_batch)?)?;
                }
            }
        }
        merger.finish(0)?.all()
    }

    /// What becomes of tables of two shapes; `None` if one of them lacks a column that is joined on.
    fn pairing<'a>(&self, left: &'a Shape, right: &'a Shape) -> Result<Option<Pairing<'a>>> {
        let mut pairing = Pairing { in_keys: Default::default(), in_rows: Default::default(), columns: Vec::new() };
        for name in &self.on {
            let (Some(own), Some(other)) = (left.column(name), right.column(name)) else { return Ok(None) };
            if own.column_type != other.column_type {
                return Err(self.two_types(name, own.column_type, other.column_type));
            }
            let is_key = |column: &Column| matches!(column.place, Place::Key(_));
            let of = if is_key(own) && is_key(other) { &mut pairing.in_keys } else { &mut pairing.in_rows };
            of[0].push(own);
            of[1].push(other);
            // Where one side has it in the key, its value is that of the key.
            let (side, column) = if is_key(other) && !is_key(own) { (1, other) } else { (0, own) };
            pairing.columns.push(OutColumn { name: name.clone(), in_key: is_key(column), side, column });
        }
        for (side, (shape, other)) in [(left, right), (right, left)].into_iter().enumerate() {
            for column in shape.columns.iter().filter(|column| !self.on.contains(&column.name)) {
                let name = match other.column(&column.name) {
                    Some(_) => format!("{}_{}", column.name, self.names[side]).into(),
                    None => column.name.clone(),
                };
                let in_key = matches!(column.place, Place::Key(_));
                pairing.columns.push(OutColumn { name, in_key, side, column });
            }
        }
        pairing.columns.sort_by(|left, right| left.name.cmp(&right.name));
        if let Some(pair) = pairing.columns.windows(2).find(|pair| pair[0].name == pair[1].name) {
            let name = &pair[0].name;
            return Err(Error::failed_precondition(format!("join would give two columns of the name {name:?}"))
                .with_hint(
                    "a column that both sides have gets the name of its side: rename the one that is in the way",
                ));
        }
        Ok(Some(pairing))
    }

    fn two_types(&self, column: &str, left: ColumnType, right: ColumnType) -> Error {
        let [first, second] = &self.names;
        Error::failed_precondition(format!(
            "join cannot compare column {column:?}: it is of type {} in {first} and of type {} in {second}",
            left.flux_name(),
            right.flux_name()
        ))
        .with_hint("convert one of them first, or join on other columns")
    }
}

impl Pairing<'_> {
    /// The tables of the right side that go with each table of the left side.
    fn partners(&self, left: &Batch, right: &Batch) -> Vec<(usize, Arc<[usize]>)> {
        if self.in_keys[0].is_empty() {
            let all: Arc<[usize]> = (0..right.tables.len()).collect();
            return (0..left.tables.len()).map(|table| (table, Arc::clone(&all))).collect();
        }
        let mut index = KeyIndex::default();
        let lefts = key_numbers(&mut index, left, &self.in_keys[0]);
        let rights = key_numbers(&mut index, right, &self.in_keys[1]);
        let mut by_key: HashMap<KeyNumber, Vec<usize>> = HashMap::new();
        for (table, number) in rights.iter().enumerate() {
            if let Some(number) = number {
                by_key.entry(*number).or_default().push(table);
            }
        }
        let by_key: HashMap<KeyNumber, Arc<[usize]>> =
            by_key.into_iter().map(|(number, tables)| (number, tables.into())).collect();
        let partners = |number: &Option<KeyNumber>| by_key.get(number.as_ref()?).map(Arc::clone);
        lefts.iter().enumerate().filter_map(|(table, number)| Some((table, partners(number)?))).collect()
    }

    fn chunk(&self, shape: &Arc<Shape>, pairs: Pairs, left: &Batch, right: &Batch) -> Result<Chunk> {
        let (left, right) = pairs.readers(Some(left), Some(right));
        let readers = [left, right];
        let (mut keys, mut rows) = (Vec::new(), Vec::new());
        for own in &self.columns {
            let array = readers[own.side].column(own.column)?;
            if own.in_key { keys.push(array) } else { rows.push(array) }
        }
        let keys = Arc::new(KeyBlock { columns: keys });
        Ok(Chunk { shape: Arc::clone(shape), keys, segments: pairs.segments, rows, len: pairs.len })
    }
}

/// The number of each table by some columns of its key; `None` where one of them is null.
fn key_numbers(index: &mut KeyIndex, batch: &Batch, columns: &[&Column]) -> Vec<Option<KeyNumber>> {
    let labels: Vec<_> = columns.iter().map(|column| (column.name.clone(), column.column_type)).collect();
    let (schema, order) = index.schema(&labels);
    let view = |at: &usize| match columns[*at].place {
        Place::Key(place) => Some(ColumnView::of(&batch.keys[place as usize])),
        Place::Row(_) => None,
    };
    let views: Vec<ColumnView<'_>> = order.iter().filter_map(view).collect();
    let mut numbers = Vec::with_capacity(batch.tables.len());
    for table in 0..batch.tables.len() {
        let null = views.iter().any(|view| view.cell(table) == Cell::Null);
        numbers.push((!null).then(|| index.number(schema, |at| views[at].cell(table)).0));
    }
    numbers
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::super::testing::run_pair;
    use super::*;

    fn join(on: &[&str]) -> JoinColumns {
        JoinColumns::new(["x".into(), "y".into()], on.iter().map(|name| Name::from(*name)).collect())
    }

    fn expect(on: &[&str], left: &str, right: &str, expected: &str) {
        let shown = run_pair(&join(on), left, right).unwrap();
        assert_eq!(shown, crate::table::testing::normal(expected));
    }

    /// The example of flux-semantics 16.6, then several rows of one value, nulls, and rows out of order.
    #[test]
    fn rows_that_agree_stand_side_by_side() {
        let left = "t:int v:int\n1 10\n2 20\n";
        let right = "t:int v:int\n2 200\n3 300\n";
        expect(&["t"], left, right, "t:int v_x:int v_y:int\n2 20 200\n");
        let left = "t:int v:int\n3 1\n- 2\n1 3\n3 4\n";
        let right = "w:string t:int\np 3\nq 1\nr -\ns 3\n";
        expect(&["t"], left, right, "t:int v:int w:string\n1 3 q\n3 1 p\n3 1 s\n3 4 p\n3 4 s\n");
        expect(&["t"], left, "", "");
        expect(&["t"], left, "t:int\n9\n", "");
    }

    /// flux-semantics 10: tables whose keys agree on what is joined on; the key is that of both.
    #[test]
    fn tables_pair_by_their_keys() {
        let left = "h:string* t:int v:int\na 1 10\na 2 20\n\nb 1 30\n\n= c\n\n- 1 40\n";
        let right = "h:string* k:string* t:int v:int\na p 2 5\n\na q 1 6\na q 2 7\n\nc p 1 8\n\n- p 1 9\n";
        let expected = "h:string* k:string* t:int v_x:int v_y:int\na p 2 20 5\n\na q 1 10 6\na q 2 20 7\n";
        expect(&["t", "h"], left, right, expected);
        let expected = "h_x:string* h_y:string* k:string* t:int v_x:int v_y:int\n- - p 1 40 9\n\n- a q 1 40 6\n\n- c p 1 40 8\n\n\
                        a - p 1 10 9\n\na a p 2 20 5\n\na a q 1 10 6\na a q 2 20 7\n\na c p 1 10 8\n\n\
                        b - p 1 30 9\n\nb a q 1 30 6\n\nb c p 1 30 8\n";
        expect(&["t"], left, right, expected);
    }

    #[test]
    fn a_column_may_be_in_the_key_of_one_side_only() {
        let left = "h:string* v:int\na 1\n\nb 2\n";
        let right = "h:string w:int\nb 5\na 6\nb 7\n";
        expect(&["h"], left, right, "h:string* v:int w:int\na 1 6\n\nb 2 5\nb 2 7\n");
        expect(&["h"], right, left, "h:string* v:int w:int\na 1 6\n\nb 2 5\nb 2 7\n");
    }

    #[test]
    fn tables_without_a_column_give_nothing_and_types_must_agree() {
        expect(&["t"], "v:int\n1\n\nt:int v:int\n1 2\n", "t:int\n1\n", "t:int v:int\n1 2\n");
        let error = run_pair(&join(&["t"]), "t:int\n1\n", "t:string\n1\n").unwrap_err();
        assert_eq!(error.message(), "join cannot compare column \"t\": it is of type int in x and of type string in y");
        let error = run_pair(&join(&["t"]), "t:int v:int v_x:int\n1 1 1\n", "t:int v:int\n1 1\n").unwrap_err();
        assert_eq!(error.message(), "join would give two columns of the name \"v_x\"");
    }

    #[test]
    fn a_product_without_end_is_refused() {
        let rows = "t:int\n".to_owned() + &"1\n".repeat(5_000);
        let mut operator = join(&["t"]).operator(&[]).unwrap();
        let mut out = Out::default();
        for port in [0, 1] {
            for chunk in crate::table::testing::tables(&rows) {
                operator.push(port, chunk, &mut out).unwrap();
            }
        }
        operator.finish(0, &mut out).unwrap();
        let error = operator.finish(1, &mut out).unwrap_err();
        assert_eq!(error.message(), "join has more than 16777216 pairs of rows for two tables");
    }

    #[test]
    fn each_type_can_be_joined_on() {
        let left = "b:bool f:float s:string u:uint n:int\ntrue 0.0 x 1 1\nfalse NaN y 2 2\ntrue 1.5 x 1 3\n";
        let right = "b:bool f:float s:string u:uint m:int\ntrue -0.0 x 1 4\ntrue 1.5 x 1 5\nfalse 2.0 y 2 6\n";
        let expected = "b:bool f:float m:int n:int s:string u:uint\ntrue 0.0 4 1 x 1\ntrue 1.5 5 3 x 1\n";
        expect(&["b", "f", "s", "u"], left, right, expected);
    }
}
