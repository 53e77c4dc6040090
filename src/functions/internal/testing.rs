//! Package `internal/testing`: assertions about errors and texts.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::Package;
use crate::functions::arguments::Arguments;
use crate::functions::experimental::catch;
use crate::functions::testing::{assert_equal_values, failure};

const PACKAGE: &str = "internal/testing";

static SHOULD_ERROR_WITH_CODE: Builtin = Builtin {
    package: PACKAGE,
    name: "shouldErrorWithCode",
    signature: "(fn: () => A, want: regexp, code: uint) => stream[{v: string, _diff: string}]",
    doc: "Calls fn, which has to fail with that code and a message that the pattern matches.",
    examples: &[
        "import \"internal/testing\"\n\ntesting.shouldErrorWithCode(fn: () => die(msg: \"no data\"), want: /no \
                 data/, code: uint(v: 3))",
    ],
    body: |call| {
        let function = call.function("fn")?;
        let want = pattern(call)?;
        let code = match call.required("code")? {
            Value::UInt(code) => *code,
            other => return Err(call.mismatch("code", "uint", other)),
        };
        let error = failure(&function, call, "shouldErrorWithCode")?;
        let found = catch::code(error.kind());
        let described =
            |code: u64, matches: bool| Value::string(format!("code {code}, the pattern matches: {matches}"));
        let got = match want.is_match(error.message()) {
            true => described(found, true),
            false => Value::string(format!("code {found}, {}", error.message())),
        };
        assert_equal_values(got, described(code, true), call)
    },
};

static ASSERT_MATCHES: Builtin = Builtin {
    package: PACKAGE,
    name: "assertMatches",
    signature: "(got: string, want: regexp) => stream[{v: string, _diff: string}]",
    doc: "Fails unless the pattern matches the text.",
    examples: &["import \"internal/testing\"\n\ntesting.assertMatches(got: \"444\", want: /4+/)"],
    body: |call| {
        let (got, want) = (call.string("got")?, pattern(call)?);
        if !want.is_match(&got) {
            return Err(Error::invalid(format!("Regex `{}` does not match `{got}`", want.as_str())));
        }
        assert_equal_values(Value::Null, Value::Null, call)
    },
};

/// The package.
pub fn package() -> Package {
    Package { path: PACKAGE, builtins: vec![&ASSERT_MATCHES, &SHOULD_ERROR_WITH_CODE], ..Package::default() }
}

fn pattern(call: &Call<'_>) -> Result<Arc<regex::Regex>> {
    match call.required("want")? {
        Value::Regexp(want) => Ok(Arc::clone(want)),
        other => Err(call.mismatch("want", "regexp", other)),
    }
}
