//! The REPL as a person meets it in a terminal, and as a script meets it in a pipe.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::daemon::{Daemon, FLUXMILL, Start};
use crate::support::pty::Terminal;

const PROMPT: &str = "flux> ";
const MORE: &str = "   | ";
const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";
const UP: &str = "\x1b[A";
const ENTER: &str = "\r";
const TAB: &str = "\t";

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(FLUXMILL);
    command.arg("repl").args(arguments).current_dir(folder).env_remove("FLUXMILL_URL").env_remove("FLUXMILL_TOKEN");
    command.env("FLUXMILL_HISTORY", folder.join("state/history"));
    command
}

/// A session from a pipe.
fn piped(folder: &Path, arguments: &[&str], input: &str) -> Output {
    let mut command = command(folder, arguments);
    command.env_remove("COLUMNS").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("fluxmill runs");
    child.stdin.take().expect("its input").write_all(input.as_bytes()).expect("it reads");
    child.wait_with_output().expect("it ends")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_session_from_a_pipe_keeps_what_it_has_defined() {
    let folder = tempfile::tempdir().expect("a directory");
    let input = "import \"array\"\nx = 20\ny = x + 1\nf = (n, by=2) => n * by\nf(n: y)\nx = x + 0.0\n\n\
        x = \"again\"\n[x, \"${y}\"]\ny\n{a: 1, b: [1.5], c: 1h}\nf\n\
        array.from(rows: [{a: 1, b: \"x\"}, {a: 2, b: \"y\"}])\n    |> filter(fn: (r) => r.a > 1)\n\
        |> map(fn: (r) => ({r with a: r.a + y}))\n";
    let output = piped(folder.path(), &[], input);
    let expected = [
        "42 : int",
        "[\"again\", \"21\"] : [string]",
        "21 : int",
        "{a: 1, b: [1.5], c: 1h} : {a: int, b: [float], c: duration}",
        "(n, by=2) => n * by : function (n, ?by)",
        "     a   b",
        "   int   string",
        "───── ────────",
        "    23   y",
    ];
    for line in expected {
        assert!(
            out(&output).lines().any(|own| own.trim() == line.trim()),
            "{line:?} in\n{}\n{}",
            out(&output),
            err(&output)
        );
    }
    // `x + 0.0` adds an integer and a float.
    assert!(err(&output).contains("int") && err(&output).contains("float"), "{}", err(&output));
    assert!(!out(&output).contains("flux>"), "no prompt in a pipe: {}", out(&output));
    assert_eq!(output.status.code(), Some(2), "an input failed");
}

#[test]
fn problems_are_shown_where_they_were_written() {
    let folder = tempfile::tempdir().expect("a directory");
    let input =
        "a = 1\nbroken = (r) => r.x / 0\nb = [\n  a,\n  unknown_name,\n]\nbroken(r: {x: 1})\n1 + \n\n:expain\n2 + 2\n";
    let output = piped(folder.path(), &[], input);
    let said = err(&output);
    assert!(said.contains("<repl>:3:3") && said.contains("undefined identifier unknown_name"), "{said}");
    assert!(said.contains("<repl: broken>:1:"), "the error lies in the definition: {said}");
    assert!(said.contains("<repl>:1:4"), "an empty line ends what is unfinished: {said}");
    assert!(said.contains("unknown command :expain") && said.contains("did you mean :explain?"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    assert_eq!(out(&output).trim(), "4 : int");
}

#[test]
fn whatever_is_typed_makes_nothing_panic() {
    let folder = tempfile::tempdir().expect("a directory");
    let mut input = String::new();
    for line in [
        ":",
        "::",
        ":help",
        ":help plot",
        ":doc",
        ":doc range",
        ":doc nonsense",
        ":set",
        ":set x",
        ":set limit -1",
        ":plot",
        ":plot 1",
        ":explain",
        ":explain (",
        ":as-task",
        ":as-task x",
        ":buckets",
        ":buckets b",
        ":names",
        ":history",
        "|> f()",
        ")",
        "import \"nonsense\"",
        "import \"array\" array",
        "option now = 5",
        "option now = () => 1",
        "option task = 1",
        "x",
        "\"",
        "",
        "\u{0}\u{1b}[2J",
        "é = 1",
        "é",
        "x = x",
        "{x with a: 1}",
        "(",
        "",
        "[1,2][7]",
        "[:]",
        "testcase a { }",
        ":reset",
        "builtin x : int",
        "return 1",
        "package main",
        "// only a remark",
        "@edition(\"1\")",
        ":set now 2024-01-01T00:00:00Z",
        "now()",
        ":set format json",
        "import \"array\"",
        "array.from(rows: [{_time: now(), _value: 1}])",
        ":plot",
        ":explain",
        ":set format csv",
        "array.from(rows: [{a: 1}])",
        "array.from(rows: [{a: 1}]) |> tableFind(fn: (key) => true)",
        ":quit",
        "\"never read\"",
    ] {
        input.push_str(line);
        input.push('\n');
    }
    let output = piped(folder.path(), &[], &input);
    assert!(!err(&output).contains("panicked") && !err(&output).contains("panic:"), "{}", err(&output));
    assert!(out(&output).contains("2024-01-01T00:00:00Z : time"), "{}\n{}", out(&output), err(&output));
    assert!(out(&output).contains("\"result\":\"_result\""), "{}", out(&output));
    assert!(out(&output).contains("#datatype"), "{}", out(&output));
    assert!(!out(&output).contains("never read"));
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn long_results_are_cut_and_say_so() {
    let folder = tempfile::tempdir().expect("a directory");
    let rows: Vec<String> = (0..300).map(|number| format!("{{n: {number}}}")).collect();
    let query = format!("import \"array\"\narray.from(rows: [{}])\n", rows.join(", "));
    let output = piped(folder.path(), &[], &query);
    assert!(out(&output).contains("… 200 more rows"), "{}{}", out(&output), err(&output));
    assert!(err(&output).contains(":set limit"), "{}", err(&output));
    let output = piped(folder.path(), &[], &format!(":set limit off\n{query}"));
    assert!(out(&output).contains("299") && !out(&output).contains("more rows"), "{}", err(&output));
}

#[test]
fn a_person_types_completes_and_comes_back() {
    let folder = tempfile::tempdir().expect("a directory");
    let mut terminal = Terminal::start(command(folder.path(), &[]));
    terminal.wait_for("no data directory");
    terminal.wait_for_prompt(PROMPT);
    terminal.keys("1 + 41\r");
    terminal.wait_for("42 : int");
    terminal.wait_for_prompt(PROMPT);
    // Completion of an import path, of a parameter and of a member.
    terminal.keys("import \"influxdata/influxdb/tas");
    terminal.keys(TAB);
    terminal.wait_for("import \"influxdata/influxdb/tasks\"");
    terminal.keys(ENTER);
    terminal.wait_for_prompt(PROMPT);
    terminal.enter("import \"array\"");
    terminal.wait_for_prompt(PROMPT);
    terminal.keys("array.from(ro");
    terminal.keys(TAB);
    terminal.wait_for("array.from(rows: ");
    terminal.keys("[{n: 7}])\r");
    terminal.wait_for("int");
    terminal.wait_for_prompt(PROMPT);
    // An unfinished line goes on.
    terminal.keys("numbers = [1,\r");
    terminal.wait_for_prompt(MORE);
    terminal.enter("2]");
    terminal.wait_for_prompt(PROMPT);
    terminal.keys("numbers\r");
    terminal.wait_for("[1, 2] : [int]");
    terminal.wait_for_prompt(PROMPT);
    // Nothing of it runs after Ctrl-C; an empty line ends what cannot be whole.
    terminal.keys("garbage in a line");
    terminal.wait_for("garbage in a line");
    terminal.keys(CTRL_C);
    terminal.wait_for_prompt(PROMPT);
    terminal.keys("1 +\r\r");
    terminal.wait_for("this is not finished");
    terminal.wait_for_prompt(PROMPT);
    terminal.keys("2 * numbrs\r");
    let screen = terminal.wait_for("did you mean numbers?");
    assert!(screen.contains("undefined identifier numbrs") && screen.contains("<repl>:1:5"), "{screen}");
    terminal.wait_for_prompt(PROMPT);
    terminal.keys(":quit\r");
    assert!(terminal.end().success());
    // Another session remembers.
    let mut terminal = Terminal::start(command(folder.path(), &[]));
    terminal.wait_for_prompt(PROMPT);
    terminal.keys(&format!("{UP}{UP}"));
    terminal.wait_for("2 * numbrs");
    terminal.keys(CTRL_C);
    terminal.wait_for_prompt(PROMPT);
    terminal.keys(CTRL_D);
    assert!(terminal.end().success());
}

/// A daemon with an hour of two machines' pressure, one point a minute.
fn plant(home: &Path) -> Daemon {
    let (data, tasks) = (home.join("data"), home.join("tasks"));
    std::fs::create_dir(&tasks).expect("a directory");
    let daemon = Daemon::start(&Start { data_dir: &data, tasks_dir: &tasks, config: None, kafka: None });
    daemon.output(&["bucket", "create", "plant"]);
    let now_s = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    let mut lines = String::new();
    for minute in 0..60 {
        for (machine, base) in [("p1", 100), ("p2", 200)] {
            let (bar, time_s) = (base + minute, now_s - 60 * (60 - minute));
            lines.push_str(&format!("press,hall=h1,machine={machine} bar={bar}.5,temp=60i {time_s}000000000\n"));
        }
    }
    let file = home.join("lines");
    std::fs::write(&file, lines).expect("a file");
    daemon.output(&["write", "-b", "plant", file.to_str().expect("UTF-8")]);
    daemon
}

#[test]
fn a_session_beside_a_daemon_knows_its_data_plots_and_makes_tasks() {
    let home = tempfile::tempdir().expect("a directory");
    let daemon = plant(home.path());
    let data = home.path().join("data").display().to_string();
    let mut terminal = Terminal::start(command(home.path(), &["--data-dir", &data]));
    terminal.wait_for_prompt(PROMPT);
    // Names of the data by Tab, over several lines.
    terminal.keys("from(bucket: \"pla");
    terminal.keys(TAB);
    terminal.wait_for("from(bucket: \"plant\"");
    terminal.enter(")");
    terminal.wait_for_prompt(MORE);
    terminal.keys("|> range(start: -2h)\r");
    terminal.wait_for("not all of 240 rows in 4 tables");
    terminal.wait_for_prompt(PROMPT);
    terminal.keys("|> filter(fn: (r) => r.mach");
    terminal.keys(TAB);
    terminal.wait_for("r.machine");
    terminal.keys(" == \"p1\" and r._field == \"b");
    terminal.keys(TAB);
    terminal.wait_for("r._field == \"bar\"");
    terminal.keys(")\r");
    terminal.wait_for("60 rows in 1 table");
    terminal.wait_for_prompt(PROMPT);
    terminal.keys(":plot\r");
    let is_dot = |letter: char| ('\u{2801}'..='\u{28ff}').contains(&letter);
    terminal.wait("a plot", |screen| screen.contents().chars().any(is_dot));
    let screen = terminal.wait_for_prompt(PROMPT);
    assert!(screen.contains("bar") && screen.contains("100.5") && screen.contains("159.5"), "{screen}");
    terminal.keys("|> last() |> to(bucket: \"plant\")\r");
    terminal.wait_for("1 points written");
    terminal.wait_for_prompt(PROMPT);
    terminal.keys(":as-task \"newest pressure\" 5m\r");
    let screen = terminal.wait_for("written to");
    assert!(screen.contains("option task = {name: \"newest pressure\", every: 5m}"), "{screen}");
    terminal.wait_for_prompt(PROMPT);
    let file = home.path().join("tasks/newest_pressure.flux");
    let text = std::fs::read_to_string(&file).expect("the task file");
    assert!(
        text.contains("|> filter(fn: (r) => r.machine == \"p1\"") && text.ends_with("|> to(bucket: \"plant\")\n"),
        "{text}"
    );
    let checked = Command::new(FLUXMILL).arg("check").arg(&file).output().expect("fluxmill runs");
    assert!(checked.status.success(), "{}", err(&checked));
    // The daemon takes it up.
    let until = Instant::now() + Duration::from_secs(30);
    while !daemon.output(&["task", "list"]).contains("newest pressure") {
        assert!(Instant::now() < until, "the task was not loaded");
    }
    terminal.keys(CTRL_D);
    assert!(terminal.end().success());
}

#[test]
fn a_session_opens_a_data_directory_by_itself() {
    let home = tempfile::tempdir().expect("a directory");
    let daemon = plant(home.path());
    assert!(daemon.stop().success());
    let data = home.path().join("data").display().to_string();
    let query = "pressure = from(bucket: \"plant\") |> range(start: -2h) |> filter(fn: (r) => r._field == \"bar\")\n\
        pressure |> last()\n:buckets plant\n";
    let output = piped(home.path(), &["--data-dir", &data], query);
    assert!(output.status.success(), "{}", err(&output));
    assert!(out(&output).contains("159.5") && out(&output).contains("259.5"), "{}", out(&output));
    assert!(out(&output).contains("fields bar:float, temp:int"), "{}", out(&output));
}

/// How many scripts run at a daemon, by its own count.
fn running(daemon: &Daemon) -> f64 {
    let metrics = daemon.get("/metrics");
    let line = metrics.lines().find_map(|line| line.strip_prefix("fluxmill_scripts_running "));
    line.and_then(|count| count.parse().ok()).unwrap_or(0.0)
}

fn wait_until_running(daemon: &Daemon, wanted: bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while (running(daemon) > 0.0) != wanted {
        assert!(Instant::now() < until, "scripts running: {}, expected {wanted}", running(daemon));
        std::thread::yield_now();
    }
}

#[test]
fn ctrl_c_ends_a_query_at_the_daemon_too() {
    let home = tempfile::tempdir().expect("a directory");
    let daemon = plant(home.path());
    let data = home.path().join("data").display().to_string();
    let mut terminal = Terminal::start(command(home.path(), &["--data-dir", &data]));
    terminal.wait_for_prompt(PROMPT);
    terminal.enter("before = 1");
    terminal.wait_for_prompt(PROMPT);
    terminal.enter("import \"array\"");
    terminal.wait_for_prompt(PROMPT);
    // Every function calls the one before it twice: a row takes hours.
    terminal.enter("f0 = (x) => x + 1");
    terminal.wait_for_prompt(PROMPT);
    for level in 1..40 {
        terminal.enter(&format!("f{level} = (x) => f{0}(x: x) + f{0}(x: x)", level - 1));
        terminal.wait_for_prompt(PROMPT);
    }
    for query in ["f39(x: 1)", "array.from(rows: [{v: 1}]) |> map(fn: (r) => ({v: f22(x: r.v) + f22(x: r.v)}))"] {
        terminal.enter(query);
        wait_until_running(&daemon, true);
        terminal.keys(CTRL_C);
        terminal.wait_for("interrupted");
        terminal.wait_for_prompt(PROMPT);
        wait_until_running(&daemon, false);
        terminal.keys("before + 1\r");
        terminal.wait_for("2 : int");
        terminal.wait_for_prompt(PROMPT);
        terminal.keys("\x0c");
        terminal.wait("a clear screen", |screen| !screen.contents().contains("interrupted"));
        terminal.wait_for_prompt(PROMPT);
    }
    terminal.keys(CTRL_D);
    assert!(terminal.end().success());
}
