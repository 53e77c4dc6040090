//! The order in which results reach the sink.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::error::ErrorKind;
use crate::table::pool::Pool;
use crate::table::scan::TableOrder;
use crate::table::testing::{show, tables};

fn props(parts: Parts) -> StreamProps {
    StreamProps {
        parts,
        tables: TableOrder::Arrival,
        rows_by_time: false,
        unique_keys: true,
        one_shape: false,
        bounds: None,
    }
}

fn gate(parts: [Parts; 2], max_waiting_bytes: usize) -> Gate {
    let results = [(Name::from("first"), props(parts[0])), (Name::from("second"), props(parts[1]))];
    Gate::new(&results, max_waiting_bytes, Pool::new(usize::MAX).reservation())
}

fn chunk(value: i64) -> Chunk {
    tables(&format!("v:int\n{value}")).remove(0)
}

/// `[first`, the values of its chunks, `]`.
fn told(events: &[Event]) -> String {
    let mut words = Vec::new();
    for event in events {
        words.push(match event {
            Event::Begin(name) => format!("[{name}"),
            Event::Chunk(chunk) => {
                show(std::slice::from_ref(chunk)).split_whitespace().skip(1).collect::<Vec<_>>().join(",")
            }
            Event::End => "]".to_owned(),
        });
    }
    words.join(" ")
}

fn take(gate: &mut Gate, given: Given) -> String {
    let mut events = Vec::new();
    gate.take(given, &mut events).unwrap();
    told(&events)
}

#[test]
fn the_first_result_streams_while_the_second_waits() {
    let mut gate = gate([Parts::Clustered; 2], 1 << 20);
    assert_eq!(take(&mut gate, Given::Chunk(1, chunk(10))), "");
    assert_eq!(take(&mut gate, Given::Chunk(0, chunk(1))), "[first 1");
    assert_eq!(take(&mut gate, Given::Chunk(0, chunk(2))), "2");
    assert_eq!(take(&mut gate, Given::Chunk(1, chunk(11))), "");
    assert_eq!(take(&mut gate, Given::End(0)), "] [second 10 11");
    assert_eq!(take(&mut gate, Given::Chunk(1, chunk(12))), "12");
    assert_eq!(take(&mut gate, Given::End(1)), "]");
    assert_eq!(gate.rows, 5);
    assert_eq!(gate.waiting_bytes, 0);
}

#[test]
fn a_result_that_is_complete_early_waits_for_its_turn_and_an_empty_one_is_told_of() {
    let mut gate = gate([Parts::Clustered; 2], 1 << 20);
    assert_eq!(take(&mut gate, Given::Chunk(1, chunk(10))), "");
    assert_eq!(take(&mut gate, Given::End(1)), "");
    assert_eq!(take(&mut gate, Given::End(0)), "[first ] [second 10 ]");
}

#[test]
fn scattered_tables_are_gathered_in_the_order_of_their_ids() {
    let mut gate = gate([Parts::Scattered, Parts::Clustered], 1 << 20);
    let [mut later, mut earlier, mut rest] = [chunk(2), chunk(1), chunk(3)];
    later.segments[0].table = 7;
    later.segments[0].done = false;
    earlier.segments[0].table = 4;
    rest.segments[0].table = 7;
    for part in [later, earlier, rest] {
        assert_eq!(take(&mut gate, Given::Chunk(0, part)), "");
    }
    // Two tables of one shape in one chunk: the heading comes once per table.
    assert_eq!(take(&mut gate, Given::End(0)), "[first 1,v:int,2,3 ]");
}

#[test]
fn what_waits_has_a_bound() {
    let mut gate = gate([Parts::Clustered; 2], 100);
    let mut events = Vec::new();
    let refused = (0..100).find_map(|value| gate.take(Given::Chunk(1, chunk(value)), &mut events).err());
    assert_eq!(refused.unwrap().kind(), ErrorKind::ResourceExhausted);
}
