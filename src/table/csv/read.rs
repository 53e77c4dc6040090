//! Annotated CSV in: blocks of annotations, header and rows become chunks of many tables.
//!
//! Called by `csv.from`, by fixtures and tests. Needs the annotations datatype, group and default in any order; without
//! annotations there is the raw form, in which everything is a string.

use std::io::Read;
use std::sync::Arc;

use csv::StringRecord;

use super::{ERROR_LABEL, LEAD_COLUMNS};
use crate::error::{Error, Result};
use crate::table::builder::ChunkBuilder;
use crate::table::{Cell, Chunk, ColumnType, Name, Shape, TableId};
use crate::time::rfc3339;

/// Reads annotated CSV: results in order, each with its tables.
///
/// # Errors
/// Invalid, with the line, for text that is not annotated CSV; FailedPrecondition with the message of an error table.
pub fn read(text: impl Read) -> Result<Vec<(Name, Vec<Chunk>)>> {
    let mut lines = Lines::new(text);
    let mut results: Vec<(Name, Vec<Chunk>)> = Vec::new();
    let mut next_table: TableId = 0;
    while let Some(block) = read_block(&mut lines)? {
        let (name, chunks, tables) = read_tables(&mut lines, &block, results.last(), next_table)?;
        match results.last_mut() {
            Some((last, all)) if *last == name => {
                all.extend(chunks);
                next_table += tables;
            }
            _ => {
                results.push((name, chunks));
                next_table = tables;
            }
        }
    }
    Ok(results)
}

/// Reads CSV without annotations: a header row, then rows. One table without key, all columns strings, empty cells null.
///
/// # Errors
/// Invalid, with the line, for a row of another length than the header or a header that names a column twice.
pub fn read_raw(text: impl Read) -> Result<Vec<Chunk>> {
    let mut lines = Lines::new(text);
    let Some((line, header)) = lines.take()? else {
        return Err(Error::invalid("missing expected header row"));
    };
    let names: Vec<Name> = header.iter().map(Name::from).collect();
    check_unique(&names, line)?;
    let mut builder = ChunkBuilder::new(Shape::new(names.iter().map(|name| (name.clone(), ColumnType::String, false))));
    builder.begin_table(0, [])?;
    while let Some((line, row)) = lines.take()? {
        check_width(&row, names.len(), line)?;
        builder.push_row(row.iter().map(|text| if text.is_empty() { Cell::Null } else { Cell::String(text) }))?;
    }
    builder.end_table();
    Ok(builder.finish())
}

/// The records of the text with their lines; one can be put back.
struct Lines<R> {
    reader: csv::Reader<R>,
    back: Option<(u64, StringRecord)>,
}

impl<R: Read> Lines<R> {
    fn new(text: R) -> Self {
        let reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
        Lines { reader, back: None }
    }

    /// The next record that is not a blank line.
    fn take(&mut self) -> Result<Option<(u64, StringRecord)>> {
        if let Some(back) = self.back.take() {
            return Ok(Some(back));
        }
        let mut record = StringRecord::new();
        let found = self.reader.read_record(&mut record).map_err(|error| Error::invalid(format!("csv: {error}")))?;
        if !found {
            return Ok(None);
        }
        let line = record.position().map_or(0, csv::Position::line);
        // A line end within a field is written as CRLF and means LF.
        if record.as_slice().contains("\r\n") {
            record = record.iter().map(|field| field.replace("\r\n", "\n")).collect();
        }
        Ok(Some((line, record)))
    }

    fn put_back(&mut self, line: u64, record: StringRecord) {
        self.back = Some((line, record));
    }
}

/// What annotations and header say of the tables under them.
struct Block {
    /// The number of cells of every row, the leading ones included.
    width: usize,
    result: Name,
    names: Vec<Name>,
    types: Vec<ColumnType>,
    group: Vec<bool>,
    defaults: Vec<String>,
}

fn read_block<R: Read>(lines: &mut Lines<R>) -> Result<Option<Block>> {
    let (mut datatype, mut group, mut default) = (None, None, None);
    let mut width = None;
    while datatype.is_none() || group.is_none() || default.is_none() {
        let Some((line, record)) = lines.take()? else {
            if width.is_none() {
                return Ok(None);
            }
            return Err(missing_annotation(&datatype, &group, 0));
        };
        check_width(&record, *width.get_or_insert(record.len()), line)?;
        match &record[0] {
            "#datatype" => datatype = Some((line, record)),
            "#group" => group = Some((line, record)),
            "#default" => default = Some((line, record)),
            other if other.starts_with('#') => {}
            _ => return Err(missing_annotation(&datatype, &group, line)),
        }
    }
    let (Some((type_line, datatype)), Some((group_line, group)), Some((default_line, default)), Some(width)) =
        (datatype, group, default, width)
    else {
        return Ok(None);
    };
    let Some((line, header)) = lines.take()? else {
        return Err(Error::invalid("missing expected header row"));
    };
    check_width(&header, width, line)?;
    if header.get(1) == Some(ERROR_LABEL) {
        let message = lines.take()?.map(|(_, row)| row.get(1).unwrap_or_default().to_string());
        let message = message.unwrap_or_else(|| "an error table without a message".to_string());
        return Err(Error::failed_precondition(message));
    }
    if width < LEAD_COLUMNS {
        return Err(at_line(line, "annotated CSV has at least the columns annotation, result and table"));
    }
    let names: Vec<Name> = header.iter().skip(LEAD_COLUMNS).map(Name::from).collect();
    check_unique(&names, line)?;
    let types = names.iter().zip(datatype.iter().skip(LEAD_COLUMNS));
    let types = types.map(|(name, text)| parse_type(name, text, type_line)).collect::<Result<Vec<_>>>()?;
    let marks = names.iter().zip(group.iter().skip(LEAD_COLUMNS));
    let group = marks.map(|(name, text)| parse_mark(name, text, group_line)).collect::<Result<Vec<_>>>()?;
    let defaults: Vec<String> = default.iter().skip(LEAD_COLUMNS).map(str::to_string).collect();
    for ((name, column_type), text) in names.iter().zip(&types).zip(&defaults) {
        parse_cell(name, *column_type, text, default_line)?;
    }
    Ok(Some(Block { width, result: Name::from(&default[1]), names, types, group, defaults }))
}

/// Reads the rows of a block. Gives the result's name, the chunks and the number of tables; `open` is the result before,
/// whose tables have been given the ids below `next_table`.
fn read_tables<R: Read>(
    lines: &mut Lines<R>,
    block: &Block,
    open: Option<&(Name, Vec<Chunk>)>,
    next_table: TableId,
) -> Result<(Name, Vec<Chunk>, TableId)> {
    let columns = block.names.iter().zip(&block.types).zip(&block.group);
    let shape = Shape::new(columns.map(|((name, column_type), group)| (name.clone(), *column_type, *group)));
    let key_at: Vec<usize> = shape.key.iter().map(|index| *index as usize).collect();
    let row_at: Vec<usize> = (0..block.names.len()).filter(|index| !block.group[*index]).collect();
    let mut builder = ChunkBuilder::new(Arc::clone(&shape));
    let mut result = block.result.clone();
    let mut first = next_table;
    let mut tables: TableId = 0;
    let mut key = StringRecord::new();
    // The group keys of rows with one table number. Hand-written CSV often has one number for all rows; each key is a table.
    let mut of_number: Vec<StringRecord> = Vec::new();
    let mut number = String::new();
    while let Some((line, row)) = lines.take()? {
        if !row[0].is_empty() {
            lines.put_back(line, row);
            break;
        }
        check_width(&row, block.width, line)?;
        let text = |index: usize| match &row[LEAD_COLUMNS + index] {
            "" => block.defaults[index].as_str(),
            text => text,
        };
        if tables == 0 {
            if result.is_empty() {
                result = Name::from(&row[1]);
            }
            first = if open.is_some_and(|(name, _)| *name == result) { next_table } else { 0 };
        }
        let numbered = tables == 0 || (!row[2].is_empty() && row[2] != number);
        let keyed = !numbered && changes(block, &key_at, &key, text, line)?;
        if numbered || keyed {
            if tables > 0 {
                builder.end_table();
            }
            let cells =
                key_at.iter().map(|index| parse_cell(&block.names[*index], block.types[*index], text(*index), line));
            builder.begin_table(first + tables, cells.collect::<Result<Vec<_>>>()?)?;
            tables += 1;
            if numbered {
                number = row[2].to_string();
                of_number.clear();
            }
            key = key_at.iter().map(|index| text(*index)).collect();
            if of_number.contains(&key) {
                let message = format!("the rows of one group key stand apart in table {number}");
                return Err(at_line(line, message)
                    .with_hint("put them next to each other, or give each table a number of its own"));
            }
            of_number.push(key.clone());
        }
        for (column, index) in row_at.iter().enumerate() {
            let cell = parse_cell(&block.names[*index], block.types[*index], text(*index), line)?;
            builder.push_cell(column, cell)?;
        }
        builder.end_row();
    }
    if tables == 0 {
        let cells = key_at
            .iter()
            .map(|index| parse_cell(&block.names[*index], block.types[*index], &block.defaults[*index], 0));
        first = if open.is_some_and(|(name, _)| *name == result) { next_table } else { 0 };
        builder.begin_table(first, cells.collect::<Result<Vec<_>>>()?)?;
        tables = 1;
    }
    builder.end_table();
    Ok((result, builder.finish(), tables))
}

/// Whether a row has another group key than the row before it.
fn changes<'a>(
    block: &Block,
    key_at: &[usize],
    key: &StringRecord,
    text: impl Fn(usize) -> &'a str,
    line: u64,
) -> Result<bool> {
    for (before, index) in key.iter().zip(key_at) {
        let (name, column_type, now) = (&block.names[*index], block.types[*index], text(*index));
        if before != now
            && !parse_cell(name, column_type, before, line)?.same(parse_cell(name, column_type, now, line)?)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn at_line(line: u64, message: impl std::fmt::Display) -> Error {
    Error::invalid(format!("csv line {line}: {message}"))
}

fn missing_annotation(datatype: &Option<(u64, StringRecord)>, group: &Option<(u64, StringRecord)>, line: u64) -> Error {
    let missing = match (datatype, group) {
        (None, _) => "datatype",
        (_, None) => "group",
        _ => "default",
    };
    let error = Error::invalid(format!("csv line {line}: missing expected annotation {missing}"));
    error.with_hint(
        "annotated CSV has the rows #datatype, #group and #default above its header; mode: \"raw\" reads plain CSV",
    )
}

fn check_width(record: &StringRecord, width: usize, line: u64) -> Result<()> {
    if record.len() == width {
        return Ok(());
    }
    Err(at_line(line, format!("expected {width} cells, found {}", record.len())))
}

fn check_unique(names: &[Name], line: u64) -> Result<()> {
    let mut sorted: Vec<&Name> = names.iter().collect();
    sorted.sort();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(at_line(line, format!("column {:?} is named twice", pair[0]))),
        None => Ok(()),
    }
}

fn parse_type(name: &str, text: &str, line: u64) -> Result<ColumnType> {
    Ok(match text {
        "boolean" => ColumnType::Bool,
        "long" => ColumnType::Int,
        "unsignedLong" => ColumnType::UInt,
        "double" => ColumnType::Float,
        "string" => ColumnType::String,
        "dateTime" | "dateTime:RFC3339" | "dateTime:RFC3339Nano" => ColumnType::Time,
        other => {
            let known = ["boolean", "long", "unsignedLong", "double", "string", "dateTime:RFC3339"];
            let error = at_line(line, format!("column {name:?} has the unsupported datatype {other:?}"));
            return Err(error.with_hint(match crate::diagnostic::nearest(other, known) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("the datatypes are {}", known.join(", ")),
            }));
        }
    })
}

fn parse_mark(name: &str, text: &str, line: u64) -> Result<bool> {
    match text {
        "true" => Ok(true),
        "false" | "" => Ok(false),
        other => Err(at_line(line, format!("#group of column {name:?} is true or false, found {other:?}"))),
    }
}

/// A cell of a type; an empty one is null.
fn parse_cell<'a>(name: &str, column_type: ColumnType, text: &'a str, line: u64) -> Result<Cell<'a>> {
    if text.is_empty() {
        return Ok(Cell::Null);
    }
    let cell = match column_type {
        ColumnType::String => Some(Cell::String(text)),
        ColumnType::Bool => match text {
            "true" => Some(Cell::Bool(true)),
            "false" => Some(Cell::Bool(false)),
            _ => None,
        },
        ColumnType::Int => text.parse().ok().map(Cell::Int),
        ColumnType::UInt => text.parse().ok().map(Cell::UInt),
        ColumnType::Float => text.parse().ok().map(Cell::Float),
        ColumnType::Time => rfc3339::parse(text).ok().map(Cell::Time),
    };
    cell.ok_or_else(|| at_line(line, format!("column {name:?} is of type {}, found {text:?}", column_type.csv_name())))
}
