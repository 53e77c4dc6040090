//! Package `experimental/array`: the functions of `array` under a second name, and conversions of whole arrays.

use crate::error::Result;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::Package;
use crate::flux::{Value, scalar};
use crate::functions::arguments::Arguments;
use crate::functions::array;

const PACKAGE: &str = "experimental/array";

static FROM: Builtin = array::from(
    PACKAGE,
    &["import \"experimental/array\"\n\narray.from(rows: [{host: \"a\", load: 0.5}, {host: \"b\", load: 1.5}])"],
);
static CONCAT: Builtin = array::concat(
    PACKAGE,
    &["import \"experimental/array\"\n\narray.from(rows: [{n: length(arr: array.concat(arr: [1], v: [2, 3]))}])"],
);
static MAP: Builtin = array::map(
    PACKAGE,
    &["import \"experimental/array\"\n\narray.from(rows: array.map(arr: [1, 2], fn: (x) => ({v: x * 2})))"],
);
static FILTER: Builtin = array::filter(
    PACKAGE,
    &["import \"experimental/array\"\n\narray.from(rows: array.filter(arr: [{v: 1}, {v: 2}], fn: (x) => x.v > 1))"],
);

macro_rules! conversions {
    ($(($static:ident, $name:literal, $signature:literal, $doc:literal, $sample:literal, $convert:path)),+ $(,)?) => {
        $(static $static: Builtin = Builtin {
            package: PACKAGE,
            name: $name,
            signature: $signature,
            doc: $doc,
            examples: &[concat!(
                "import \"experimental/array\"\n\narray.from(rows: array.", $name, "(arr: ", $sample,
                ") |> array.map(fn: (x) => ({v: display(v: x)})))"
            )],
            body: |call| each(call, $convert),
        };)+
    };
}

conversions!(
    (TO_BOOL, "toBool", "(<-arr: [A]) => [bool]", "Every value as bool converts it.", "[1, 0]", scalar::to_bool),
    (
        TO_DURATION,
        "toDuration",
        "(<-arr: [A]) => [duration]",
        "Every value as duration converts it.",
        "[1, 1000]",
        scalar::to_duration
    ),
    (TO_FLOAT, "toFloat", "(<-arr: [A]) => [float]", "Every value as float converts it.", "[1, 2]", scalar::to_float),
    (TO_INT, "toInt", "(<-arr: [A]) => [int]", "Every value as int converts it.", "[1.5, 2.5]", scalar::to_int),
    (
        TO_STRING,
        "toString",
        "(<-arr: [A]) => [string]",
        "Every value as string converts it.",
        "[1, 2]",
        scalar::to_string
    ),
    (TO_TIME, "toTime", "(<-arr: [A]) => [time]", "Every value as time converts it.", "[1, 2]", scalar::to_time),
    (TO_UINT, "toUInt", "(<-arr: [A]) => [uint]", "Every value as uint converts it.", "[1, 2]", scalar::to_uint),
);

/// The package.
pub fn package() -> Package {
    let builtins =
        vec![&CONCAT, &FILTER, &FROM, &MAP, &TO_BOOL, &TO_DURATION, &TO_FLOAT, &TO_INT, &TO_STRING, &TO_TIME, &TO_UINT];
    Package { path: PACKAGE, builtins, ..Package::default() }
}

fn each(call: &mut Call<'_>, convert: fn(&Value) -> Result<Value>) -> Result<Value> {
    let converted: Result<Vec<Value>> = call.array("arr")?.iter().map(convert).collect();
    Ok(Value::Array(converted?.into()))
}
