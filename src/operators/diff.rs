//! `diff`: where two streams differ, table by table and row by row; for tests of scripts.
//!
//! Tables pair by group key, columns by name; rows stand against each other in order. A column that one side lacks is null
//! there, and so is a missing table. Floats may differ a little; NaN equals NaN and nothing else. Equal tables give nothing.
//! Both inputs are held until both have ended.

use std::ops::Range;
use std::sync::Arc;

use super::{Operator, Out, Transform};
use crate::error::{Error, Result};
use crate::table::builder::ChunkBuilder;
use crate::table::cluster::Cluster;
use crate::table::key::{KeyIndex, KeyNumber};
use crate::table::scan::{Parts, StreamProps, TableOrder};
use crate::table::{Cell, Chunk, ColumnType, ColumnView, Name, Place, Shape, TableId};

/// The column that tells on which side a row is.
pub const DIFF_COLUMN: &str = "_diff";

/// So far apart floats still count as equal.
pub const EPSILON: f64 = 1e-6;

/// Pairs of rows that are compared at most for the shortest account of a table; beyond that all of its rows are told apart.
const MOST_PAIRS: usize = 4_000_000;

/// `diff(got, want)`: input 0 is what came, input 1 what was wanted.
#[derive(Clone, Copy, Debug)]
pub struct Diff {
    /// So far apart floats still count as equal.
    pub epsilon: f64,
}

impl Transform for Diff {
    fn name(&self) -> &'static str {
        "diff"
    }

    fn operator(&self, _input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        Ok(Box::new(DiffOperator { epsilon: self.epsilon, sides: Default::default(), open: 2 }))
    }

    fn gives(&self, _input: &[StreamProps]) -> StreamProps {
        StreamProps {
            parts: Parts::Clustered,
            tables: TableOrder::KeySorted,
            rows_by_time: false,
            unique_keys: true,
            one_shape: false,
            bounds: None,
        }
    }
}

struct DiffOperator {
    epsilon: f64,
    sides: [Cluster; 2],
    open: usize,
}

impl Operator for DiffOperator {
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
        let mut keys = KeyIndex::default();
        let got = Side::new(got.finish()?, &mut keys);
        let want = Side::new(want.finish()?, &mut keys);
        let mut tables = 0;
        for key in keys.sorted() {
            let pair = Pair::new(want.table(key), got.table(key))?;
            if let Some(rows) = pair.account(self.epsilon) {
                out.chunks.extend(pair.chunks(tables, &rows)?);
                tables += 1;
            }
        }
        Ok(())
    }

    fn memory(&self) -> usize {
        self.sides.iter().map(Cluster::memory).sum()
    }
}

/// One input, its tables by key.
struct Side {
    chunks: Vec<Chunk>,
    /// Of each key its parts: chunk, key row, rows.
    tables: Vec<Vec<(usize, u32, Range<usize>)>>,
}

impl Side {
    fn new(chunks: Vec<Chunk>, keys: &mut KeyIndex) -> Side {
        let mut tables: Vec<Vec<(usize, u32, Range<usize>)>> = Vec::new();
        for (number, chunk) in chunks.iter().enumerate() {
            let columns: Vec<(Name, ColumnType)> =
                chunk.shape.key_columns().map(|column| (column.name.clone(), column.column_type)).collect();
            let (schema, order) = keys.schema(&columns);
            let views: Vec<ColumnView<'_>> = order.iter().map(|at| ColumnView::of(&chunk.keys.columns[*at])).collect();
            for (segment, rows) in chunk.tables() {
                let (key, _) = keys.number(schema, |at| views[at].cell(segment.key_row as usize));
                tables.resize_with(tables.len().max(key as usize + 1), Vec::new);
                tables[key as usize].push((number, segment.key_row, rows));
            }
        }
        Side { chunks, tables }
    }

    fn table(&self, key: KeyNumber) -> Table<'_> {
        let parts = self.tables.get(key as usize).map_or(&[][..], Vec::as_slice);
        let parts = parts.iter().map(|(chunk, key_row, rows)| Part {
            chunk: &self.chunks[*chunk],
            key_row: *key_row as usize,
            rows: rows.clone(),
            views: Vec::new(),
        });
        Table { parts: parts.collect() }
    }
}

/// One table of a side; without parts if the side lacks it.
struct Table<'a> {
    parts: Vec<Part<'a>>,
}

struct Part<'a> {
    chunk: &'a Chunk,
    key_row: usize,
    rows: Range<usize>,
    /// The columns of the pair: where they are in this chunk.
    views: Vec<Option<(ColumnView<'a>, bool)>>,
}

impl<'a> Part<'a> {
    fn see(&mut self, columns: &[(Name, ColumnType, bool)]) {
        let chunk = self.chunk;
        let view = |name: &Name| {
            chunk.shape.column(name).map(|column| match column.place {
                Place::Key(index) => (ColumnView::of(&chunk.keys.columns[index as usize]), true),
                Place::Row(index) => (ColumnView::of(&chunk.rows[index as usize]), false),
            })
        };
        self.views = columns.iter().map(|(name, _, _)| view(name)).collect();
    }

    fn cell(&self, column: usize, row: usize) -> Cell<'a> {
        match self.views[column] {
            None => Cell::Null,
            Some((view, true)) => view.cell(self.key_row),
            Some((view, false)) => view.cell(row),
        }
    }
}

/// A row of a table: part and row there.
type RowAt = (usize, usize);

impl<'a> Table<'a> {
    fn rows(&self) -> Vec<RowAt> {
        self.parts.iter().enumerate().flat_map(|(part, own)| own.rows.clone().map(move |row| (part, row))).collect()
    }

    fn cell(&self, column: usize, (part, row): RowAt) -> Cell<'a> {
        self.parts[part].cell(column, row)
    }
}

/// The tables of one key on both sides, with the columns of either.
struct Pair<'a> {
    want: Table<'a>,
    got: Table<'a>,
    /// Name, type, whether it is in the key.
    columns: Vec<(Name, ColumnType, bool)>,
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Told {
    Both(RowAt),
    WantOnly(RowAt),
    GotOnly(RowAt),
}

impl<'a> Pair<'a> {
    fn new(mut want: Table<'a>, mut got: Table<'a>) -> Result<Pair<'a>> {
        let mut columns: Vec<(Name, ColumnType, bool)> = Vec::new();
        for part in want.parts.iter().chain(&got.parts) {
            for column in &part.chunk.shape.columns {
                let in_key = matches!(column.place, Place::Key(_));
                if in_key && &*column.name == DIFF_COLUMN {
                    return Err(Error::failed_precondition(format!("group key cannot contain {DIFF_COLUMN} column")));
                }
                match columns.iter().find(|(name, _, _)| *name == column.name) {
                    None => columns.push((column.name.clone(), column.column_type, in_key)),
                    Some((_, known, _)) if *known == column.column_type => {}
                    Some((name, known, _)) => {
                        let (known, other) = (known.flux_name(), column.column_type.flux_name());
                        return Err(Error::failed_precondition(format!(
                            "column {name:?} has different types {known} != {other}"
                        )));
                    }
                }
            }
        }
        columns.retain(|(name, _, _)| &**name != DIFF_COLUMN);
        for part in want.parts.iter_mut().chain(&mut got.parts) {
            part.see(&columns);
        }
        Ok(Pair { want, got, columns })
    }

    fn same(&self, want: RowAt, got: RowAt, epsilon: f64) -> bool {
        (0..self.columns.len()).all(|column| match (self.want.cell(column, want), self.got.cell(column, got)) {
            (Cell::Float(want), Cell::Float(got)) => {
                want == got || (want - got).abs() <= epsilon || (want.is_nan() && got.is_nan())
            }
            (want, got) => want == got,
        })
    }

    /// All rows of both sides in order, each told where it is; `None` if both sides have the same rows.
    fn account(&self, epsilon: f64) -> Option<Vec<Told>> {
        if self.columns.is_empty() {
            // Rows without columns say nothing.
            return None;
        }
        let (want, got) = (self.want.rows(), self.got.rows());
        let pairs = || want.iter().zip(&got);
        let head = pairs().take_while(|(want, got)| self.same(**want, **got, epsilon)).count();
        if head == want.len() && head == got.len() {
            return None;
        }
        let rest = |rows: &[RowAt]| rows[head..].to_vec();
        let (want_rest, got_rest) = (rest(&want), rest(&got));
        let tail = want_rest.iter().rev().zip(got_rest.iter().rev());
        let tail = tail.take_while(|(want, got)| self.same(**want, **got, epsilon)).count();
        let (want_rest, want_tail) = want_rest.split_at(want_rest.len() - tail);
        let got_rest = &got_rest[..got_rest.len() - tail];
        let mut told: Vec<Told> = want[..head].iter().map(|row| Told::Both(*row)).collect();
        self.middle(want_rest, got_rest, epsilon, &mut told);
        told.extend(want_tail.iter().map(|row| Told::Both(*row)));
        Some(told)
    }

    /// The rows between an equal beginning and an equal end: by a longest common subsequence.
    fn middle(&self, want: &[RowAt], got: &[RowAt], epsilon: f64, told: &mut Vec<Told>) {
        let width = got.len() + 1;
        if want.len().saturating_mul(got.len()) > MOST_PAIRS {
            told.extend(want.iter().map(|row| Told::WantOnly(*row)));
            told.extend(got.iter().map(|row| Told::GotOnly(*row)));
            return;
        }
        // lengths[i * width + j]: the longest of what follows row i of want and row j of got.
        let mut lengths = vec![0_u32; (want.len() + 1) * width];
        for i in (0..want.len()).rev() {
            for j in (0..got.len()).rev() {
                lengths[i * width + j] = if self.same(want[i], got[j], epsilon) {
                    lengths[(i + 1) * width + j + 1] + 1
                } else {
                    lengths[(i + 1) * width + j].max(lengths[i * width + j + 1])
                };
            }
        }
        let (mut i, mut j) = (0, 0);
        while i < want.len() || j < got.len() {
            if i < want.len() && j < got.len() && self.same(want[i], got[j], epsilon) {
                told.push(Told::Both(want[i]));
                (i, j) = (i + 1, j + 1);
            } else if j == got.len() || (i < want.len() && lengths[(i + 1) * width + j] >= lengths[i * width + j + 1]) {
                told.push(Told::WantOnly(want[i]));
                i += 1;
            } else {
                told.push(Told::GotOnly(got[j]));
                j += 1;
            }
        }
    }

    /// The account as a table: the key is that of the pair, `_diff` stands in front.
    fn chunks(&self, table: TableId, rows: &[Told]) -> Result<Vec<Chunk>> {
        let diff = (Name::from(DIFF_COLUMN), ColumnType::String, false);
        let shape = Shape::new(std::iter::once(diff).chain(self.columns.iter().cloned()));
        let mut builder = ChunkBuilder::new(Arc::clone(&shape));
        let side = if self.want.parts.is_empty() { &self.got } else { &self.want };
        let key_row = (0, side.parts.first().map_or(0, |part| part.rows.start));
        let columns = || self.columns.iter().enumerate();
        builder.begin_table(table, columns().filter(|(_, own)| own.2).map(|(at, _)| side.cell(at, key_row)))?;
        for told in rows {
            let (mark, side, row) = match told {
                Told::Both(row) => ("", &self.want, *row),
                Told::WantOnly(row) => ("-", &self.want, *row),
                Told::GotOnly(row) => ("+", &self.got, *row),
            };
            let cells = columns().filter(|(_, own)| !own.2).map(|(at, _)| side.cell(at, row));
            builder.push_row(std::iter::once(Cell::String(mark)).chain(cells))?;
        }
        builder.end_table();
        Ok(builder.finish())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::table::testing::{show, tables};

    fn diff(got: &str, want: &str) -> Result<String> {
        let transform = Diff { epsilon: EPSILON };
        let props = transform.gives(&[]);
        let mut operator = transform.operator(&[props, props])?;
        let mut out = Out::default();
        for (port, text) in [(0, got), (1, want)] {
            for chunk in tables(text) {
                operator.push(port, chunk, &mut out)?;
            }
        }
        operator.finish(0, &mut out)?;
        operator.finish(1, &mut out)?;
        Ok(show(&out.chunks))
    }

    #[test]
    fn equal_streams_give_nothing_whatever_the_order_of_tables_and_columns() {
        let got = "h:string* v:float w:int\na 1.0 1\n\nb 2.0 -\n";
        let want = "w:int v:float h:string*\n- 2.0000005 b\n\n1 1.0 a\n";
        assert_eq!(diff(got, want).unwrap(), "");
        // A column of nulls is as good as none, an empty table as none.
        assert_eq!(diff("v:int\n1\n", "v:int w:string\n1 -\n").unwrap(), "");
        assert_eq!(diff("h:string* v:int\n\n= a\n", "h:string* v:int\n").unwrap(), "");
        assert_eq!(diff("v:float\nNaN\ninf\n-\n", "v:float\nNaN\ninf\n-\n").unwrap(), "");
    }

    #[test]
    fn not_a_number_equals_itself_only() {
        assert_ne!(diff("v:float\nNaN\n", "v:float\n1.0\n").unwrap(), "");
        assert_ne!(diff("v:float\n1.0\n", "v:float\nNaN\n").unwrap(), "");
        assert_ne!(diff("v:float\ninf\n", "v:float\n-inf\n").unwrap(), "");
        assert_ne!(diff("v:int\n-\n", "v:int\n0\n").unwrap(), "");
    }

    #[test]
    fn types_have_to_agree() {
        let error = diff("v:float\n1.0\n", "v:int\n1\n").unwrap_err();
        assert_eq!(error.message(), "column \"v\" has different types int != float");
    }
}
