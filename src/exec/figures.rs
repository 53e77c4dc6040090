//! What each step of a running plan has cost: rows, chunks, bytes, tables, time. Measured only when somebody asks.
//!
//! Kept by the network, read by `explain --analyze`.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::table::{Chunk, size};

/// The figures of one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// Rows that came in.
    pub rows_in: u64,
    /// Chunks that came in.
    pub chunks_in: u64,
    /// Rows that went out.
    pub rows_out: u64,
    /// Chunks that went out.
    pub chunks_out: u64,
    /// Tables that were completed on the way out.
    pub tables_out: u64,
    /// About how many bytes of columns went out.
    pub bytes_out: u64,
    /// How long the step itself worked, its copies on all cores together; of a scan, how long its rows were waited for.
    pub time_ns: u64,
}

impl Figures {
    /// A chunk that comes in.
    pub(super) fn take(&mut self, chunk: &Chunk) {
        self.rows_in += chunk.len as u64;
        self.chunks_in += 1;
    }

    /// Chunks that go out, and when the work began.
    pub(super) fn give(&mut self, chunks: &[Chunk], began: Option<Instant>) {
        self.time_ns = self.time_ns.saturating_add(nanoseconds(began.map(|began| began.elapsed())));
        for chunk in chunks {
            self.rows_out += chunk.len as u64;
            self.chunks_out += 1;
            self.tables_out += chunk.segments.iter().filter(|segment| segment.done).count() as u64;
            self.bytes_out += size::of_rows(chunk) as u64;
        }
    }

    /// What a copy of the step has cost.
    pub(super) fn add(&mut self, copy: &Figures) {
        self.rows_in += copy.rows_in;
        self.chunks_in += copy.chunks_in;
        self.rows_out += copy.rows_out;
        self.chunks_out += copy.chunks_out;
        self.tables_out += copy.tables_out;
        self.bytes_out += copy.bytes_out;
        self.time_ns = self.time_ns.saturating_add(copy.time_ns);
    }

    /// Time that went by before its rows came.
    pub(super) fn wait(&mut self, time: Duration) {
        self.time_ns = self.time_ns.saturating_add(nanoseconds(Some(time)));
    }
}

fn nanoseconds(time: Option<Duration>) -> u64 {
    time.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}
