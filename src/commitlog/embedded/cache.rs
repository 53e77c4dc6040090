//! The newest blocks in memory, as bytes: what readers at the tail read without touching the disk.
//!
//! Filled by the committer (every block that it has just made durable) and by reads from disk (so that small steps
//! through one block do not read it again); asked by reads. First in, first out, bounded in bytes.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use parking_lot::Mutex;

use super::segment::PartitionId;

type Key = (PartitionId, u64);

/// Blocks by partition and base offset.
pub(super) struct BlockCache {
    inner: Mutex<Inner>,
    limit_bytes: usize,
}

#[derive(Default)]
struct Inner {
    blocks: HashMap<Key, Bytes>,
    order: VecDeque<Key>,
    bytes: usize,
}

impl BlockCache {
    /// An empty cache of at most so many bytes (the newest block stays, however large).
    pub(super) fn new(limit_bytes: usize) -> Self {
        BlockCache { inner: Mutex::new(Inner::default()), limit_bytes }
    }

    /// The block with that base offset.
    pub(super) fn get(&self, partition: PartitionId, base: u64) -> Option<Bytes> {
        self.inner.lock().blocks.get(&(partition, base)).cloned()
    }

    /// Puts a block in, and the oldest ones out.
    pub(super) fn insert(&self, partition: PartitionId, base: u64, block: Bytes) {
        let mut inner = self.inner.lock();
        inner.bytes += block.len();
        if let Some(same) = inner.blocks.insert((partition, base), block) {
            inner.bytes -= same.len();
            return;
        }
        inner.order.push_back((partition, base));
        while inner.bytes > self.limit_bytes && inner.order.len() > 1 {
            let Some(oldest) = inner.order.pop_front() else { return };
            if let Some(block) = inner.blocks.remove(&oldest) {
                inner.bytes -= block.len();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_first_and_the_newest_stays() {
        let cache = BlockCache::new(10);
        for base in 0..3 {
            cache.insert((1, 0), base, Bytes::from(vec![0; 4]));
        }
        assert_eq!(cache.get((1, 0), 0), None);
        assert!(cache.get((1, 0), 1).is_some() && cache.get((1, 0), 2).is_some());
        cache.insert((1, 0), 3, Bytes::from(vec![0; 100]));
        assert_eq!(cache.get((1, 0), 2), None);
        assert_eq!(cache.get((1, 0), 3).map(|block| block.len()), Some(100));
    }
}
