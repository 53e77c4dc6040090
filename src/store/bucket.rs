//! A bucket's description.
//!
//! Kept in the catalogue, shown by the API and the command line.

use crate::table::Name;

/// A bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// 16 hex digits, not all zero.
    pub id: Name,
    /// Its name, unique.
    pub name: Name,
    /// Rows older than this are gone; `None` keeps them for ever.
    pub retention_ns: Option<i64>,
    /// The topics that fill it; the first is the one that `to()` and HTTP writes go to.
    pub topics: Vec<Name>,
    /// When it was made, in nanoseconds since the epoch.
    pub created_ns: i64,
}
