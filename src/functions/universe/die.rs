//! `die`: fails the run.

use crate::error::Error;
use crate::flux::builtin::Builtin;
use crate::flux::library::PRELUDE;
use crate::functions::arguments::Arguments;

/// `die`.
pub static DIE: Builtin = Builtin {
    package: PRELUDE,
    name: "die",
    signature: "(msg: string) => A",
    doc: "Fails the run with a message.",
    examples: &[
        "import \"array\"\n\narray.from(rows: [{v: 1}])\n    |> map(fn: (r) => ({v: if r.v > 0 then r.v else die(msg: \
                 \"not positive\")}))",
    ],
    body: |call| Err(Error::invalid(&*call.string("msg")?)),
};
