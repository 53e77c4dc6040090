//! Annotated CSV, the text form of tables: in (`csv.from`, fixtures) and out (query results); and plain CSV, out only.
//!
//! Called by `functions`, the API, the command line and tests. The rules are those of flux-semantics 13; nothing here
//! decides which results there are.

mod plain;
mod read;
mod write;

pub use plain::PlainCsv;
pub use read::{read, read_raw};
pub use write::{Annotation, CsvWriter, Dialect};

/// The second header cell that marks an error table.
const ERROR_LABEL: &str = "error";
/// Columns in front of a table's own: annotation, result, table.
const LEAD_COLUMNS: usize = 3;

#[cfg(test)]
mod tests;
