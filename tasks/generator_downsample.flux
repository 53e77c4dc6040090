// Every minute: the last reading of each generator, with an alarm, for whoever plans the tankers' routes.
import "influxdata/influxdb/tasks"

option task = {name: "generator downsample", every: 1m, offset: 0s}

from(bucket: "kafka_raw")
    |> range(start: tasks.lastSuccess(orTime: -1h))
    |> filter(fn: (r) => r._measurement == "genData")
    |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")
    |> group(columns: ["generatorID"], mode: "by")
    |> last(column: "fuel")
    |> map(fn: (r) => ({r with alarm: if r.fuel < 500.0 then "refuel" else "no action"}))
    |> set(key: "region", value: "US")
    |> to(
        bucket: "kafka_downsampled",
        tagColumns: ["generatorID", "region"],
        fieldFn: (r) => ({
            alarm: r.alarm,
            fuel: r.fuel,
            lat: r.lat,
            load: r.load,
            lon: r.lon,
            power: r.power,
            temperature: r.temperature,
        }),
    )
