//! The points that a script has staged for its buckets: in memory, or on disk where memory was short.
//!
//! Made by `to()`, read by whoever makes records of them. What is on disk stays there while it is read: a piece of each
//! sorted run is in memory at a time.

use std::iter::Peekable;
use std::sync::Arc;

use indexmap::IndexMap;

use super::sorted_run::{Row, Rows, SortedRun, sorted};
use crate::error::{Error, Result};
use crate::point::names::Names;
use crate::point::{Point, result_json};
use crate::table::Name;

/// The points that all `to()` of a script have staged for one bucket. Nothing is written yet.
#[derive(Clone, Debug)]
pub struct BucketWrite {
    /// The bucket's id.
    pub bucket: Name,
    /// The bucket as the script names it.
    pub bucket_name: Name,
    /// The points.
    pub points: Points,
}

/// Points of one bucket.
#[derive(Clone, Debug)]
pub struct Points {
    at: At,
    len: usize,
}

/// Where they are.
#[derive(Clone, Debug)]
enum At {
    /// In the order in which they count: later ones win.
    Memory(Vec<Point>),
    /// The runs of each `to()`, in program order.
    Disk(Vec<Vec<Arc<SortedRun>>>),
}

impl Points {
    pub(super) fn on_disk(runs: Vec<Vec<Arc<SortedRun>>>) -> Points {
        let len = runs.iter().flatten().map(|run| run.len()).sum();
        Points { at: At::Disk(runs), len }
    }

    /// How many were staged; those of one identity count one by one.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Every point as it was staged. Of those of one identity the later ones win.
    ///
    /// # Errors
    /// Unavailable if the disk fails.
    pub fn staged(&self) -> Box<dyn Iterator<Item = Result<Point>> + '_> {
        match &self.at {
            At::Memory(points) => Box::new(points.iter().cloned().map(Ok)),
            At::Disk(runs) => {
                let mut names = Names::default();
                Box::new(rows(runs).map(move |row| point(&row?, &mut names)))
            }
        }
    }

    /// The points with each identity once: it has all the fields that its points had, with the values of the latest ones.
    ///
    /// # Errors
    /// Unavailable if the disk fails.
    pub fn merged(self) -> Box<dyn Iterator<Item = Result<Point>>> {
        match self.at {
            At::Memory(points) => Box::new(merge(points).map(Ok)),
            At::Disk(runs) => Box::new(Merged { rows: rows(&runs).peekable(), names: Names::default() }),
        }
    }
}

/// In the order in which they count.
impl From<Vec<Point>> for Points {
    fn from(points: Vec<Point>) -> Points {
        Points { len: points.len(), at: At::Memory(points) }
    }
}

/// Measurement and tags.
type SeriesOf = (Name, Vec<(Name, Name)>);

/// Points of one identity become one.
fn merge(points: Vec<Point>) -> impl Iterator<Item = Point> {
    let mut merged: IndexMap<(SeriesOf, i64), Point> = IndexMap::with_capacity(points.len());
    for point in points {
        let identity = ((point.measurement.clone(), point.tags.clone()), point.time_ns);
        match merged.get_mut(&identity) {
            Some(known) => take_fields(known, point),
            None => _ = merged.insert(identity, point),
        }
    }
    merged.into_values()
}

/// Takes the fields of a later point of the same identity.
fn take_fields(known: &mut Point, later: Point) {
    for (name, value) in later.fields {
        match known.fields.iter_mut().find(|(own, _)| *own == name) {
            Some((_, old)) => *old = value,
            None => known.fields.push((name, value)),
        }
    }
}

/// All rows by identity, those of one in the order in which they count.
fn rows(runs: &[Vec<Arc<SortedRun>>]) -> impl Iterator<Item = Result<Row>> + use<> {
    let of_each = runs.iter().enumerate();
    let runs = of_each.flat_map(|(call, runs)| runs.iter().map(move |run| Rows::new(Arc::clone(run), call)));
    sorted(runs.collect())
}

/// A point as it was before it went to disk.
fn point(row: &Row, names: &mut Names) -> Result<Point> {
    let (payload, schema) = row.texts();
    result_json::read(payload.as_bytes(), schema.as_bytes(), names)
        .map_err(|problem| Error::internal(format!("a point that to() has put on disk does not read back: {problem}")))
}

/// Points from rows that stand by identity.
struct Merged<I: Iterator<Item = Result<Row>>> {
    rows: Peekable<I>,
    names: Names,
}

impl<I: Iterator<Item = Result<Row>>> Merged<I> {
    fn rest_of(&mut self, first: &Row) -> Result<Point> {
        let mut merged = point(first, &mut self.names)?;
        while let Some(row) =
            self.rows.next_if(|next| next.as_ref().is_ok_and(|next| next.identity() == first.identity()))
        {
            take_fields(&mut merged, point(&row?, &mut self.names)?);
        }
        Ok(merged)
    }
}

impl<I: Iterator<Item = Result<Row>>> Iterator for Merged<I> {
    type Item = Result<Point>;

    fn next(&mut self) -> Option<Result<Point>> {
        let first = self.rows.next()?;
        Some(first.and_then(|first| self.rest_of(&first)))
    }
}
