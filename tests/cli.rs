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
