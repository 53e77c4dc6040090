//! A kill at every step of flush, compaction, retention and vacuum, each once: the store opens at the last commit, nothing
//! acknowledged is lost, nothing counts twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

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
    /// Replaced files that are old enough to go.
    Vacuum,
    /// Rows that become older than their bucket keeps.
    Retention,
}

const PLACES: [(&str, Reached); 22] = [
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
    ("vacuum.before-delete", Reached::Vacuum),
    ("vacuum.deleted-one", Reached::Vacuum),
    ("expire.before-commit", Reached::Retention),
    ("expire.after-commit", Reached::Retention),
];

/// What was written and what of it was acknowledged.
#[derive(Default)]
struct Ledger {
    next: i64,
    tried: BTreeSet<i64>,
    acknowledged: BTreeSet<i64>,
}

impl Ledger {
    /// Writes some numbers, each a row; every third one twice, as a late version.
    fn write(&mut self, daemon: &Daemon, directory: &std::path::Path, field: &str) {
        let mut lines = String::new();
        let numbers: Vec<i64> = (self.next..self.next + 20).collect();
        self.next += 20;
        for number in &numbers {
            let line = format!("m,host=h{} {field}={number}i {}\n", number % 3, 1_700_000_000_000_000_000 + number);
            lines.push_str(&line.repeat(if number % 3 == 0 { 2 } else { 1 }));
        }
        let file = directory.join("lines");
        std::fs::write(&file, lines).expect("a file of lines");
        self.tried.extend(&numbers);
        if daemon.run(&["write", "-b", "kept", file.to_str().expect("a path")]).status.success() {
            self.acknowledged.extend(&numbers);
        }
    }

    fn check(&self, daemon: &Daemon, place: &str) {
        let mut stored: BTreeMap<i64, usize> = BTreeMap::new();
        for row in daemon.rows("from(bucket: \"kept\") |> range(start: 0)") {
            *stored.entry(row["_value"].as_i64().expect("a number")).or_default() += 1;
        }
        let doubled: Vec<_> = stored.iter().filter(|(_, times)| **times > 1).collect();
        assert!(doubled.is_empty(), "after a kill at {place} these stand twice: {doubled:?}");
        let lost: Vec<_> = self.acknowledged.iter().filter(|number| !stored.contains_key(number)).collect();
        assert!(lost.is_empty(), "after a kill at {place} these are lost: {lost:?}");
        let strange: Vec<_> = stored.keys().filter(|number| !self.tried.contains(number)).collect();
        assert!(strange.is_empty(), "after a kill at {place} there are {strange:?}");
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
    assert!(daemon.stop().success());
}
