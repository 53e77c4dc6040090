//! What functions with an accumulator make of tables.
#![allow(clippy::unwrap_used)]

use super::super::testing::*;
use super::*;
use crate::error::ErrorKind;

fn reduce(function: &str, identity: &[(&str, Value)]) -> Reduce {
    let identity = identity.iter().map(|(name, value)| (Name::from(*name), value.clone()));
    Reduce::new(row_function(function), Arc::new(Record { properties: identity.collect() })).unwrap()
}

const TABLES: &str = "h:string* v:int w:float\nb 1 0.5\nb 4 -\nb - 2.0\n\na 2 8.0\n\n= c\n";

/// flux-semantics 9.8 and 16.6: key columns, then properties in alphabetical order; by key; an empty table gives the
/// identity.
#[test]
fn a_table_becomes_one_row() {
    let sum = reduce(
        "(r, accumulator) => ({s: accumulator.s + (if exists r.v then r.v else 0), n: accumulator.n + 1})",
        &[("s", Value::Int(0)), ("n", Value::Int(0))],
    );
    expect(&sum, TABLES, "h:string* n:int s:int\na 1 2\n\nb 3 5\n\nc 0 0\n");
    expect(&sum, "", "");
}

/// Everything that a row function may hold: variables, conditions, logic, functions of the script, calls, `with`.
#[test]
fn functions_of_all_kinds() {
    let last = reduce(
        "(r, accumulator) => { x = r.w * 2.0 y = if exists x then x else -1.0 return {accumulator with last: y, \
         any: accumulator.any or (exists r.v and r.v > 3)} }",
        &[("last", Value::Float(0.0)), ("any", Value::Bool(false))],
    );
    expect(&last, TABLES, "h:string* any:bool last:float\na false 16.0\n\nb true 4.0\n\nc false 0.0\n");
    let text = reduce(
        "add = (a, b) => a + \"/\" + b\n(r, accumulator) => ({t: add(a: accumulator.t, b: string(v: r.v))})",
        &[("t", Value::string("x"))],
    );
    expect(&text, "v:int\n1\n2\n", "t:string\nx/1/2\n");
    let whole = reduce("(r, accumulator) => same(v: {n: accumulator.n + r.v})", &[("n", Value::Int(10))]);
    expect(&whole, "v:int\n1\n2\n", "n:int\n13\n");
    let absent =
        reduce("(r, accumulator) => ({n: accumulator.n + (if exists r.x then 1 else 2)})", &[("n", Value::Int(0))]);
    expect(&absent, "v:int\n1\n2\n", "n:int\n4\n");
}

/// Sides and branches that do not count raise nothing.
#[test]
fn what_does_not_count_does_not_fail() {
    let guarded = reduce(
        "(r, accumulator) => ({n: accumulator.n + (if r.v == 0 then 0 else 12 / r.v), b: r.v != 0 and 1 / r.v == 1})",
        &[("n", Value::Int(0)), ("b", Value::Bool(true))],
    );
    expect(&guarded, "v:int\n3\n0\n4\n", "b:bool n:int\nfalse 7\n");
    let unguarded = reduce("(r, accumulator) => ({n: accumulator.n + 12 / r.v})", &[("n", Value::Int(0))]);
    let error = expect_error(&unguarded, "v:int\n3\n0\n");
    assert_eq!(error.message(), "failed to evaluate reduce function: cannot divide by zero");
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
}

/// flux-semantics 9.8: properties take the place of values of the key; two tables of one key are refused.
#[test]
fn properties_replace_values_of_the_key() {
    let moved = reduce(
        "(r, accumulator) => ({h: r.w, n: accumulator.n + 1})",
        &[("h", Value::string("none")), ("n", Value::Int(0))],
    );
    let input = "h:string* w:string\na z\n\nb y\nb x\n\n= c\n";
    expect(&moved, input, "h:string* n:int\nnone 0\n\nx 2\n\nz 1\n");
    let one = reduce("(r, accumulator) => ({h: \"all\"})", &[("h", Value::string("all"))]);
    let error = expect_error(&one, input);
    assert_eq!(error.message(), "two reducers writing result to the same table");
    assert_eq!(error.hint(), Some("its key is {h=all}"));
    expect(&moved, "h:string* w:string\na -\n", "h:string* n:int\n- 1\n");
}

#[test]
fn what_does_not_fit_is_refused() {
    let null = reduce("(r, accumulator) => ({n: accumulator.n + r.v})", &[("n", Value::Int(0))]);
    let error = expect_error(&null, "v:int\n1\n-\n");
    assert_eq!(error.message(), "null values are not supported for \"n\" in the reduce() function");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let other = reduce("(r, accumulator) => ({n: r.w})", &[("n", Value::Int(0))]);
    let message = "type conflict: expected int but found float for \"n\" in the reduce() function";
    assert_eq!(expect_error(&other, "w:float\n1.0\n").message(), message);
    expect(&other, "w:float\n", "");
    let more = reduce("(r, accumulator) => ({n: 1, m: 2})", &[("n", Value::Int(0))]);
    assert_eq!(expect_error(&more, "v:int\n1\n").message(), "found unexpected label m");
    let less = reduce("(r, accumulator) => ({n: 1})", &[("n", Value::Int(0)), ("m", Value::Int(0))]);
    assert_eq!(expect_error(&less, "v:int\n1\n").message(), "record is missing label m");
    let row_only = reduce("(r) => ({n: 1})", &[("n", Value::Int(0))]);
    assert!(expect_error(&row_only, "v:int\n1\n").message().contains("parameter r and the accumulator"));
    let function = row_function("(r, accumulator) => accumulator");
    let identity = |value| Arc::new(Record { properties: vec![("n".into(), value)] });
    let error = Reduce::new(function.clone(), identity(Value::Array([].into()))).unwrap_err();
    assert!(error.message().contains("is array type which is not supported"));
    assert!(Reduce::new(function, identity(Value::Null)).is_err());
}
