//! `quantile`, `median`: estimated, exactly between two values, or the row that is there (flux-semantics 8).

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::PRELUDE;
use crate::functions::arguments::{Arguments, transform};
use crate::operators::{Aggregate, AggregateKind, QuantileRow};

/// The compression of a digest if nothing, or zero, is given.
const COMPRESSION: f64 = 1000.0;

/// `quantile`.
pub static QUANTILE: Builtin = Builtin {
    package: PRELUDE,
    name: "quantile",
    signature: "(<-tables: stream[A], ?column: string, q: float, ?compression: float, ?method: string) => stream[A] \
                where A: Record",
    doc: "The value below which the part q of a column of each table lies; by \"estimate_tdigest\" (default), \
          \"exact_mean\" or \"exact_selector\".",
    examples: &["import \"array\"\n\narray.from(rows: [{_value: 1.0}, {_value: 4.0}, {_value: 5.0}])\n    \
                 |> quantile(q: 0.75)"],
    body: |call| quantile(call.float("q")?, call),
};

/// `median`.
pub static MEDIAN: Builtin = Builtin {
    package: PRELUDE,
    name: "median",
    signature: "(<-tables: stream[A], ?column: string, ?compression: float, ?method: string) => stream[A] \
                where A: Record",
    doc: "The quantile 0.5 of a column of each table.",
    examples: &["import \"array\"\n\narray.from(rows: [{_value: 1.0}, {_value: 4.0}, {_value: 5.0}])\n    \
                 |> median()"],
    body: |call| quantile(0.5, call),
};

fn quantile(q: f64, call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let column = call.optional_string("column")?.unwrap_or_else(|| "_value".into());
    let method = call.optional_string("method")?.unwrap_or_else(|| "estimate_tdigest".into());
    let compression = call.float_or("compression", 0.0)?;
    if !(0.0..=1.0).contains(&q) {
        return Err(Error::invalid("quantile must be between 0 and 1").with_hint(format!("q is {q}")));
    }
    if compression > 0.0 && &*method != "estimate_tdigest" {
        return Err(Error::invalid("compression parameter is only valid for method estimate_tdigest"));
    }
    match &*method {
        "estimate_tdigest" if compression == 0.0 || (compression >= 1.0 && compression.is_finite()) => {
            let compression = if compression == 0.0 { COMPRESSION } else { compression };
            Ok(transform(Aggregate { kind: AggregateKind::Quantile { q, compression }, column }, tables, call))
        }
        "estimate_tdigest" => Err(Error::invalid(format!("compression must be at least 1, but was {compression}"))
            .with_hint("0 stands for 1000; the greater it is, the closer is the estimate")),
        "exact_mean" => Ok(transform(Aggregate { kind: AggregateKind::ExactMean { q }, column }, tables, call)),
        "exact_selector" => Ok(transform(QuantileRow { q, column }, tables, call)),
        other => Err(Error::invalid(format!("unknown method {other}"))
            .with_hint("it is \"estimate_tdigest\", \"exact_mean\" or \"exact_selector\"")),
    }
}
