//! Tables as JSON, an object per row and line: for programs that read neither CSV nor Arrow.
//!
//! Used by the command line and the REPL. Nothing reads it back.

use super::{Cell, Chunk, ColumnView, Place, TableId};

/// One JSON object per row: `result`, `table`, then the columns in their order. A time is RFC 3339 text, a float that JSON
/// cannot hold is text too.
pub fn json_lines(result: &str, chunk: &Chunk) -> String {
    let result = serde_json::Value::from(result);
    lines(chunk, |table| format!("\"result\":{result},\"table\":{table}"))
}

/// The same with the columns alone, for answers that are one table.
pub fn json_rows(chunk: &Chunk) -> String {
    lines(chunk, |_| String::new())
}

/// An object per row: the members that `before` gives for the row's table, then the columns. Members are written one by
/// one, since a map of JSON values would sort them.
fn lines(chunk: &Chunk, before: impl Fn(TableId) -> String) -> String {
    let mut lines = String::new();
    let keys: Vec<ColumnView<'_>> = chunk.keys.columns.iter().map(|array| ColumnView::of(array)).collect();
    let rows: Vec<ColumnView<'_>> = chunk.rows.iter().map(|array| ColumnView::of(array)).collect();
    let names: Vec<String> =
        chunk.shape.columns.iter().map(|column| serde_json::Value::from(&*column.name).to_string()).collect();
    for (segment, range) in chunk.tables() {
        let lead = before(segment.table);
        for row in range {
            lines.push('{');
            lines.push_str(&lead);
            for (index, (column, name)) in chunk.shape.columns.iter().zip(&names).enumerate() {
                let cell = match column.place {
                    Place::Key(index) => keys[index as usize].cell(segment.key_row as usize),
                    Place::Row(index) => rows[index as usize].cell(row),
                };
                if index > 0 || !lead.is_empty() {
                    lines.push(',');
                }
                lines.push_str(name);
                lines.push(':');
                lines.push_str(&json_value(cell).to_string());
            }
            lines.push_str("}\n");
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::table::csv;

    #[test]
    fn members_stand_in_the_order_of_the_columns() {
        let text =
            "#datatype,string,long,string,double,double,dateTime:RFC3339\n#group,false,false,true,false,false,false\n\
            #default,r,,,,,\n,result,table,z\"\"\"\",b,a,t\n,,3,\"q\"\"\",1.5,NaN,1970-01-01T00:00:00.25Z\n"
                .replace("z\"\"\"\"", "\"z\"\"\"");
        let results = csv::read(text.as_bytes()).unwrap();
        let chunk = &results[0].1[0];
        let columns = r#""z\"":"q\"","b":1.5,"a":"NaN","t":"1970-01-01T00:00:00.25Z"}"#;
        assert_eq!(json_rows(chunk), format!("{{{columns}\n"));
        let table = chunk.segments[0].table;
        assert_eq!(json_lines("r", chunk), format!("{{\"result\":\"r\",\"table\":{table},{columns}\n"));
    }
}
