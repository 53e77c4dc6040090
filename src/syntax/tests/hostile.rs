//! Texts that nobody would write: cut short, changed at random, nested without end, one mistake without end. The parser
//! answers each with a tree and diagnostics whose places lie within the text, in time that grows with the length.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::select;

use crate::syntax::{Parsed, parse};

/// Scripts with all of the language in them.
const SCRIPTS: [&str; 3] = [
    r#"package main
import "influxdata/influxdb/tasks"
import s "strings"
// Means of the pumps, 日本.
option task = {name: "pump means", every: 1h0m0s, offset: -5m}
option tasks.lastSuccessTime = 2020-01-01T00:00:00.5+02:00
limits = {low: -1.5, "high end": .5, mode: {all: true}}
from(bucket: "plant")
    |> range(start: tasks.lastSuccess(orTime: -task.every), stop: 2020-01-01)
    |> filter(fn: (r) => r._measurement == "pump" and (r["unit"] =~ /^a\/b[cd]+$/ or not exists r.note))
    |> map(fn: (r) => ({r with flow: r._value / 2.0 ^ 3.0 - 1.0 * 4.0, text: "pump ${r.host + "\t${s.toUpper(v: r.unit)}"}!"}))
    |> to(bucket: "out", org: "ours")
"#,
    r#"@edition("2022.1")
scale = (tables=<-, by=1y2mo3w4d5h6m7s8ms9us10ns, names=["a": 1, "b": 2], empty=[:]) => {
    factor = if by > 0 then by % 3 else if by == 0 then 1 else -by
    list = [1, 2, 3][0]
    return tables |> map(fn: (r) => ({_value: r._value * factor, list: list}))
}
x = a |> scale() y = f(a, b)(c: 1)
"#,
    r#"builtin mean : (<-tables: stream[A], ?column: string) => stream[{B with _value: float}] where A: Record, B: Record
testcase first extends "plant/pumps.base" {
    option now = () => 2030-01-01T00:00:00Z
    got = super() |> drop(columns: ["_start", "_stop",])
    testing.diff(got, want)
}
"#,
];

/// What mutations insert: pieces that change how what follows is read.
const PIECES: [&str; 36] = [
    "(", ")", "[", "]", "{", "}", "\"", "${", "'", "/", "//", "/*", "\\", "=", "==", "=>", "|>", "<-", "|", "&&", ",",
    ":", ".", ";", "\n", " ", "0", "1h", "1e", "if ", "else ", "return ", "option ", "é", "\u{0}", "#",
];

fn check(text: &str) -> Parsed {
    let parsed = parse(text);
    for diagnostic in &parsed.diagnostics {
        let places = std::iter::once(diagnostic.span).chain(diagnostic.labels.iter().map(|label| label.span));
        for span in places {
            assert!(text.get(span.range()).is_some(), "{diagnostic:?} lies outside of {text:?}");
        }
    }
    parsed
}

#[test]
fn the_scripts_themselves_are_right() {
    for script in SCRIPTS {
        assert_eq!(check(script).diagnostics, vec![], "{script}");
    }
}

#[test]
fn a_script_cut_anywhere_is_read() {
    for script in SCRIPTS {
        for (at, _) in script.char_indices() {
            check(&script[..at]);
            check(&script[at..]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_changed_script_is_read(
        script in select(SCRIPTS.to_vec()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..4, select(PIECES.to_vec())), 1..8),
    ) {
        let mut characters: Vec<char> = script.chars().collect();
        for (index, removed, piece) in changes {
            let at = index.index(characters.len() + 1);
            let end = (at + removed).min(characters.len());
            characters.splice(at..end, piece.chars());
        }
        check(&characters.into_iter().collect::<String>());
    }

    #[test]
    fn pieces_in_any_order_are_read(pieces in prop::collection::vec(select(PIECES.to_vec()), 0..60)) {
        check(&pieces.concat());
    }

    #[test]
    fn any_text_is_read(text in any::<String>()) {
        check(&text);
    }
}

#[test]
fn half_a_megabyte_of_one_mistake_takes_no_longer_than_a_script() {
    let repeated = [
        "(",
        "[",
        "{",
        "f(a:",
        "[[:",
        "{a:",
        "\"${",
        "(x) => ",
        "(x) => {",
        "if ",
        "not ",
        "-",
        "a + ",
        "a |> f() ",
        "a and ",
        "a.b",
        "[0]",
        "()",
        ")",
        "]",
        "}",
        ";",
        "a b ",
        "a = ",
        "a\n= ",
        "= ",
        "\"",
        "'",
        "'a'",
        "`",
        "\u{201c}",
        "/",
        "/*\n",
        "/)",
        "# \n",
        "1e3 ",
        "0x ",
        "1h30 ",
        "2020-13-01 ",
        "\"\\q\" ",
        "\"\n\" ",
        "\"\n\")",
        "/(/ ",
        "AND ",
        "select x ",
        "import ",
        "import \"a\"\n",
        "option ",
        "@a ",
        "@a(",
        "testcase a {",
        "builtin a : ",
        "builtin a : [",
        "{a, b: 1} ",
        "f(1) ",
        "a =>",
        "x => {",
        "x => {a: ",
        "\u{0}",
        "\u{a0}",
        "日",
        "\r",
        "\n",
        "a\n  b()\n",
        "a = (\n",
        "a = )\n",
        "\"${\"",
        "\"${}\"",
        "//\n",
        "0",
        "f(a b)",
        "{r with a: ",
        "a or b and c == d + e * f ^ f(a: ",
        "a or b and c == d + e * f ^ [",
        "(x=",
    ];
    for piece in repeated {
        let text = piece.repeat((1 << 19) / piece.len());
        let started = Instant::now();
        check(&text);
        // An unoptimised build reads tens of megabytes a second; quadratic time would take minutes.
        let took = started.elapsed();
        assert!(took < Duration::from_secs(20), "{piece:?} repeated took {took:?}");
    }
}
