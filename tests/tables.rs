//! A bucket's tables as other programs read them: deltalake, Polars and DuckDB open them as they are, and the README's
//! newest-wins query gives what Flux gives.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::daemon::{Daemon, Start};

fn python() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").expect("HOME")).join(".cache"));
    let python = cache.join("fluxmill/python/bin/python");
    assert!(python.exists(), "{} is missing: run `make services`", python.display());
    python
}

/// Versions of points, some hidden by newer ones, some that share a point field by field; in several files, compacted and
/// not, with a tag that came later; and a line that leaves its time to its arrival.
const WRITES: [&str; 3] = [
    "m,host=a load=1,state=\"on\" 1700000000000000001\nm,host=b load=2 1700000000000000000\n",
    "m,host=a load=3 1700000000000000001\nm,host=b state=\"off\" 1700000000000000000\n",
    "m,host=a,zone=z load=4 1700000060000000000\nm,host=b load=5 1700000000000000000\nm,host=c load=6\n",
];

#[test]
fn other_programs_read_what_flux_reads() {
    let home = tempfile::tempdir().expect("a directory");
    let (data_dir, tasks_dir) = (home.path().join("data"), home.path().join("tasks"));
    std::fs::create_dir(&tasks_dir).expect("a directory");
    let start = Start { data_dir: &data_dir, tasks_dir: &tasks_dir, config: None, kafka: None };
    for (number, lines) in WRITES.iter().enumerate() {
        let daemon = Daemon::start(&start);
        if number == 0 {
            daemon.output(&["bucket", "create", "b"]);
        }
        let file = home.path().join("lines");
        std::fs::write(&file, lines).expect("a file of lines");
        daemon.output(&["write", "-b", "b", file.to_str().expect("a path")]);
        if number == 1 {
            daemon.output(&["bucket", "compact", "b"]);
        }
        // A clean stop writes what is in memory to files.
        assert!(daemon.stop().success());
    }
    let expected = [
        r#"{"time_ns":1,"host":"a","load":3.0,"state":"on"}"#,
        r#"{"time_ns":0,"host":"a","load":4.0}"#,
        r#"{"time_ns":0,"host":"b","load":5.0,"state":"off"}"#,
        r#"{"host":"c","load":6.0}"#,
    ]
    .map(|row| serde_json::from_str::<serde_json::Value>(row).expect("JSON"));
    let readers = read(&table_directory(&data_dir));
    assert_eq!(readers.keys().collect::<Vec<_>>(), ["deltalake", "duckdb", "polars"]);
    for (reader, mut rows) in readers {
        for row in rows.iter_mut().filter_map(serde_json::Value::as_object_mut) {
            let time = row.remove("time").expect("a time");
            if row["host"] == "c" {
                assert!(row.remove("time_ns").is_some());
                continue;
            }
            assert!(time.as_str().is_some_and(|time| time.starts_with("2023-11-14 22:1")), "{reader}: {time}");
        }
        assert_eq!(rows, expected, "{reader}");
    }
}

fn table_directory(data_dir: &Path) -> PathBuf {
    let buckets: Vec<PathBuf> = std::fs::read_dir(data_dir.join("buckets"))
        .expect("the buckets' folder")
        .map(|bucket| bucket.expect("a bucket").path().join("m"))
        .filter(|table| table.is_dir())
        .collect();
    assert_eq!(buckets.len(), 1, "{buckets:?}");
    buckets[0].clone()
}

fn read(table: &Path) -> BTreeMap<String, Vec<serde_json::Value>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/tables.py");
    let output = Command::new(python()).arg(script).arg(table).output().expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout)
        .expect("UTF-8")
        .lines()
        .map(|line| {
            let (name, rows) = line.split_once(' ').expect("a name and rows");
            (name.to_string(), serde_json::from_str(rows).expect("JSON"))
        })
        .collect()
}
