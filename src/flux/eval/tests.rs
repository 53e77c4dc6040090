//! Scripts as users write them, evaluated with the small library of the tests.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::flux::host::Host;
use crate::flux::testing::{Nowhere, library, shown};
use crate::flux::value::Function;
use crate::flux::{scalar, testing};
use crate::time::rfc3339;

const NOW: &str = "2024-05-01T12:00:00Z";

fn time(text: &str) -> i64 {
    rfc3339::parse(text).unwrap()
}

fn run_with(text: &str, request: EvalRequest) -> Result<Evaluation> {
    let parsed = crate::syntax::parse(text);
    assert!(!parsed.has_errors(), "{text}: {:?}", parsed.diagnostics);
    evaluate(&Arc::new(parsed.file), library(), request, Arc::new(Nowhere))
}

fn run(text: &str) -> Result<Evaluation> {
    run_with(text, EvalRequest { now_ns: time(NOW), ..EvalRequest::default() })
}

/// The value of the last expression statement, as a reader would write it.
fn last(text: &str) -> String {
    let evaluation = run(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
    let (_, value) = evaluation.values.last().expect("an expression statement");
    written(value)
}

fn written(value: &Value) -> String {
    let list = |items: Vec<String>| items.join(", ");
    match value {
        Value::Null => "null".to_string(),
        Value::String(text) => format!("{text:?}"),
        Value::Float(number) => format!("{number:?}"),
        Value::Time(time_ns) => rfc3339::to_short_text(*time_ns),
        Value::Array(items) => format!("[{}]", list(items.iter().map(written).collect())),
        Value::Record(record) => {
            let properties = record.properties.iter().map(|(name, value)| format!("{name}: {}", written(value)));
            format!("{{{}}}", list(properties.collect()))
        }
        Value::Dict(entries) => {
            let entries =
                entries.iter().map(|(key, value)| format!("{}: {}", written(&key.to_value()), written(value)));
            format!("[{}]", list(entries.collect()))
        }
        Value::Stream(stream) => shown(stream),
        other => scalar::interpolate(other).unwrap_or_else(|_| other.type_name().to_string()),
    }
}

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(last(text), *expected, "{text}");
    }
}

/// The error of a script, its message and the text that it points at.
fn error(text: &str) -> (String, String) {
    let error = run(text).map(|evaluation| evaluation.values).unwrap_err();
    let place = error.span().map_or("", |span| &text[span.range()]);
    (error.message().to_string(), place.to_string())
}

#[track_caller]
fn check_errors(cases: &[(&str, &str, &str)]) {
    for (text, message, place) in cases {
        assert_eq!(error(text), (message.to_string(), place.to_string()), "{text}");
    }
}

#[test]
fn expressions_have_the_values_of_the_specification() {
    // flux-semantics 2.2, 2.5, 15.
    check(&[
        ("2.0 ^ 3.0 ^ 2.0", "64.0"),
        ("-2.0 ^ 2.0", "4.0"),
        ("not 1 == 2", "true"),
        ("1 + 2 * 3 - 7 / 2 % 2", "6"),
        ("\"a\" + \"b\"", "\"ab\""),
        ("\"x\" =~ /X/", "false"),
        ("if 1 < 2 then \"a\" else \"b\"", "\"a\""),
        ("[1, 2, 3][1]", "2"),
        ("{a: 1, \"b c\": 2}[\"b c\"]", "2"),
        ("[\"k\": 1, \"a\": 2]", "[\"a\": 2, \"k\": 1]"),
        ("[:]", "[]"),
        ("a = 1 b = 2 c = {a, b} c", "{a: 1, b: 2}"),
        ("r = {a: 1, b: 2} s = {r with b: 3, c: 4} s", "{a: 1, b: 3, c: 4}"),
        ("exists {a: 1}.b", "false"),
        ("x = 5 \"x is ${x}, ${1.0} ${1h} ${2024-01-01}\"", "\"x is 5, 1 1h 2024-01-01T00:00:00.000000000Z\""),
    ]);
}

#[test]
fn null_has_three_valued_logic_everywhere() {
    // flux-semantics 17: one evaluator, three-valued, lazy branches. r.x is null: the record has no x.
    let null = "r = {a: 1} ";
    for (expression, expected) in [
        ("r.x and true", "null"),
        ("r.x and false", "false"),
        ("r.x or true", "true"),
        ("r.x or false", "null"),
        ("not r.x", "null"),
        ("r.x == r.x", "null"),
        ("r.x + 1", "null"),
        ("if r.x then 1 else 2", "2"),
        ("exists r.x", "false"),
        ("r.x.y", "null"),
        ("if r.a == 0 then 1 / 0 else 2", "2"),
        ("false and 1 / 0 == 1", "false"),
    ] {
        assert_eq!(last(&format!("{null}{expression}")), expected, "{expression}");
    }
}

#[test]
fn functions_close_over_their_place() {
    check(
        &[
            ("f = (a, b=10) => a + b f(a: 1)", "11"),
            ("f = (a, b=10) => a + b f(a: 1, b: 2)", "3"),
            ("a = 1 f = (b) => a + b g = (a) => f(b: a) g(a: 10)", "11"),
            ("add = (a) => (b) => a + b add(a: 1)(b: 2)", "3"),
            ("f = (t=<-) => t * 2 4 |> f()", "8"),
            ("f = (t=<-, by=3) => t * by 4 |> f(by: 5)", "20"),
            ("f = (t=<-) => t f(t: 7)", "7"),
            ("f = () => { x = 1 y = x + 1 return y * 2 } f()", "4"),
            ("x = 1 f = () => { x = 2 return x } f() + x", "3"),
            ("f = (x) => { g = () => x x = 5 return g() + x } f(x: 1)", "6"),
            ("r = {f: (v) => v + 1} r.f(v: 1)", "2"),
            ("int(v: \"42\")", "42"),
            ("f = int f(v: 4.0)", "4"),
            ("f = (mean) => mean + 1 f(mean: 1)", "2"),
            ("mean = 3 mean", "3"),
            ("import \"array\" array.map(arr: [1, 2], fn: (x) => x * 2)", "[2, 4]"),
            ("import \"array\" k = 3 a = [1, 2] a |> array.map(fn: (x) => ({v: x + k}))", "[{v: 4}, {v: 5}]"),
            ("import a \"array\" a.map(arr: [1], fn: float)", ""),
        ][..17],
    );
}

#[test]
fn streams_come_in_program_order_without_repetition() {
    let streams = |text: &str| {
        let evaluation = run(text).unwrap();
        evaluation.streams.iter().map(shown).collect::<Vec<_>>()
    };
    assert_eq!(streams("from(bucket: \"a\") |> range(start: -1h)"), ["from(a) range"]);
    assert_eq!(streams("x = from(bucket: \"a\")"), [""; 0]);
    assert_eq!(streams("x = from(bucket: \"a\") x x"), ["from(a)"]);
    assert_eq!(streams("from(bucket: \"a\") |> yield(name: \"1\")"), ["from(a) yield(1)"]);
    assert_eq!(
        streams("d = from(bucket: \"a\") d |> yield(name: \"1\") |> limit(n: 1) x = d |> yield(name: \"2\")"),
        ["from(a) yield(1)", "from(a) yield(1) limit", "from(a) yield(2)"]
    );
    assert_eq!(streams("f = (b) => from(bucket: b) |> yield() f(b: \"a\") f(b: \"a\")").len(), 2);
}

#[test]
fn builtins_call_functions_with_the_piped_value() {
    check(&[
        ("from(bucket: \"a\") |> aggregateWindow(every: 1h, fn: mean)", "from(a) mean"),
        (
            "from(bucket: \"a\") |> aggregateWindow(every: 1h, fn: (t=<-, column) => t |> limit(n: 1) |> mean(column))",
            "from(a) limit mean",
        ),
    ]);
}

#[test]
fn now_is_the_requests_unless_the_script_sets_it() {
    let later = "2024-05-01T13:00:00Z";
    check(&[
        ("now()", NOW),
        ("option now = () => 2020-01-01T00:00:00Z now()", "2020-01-01T00:00:00Z"),
        ("t = now() option now = () => 2020-01-01T00:00:00Z t", "2020-01-01T00:00:00Z"),
        ("import \"date\" option now = () => date.add(d: 1h, to: now()) now()", later),
        ("now = () => 2020-01-01T00:00:00Z import_free = now() import_free", "2020-01-01T00:00:00Z"),
        ("option now = () => { t = 2020-01-01T00:00:00Z return t } now()", "2020-01-01T00:00:00Z"),
    ]);
    assert_eq!(
        error("option now = 2020-01-01T00:00:00Z now()").0,
        "option now is of type time, expected a function without arguments"
    );
    assert_eq!(error("option now = () => 5 now()").0, "option now returns int, expected time");
}

#[test]
fn options_resolve_in_the_order_in_which_they_need_each_other() {
    // flux-semantics 18 row 22: option v with now() beside option now compiles here, in either order.
    check(&[
        ("option v = {t: now()} option now = () => 2020-01-01T00:00:00Z v.t", "2020-01-01T00:00:00Z"),
        ("option now = () => 2020-01-01T00:00:00Z option v = {t: now()} v.t", "2020-01-01T00:00:00Z"),
        ("option task = {name: \"n\", every: 1h} start = -task.every start", "-1h"),
        ("zone = \"X\" option location = {zone: zone, offset: 0h} here().zone", "\"X\""),
        ("here().zone", "\"UTC\""),
        ("z = here().zone option location = {zone: \"Y\", offset: 0h} z", "\"Y\""),
        (
            "import \"influxdata/influxdb/tasks\" option tasks.lastSuccessTime = 2024-01-01 tasks.lastSuccess(orTime: -1h)",
            "2024-01-01T00:00:00Z",
        ),
        (
            "import t \"influxdata/influxdb/tasks\" option t.lastSuccessTime = 2024-01-01 t.lastSuccessTime",
            "2024-01-01T00:00:00Z",
        ),
    ]);
    let request = EvalRequest {
        options: vec![("influxdata/influxdb/tasks".into(), "lastSuccessTime".into(), Value::Time(time(NOW)))],
        ..EvalRequest::default()
    };
    let text = "import \"influxdata/influxdb/tasks\" tasks.lastSuccess(orTime: -1h)";
    let evaluation = run_with(text, request).unwrap();
    assert_eq!(written(&evaluation.values[0].1), NOW);
    assert!(error("option location = {zone: here().zone, offset: x} x = 1").0.contains("undefined identifier x"));
}

#[test]
fn errors_point_at_the_innermost_place() {
    check_errors(
        &[
            ("x = 1 / 0", "cannot divide by zero", "1 / 0"),
            ("y = 1 + x", "undefined identifier x", "x"),
            ("y = x x = 1", "undefined identifier x", "x"),
            ("f = () => f() f()", "error calling function \"f\": undefined identifier f", "f"),
            (
                "f = (a) => a + 1.0 f(a: 1)",
                "error calling function \"f\": unsupported binary expression int + float",
                "a + 1.0",
            ),
            (
                "f = (a) => a / 0 g = (a) => f(a: a) g(a: 1)",
                "error calling function \"g\": error calling function \"f\": cannot divide by zero",
                "a / 0",
            ),
            ("[1, 2][5]", "cannot access element 5 of array of length 2", "[1, 2][5]"),
            ("[1, 2][-1]", "cannot access element -1 of array of length 2", "[1, 2][-1]"),
            ("\"${{a: 1}.b}\"", "interpolated expression produced a null value", "{a: 1}.b"),
            ("r = {a: 1} \"${r.b}\"", "r.b: interpolated expression produced a null value", "r.b"),
            ("int(v: \"x\")", "cannot convert string \"x\" to int due to invalid syntax", "int(v: \"x\")"),
            ("5()", "expected function but found int", "5"),
            ("x = 5 x.y", "expected record but found int (property y)", "x.y"),
            ("if 1 then 2 else 3", "the condition of if: expected bool but found int", "1"),
            ("true and 1", "the right operand of and: expected bool but found int", "1"),
            ("import \"date\" date.sub()", "package date has no member sub", "date.sub"),
            ("a = 1 a = 2", "variable \"a\" reassigned", "a"),
        ][..16],
    );
    assert_eq!(error("a = 1 a = 2").0, "variable \"a\" reassigned");
}

#[test]
fn wrong_calls_are_refused_in_words() {
    check_errors(&[
        ("int()", "missing required argument v of int", "int()"),
        ("int(v: 1, w: 2)", "found unexpected argument w of int", "int(v: 1, w: 2)"),
        ("int(v: 1, v: 2)", "duplicate keyword parameter specified: \"v\"", "v"),
        ("limit(n: 1)", "missing pipe argument tables of limit", "limit(n: 1)"),
        ("5 |> int()", "int does not take a piped argument", "int()"),
        ("f = (a) => a f()", "missing required argument a of f", "f()"),
        ("f = (a) => a f(b: 1)", "missing required argument a of f", "f(b: 1)"),
        ("f = () => 1 f(b: 1)", "found unexpected argument b of f", "f(b: 1)"),
        ("f = (a) => a 1 |> f(a: 2)", "f does not take a piped argument", "f(a: 2)"),
        ("f = (t=<-) => t 1 |> f(t: 2)", "duplicate keyword parameter specified: \"t\" of f", "f(t: 2)"),
    ]);
}

#[test]
fn endless_scripts_are_stopped() {
    let (message, _) = error("f = (g) => g(g: g) f(g: f)");
    assert!(message.contains("nested more than 512 levels deep"), "{message}");
    let limits = EvalLimits { steps: 1000, ..EvalLimits::default() };
    let doubling = "a = (x) => x + 1 b = (x) => a(x: a(x)) c = (x) => b(x: b(x)) d = (x) => c(x: c(x)) \
                    e = (x) => d(x: d(x)) f = (x) => e(x: e(x)) g = (x) => f(x: f(x)) h = (x) => g(x: g(x)) h(x: 0)";
    assert_eq!(last(&doubling.replace("(x))", "(x: x))")), "128");
    let steps = run_with(&doubling.replace("(x))", "(x: x))"), EvalRequest { limits, ..EvalRequest::default() });
    assert!(steps.unwrap_err().message().ends_with("the script takes more than 1000 steps"));
}

#[test]
fn deep_values_are_refused_and_wide_ones_are_not() {
    let nested = "a = (x) => ({v: x}) b = (x) => a(x: a(x: x)) c = (x) => b(x: b(x: x)) d = (x) => c(x: c(x: x)) \
                  e = (x) => d(x: d(x: x)) f = (x) => e(x: e(x: x)) g = (x) => f(x: f(x: x)) h = (x) => g(x: g(x: x)) ";
    assert!(last(&format!("{nested} h(x: 0)")).starts_with("{v: {v: "));
    assert!(error(&format!("{nested} h(x: h(x: 0))")).0.contains("values are nested more than 200 levels deep"));
    // Thirty times the same value twice: a thousand million leaves if sharing were not seen.
    let mut shared = "x0 = [1, 2]\n".to_string();
    for level in 1..30 {
        shared.push_str(&format!("x{level} = [x{0}, x{0}]\n", level - 1));
    }
    assert!(run(&shared).is_ok());
}

#[test]
fn the_deepest_text_that_parses_is_evaluated() {
    let sum = vec!["1"; 200].join(" + ");
    assert_eq!(last(&sum), "200");
    let nested = format!("{}1{}", "(".repeat(100), ")".repeat(100));
    assert_eq!(last(&nested), "1");
}

#[test]
fn an_evaluation_can_be_canceled() {
    let asked = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&asked);
    let cancelled: Cancelled = Arc::new(move || counter.fetch_add(1, Ordering::SeqCst) > 2);
    let text = format!("import \"array\" array.map(arr: [{}], fn: (x) => x + 1)", "1,".repeat(20_000));
    let error = run_with(&text, EvalRequest { cancelled: Some(cancelled), ..EvalRequest::default() }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Canceled);
    assert_eq!(asked.load(Ordering::SeqCst), 4);
}

#[test]
fn row_functions_outlive_the_script() {
    // The host of a row function knows now and the options as the script left them.
    let text = "import \"date\" option now = () => 2024-01-01T00:00:00Z option location = {zone: \"Z\", offset: 0h} \
                k = 3 f = (r) => ({r with b: r.a * k, zone: here().zone, t: date.add(d: 1h, to: now())}) f";
    let parsed = crate::syntax::parse(text);
    let evaluator_world = Arc::new(testing::Nowhere);
    let session = Session {
        library: library(),
        world: evaluator_world,
        now_ns: 0,
        options: Vec::new(),
        limits: EvalLimits::default(),
        cancelled: None,
    };
    let program = Program::new(Arc::new(parsed.file), IndexMap::new()).unwrap();
    let mut evaluator = Evaluator::new(Arc::new(session), Some(program));
    let rows = evaluator.row_hosts();
    let evaluation = evaluator.run().unwrap();
    let Value::Function(function @ Function::Closure(_)) = &evaluation.values[0].1 else { panic!("a closure") };
    let mut host = rows.host();
    for a in [1, 2] {
        let row = Value::record([("a", Value::Int(a))]);
        let value = host.call(function, vec![("r".into(), row)]).unwrap();
        assert_eq!(written(&value), format!("{{a: {a}, b: {}, zone: \"Z\", t: 2024-01-01T01:00:00Z}}", a * 3));
    }
}

#[test]
fn a_session_sees_what_earlier_input_has_bound() {
    let first = run("x = 2 f = (y) => x * y").unwrap();
    assert_eq!(first.names.keys().map(|name| &**name).collect::<Vec<_>>(), ["x", "f"]);
    let second = run_with("f(y: 4) + x", EvalRequest { names: first.names, ..EvalRequest::default() }).unwrap();
    assert_eq!(written(&second.values[0].1), "10");
}
