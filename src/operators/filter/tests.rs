//! `filter` against flux-semantics 2.6, 6.1, 15 and 17, and what of it a store may decide.
#![allow(clippy::unwrap_used)]

use super::super::testing::*;
use super::*;
use crate::error::ErrorKind;
use crate::table::scan::Parts;

fn filter(function: &str) -> Filter {
    Filter::new(row_function(function), OnEmpty::Drop)
}

const TABLES: &str =
    "h:string* _field:string* _time:time _value:float\na t T1 1.5\na t T2 -\na t T3 3.5\n\nb u T1 9.0\n";

#[test]
fn rows_stay_for_which_the_condition_is_true() {
    let head = "h:string* _field:string* _time:time _value:float\n";
    expect(&filter("(r) => r._value > 2.0"), TABLES, &format!("{head}a t T3 3.5\n\nb u T1 9.0\n"));
    expect(&filter("(r) => r._value < 2"), TABLES, &format!("{head}a t T1 1.5\n"));
    expect(&filter("(r) => r.h == \"b\""), TABLES, &format!("{head}b u T1 9.0\n"));
    expect(&filter("(r) => r._time >= 1970-01-01T00:00:02Z"), TABLES, &format!("{head}a t T2 -\na t T3 3.5\n"));
    expect(&filter("(r) => true"), TABLES, TABLES);
    expect(&filter("(r) => false"), TABLES, "");
    expect(&filter("(r) => r.h =~ /^[bc]/ or r._value == 1.5"), TABLES, &format!("{head}a t T1 1.5\n\nb u T1 9.0\n"));
    expect(&filter("(r) => r._value > 2.0"), "", "");
}

/// flux-semantics 2.6 and 6.1: null is not true, an absent column is null.
#[test]
fn null_keeps_nothing() {
    let head = "h:string* _field:string* _time:time _value:float\n";
    expect(&filter("(r) => r._value != 1.5"), TABLES, &format!("{head}a t T3 3.5\n\nb u T1 9.0\n"));
    expect(&filter("(r) => r.site != \"x\""), TABLES, "");
    expect(&filter("(r) => not (r.site == \"x\")"), TABLES, "");
    expect(&filter("(r) => exists r._value"), TABLES, &format!("{head}a t T1 1.5\na t T3 3.5\n\nb u T1 9.0\n"));
    expect(&filter("(r) => not exists r._value"), TABLES, &format!("{head}a t T2 -\n"));
    expect(&filter("(r) => not exists r.site and exists r.h"), TABLES, TABLES);
    // Three values: unknown or true is true, unknown and false is false, and its opposite true.
    expect(&filter("(r) => r.site == \"x\" or r.h == \"b\""), TABLES, &format!("{head}b u T1 9.0\n"));
    expect(
        &filter("(r) => not (r.site == \"x\" and r.h == \"b\")"),
        TABLES,
        &format!("{head}a t T1 1.5\na t T2 -\na t T3 3.5\n"),
    );
    expect(&filter("(r) => if r.site == \"x\" then false else r.h == \"b\""), TABLES, &format!("{head}b u T1 9.0\n"));
}

/// flux-semantics 6.1: a table that keeps no row is dropped, an empty one too; with `keep` both stay.
#[test]
fn empty_tables_are_dropped_or_kept() {
    let input = "h:string* v:int\na 1\n\n= b\n\nc 5\n";
    expect(&filter("(r) => r.v > 3"), input, "h:string* v:int\nc 5\n");
    let keep = Filter::new(row_function("(r) => r.v > 3"), OnEmpty::Keep);
    expect(&keep, input, "h:string* v:int\n= a\n\n= b\n\nc 5\n");
    assert_eq!(OnEmpty::parse("x").unwrap_err().message(), "onEmpty must be keep or drop, was \"x\"");
}

/// flux-semantics 18, row 11: types are those of the table, and `and` asks its right side only where it counts.
#[test]
fn a_condition_that_does_not_fit_other_tables_is_not_asked_there() {
    let input = "_field:string* _value:string\ns xy\ns z\n\n_field:string* _value:float\nf 1.0\n";
    expect(&filter("(r) => r._field == \"s\" and r._value =~ /x/"), input, "_field:string* _value:string\ns xy\n");
    expect(&filter("(r) => r._value =~ /x/ and r._field == \"s\""), input, "_field:string* _value:string\ns xy\n");
    let or = filter("(r) => r._field == \"f\" or (r._value != \"z\" and r._value =~ /y/)");
    expect(&or, input, "_field:string* _value:string\ns xy\n\n_field:string* _value:float\nf 1.0\n");
}

#[test]
fn division_by_zero_counts_only_where_it_is_reached() {
    let input = "a:int n:int\n6 2\n1 0\n9 3\n";
    expect(&filter("(r) => r.n != 0 and r.a / r.n == 3"), input, "a:int n:int\n6 2\n9 3\n");
    expect(&filter("(r) => r.n == 0 or r.a / r.n == 0"), input, "a:int n:int\n1 0\n");
    let error = expect_error(&filter("(r) => r.a / r.n == 3"), input);
    assert_eq!(error.message(), "failed to evaluate filter function: cannot divide by zero");
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
}

#[test]
fn functions_and_variables_of_the_script_are_known() {
    let input = "v:float s:string\n1.0 a\n4.0 b\n";
    expect(&filter("limit = 3.0\n(r) => r.v > limit"), input, "v:float s:string\n4.0 b\n");
    expect(&filter("big = (x, than=3.0) => x > than\n(r) => big(x: r.v)"), input, "v:float s:string\n4.0 b\n");
    expect(&filter("big = (r) => r.v > 3.0\n(r) => big(r: r)"), input, "v:float s:string\n4.0 b\n");
    expect(&filter("is = (x=<-) => x > 3.0\n(r) => r.v |> is()"), input, "v:float s:string\n4.0 b\n");
    expect(&filter("(r) => { x = r.v * 2.0 y = x + 1.0 return y > 8.0 }"), input, "v:float s:string\n4.0 b\n");
    expect(&filter("(r) => float(v: int(v: r.v)) == 4.0"), input, "v:float s:string\n4.0 b\n");
    expect(&filter("(r) => \"${r.s}!\" == \"a!\""), input, "v:float s:string\n1.0 a\n");
    expect(&filter("c = {s: \"b\"}\n(r) => r.s == c.s and {x: r.v}.x > 1.0"), input, "v:float s:string\n4.0 b\n");
    expect(&filter("(r) => [1.0, r.v][1] > 1.0"), input, "v:float s:string\n4.0 b\n");
}

#[test]
fn refusals_name_the_place() {
    let error = expect_error(&filter("(r) => r.v + 1"), "v:int\n1\n");
    assert_eq!(
        error.message(),
        "failed to evaluate filter function: row predicate function does not evaluate to a boolean"
    );
    assert_eq!(error.kind(), ErrorKind::Invalid);
    expect(&filter("(r) => r.v + 1"), "v:int\n-\n", "");
    let error = expect_error(&filter("(r) => r.v > \"x\""), "v:int\n-\n1\n");
    assert_eq!(error.message(), "failed to evaluate filter function: unsupported binary expression int > string");
    assert!(error.span().is_some());
    expect(&filter("(r) => r.v > \"x\""), "v:int\n-\n", "");
    let error = expect_error(&filter("(r) => \"${r.absent}\" == \"\""), "v:int\n1\n");
    assert!(error.message().contains("r.absent: interpolated expression produced a null value"), "{}", error.message());
}

/// The parts that say something of identities only, as text.
fn pushed(function: &str) -> (String, bool) {
    match filter(function).split() {
        Some(Split { push: PushOp::Filter(predicate), rest }) => (show(&predicate), rest.is_some()),
        _ => ("nothing".to_string(), true),
    }
}

fn show(predicate: &Predicate) -> String {
    let list = |parts: &[Predicate], word: &str| {
        format!("({})", parts.iter().map(show).collect::<Vec<_>>().join(&format!(" {word} ")))
    };
    match predicate {
        Predicate::And(parts) => list(parts, "and"),
        Predicate::Or(parts) => list(parts, "or"),
        Predicate::Not(part) => format!("not {}", show(part)),
        Predicate::Compare { column, comparison, literal } => format!("{column} {comparison:?} {literal:?}"),
        Predicate::Matches { column, pattern } => format!("{column} =~ {pattern}"),
        Predicate::Exists(column) => format!("exists {column}"),
    }
}

#[test]
fn a_store_may_decide_what_is_said_of_identities() {
    let all = |text: &str| (text.to_string(), false);
    let part = |text: &str| (text.to_string(), true);
    assert_eq!(pushed("(r) => r._measurement == \"cpu\""), all("_measurement Equal String(\"cpu\")"));
    assert_eq!(
        pushed("(r) => r._measurement == \"cpu\" and (r[\"_field\"] == \"a\" or r._field == \"b\")"),
        all("(_measurement Equal String(\"cpu\") and (_field Equal String(\"a\") or _field Equal String(\"b\")))")
    );
    assert_eq!(pushed("(r) => r.host =~ /^a/ and r._value > 1"), part("host =~ ^a"));
    assert_eq!(pushed("(r) => r._value > 1 and r.host !~ /^a/"), part("not host =~ ^a"));
    assert_eq!(pushed("(r) => exists r.host and not exists r.dc"), all("(exists host and not exists dc)"));
    assert_eq!(pushed("h = \"x\"\n(r) => h != r.host"), all("host NotEqual String(\"x\")"));
    assert_eq!(pushed("c = {re: /x/}\n(r) => r.host =~ c.re"), all("host =~ x"));
    assert_eq!(pushed("(r) => 1970-01-01T00:00:01Z <= r._time"), all("_time GreaterEqual Time(1000000000)"));
    assert_eq!(pushed("(r) => true"), all("()"));
    // An `or` with a part about the value stays whole; so does what is about values, bounds, or of another type.
    for stays in [
        "(r) => r.host == \"a\" or r._value > 1",
        "(r) => r._value == \"x\"",
        "(r) => r._start == 1970-01-01T00:00:01Z",
        "(r) => r.host == 1",
        "(r) => r._time == \"x\"",
        "(r) => exists r._time",
        "(r) => r.a == r.b",
        "(r) => { return r.host == \"a\" }",
    ] {
        assert_eq!(pushed(stays), part("nothing"), "{stays}");
    }
    let keep = Filter::new(row_function("(r) => r.host == \"a\""), OnEmpty::Keep);
    assert!(keep.split().is_none());
}

#[test]
fn what_remains_is_the_same_whether_the_store_has_decided_its_part_or_not() {
    let function = "(r) => r.v > 1 and r.h == \"a\" and r.v < 5";
    let input = "h:string* v:int\na 1\na 2\na 7\n\nb 3\n";
    let whole = filter(function);
    let rest = whole.split().unwrap().rest.unwrap();
    let decided = "h:string* v:int\na 1\na 2\na 7\n";
    expect(&whole, input, "h:string* v:int\na 2\n");
    let out = answer(rest.as_ref(), props(Parts::Clustered), decided).unwrap();
    assert_eq!(crate::table::testing::show(&out.chunks), crate::table::testing::normal("h:string* v:int\na 2\n"));
}
