//! `pivot` against flux-semantics 6.2, 16.2 and 18 (rows 18 and 28).
#![allow(clippy::unwrap_used)]

use super::super::testing::*;
use super::*;
use crate::error::ErrorKind;

fn pivot(row_key: &[&str], column_key: &[&str], value_column: &str) -> Pivot {
    let names = |names: &[&str]| names.iter().map(|name| Name::from(*name)).collect();
    Pivot::new(names(row_key), names(column_key), value_column.into()).unwrap()
}

fn fields() -> Pivot {
    Pivot::fields_as_columns()
}

/// The example of flux-semantics 6.2: the second table is not in order of time, so rows come by first appearance.
#[test]
fn rows_come_by_first_appearance_where_times_are_not_in_order() {
    let input = "_time:time m:string* _field:string* _value:float host:string\nT1 x a 1.0 h1\nT3 x a 3.0 h1\n\n\
        _time:time m:string* _field:string* _value:int host:string\nT2 x b 20 h2\nT1 x b 10 h2\n";
    let expected = "_time:time m:string* a:float b:int\nT1 x 1.0 10\nT3 x 3.0 -\nT2 x - 20\n";
    expect(&fields(), input, expected);
}

/// flux-semantics 18, row 28: with `_time` as the row key over tables in order of time, rows come in order of time.
#[test]
fn rows_come_in_order_of_time_where_the_tables_do() {
    let input = "_field:string* _time:time _value:int\na T1 1\na T3 3\n\nb T2 20\nb T3 30\n";
    expect(&fields(), input, "_time:time a:int b:int\nT1 1 -\nT2 - 20\nT3 3 30\n");
    let interleaved = "_field:string _time:time _value:int\na T1 1\nb T2 20\na T3 3\nb T3 30\n";
    expect(&fields(), interleaved, "_time:time a:int b:int\nT1 1 -\nT2 - 20\nT3 3 30\n");
}

/// flux-semantics 16.2, step 1.
#[test]
fn fields_of_a_series_become_columns_of_their_types() {
    let head = |value: &str| {
        format!("_start:time* _stop:time* _time:time _value:{value} _field:string* _measurement:string* site:string*\n")
    };
    let input = format!(
        "{}T0 T9 T1 50.0 hum env s1\n\n{}T0 T9 T2 ok note env s1\n\n{}T0 T9 T1 20.0 temp env s1\nT0 T9 T2 25.0 temp env s1\n",
        head("float"),
        head("string"),
        head("float"),
    );
    let expected = "_start:time* _stop:time* _time:time _measurement:string* site:string* hum:float note:string temp:float\n\
        T0 T9 T1 env s1 50.0 - 20.0\nT0 T9 T2 env s1 - ok 25.0\n";
    expect(&fields(), &input, expected);
}

#[test]
fn many_series_with_all_fields_at_the_same_times() {
    let mut input = String::new();
    let mut expected = String::new();
    for series in 0..50 {
        for field in ["a", "b", "c"] {
            input.push_str("id:int* _field:string* _time:time _value:int\n");
            for time in 0..4 {
                input.push_str(&format!("{series} {field} T{time} {}\n", series * 10 + time));
            }
            input.push('\n');
        }
        expected.push_str("id:int* _time:time a:int b:int c:int\n");
        for time in 0..4 {
            let value = series * 10 + time;
            expected.push_str(&format!("{series} T{time} {value} {value} {value}\n"));
        }
        expected.push('\n');
    }
    expect(&fields(), &input, &expected);
}

/// flux-semantics 18, row 18, and 6.2: the last cell wins, a null one too.
#[test]
fn the_last_of_several_cells_wins() {
    let input = "_field:string* _time:time _value:int\na T1 1\na T1 2\na T2 3\na T2 -\n";
    expect(&fields(), input, "_time:time a:int\nT1 2\nT2 -\n");
    // Two tables that come to have one key: h is in neither row nor column key, nor in the new key.
    let input =
        "_field:string* _time:time _value:int\na T1 1\n\n_field:string* _time:time h:string _value:int\nb T1 q 5\n";
    expect(&fields(), input, "_time:time a:int b:int\nT1 1 5\n");
}

#[test]
fn series_may_lack_fields() {
    let input =
        "h:string* _field:string* _time:time _value:int\nx a T1 1\n\nx b T1 2\n\ny b T1 3\n\nz a T1 4\n\nz b T1 5\n";
    let expected = "h:string* _time:time a:int b:int\nx T1 1 2\n\nh:string* _time:time b:int\ny T1 3\n\n\
        h:string* _time:time a:int b:int\nz T1 4 5\n";
    expect(&fields(), input, expected);
}

/// flux-semantics 6.2: an empty input table makes an empty output table.
#[test]
fn empty_tables_stay() {
    let input = "h:string* _field:string* _time:time _value:int\n= b a\n\n= a a\n\na b T1 1\n";
    expect(&fields(), input, "h:string* _time:time b:int\na T1 1\n\nh:string* _time:time\n= b\n");
    expect(&fields(), "", "");
}

/// flux-semantics 6.2: several columns on either side; ids with one text are still apart ("a","bc" and "ab","c").
#[test]
fn keys_of_several_columns() {
    let input = "r1:string r2:string c1:string c2:int v:float dropped:int\na bc x 1 1.5 0\nab c x 1 2.5 0\na bc - 2 3.5 0\n- c x 1 4.5 0\n";
    let expected = "r1:string r2:string x_1:float null_2:float\na bc 1.5 3.5\nab c 2.5 -\n- c 4.5 -\n";
    expect(&pivot(&["r1", "r2"], &["c1", "c2"], "v"), input, expected);
}

/// Row keys that are key columns are the same for all rows of a table; the value may be in the key as well.
#[test]
fn key_columns_may_take_any_part() {
    let input = "h:string* f:string* v:int\nx a 1\nx a 2\n\ny a 3\n";
    expect(&pivot(&["h"], &["f"], "v"), input, "h:string* a:int\nx 2\n\ny 3\n");
    let input = "_time:time f:string v:int*\nT1 a 1\nT2 b 1\n\nT1 b 2\n";
    expect(&pivot(&["_time"], &["f"], "v"), input, "_time:time a:int b:int\nT1 1 2\nT2 - 1\n");
    expect(&pivot(&[], &["f"], "v"), input, "a:int b:int\n1 2\n");
}

#[test]
fn null_times_are_rows_of_their_own() {
    let input = "_field:string* _time:time _value:int\na T1 1\na - 2\n\nb - 3\n";
    expect(&fields(), input, "_time:time a:int b:int\nT1 1 -\n- 2 3\n");
}

#[test]
fn refusals_name_the_column() {
    let message = |pivot: &Pivot, input: &str| {
        let error = expect_error(pivot, input);
        (error.message().to_string(), error.kind())
    };
    let input = "t:time f:string v:int\nT1 a 1\n";
    assert_eq!(
        message(&fields(), input),
        ("specified row key column does not exist in table: _time".to_string(), ErrorKind::Invalid)
    );
    assert_eq!(message(&pivot(&["t"], &["f"], "w"), input).0, "specified value column does not exist in table: w");
    assert_eq!(message(&pivot(&["t"], &["g"], "v"), input).0, "specified column does not exist in table: g");
    let (text, kind) = message(&pivot(&["t"], &["f"], "v"), "t:time f:string v:int a:int*\nT1 a 1 7\n");
    assert!(text.starts_with("value \"a\" appears in a column key column, but a column named \"a\" already exists"));
    assert_eq!(kind, ErrorKind::Invalid);
    let (text, kind) =
        message(&pivot(&["t"], &["f"], "v"), "t:time f:string v:int\nT1 a 1\n\nt:time f:string v:float\nT1 a 1.5\n");
    assert_eq!(text, "schema collision detected: column \"a\" is both of type int and float");
    assert_eq!(kind, ErrorKind::FailedPrecondition);
    let error = Pivot::new(vec!["a".into()], vec!["a".into()], "v".into()).unwrap_err();
    assert_eq!(error.message(), "column name found in both rowKey and colKey: a");
}

#[test]
fn a_long_table_is_given_in_chunks() {
    use crate::table::chunk::MAX_CHUNK_ROWS;
    let rows = MAX_CHUNK_ROWS + 5;
    let lines: String = (0..rows).map(|row| format!("a T{row} {row}\n")).collect();
    let chunks = crate::table::testing::tables(&format!("_field:string* _time:time _value:int\n{lines}"));
    let out = run(&fields(), props(Parts::Clustered), chunks).unwrap();
    assert_eq!(out.chunks.iter().map(|chunk| chunk.len).collect::<Vec<_>>(), [MAX_CHUNK_ROWS, 5]);
}

#[test]
fn only_the_wide_form_can_be_taken_over() {
    assert!(matches!(fields().split().unwrap().push, PushOp::PivotWide));
    assert!(pivot(&["_time"], &["_field"], "v").split().is_none());
    assert!(pivot(&["_time", "h"], &["_field"], "_value").split().is_none());
    assert_eq!(fields().explain(), "rowKey: [\"_time\"], columnKey: [\"_field\"], valueColumn: \"_value\"");
}
