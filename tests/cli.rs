//! The command line as scripts rely on it: output, standard error, exit status.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::daemon::{Daemon, FLUXMILL, Start};

fn fluxmill(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(FLUXMILL)
        .args(arguments)
        .current_dir(folder)
        .env_remove("FLUXMILL_URL")
        .stdin(Stdio::null())
        .output()
        .expect("fluxmill runs")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn status(output: &Output) -> i32 {
    output.status.code().expect("it ended by itself")
}

#[test]
fn a_script_without_buckets_needs_no_data() {
    let folder = tempfile::tempdir().expect("a directory");
    let script =
        "import \"array\"\narray.from(rows: [{a: 1, b: \"x\"}, {a: 2, b: \"y\"}]) |> filter(fn: (r) => r.a > 1)";
    let output = fluxmill(folder.path(), &["query", script]);
    assert_eq!(status(&output), 0, "{}", err(&output));
    // In a pipe: annotated CSV, all annotations, as the Flux specification lays it out.
    let expected = "#datatype,string,long,long,string\r\n#group,false,false,false,false\r\n\
                    #default,_result,,,\r\n,result,table,a,b\r\n,,0,2,y\r\n\r\n";
    assert_eq!(out(&output), expected);
    let json = fluxmill(folder.path(), &["query", script, "--format", "json"]);
    let row: serde_json::Value = serde_json::from_str(&out(&json)).expect("one object");
    assert_eq!(row, serde_json::json!({"result": "_result", "table": 0, "a": 2, "b": "y"}));
    assert!(!folder.path().join("fluxmill-data").exists(), "no data directory is made");
}

#[test]
fn a_script_that_fails_without_buckets_says_why() {
    let folder = tempfile::tempdir().expect("a directory");
    let script = "import \"array\"\narray.from(rows: [{a: 1 / 0}])";
    let output = fluxmill(folder.path(), &["query", script]);
    assert!(err(&output).contains("cannot divide by zero") && err(&output).contains("2:23"), "{}", err(&output));
    // A stream that is read while the script is evaluated needs no bucket either.
    let script = "import \"array\"\nx = array.from(rows: [{v: 5}]) |> findRecord(fn: (key) => true, idx: 0)\n\
                  array.from(rows: [{w: x.v + 1}])";
    let output = fluxmill(folder.path(), &["query", script, "--format", "json"]);
    assert!(out(&output).contains("\"w\":6"), "{}{}", out(&output), err(&output));
    assert!(!folder.path().join("fluxmill-data").exists());
}

#[test]
fn now_can_be_set() {
    let folder = tempfile::tempdir().expect("a directory");
    let script = "import \"array\"\narray.from(rows: [{t: now()}])";
    let output = fluxmill(folder.path(), &["query", script, "--now", "2024-02-29T12:00:00.5Z", "--format", "json"]);
    assert!(out(&output).contains("2024-02-29T12:00:00.5Z"), "{}{}", out(&output), err(&output));
    let output = fluxmill(folder.path(), &["query", script, "--now", "yesterday"]);
    assert_eq!(status(&output), 2);
    assert!(err(&output).contains("--now"), "{}", err(&output));
}

#[test]
fn a_wrong_script_is_shown_with_a_caret_and_status_2() {
    let folder = tempfile::tempdir().expect("a directory");
    let output = fluxmill(folder.path(), &["query", "from(bucket: \"b\") |> rnage(start: -1h)"]);
    assert_eq!(status(&output), 2);
    assert!(err(&output).contains("rnage") && err(&output).contains("range"), "{}", err(&output));
    assert!(!err(&output).contains("panicked"), "{}", err(&output));
    assert_eq!(out(&output), "");
}

#[test]
fn a_missing_data_directory_is_named() {
    let folder = tempfile::tempdir().expect("a directory");
    let output = fluxmill(folder.path(), &["query", "from(bucket: \"b\") |> range(start: -1h)"]);
    assert_eq!(status(&output), 1);
    assert!(err(&output).contains("fluxmill-data"), "{}", err(&output));
    assert!(err(&output).contains("fluxmill serve"), "{}", err(&output));
}

#[test]
fn check_reports_every_file_and_every_problem() {
    let folder = tempfile::tempdir().expect("a directory");
    let good = "option task = {name: \"a\", every: 1m}\nfrom(bucket: \"b\") |> range(start: -task.every) |> to(bucket: \"c\")\n";
    std::fs::write(folder.path().join("good.flux"), good).expect("a file");
    let output = fluxmill(folder.path(), &["check", "."]);
    assert_eq!(status(&output), 0, "{}", err(&output));
    assert!(out(&output).contains("1 files checked: 0 errors"), "{}", out(&output));
    std::fs::write(folder.path().join("bad.flux"), "x = 1 +\ny = unknown_name\n").expect("a file");
    let output = fluxmill(folder.path(), &["check", "."]);
    assert_eq!(status(&output), 2);
    assert!(err(&output).contains("bad.flux"), "{}", err(&output));
    let json = fluxmill(folder.path(), &["check", "--json", "."]);
    let problems: serde_json::Value = serde_json::from_str(&out(&json)).expect("JSON");
    assert!(problems.as_array().is_some_and(|all| !all.is_empty()), "{problems}");
    assert!(problems[0]["file"].as_str().expect("a file").ends_with("bad.flux"));
    assert_eq!(fluxmill(folder.path(), &["check", "none.flux"]).status.code(), Some(1));
}

#[test]
fn check_knows_task_options_and_may_deny_warnings() {
    let folder = tempfile::tempdir().expect("a directory");
    let odd = "import \"date\"\noption task = {name: \"a\", every: 1h, delay: 5m}\n\
               from(bucket: \"b\") |> range(start: -30m) |> last() |> to(bucket: \"c\")\n";
    std::fs::create_dir(folder.path().join("deep")).expect("a directory");
    std::fs::write(folder.path().join("deep/odd.flux"), odd).expect("a file");
    let output = fluxmill(folder.path(), &["check", "--json", "."]);
    assert_eq!(status(&output), 0, "{}", err(&output));
    let problems: Vec<serde_json::Value> = serde_json::from_str(&out(&output)).expect("JSON");
    let codes: Vec<&str> = problems.iter().map(|problem| problem["code"].as_str().expect("a code")).collect();
    assert_eq!(codes, ["unused-import", "task-option", "short-range"]);
    for problem in &problems {
        let mut keys: Vec<&str> = problem.as_object().expect("an object").keys().map(String::as_str).collect();
        keys.sort_unstable();
        let all = ["code", "column", "end_column", "end_line", "file", "help", "line", "message", "severity"];
        assert_eq!(keys, all, "{problem}");
        assert_eq!(problem["severity"], "warning");
    }
    assert_eq!((problems[1]["line"].as_u64(), problems[1]["column"].as_u64()), (Some(2), Some(38)), "{}", problems[1]);
    let output = fluxmill(folder.path(), &["check", "--deny", "warnings", "."]);
    assert_eq!(status(&output), 2);
    assert!(out(&output).contains("0 errors, 3 warnings"), "{}", out(&output));
    // A file that says that it is a task has to be one; a query need not.
    std::fs::write(folder.path().join("deep/odd.flux"), "option task = {name: \"\", cron: \"x\"}\n").expect("a file");
    let output = fluxmill(folder.path(), &["check", "."]);
    assert_eq!(status(&output), 2);
    assert!(err(&output).contains("name required"), "{}", err(&output));
    std::fs::write(folder.path().join("deep/odd.flux"), "x = 1\n").expect("a file");
    assert_eq!(status(&fluxmill(folder.path(), &["check", "--deny", "warnings", "."])), 0);
}

#[test]
fn fmt_prints_checks_and_writes() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("a.flux");
    let (text, formatted) = ("x=a|>f( )|>g()  // why\n", "x = a\n    |> f()\n    |> g() // why\n");
    std::fs::write(&file, text).expect("a file");
    let output = fluxmill(folder.path(), &["fmt", "a.flux"]);
    assert_eq!((status(&output), out(&output).as_str()), (0, formatted));
    let output = fluxmill(folder.path(), &["fmt", "--check", "."]);
    assert_eq!((status(&output), out(&output).trim()), (1, "./a.flux"));
    assert_eq!(std::fs::read_to_string(&file).expect("a file"), text, "it only looked");
    std::fs::write(folder.path().join("wrong.flux"), "x = (1\n").expect("a file");
    let output = fluxmill(folder.path(), &["fmt", "-w", "."]);
    assert_eq!(status(&output), 2);
    assert!(err(&output).contains("wrong.flux:1") && err(&output).contains("left as it is"), "{}", err(&output));
    assert_eq!(std::fs::read_to_string(&file).expect("a file"), formatted);
    assert_eq!(std::fs::read_to_string(folder.path().join("wrong.flux")).expect("a file"), "x = (1\n");
    assert_eq!(status(&fluxmill(folder.path(), &["fmt", "--check", "a.flux"])), 0);
    assert_eq!(std::fs::read_dir(folder.path()).expect("a directory").count(), 2, "nothing is left beside them");
    let mut child = Command::new(FLUXMILL)
        .args(["fmt", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("fluxmill runs");
    std::io::Write::write_all(&mut child.stdin.take().expect("its input"), text.as_bytes()).expect("it reads");
    assert_eq!(out(&child.wait_with_output().expect("it ends")), formatted);
}

#[test]
fn the_tasks_of_the_repository_are_formatted_and_without_warnings() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = fluxmill(root, &["fmt", "--check", "tasks"]);
    assert_eq!(status(&output), 0, "run fluxmill fmt -w tasks: {}", out(&output));
    let output = fluxmill(root, &["check", "--deny", "warnings", "tasks"]);
    assert_eq!(status(&output), 0, "{}", err(&output));
}

#[test]
fn explain_shows_each_stage_without_data() {
    let folder = tempfile::tempdir().expect("a directory");
    let script = "import \"array\"\nx = 2\narray.from(rows: [{a: 1}, {a: 2}, {a: 3}]) |> filter(fn: (r) => r.a >= x)";
    let output = fluxmill(folder.path(), &["explain", script, "--stage", "all", "--analyze"]);
    assert_eq!(status(&output), 0, "{}", err(&output));
    let text = out(&output);
    for expected in ["tokens\n", "ast\n", "checked\n", "plan\n", "variable x (2:1)", "  x: int\n"] {
        assert!(text.contains(expected), "{expected:?} is missing:\n{text}");
    }
    // Two of three rows pass the filter.
    assert!(text.contains("in 3 rows in 1 chunks; out 2 rows in 1 chunks, 1 tables"), "{text}");
    assert!(text.contains("2 rows returned"), "{text}");
    let output = fluxmill(folder.path(), &["explain", script, "--format", "json", "--analyze"]);
    let json: serde_json::Value = serde_json::from_str(&out(&output)).expect("JSON");
    let steps = json["plan"]["steps"].as_array().expect("steps");
    assert!(steps[1]["operation"].as_str().is_some_and(|text| text.starts_with("filter(")), "{json}");
    assert_eq!((&steps[1]["figures"]["rows_in"], &steps[1]["figures"]["rows_out"]), (&3.into(), &2.into()));
    assert_eq!(json["plan"]["totals"]["rows_returned"], 2);
    assert!(json.get("ast").is_none());
    // What can be shown of a wrong script is shown, with what is wrong.
    let output = fluxmill(folder.path(), &["explain", "x = (", "--stage", "tokens"]);
    assert_eq!(status(&output), 2);
    assert!(out(&output).contains("`=`") && err(&output).contains("1:6"), "{}{}", out(&output), err(&output));
    assert!(!folder.path().join("fluxmill-data").exists(), "no data directory is made");
}

#[test]
fn route_try_shows_points_or_the_reason() {
    let folder = tempfile::tempdir().expect("a directory");
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/plant.toml");
    let config = config.to_str().expect("UTF-8");
    let payload = r#"{"bar": 171.5, "state": {"temp": 61}, "ts": 1700000000000}"#;
    let output = fluxmill(folder.path(), &["route", "try", "plant/h2/press/p1", payload, "--config", config]);
    assert_eq!(status(&output), 0, "{}", err(&output));
    assert!(
        out(&output).contains("press,hall=h2,machine=p1 bar=171.5,state_temp=61.0 1700000000000000000"),
        "{}",
        out(&output)
    );
    let output = fluxmill(folder.path(), &["route", "try", "plant/h2/press/p1", "{\"bar\": ", "--config", config]);
    assert_eq!(status(&output), 1, "{}", out(&output));
    let output = fluxmill(folder.path(), &["route", "try", "other/topic", "{}", "--config", config]);
    assert_eq!(status(&output), 1);
    assert!(err(&output).contains("no route"), "{}", err(&output));
}

#[test]
fn a_bad_configuration_ends_with_status_2_and_a_suggestion() {
    let folder = tempfile::tempdir().expect("a directory");
    std::fs::write(folder.path().join("f.toml"), "[mqtt]\nlisten = \"off\"\n[sink]\nflush_row = 1\n").expect("a file");
    let output = fluxmill(folder.path(), &["serve", "--config", "f.toml"]);
    assert_eq!(status(&output), 2);
    assert!(err(&output).contains("did you mean flush_rows?"), "{}", err(&output));
}

#[test]
fn a_taken_port_is_an_error_that_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a directory");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let output = fluxmill(folder.path(), &["serve", "--http", &address, "--mqtt", "off"]);
    assert_eq!(status(&output), 1);
    assert!(err(&output).contains(&address) && err(&output).contains("in use"), "{}", err(&output));
    assert!(err(&output).contains("--http"), "{}", err(&output));
    let output = fluxmill(folder.path(), &["serve", "--http", "127.0.0.1:0", "--mqtt", &address]);
    assert_eq!(status(&output), 1);
    assert!(err(&output).contains("--mqtt"), "{}", err(&output));
}

#[test]
fn a_listener_off_loopback_without_users_is_refused() {
    let folder = tempfile::tempdir().expect("a directory");
    let output = fluxmill(folder.path(), &["serve", "--http", "127.0.0.1:0", "--mqtt", "0.0.0.0:0"]);
    assert_eq!(status(&output), 2, "{}", err(&output));
    assert!(err(&output).contains("--insecure"), "{}", err(&output));
    let output = fluxmill(folder.path(), &["serve", "--http", "0.0.0.0:0", "--mqtt", "off", "--no-auth"]);
    assert_eq!(status(&output), 2, "{}", err(&output));
}

#[test]
fn commands_work_beside_the_daemon_and_alone() {
    let home = tempfile::tempdir().expect("a directory");
    let (data, tasks) = (home.path().join("data"), home.path().join("tasks"));
    std::fs::create_dir(&tasks).expect("a directory");
    let start = Start { data_dir: &data, tasks_dir: &tasks, config: None, kafka: None };
    let daemon = Daemon::start(&start);
    daemon.output(&["bucket", "create", "plant", "--retention", "30000d"]);
    assert!(daemon.output(&["bucket", "list"]).contains("plant"));
    let lines = home.path().join("lines");
    std::fs::write(&lines, "m,t=a v=1 1000000000\nm,t=a v=2 2000000000\n").expect("a file");
    daemon.output(&["write", "-b", "plant", lines.to_str().expect("UTF-8")]);
    let script = "from(bucket: \"plant\") |> range(start: 0) |> last()";
    assert_eq!(daemon.rows(script)[0]["_value"], 2.0);
    // The plan of a read is made where the data is; nothing that it stages is written.
    let staged = format!("{script} |> to(bucket: \"plant\")");
    let plan = daemon.output(&["explain", &staged, "--analyze"]);
    assert!(plan.contains("#0 scan bucket") && plan.contains("last(column: "), "{plan}");
    assert!(plan.contains("1 rows returned, 1 points that are not written"), "{plan}");
    let second = daemon.run(&["serve", "--http", "127.0.0.1:0", "--mqtt", "off"]);
    assert_eq!(second.status.code(), Some(1));
    assert!(err(&second).contains("in use by another fluxmill"), "{}", err(&second));
    assert!(daemon.stop().success());
    // Nobody runs now: the command opens the directory for itself.
    let data = data.to_str().expect("UTF-8");
    let output = fluxmill(home.path(), &["query", script, "--format", "json", "--data-dir", data]);
    assert_eq!(status(&output), 0, "{}", err(&output));
    assert!(out(&output).contains("\"_value\":2.0"), "{}", out(&output));
    let output = fluxmill(home.path(), &["topic", "list", "--data-dir", data]);
    assert!(out(&output).contains("plant"), "{}", out(&output));
}

#[test]
fn usage_errors_end_with_status_2() {
    let folder = tempfile::tempdir().expect("a directory");
    for arguments in [&["nothing"][..], &["query"], &["task"], &["simulate", "--qos", "3"]] {
        assert_eq!(status(&fluxmill(folder.path(), arguments)), 2, "{arguments:?}");
    }
}

/// A field whose first write was an integer becomes a float, with the value that was a dead letter; files become one.
#[test]
fn a_bucket_is_compacted_retyped_and_rebuilt() {
    let home = tempfile::tempdir().expect("a directory");
    let (data_dir, tasks_dir) = (home.path().join("data"), home.path().join("tasks"));
    std::fs::create_dir(&tasks_dir).expect("a directory");
    let start = Start { data_dir: &data_dir, tasks_dir: &tasks_dir, config: None, kafka: None };
    let daemon = Daemon::start(&start);
    daemon.output(&["bucket", "create", "plant"]);
    let file = home.path().join("lines");
    let write = |lines: &str| {
        std::fs::write(&file, lines).expect("a file");
        daemon.run(&["write", "-b", "plant", file.to_str().expect("a path")]).status.success()
    };
    let values = || -> Vec<String> {
        let rows = daemon.rows("from(bucket: \"plant\") |> range(start: 0)");
        rows.iter().map(|row| row["_value"].to_string()).collect()
    };
    assert!(write("m v=1i 1\n"));
    assert!(daemon.output(&["bucket", "compact", "plant"]).contains("1 files became 1"));
    assert!(!write("m v=2.5 2\n"), "of another type");
    assert!(write("m v=3i 3\n"));
    assert!(daemon.output(&["bucket", "compact", "plant"]).contains("2 files became 1, 2 rows"));
    assert!(daemon.output(&["bucket", "compact", "plant"]).contains("compact already"));
    let stats = daemon.output(&["bucket", "stats", "plant"]);
    assert!(stats.contains("BYTES PER POINT"), "{stats}");
    assert_eq!(values(), ["1", "3"]);

    let wait_for = |expected: &[&str]| {
        let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while values() != expected {
            assert!(std::time::Instant::now() < until, "expected {expected:?}, found {:?}", values());
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    };
    let unknown = daemon.run(&["bucket", "retype", "plant", "m", "w", "float"]);
    assert_eq!(status(&unknown), 1);
    assert!(err(&unknown).contains("has no field \"w\""), "{}", err(&unknown));
    daemon.output(&["bucket", "retype", "plant", "m", "v", "float"]);
    wait_for(&["1.0", "2.5", "3.0"]);
    daemon.output(&["bucket", "rebuild", "plant"]);
    wait_for(&["1.0", "2.5", "3.0"]);
    assert!(daemon.stop().success());
    let daemon = Daemon::start(&start);
    assert_eq!(daemon.rows("from(bucket: \"plant\") |> range(start: 0)").len(), 3);
    assert!(daemon.stop().success());
}

const CALC_TEST: &str = r#"package calc_test

import "array"
import "testing"

base = 1

testcase adds {
    testing.assertEqualValues(got: base + 1, want: 2)
}

testcase differs {
    got = array.from(rows: [{v: base}])

    testing.diff(got: got, want: array.from(rows: [{v: 2}]))
}

testcase slow {
    option testing.tags = ["slow"]

    testing.assertEqualValues(got: base, want: base)
}
"#;

#[test]
fn test_cases_run_and_what_differs_is_shown() {
    let folder = tempfile::tempdir().expect("a directory");
    std::fs::write(folder.path().join("calc_test.flux"), CALC_TEST).expect("a file");
    let output = fluxmill(folder.path(), &["test", "."]);
    assert_eq!(status(&output), 1, "{}", err(&output));
    let text = out(&output);
    assert!(text.contains("FAIL  ./calc_test.flux: differs\n"), "{text}");
    assert!(text.contains("_diff") && text.contains('+') && text.contains('2'), "{text}");
    assert!(text.ends_with("1 skipped\n1 passed, 1 failed\n"), "{text}");

    let output = fluxmill(folder.path(), &["test", "--tags", "slow", "--skip", "differs", "-v", "calc_test.flux"]);
    assert_eq!(status(&output), 0, "{}{}", out(&output), err(&output));
    let expected = "ok    calc_test.flux: adds\nok    calc_test.flux: slow\n1 skipped\n2 passed, 0 failed\n";
    assert_eq!(out(&output), expected);

    let output = fluxmill(folder.path(), &["test", "--test", "adds", "calc_test.flux"]);
    assert!(out(&output).ends_with("2 skipped\n1 passed, 0 failed\n"), "{}", out(&output));
    let output = fluxmill(folder.path(), &["test", "--tags", "slow", "--skip-untagged", "calc_test.flux"]);
    assert!(out(&output).ends_with("2 skipped\n1 passed, 0 failed\n"), "{}", out(&output));
    assert_eq!(status(&fluxmill(folder.path(), &["test", "nowhere"])), 1);
}

#[test]
fn a_test_case_extends_another_and_errors_have_their_places() {
    let folder = tempfile::tempdir().expect("a directory");
    std::fs::write(folder.path().join("fluxtest.root"), "calc").expect("a file");
    std::fs::create_dir(folder.path().join("more")).expect("a directory");
    std::fs::write(folder.path().join("calc_test.flux"), CALC_TEST).expect("a file");
    let more = "package more_test\n\nimport \"testing\"\n\ntestcase again extends \"calc/calc_test.adds\" {\n    super()\n}\n\n\
                testcase nothing extends \"calc/calc_test.none\" {\n    super()\n}\n\n\
                testcase fails {\n    testing.assertEqualValues(got: 1 / 0, want: 1)\n}\n";
    std::fs::write(folder.path().join("more/more_test.flux"), more).expect("a file");
    let output = fluxmill(folder.path(), &["test", "more"]);
    let text = out(&output);
    assert!(text.contains("FAIL  more/more_test.flux: nothing\n      cannot extend \"calc/calc_test.none\""), "{text}");
    assert!(text.contains("more_test.flux:14:36") && text.contains("cannot divide by zero"), "{text}");
    assert!(text.ends_with("1 passed, 2 failed\n"), "{text}");
    std::fs::write(folder.path().join("more/broken_test.flux"), "testcase x {\n    y = \n}\n").expect("a file");
    let output = fluxmill(folder.path(), &["test", "more/broken_test.flux"]);
    assert!(err(&output).contains("broken_test.flux"), "{}", err(&output));
    assert!(out(&output).ends_with("0 passed, 1 failed\n"), "{}", out(&output));
}
