//! Buckets made anew from their topics: a field that gets another type, a bucket that is to be what its topics say.
//!
//! Called by the sink, which has stopped reading the bucket's topics and begins at the start of the log afterwards. The
//! registry stays: which fields there are, and of what type, is not decided again.

use super::Store;
use super::apply::columns_key;
use super::columns::Columns;
use crate::catalogue::{Durability, Keyspace};
use crate::error::{Error, Result};
use crate::table::ColumnType;

impl Store {
    /// The type of a field.
    ///
    /// Errors: `NotFound` when there is no such bucket, measurement or field.
    pub fn field_type(&self, bucket: &str, measurement: &str, field: &str) -> Result<ColumnType> {
        let bucket = self.bucket_state(bucket)?;
        let table = bucket
            .table(measurement)
            .ok_or_else(|| Error::not_found(format!("the bucket has no measurement {measurement:?}")))?;
        let columns = table.columns();
        let known = columns.field(field).map(|place| columns.fields()[place as usize].column_type);
        known.ok_or_else(|| Error::not_found(format!("measurement {measurement:?} has no field {field:?}")))
    }

    /// Gives a field another type, durably, and writes its values again: those that cannot be converted without loss are
    /// gone from the bucket. Values of the former types are converted from now on. The table takes rows of every offset
    /// again.
    ///
    /// Errors: `NotFound`; `Invalid` for a type that no field has; as [`Store::flush`], and a later flush goes on.
    pub async fn retype_field(&self, bucket: &str, measurement: &str, field: &str, to: ColumnType) -> Result<()> {
        if to == ColumnType::Time {
            return Err(Error::invalid("a field is of type bool, int, uint, float or string"));
        }
        self.field_type(bucket, measurement, field)?;
        let state = self.bucket_state(bucket)?;
        let Some(table) = state.table(measurement) else { return Ok(()) };
        {
            let _one = self.registering.lock();
            let mut columns = Columns::clone(&table.columns());
            if columns.retype(field, to) {
                let key = columns_key(&state.id, measurement);
                self.catalogue.put(Keyspace::Columns, key, &columns.to_record(), Durability::Synced)?;
                table.retype(field, to)?;
            }
        }
        table.rewrite_types(&self.maintenance_context(&state, self.clock.now_ns(), 0.0)).await?;
        table.take_all_again();
        Ok(())
    }

    /// Drops all rows of a bucket, in memory and in files; its tables take rows of every offset again.
    ///
    /// Errors: `NotFound`; `Unavailable` when the disk refuses: some tables are then empty and others not.
    pub async fn clear_bucket(&self, bucket: &str) -> Result<()> {
        let state = self.bucket_state(bucket)?;
        for table in state.tables() {
            // First the memory: what a flush has taken meanwhile is a file by then.
            self.release_memory(table.forget_memory());
            table.drop_files(&self.maintenance_context(&state, self.clock.now_ns(), 0.0)).await?;
        }
        Ok(())
    }
}
