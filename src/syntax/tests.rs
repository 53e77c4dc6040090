#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn reads_an_ordinary_script() {
    let parsed = parse(
        r#"import "influxdata/influxdb/tasks"
option task = {name: "n", every: 1h0m0s, offset: -5m}
from(bucket: "a")
    |> range(start: tasks.lastSuccess(orTime: -task.every))
    |> filter(fn: (r) => r._measurement == "m" and r["_field"] =~ /a\/b/)
    |> map(fn: (r) => ({r with x: r._value / 2.0}))
    |> to(bucket: "b")
"#,
    );
    assert_eq!(parsed.diagnostics, vec![]);
    assert_eq!(parsed.file.body.len(), 2);
}
