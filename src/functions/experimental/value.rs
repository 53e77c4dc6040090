//! Functions of `experimental` that are those of the prelude over `_value`: fewer arguments, narrower types.

use super::PACKAGE;
use crate::flux::builtin::Builtin;
use crate::functions::universe::{aggregate, distinct, fill, first_last, histogram, indicator, integral, quantile};

const ROW: &str = "(<-tables: stream[{T with _value: A}]) => stream[{T with _value: A}]";

/// A function of the prelude with the signature that it has here.
const fn over_value(own: &Builtin, signature: &'static str, examples: &'static [&'static str]) -> Builtin {
    Builtin { package: PACKAGE, name: own.name, signature, doc: own.doc, examples, body: own.body }
}

/// `experimental.count`.
pub static COUNT: Builtin = over_value(
    &aggregate::COUNT,
    "(<-tables: stream[{T with _value: A}]) => stream[{T with _value: int}]",
    &["import \"array\"\nimport \"experimental\"\n\narray.from(rows: [{_value: 1}, {_value: 2}])\n    |> \
       experimental.count()"],
);

/// `experimental.distinct`.
pub static DISTINCT: Builtin = over_value(
    &distinct::DISTINCT,
    ROW,
    &[
        "import \"array\"\nimport \"experimental\"\n\narray.from(rows: [{_value: 1}, {_value: 1}])\n    |> experimental.distinct()",
    ],
);

/// `experimental.fill`.
pub static FILL: Builtin = over_value(
    &fill::FILL,
    "(<-tables: stream[{T with _value: A}], ?value: A, ?usePrevious: bool) => stream[{T with _value: A}]",
    &[
        "import \"experimental\"\n\nfrom(bucket: \"example\")\n    |> range(start: -1h)\n    |> aggregateWindow(every: 5m, \
       fn: mean)\n    |> experimental.fill(value: 0.0)",
    ],
);

/// `experimental.first`.
pub static FIRST: Builtin = over_value(
    &first_last::FIRST,
    ROW,
    &["import \"array\"\nimport \"experimental\"\n\narray.from(rows: [{_value: 1}, {_value: 2}])\n    |> \
       experimental.first()"],
);

/// `experimental.histogram`.
pub static HISTOGRAM: Builtin = over_value(
    &histogram::HISTOGRAM,
    "(<-tables: stream[{T with _value: float}], bins: [float], ?normalize: bool) => stream[{T with _value: float, le: float}]",
    &[
        "import \"array\"\nimport \"experimental\"\n\narray.from(rows: [{_value: 1.0}, {_value: 2.0}])\n    |> experimental.histogram(bins: [1.0, 2.0])",
    ],
);

/// `experimental.histogramQuantile`.
pub static HISTOGRAM_QUANTILE: Builtin = over_value(
    &histogram::HISTOGRAM_QUANTILE,
    "(<-tables: stream[{T with _value: float, le: float}], ?quantile: float, ?minValue: float) => stream[{T with _value: float}]",
    &[
        "import \"array\"\nimport \"experimental\"\n\narray.from(rows: [{le: 1.0, _value: 1.0}, {le: 2.0, _value: 2.0}])\n    |> experimental.histogramQuantile(quantile: 0.5)",
    ],
);

/// `experimental.integral`.
pub static INTEGRAL: Builtin = over_value(
    &integral::INTEGRAL,
    "(<-tables: stream[{T with _time: time, _value: B}], ?unit: duration, ?interpolate: string) => stream[{T with _value: \
     B}]",
    &["import \"experimental\"\n\nfrom(bucket: \"example\")\n    |> range(start: -1h)\n    |> \
       experimental.integral(unit: 1m)"],
);

/// `experimental.kaufmansAMA`.
pub static KAUFMANS_AMA: Builtin = over_value(
    &indicator::KAUFMANS_AMA,
    "(<-tables: stream[{T with _value: A}], n: int) => stream[{T with _value: float}] where A: Numeric",
    &[
        "import \"array\"\nimport \"experimental\"\n\narray.from(rows: [{_value: 1}, {_value: 2}, {_value: 1}])\n    |> \
       experimental.kaufmansAMA(n: 2)",
    ],
);

/// `experimental.last`.
pub static LAST: Builtin = over_value(
    &first_last::LAST,
    ROW,
    &["import \"array\"\nimport \"experimental\"\n\narray.from(rows: [{_value: 1}, {_value: 2}])\n    |> \
       experimental.last()"],
);

/// `experimental.max`.
pub static MAX: Builtin = over_value(
    &first_last::MAX,
    ROW,
    &[
        "import \"array\"\nimport \"experimental\"\n\narray.from(rows: [{_value: 1}, {_value: 2}])\n    |> experimental.max()",
    ],
);

/// `experimental.mean`.
pub static MEAN: Builtin = over_value(
    &aggregate::MEAN,
    "(<-tables: stream[{T with _value: float}]) => stream[{T with _value: float}]",
    &["import \"array\"\nimport \"experimental\"\n\narray.from(rows: [{_value: 1.0}, {_value: 2.0}])\n    |> \
       experimental.mean()"],
);

/// `experimental.min`.
pub static MIN: Builtin = over_value(
    &first_last::MIN,
    ROW,
    &[
        "import \"array\"\nimport \"experimental\"\n\narray.from(rows: [{_value: 1}, {_value: 2}])\n    |> experimental.min()",
    ],
);

/// `experimental.mode`.
pub static MODE: Builtin = over_value(
    &distinct::MODE,
    ROW,
    &[
        "import \"array\"\nimport \"experimental\"\n\narray.from(rows: [{_value: 1}, {_value: 1}])\n    |> experimental.mode()",
    ],
);

/// `experimental.quantile`.
pub static QUANTILE: Builtin = over_value(
    &quantile::QUANTILE,
    "(<-tables: stream[{T with _value: float}], q: float, ?compression: float, ?method: string) => stream[{T with _value: float}]",
    &[
        "import \"array\"\nimport \"experimental\"\n\narray.from(rows: [{_value: 1.0}, {_value: 2.0}])\n    |> experimental.quantile(q: 0.5)",
    ],
);

/// `experimental.skew`.
pub static SKEW: Builtin = over_value(
    &aggregate::SKEW,
    "(<-tables: stream[{T with _value: float}]) => stream[{T with _value: float}]",
    &[
        "import \"array\"\nimport \"experimental\"\n\narray.from(rows: [{_value: 1.0}, {_value: 2.0}])\n    |> experimental.skew()",
    ],
);

/// `experimental.spread`.
pub static SPREAD: Builtin = over_value(
    &aggregate::SPREAD,
    "(<-tables: stream[{T with _value: A}]) => stream[{T with _value: A}] where A: Numeric",
    &[
        "import \"array\"\nimport \"experimental\"\n\narray.from(rows: [{_value: 1}, {_value: 2}])\n    |> experimental.spread()",
    ],
);

/// `experimental.stddev`.
pub static STDDEV: Builtin = over_value(
    &aggregate::STDDEV,
    "(<-tables: stream[{T with _value: float}], ?mode: string) => stream[{T with _value: float}]",
    &[
        "import \"array\"\nimport \"experimental\"\n\narray.from(rows: [{_value: 1.0}, {_value: 2.0}])\n    |> experimental.stddev()",
    ],
);

/// `experimental.sum`.
pub static SUM: Builtin = over_value(
    &aggregate::SUM,
    "(<-tables: stream[{T with _value: A}]) => stream[{T with _value: A}] where A: Numeric",
    &["import \"array\"\nimport \"experimental\"\n\narray.from(rows: [{_value: 1}, {_value: 2}])\n    |> \
       experimental.sum()"],
);

/// `experimental.unique`.
pub static UNIQUE: Builtin = over_value(
    &distinct::UNIQUE,
    ROW,
    &[
        "import \"array\"\nimport \"experimental\"\n\narray.from(rows: [{_value: 1}, {_value: 1}])\n    |> experimental.unique()",
    ],
);
