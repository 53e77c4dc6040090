//! `map` against flux-semantics 2.6, 6.5, 16.2, 17 and 18 (row 16).
#![allow(clippy::unwrap_used)]

use super::super::testing::*;
use super::*;
use crate::error::ErrorKind;
use crate::table::scan::Parts;
use crate::table::testing::{normal, show};

fn map(function: &str) -> Map {
    Map::new(row_function(function))
}

const HOST: &str = "host:string* _time:time _value:float\na T1 1.0\na T2 -\n";

/// The examples of flux-semantics 6.5.
#[test]
fn columns_are_the_properties_of_the_record() {
    let with = map("(r) => ({r with _value: r._value*2.0, ok: exists r._value})");
    let expected = "host:string* _time:time _value:float ok:bool\na T1 2.0 true\na T2 - false\n";
    expect(&with, HOST, expected);
    expect(&map("(r) => ({v: r._value})"), HOST, "v:float\n1.0\n-\n");
    expect(&map("(r) => r"), HOST, HOST);
    expect(
        &map("(r) => ({b: r._value, host: r.host, a: r.host})"),
        HOST,
        "b:float host:string* a:string\n1.0 a a\n- a a\n",
    );
    expect(&with, "", "");
}

/// flux-semantics 6.5: empty tables are dropped.
#[test]
fn empty_tables_are_dropped() {
    let input = "host:string* v:int\n= a\n\nb 1\n\n= c\n";
    expect(&map("(r) => ({r with v: r.v + 1})"), input, "host:string* v:int\nb 2\n");
    expect(&map("(r) => ({v: r.v})"), input, "v:int\n1\n");
}

/// flux-semantics 6.5: the key has the columns that are still there, with their new values; tables merge or split.
#[test]
fn keys_follow_the_new_values() {
    let input = "h:string* v:int\na 1\na 2\n\nb 3\n";
    expect(&map("(r) => ({r with h: \"z\"})"), input, "h:string* v:int\nz 1\nz 2\nz 3\n");
    expect(&map("(r) => ({r with h: r.h + \"!\"})"), input, "h:string* v:int\na! 1\na! 2\n\nb! 3\n");
    // Split by row: tables of one input table in the order of their keys.
    let split = map("(r) => ({r with h: if r.v == 1 then \"y\" else \"x\"})");
    expect(&split, input, "h:string* v:int\nx 2\nx 3\n\ny 1\n");
    let input = "g:string* h:string* v:int\na q 1\n\nb q 2\n";
    expect(&map("(r) => ({h: r.h, v: r.v})"), input, "h:string* v:int\nq 1\nq 2\n");
    expect(&map("(r) => ({v: r.v, g: r.h, h: r.g})"), input, "v:int g:string* h:string*\n1 q a\n\n2 q b\n");
}

#[test]
fn a_table_that_loses_a_key_column_may_become_another_one() {
    let input = "h:string* v:int\na 1\n\nh:string* x:int* v:int\na 9 2\n\nh:string* v:int\nb 3\n";
    expect(&map("(r) => ({h: r.h, v: r.v})"), input, "h:string* v:int\na 1\na 2\n\nb 3\n");
    let error = expect_error(&map("(r) => ({v: r.v})"), "h:string* v:int\na 1\n\nh:string* v:float\nb 1.5\n");
    assert_eq!(error.message(), "schema collision detected: column \"v\" is both of type int and float");
}

/// flux-semantics 16.2, step 2: an absent column adopts the other side's type; of two the property is omitted.
#[test]
fn columns_that_a_table_does_not_have() {
    let ratio = "(r) => ({r with ratio: r.hum / r.temp})";
    let input =
        "s:string* hum:float temp:float\na 50.0 20.0\na - 25.0\n\ns:string* temp:float\nb 4.0\n\ns:string*\nc\n";
    let expected = "s:string* hum:float temp:float ratio:float\na 50.0 20.0 2.5\na - 25.0 -\n\n\
        s:string* temp:float ratio:float\nb 4.0 -\n\ns:string*\nc\n";
    expect(&map(ratio), input, expected);
    expect(&map("(r) => ({v: r.v, gone: r.absent, is: exists r.absent})"), "v:int\n1\n", "v:int is:bool\n1 false\n");
}

/// flux-semantics 2.6 and 17: an untaken branch raises nothing; a null condition takes `else`.
#[test]
fn branches_are_evaluated_where_they_are_taken() {
    let input = "a:int n:int\n6 2\n1 0\n5 -\n";
    let safe = map("(r) => ({q: if r.n != 0 then r.a / r.n else -1})");
    expect(&safe, input, "q:int\n3\n-1\n-1\n");
    let records = map("(r) => if r.n != 0 then {q: r.a / r.n, w: 1} else {q: 0, w: 2}");
    expect(&records, input, "q:int w:int\n3 1\n0 2\n0 2\n");
    let error = expect_error(&map("(r) => ({q: r.a / r.n})"), input);
    assert_eq!(error.message(), "failed to evaluate map function: cannot divide by zero");
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
}

#[test]
fn values_that_depend_on_the_table_or_on_nothing() {
    let input = "h:string* v:int\na 1\na 2\n\nb 3\n";
    let expected = "h:string* v:int up:string n:int t:time\na 1 a? 3 T7\na 2 a? 3 T7\n\nb 3 b? 3 T7\n";
    expect(&map("k = 3\n(r) => ({r with up: r.h + \"?\", n: k, t: now()})"), input, expected);
    let expected = "h:string* s:string\n1 7\n1 7\n\n2 7\n";
    let input = "h:string* v:int\n1 1\n1 2\n\n2 3\n";
    expect(&map("(r) => ({h: r.h, s: string(v: int(v: \"7\"))})"), input, expected);
    expect(&map("(r) => ({r with v: int(v: r.h) + r.v})"), input, "h:string* v:int\n1 2\n1 3\n\n2 5\n");
}

#[test]
fn functions_of_the_script_give_records() {
    let input = "h:string* v:int\na 1\n";
    let double = "double = (r) => ({r with v: r.v * 2})\n(r) => double(r: r)";
    expect(&map(double), input, "h:string* v:int\na 2\n");
    let block = "(r) => { x = r.v + 1 y = {p: x, q: x * x} return {r with v: y.q} }";
    expect(&map(block), input, "h:string* v:int\na 4\n");
    expect(
        &map("base = {one: 1, two: \"b\"}\n(r) => ({base with v: r.v})"),
        input,
        "one:int two:string v:int\n1 b 1\n",
    );
    expect(&map("same = (x) => x\n(r) => ({v: same(x: {w: r.v}).w})"), input, "v:int\n1\n");
}

/// A type that only the rows can tell is that of the first value that is not null, wherever chunks are cut.
#[test]
fn types_that_only_the_rows_can_tell() {
    let input = "h:string* v:int\na -\na -\na 3\n\nb 4\n\nh:string* w:string\nc x\n";
    let expected = "h:string* o:int\na -\na -\na 3\n\nb 4\n\nh:string*\nc\n";
    expect(&map("(r) => ({h: r.h, o: opaque(v: r.v)})"), input, expected);
    let error = expect_error(&map("(r) => ({o: opaque(v: if r.v == 1 then \"x\" else 2.5)})"), "v:int\n1\n2\n");
    assert_eq!(error.message(), "map object property \"o\" is of type string in some rows and float in others");
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
    expect(&map("(r) => opaque(v: {h: r.h, n: r.v})"), "h:string* v:int\na -\na 2\n", "h:string* n:int\na -\na 2\n");
}

#[test]
fn refusals_say_what_is_no_column() {
    let error = expect_error(&map("(r) => r.v"), "v:float\n1.0\n");
    assert_eq!(error.message(), "failed to evaluate map function: map function must return an object, got float");
    let error = expect_error(&map("(r) => ({d: 1h})"), "v:float\n1.0\n");
    assert_eq!(error.message(), "map object property \"d\" is duration type which is not supported in a flux table");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let error = expect_error(&map("(r) => ({a: [r.v]})"), "v:float\n1.0\n");
    assert_eq!(error.message(), "map object property \"a\" is array type which is not supported in a flux table");
    let error = expect_error(&map("(r) => ({v: r.v + r.s})"), "v:float s:string\n- a\n1.0 -\n1.0 b\n");
    assert_eq!(error.message(), "failed to evaluate map function: unsupported binary expression float + string");
    expect(&map("(r) => ({d: 1h})"), "v:float*\n= 1.0\n", "");
}

/// flux-semantics 2.5: integers wrap, `^` gives a float, floats follow IEEE.
#[test]
fn arithmetic_is_that_of_the_language() {
    let input = "i:int u:uint f:float\n9223372036854775807 18446744073709551615 0.0\n-7 2 -2.5\n";
    let function = "(r) => ({a: r.i + 1, c: 1.0 / r.f, d: r.i % 2, g: -r.i, h: -r.f, p: r.i ^ 2})";
    let expected = "a:int c:float d:int g:int h:float p:float\n\
        -9223372036854775808 inf 1 -9223372036854775807 -0.0 8.507059173023462e37\n-6 -0.4 -1 7 2.5 49.0\n";
    expect(&map(function), input, expected);
}

#[test]
fn tables_of_one_shape_stream_scattered() {
    let input = "h:string* v:int\na 1\na 2\n\nb 3\n";
    let props = StreamProps { one_shape: true, ..props(Parts::Clustered) };
    let out = answer(&map("(r) => ({h: r.h, v: r.v * 10})"), props, input).unwrap();
    assert_eq!(show(&out.chunks), normal("h:string* v:int\na 10\na 20\n\nb 30\n"));
    let out = answer(&map("(r) => ({v: r.v})"), props, input).unwrap();
    assert_eq!(show(&out.chunks), normal("v:int\n1\n2\n3\n"));
    let scattered = map("(r) => ({h: r.h})").gives(&[StreamProps { parts: Parts::Scattered, ..props }]);
    assert_eq!(scattered.parts, Parts::Scattered);
}
