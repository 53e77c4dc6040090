//! `experimental.addDuration`, `experimental.subDuration`: `date.add` and `date.sub` under older names.

use super::PACKAGE;
use crate::flux::builtin::Builtin;
use crate::functions::date;

/// `addDuration`.
pub static ADD_DURATION: Builtin = Builtin {
    package: PACKAGE,
    name: "addDuration",
    signature: "(d: duration, to: T, ?location: {zone: string, offset: duration}) => time where T: Timeable",
    doc: "The time that is d later, as by date.add.",
    examples: &[
        "import \"array\"\nimport \"experimental\"\n\narray.from(rows: [{_time: experimental.addDuration(d: 1mo, \
                 to: 2024-01-31T00:00:00Z)}])",
    ],
    body: |call| date::moved(call, "to", false),
};

/// `subDuration`.
pub static SUB_DURATION: Builtin = Builtin {
    package: PACKAGE,
    name: "subDuration",
    signature: "(d: duration, from: T, ?location: {zone: string, offset: duration}) => time where T: Timeable",
    doc: "The time that is d earlier, as by date.sub.",
    examples: &[
        "import \"array\"\nimport \"experimental\"\n\narray.from(rows: [{_time: experimental.subDuration(d: 6h, \
                 from: 2024-01-31T00:00:00Z)}])",
    ],
    body: |call| date::moved(call, "from", true),
};
