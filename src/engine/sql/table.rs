//! A measurement as a table of DataFusion's: its schema, the conditions that its scan takes over, and the scan.
//!
//! Used by `engine::sql`. Columns that a query does not name are not read. A condition is taken over where the scan decides
//! it exactly as SQL does, else not at all; DataFusion then decides it on the rows.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::stream::{self, StreamExt, TryStreamExt};

use super::condition::{bounds_of, predicate};
use crate::store::WideTable;
use crate::table::scan::{Bounds, Predicate};

/// A measurement.
#[derive(Debug)]
pub(super) struct MeasurementTable {
    table: Arc<WideTable>,
    schema: SchemaRef,
}

impl MeasurementTable {
    pub(super) fn new(table: WideTable) -> Self {
        let schema = table.schema();
        MeasurementTable { table: Arc::new(table), schema }
    }
}

#[async_trait]
impl TableProvider for MeasurementTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let answer = |filter: &&Expr| match predicate(&self.table, filter) {
            Some(_) => TableProviderFilterPushDown::Exact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(answer).collect())
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let schema = Arc::new(self.schema.project(&columns)?);
        let mut predicates = Vec::with_capacity(filters.len());
        for filter in filters {
            // Only what was said to be exact is handed down.
            predicates.push(predicate(&self.table, filter).ok_or_else(|| {
                DataFusionError::Internal(format!("a scan was given a condition that it cannot decide: {filter}"))
            })?);
        }
        let bounds = bounds_of(&predicates);
        let table = Arc::clone(&self.table);
        let rows = Rows { table, columns, schema: Arc::clone(&schema), bounds, predicates };
        // The rows are cut after the conditions: all that were handed down are decided by the scan.
        Ok(Arc::new(StreamingTableExec::try_new(schema, vec![Arc::new(rows)], None, [], false, limit)?))
    }
}

/// The rows that a query wants of a measurement.
#[derive(Debug)]
struct Rows {
    table: Arc<WideTable>,
    columns: Vec<usize>,
    schema: SchemaRef,
    bounds: Bounds,
    predicates: Vec<Predicate>,
}

impl PartitionStream for Rows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let external = |error| DataFusionError::External(Box::new(error));
        let batches = match self.table.scan(&self.columns, self.bounds, &self.predicates) {
            Ok(batches) => batches.map_err(external).boxed(),
            Err(error) => stream::iter([Err(external(error))]).boxed(),
        };
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches))
    }
}
