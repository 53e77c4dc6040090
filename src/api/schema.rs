//! `GET /api/fluxmill/buckets/{bucket}/measurements`: the names in a bucket, for completion.
//!
//! Reads no row.

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::Shared;
use super::error::ApiResult;

pub(super) async fn measurements(State(api): Shared, Path(bucket): Path<String>) -> ApiResult<Json<Value>> {
    let measurements = api.store.measurements(&bucket)?.into_iter().map(|measurement| {
        let fields = measurement.fields.iter();
        let fields = fields.map(|(name, kind)| json!({ "name": &**name, "type": kind.flux_name() }));
        json!({
            "name": &*measurement.name,
            "tags": measurement.tags.iter().map(|tag| &**tag).collect::<Vec<_>>(),
            "fields": fields.collect::<Vec<_>>(),
        })
    });
    Ok(Json(measurements.collect::<Vec<_>>().into()))
}
