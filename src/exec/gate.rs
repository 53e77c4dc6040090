//! Brings results into order: one after the other in program order, each clustered with ascending table ids.
//!
//! Fed by the driver with whatever reaches a result. The result whose turn it is streams; the others wait here, and what
//! may wait has a bound.

use std::collections::VecDeque;

use super::memory::refusal;
use super::network::Given;
use crate::error::{Error, Result};
use crate::table::cluster::Cluster;
use crate::table::pool::Reservation;
use crate::table::scan::Parts;
use crate::table::{Chunk, Name, StreamProps, size};

/// What the sink is told.
pub enum Event {
    /// A result begins.
    Begin(Name),
    /// Rows of it.
    Chunk(Chunk),
    /// It is complete.
    End,
}

/// The results of a run on their way to the sink.
pub struct Gate {
    results: Vec<Waiting>,
    /// The result whose turn it is.
    current: usize,
    begun: bool,
    waiting_bytes: usize,
    max_waiting_bytes: usize,
    /// The bytes that wait, taken of the run's memory.
    held: Reservation,
    /// Rows handed over so far.
    pub rows: u64,
}

struct Waiting {
    name: Name,
    cluster: Option<Cluster>,
    chunks: VecDeque<Chunk>,
    ended: bool,
}

impl Gate {
    /// A gate for results with these names and streams, in program order.
    pub fn new(results: &[(Name, StreamProps)], max_waiting_bytes: usize, held: Reservation) -> Gate {
        let results = results
            .iter()
            .map(|(name, props)| Waiting {
                name: name.clone(),
                cluster: (props.parts == Parts::Scattered).then(Cluster::default),
                chunks: VecDeque::new(),
                ended: false,
            })
            .collect();
        Gate { results, current: 0, begun: false, waiting_bytes: 0, max_waiting_bytes, held, rows: 0 }
    }

    /// Takes what has reached a result, and gives the events that the sink can now be told.
    pub fn take(&mut self, given: Given, events: &mut Vec<Event>) -> Result<()> {
        match given {
            Given::Chunk(result, chunk) => {
                let waiting = &mut self.results[result];
                if let Some(cluster) = &mut waiting.cluster {
                    self.waiting_bytes += size::of_rows(&chunk);
                    cluster.push(chunk);
                } else if result == self.current {
                    self.begin(events);
                    self.rows += chunk.len as u64;
                    events.push(Event::Chunk(chunk));
                } else {
                    self.waiting_bytes += size::of_rows(&chunk);
                    waiting.chunks.push_back(chunk);
                }
                if self.waiting_bytes > self.max_waiting_bytes {
                    return Err(self.too_much());
                }
            }
            Given::End(result) => {
                let waiting = &mut self.results[result];
                if let Some(cluster) = waiting.cluster.take() {
                    waiting.chunks.extend(cluster.finish()?);
                }
                waiting.ended = true;
                self.advance(events);
            }
        }
        let bytes = self.waiting_bytes;
        self.held.set(bytes).map_err(|full| refusal("rows that wait for their turn in the results want", bytes, full))
    }

    fn begin(&mut self, events: &mut Vec<Event>) {
        if !self.begun {
            self.begun = true;
            events.push(Event::Begin(self.results[self.current].name.clone()));
        }
    }

    /// Gives the results that are complete and in turn, and what waits of the one that comes next.
    fn advance(&mut self, events: &mut Vec<Event>) {
        while self.current < self.results.len() {
            let chunks = std::mem::take(&mut self.results[self.current].chunks);
            let ended = self.results[self.current].ended;
            if ended || !chunks.is_empty() {
                self.begin(events);
            }
            for chunk in chunks {
                self.waiting_bytes = self.waiting_bytes.saturating_sub(size::of_rows(&chunk));
                self.rows += chunk.len as u64;
                events.push(Event::Chunk(chunk));
            }
            if !ended {
                return;
            }
            events.push(Event::End);
            self.current += 1;
            self.begun = false;
        }
    }

    fn too_much(&self) -> Error {
        let (max, bytes) = (self.max_waiting_bytes, self.waiting_bytes);
        let name = self.results.get(self.current).map_or("_result", |result| &*result.name);
        Error::resource_exhausted(format!(
            "rows that wait for their turn in the results ({name:?} is next) take {bytes} bytes, more than the limit of {max}"
        ))
        .with_hint("ask for a shorter range or fewer series, or run the results as queries of their own")
    }
}

#[cfg(test)]
mod tests;
