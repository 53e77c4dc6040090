//! `testing.assertEmpty` and `testing.assertEquals`: a stream has no rows, or is another stream exactly; else the run fails.
//!
//! Rows pass through. What `assertEquals` compares is strict: the same tables in the same order, the same columns in the
//! same order, floats bit for bit (NaN equals NaN).

use super::{Operator, Out, Transform};
use crate::error::{Error, Result};
use crate::table::cluster::Cluster;
use crate::table::scan::{Parts, StreamProps};
use crate::table::{Cell, Chunk, ColumnView, Name, Place};

/// `assertEmpty()`.
#[derive(Clone, Copy, Debug)]
pub struct ExpectEmpty;

impl Transform for ExpectEmpty {
    fn name(&self) -> &'static str {
        "assertEmpty"
    }

    fn operator(&self, _input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        Ok(Box::new(ExpectEmpty))
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        input[0]
    }
}

impl Operator for ExpectEmpty {
    fn push(&mut self, _port: usize, chunk: Chunk, out: &mut Out) -> Result<()> {
        if let Some((segment, rows)) = chunk.tables().find(|(_, rows)| !rows.is_empty()) {
            let row = Row { chunk: &chunk, key_row: segment.key_row as usize, row: rows.start };
            return Err(Error::failed_precondition(format!("expected no rows, found {}", row.text())));
        }
        out.push(chunk);
        Ok(())
    }

    fn finish(&mut self, _port: usize, _out: &mut Out) -> Result<()> {
        Ok(())
    }
}

/// `assertEquals(name, got, want)`: input 0 is what came, input 1 what was wanted.
#[derive(Clone, Debug)]
pub struct ExpectEqual {
    /// The name of the assertion, for its error.
    pub assertion: Name,
}

impl Transform for ExpectEqual {
    fn name(&self) -> &'static str {
        "assertEquals"
    }

    fn operator(&self, _input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let sides = Default::default();
        Ok(Box::new(EqualOperator { assertion: self.assertion.clone(), sides, open: 2 }))
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        StreamProps { parts: Parts::Clustered, ..input[0] }
    }

    fn explain(&self) -> String {
        format!("name: {:?}", self.assertion)
    }
}

struct EqualOperator {
    assertion: Name,
    sides: [Cluster; 2],
    open: usize,
}

impl Operator for EqualOperator {
    fn push(&mut self, port: usize, chunk: Chunk, _out: &mut Out) -> Result<()> {
        self.sides[port].push(chunk);
        Ok(())
    }

    fn finish(&mut self, _port: usize, out: &mut Out) -> Result<()> {
        self.open -= 1;
        if self.open > 0 {
            return Ok(());
        }
        let [got, want] = std::mem::take(&mut self.sides);
        let (got, want) = (got.finish()?, want.finish()?);
        if let Some(difference) = difference(&got, &want) {
            return Err(Error::failed_precondition(format!("{}: {difference}", self.assertion)));
        }
        out.chunks.extend(got);
        Ok(())
    }

    fn memory(&self) -> usize {
        self.sides.iter().map(Cluster::memory).sum()
    }
}

/// A row of a chunk.
struct Row<'a> {
    chunk: &'a Chunk,
    key_row: usize,
    row: usize,
}

impl<'a> Row<'a> {
    fn cell(&self, place: Place) -> Cell<'a> {
        match place {
            Place::Key(index) => ColumnView::of(&self.chunk.keys.columns[index as usize]).cell(self.key_row),
            Place::Row(index) => ColumnView::of(&self.chunk.rows[index as usize]).cell(self.row),
        }
    }

    fn text(&self) -> String {
        let columns = self.chunk.shape.columns.iter();
        let cells = columns.map(|column| format!("{}: {}", column.name, self.cell(column.place)));
        format!("{{{}}}", cells.collect::<Vec<_>>().join(", "))
    }

    fn same(&self, other: &Row<'_>) -> bool {
        let own = self.chunk.shape.columns.iter();
        own.zip(&other.chunk.shape.columns).all(|(own, column)| {
            match (self.cell(own.place), other.cell(column.place)) {
                (Cell::Float(own), Cell::Float(other)) => {
                    own.to_bits() == other.to_bits() || (own.is_nan() && other.is_nan())
                }
                (own, other) => own == other,
            }
        })
    }
}

/// A table of a clustered stream, part after part.
struct Table<'a> {
    parts: Vec<(&'a Chunk, usize, std::ops::Range<usize>)>,
}

fn tables(chunks: &[Chunk]) -> Vec<Table<'_>> {
    let mut tables: Vec<Table<'_>> = Vec::new();
    let mut open = None;
    for chunk in chunks {
        for (segment, rows) in chunk.tables() {
            if open.replace(segment.table) != Some(segment.table) {
                tables.push(Table { parts: Vec::new() });
            }
            if let Some(table) = tables.last_mut() {
                table.parts.push((chunk, segment.key_row as usize, rows));
            }
        }
    }
    tables
}

impl<'a> Table<'a> {
    fn rows(&self) -> impl Iterator<Item = Row<'a>> + '_ {
        self.parts
            .iter()
            .flat_map(|(chunk, key_row, rows)| rows.clone().map(move |row| Row { chunk, key_row: *key_row, row }))
    }
}

/// What is different first, in words.
fn difference(got: &[Chunk], want: &[Chunk]) -> Option<String> {
    let (got, want) = (tables(got), tables(want));
    if got.len() != want.len() {
        return Some(format!("expected {} tables, found {}", want.len(), got.len()));
    }
    for (number, (got, want)) in got.iter().zip(&want).enumerate() {
        let shape = |table: &Table<'_>| {
            let columns = table.parts[0].0.shape.columns.iter();
            let column = |column: &crate::table::Column| {
                let key = if matches!(column.place, Place::Key(_)) { " in the key" } else { "" };
                format!("{}: {}{key}", column.name, column.column_type.flux_name())
            };
            format!("{{{}}}", columns.map(column).collect::<Vec<_>>().join(", "))
        };
        let (got_shape, want_shape) = (shape(got), shape(want));
        if got_shape != want_shape {
            return Some(format!("expected the columns {want_shape} in table {number}, found {got_shape}"));
        }
        let (mut got_rows, mut want_rows) = (got.rows(), want.rows());
        for row in 0.. {
            match (got_rows.next(), want_rows.next()) {
                (None, None) => break,
                (Some(got), Some(want)) if want.same(&got) => {}
                (got, want) => {
                    let text = |row: Option<Row<'_>>| row.map_or_else(|| "no row".to_string(), |row| row.text());
                    let (want, got) = (text(want), text(got));
                    return Some(format!("expected {want} as row {row} of table {number}, found {got}"));
                }
            }
        }
    }
    None
}
