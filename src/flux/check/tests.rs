//! Scripts that must be refused, with code, message and place, and scripts that must not.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::flux::testing::library;

fn problems(text: &str) -> Vec<Diagnostic> {
    let parsed = crate::syntax::parse(text);
    assert!(!parsed.has_errors(), "{text}: {:?}", parsed.diagnostics);
    check(&parsed.file, library())
}

/// Each text with what is wrong with it: `code: message @ place`.
#[track_caller]
fn refused(cases: &[(&str, &[&str])]) {
    for (text, expected) in cases {
        let found: Vec<String> = problems(text)
            .iter()
            .map(|problem| format!("{}: {} @ {}", problem.code, problem.message, &text[problem.span.range()]))
            .collect();
        assert_eq!(found, *expected, "{text}");
    }
}

#[track_caller]
fn accepted(texts: &[&str]) {
    for text in texts {
        assert_eq!(problems(text), [], "{text}");
    }
}

fn help(text: &str) -> String {
    problems(text)[0].help.clone().unwrap_or_default()
}

#[test]
fn unknown_names() {
    refused(&[
        ("x = y", &["undefined-identifier: undefined identifier y @ y"]),
        ("x = (r) => r.a + y", &["undefined-identifier: undefined identifier y @ y"]),
        (
            "x = 1 z = {x with a: q} w = {v with a: 1}",
            &[
                "type-mismatch: expected record before with but found int @ x",
                "undefined-identifier: undefined identifier q @ q",
                "undefined-identifier: undefined identifier v @ v",
            ],
        ),
        ("f = (n) => f(n: n - 1)", &["undefined-identifier: undefined identifier f @ f"]),
        ("x = y y = 1", &["undefined-identifier: undefined identifier y @ y"]),
        ("f = () => { x = 1 return x } y = x", &["undefined-identifier: undefined identifier x @ x"]),
        ("option nosuch.thing = 1", &["undefined-identifier: undefined identifier nosuch @ nosuch"]),
    ]);
    assert_eq!(help("fro(bucket: \"a\")"), "did you mean from?");
    assert_eq!(help("x = date.add(d: 1h, to: now())"), "missing import \"date\"");
    assert_eq!(help("x = tasks.lastSuccess(orTime: -1h)"), "missing import \"influxdata/influxdb/tasks\"");
    assert_eq!(help("x = lastSuccess(orTime: -1h)"), "import \"influxdata/influxdb/tasks\" has tasks.lastSuccess");
    assert_eq!(help("x = null"), "there is no literal for null: ask for it with exists");
    assert!(help("f = (n) => f(n: n - 1)").contains("cannot call itself"));
    assert_eq!(help("x = y y = 1"), "assign a name before it is used");
}

#[test]
fn imports_and_members() {
    refused(&[
        ("import \"strngs\"", &["unknown-package: invalid import path strngs @ \"strngs\""]),
        ("import \"date\" x = date.ad", &["undefined-member: package date has no member ad @ ad"]),
        ("import \"date\" x = date[\"ad\"]", &["undefined-member: package date has no member ad @ \"ad\""]),
        ("import \"date\" option date.Monday = 2", &["no-option: Monday of package date is not an option @ Monday"]),
        (
            "import \"influxdata/influxdb/tasks\" option tasks.lastSucces = now()",
            &["undefined-member: package influxdata/influxdb/tasks has no member lastSucces @ lastSucces"],
        ),
    ]);
    assert_eq!(help("import \"dat\""), "did you mean \"date\"?");
    assert_eq!(help("import \"influxdb/tasks\""), "did you mean \"influxdata/influxdb/tasks\"?");
    assert_eq!(help("import \"date\" x = date.ad"), "did you mean date.add?");
    assert_eq!(help("import \"date\" x = date.range"), "range needs no package: write range");
    // What follows from an unknown package is not reported once more.
    assert_eq!(problems("import \"nosuch\" x = nosuch.f(a: 1)").len(), 1);
}

#[test]
fn repeated_assignments() {
    refused(&[
        ("a = 1 a = 2", &["reassigned: variable \"a\" reassigned @ a"]),
        ("option task = {name: \"a\"} option task = {name: \"b\"}", &["reassigned: option \"task\" reassigned @ task"]),
        ("option v = 1 v = 2", &["option-conflict: variable \"v\" conflicts with option of same name @ v"]),
        ("f = () => { a = 1 a = 2 return a }", &["reassigned: variable \"a\" reassigned @ a"]),
        ("f = (a, a) => a", &["duplicate-parameter: duplicate parameter a @ a"]),
        ("true = 1", &["reserved-name: true cannot be assigned to @ true"]),
        ("x = {a: 1, a: 2}", &["duplicate-property: duplicate key in object: \"a\" @ a"]),
    ]);
}

#[test]
fn arguments() {
    refused(&[
        ("x = int()", &["missing-argument: missing required argument v of int @ int"]),
        ("x = int(v: 1, w: 2)", &["unexpected-argument: found unexpected argument w of int @ w"]),
        ("x = int(v: 1, v: 2)", &["duplicate-argument: duplicate keyword parameter specified: \"v\" of int @ v"]),
        ("from(bucket: \"a\") |> limit(m: 1)", &["unexpected-argument: found unexpected argument m of limit @ m"]),
        ("limit(n: 1)", &["missing-pipe-argument: missing pipe argument tables of limit @ limit"]),
        (
            "5 |> int()",
            &[
                "missing-argument: missing required argument v of int @ int",
                "no-pipe-parameter: int does not take a piped argument @ int()",
            ],
        ),
        (
            "f = (first) => first x = f(other: 1)",
            &[
                "missing-argument: missing required argument first of f @ f",
                "unexpected-argument: found unexpected argument other of f @ other",
            ],
        ),
        ("f = (a) => a 1 |> f(a: 2)", &["no-pipe-parameter: f does not take a piped argument @ f(a: 2)"]),
        (
            "d = from(bucket: \"a\") d |> limit(n: 1, tables: d)",
            &["duplicate-argument: duplicate keyword parameter specified: \"tables\" of limit @ tables"],
        ),
        ("x = ((a) => a)()", &["missing-argument: missing required argument a @ ((a) => a)"]),
    ]);
    assert_eq!(help("from(bucket: \"a\") |> limit(m: 1)"), "did you mean n?\nlimit(<-tables: stream, n: int)");
}

#[test]
fn types_that_contradict() {
    refused(&[
        (
            "from(bucket: \"a\") |> limit(n: \"1\")",
            &["type-mismatch: expected int but found string (argument n of limit) @ \"1\""],
        ),
        ("from(bucket: 5)", &["type-mismatch: expected string but found int (argument bucket of from) @ 5"]),
        ("5 |> limit(n: 1)", &["type-mismatch: expected stream but found int (argument tables of limit) @ 5"]),
        (
            "from(bucket: \"a\") |> group(columns: \"host\")",
            &["type-mismatch: expected [string] but found string (argument columns of group) @ \"host\""],
        ),
        (
            "from(bucket: \"a\") |> group(columns: [1])",
            &["type-mismatch: expected [string] but found [int] (argument columns of group) @ [1]"],
        ),
        (
            "n = \"x\" from(bucket: \"a\") |> limit(n)",
            &["type-mismatch: expected int but found string (argument n of limit) @ n"],
        ),
        (
            "import \"date\" x = date.add(d: 1h, to: \"2020\")",
            &["type-mismatch: expected time or duration but found string (argument to of add) @ \"2020\""],
        ),
        ("x = 1 + 1.0", &["type-mismatch: unsupported binary expression int + float @ 1 + 1.0"]),
        ("x = now() + 1h", &["type-mismatch: unsupported binary expression time + duration @ now() + 1h"]),
        ("x = 1 == \"a\"", &["type-mismatch: unsupported binary expression int == string @ 1 == \"a\""]),
        ("x = \"a\" =~ \"a\"", &["type-mismatch: unsupported binary expression string =~ string @ \"a\" =~ \"a\""]),
        ("x = [1] < [2]", &["type-mismatch: unsupported binary expression array < array @ [1] < [2]"]),
        ("x = not 1", &["type-mismatch: unsupported unary expression not int @ not 1"]),
        ("x = -\"a\"", &["type-mismatch: unsupported unary expression -string @ -\"a\""]),
        ("x = if 1 then 2 else 3", &["type-mismatch: expected bool but found int (the condition of if) @ 1"]),
        ("x = true and 1", &["type-mismatch: expected bool but found int (operand of and) @ 1"]),
        ("x = \"${[1]}\"", &["type-mismatch: invalid interpolation type array, expected a basic type @ [1]"]),
        ("x = 5 y = x()", &["type-mismatch: expected function but found int @ x"]),
        ("x = 5 y = x.z", &["type-mismatch: expected record but found int (property z) @ x"]),
        ("x = {a: 1} y = x.b", &["missing-label: record is missing label b @ b"]),
        (
            "option task = {name: \"t\", cron: \"* * * * *\"} x = -task.every",
            &["missing-label: record is missing label every @ every"],
        ),
        ("x = [1, 2] y = x[1.0]", &["type-mismatch: expected int as an index but found float @ 1.0"]),
        ("x = {a: 1} k = \"a\" y = x[k]", &["type-mismatch: expected array but found {a: int} @ x"]),
        (
            "option now = 2020-01-01T00:00:00Z",
            &["type-mismatch: expected () => time but found time (option now) @ 2020-01-01T00:00:00Z"],
        ),
        (
            "option location = \"UTC\"",
            &["type-mismatch: expected {zone: string, offset: duration} but found string (option location) @ \"UTC\""],
        ),
    ]);
}

#[test]
fn functions_that_are_handed_to_functions() {
    let from = "from(bucket: \"a\") |> ";
    let cases = [
        ("filter(fn: (v) => v.a)", "row-function-parameter: found unexpected argument v (argument fn of filter) @ v"),
        (
            "filter(fn: () => true)",
            "row-function-parameter: missing required argument r (argument fn of filter) @ () => true",
        ),
        (
            "filter(fn: (r) => \"x\")",
            "type-mismatch: expected bool but found string (result of argument fn of filter) @ (r) => \"x\"",
        ),
        (
            "filter(fn: (r, x) => true)",
            "row-function-parameter: found unexpected argument x (argument fn of filter) @ x",
        ),
        ("filter(fn: true)", "type-mismatch: expected (r) => bool but found bool (argument fn of filter) @ true"),
        (
            "aggregateWindow(every: 1h, fn: (column, tables) => tables)",
            "row-function-parameter: found unexpected argument tables (argument fn of aggregateWindow) @ tables",
        ),
        (
            "aggregateWindow(every: 1h, fn: (column) => column)",
            "row-function-parameter: the function takes no piped argument (argument fn of aggregateWindow) @ (column) => column",
        ),
        (
            "aggregateWindow(every: 1h, fn: \"mean\")",
            "type-mismatch: expected (tables=<-, column) => stream but found string (argument fn of aggregateWindow) @ \"mean\"",
        ),
        (
            "aggregateWindow(every: 1h, fn: int)",
            "row-function-parameter: found unexpected argument v (argument fn of aggregateWindow) @ int",
        ),
    ];
    for (call, expected) in cases {
        refused(&[(&format!("{from}{call}"), &[expected])]);
    }
    let problem = &problems(&format!("{from}filter(fn: (v) => v.a)"))[0];
    assert_eq!(problem.label, "expected `r`");
    assert_eq!(problem.help.as_deref(), Some("it is called with (r): write (r) => ..."));
}

#[test]
fn statements_of_the_library_are_refused() {
    refused(&[(
        "builtin f : (a: int) => int",
        &["builtin-statement: builtin statements are for the library only @ builtin f : (a: int) => int"],
    )]);
}

#[test]
fn what_may_work_is_accepted() {
    accepted(&[
        // Shadowing, late options, defaults that do not pin a type, extra optional parameters.
        "mean = 3 x = mean + 1",
        "t = now() option now = () => 2020-01-01T00:00:00Z",
        "f = (a=1, b) => a + b x = f(a: 1.0, b: 2.0)",
        "from(bucket: \"a\") |> filter(fn: (r, limit=5) => r._value > limit)",
        "from(bucket: \"a\") |> aggregateWindow(every: 1h, fn: mean)",
        "from(bucket: \"a\") |> aggregateWindow(every: 1h, fn: (tables=<-, column) => tables |> mean(column: column))",
        "from(bucket: \"a\") |> aggregateWindow(every: 1h, fn: (column, t=<-) => t |> limit(n: 2))",
        "agg = (fn) => from(bucket: \"a\") |> aggregateWindow(every: 1h, fn: fn) agg(fn: mean)",
        // Rows are open: any column may be there and have any type.
        "from(bucket: \"a\") |> filter(fn: (r) => r._value > 10 and r.host =~ /x/ or exists r[\"any thing\"])",
        "from(bucket: \"a\") |> map(fn: (r) => ({r with a: r.b + 1, c: \"${r.d}\", e: if r.f then 1 else 2.0}))",
        "r = {a: 1} x = {r with b: 2} y = x.b",
        // Streams, functions and packages as values.
        "data = from(bucket: \"a\") f = (tables=<-) => tables |> range(start: -1h) data |> f() |> yield(name: \"n\")",
        "import \"date\" d = date x = d.add(d: 1h, to: now())",
        "import \"date\" f = (date) => date.x y = f(date: {x: 1})",
        "add = (a) => (b) => a + b x = add(a: 1)(b: 2)",
        "import \"array\" x = [1, 2] |> array.map(fn: (x) => x + 1)",
        "option task = {name: \"t\", every: 1h} from(bucket: \"a\") |> range(start: -task.every)",
        "option task = {name: \"t\", every: 1h} x = -int(v: task.every)",
        "import \"influxdata/influxdb/tasks\" option tasks.lastSuccessTime = 2020-01-01T00:00:00Z",
        "option location = {zone: \"Europe/Berlin\", offset: 0h}",
        "x = here().zone + \"!\"",
        "x = 1 < 1.0 y = 1h < 2h z = [1] == [2] w = {a: 1} == {a: 2}",
        "x = 2.0 ^ 3.0 y = \"a\" + \"b\" z = -1h v = +1.0",
        "x = [] y = [:] z = [\"a\": 1]",
        "f = () => { x = 1 y = x + 1 return {y: y} } x = f().y",
        "true and false",
        "testcase t { x = 1 y = x } x = 2",
        "testcase t extends \"flux/a/b.c\" { super() }",
        "import \"universe\" x = universe.int(v: 1.0)",
    ]);
}

#[test]
fn a_session_sees_what_earlier_input_has_bound() {
    let parsed = crate::syntax::parse("y = x + 1 z = r.anything");
    let given: IndexMap<Name, Value> =
        [("x".into(), Value::Int(1)), ("r".into(), Value::record([("a", Value::Int(1))]))].into_iter().collect();
    assert_eq!(check_session(&parsed.file, library(), &given), []);
    let wrong = crate::syntax::parse("y = x + \"a\"");
    assert_eq!(check_session(&wrong.file, library(), &given).len(), 1);
}

#[test]
fn what_flux_has_and_fluxmill_has_not_is_unsupported() {
    let library = Library::new([crate::flux::library::Package { path: PRELUDE, ..Default::default() }]).unwrap();
    let library = library.with_not_yet(&["experimental/geo"], &[(PRELUDE, &["holtWinters"])]);
    let parsed = crate::syntax::parse("import \"experimental/geo\" x = geo.f() y = holtWinters(n: 1)");
    let found: Vec<_> =
        check(&parsed.file, &library).into_iter().map(|problem| (problem.code, problem.message)).collect();
    let expected = [
        ("unsupported", "package experimental/geo is not supported yet".to_string()),
        ("unsupported", "function holtWinters is not supported yet".to_string()),
    ];
    assert_eq!(found, expected);
}

#[test]
fn many_problems_are_counted_and_large_types_let_go() {
    let many: String = (0..300).map(|index| format!("x{index} = nosuch{index}\n")).collect();
    let found = problems(&many);
    assert_eq!(found.len(), MAX_PROBLEMS + 1);
    assert_eq!(found[MAX_PROBLEMS].message, "200 more problems are not shown");
    let mut doubled = "x0 = {a: 1}\n".to_string();
    for level in 1..60 {
        doubled.push_str(&format!("x{level} = {{a: x{0}, b: x{0}}}\n", level - 1));
    }
    accepted(&[&doubled]);
}
