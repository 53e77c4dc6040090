//! `keep`, `drop`, `rename`, `duplicate` against flux-semantics 6.7, 16.4 and 16.5.
#![allow(clippy::unwrap_used)]

use super::super::testing::*;
use super::*;
use crate::error::ErrorKind;
use crate::table::scan::Parts;
use crate::table::testing::{normal, show};

fn names(names: &[&str]) -> Vec<Name> {
    names.iter().map(|name| Name::from(*name)).collect()
}

fn keep(columns: &[&str]) -> Columns {
    Columns::Keep(Selection::Columns(names(columns)))
}

fn drop(columns: &[&str]) -> Columns {
    Columns::Drop(Selection::Columns(names(columns)))
}

fn rename(columns: &[(&str, &str)]) -> Columns {
    Columns::Rename(Renaming::Columns(columns.iter().map(|(old, new)| (Name::from(*old), Name::from(*new))).collect()))
}

fn duplicate(column: &str, copy: &str) -> Columns {
    Columns::Duplicate { column: column.into(), copy: copy.into() }
}

/// flux-semantics 16.4.
#[test]
fn tables_merge_when_kept_columns_make_their_keys_equal() {
    let input = "host:string* cpu:int* _value:int\na 0 1\n\na 1 2\n";
    expect(&keep(&["host", "_value", "nothing"]), input, "host:string* _value:int\na 1\na 2\n");
    expect(&drop(&["cpu"]), input, "host:string* _value:int\na 1\na 2\n");
    expect(&drop(&["nothing"]), input, input);
}

/// flux-semantics 16.5.
#[test]
fn keys_follow_their_columns() {
    let input = "host:string* v:int\na 1\n";
    expect(&duplicate("v", "host"), input, "host:int v:int\n1 1\n");
    expect(&rename(&[("host", "node")]), input, "node:string* v:int\na 1\n");
    expect(&drop(&["host"]), input, "v:int\n1\n");
}

/// flux-semantics 6.7: the copy joins the key only where it takes the place of a key column.
#[test]
fn copies_stay_outside_of_the_key() {
    let input = "a:string* b:string* v:int\nx y 1\n\nz y -\n\n= q y\n";
    let sorted = "a:string* b:string* v:int c:string\n= q y\n\nx y 1 x\n\nz y - z\n";
    expect(&duplicate("a", "c"), input, sorted);
    expect(&duplicate("a", "b"), "a:string* b:string* v:int\nx y 1\n", "a:string* b:string* v:int\nx x 1\n");
    expect(&duplicate("v", "w"), "v:int w:string\n1 s\n- t\n", "v:int w:int\n1 1\n- -\n");
    expect(&duplicate("v", "v"), "v:int\n1\n", "v:int\n1\n");
}

#[test]
fn merged_tables_unite_their_columns_or_collide() {
    let input = "h:string* a:int x:int\nq 1 2\n\nh:string* b:int x:int\nr 3 4\n";
    expect(&drop(&["h"]), input, "a:int x:int b:int\n1 2 -\n- 4 3\n");
    let input = "h:string* x:int\nq 1\n\nh:string* x:float\nr 1.5\n";
    let error = expect_error(&drop(&["h"]), input);
    assert_eq!(error.message(), "schema collision detected: column \"x\" is both of type int and float");
}

#[test]
fn tables_come_out_in_the_order_of_their_keys() {
    let input = "h:string* g:string* v:int\nb 2 1\n\na 3 2\n\nb 1 3\n";
    expect(&drop(&["g"]), input, "h:string* v:int\na 2\n\nb 1\nb 3\n");
    expect(&drop(&["v"]), input, "h:string* g:string*\nb 1\n\nb 2\n\na 3\n");
}

#[test]
fn sorted_tables_of_one_shape_stream() {
    let input = "h:string* v:int\na 1\na 2\n\nb 3\n";
    let props = StreamProps { one_shape: true, tables: TableOrder::KeySorted, ..props(Parts::Clustered) };
    let out = answer(&duplicate("h", "g"), props, input).unwrap();
    assert_eq!(show(&out.chunks), normal("h:string* v:int g:string\na 1 a\na 2 a\n\nb 3 b\n"));
    let out = answer(&drop(&["h"]), props, input).unwrap();
    assert_eq!(show(&out.chunks), normal("v:int\n1\n2\n3\n"));
}

#[test]
fn refusals_name_the_column() {
    let input = "host:string* v:int w:int\na 1 2\n";
    let error = expect_error(&rename(&[("hots", "node")]), input);
    assert_eq!(error.message(), "rename error: column \"hots\" doesn't exist");
    assert_eq!(error.hint(), Some("did the script mean \"host\"?"));
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
    let error = expect_error(&duplicate("x", "y"), input);
    assert_eq!(error.message(), "duplicate error: column \"x\" doesn't exist");
    let error = expect_error(&rename(&[("w", "host")]), input);
    assert_eq!(error.message(), "column 0 and 2 have the same name (\"host\") which is not allowed");
    let message = |result: Result<Selection>| result.err().unwrap().message().to_string();
    assert_eq!(
        message(Selection::from_arguments("drop", None, None)),
        "drop error: neither column list nor predicate function provided"
    );
    let columns = Value::record([("a", Value::Int(1))]);
    let error = Renaming::from_arguments(Some(&columns), None).err().unwrap();
    assert_eq!(error.message(), "rename error: columns object contains non-string value of type int");
}
