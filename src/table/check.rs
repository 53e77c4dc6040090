//! Checks a stream of chunks against the invariants that operators may rely on.
//!
//! Called by tests of whatever makes chunks. It says what is wrong in words; it mends nothing.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::Array;

use super::chunk::MAX_CHUNK_ROWS;
use super::scan::Parts;
use super::{Chunk, ColumnView, Shape, TableId};

/// Checks a whole stream: each chunk in itself, each table over all of its parts, and that every table ends. `parts`
/// says what was promised of the order.
pub fn check_stream(chunks: &[Chunk], parts: Parts) -> Result<(), String> {
    let mut tables: HashMap<TableId, State> = HashMap::new();
    let mut open: Option<TableId> = None;
    let mut newest: Option<TableId> = None;
    for (number, chunk) in chunks.iter().enumerate() {
        let wrong = |what: String| Err(format!("chunk {number}: {what}"));
        if let Err(what) = check_chunk(chunk) {
            return wrong(what);
        }
        for segment in &chunk.segments {
            let table = segment.table;
            if parts == Parts::Clustered {
                match (open, newest) {
                    (Some(open), _) if open != table => {
                        return wrong(format!("table {table} begins while {open} is open"));
                    }
                    (None, Some(newest)) if newest >= table => return wrong(format!("table {table} after {newest}")),
                    _ => {}
                }
                open = (!segment.done).then_some(table);
                newest = Some(table);
            }
            let key = describe_key(chunk, segment.key_row as usize);
            match tables.get_mut(&table) {
                None => {
                    tables.insert(table, State { shape: Arc::clone(&chunk.shape), key, done: segment.done });
                }
                Some(state) if state.done => return wrong(format!("table {table} goes on after its end")),
                Some(state) if state.shape != chunk.shape => return wrong(format!("table {table} changes its shape")),
                Some(state) if state.key != key => {
                    return wrong(format!("table {table} changes its key from {} to {key}", state.key));
                }
                Some(state) => state.done = segment.done,
            }
        }
    }
    match tables.iter().find(|(_, state)| !state.done) {
        Some((table, _)) => Err(format!("table {table} never ends")),
        None => Ok(()),
    }
}

struct State {
    shape: Arc<Shape>,
    key: String,
    done: bool,
}

/// Checks one chunk in itself.
pub fn check_chunk(chunk: &Chunk) -> Result<(), String> {
    if chunk.len > MAX_CHUNK_ROWS {
        return Err(format!("{} rows, more than {MAX_CHUNK_ROWS}", chunk.len));
    }
    let mut start = 0;
    for segment in &chunk.segments {
        if segment.end < start {
            return Err(format!("table {} ends at row {} before it begins at {start}", segment.table, segment.end));
        }
        start = segment.end;
    }
    if start as usize != chunk.len {
        return Err(format!("the tables end at row {start} of {}", chunk.len));
    }
    let rows: Vec<_> = chunk.shape.row_columns().collect();
    let keys: Vec<_> = chunk.shape.key_columns().collect();
    if rows.len() != chunk.rows.len() || keys.len() != chunk.keys.columns.len() {
        return Err("the shape has other columns than the chunk".to_string());
    }
    let key_rows = chunk.keys.columns.first().map(|array| array.len());
    for (column, array) in rows.iter().zip(&chunk.rows).chain(keys.iter().zip(&chunk.keys.columns)) {
        if *array.data_type() != column.column_type.arrow() {
            return Err(format!("column {} is of type {:?}: {}", column.name, column.column_type, array.data_type()));
        }
    }
    if let Some(array) = chunk.rows.iter().find(|array| array.len() != chunk.len) {
        return Err(format!("a column has {} values for {} rows", array.len(), chunk.len));
    }
    if chunk.keys.columns.iter().any(|array| Some(array.len()) != key_rows) {
        return Err("key columns of different lengths".to_string());
    }
    let outside = |row: u32| key_rows.is_some_and(|rows| row as usize >= rows);
    match chunk.segments.iter().find(|segment| outside(segment.key_row)) {
        Some(segment) => Err(format!("the key row {} of table {} does not exist", segment.key_row, segment.table)),
        None => Ok(()),
    }
}

fn describe_key(chunk: &Chunk, key_row: usize) -> String {
    let columns = chunk.shape.key_columns().zip(&chunk.keys.columns);
    let parts = columns.map(|(column, array)| format!("{}={:?}", column.name, ColumnView::of(array).cell(key_row)));
    parts.collect::<Vec<_>>().join(",")
}
