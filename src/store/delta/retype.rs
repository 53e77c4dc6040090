//! Files for another schema: where a field was retyped, all files are written again with its new type; where a bucket is
//! to be rebuilt, all of them are dropped.
//!
//! Called before whatever else writes files. Until it is done, reads convert; a crash in between is made good by the next
//! flush. Afterwards the table takes rows of every offset again, for the replay that follows.

use std::collections::BTreeMap;
use std::sync::Arc;

use deltalake::protocol::{DeltaOperation, SaveMode};

use super::data_file::DataFile;
use super::maintain::{Exchange, MaintenanceContext};
use super::names::DAY;
use crate::error::{Error, Result};
use crate::failpoint::failpoint;
use crate::store::table::Table;

/// How often it begins anew when a flush that was under way has added files.
const TRIES: usize = 5;

impl Table {
    /// Writes all files again if their types are not the registered ones.
    pub(crate) async fn rewrite_types(&self, context: &MaintenanceContext) -> Result<()> {
        if !self.file_list().schema.retyped(&self.columns()).1 {
            return Ok(());
        }
        let mut maintainer = self.files.maintainer.lock().await;
        for _ in 0..TRIES {
            let (list, columns) = (self.file_list(), self.columns());
            let (schema, differs) = list.schema.retyped(&columns);
            if !differs {
                return Ok(());
            }
            // Deletes stay files of their own.
            let mut days: BTreeMap<(&str, bool), Vec<Arc<DataFile>>> = BTreeMap::new();
            for file in &list.files {
                days.entry((file.day(), file.deletes)).or_default().push(Arc::clone(file));
            }
            if days.keys().any(|(day, _)| day.is_empty()) {
                return Err(Error::failed_precondition("the table has files of others, which cannot be retyped"));
            }
            let operation = DeltaOperation::Write {
                mode: SaveMode::Overwrite,
                partition_by: Some(vec![DAY.to_string()]),
                predicate: None,
            };
            let mut exchange = Exchange::new(list.files.clone(), operation);
            for inputs in days.values() {
                let (adds, added) = self.rewrite(&list, inputs, &columns, schema.clone(), context).await?;
                exchange.adds.extend(adds);
                exchange.added.extend(added);
            }
            let exchange = Exchange { schema: Some(schema), changes_rows: true, takes_all_again: true, ..exchange };
            failpoint("retype.before-commit");
            if self.exchange(&mut maintainer, exchange, context).await? {
                failpoint("retype.after-commit");
                return Ok(());
            }
        }
        Err(Error::unavailable("files are added faster than they are retyped"))
    }

    /// Drops all files; the table takes rows of every offset again.
    pub(crate) async fn drop_files(&self, context: &MaintenanceContext) -> Result<()> {
        let mut maintainer = self.files.maintainer.lock().await;
        for _ in 0..TRIES {
            let inputs = self.file_list().files.clone();
            let operation = DeltaOperation::Delete { predicate: Some("true".to_string()) };
            let exchange = Exchange { changes_rows: true, takes_all_again: true, ..Exchange::new(inputs, operation) };
            // Also where there is no file: the positions count.
            self.exchange(&mut maintainer, exchange, context).await?;
            if self.file_list().files.is_empty() {
                return Ok(());
            }
        }
        Err(Error::unavailable("files are added faster than they are dropped"))
    }
}
