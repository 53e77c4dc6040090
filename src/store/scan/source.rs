//! The chunks of a scan as they are asked for: a small scan is read at once, a large one stretch by stretch on other threads.
//!
//! Handed to `exec` as a [`ChunkSource`]. A large scan reads the next stretches of series while the rows of one are given, a
//! few at a time: what it holds does not grow with what it reads. The answer does not depend on how it was cut: a table is
//! never split over stretches, and they come in the order of the tables.

use std::ops::Range;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{StreamExt, stream};
use tokio::sync::mpsc;

use super::super::columns::FieldId;
use super::super::predicate::IdentityFilter;
use super::super::table::TableView;
use super::Picked;
use super::chunks::{Emitter, ScanFold};
use super::order::{BEFORE_FIELD, BEFORE_MEASUREMENT, BETWEEN, decides};
use super::table_plan::{TablePlan, TableScan};
use crate::error::{Error, Result};
use crate::name::Name;
use crate::table::Chunk;
use crate::table::scan::{Bounds, ChunkSource, ScanPart, ScanParts};

/// A scan of a small part of a stretch's rows is read at once, where it is asked for.
const SMALL_PART: u64 = 2;

/// A stretch that is full of rows has this many fields; with more fields it has fewer rows.
const STRETCH_FIELDS: u64 = 4;

/// Stretches that are read while another's rows are given.
const READ_AHEAD: usize = 2;

/// Chunks that wait for whoever asks.
const CHUNKS_AHEAD: usize = 4;

/// A scan comes in so many stretches at least, as long as they do not get small: for several cores there has to be enough
/// to share. On one core it is cut in the same way, since which of two errors comes first may follow from the cut.
const FEWEST_STRETCHES: u64 = 16;

/// The smallest of those stretches has so much of a full one.
const SMALLEST_STRETCH: u64 = 2;

/// Tables of a part have ids that begin with its number; no part has so many tables.
const IDS_A_PART: u64 = 1 << 40;

/// What an offer pinned.
pub(super) struct PinnedScan {
    pub(super) what: Wanted,
    pub(super) views: Vec<TableView>,
    pub(super) stretch_rows: u64,
}

/// What a scan gives.
pub(super) struct Wanted {
    /// What was asked for.
    pub(super) bounds: Bounds,
    /// What of it is kept.
    pub(super) kept: Bounds,
    pub(super) filter: IdentityFilter,
    pub(super) wide: bool,
    pub(super) pick: Option<Picked>,
    pub(super) fold: Option<Arc<ScanFold>>,
}

/// A scan, and how it is cut.
struct Cut {
    what: Wanted,
    tables: Vec<TableScan>,
    stretch_rows: u64,
}

/// A part of a large scan: a table, the fields and the series that are read.
#[derive(Clone)]
struct Stretch {
    table: usize,
    fields: Vec<FieldId>,
    series: Range<u32>,
}

impl Cut {
    async fn open(pinned: PinnedScan) -> Result<Cut> {
        let PinnedScan { what, views, stretch_rows } = pinned;
        let mut tables = Vec::new();
        for view in views {
            tables.extend(TableScan::open(view, &what.filter, what.kept).await?);
        }
        Ok(Cut { what, tables, stretch_rows })
    }

    /// All of it at once.
    async fn whole(&self) -> Result<Emitter> {
        let mut plans = Vec::new();
        for table in &self.tables {
            let Wanted { filter, kept, pick, .. } = &self.what;
            plans.extend(table.read(&table.fields, table.all(), filter, *kept, pick.as_ref()).await?);
        }
        Ok(self.emitter(plans))
    }

    fn emitter(&self, plans: Vec<TablePlan>) -> Emitter {
        let Wanted { bounds, filter, wide, pick, fold, .. } = &self.what;
        let emitter = match wide {
            true => Emitter::wide(plans, filter, *bounds, pick.clone()),
            false => Emitter::long(plans, filter, *bounds, pick.as_ref().map(|pick| pick.which)),
        };
        emitter.folding(fold.clone())
    }

    /// Single values of each table are little to give, however much they are chosen from.
    fn is_small(&self) -> bool {
        (self.what.pick.is_some() && !self.what.wide)
            || self.tables.iter().map(TableScan::most_rows).sum::<u64>() <= self.stretch_rows / SMALL_PART
    }

    /// The scan in parts that follow each other; `None` where tags decide the order of tables before measurement or field,
    /// so that tables of several measurements or fields alternate.
    fn stretches(&self) -> Option<Vec<Stretch>> {
        let before: &[_] = if self.what.wide { &[BEFORE_MEASUREMENT] } else { &[BEFORE_FIELD, BETWEEN] };
        if before.iter().any(|span| decides(self.tables.iter().map(TableScan::order), *span)) {
            return None;
        }
        let all = self.tables.iter().map(TableScan::most_rows).sum::<u64>();
        let least = (self.stretch_rows / SMALLEST_STRETCH).max(1);
        let rows = (all / FEWEST_STRETCHES).clamp(least, self.stretch_rows.max(1));
        let mut stretches = Vec::new();
        if self.what.wide {
            for (place, table) in self.tables.iter().enumerate() {
                let fields = (table.fields.len() as u64).max(STRETCH_FIELDS);
                let rows = rows.saturating_mul(STRETCH_FIELDS) / fields;
                stretches.extend(table.stretches(rows).into_iter().map(|series| Stretch {
                    table: place,
                    fields: table.fields.clone(),
                    series,
                }));
            }
            return Some(stretches);
        }
        let mut fields: Vec<(&Name, usize, FieldId)> = Vec::new();
        for (place, table) in self.tables.iter().enumerate() {
            fields.extend(table.fields.iter().map(|field| (table.field_name(*field), place, *field)));
        }
        fields.sort();
        for (_, place, field) in fields {
            stretches.extend(self.tables[place].stretches(rows).into_iter().map(|series| Stretch {
                table: place,
                fields: vec![field],
                series,
            }));
        }
        Some(stretches)
    }

    async fn read(self: Arc<Self>, stretch: Stretch) -> Result<Option<TablePlan>> {
        let Wanted { filter, kept, pick, .. } = &self.what;
        self.tables[stretch.table].read(&stretch.fields, stretch.series, filter, *kept, pick.as_ref()).await
    }

    /// Gives the chunks, in order, to a channel; ends early when nobody takes them.
    async fn give(self: Arc<Self>, chunks: &mpsc::Sender<Result<Chunk>>) -> Result<()> {
        let Some(stretches) = self.stretches() else {
            give_all(&mut self.whole().await?, chunks).await?;
            return Ok(());
        };
        let mut plans =
            stream::iter(stretches).map(|stretch| tokio::spawn(Arc::clone(&self).read(stretch))).buffered(READ_AHEAD);
        let mut last: Option<Emitter> = None;
        while let Some(read) = plans.next().await {
            let read = read.map_err(|error| Error::internal(format!("a part of a scan ended early: {error}")))?;
            let Some(plan) = read? else { continue };
            let mut emitter = self.emitter(vec![plan]).after(last.take());
            if !give_all(&mut emitter, chunks).await? {
                return Ok(());
            }
            last = Some(emitter);
        }
        Ok(())
    }
}

/// Gives all chunks of an emitter; returns whether somebody still takes them.
async fn give_all(emitter: &mut Emitter, chunks: &mpsc::Sender<Result<Chunk>>) -> Result<bool> {
    while let Some(chunk) = emitter.next()? {
        if chunks.send(Ok(chunk)).await.is_err() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The one partition of a scan.
pub(super) struct ScanSource(State);

enum State {
    Pinned(Box<PinnedScan>),
    /// Read at once.
    Small(Box<Emitter>),
    /// Read ahead by a task, which ends when nobody takes its chunks any more.
    Large(mpsc::Receiver<Result<Chunk>>),
    Done,
}

impl ScanSource {
    /// Nothing is read before the first chunk is asked for.
    pub(super) fn new(pinned: PinnedScan) -> Self {
        ScanSource(State::Pinned(Box::new(pinned)))
    }

    /// Opens it; `None` if it has been.
    async fn open(&mut self) -> Result<Option<Cut>> {
        match std::mem::replace(&mut self.0, State::Done) {
            State::Pinned(pinned) => Cut::open(*pinned).await.map(Some),
            state => {
                self.0 = state;
                Ok(None)
            }
        }
    }

    async fn start(cut: Cut) -> Result<State> {
        if cut.is_small() {
            return Ok(State::Small(Box::new(cut.whole().await?)));
        }
        let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
        tokio::spawn(async move {
            if let Err(error) = Arc::new(cut).give(&sender).await {
                // Nobody may be there any more to hear it.
                let _ = sender.send(Err(error)).await;
            }
        });
        Ok(State::Large(chunks))
    }
}

impl ChunkSource for ScanSource {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Chunk>>> {
        Box::pin(async move {
            if let Some(cut) = self.open().await? {
                self.0 = Self::start(cut).await?;
            }
            let chunk = match &mut self.0 {
                State::Small(emitter) => emitter.next()?,
                State::Large(chunks) => chunks.recv().await.transpose()?,
                State::Pinned(_) | State::Done => None,
            };
            if chunk.is_none() {
                self.0 = State::Done;
            }
            Ok(chunk)
        })
    }

    fn parts(&mut self) -> BoxFuture<'_, Result<Option<ScanParts>>> {
        Box::pin(self.cut())
    }
}

impl ScanSource {
    async fn cut(&mut self) -> Result<Option<ScanParts>> {
        let Some(cut) = self.open().await? else { return Ok(None) };
        let stretches = if cut.is_small() { None } else { cut.stretches() };
        let Some(stretches) = stretches.filter(|stretches| stretches.len() > 1) else {
            self.0 = Self::start(cut).await?;
            return Ok(None);
        };
        let cut = Arc::new(cut);
        let part = |(number, stretch)| -> Box<dyn ScanPart> {
            Box::new(Part { cut: Arc::clone(&cut), stretch, first_id: number * IDS_A_PART })
        };
        Ok(Some((0..).zip(stretches).map(part).collect()))
    }
}

/// A stretch that is read by itself.
#[derive(Clone)]
struct Part {
    cut: Arc<Cut>,
    stretch: Stretch,
    first_id: u64,
}

impl ScanPart for Part {
    fn open(&self) -> Box<dyn ChunkSource> {
        Box::new(PartSource::Closed(self.clone()))
    }
}

enum PartSource {
    Closed(Part),
    Open(Box<Emitter>),
    Done,
}

impl PartSource {
    async fn start(part: Part) -> Result<Option<Emitter>> {
        let Part { cut, stretch, first_id } = part;
        let plan = Arc::clone(&cut).read(stretch).await?;
        Ok(plan.map(|plan| cut.emitter(vec![plan]).numbered_from(first_id)))
    }
}

impl ChunkSource for PartSource {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Chunk>>> {
        Box::pin(async move {
            let mut emitter = match std::mem::replace(self, PartSource::Done) {
                PartSource::Closed(part) => match Self::start(part).await? {
                    Some(emitter) => Box::new(emitter),
                    None => return Ok(None),
                },
                PartSource::Open(emitter) => emitter,
                PartSource::Done => return Ok(None),
            };
            let chunk = emitter.next()?;
            if chunk.is_some() {
                *self = PartSource::Open(emitter);
            }
            Ok(chunk)
        })
    }
}
