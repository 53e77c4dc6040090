"""Reads a bucket's table as other programs do (deltalake, Polars, DuckDB) with the README's newest-wins query.

tables.py DIRECTORY: one line per reader, its name and the rows as JSON.
"""

import json
import sys

import duckdb
import polars
import pyarrow
from deltalake import DeltaTable, QueryBuilder

directory = sys.argv[1]
table = DeltaTable(directory)


def show(name, rows):
    rows = [
        {key: value for key, value in row.items() if value is not None}
        for row in sorted(rows, key=lambda row: (str(row["host"]), str(row["time"]), row["time_ns"]))
    ]
    print(name, json.dumps(rows, default=str))


# DuckDB: `arg_max` passes over nulls.
files = table.to_pyarrow_dataset()
found = duckdb.sql(
    """
    SELECT time::VARCHAR AS time, time_ns, host, arg_max(load, arrival) AS load, arg_max(state, arrival) AS state
    FROM (SELECT *, coalesce(_seq, epoch_us(time) * 1000 + time_ns) AS arrival FROM files)
    GROUP BY time, time_ns, host
    """
)
show("duckdb", [dict(zip(found.columns, row)) for row in found.fetchall()])

# Polars.
time = polars.col("time").dt.epoch("us") * 1000 + polars.col("time_ns")
found = (
    polars.scan_delta(directory)
    .sort(polars.coalesce("_seq", time))
    .group_by("time", "time_ns", "host")
    .agg(polars.col("load", "state").drop_nulls().last())
    .collect()
)
show("polars", found.to_dicts())

# deltalake alone (DataFusion's SQL).
found = (
    QueryBuilder()
    .register("m", table)
    .execute(
        """
        SELECT time, time_ns, host,
          last_value(load ORDER BY arrival) FILTER (WHERE load IS NOT NULL) AS load,
          last_value(state ORDER BY arrival) FILTER (WHERE state IS NOT NULL) AS state
        FROM (SELECT *, coalesce(_seq, CAST(time AS BIGINT) * 1000 + time_ns) AS arrival FROM m)
        GROUP BY time, time_ns, host
        """
    )
    .read_all()
)
show("deltalake", pyarrow.table(found).to_pylist())
