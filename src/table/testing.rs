//! For tests: tables as short text, and the same stream cut and scattered at random.
//!
//! The notation: a header of `name:type` words, `*` behind the type of key columns; rows of words below it; an empty line
//! ends the table; `=` and the key's values stand for a table without rows. `-` is null, `''` the empty string, `T5` five
//! seconds after the epoch, `_` in a string a space.
#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::cluster::Cluster;
use super::gather::{Gather, Stretch};
use super::{Cell, Chunk, ChunkBuilder, ColumnType, ColumnView, Place, Segment, Shape};

const SECOND_NS: i64 = 1_000_000_000;

/// Chunks of the tables written in `text`; tables are numbered from 0.
pub fn tables(text: &str) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let mut builder: Option<ChunkBuilder> = None;
    let mut next = 0;
    let mut open = false;
    for line in text.lines().map(str::trim).chain([""]) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.is_empty() {
            if let (Some(builder), true) = (&mut builder, open) {
                builder.end_table();
            }
            open = false;
            continue;
        }
        if words[0].contains(':') {
            let shape = shape(&words);
            if builder.as_ref().is_none_or(|builder| **builder.shape() != *shape) {
                chunks.extend(builder.take().map(ChunkBuilder::finish).into_iter().flatten());
                builder = Some(ChunkBuilder::new(shape));
            }
            continue;
        }
        let builder = builder.as_mut().expect("a header comes first");
        let shape = Arc::clone(builder.shape());
        let types: Vec<ColumnType> = shape.columns.iter().map(|column| column.column_type).collect();
        if words[0] == "=" {
            let key = shape.key_columns().zip(&words[1..]).map(|(column, word)| cell(word, column.column_type));
            builder.begin_table(next, key.collect::<Vec<_>>()).unwrap();
            builder.end_table();
            next += 1;
            continue;
        }
        assert_eq!(words.len(), types.len(), "cells of {line:?}");
        let cell = |index: usize| cell(words[index], types[index]);
        if !open {
            builder.begin_table(next, shape.key.iter().map(|index| cell(*index as usize))).unwrap();
            next += 1;
            open = true;
        }
        let rows = (0..words.len()).filter(|index| matches!(shape.columns[*index].place, Place::Row(_)));
        builder.push_row(rows.map(cell)).unwrap();
    }
    chunks.extend(builder.map(ChunkBuilder::finish).into_iter().flatten());
    chunks
}

fn shape(words: &[&str]) -> Arc<Shape> {
    Shape::new(words.iter().map(|word| {
        let (name, column_type) = word.split_once(':').unwrap();
        let in_key = column_type.ends_with('*');
        let column_type = match column_type.trim_end_matches('*') {
            "bool" => ColumnType::Bool,
            "int" => ColumnType::Int,
            "uint" => ColumnType::UInt,
            "float" => ColumnType::Float,
            "string" => ColumnType::String,
            "time" => ColumnType::Time,
            other => panic!("type {other}"),
        };
        (name.into(), column_type, in_key)
    }))
}

fn cell(word: &str, column_type: ColumnType) -> Cell<'_> {
    if word == "-" {
        return Cell::Null;
    }
    match column_type {
        ColumnType::Bool => Cell::Bool(word.parse().unwrap()),
        ColumnType::Int => Cell::Int(word.parse().unwrap()),
        ColumnType::UInt => Cell::UInt(word.parse().unwrap()),
        ColumnType::Float => Cell::Float(word.parse().unwrap()),
        ColumnType::String if word == "''" => Cell::String(""),
        ColumnType::String => Cell::String(word),
        ColumnType::Time => Cell::Time(word.strip_prefix('T').unwrap().parse::<i64>().unwrap() * SECOND_NS),
    }
}

/// The stream's tables in their order, in the notation.
pub fn show(chunks: &[Chunk]) -> String {
    let mut cluster = Cluster::default();
    for chunk in chunks {
        cluster.push(chunk.clone());
    }
    let mut text = String::new();
    let mut last = None;
    for chunk in cluster.finish().unwrap() {
        for (segment, rows) in chunk.tables() {
            if last != Some(segment.table) {
                let words = chunk.shape.columns.iter().map(|column| {
                    let mark = if matches!(column.place, Place::Key(_)) { "*" } else { "" };
                    format!("{}:{}{mark}", column.name, column.column_type.flux_name())
                });
                writeln!(text, "\n{}", words.collect::<Vec<_>>().join(" ")).unwrap();
                if rows.is_empty() {
                    let key = chunk.keys.columns.iter().map(|array| word(array_cell(array, segment.key_row as usize)));
                    writeln!(text, "= {}", key.collect::<Vec<_>>().join(" ")).unwrap();
                }
            }
            last = Some(segment.table);
            for row in rows {
                let words = chunk.shape.columns.iter().map(|column| match column.place {
                    Place::Key(index) => {
                        word(array_cell(&chunk.keys.columns[index as usize], segment.key_row as usize))
                    }
                    Place::Row(index) => word(array_cell(&chunk.rows[index as usize], row)),
                });
                writeln!(text, "{}", words.collect::<Vec<_>>().join(" ")).unwrap();
            }
        }
    }
    text
}

fn array_cell(array: &dyn arrow::array::Array, row: usize) -> Cell<'_> {
    ColumnView::of(array).cell(row)
}

fn word(cell: Cell<'_>) -> String {
    match cell {
        Cell::Null => "-".to_string(),
        Cell::String("") => "''".to_string(),
        Cell::Time(time) if time % SECOND_NS == 0 => format!("T{}", time / SECOND_NS),
        Cell::Float(value) => format!("{value:?}"),
        other => other.to_string(),
    }
}

/// Text in the notation as [`show`] writes it.
pub fn normal(text: &str) -> String {
    show(&tables(text))
}

/// The rows of one table, for cutting.
struct Piece {
    chunk: usize,
    segment: Segment,
    rows: std::ops::Range<usize>,
}

/// The same stream in other chunks: cut anywhere, ends of tables sometimes on their own; tables stay in order.
pub fn recut(chunks: &[Chunk], random: &mut StdRng) -> Vec<Chunk> {
    pack(chunks, pieces(chunks, random).into_iter().flatten(), random)
}

/// The same stream with the parts of its tables mixed up.
pub fn scatter(chunks: &[Chunk], random: &mut StdRng) -> Vec<Chunk> {
    let mut tables: Vec<VecDeque<Piece>> = pieces(chunks, random);
    let mut mixed = Vec::new();
    while !tables.is_empty() {
        let at = *(0..tables.len()).collect::<Vec<_>>().choose(random).unwrap();
        mixed.push(tables[at].pop_front().unwrap());
        if tables[at].is_empty() {
            tables.remove(at);
        }
    }
    pack(chunks, mixed, random)
}

fn pieces(chunks: &[Chunk], random: &mut StdRng) -> Vec<VecDeque<Piece>> {
    let mut tables: Vec<VecDeque<Piece>> = Vec::new();
    for (number, chunk) in chunks.iter().enumerate() {
        for (segment, rows) in chunk.tables() {
            let mut own = VecDeque::new();
            let mut start = rows.start;
            while start < rows.end {
                let end = random.random_range(start + 1..=rows.end);
                own.push_back(Piece { chunk: number, segment: Segment { done: false, ..segment }, rows: start..end });
                start = end;
            }
            if segment.done {
                match own.back_mut() {
                    Some(last) if random.random_bool(0.7) => last.segment.done = true,
                    _ => own.push_back(Piece { chunk: number, segment, rows: rows.end..rows.end }),
                }
            }
            match tables.last_mut() {
                Some(last) if last.back().is_some_and(|piece| piece.segment.table == segment.table) => last.extend(own),
                _ => tables.push(own),
            }
        }
    }
    tables
}

fn pack(chunks: &[Chunk], pieces: impl IntoIterator<Item = Piece>, random: &mut StdRng) -> Vec<Chunk> {
    let mut packed: Vec<Chunk> = Vec::new();
    let mut stretches: Vec<Stretch> = Vec::new();
    for piece in pieces {
        let from = &chunks[piece.chunk];
        let open = packed.last().is_some_and(|last| Arc::ptr_eq(&last.keys, &from.keys)) && random.random_bool(0.7);
        if !open {
            gather(chunks, &mut packed, &mut stretches);
            let (shape, keys) = (Arc::clone(&from.shape), Arc::clone(&from.keys));
            packed.push(Chunk { shape, keys, segments: Vec::new(), rows: Vec::new(), len: 0 });
        }
        let chunk = packed.last_mut().unwrap();
        chunk.len += piece.rows.len();
        chunk.segments.push(Segment { end: chunk.len as u32, ..piece.segment });
        stretches.push(Stretch::rows(piece.chunk as u32, piece.rows));
    }
    gather(chunks, &mut packed, &mut stretches);
    packed
}

fn gather(chunks: &[Chunk], packed: &mut [Chunk], stretches: &mut Vec<Stretch>) {
    let Some(chunk) = packed.last_mut() else { return };
    let gather = Gather::new(std::mem::take(stretches));
    let columns: Vec<ColumnType> = chunk.shape.row_columns().map(|column| column.column_type).collect();
    let array = |index: usize| move |source: u32| chunks[source as usize].rows.get(index);
    let rows =
        columns.iter().enumerate().map(|(index, column_type)| gather.column(*column_type, array(index)).unwrap());
    chunk.rows = rows.collect();
}
