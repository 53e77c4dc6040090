//! Package `csv`: `csv.from` (flux-semantics 13).
//!
//! Reads text that the script holds. Files and addresses are refused: a script reads buckets, not the server's disk.

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::Package;
use crate::functions::arguments::{Arguments, stream};
use crate::plan::NodeKind;
use crate::table::csv;

/// `csv.from`.
pub static FROM: Builtin = Builtin {
    package: "csv",
    name: "from",
    signature: "(?csv: string, ?file: string, ?mode: string, ?url: string) => stream[A] where A: Record",
    doc: "Tables from annotated CSV text, or with mode \"raw\" one table of strings from CSV with a header.",
    examples: &["import \"csv\"\n\ncsv.from(csv: \"a,b\n1,2\n\", mode: \"raw\")"],
    body,
};

/// The package.
pub fn package() -> Package {
    Package { path: "csv", builtins: vec![&FROM], ..Package::default() }
}

fn body(call: &mut Call<'_>) -> Result<Value> {
    for argument in ["file", "url"] {
        if call.optional(argument).is_some() {
            return Err(Error::unimplemented(format!(
                "csv.from({argument}: ...): scripts read no files and no addresses"
            ))
            .with_hint("give the text itself as csv, or write the data to a bucket first"));
        }
    }
    let text =
        call.optional_string("csv")?.ok_or_else(|| Error::invalid("missing required argument csv of csv.from"))?;
    let mode = call.optional_string("mode")?.unwrap_or_else(|| "annotations".into());
    let chunks = match &*mode {
        "raw" => csv::read_raw(text.as_bytes())?,
        "annotations" => {
            let mut results = csv::read(text.as_bytes())?;
            if results.len() > 1 {
                return Err(Error::invalid(format!("csv.from takes one result, found {}", results.len())));
            }
            results.pop().map(|(_, chunks)| chunks).unwrap_or_default()
        }
        other => {
            return Err(Error::invalid(format!("csv.from: unknown mode {other:?}"))
                .with_hint("mode is \"annotations\" or \"raw\""));
        }
    };
    Ok(stream(NodeKind::Rows(chunks), Vec::new(), call))
}
