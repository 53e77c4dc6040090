//! Annotated CSV in and out, against the rules and examples of flux-semantics 13 and 16.7.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::error::ErrorKind;
use crate::table::Chunk;

/// The example at the end of flux-semantics 13.
const TWO_TABLES: &str = "#datatype,string,long,dateTime:RFC3339,string,double\r\n\
    #group,false,false,false,true,false\r\n\
    #default,_result,,,,\r\n\
    ,result,table,_time,host,_value\r\n\
    ,,0,2024-01-01T00:00:00Z,a,1.5\r\n\
    ,,1,2024-01-01T00:00:00.25Z,b,\r\n\
    \r\n";

/// flux-semantics 16.7: an empty table forces a new block, although the schema is equal.
const EMPTY_THEN_FULL: &str = "#datatype,string,long,string,double\r\n\
    #group,false,false,true,false\r\n\
    #default,_result,0,a,\r\n\
    ,result,table,host,_value\r\n\
    \r\n\
    #datatype,string,long,string,double\r\n\
    #group,false,false,true,false\r\n\
    #default,_result,,,\r\n\
    ,result,table,host,_value\r\n\
    ,,1,b,2\r\n\
    \r\n";

fn write(dialect: Dialect, results: &[(&str, Vec<Chunk>)]) -> String {
    let mut writer = CsvWriter::new(Vec::new(), dialect);
    for (name, chunks) in results {
        writer.begin_result(name);
        for chunk in chunks {
            writer.chunk(chunk).unwrap();
        }
        writer.end_result().unwrap();
    }
    String::from_utf8(writer.into_inner()).unwrap()
}

fn rewrite(text: &str) -> String {
    let results = read(text.as_bytes()).unwrap();
    let results: Vec<_> = results.iter().map(|(name, chunks)| (&**name, chunks.clone())).collect();
    write(Dialect::annotated(), &results)
}

fn refusal(text: &str) -> String {
    let error = read(text.as_bytes()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    error.message().to_string()
}

#[test]
fn tables_of_one_schema_share_a_block_and_a_chunk() {
    let results = read(TWO_TABLES.as_bytes()).unwrap();
    assert_eq!(results.len(), 1);
    assert_eq!(&*results[0].0, "_result");
    let [chunk] = &results[0].1[..] else { panic!("one chunk") };
    assert_eq!(chunk.segments.len(), 2);
    assert_eq!(chunk.len, 2);
    assert!(chunk.segments.iter().all(|segment| segment.done));
    assert!(chunk.shape.is_key("host"));
    assert_eq!(rewrite(TWO_TABLES), TWO_TABLES);
}

#[test]
fn an_empty_table_shows_its_key_as_defaults() {
    let results = read(EMPTY_THEN_FULL.as_bytes()).unwrap();
    let tables: Vec<_> = results[0].1.iter().flat_map(|chunk| chunk.segments.clone()).collect();
    assert_eq!(tables.iter().map(|segment| (segment.table, segment.end)).collect::<Vec<_>>(), [(0, 0), (1, 1)]);
    assert_eq!(rewrite(EMPTY_THEN_FULL), EMPTY_THEN_FULL);
}

#[test]
fn plain_output_keeps_the_lead_columns_and_repeats_the_result() {
    let chunks = read(TWO_TABLES.as_bytes()).unwrap().remove(0).1;
    let expected = ",result,table,_time,host,_value\r\n\
        ,r,0,2024-01-01T00:00:00Z,a,1.5\r\n\
        ,r,1,2024-01-01T00:00:00.25Z,b,\r\n\
        \r\n";
    assert_eq!(write(Dialect::default(), &[("r", chunks.clone())]), expected);
    let bare = Dialect { header: false, delimiter: ';', annotations: vec![Annotation::Group] };
    let expected = "#group;false;false;false;true;false\r\n\
        ;r;0;2024-01-01T00:00:00Z;a;1.5\r\n\
        ;r;1;2024-01-01T00:00:00.25Z;b;\r\n\
        \r\n";
    assert_eq!(write(bare, &[("r", chunks)]), expected);
}

#[test]
fn a_changed_schema_begins_a_block_after_one_blank_line() {
    let text = "#datatype,string,long,long\r\n#group,false,false,false\r\n#default,_result,,\r\n,result,table,a\r\n\
        ,,0,1\r\n\
        \r\n\
        #datatype,string,long,long\r\n#group,false,false,true\r\n#default,_result,,\r\n,result,table,a\r\n\
        ,,1,1\r\n\
        \r\n";
    assert_eq!(rewrite(text), text);
}

#[test]
fn results_follow_each_other_with_tables_counted_anew() {
    let block = |name: &str, value: &str| {
        format!(
            "#datatype,string,long,string\r\n#group,false,false,false\r\n#default,{name},,\r\n,result,table,v\r\n\
             ,,0,{value}\r\n\r\n"
        )
    };
    let text = block("x", "1") + &block("y", "2");
    let results = read(text.as_bytes()).unwrap();
    assert_eq!(results.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["x", "y"]);
    assert_eq!(rewrite(&text), text);
    assert_eq!(write(Dialect::annotated(), &[("x", Vec::new())]), "\r\n");
}

#[test]
fn a_table_may_come_in_many_chunks() {
    let mut chunks = read(TWO_TABLES.as_bytes()).unwrap().remove(0).1;
    let whole = write(Dialect::annotated(), &[("_result", chunks.clone())]);
    let chunk = chunks.remove(0);
    let mut first = chunk.clone();
    first.segments.truncate(1);
    first.segments[0].done = false;
    first.rows = chunk.rows.iter().map(|array| array.slice(0, 1)).collect();
    first.len = 1;
    let mut second = chunk.clone();
    second.segments[0].end = 0;
    second.segments[1].end = 1;
    second.rows = chunk.rows.iter().map(|array| array.slice(1, 1)).collect();
    second.len = 1;
    assert_eq!(write(Dialect::annotated(), &[("_result", vec![first, second])]), whole);
}

#[test]
fn values_of_all_types_read_back() {
    let text = "#datatype,string,long,boolean,long,unsignedLong,double,string,dateTime:RFC3339\r\n\
        #group,false,false,false,false,false,false,false,false\r\n\
        #default,_result,,,,,,,\r\n\
        ,result,table,b,i,u,f,s,t\r\n\
        ,,0,true,-9223372036854775808,18446744073709551615,NaN,\"a,\"\"b\"\"\",1677-09-21T00:12:43.145224192Z\r\n\
        ,,0,false,9223372036854775807,0,+Inf,\" x\",2262-04-11T23:47:16.854775807Z\r\n\
        ,,0,,,,-Inf,\"line\r\nnext\",\r\n\
        ,,0,,,,-0,é,\r\n\
        ,,0,,,,10000000000000000000000,,\r\n\
        ,,0,,,,0.0000001,,\r\n\
        \r\n";
    assert_eq!(rewrite(text), text);
    let chunk = &read(text.as_bytes()).unwrap()[0].1[0];
    let view = crate::table::ColumnView::of(chunk.row_array("s").unwrap());
    assert_eq!(view.cell(2), crate::table::Cell::String("line\nnext"));
}

#[test]
fn annotations_come_in_any_order_and_fill_empty_cells() {
    let text = "\n#default,res,,7,k\n#unknown,,,,\n#group,false,false,false,true\n#datatype,string,long,long,string\n\
        ,result,table,a,g\n\n,,0,,\n,,,2,\n,,3,5,other\n";
    let results = read(text.as_bytes()).unwrap();
    assert_eq!(&*results[0].0, "res");
    let expected = ",result,table,a,g\r\n,res,0,7,k\r\n,res,0,2,k\r\n,res,1,5,other\r\n\r\n";
    assert_eq!(write(Dialect::default(), &[("res", results[0].1.clone())]), expected);
}

#[test]
fn an_error_after_rows_is_a_table_of_its_own() {
    let chunks = read(TWO_TABLES.as_bytes()).unwrap().remove(0).1;
    let mut writer = CsvWriter::new(Vec::new(), Dialect::annotated());
    writer.begin_result("_result");
    writer.chunk(&chunks[0]).unwrap();
    writer.error("no column \"x\" exists").unwrap();
    let text = String::from_utf8(writer.into_inner()).unwrap();
    let expected = "\r\n#datatype,string,string\r\n#group,true,true\r\n#default,,\r\n,error,reference\r\n\
        ,\"no column \"\"x\"\" exists\",\r\n";
    assert_eq!(text.strip_prefix(TWO_TABLES.strip_suffix("\r\n").unwrap()).unwrap(), expected);
    let error = read(text.as_bytes()).unwrap_err();
    assert_eq!(error.message(), "no column \"x\" exists");
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
}

#[test]
fn raw_csv_is_one_table_of_strings() {
    let chunks = read_raw("a,b\n1,\n,\"x y\"\n".as_bytes()).unwrap();
    let expected = ",result,table,a,b\r\n,r,0,1,\r\n,r,0,,x y\r\n\r\n";
    assert_eq!(write(Dialect::default(), &[("r", chunks)]), expected);
}

#[test]
fn a_table_longer_than_a_chunk_stays_one_table() {
    let rows = crate::table::chunk::MAX_CHUNK_ROWS + 3;
    let text = "a\n".to_string() + &"x\n".repeat(rows);
    let chunks = read_raw(text.as_bytes()).unwrap();
    assert_eq!(chunks.iter().map(|chunk| chunk.len).collect::<Vec<_>>(), [rows - 3, 3]);
    assert!(chunks[1].segments.iter().all(|segment| segment.table == 0));
    assert_eq!(write(Dialect::default(), &[("r", chunks)]).matches(",r,0,x").count(), rows);
}

#[test]
fn refusals_name_line_column_and_what_was_expected() {
    let head = "#datatype,string,long,long\n#group,false,false,true\n#default,_result,,\n,result,table,a\n";
    assert_eq!(refusal(&format!("{head},,0,x\n")), "csv line 5: column \"a\" is of type long, found \"x\"");
    assert_eq!(refusal(&format!("{head},,0\n")), "csv line 5: expected 4 cells, found 3");
    assert_eq!(
        refusal(&format!("{head},,0,1\n,,0,2\n,,0,1\n")),
        "csv line 7: the rows of one group key stand apart in table 0"
    );
    assert_eq!(
        refusal("#group,false,false,true\n,result,table,a\n"),
        "csv line 2: missing expected annotation datatype"
    );
    assert_eq!(
        refusal(&head.replace("long,long", "long,lnog")),
        "csv line 1: column \"a\" has the unsupported datatype \"lnog\""
    );
    assert_eq!(
        refusal("#datatype,string,long,long,long\n#group,,,,\n#default,,,,\n,result,table,a,a\n"),
        "csv line 4: column \"a\" is named twice"
    );
    assert_eq!(Annotation::parse("x").unwrap_err().message(), "unknown dialect annotation type: x");
}
