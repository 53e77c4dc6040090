//! `covariance`: how two columns vary together (flux-semantics 8).

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::PRELUDE;
use crate::functions::arguments::{Arguments, transform};
use crate::operators::Covariance;

/// `covariance`.
pub static COVARIANCE: Builtin = Builtin {
    package: PRELUDE,
    name: "covariance",
    signature: "(<-tables: stream[A], ?pearsonr: bool, ?valueDst: string, columns: [string]) => stream[B] \
                where A: Record, B: Record",
    doc: "The covariance of two columns of each table, or with pearsonr their correlation, in valueDst.",
    examples: &["import \"array\"\n\narray.from(rows: [{x: 1.0, y: 2.0}, {x: 2.0, y: 5.0}])\n    \
                 |> covariance(columns: [\"x\", \"y\"])"],
    body,
};

fn body(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let columns = call.strings("columns")?.try_into();
    let columns = columns.map_err(|_| Error::invalid("must provide exactly two columns"))?;
    let pearson = call.bool_or("pearsonr", false)?;
    let value_column = call.optional_string("valueDst")?.unwrap_or_else(|| "_value".into());
    Ok(transform(Covariance { columns, pearson, value_column }, tables, call))
}
