//! Operations on a running daemon as an operator types them: tasks, dead letters, tokens; writes that have to wait.
//!
//! Transcripts of the command line over real processes, on both logs where the log matters. What is expected follows from
//! the calendar and from what the test itself has written.

mod held;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::daemon::{Daemon, Start};
use crate::support::device::Device;
use crate::support::kafka::KafkaBroker;

const NS_PER_DAY: i64 = 86_400 * 1_000_000_000;

/// A daemon with a configuration and a directory of tasks; killed and started again at will.
struct House {
    home: tempfile::TempDir,
    kafka: Option<String>,
    daemon: Option<Daemon>,
}

impl House {
    fn new(config: &str, kafka: Option<String>) -> House {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("tasks")).unwrap();
        let mut house = House { home, kafka, daemon: None };
        house.configure(config);
        house.start();
        house
    }

    fn configure(&self, config: &str) {
        std::fs::write(self.home.path().join("fluxmill.toml"), config).unwrap();
    }

    fn start(&mut self) {
        let (data, tasks) = (self.home.path().join("data"), self.home.path().join("tasks"));
        let config = self.home.path().join("fluxmill.toml");
        let start = Start { data_dir: &data, tasks_dir: &tasks, config: Some(&config), kafka: self.kafka.as_deref() };
        self.daemon = Some(Daemon::start(&start));
    }

    fn restart(&mut self) {
        self.daemon.take().unwrap().kill();
        self.start();
    }

    fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().unwrap()
    }

    fn says(&self, arguments: &[&str]) -> String {
        self.daemon().output(arguments)
    }

    /// A command that must fail: its status and what it says.
    fn refuses(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.daemon().run(arguments);
        assert!(!output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn rows(&self, bucket: &str) -> usize {
        self.daemon().rows(&format!("from(bucket: \"{bucket}\") |> range(start: 0)")).len()
    }

    fn write(&self, bucket: &str, lines: &str) {
        let file = self.home.path().join("lines");
        std::fs::write(&file, lines).unwrap();
        self.says(&["write", "-b", bucket, file.to_str().unwrap()]);
    }

    fn task_file(&self, name: &str) -> PathBuf {
        self.home.path().join("tasks").join(name)
    }

    /// Writes a task file and waits until the daemon runs that script.
    fn task(&self, name: &str, flux: &str) {
        std::fs::write(self.task_file(name), flux).unwrap();
        let task = name.trim_end_matches(".flux");
        wait(&format!("task {task} to be loaded"), || {
            let output = self.daemon().run(&["task", "show", task]);
            String::from_utf8_lossy(&output.stdout).contains(flux.trim_end())
        });
    }

    fn lines_of(&self, task: &str, status: &str) -> usize {
        let runs = self.says(&["task", "runs", task, "--limit", "500"]);
        runs.lines().skip(1).filter(|line| line.split_whitespace().nth(1) == Some(status)).count()
    }
}

fn wait(what: &str, done: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < until, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Midnight of today, which is the newest slot of `every: 1d`, in nanoseconds and in words.
fn midnight(days_ago: i64) -> (i64, String) {
    let now_ns = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as i64;
    let time_ns = (now_ns.div_euclid(NS_PER_DAY) - days_ago) * NS_PER_DAY;
    (time_ns, fluxmill::time::rfc3339::to_short_text(time_ns))
}

const BUCKETS: &str = "[[bucket]]\nname = \"raw\"\n[[bucket]]\nname = \"out\"\n";

fn daily(filter: &str) -> String {
    format!(
        "option task = {{name: \"daily\", every: 1d}}\n\nfrom(bucket: \"raw\")\n    |> range(start: -1d)\n{filter}    |> count()\n    |> to(bucket: \"out\", timeColumn: \"_stop\")\n"
    )
}

#[test]
fn tasks_are_planned_backfilled_paused_and_resumed() {
    let mut house = House::new(BUCKETS, None);
    house.task("daily.flux", &daily(""));
    wait("the first run", || house.lines_of("daily", "success") == 1);

    let (_, today) = midnight(0);
    let (_, tomorrow) = midnight(-1);
    let plan = house.says(&["task", "plan", "daily", "--count", "2"]);
    let lines: Vec<&str> = plan.lines().collect();
    assert!(lines[0].starts_with("daily at ") && lines[0].ends_with(", catch-up all, at most 1000"), "{plan}");
    assert_eq!(lines[1].split_whitespace().collect::<Vec<_>>(), ["SLOT", "DUE", "STATE"]);
    assert_eq!(lines[2].split_whitespace().collect::<Vec<_>>(), [tomorrow.as_str(), tomorrow.as_str(), "upcoming"]);
    assert_eq!(lines.len(), 4, "{plan}");

    // Rows of four days; a backfill of three slots counts three of them.
    let lines: String = (1..=4).map(|days| format!("m,t=a v=1 {}\n", midnight(days).0 + NS_PER_DAY / 2)).collect();
    house.write("raw", &lines);
    let (from, to) = (midnight(3).1, midnight(0).1);
    let asked = house.says(&["task", "backfill", "daily", "--from", &from, "--to", &to]);
    assert_eq!(asked, "asked for 3 slots of daily; `fluxmill task runs daily` shows them\n");
    wait("the backfill", || house.lines_of("daily", "success") == 4);
    assert_eq!(house.rows("out"), 3);
    let run = house.says(&["task", "run", "daily"]);
    assert_eq!(run, format!("slot {today} of daily: success\n"));
    assert_eq!(house.rows("out"), 4);

    assert_eq!(house.says(&["task", "pause", "daily"]), "daily paused\n");
    house.restart();
    assert!(house.says(&["task", "show", "daily"]).contains("status           inactive"));
    let plan = house.says(&["task", "plan", "daily"]);
    assert!(plan.contains("paused: what follows runs after `fluxmill task resume daily`"), "{plan}");
    assert_eq!(house.says(&["task", "resume", "daily"]), "daily resumed\n");
    assert!(house.says(&["task", "show", "daily"]).contains("status           active"));

    assert_eq!(house.says(&["task", "cancel", "daily"]), "no run of daily is under way\n");
    let (status, said) = house.refuses(&["task", "retry", "daily"]);
    assert_eq!((status, said.trim_end()), (1, "error: no run of daily has failed"));
    let (status, said) = house.refuses(&["task", "plan", "dayly"]);
    assert_eq!(status, 1);
    assert!(said.contains("did you mean \"daily\"?"), "{said}");
    let (status, said) = house.refuses(&["task", "backfill", "daily", "--from", &to, "--to", &from]);
    assert_eq!((status, said.trim_end()), (2, "error: the range ends before it begins"));

    // A script that fails; its run is tried again when the bucket is there.
    house.task("broken.flux", &daily("").replace("daily", "broken").replace("\"raw\"", "\"later\""));
    wait("the failure", || house.lines_of("broken", "failed") == 1);
    let (status, said) = house.refuses(&["task", "retry", "broken"]);
    assert!(status == 1 && said.contains("could not find bucket \"later\""), "{said}");
    house.says(&["bucket", "create", "later"]);
    assert_eq!(house.says(&["task", "retry", "broken"]), format!("slot {today} of broken: success\n"));
}

/// A later attempt at a slot leaves nothing of an earlier one that it does not write itself, also after a kill.
fn a_later_attempt_leaves_no_orphans(kafka: Option<&str>) {
    let unique = format!("-{}", std::process::id());
    let named = |text: &str| match kafka {
        Some(_) => text.replace("raw", &format!("raw{unique}")).replace("\"out\"", &format!("\"out{unique}\"")),
        None => text.to_string(),
    };
    let group = format!("[log.kafka]\ngroup = \"orphans{unique}\"\n");
    let config = format!("{}{}", named(BUCKETS), if kafka.is_some() { &group } else { "" });
    let mut house = House::new(&config, kafka.map(str::to_string));
    let (raw, out) = (named("raw"), named("\"out\"").replace('"', ""));
    house.task("daily.flux", &named(&daily("")));
    wait("the first run", || house.lines_of("daily", "success") == 1);
    let noon_ns = midnight(1).0 + NS_PER_DAY / 2;
    house.write(&raw, &format!("m,t=a v=1 {noon_ns}\nm,t=b v=1 {noon_ns}\nm,t=c v=1 {noon_ns}\n"));
    house.says(&["task", "run", "daily"]);
    wait("the rows of the run", || house.rows(&out) == 3);

    house.task("daily.flux", &named(&daily("    |> filter(fn: (r) => r.t == \"a\")\n")));
    let said = house.says(&["task", "run", "daily"]);
    let (_, today) = midnight(0);
    let told = format!("  2 points of an earlier attempt deleted from {out}");
    assert_eq!(said, format!("slot {today} of daily: success\n{told}\n"));
    wait("the deletes to be applied", || house.rows(&out) == 1);
    house.restart();
    assert_eq!(house.rows(&out), 1, "a replay does not bring them back");
    house.task("daily.flux", &named(&daily("    |> filter(fn: (r) => r.t != \"a\")\n")));
    house.says(&["task", "run", "daily"]);
    wait("the rows and deletes to be applied", || house.rows(&out) == 2);
    assert!(house.daemon.take().unwrap().stop().success());
    house.start();
    assert_eq!(house.rows(&out), 2, "in files as well");
}

#[test]
fn a_later_attempt_leaves_no_orphans_on_the_embedded_log() {
    a_later_attempt_leaves_no_orphans(None);
}

#[test]
fn a_later_attempt_leaves_no_orphans_on_kafka() {
    a_later_attempt_leaves_no_orphans(Some(&KafkaBroker::shared().address()));
}

/// Two installations on one Kafka cluster have the same names for everything but their groups.
#[test]
fn installations_on_one_cluster_leave_each_others_tasks_alone() {
    let kafka = KafkaBroker::shared().address();
    let unique = std::process::id();
    let installation = |letter: &str| {
        let out = format!("out-{unique}-{letter}");
        let config = format!(
            "[[bucket]]\nname = \"raw-{unique}\"\n[[bucket]]\nname = \"{out}\"\n[log.kafka]\ngroup = \"{letter}-{unique}\"\n"
        );
        let house = House::new(&config, Some(kafka.clone()));
        let flux = daily("").replace("\"raw\"", &format!("\"raw-{unique}\"")).replace("\"out\"", &format!("\"{out}\""));
        house.task("daily.flux", &flux);
        house.task(&format!("only-{letter}.flux"), &flux.replace("daily", &format!("only-{letter}")));
        house
    };
    let mut houses = [installation("a"), installation("b")];
    for house in &houses {
        wait("both first runs", || ["daily", "only"].iter().all(|task| listed_as_run(house, task)));
    }
    let before: Vec<String> = houses.iter().map(|house| house.says(&["task", "list"])).collect();
    for house in &mut houses {
        house.restart();
    }
    for (house, before) in houses.iter().zip(before) {
        assert_eq!(house.says(&["task", "list"]), before, "nothing ran again, nothing is gone, nothing was added");
        assert_eq!(house.lines_of("daily", "success"), 1);
    }
}

/// Whether a task whose name begins so has succeeded once.
fn listed_as_run(house: &House, name: &str) -> bool {
    let list = house.says(&["task", "list"]);
    let tasks = list.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with(name)));
    tasks.map(str::to_string).any(|task| house.lines_of(task.trim_end_matches(".flux"), "success") == 1)
}

const ROUTE: &str = r#"
[[route]]
filter = "press/{machine}"
topic = "press"
measurement = "press"
tags = { machine = "{machine}" }
fields = { bar = { type = "TYPE" } }
"#;

#[test]
fn dead_letters_are_replayed_with_the_time_of_their_first_arrival() {
    let mut house = House::new(&ROUTE.replace("TYPE", "int"), None);
    let mut device = Device::new("p1", house.daemon().mqtt);
    for payload in [r#"{"bar": 1.5}"#, r#"{"bar": 2.5}"#] {
        device.publish("press/p1", payload);
    }
    assert!(device.drain(Duration::from_secs(30)));
    let letters = |house: &House, count: &str| {
        house.says(&["dead-letter", "list"]).lines().any(|line| line.split_whitespace().take(2).eq(["press", count]))
    };
    wait("the dead letters", || letters(&house, "2"));
    assert_eq!(house.says(&["dead-letter", "replay", "press"]), "2 dead letters of press replayed\n");
    // The route has not changed: they come back as new letters. Those of before are not replayed again by themselves.
    wait("the same dead letters", || letters(&house, "4"));
    let mended_ns = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as i64;
    house.configure(&ROUTE.replace("TYPE", "float"));
    // In order, so that the sink does not read them again by itself.
    assert!(house.daemon.take().unwrap().stop().success());
    house.start();
    let (status, said) = house.refuses(&["dead-letter", "replay", "press", "--only", "0/99"]);
    assert_eq!((status, said.trim_end()), (1, "error: no dead letter of press stood at 0/99"));
    assert_eq!(house.says(&["dead-letter", "replay", "press", "--only", "0/0"]), "1 dead letters of press replayed\n");
    wait("the row", || house.rows("press") == 1);
    assert_eq!(house.says(&["dead-letter", "replay", "press"]), "2 dead letters of press replayed\n");
    wait("both rows", || house.rows("press") == 2);
    assert_eq!(house.says(&["dead-letter", "replay", "press"]), "0 dead letters of press replayed\n");
    assert_eq!(house.says(&["dead-letter", "replay", "press", "--all"]), "4 dead letters of press replayed\n");
    std::thread::sleep(Duration::from_millis(500));
    let rows = house.daemon().rows("from(bucket: \"press\") |> range(start: 0)");
    assert_eq!(rows.len(), 2, "the same arrival is the same point: {rows:?}");
    for row in rows {
        let time_ns = fluxmill::time::rfc3339::parse(row["_time"].as_str().unwrap()).unwrap();
        assert!(time_ns < mended_ns, "{row}");
    }
    let (status, _) = house.refuses(&["dead-letter", "replay", "nothing"]);
    assert_eq!(status, 1);
}

#[tokio::test]
async fn tokens_do_what_they_are_made_for() {
    let house = House::new(BUCKETS, None);
    assert_eq!(house.says(&["token", "list"]), "no tokens but the operator's\n");
    let reader = house.says(&["token", "create", "--description", "grafana", "--read-only"]).trim().to_string();
    let writer = house.says(&["token", "create", "--write-only"]).trim().to_string();
    let listed = house.says(&["token", "list"]);
    assert!(listed.contains("grafana") && !listed.contains(&reader), "{listed}");
    let url = house.daemon().url.clone();
    let http = reqwest::Client::new();
    let status = async |token: &str, path: &str, body: String| {
        let request = http.post(format!("{url}{path}")).header("Authorization", format!("Token {token}"));
        let answer = request.header("Content-Type", "application/json").body(body).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let write = "/api/v2/write?org=fluxmill&bucket=raw";
    let query = |script: &str| json!({ "query": script }).to_string();
    let read = "from(bucket: \"raw\") |> range(start: 0)";
    assert_eq!(status(&writer, write, "m v=1 1".to_string()).await.0, 204);
    assert_eq!(status(&reader, "/api/v2/query", query(read)).await.0, 200);
    let (code, body) = status(&reader, write, "m v=1 2".to_string()).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((code, body["code"].as_str()), (403, Some("forbidden")));
    assert_eq!(body["message"], "insufficient permissions for write");
    assert_eq!(status(&writer, "/api/v2/query", query(read)).await.0, 403);
    assert_eq!(status(&writer, "/api/v2/authorizations", "{}".to_string()).await.0, 403);
    let (code, body) = status(&reader, "/api/v2/query", query(&format!("{read} |> to(bucket: \"out\")"))).await;
    assert!(code == 403 || body.contains("insufficient permissions for write"), "{code}: {body}");
    assert_eq!(house.rows("out"), 0);

    let id = listed.lines().find(|line| line.contains("grafana")).unwrap().split_whitespace().next().unwrap();
    assert_eq!(house.says(&["token", "revoke", id]), format!("token {id} revoked\n"));
    assert_eq!(status(&reader, "/api/v2/query", query(read)).await.0, 401);
    assert_eq!(house.refuses(&["token", "revoke", id]).0, 1);
}

/// A run of a task can be read as a point of the bucket `_tasks`, with InfluxDB's names, as dead-man checks do.
#[test]
fn runs_stand_in_the_bucket_of_tasks() {
    let house = House::new(BUCKETS, None);
    house.task("daily.flux", &daily(""));
    wait("the first run", || house.lines_of("daily", "success") == 1);
    let script = "from(bucket: \"_tasks\") |> range(start: -1h) |> filter(fn: (r) => r._measurement == \"runs\" and r.status == \"success\")\
                  |> pivot(rowKey: [\"_time\"], columnKey: [\"_field\"], valueColumn: \"_value\")";
    wait("the point", || !house.daemon().rows(script).is_empty());
    let row = &house.daemon().rows(script)[0];
    assert_eq!((row["name"].as_str(), row["status"].as_str()), (Some("daily"), Some("success")));
    assert_eq!(row["scheduledFor"].as_str(), Some(midnight(0).1.as_str()));
    for name in ["runID", "taskID", "startedAt", "finishedAt", "requestedAt", "logs"] {
        assert!(row[name].as_str().is_some_and(|text| !text.is_empty()), "{name}: {row}");
    }
    assert_eq!(row["_time"].as_str(), row["startedAt"].as_str());
    let runs: Value = serde_json::from_str(row["logs"].as_str().unwrap()).unwrap();
    assert!(runs.as_array().unwrap().iter().any(|line| line["message"] == "Completed(success)"), "{runs}");
}
