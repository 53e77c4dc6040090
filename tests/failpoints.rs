//! A kill at every step of flush, compaction, delete, retention and vacuum, each once: the store opens at the last commit,
//! nothing acknowledged is lost, nothing counts twice, what is deleted stays so, and what the kills leave leaves the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::support::daemon::{Daemon, Start};

const CONFIG: &str = r#"
[sink]
flush_age = "300ms"

[store]
vacuum_after = "1s"
"#;

/// What makes the daemon come to a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reached {
    /// Rows that are old enough to be flushed.
    Flush,
    /// The same with a field that is new.
    NewField,
    /// `bucket compact`.
    Compact,
    /// `bucket delete-rows`.
    Delete,
    /// Replaced files that are old enough to go.
    Vacuum,
    /// Rows that become older than their bucket keeps.
    Retention,
}

const PLACES: [(&str, Reached); 29] = [
    ("flush.taken", Reached::Flush),
    // The first write of a table's first flush is version 0, later ones begin with the Parquet file.
    ("put.written:1", Reached::Flush),
    ("put.synced:1", Reached::Flush),
    ("put.linked:1", Reached::Flush),
    ("put.written:2", Reached::Flush),
    ("put.synced:2", Reached::Flush),
    ("put.linked:2", Reached::Flush),
    ("flush.before-put", Reached::Flush),
    ("flush.after-put", Reached::Flush),
    ("flush.committed", Reached::Flush),
    ("flush.done", Reached::Flush),
    ("flush.schema-committed", Reached::NewField),
    ("compact.begin", Reached::Compact),
    ("compact.before-put", Reached::Compact),
    ("compact.after-put", Reached::Compact),
    ("compact.before-commit", Reached::Compact),
    ("exchange.committed", Reached::Compact),
    ("compact.after-commit", Reached::Compact),
    ("delete.before-commit", Reached::Delete),
    ("delete.committed", Reached::Delete),
    ("delete.done", Reached::Delete),
    // What is deleted leaves the files.
    ("compact.before-commit", Reached::Compact),
    ("exchange.committed", Reached::Compact),
    ("vacuum.before-delete", Reached::Vacuum),
    ("vacuum.deleted-one", Reached::Vacuum),
    ("vacuum.done", Reached::Vacuum),
    ("expire.before-commit", Reached::Retention),
    ("exchange.committed", Reached::Retention),
    ("expire.after-commit", Reached::Retention),
];

/// What was written and what of it was acknowledged.
#[derive(Default)]
struct Ledger {
    next: i64,
    tried: BTreeSet<i64>,
    acknowledged: BTreeSet<i64>,
    /// Deletes that were acknowledged.
    deleted: BTreeSet<i64>,
    /// A delete that was not, while nobody knows what became of it.
    perhaps_deleted: BTreeSet<i64>,
}

/// The time of the row of a number.
fn time_ns(number: i64) -> i64 {
    1_700_000_000_000_000_000 + number
}

impl Ledger {
    /// Writes some numbers, each a row; every third one twice, as a late version.
    fn write(&mut self, daemon: &Daemon, directory: &Path, field: &str) {
        let mut lines = String::new();
        let numbers: Vec<i64> = (self.next..self.next + 20).collect();
        self.next += 20;
        for number in &numbers {
            let line = format!("m,host=h{} {field}={number}i {}\n", number % 3, time_ns(*number));
            lines.push_str(&line.repeat(if number % 3 == 0 { 2 } else { 1 }));
        }
        let file = directory.join("lines");
        std::fs::write(&file, lines).expect("a file of lines");
        self.tried.extend(&numbers);
        if daemon.run(&["write", "-b", "kept", file.to_str().expect("a path")]).status.success() {
            self.acknowledged.extend(&numbers);
        }
    }

    /// Deletes the ten oldest rows that are left.
    fn delete(&mut self, daemon: &Daemon) {
        let oldest: BTreeSet<i64> = self.tried.difference(&self.deleted).take(10).copied().collect();
        let time = |number: Option<&i64>| {
            let time = chrono::DateTime::from_timestamp_nanos(time_ns(*number.expect("there are rows")));
            time.to_rfc3339_opts(chrono::SecondsFormat::Nanos, true)
        };
        let (start, stop) = (time(oldest.first()), time(oldest.last()));
        let done = daemon.run(&["bucket", "delete-rows", "kept", "--start", &start, "--stop", &stop]);
        if done.status.success() {
            self.acknowledged.retain(|number| !oldest.contains(number));
            self.deleted.extend(oldest);
        } else {
            self.perhaps_deleted = oldest;
        }
    }

    fn check(&self, daemon: &Daemon, place: &str) {
        let mut stored: BTreeMap<i64, usize> = BTreeMap::new();
        for row in daemon.rows("from(bucket: \"kept\") |> range(start: 0)") {
            *stored.entry(row["_value"].as_i64().expect("a number")).or_default() += 1;
        }
        let doubled: Vec<_> = stored.iter().filter(|(_, times)| **times > 1).collect();
        assert!(doubled.is_empty(), "after a kill at {place} these stand twice: {doubled:?}");
        let is_lost = |number: &&i64| !stored.contains_key(number);
        let lost: Vec<_> = self.acknowledged.difference(&self.perhaps_deleted).filter(is_lost).collect();
        assert!(lost.is_empty(), "after a kill at {place} these are lost: {lost:?}");
        let strange: Vec<_> = stored.keys().filter(|number| !self.tried.contains(number)).collect();
        assert!(strange.is_empty(), "after a kill at {place} there are {strange:?}");
        let back: Vec<_> = stored.keys().filter(|number| self.deleted.contains(number)).collect();
        assert!(back.is_empty(), "after a kill at {place} these are back: {back:?}");
        let of_delete = self.perhaps_deleted.intersection(&self.acknowledged).filter(|number| !is_lost(number)).count();
        let all = self.perhaps_deleted.intersection(&self.acknowledged).count();
        assert!(of_delete == 0 || of_delete == all, "after a kill at {place} {of_delete} of {all} are left");
    }
}

#[test]
fn a_kill_at_every_step_loses_nothing() {
    let home = tempfile::tempdir().expect("a directory");
    let (data_dir, tasks_dir) = (home.path().join("data"), home.path().join("tasks"));
    std::fs::create_dir(&tasks_dir).expect("a directory");
    let config = home.path().join("fluxmill.toml");
    std::fs::write(&config, CONFIG).expect("a configuration");
    let start = Start { data_dir: &data_dir, tasks_dir: &tasks_dir, config: Some(&config), kafka: None };
    let mut ledger = Ledger::default();
    {
        let daemon = Daemon::start(&start);
        daemon.output(&["bucket", "create", "kept"]);
        daemon.output(&["bucket", "create", "short", "--retention", "2s"]);
        ledger.write(&daemon, home.path(), "number");
        assert!(daemon.stop().success());
    }
    for (place, reached) in PLACES {
        let mut daemon = Daemon::start_failing(&start, Some(place));
        match reached {
            Reached::Flush => ledger.write(&daemon, home.path(), "number"),
            Reached::NewField => ledger.write(&daemon, home.path(), "other"),
            Reached::Compact => {
                // Whether it answers depends on where it falls.
                let _ = daemon.run(&["bucket", "compact", "kept"]);
            }
            Reached::Delete => ledger.delete(&daemon),
            // What was compacted before is due.
            Reached::Vacuum => {}
            Reached::Retention => {
                let file = home.path().join("soon-gone");
                std::fs::write(&file, "m number=1i\n").expect("a file of lines");
                let _ = daemon.run(&["write", "-b", "short", file.to_str().expect("a path")]);
            }
        }
        assert!(daemon.is_killed_within(Duration::from_secs(30)), "{place} was not reached");
        let daemon = Daemon::start(&start);
        ledger.check(&daemon, place);
        if matches!(reached, Reached::Delete) {
            // Whoever was not answered says it again.
            ledger.delete(&daemon);
            assert!(ledger.deleted.is_superset(&ledger.perhaps_deleted), "it is answered now");
            ledger.perhaps_deleted.clear();
            ledger.check(&daemon, place);
        }
        if matches!(reached, Reached::Compact) {
            // Something to compact the next time.
            ledger.write(&daemon, home.path(), "number");
        }
        assert!(daemon.stop().success(), "a clean stop after a kill at {place}");
    }
    let daemon = Daemon::start(&start);
    daemon.output(&["bucket", "compact", "kept"]);
    ledger.check(&daemon, "the end");
    assert_eq!(daemon.rows("from(bucket: \"short\") |> range(start: 0)").len(), 0);
    for table in tables_below(&data_dir.join("buckets")) {
        wait_until_only_what_is_named_is_left(&table);
    }
    ledger.check(&daemon, "the end");
    assert!(daemon.stop().success());
}

/// The directories with a Delta log.
fn tables_below(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path());
    let directories: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    match directories.iter().any(|path| path.ends_with("_delta_log")) {
        true => vec![directory.to_path_buf()],
        false => directories.iter().flat_map(|path| tables_below(path)).collect(),
    }
}

/// The files below a directory, relative to it.
fn files_below(directory: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        match entry.path().is_dir() {
            true => found.extend(files_below(&entry.path()).into_iter().map(|file| format!("{name}/{file}"))),
            false => drop(found.insert(name)),
        }
    }
    found
}

/// Vacuum goes over the table every second: it is to remove all but what the log names, and the log.
fn wait_until_only_what_is_named_is_left(table: &Path) {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let on_disk = files_below(table);
        let mut named = BTreeSet::new();
        for commit in on_disk.iter().filter(|file| file.starts_with("_delta_log/") && file.ends_with(".json")) {
            for line in std::fs::read_to_string(table.join(commit)).expect("a commit").lines() {
                let action: serde_json::Value = serde_json::from_str(line).expect("an action");
                if let Some(path) = action["add"]["path"].as_str() {
                    named.insert(path.to_string());
                } else if let Some(path) = action["remove"]["path"].as_str() {
                    named.remove(path);
                }
            }
        }
        let is_log = |file: &str| {
            let name = file.strip_prefix("_delta_log/");
            name.is_some_and(|name| !name.contains('#'))
        };
        let left: Vec<_> = on_disk.iter().filter(|file| !named.contains(*file) && !is_log(file)).collect();
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < until, "in {} these stay: {left:?}", table.display());
        std::thread::sleep(Duration::from_millis(100));
    }
}
