//! `experimental.unpivot`: columns as tables of `_field` and `_value`.

use super::PACKAGE;
use crate::error::Result;
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::functions::arguments::{Arguments, transform};
use crate::operators::Unpivot;

/// `experimental.unpivot`.
pub static UNPIVOT: Builtin = Builtin {
    package: PACKAGE,
    name: "unpivot",
    signature: "(<-tables: stream[{A with _time: time}], ?otherColumns: [string]) => \
                stream[{B with _field: string, _value: C}] where A: Record, B: Record",
    doc: "A table of _field and _value for each column that is neither in the group key nor among otherColumns (default \
          _time); nulls are left out.",
    examples: &[
        "import \"array\"\nimport \"experimental\"\n\narray.from(rows: [{_time: 2024-01-01T00:00:00Z, load: 0.5, \
                 state: \"on\"}])\n    |> experimental.unpivot()",
    ],
    body: unpivot,
};

fn unpivot(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let other_columns = call.optional_strings("otherColumns")?.unwrap_or_else(|| vec!["_time".into()]);
    Ok(transform(Unpivot { other_columns }, tables, call))
}
