//! `buckets`: the buckets there are, as a table.

use crate::error::Result;
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::functions::arguments::stream;
use crate::functions::universe::from::refuse_remote;
use crate::plan::NodeKind;
use crate::table::builder::ChunkBuilder;
use crate::table::{Cell, ColumnType, Shape};

/// `buckets`, of `universe` and of `influxdata/influxdb`.
pub const fn buckets(package: &'static str) -> Builtin {
    Builtin {
        package,
        name: "buckets",
        signature: "(?org: string, ?orgID: string, ?host: string, ?token: string) => stream[{name: string, id: string, \
                    organizationID: string, retentionPolicy: string, retentionPeriod: int}]",
        doc: "The buckets, by name; retentionPeriod is in nanoseconds, 0 for ever. There is one organization, and no id of \
              it.",
        examples: &["buckets()"],
        body,
    }
}

fn body(call: &mut Call<'_>) -> Result<Value> {
    refuse_remote(call)?;
    let columns = [
        ("name", ColumnType::String),
        ("id", ColumnType::String),
        ("organizationID", ColumnType::String),
        ("retentionPolicy", ColumnType::String),
        ("retentionPeriod", ColumnType::Int),
    ];
    let mut builder = ChunkBuilder::new(Shape::new(columns.map(|(name, own)| (name.into(), own, false))));
    builder.begin_table(0, [])?;
    for bucket in call.host.world().buckets() {
        let retention = Cell::Int(bucket.retention_ns.unwrap_or(0));
        builder.push_row([
            Cell::String(&bucket.name),
            Cell::String(&bucket.id),
            Cell::Null,
            Cell::String(""),
            retention,
        ])?;
    }
    builder.end_table();
    Ok(stream(NodeKind::Rows(builder.finish()), Vec::new(), call))
}
