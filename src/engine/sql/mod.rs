//! SQL over the buckets: DataFusion plans and runs it, the rows come from the store's own scan.
//!
//! Called by the API. `bucket.measurement` is a table with the rows that Flux reads and pivots (`store::WideTable`). It only
//! reads: statements are let through by a list of those that are known to, tables are measurements and nothing else, and
//! no function reads a file. What sorts, groups and joins hold is bounded for all queries together, and they run on threads of
//! their own. This folder is the only place outside of `store` that names DataFusion.

mod answer;
mod catalog;
mod condition;
mod failure;
mod statement;
mod table;
mod threads;

use std::sync::Arc;

use chrono::DateTime;
use datafusion::catalog::{CatalogProviderList, MemoryCatalogProviderList};
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::SessionState;
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::SessionConfig;

use self::answer::Rows;
use self::catalog::{Buckets, CATALOG};
use self::failure::Failures;
pub use self::threads::SqlAnswer;
use self::threads::Threads;
use crate::diagnostic::Source;
use crate::error::{Error, Result};
use crate::store::{Snapshot, Store};

/// What sorts, groups and joins of all queries may hold in memory at once, in bytes.
const MEMORY_BYTES: usize = 512 << 20;

/// Runs SQL over a store.
pub struct Sql {
    planner: Arc<Planner>,
    threads: Threads,
}

/// What makes rows of statements.
struct Planner {
    store: Arc<Store>,
    runtime: Arc<RuntimeEnv>,
}

impl Sql {
    /// SQL over a store, with the usual bound on memory.
    ///
    /// Errors: Internal if DataFusion's environment cannot be made.
    pub fn new(store: Arc<Store>) -> Result<Sql> {
        Sql::with_memory(store, MEMORY_BYTES)
    }

    /// The same; `memory_bytes` is what sorts, groups and joins of all queries may hold at once.
    ///
    /// Errors: Internal if DataFusion's environment cannot be made.
    pub fn with_memory(store: Arc<Store>, memory_bytes: usize) -> Result<Sql> {
        // Nothing goes to temporary files: beside the data directory there is no place that is known to have room.
        let no_files = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(GreedyMemoryPool::new(memory_bytes)))
            .with_disk_manager_builder(no_files)
            .build_arc()
            .map_err(|error| Error::internal(format!("SQL does not start: {error}")))?;
        Ok(Sql { planner: Arc::new(Planner { store, runtime }), threads: Threads::start()? })
    }

    /// Plans one statement and begins to run it. All of its tables are pinned here: what is written later does not show.
    /// `now_ns` is what `now()` gives, in nanoseconds since the epoch. Dropping the answer ends the query.
    ///
    /// Errors, with their place in the text where it is known: Invalid for what is no SQL, reads no table or changes
    /// something; NotFound for tables that do not exist; Unimplemented for SQL that DataFusion does not run.
    pub async fn open(&self, source: &Source, now_ns: i64) -> Result<SqlAnswer> {
        let (planner, source) = (Arc::clone(&self.planner), source.clone());
        self.threads.open(async move { planner.open(&source, now_ns).await }).await
    }
}

impl Planner {
    async fn open(&self, source: &Source, now_ns: i64) -> Result<Rows> {
        let buckets = Arc::new(Buckets::new(Arc::clone(&self.store), Snapshot::default()));
        let failures = Failures { source, buckets: &buckets };
        let state = self.session(Arc::clone(&buckets), now_ns);
        let dialect = state.config_options().sql_parser.dialect;
        let parsed = state.sql_to_statement(&source.text, &dialect);
        let statement = parsed.map_err(|error| failures.of(&error, None))?;
        statement::check(&statement)?;
        let tables = state.resolve_table_references(&statement).unwrap_or_default();
        let planned = state.statement_to_plan(statement).await;
        let plan = planned.map_err(|error| failures.of(&error, Some(&tables)))?;
        statement::check_plan(&plan)?;
        let physical = state.create_physical_plan(&plan).await.map_err(|error| failures.of(&error, None))?;
        let stream = execute_stream(physical, state.task_ctx()).map_err(|error| failures.of(&error, None))?;
        Ok(Rows::new(stream))
    }

    fn session(&self, buckets: Arc<Buckets>, now_ns: i64) -> SessionState {
        let mut config = SessionConfig::new()
            .with_information_schema(true)
            .with_create_default_catalog_and_schema(false)
            .with_default_catalog_and_schema(CATALOG, catalog::NO_BUCKET)
            // One after the other: rows and sums of floats come out alike each time, whatever the number of cores. The
            // scan reads ahead on other threads anyway.
            .with_target_partitions(1);
        config.options_mut().sql_parser.collect_spans = true;
        let catalogs = MemoryCatalogProviderList::new();
        catalogs.register_catalog(CATALOG.to_string(), buckets);
        let mut state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(Arc::clone(&self.runtime))
            .with_catalog_list(Arc::new(catalogs))
            .with_default_features()
            // Files are neither read nor written.
            .with_table_factories(Default::default())
            .with_file_formats(Vec::new())
            .build();
        let options = Arc::clone(state.config_options());
        let properties = state.execution_props_mut();
        properties.mark_start_execution(options);
        properties.query_execution_start_time = Some(DateTime::from_timestamp_nanos(now_ns));
        state
    }
}
