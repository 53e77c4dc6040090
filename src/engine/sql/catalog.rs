//! Buckets as schemas, measurements as their tables: what a query may name.
//!
//! Used by `engine::sql`, made for each query. Buckets and measurements are pinned when they are first looked at, so that
//! all tables of a query agree. Nothing can be registered.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::error::{DataFusionError, Result as DataFusionResult};

use super::table::MeasurementTable;
use crate::error::{Error, Result};
use crate::name::Name;
use crate::store::{Snapshot, Store};

/// The name of the catalogue in `information_schema`.
pub(super) const CATALOG: &str = "fluxmill";
/// The schema of a table that is named without one: no bucket has this name.
pub(super) const NO_BUCKET: &str = "";

/// The buckets of a query.
pub(super) struct Buckets {
    store: Arc<Store>,
    snapshot: Arc<Snapshot>,
    ids: BTreeMap<Name, Name>,
}

impl std::fmt::Debug for Buckets {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.ids.keys()).finish()
    }
}

impl Buckets {
    /// The buckets of a store as a snapshot has them.
    pub(super) fn new(store: Arc<Store>, snapshot: Snapshot) -> Buckets {
        let ids = store.buckets().into_iter().map(|bucket| (bucket.name, bucket.id)).collect();
        Buckets { store, snapshot: Arc::new(snapshot), ids }
    }

    /// Their names.
    pub(super) fn names(&self) -> impl Iterator<Item = &Name> {
        self.ids.keys()
    }

    /// The measurements of a bucket, none if there is no such bucket.
    pub(super) fn measurements(&self, bucket: &str) -> Vec<Name> {
        let id = self.ids.get(bucket);
        // A bucket that was deleted meanwhile holds nothing.
        id.and_then(|id| self.store.measurements_at(&self.snapshot, id).ok()).unwrap_or_default()
    }
}

impl CatalogProvider for Buckets {
    fn schema_names(&self) -> Vec<String> {
        self.ids.keys().map(|name| name.to_string()).collect()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let id = self.ids.get(name)?.clone();
        let (store, snapshot) = (Arc::clone(&self.store), Arc::clone(&self.snapshot));
        Some(Arc::new(Measurements { store, snapshot, bucket: id }))
    }
}

/// The measurements of a bucket.
struct Measurements {
    store: Arc<Store>,
    snapshot: Arc<Snapshot>,
    /// Its id.
    bucket: Name,
}

impl std::fmt::Debug for Measurements {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Measurements({})", self.bucket)
    }
}

impl Measurements {
    fn names(&self) -> Result<Vec<Name>, Error> {
        self.store.measurements_at(&self.snapshot, &self.bucket)
    }
}

#[async_trait]
impl SchemaProvider for Measurements {
    fn table_names(&self) -> Vec<String> {
        self.names().unwrap_or_default().iter().map(|name| name.to_string()).collect()
    }

    async fn table(&self, name: &str) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
        let table = self.store.wide_table(&self.snapshot, &self.bucket, name);
        let table = table.map_err(|error| DataFusionError::External(Box::new(error)))?;
        Ok(table.map(|table| Arc::new(MeasurementTable::new(table)) as Arc<dyn TableProvider>))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.names().is_ok_and(|names| names.iter().any(|own| &**own == name))
    }
}
