//! What the formatter makes of texts, written by hand; and that it changes nothing of any script in the repository.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use super::format;
use crate::syntax::parse;
use crate::syntax::tests::show::show_file;

/// The formatted text, which stays as it is when it is formatted again.
fn formatted(text: &str) -> String {
    let once = format(text).unwrap_or_else(|problems| panic!("{text}\n{problems:?}"));
    let twice = format(&once).unwrap_or_else(|problems| panic!("{once}\n{problems:?}"));
    assert_eq!(once, twice, "changes again:\n{text}");
    assert_eq!(show_file(&parse(text).file), show_file(&parse(&once).file), "{text}");
    once
}

#[test]
fn pipes_stand_one_a_line_and_blanks_where_they_are_usual() {
    let text = "option task={name:\"a\",every:1h}\n\
                from(bucket:\"b\")|>range(start:-task.every)|>filter(fn:(r)=>r.a==1 and exists r.b)|>yield()";
    assert_eq!(
        formatted(text),
        r#"option task = {name: "a", every: 1h}
from(bucket: "b")
    |> range(start: -task.every)
    |> filter(fn: (r) => r.a == 1 and exists r.b)
    |> yield()
"#
    );
    assert_eq!(formatted("x=a|>f( )"), "x = a |> f()\n");
    assert_eq!(formatted("x = a\n|>f()"), "x = a\n    |> f()\n");
    assert_eq!(formatted(""), "");
    assert_eq!(formatted("\n\n  \n"), "");
}

#[test]
fn records_calls_and_lists_break_beyond_a_hundred_characters() {
    let text = r#"x = {first: "a text that takes its place", second: "another text of some length", third: "and one more to end it"}
y = join(tables: {left: pressure_of_the_pump, right: temperature_of_the_pump}, on: ["_time", "host"], method: "inner")
z = ["a text that takes its place", "another text of some length", "and one more to end it", "now it is too long"]"#;
    assert_eq!(
        formatted(text),
        r#"x = {
    first: "a text that takes its place",
    second: "another text of some length",
    third: "and one more to end it",
}
y = join(
    tables: {left: pressure_of_the_pump, right: temperature_of_the_pump},
    on: ["_time", "host"],
    method: "inner",
)
z = [
    "a text that takes its place",
    "another text of some length",
    "and one more to end it",
    "now it is too long",
]
"#
    );
}

#[test]
fn a_single_argument_with_brackets_of_its_own_keeps_those_of_the_call() {
    let text = r#"a |> map(fn: (r) => ({r with pressure_in_bar: float(v: r.pressure) / 100000.0, temperature_in_kelvin: r.temperature + 273.15}))
|> reduce(fn: (r, accumulator) => ({sum: r._value + accumulator.sum}), identity: {sum: 0.0})
array.from(rows: [{a: 1},
{a: 2}])
f = (x) => { y = x
return y }"#;
    assert_eq!(
        formatted(text),
        r#"a
    |> map(fn: (r) => ({r with
        pressure_in_bar: float(v: r.pressure) / 100000.0,
        temperature_in_kelvin: r.temperature + 273.15,
    }))
    |> reduce(fn: (r, accumulator) => ({sum: r._value + accumulator.sum}), identity: {sum: 0.0})
array.from(rows: [{a: 1}, {a: 2}])
f = (x) => {
    y = x
    return y
}
"#
    );
}

#[test]
fn a_list_that_was_written_on_several_lines_stays_so() {
    let text = "option task = {\n  name: \"a\",\n  every: 1h }\nf(\n a: 1, b: 2)\nx = [\n1,\n\n2]\ny = {r with\n a: 1}";
    assert_eq!(
        formatted(text),
        "option task = {\n    name: \"a\",\n    every: 1h,\n}\nf(\n    a: 1,\n    b: 2,\n)\n\
         x = [\n    1,\n\n    2,\n]\ny = {r with\n    a: 1,\n}\n"
    );
}

#[test]
fn conditions_break_before_their_operators_and_values() {
    let text = r#"a |> filter(fn: (r) => r._measurement == "pump" and r._field == "pressure" and (r.host == "a" or r.host == "b") and r._value > 1.0)
level = if r.pressure > 300.0 then "the pressure is far too high" else if r.pressure > 200.0 then "high" else "the pressure is as it should be""#;
    assert_eq!(
        formatted(text),
        r#"a
    |> filter(
        fn: (r) =>
            r._measurement == "pump"
            and r._field == "pressure"
            and (r.host == "a" or r.host == "b")
            and r._value > 1.0,
    )
level =
    if r.pressure > 300.0 then
        "the pressure is far too high"
    else if r.pressure > 200.0 then
        "high"
    else
        "the pressure is as it should be"
"#
    );
}

#[test]
fn a_function_with_pipes_has_them_on_lines_of_their_own() {
    let text = "f = (tables=<-, column) => tables |> a() |> b(column: column)\n\
                aggregateWindow(every: 1m, fn: (tables=<-, column) => tables |> a() |> b(column))";
    assert_eq!(
        formatted(text),
        "f = (tables=<-, column) =>\n    tables\n        |> a()\n        |> b(column: column)\n\
         aggregateWindow(\n    every: 1m,\n    fn: (tables=<-, column) =>\n        tables\n            |> a()\n            \
         |> b(column),\n)\n"
    );
}

#[test]
fn comments_stay_where_they_are() {
    let text = r#"// The head.

// Of the task.
option task = {name: "a", // who
  every: 1h}   // when
import "date"
from(bucket: "b") // where
  // Not too far back.
  |> range(start: -1h)
  |> filter(fn: (r) =>
      // Only the south.
      r.site == "s" // or what was it
      // And pumps.
      and r.kind == "pump")
  // The end.
  |> yield() // done
// The very
// end.
"#;
    // `import` after a statement is an error: without it.
    let text = text.replace("import \"date\"\n", "");
    assert_eq!(
        formatted(&text),
        r#"// The head.

// Of the task.
option task = {
    name: "a", // who
    every: 1h,
} // when
from(bucket: "b") // where
    // Not too far back.
    |> range(start: -1h)
    |> filter(
        fn: (r) =>
            // Only the south.
            r.site == "s" // or what was it
            // And pumps.
            and r.kind == "pump",
    )
    // The end.
    |> yield() // done
// The very
// end.
"#
    );
    let odd = "x = // a\n1 y // b\n= 2 f( // c\n) z = [ // d\n:] g = ( // e\na // f\n) => // g\n{ // h\nreturn // i\na // j\n} // k";
    let shown = formatted(odd);
    for name in 'a'..='k' {
        assert!(shown.contains(&format!("// {name}\n")), "{name}:\n{shown}");
    }
}

#[test]
fn clauses_stand_apart_and_literals_stay_as_they_are_written() {
    let text = "package main import \"date\" import s \"strings\" x = 90m y = \"a\n  b ${ 1+1 } \\x41\" z = /a\\/b/ t = 2020-01-01";
    assert_eq!(
        formatted(text),
        "package main\n\nimport \"date\"\nimport s \"strings\"\n\nx = 90m\ny = \"a\n  b ${ 1+1 } \\x41\"\nz = /a\\/b/\nt = 2020-01-01\n"
    );
    assert_eq!(formatted("x = 1 .a y = [1.][0] z = -  -a w = not(a)"), "x = 1 .a\ny = [1.][0]\nz = --a\nw = not (a)\n");
    assert_eq!(
        formatted(
            "builtin f : (<-tables: stream[A],  ?b: int) => A where A: Record testcase t extends \"a/b.c\" {\nsuper()}"
        ),
        "builtin f : (<-tables: stream[A],  ?b: int) => A where A: Record\ntestcase t extends \"a/b.c\" {\n    super()\n}\n"
    );
    assert_eq!(formatted("testcase t {}\r\n// \u{e9} \r\n"), "testcase t {\n}\n// \u{e9}\n");
}

#[test]
fn a_text_with_errors_is_left_alone() {
    let problems = format("x = (1\ny = 2 = 3").unwrap_err();
    assert!(!problems.is_empty());
    // A warning is no error.
    assert!(format("a b").is_ok());
}

#[test]
fn every_script_of_the_repository_keeps_its_meaning() {
    let mut count = 0;
    for folder in ["fixtures", "tasks"] {
        let mut paths: Vec<PathBuf> = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
        while let Some(path) = paths.pop() {
            if path.is_dir() {
                paths.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            } else if path.extension().is_some_and(|extension| extension == "flux") {
                let text = std::fs::read_to_string(&path).unwrap();
                if !parse(&text).has_errors() {
                    formatted(&text);
                    count += 1;
                }
            }
        }
    }
    assert!(count > 100, "only {count} scripts");
}

#[test]
fn the_deepest_text_that_parses_is_formatted() {
    let shapes = [
        ("(", "1", ")"),
        ("[", "1", "]"),
        ("[1: ", "1", "]"),
        ("{a: ", "1", "}"),
        ("f(x: ", "1", ")"),
        ("(r) => ", "1", ""),
        ("(r) => { return ", "1", " }"),
        ("(r=", "1", ") => 1"),
        ("not ", "a", ""),
        ("-", "1", ""),
        ("if a then ", "1", " else 2"),
        ("if a then 1 else ", "2", ""),
        ("", "a", " |> f()"),
        ("", "a", ".b"),
        ("", "1", " + 1"),
    ];
    for (open, middle, close) in shapes {
        // As many levels as the parser takes.
        let text = |depth: usize| format!("x = {}{middle}{}", open.repeat(depth), close.repeat(depth));
        let depth = (1..220).rev().find(|depth| !parse(&text(*depth)).has_errors()).unwrap();
        assert!(depth >= 60, "{open}: only {depth}");
        format(&text(depth)).unwrap_or_else(|problems| panic!("{open}: {problems:?}"));
        assert!(!crate::syntax::outline::outline(&parse(&text(depth)).file).is_empty());
    }
}

#[test]
fn a_long_list_takes_time_in_proportion() {
    let text = format!("x = [{}1]", "{a: \"some text\", b: 1, c: f(x: [1, 2, 3])},".repeat(50_000));
    let started = std::time::Instant::now();
    format(&text).unwrap();
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}
