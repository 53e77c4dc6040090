//! What a bucket holds, in names: its measurements with their tag keys and fields.
//!
//! Read by the API for people who look around; it reads no row.

use super::Store;
use crate::error::Result;
use crate::name::Name;
use crate::table::ColumnType;

/// A measurement of a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measurement {
    /// Its name.
    pub name: Name,
    /// Its tag keys, in the order in which they first came.
    pub tags: Vec<Name>,
    /// Its fields and their types, in the order in which they first came.
    pub fields: Vec<(Name, ColumnType)>,
}

impl Store {
    /// The measurements of a bucket, by name.
    ///
    /// Errors: `NotFound`, in InfluxDB's words.
    pub fn measurements(&self, bucket: &str) -> Result<Vec<Measurement>> {
        let state = self.bucket_state(&self.bucket(bucket)?.id)?;
        let measurements = state.tables().into_iter().map(|table| {
            let columns = table.columns();
            let fields = columns.fields().iter().map(|field| (field.name.clone(), field.column_type)).collect();
            Measurement { name: table.measurement.clone(), tags: columns.tags().to_vec(), fields }
        });
        Ok(measurements.collect())
    }
}
