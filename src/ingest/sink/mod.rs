//! The sink: builds buckets from topics, and moves the position of each partition as its rows become durable.
//!
//! Started by `daemon` once the store and the log are open; told of new buckets by whoever makes them. Every topic of every
//! bucket is read by a task per partition. The committed position of a partition is its low-water: everything below it is
//! in files, in every table that it feeds, and in the dead letters; a restart begins there.

mod batch;
mod parcels;
mod partition;
mod place;
mod replay;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::route::Routes;
use crate::clock::Clock;
use crate::commitlog::{CommitLog, Committed, TopicInfo};
use crate::error::{Error, Result};
use crate::name::Name;
use crate::store::{SourcePartition, Store};

pub(crate) use parcels::{Parcel, Parcels};
use partition::{Progress, Shared, follow};
use place::{Place, Places};

/// How often positions move and new topics are looked for.
const ROUND: Duration = Duration::from_millis(500);

/// How often the log is told what it may drop.
const RETENTION_ROUND: Duration = Duration::from_secs(30);

/// Topics of that prefix look after their own retention.
const CONTROL_PREFIX: &str = "_fluxmill.";

/// How often the store is asked what is due to be written to files.
const FLUSH_ROUND: Duration = Duration::from_secs(1);

/// How often the store is asked to look after its files.
const MAINTENANCE_ROUND: Duration = Duration::from_secs(5);

/// How the sink works.
#[derive(Clone, Debug)]
pub struct SinkOptions {
    /// The consumer group that carries its position.
    pub group: Name,
    /// Partitions of topics that it has to make.
    pub partitions: u32,
}

impl Default for SinkOptions {
    fn default() -> Self {
        SinkOptions { group: "fluxmill".into(), partitions: 1 }
    }
}

/// A running sink.
pub struct Sink {
    options: SinkOptions,
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    followed: Mutex<BTreeMap<(Name, u32), Followed>>,
    tasks: Mutex<JoinSet<()>>,
    /// One refresh at a time.
    refreshing: tokio::sync::Mutex<()>,
    /// Positions move one round at a time.
    committing: tokio::sync::Mutex<()>,
}

struct Followed {
    progress: Arc<Progress>,
    committed: u64,
    /// One past the newest record, as of the last round.
    end: u64,
    /// Ends its reader.
    stop: CancellationToken,
    /// Its reader has ended.
    ended: CancellationToken,
}

impl Sink {
    /// Begins to read the topics of all buckets of the store, each partition at its committed position.
    ///
    /// Errors: those of the log; `FailedPrecondition` if a position is no longer in the log.
    pub async fn start(
        log: Arc<dyn CommitLog>,
        store: Arc<Store>,
        routes: Arc<Routes>,
        clock: Arc<dyn Clock>,
        options: SinkOptions,
    ) -> Result<Arc<Sink>> {
        let shared = Arc::new(Shared {
            log,
            store,
            routes,
            parcels: Parcels::default(),
            short_of_memory: Notify::new(),
            stop: CancellationToken::new(),
        });
        let sink = Arc::new(Sink {
            options,
            shared,
            clock,
            followed: Mutex::default(),
            tasks: Mutex::default(),
            refreshing: tokio::sync::Mutex::default(),
            committing: tokio::sync::Mutex::default(),
        });
        sink.refresh().await?;
        let mut tasks = sink.tasks.lock();
        tasks.spawn(Arc::clone(&sink).rounds());
        tasks.spawn(Arc::clone(&sink).flushes());
        tasks.spawn(Arc::clone(&sink).maintenance());
        tasks.spawn(Arc::clone(&sink).retention());
        drop(tasks);
        Ok(sink)
    }

    /// Looks for buckets and topics that are new (their topics are made), or gone. Whoever makes a bucket calls it, so that
    /// the bucket is fed when the call returns; otherwise the next round does.
    ///
    /// Errors: as [`Sink::start`].
    pub async fn refresh(&self) -> Result<()> {
        let _one = self.refreshing.lock().await;
        let mut feeds: BTreeMap<Name, Vec<Name>> = BTreeMap::new();
        for bucket in self.shared.store.buckets() {
            for topic in &bucket.topics {
                feeds.entry(Name::clone(topic)).or_default().push(Name::clone(&bucket.id));
            }
        }
        for (topic, buckets) in &feeds {
            let known = self.followed.lock().range((Name::clone(topic), 0)..=(Name::clone(topic), u32::MAX)).count();
            if known > 0 {
                continue;
            }
            let info = self.shared.log.create_topic(topic, self.options.partitions).await?;
            for partition in 0..info.partitions {
                self.begin(&info, partition, buckets, 0).await?;
            }
        }
        for ((topic, _), followed) in self.followed.lock().iter() {
            *followed.progress.buckets.write() = feeds.get(topic).cloned().unwrap_or_default();
        }
        Ok(())
    }

    /// Begins to read a partition at its committed position; what is wrong with records before `quiet_until` was told.
    async fn begin(&self, topic: &TopicInfo, partition: u32, buckets: &[Name], quiet_until: u64) -> Result<()> {
        let range = self.shared.log.offsets(&topic.name, partition).await?;
        let committed = self.shared.log.committed(&self.options.group, &topic.name, partition).await?;
        let place = match committed.as_ref().and_then(|committed| Place::read(committed, topic.generation)) {
            Some(place) => place,
            // Nothing was ever committed, or only for an earlier topic of that name.
            None => Place::at(range.start),
        };
        if place.offset < range.start || place.offset > range.end {
            let message = format!(
                "the sink's position {} in {}/{partition} is not in the log, which holds {} to before {}",
                place.offset, topic.name, range.start, range.end
            );
            return Err(Error::failed_precondition(message)
                .with_hint("records were dropped before they were in files, or this is another log"));
        }
        let source = SourcePartition { topic: Name::clone(&topic.name), generation: topic.generation, partition };
        let progress = Arc::new(Progress {
            source,
            buckets: parking_lot::RwLock::new(buckets.to_vec()),
            places: Mutex::new(Places::default()),
            failure: Mutex::new(None),
            newest_seq: AtomicI64::new(place.order.newest_seq()),
            quiet_until,
        });
        progress.places.lock().push(place);
        let (stop, ended) = (self.shared.stop.child_token(), CancellationToken::new());
        let reader = follow(Arc::clone(&self.shared), Arc::clone(&progress), place, stop.clone());
        // Also where the reader panics.
        let tells = ended.clone().drop_guard();
        self.tasks.lock().spawn(async move {
            reader.await;
            drop(tells);
        });
        let followed = Followed { progress, committed: place.offset, end: range.end, stop, ended };
        self.followed.lock().insert((Name::clone(&topic.name), partition), followed);
        Ok(())
    }

    /// Records that are in the log and not yet applied, over all partitions, as of the last half second.
    pub fn lag(&self) -> u64 {
        let followed = self.followed.lock();
        followed
            .values()
            .map(|followed| {
                let applied = self.shared.store.applied(&followed.progress.source).unwrap_or(followed.committed);
                followed.end.saturating_sub(applied)
            })
            .sum()
    }

    /// Why a partition is no longer read, if one is not: for `/health`.
    pub fn failure(&self) -> Option<String> {
        self.followed.lock().values().find_map(|followed| followed.progress.failure.lock().clone())
    }

    /// The newest `_seq` that rows have: an arrival after it is newer than all that is applied.
    pub(crate) fn newest_seq(&self) -> i64 {
        let followed = self.followed.lock();
        followed.values().map(|followed| followed.progress.newest_seq.load(Ordering::Relaxed)).max().unwrap_or(0)
    }

    pub(crate) fn store(&self) -> &Store {
        &self.shared.store
    }

    pub(crate) fn parcels(&self) -> &Parcels {
        &self.shared.parcels
    }

    pub(crate) fn log(&self) -> &Arc<dyn CommitLog> {
        &self.shared.log
    }

    /// Stops reading, and commits how far everything is durable. Rows in memory are read again from the log after a
    /// restart; a caller who wants a quick one flushes the store first.
    pub async fn shutdown(&self) {
        self.shared.stop.cancel();
        let mut tasks = std::mem::take(&mut *self.tasks.lock());
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a task of the sink ended early");
            }
        }
        if let Err(error) = self.commit_positions().await {
            tracing::warn!(%error, "the sink's positions could not be committed; the restart reads more again");
        }
    }

    async fn rounds(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(ROUND) => {}
                () = self.shared.stop.cancelled() => return,
            }
            if let Err(error) = self.refresh().await {
                tracing::warn!(%error, "the sink could not look for new topics");
            }
            if let Err(error) = self.commit_positions().await {
                tracing::warn!(%error, "the sink's positions could not be committed");
            }
        }
    }

    /// Writes rows to files when they are due; at once when memory is short. Positions follow in the next round.
    async fn flushes(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(FLUSH_ROUND) => {}
                () = self.shared.short_of_memory.notified() => {}
                () = self.shared.stop.cancelled() => return,
            }
            // Whatever could not be written stays in memory and in the log, and is tried again.
            if let Err(error) = self.shared.store.flush(self.clock.now_ns()).await {
                tracing::error!(%error, "a flush failed; its rows stay in memory and in the log");
            }
        }
    }

    /// Compacts, expires and vacuums files in the background.
    async fn maintenance(self: Arc<Self>) {
        let round = async {
            loop {
                tokio::time::sleep(MAINTENANCE_ROUND).await;
                // What failed is told by the store, and is due again in the next round.
                let _ = self.shared.store.maintain(self.clock.now_ns()).await;
            }
        };
        // A maintenance that is dropped half way leaves files that nothing names.
        tokio::select! {
            () = round => {}
            () = self.shared.stop.cancelled() => {}
        }
    }

    /// Tells the log now and then what nobody needs any more; how long it is still kept is the log's to know.
    async fn retention(self: Arc<Self>) {
        loop {
            if let Err(error) = self.retain().await {
                tracing::warn!(%error, "the log could not be told what it may drop");
            }
            tokio::select! {
                () = tokio::time::sleep(RETENTION_ROUND) => {}
                () = self.shared.stop.cancelled() => return,
            }
        }
    }

    /// Of a topic that feeds a bucket, what lies before its committed position; of any other (dead letters, a topic whose
    /// bucket is gone) everything: nobody has to read it before it may go.
    async fn retain(&self) -> Result<()> {
        for topic in self.shared.log.topics().await? {
            if topic.name.starts_with(CONTROL_PREFIX) {
                continue;
            }
            for partition in 0..topic.partitions {
                let fed = self.followed.lock().get(&(Name::clone(&topic.name), partition)).map(|fed| fed.committed);
                let before = match fed {
                    Some(committed) => committed,
                    None => self.shared.log.offsets(&topic.name, partition).await?.end,
                };
                self.shared.log.retain(&topic.name, partition, before).await?;
            }
        }
        Ok(())
    }

    /// Moves the committed positions to the low-waters, and measures the lag.
    async fn commit_positions(&self) -> Result<()> {
        let _one = self.committing.lock().await;
        let progresses: Vec<(Arc<Progress>, u64)> = self
            .followed
            .lock()
            .values()
            .map(|followed| (Arc::clone(&followed.progress), followed.committed))
            .collect();
        let mut positions: Vec<(Name, u32, Committed)> = Vec::new();
        for (progress, committed) in &progresses {
            let source = &progress.source;
            let range = self.shared.log.offsets(&source.topic, source.partition).await?;
            let applied = self.shared.store.applied(source).unwrap_or(*committed);
            let lag = range.end.saturating_sub(applied);
            let (topic, partition) = (source.topic.to_string(), source.partition.to_string());
            metrics::gauge!("fluxmill_sink_lag_records", "topic" => topic, "partition" => partition).set(lag as f64);
            if let Some(followed) = self.followed.lock().get_mut(&(Name::clone(&source.topic), source.partition)) {
                followed.end = range.end;
            }
            let Some(low_water) = self.shared.store.low_water(source) else { continue };
            let Some(place) = progress.places.lock().at_or_before(low_water) else { continue };
            if place.offset > *committed {
                positions.push((Name::clone(&source.topic), source.partition, place.committed(source.generation)));
            }
        }
        if positions.is_empty() {
            return Ok(());
        }
        self.shared.log.commit(&self.options.group, positions.clone()).await?;
        for (topic, partition, committed) in &positions {
            if let Some(followed) = self.followed.lock().get_mut(&(Name::clone(topic), *partition)) {
                followed.committed = committed.offset;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
