//! What a run may take of memory and disk, and what is said when it wants more.
//!
//! Made by the engine for every run, out of the pools of the process; used by the network, the gate and `to()`. What is
//! counted is what is held between chunks. What stands on the stack of one call is not: a chunk, and while an operator ends
//! its output beside its state.

use std::path::Path;
use std::sync::Arc;

use crate::error::Error;
use crate::table::pool::{Full, Pool, Reservation, TAKES_LESS};
use crate::table::spill::SpillSpace;

/// An operator that can go to disk does so beyond this part of what its run may take.
const SHARE: usize = 2;

/// Pieces on disk are so many times smaller than such a share: a merge has a few dozen of them in memory.
const PIECES_PER_SHARE: usize = 64;

/// A piece is not worth its bookkeeping below this size.
const SMALLEST_PIECE: usize = 4 << 10;

/// What one run may take.
#[derive(Clone, Debug)]
pub struct Memory {
    pool: Arc<Pool>,
    share: usize,
    space: SpillSpace,
}

impl Memory {
    /// At most `bytes` of the process's memory, and disk in a folder as far as there is some.
    pub fn of_run(process: &Arc<Pool>, bytes: usize, disk: &Arc<Pool>, folder: &Path) -> Memory {
        let share = bytes / SHARE;
        let piece_bytes = (share / PIECES_PER_SHARE).max(SMALLEST_PIECE);
        Memory { pool: process.child(bytes), share, space: SpillSpace::new(folder, Arc::clone(disk), piece_bytes) }
    }

    /// The same memory, shared by so many who each hold tables: each goes to disk earlier.
    pub(super) fn shared_by(&self, count: usize) -> Memory {
        Memory { share: self.share / count.max(1), ..self.clone() }
    }

    /// An empty reservation of the run.
    pub fn reservation(&self) -> Reservation {
        self.pool.reservation()
    }

    /// Beyond so many bytes an operator goes to disk, if it can.
    pub(super) fn share(&self) -> usize {
        self.share
    }

    /// Where rows go then.
    pub(super) fn space(&self) -> &SpillSpace {
        &self.space
    }

    /// How many bytes the run could still take now.
    pub(super) fn room(&self) -> usize {
        self.pool.room()
    }
}

/// Somebody wants more than there is: `who` with its verb, as in `sort wants`, and so many bytes.
pub fn refusal(who: &str, bytes: usize, full: Full) -> Error {
    let Full { limit, others, shared } = full;
    let (whose, whence, key) = if shared {
        (format!("all runs together may take {limit}, and others have {others} of them"), "try again later: ", "memory")
    } else {
        (format!("a run may take {limit}, and its other steps have {others} of them"), "", "memory_per_run")
    };
    Error::resource_exhausted(format!("{who} {bytes} bytes of memory; {whose}"))
        .with_hint(format!("{whence}{TAKES_LESS}, or raise {key} in [query] of the configuration"))
}
