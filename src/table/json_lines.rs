//! Tables as JSON, an object per row and line: for programs that read neither CSV nor Arrow.
//!
//! Used by the command line and the REPL. Nothing reads it back.

use super::{Cell, Chunk, ColumnView, Place};

/// One JSON object per row: `result`, `table`, then the columns in their order. A time is RFC 3339 text, a float that JSON
/// cannot hold is text too.
pub fn json_lines(result: &str, chunk: &Chunk) -> String {
    let mut lines = String::new();
    let keys: Vec<ColumnView<'_>> = chunk.keys.columns.iter().map(|array| ColumnView::of(array)).collect();
    let rows: Vec<ColumnView<'_>> = chunk.rows.iter().map(|array| ColumnView::of(array)).collect();
    for (segment, range) in chunk.tables() {
        for row in range {
            let mut object = serde_json::Map::new();
            object.insert("result".into(), result.into());
            object.insert("table".into(), segment.table.into());
            for column in &chunk.shape.columns {
                let cell = match column.place {
                    Place::Key(index) => keys[index as usize].cell(segment.key_row as usize),
                    Place::Row(index) => rows[index as usize].cell(row),
                };
                object.insert(column.name.to_string(), json_value(cell));
            }
            lines.push_str(&serde_json::Value::Object(object).to_string());
            lines.push('\n');
        }
    }
    lines
}

fn json_value(cell: Cell<'_>) -> serde_json::Value {
    match cell {
        Cell::Null => serde_json::Value::Null,
        Cell::Bool(value) => value.into(),
        Cell::Int(value) => value.into(),
        Cell::UInt(value) => value.into(),
        Cell::Float(value) if value.is_finite() => value.into(),
        Cell::Float(value) => value.to_string().into(),
        Cell::String(value) => value.into(),
        Cell::Time(value) => crate::time::rfc3339::to_short_text(value).into(),
    }
}
