//! Builds chunks table by table and row by row: annotated CSV, rows that a script holds, expectations of tests.
//!
//! Called where data is not columnar yet. Operators move whole columns and do not come here.

use std::sync::Arc;

use arrow::array::ArrayRef;

use super::chunk::MAX_CHUNK_ROWS;
use super::{Cell, Chunk, ColumnBuilder, KeyBlock, Segment, Shape, TableId};
use crate::error::Result;

/// Chunks of one shape in the making. All of them share one key block.
#[derive(Debug)]
pub struct ChunkBuilder {
    shape: Arc<Shape>,
    keys: Vec<ColumnBuilder>,
    key_rows: u32,
    rows: Vec<ColumnBuilder>,
    len: usize,
    segments: Vec<Segment>,
    full: Vec<(Vec<Segment>, Vec<ArrayRef>, usize)>,
}

impl ChunkBuilder {
    /// No tables yet.
    pub fn new(shape: Arc<Shape>) -> Self {
        let keys = shape.key_columns().map(|column| ColumnBuilder::new(column.column_type)).collect();
        let rows = shape.row_columns().map(|column| ColumnBuilder::new(column.column_type)).collect();
        ChunkBuilder { shape, keys, key_rows: 0, rows, len: 0, segments: Vec::new(), full: Vec::new() }
    }

    /// The shape of all tables.
    pub fn shape(&self) -> &Arc<Shape> {
        &self.shape
    }

    /// Begins a table; the key's values are in the order of the key block.
    pub fn begin_table<'a>(&mut self, table: TableId, key: impl IntoIterator<Item = Cell<'a>>) -> Result<()> {
        for (builder, cell) in self.keys.iter_mut().zip(key) {
            builder.push(cell)?;
        }
        if self.segments.len() == MAX_CHUNK_ROWS {
            self.cut();
        }
        self.segments.push(Segment { table, key_row: self.key_rows, end: self.len as u32, done: false });
        self.key_rows += 1;
        Ok(())
    }

    /// Appends a row to the table that was begun last; values in the order of [`Shape::row_columns`].
    pub fn push_row<'a>(&mut self, cells: impl IntoIterator<Item = Cell<'a>>) -> Result<()> {
        for (builder, cell) in self.rows.iter_mut().zip(cells) {
            builder.push(cell)?;
        }
        self.end_row();
        Ok(())
    }

    /// Appends the value of row column `column` of the row in the making; [`ChunkBuilder::end_row`] follows when every
    /// row column has got its value.
    pub fn push_cell(&mut self, column: usize, cell: Cell<'_>) -> Result<()> {
        self.rows[column].push(cell)
    }

    /// The row in the making is complete.
    pub fn end_row(&mut self) {
        self.len += 1;
        if let Some(segment) = self.segments.last_mut() {
            segment.end = self.len as u32;
        }
        if self.len == MAX_CHUNK_ROWS {
            let open = self.segments.last().copied();
            self.cut();
            self.segments.extend(open.map(|segment| Segment { end: 0, ..segment }));
        }
    }

    /// Ends the table that was begun last: no further part follows.
    pub fn end_table(&mut self) {
        if let Some(segment) = self.segments.last_mut() {
            segment.done = true;
        }
    }

    /// All chunks.
    pub fn finish(mut self) -> Vec<Chunk> {
        if !self.segments.is_empty() {
            self.cut();
        }
        let keys = Arc::new(KeyBlock { columns: self.keys.iter_mut().map(ColumnBuilder::finish).collect() });
        let chunk = |(segments, rows, len)| Chunk {
            shape: Arc::clone(&self.shape),
            keys: Arc::clone(&keys),
            segments,
            rows,
            len,
        };
        self.full.into_iter().map(chunk).collect()
    }

    fn cut(&mut self) {
        let rows = self.rows.iter_mut().map(ColumnBuilder::finish).collect();
        self.full.push((std::mem::take(&mut self.segments), rows, std::mem::take(&mut self.len)));
    }
}
