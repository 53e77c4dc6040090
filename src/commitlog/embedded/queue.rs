//! The queue before the committer: bounded in bytes, waits for room with a bound, then refuses.
//!
//! Filled by the log's async calls, emptied by the committer thread, a group at a time. A request that was taken in is
//! always answered.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::segment::PartitionId;
use crate::commitlog::{Committed, NewRecord, Position, TopicInfo};
use crate::error::{Error, Result};
use crate::table::Name;

/// What a request without payload takes of the queue, and what each record takes beside its bytes.
pub(super) const RECORD_OVERHEAD: usize = 64;
/// A group is not made larger than this, except for a single request.
const GROUP_BYTES: usize = 8 << 20;

/// What the committer is asked to make durable.
pub(super) enum Request {
    /// Records and, for each, where it goes.
    Append { records: Vec<NewRecord>, places: Vec<PartitionId>, answer: oneshot::Sender<Result<Vec<Position>>> },
    /// A topic.
    CreateTopic { name: Name, partitions: u32, answer: oneshot::Sender<Result<TopicInfo>> },
    /// Positions of a group.
    Commit { group: Name, positions: Vec<(PartitionId, Committed)>, answer: oneshot::Sender<Result<()>> },
}

impl Request {
    /// Answers with an error. Who asked may have gone: that is fine.
    pub(super) fn refuse(self, error: Error) {
        match self {
            Request::Append { answer, .. } => drop(answer.send(Err(error))),
            Request::CreateTopic { answer, .. } => drop(answer.send(Err(error))),
            Request::Commit { answer, .. } => drop(answer.send(Err(error))),
        }
    }
}

/// A request with its weight in bytes and its share of the queue's room, which it holds until it is answered.
pub(super) struct Queued {
    pub(super) request: Request,
    pub(super) bytes: usize,
    _room: OwnedSemaphorePermit,
}

/// The queue.
pub(super) struct Queue {
    inner: Mutex<Inner>,
    filled: Condvar,
    room: Arc<Semaphore>,
    limit_bytes: usize,
    wait: Duration,
}

#[derive(Default)]
struct Inner {
    requests: VecDeque<Queued>,
    closed: bool,
}

impl Queue {
    pub(super) fn new(limit_bytes: usize, wait: Duration) -> Self {
        // A semaphore counts up to 2^29 on the smallest machines.
        let limit_bytes = limit_bytes.clamp(1, 1 << 29);
        Queue {
            inner: Mutex::new(Inner::default()),
            filled: Condvar::new(),
            room: Arc::new(Semaphore::new(limit_bytes)),
            limit_bytes,
            wait,
        }
    }

    /// Queues a request of so many bytes.
    ///
    /// # Errors
    /// `ResourceExhausted` if there was no room for the whole wait, `Unavailable` after the log was closed.
    pub(super) async fn push(&self, request: Request, bytes: usize) -> Result<()> {
        // More than the whole queue: such a request goes alone.
        let share = bytes.clamp(RECORD_OVERHEAD, self.limit_bytes) as u32;
        let room = Arc::clone(&self.room).acquire_many_owned(share);
        let room = match tokio::time::timeout(self.wait, room).await {
            Ok(Ok(room)) => room,
            Ok(Err(_)) => return Err(closed()),
            Err(_) => {
                return Err(Error::resource_exhausted(format!(
                    "the log's queue of {} bytes has been full for {:?}: the disk does not keep up",
                    self.limit_bytes, self.wait
                )));
            }
        };
        let mut inner = self.inner.lock();
        if inner.closed {
            return Err(closed());
        }
        inner.requests.push_back(Queued { request, bytes, _room: room });
        drop(inner);
        self.filled.notify_one();
        Ok(())
    }

    /// Waits for requests and takes a group of them; `None` when the queue is closed and empty.
    pub(super) fn take_group(&self) -> Option<Vec<Queued>> {
        let mut inner = self.inner.lock();
        while inner.requests.is_empty() {
            if inner.closed {
                return None;
            }
            self.filled.wait(&mut inner);
        }
        let mut group = Vec::new();
        let mut bytes = 0;
        while let Some(next) = inner.requests.front() {
            bytes += next.bytes;
            if !group.is_empty() && bytes > GROUP_BYTES {
                break;
            }
            group.extend(inner.requests.pop_front());
        }
        Some(group)
    }

    /// Refuses requests from now on; those taken in are still worked off.
    pub(super) fn close(&self) {
        self.inner.lock().closed = true;
        self.room.close();
        self.filled.notify_all();
    }
}

fn closed() -> Error {
    Error::unavailable("the log is closed")
}
