"""InfluxDB's Python client against fluxmill: buckets, writes, queries, deletes, tasks, errors. Arguments: URL, token."""

import sys
import time
from datetime import datetime, timezone

from influxdb_client import BucketRetentionRules, InfluxDBClient, Point, WritePrecision
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException

url, token = sys.argv[1:]
with InfluxDBClient(url=url, token=token, org="fluxmill", enable_gzip=True) as client:
    assert client.ping()
    assert client.health().status == "pass"
    assert client.version()

    buckets = client.buckets_api()
    made = buckets.create_bucket(
        bucket_name="python", org="fluxmill", retention_rules=BucketRetentionRules(type="expire", every_seconds=0)
    )
    assert buckets.find_bucket_by_name("python").id == made.id

    start = datetime(2024, 5, 1, 12, 0, 0, tzinfo=timezone.utc)
    writes = client.write_api(write_options=SYNCHRONOUS)
    points = [
        Point("press").tag("machine", f"p{n % 2}").field("bar", 100.5 + n).field("ok", n % 2 == 0).time(
            start.replace(second=n), WritePrecision.NS
        )
        for n in range(10)
    ]
    writes.write(bucket="python", record=points)

    tables = client.query_api().query(
        'from(bucket: "python") |> range(start: 2024-05-01T00:00:00Z, stop: 2024-05-02T00:00:00Z)'
        ' |> filter(fn: (r) => r._field == "bar")'
    )
    rows = [record for table in tables for record in table.records]
    assert len(tables) == 2, tables
    assert sorted(record.get_value() for record in rows) == [100.5 + n for n in range(10)]
    first = min(rows, key=lambda record: record.get_time())
    assert first.get_time() == start, first.get_time()
    assert first.values["machine"] == "p0" and first.get_measurement() == "press"

    try:
        client.query_api().query('from(bucket: "none") |> range(start: -1h)')
        raise AssertionError("a missing bucket was found")
    except ApiException as error:
        assert error.status == 404, error
    try:
        writes.write(bucket="python", record="press bar= 1")
        raise AssertionError("a broken line was taken")
    except ApiException as error:
        assert error.status == 400 and "unable to parse" in error.message, error

    deletes = client.delete_api()
    deletes.delete(start, start.replace(second=4), '_measurement="press" AND machine="p0"', bucket="python")
    tables = client.query_api().query(
        'from(bucket: "python") |> range(start: 2024-05-01T00:00:00Z, stop: 2024-05-02T00:00:00Z)'
        ' |> filter(fn: (r) => r._field == "bar")'
    )
    left = sorted(record.get_value() for table in tables for record in table.records)
    assert left == [100.5 + n for n in (1, 3, 5, 6, 7, 8, 9)], left
    try:
        deletes.delete(start, start, 'machine="p0" or machine="p1"', bucket="python")
        raise AssertionError("OR was taken")
    except ApiException as error:
        assert error.status == 400, error

    tasks = client.tasks_api()
    org = client.organizations_api().find_organizations(org="fluxmill")[0]
    flux = 'from(bucket: "python")\n    |> range(start: -1d)\n    |> count()\n    |> to(bucket: "counts", timeColumn: "_stop")\n'
    task = tasks.create_task_every("py counts", flux, "1d", org)
    assert task.name == "py counts" and task.status == "active" and task.every == "1d", task
    assert [other.id for other in tasks.find_tasks(name="py counts")] == [task.id]
    for _ in range(100):
        runs = tasks.get_runs(task.id)
        if runs and runs[0].status == "success":
            break
        time.sleep(0.1)
    assert runs[0].status == "success", runs
    assert tasks.get_run(task.id, runs[0].id).scheduled_for == runs[0].scheduled_for
    assert any("Completed(success)" in event.message for event in tasks.get_run_logs(task.id, runs[0].id))
    assert tasks.get_logs(task.id)
    again = tasks.retry_run(task.id, runs[0].id)
    assert again.id != runs[0].id and again.scheduled_for == runs[0].scheduled_for
    task.status = "inactive"
    assert tasks.update_task(task).status == "inactive"
    assert tasks.find_task_by_id(task.id).status == "inactive"
    try:
        tasks.create_task_every("bad", "from(", "1d", org)
        raise AssertionError("a broken script was taken")
    except ApiException as error:
        assert error.status == 400, error
    tasks.delete_task(task.id)
    try:
        tasks.find_task_by_id(task.id)
        raise AssertionError("a deleted task was found")
    except ApiException as error:
        assert error.status == 404 and "failed to find task" in error.message, error

    buckets.delete_bucket(made)
    assert buckets.find_bucket_by_name("python") is None
