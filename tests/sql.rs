//! SQL as somebody meets it who would rather write that: transcripts of `fluxmill sql` beside a running daemon and over a
//! directory alone, over HTTP, in the REPL; what is refused, and how it is said. What is expected follows from the points
//! that a test has written.

mod same_rows;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fluxmill::catalogue::Catalogue;
use fluxmill::clock::ManualClock;
use fluxmill::diagnostic::Source;
use fluxmill::engine::sql::Sql;
use fluxmill::error::ErrorKind;
use fluxmill::store::{Store, StoreOptions};

use crate::support::daemon::{Daemon, FLUXMILL, Start};

/// 2026-03-01T10:00:00Z.
const TEN: i64 = 1_772_359_200;

/// A daemon with a bucket `my-plant` of presses: versions, an absent tag, fields that come later, a field named as a tag.
fn plant(home: &Path) -> Daemon {
    let (data, tasks) = (home.join("data"), home.join("tasks"));
    std::fs::create_dir(&tasks).unwrap();
    let daemon = Daemon::start(&Start { data_dir: &data, tasks_dir: &tasks, config: None, kafka: None });
    daemon.output(&["bucket", "create", "my-plant"]);
    write(
        home,
        &daemon,
        &[
            format!("Press,Hall=h2,machine=p1 bar=171.5,n=5i {TEN}000000000"),
            format!("Press,Hall=h2,machine=p1 bar=172 {}000000001", TEN + 1),
            format!("Press,machine=p2 bar=96.25,state=\"it is, \\\"ok\\\"\" {TEN}000000000"),
            format!("gauge\\ 1,a=b up=true,machine=7u {TEN}000000000"),
        ],
    );
    daemon
}

fn write(home: &Path, daemon: &Daemon, lines: &[String]) {
    let file = home.join("lines");
    std::fs::write(&file, lines.join("\n")).unwrap();
    daemon.output(&["write", "-b", "my-plant", file.to_str().unwrap()]);
}

/// A command that must fail: its status and what it says.
fn fails(daemon: &Daemon, arguments: &[&str]) -> (i32, String) {
    let output = daemon.run(arguments);
    assert!(output.stdout.is_empty(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
}

const ALL: &str = "SELECT * FROM \"my-plant\".\"Press\" ORDER BY machine, time";

#[test]
fn rows_come_from_memory_and_files_the_newest_version_of_each_field() {
    let home = tempfile::tempdir().unwrap();
    let daemon = plant(home.path());
    let before = "time,Hall,machine,bar,n,state\n\
        2026-03-01T10:00:00Z,h2,p1,171.5,5,\n\
        2026-03-01T10:00:01.000000001Z,h2,p1,172,,\n\
        2026-03-01T10:00:00Z,,p2,96.25,,\"it is, \"\"ok\"\"\"\n";
    assert_eq!(daemon.output(&["sql", ALL]), before, "all of it is in memory");
    daemon.output(&["bucket", "compact", "my-plant"]);
    assert_eq!(daemon.output(&["sql", ALL]), before, "all of it is in files");
    // A new version of one field, a field that is new, and a row that is deleted.
    write(
        home.path(),
        &daemon,
        &[
            format!("Press,Hall=h2,machine=p1 bar=180,rpm=33i {TEN}000000000"),
            format!("Press,machine=p3 state=\"\" {TEN}000000000"),
        ],
    );
    let (from, to) = ("2026-03-01T10:00:00Z", "2026-03-01T10:00:01Z");
    let what = "_measurement=Press and machine=p2";
    daemon.output(&["bucket", "delete-rows", "my-plant", "--start", from, "--stop", to, "--predicate", what]);
    let after = "time,Hall,machine,bar,n,state,rpm\n\
        2026-03-01T10:00:00Z,h2,p1,180,5,,33\n\
        2026-03-01T10:00:01.000000001Z,h2,p1,172,,,\n\
        2026-03-01T10:00:00Z,,p3,,,\"\",\n";
    assert_eq!(daemon.output(&["sql", ALL]), after, "files and memory are one table; null is not the empty string");
    // The file of a statement, JSON in the order of the columns, a table.
    let file = home.path().join("statement.sql");
    std::fs::write(
        &file,
        "SELECT machine, count(*) AS rows, sum(n) AS n, max(bar) AS bar\nFROM \"my-plant\".\"Press\"\n\
        WHERE time < '2026-03-01T10:00:01Z'\nGROUP BY machine ORDER BY machine;\n",
    )
    .unwrap();
    let json = daemon.output(&["sql", "-f", file.to_str().unwrap(), "--format", "json"]);
    assert_eq!(
        json,
        "{\"machine\":\"p1\",\"rows\":1,\"n\":5,\"bar\":180.0}\n{\"machine\":\"p3\",\"rows\":1,\"n\":null,\"bar\":null}\n"
    );
    let table = daemon.output(&["sql", "-f", file.to_str().unwrap(), "--format", "table"]);
    assert!(table.starts_with(" machine:string   rows:int   n:int   bar:float\n----"), "{table}");
    assert!(table.lines().any(|line| line.split_whitespace().eq(["p1", "1", "5", "180"])), "{table}");
    // A field that is named as a tag, another measurement with a name in quotes, and a join over both.
    let joined = "SELECT g.up, p.bar FROM \"my-plant\".\"gauge 1\" g JOIN \"my-plant\".\"Press\" p ON g.time = p.time \
        WHERE p.machine = 'p1'";
    assert_eq!(daemon.output(&["sql", joined]), "up,bar\ntrue,180\n");
    // The daemon ends; the same over the directory alone, by text on standard input.
    assert!(daemon.stop().success());
    let mut alone = Command::new(FLUXMILL)
        .args(["sql", "-", "--data-dir"])
        .arg(home.path().join("data"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    alone.stdin.take().unwrap().write_all(ALL.as_bytes()).unwrap();
    let output = alone.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), after);
}

#[test]
fn times_compare_with_text_intervals_and_now() {
    let home = tempfile::tempdir().unwrap();
    let daemon = plant(home.path());
    let count = |condition: &str| {
        let text = format!("SELECT count(*) AS n FROM \"my-plant\".\"Press\" WHERE {condition}");
        daemon.output(&["sql", &text, "--now", "2026-03-01T11:00:00Z"])
    };
    assert_eq!(count("time >= '2026-03-01T10:00:01Z'"), "n\n1\n");
    assert_eq!(count("time > '2026-03-01T10:00:01.000000001Z'"), "n\n0\n");
    assert_eq!(count("time BETWEEN '2026-03-01' AND '2026-03-01T11:00:00+01:00'"), "n\n2\n");
    assert_eq!(count("time >= now() - INTERVAL '1 hour'"), "n\n3\n");
    assert_eq!(count("time > now() - INTERVAL '59 minutes 59 seconds'"), "n\n1\n");
    assert_eq!(count("extract(second FROM time) = 1"), "n\n1\n");
    let binned = "SELECT date_bin(INTERVAL '1 second', time) AS second, avg(bar) AS bar FROM \"my-plant\".\"Press\" \
        GROUP BY second ORDER BY second";
    // (171.5 + 96.25) / 2
    assert_eq!(daemon.output(&["sql", binned]), "second,bar\n2026-03-01T10:00:00Z,133.875\n2026-03-01T10:00:01Z,172\n");
    // What tables of ours have no type for is text; not-a-number is a number.
    let odd = "SELECT DATE '2026-03-01' AS d, [1, NULL] AS l, NULL AS n, INTERVAL '2 days' AS i, 'NaN'::double AS x, \
        CAST(1.10 AS DECIMAL(5, 2)) AS m";
    assert_eq!(daemon.output(&["sql", odd]), "d,l,n,i,x,m\n2026-03-01,\"[1, ]\",,2 days,NaN,1.10\n");
    assert_eq!(
        daemon.output(&["sql", odd, "--format", "json"]),
        "{\"d\":\"2026-03-01\",\"l\":\"[1, ]\",\"n\":null,\"i\":\"2 days\",\"x\":\"NaN\",\"m\":\"1.10\"}\n"
    );
}

#[test]
fn tables_and_columns_can_be_listed() {
    let home = tempfile::tempdir().unwrap();
    let daemon = plant(home.path());
    let shown = daemon.output(&["sql", "SHOW TABLES"]);
    for line in ["fluxmill,my-plant,Press,BASE TABLE", "fluxmill,my-plant,gauge 1,BASE TABLE"] {
        assert!(shown.lines().any(|own| own == line), "{shown}");
    }
    assert_eq!(
        daemon.output(&["sql", "DESCRIBE \"my-plant\".\"gauge 1\""]),
        "column_name,data_type,is_nullable\ntime,Timestamp(ns),NO\na,Utf8View,YES\nup,Boolean,YES\nmachine,UInt64,YES\n"
    );
    let columns = "SELECT column_name FROM information_schema.columns WHERE table_name = 'Press' ORDER BY 1";
    assert_eq!(daemon.output(&["sql", columns]), "column_name\nHall\nbar\nmachine\nn\nstate\ntime\n");
    let plan =
        daemon.output(&["sql", "EXPLAIN SELECT bar FROM \"my-plant\".\"Press\" WHERE machine IN ('p1') AND bar > 1"]);
    assert!(plan.contains("projection=[bar], full_filters=[") && plan.contains("FilterExec: bar"), "{plan}");
}

#[test]
fn what_does_more_than_read_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let daemon = plant(home.path());
    let target = home.path().join("out.csv");
    let copy = format!("COPY (SELECT 1) TO '{}'", target.display());
    for text in [
        copy.as_str(),
        "CREATE TABLE t AS SELECT 1",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "CREATE VIEW v AS SELECT 1",
        "CREATE SCHEMA s",
        "INSERT INTO \"my-plant\".\"Press\" VALUES (1)",
        "UPDATE \"my-plant\".\"Press\" SET bar = 1",
        "DELETE FROM \"my-plant\".\"Press\"",
        "DROP TABLE \"my-plant\".\"Press\"",
        "SET datafusion.execution.batch_size = 1",
        "EXPLAIN ANALYZE INSERT INTO \"my-plant\".\"Press\" VALUES (1)",
        "SELECT 1 INTO t",
        "PREPARE p AS SELECT 1",
        "BEGIN",
    ] {
        let (status, said) = fails(&daemon, &["sql", text]);
        assert_eq!(status, 2, "{text}: {said}");
        assert!(said.contains("SQL only reads here") && said.contains("fluxmill write"), "{text}: {said}");
    }
    assert!(!target.exists());
    for text in
        ["SELECT * FROM '/etc/passwd'", "SELECT * FROM read_csv('/etc/passwd')", "SELECT pg_read_file('/etc/passwd')"]
    {
        let (_, said) = fails(&daemon, &["sql", text]);
        assert!(
            said.contains("there is no table") || said.contains("not found") || said.contains("nvalid function"),
            "{said}"
        );
        assert!(!said.contains("root:"), "{said}");
    }
    assert_eq!(daemon.output(&["sql", "SELECT count(*) AS n FROM \"my-plant\".\"Press\""]), "n\n3\n");
}

#[test]
fn mistakes_are_told_with_their_place_and_what_was_meant() {
    let home = tempfile::tempdir().unwrap();
    let daemon = plant(home.path());
    // Status, place and words of each.
    let cases: [(&str, i32, &[&str]); 17] = [
        ("SELECT * FROM \"my-plant\".press", 1, &["1:15", "has no measurement press", "\"my-plant\".\"Press\"?"]),
        ("SELECT *\nFROM my_plant.press", 1, &["2:6", "there is no bucket my_plant", "did you mean \"my-plant\"?"]),
        ("SELECT * FROM press", 1, &["there is no table press", "did you mean \"my-plant\".\"Press\"?"]),
        ("SELECT * FROM nothing", 1, &["there is no table nothing", "bucket.measurement", "SHOW TABLES"]),
        ("SELECT bra FROM \"my-plant\".\"Press\"", 2, &["1:8", "there is no column bra", "did you mean bar?"]),
        ("SELECT\n  bar, hall FROM \"my-plant\".\"Press\"", 2, &["2:8", "no column hall", "did you mean \"Hall\"?"]),
        (
            "SELECT bar FROM \"my-plant\".\"Press\" WHERE machine = \"p1\"",
            2,
            &["1:52", "no column p1", "strings stand in single quotes"],
        ),
        ("SELECT max(bar), maxx(n) FROM \"my-plant\".\"Press\"", 2, &["1:18", "maxx", "did you mean max?"]),
        ("SELCT 1", 2, &["1:1", "expected an SQL statement, found SELCT"]),
        ("SELECT 1 +", 2, &["1:11", "expected an expression, found the end"]),
        ("SELECT 'open", 2, &["nterminated string"]),
        ("SELECT 1; SELECT 2", 2, &["expected one statement, found several"]),
        ("   ", 2, &["expected a statement, found nothing"]),
        ("SELECT machine, bar FROM \"my-plant\".\"Press\" GROUP BY machine", 2, &["bar", "GROUP BY"]),
        ("SELECT 1 / (n - 5) FROM \"my-plant\".\"Press\"", 1, &["divide by zero"]),
        ("SELECT state + 1 FROM \"my-plant\".\"Press\"", 2, &["cannot coerce", "1:8"]),
        ("SELECT CAST(state AS INT) FROM \"my-plant\".\"Press\"", 1, &["it is"]),
    ];
    for (text, status, words) in cases {
        let (found, said) = fails(&daemon, &["sql", text]);
        assert_eq!(found, status, "{text}: {said}");
        for word in words {
            assert!(said.contains(word), "{word:?} is missing for {text}:\n{said}");
        }
        assert!(!said.contains("panicked") && !said.contains("DataFusion"), "{said}");
    }
}

fn post(daemon: &Daemon, token: &str, body: &str) -> TcpStream {
    let address = daemon.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST /api/fluxmill/sql HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nAuthorization: Token {token}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    stream
}

fn answer(daemon: &Daemon, token: &str, body: &str) -> String {
    let mut text = String::new();
    post(daemon, token, body).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn programs_get_csv_or_json_lines_with_a_token_that_may_read() {
    let home = tempfile::tempdir().unwrap();
    let daemon = plant(home.path());
    let operator = std::fs::read_to_string(home.path().join("data/token")).unwrap();
    let made = |flag: &str| {
        let printed = daemon.output(&["token", "create", flag]);
        printed.split_whitespace().find(|word| word.len() == 64).unwrap().to_string()
    };
    let query = r#"{"query": "SELECT machine, n FROM \"my-plant\".\"Press\" WHERE n = 5"}"#;
    for token in [operator.trim().to_string(), made("--read-only")] {
        let csv = answer(&daemon, &token, query);
        assert!(
            csv.starts_with("HTTP/1.1 200") && csv.contains("text/csv") && csv.contains("machine,n\np1,5\n"),
            "{csv}"
        );
        let json = answer(&daemon, &token, &query.replace("{\"q", "{\"format\": \"json\", \"q"));
        assert!(json.contains("application/x-ndjson") && json.contains("{\"machine\":\"p1\",\"n\":5}\n"), "{json}");
    }
    assert!(answer(&daemon, &made("--write-only"), query).starts_with("HTTP/1.1 403"));
    assert!(answer(&daemon, "nobody", query).starts_with("HTTP/1.1 401"));
    let wrong = answer(&daemon, operator.trim(), r#"{"query": "SELECT x FROM y.z"}"#);
    assert!(wrong.starts_with("HTTP/1.1 404") && wrong.contains("there is no bucket y"), "{wrong}");
    for body in [
        "",
        "{",
        r#"{"quer": "SELECT 1"}"#,
        r#"{"query": "SELECT 1", "format": "xml"}"#,
        r#"{"query": "x", "now": "y"}"#,
    ] {
        let refused = answer(&daemon, operator.trim(), body);
        assert!(refused.starts_with("HTTP/1.1 400"), "{body}: {refused}");
    }
}

/// A query without end.
const ENDLESS: &str =
    "SELECT sum(a.value * b.value % 7) FROM generate_series(1, 1000000000) a, generate_series(1, 1000000000) b";

fn queries_running(daemon: &Daemon) -> u64 {
    let metrics = daemon.get("/metrics");
    let line = metrics.lines().find_map(|line| line.strip_prefix("fluxmill_sql_queries_running "));
    line.map_or(0, |value| value.trim().parse().unwrap())
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_query_ends_with_its_client_its_time_or_an_interrupt() {
    let home = tempfile::tempdir().unwrap();
    let daemon = plant(home.path());
    let token = std::fs::read_to_string(home.path().join("data/token")).unwrap();
    let (status, said) = fails(&daemon, &["sql", ENDLESS, "--timeout", "100ms"]);
    assert!(status == 130 && said.contains("given up after 100 ms"), "{status}: {said}");
    wait_until("the query that was given up runs on", || queries_running(&daemon) == 0);
    // The client closes its connection.
    let stream = post(&daemon, token.trim(), &format!("{{\"query\": \"{ENDLESS}\"}}"));
    wait_until("the query does not run", || queries_running(&daemon) == 1);
    drop(stream);
    wait_until("the query of a client that has left runs on", || queries_running(&daemon) == 0);
    // Ctrl-C.
    let child = Command::new(FLUXMILL)
        .args(["sql", ENDLESS, "--data-dir"])
        .arg(&daemon.data_dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until("the query does not run", || queries_running(&daemon) == 1);
    // SAFETY: kill(2) with the id of a child that has not been waited for.
    assert_eq!(unsafe { libc::kill(i32::try_from(child.id()).unwrap(), libc::SIGINT) }, 0);
    let Output { status, stdout, .. } = child.wait_with_output().unwrap();
    assert_eq!((status.code(), stdout.len()), (Some(130), 0));
    wait_until("the query runs on after an interrupt", || queries_running(&daemon) == 0);
    // A reader that takes only the beginning.
    let mut many = Command::new(FLUXMILL)
        .args(["sql", "SELECT * FROM generate_series(1, 1000000000)", "--data-dir"])
        .arg(&daemon.data_dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(many.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert_eq!(first, "value\n", "rows come before the query is done");
    many.kill().unwrap();
    many.wait().unwrap();
    wait_until("the query of a reader that has left runs on", || queries_running(&daemon) == 0);
}

/// A join that finds nothing computes for minutes without waiting for anything.
#[test]
fn statements_that_never_pause_end_for_whoever_asked_and_stop_nobody_else() {
    let home = tempfile::tempdir().unwrap();
    let daemon = plant(home.path());
    let busy = "SELECT count(*) FROM generate_series(1, 300000) a, generate_series(1, 300000) b WHERE a.value * b.value % 7 = 8";
    let asked: Vec<_> = (0..2 * std::thread::available_parallelism().unwrap().get())
        .map(|_| {
            let mut command = Command::new(FLUXMILL);
            command.args(["sql", busy, "--timeout", "300ms", "--data-dir"]).arg(&daemon.data_dir);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in asked {
        let Output { status, stderr, .. } = child.wait_with_output().unwrap();
        let said = String::from_utf8(stderr).unwrap();
        assert!(status.code() == Some(130) && said.contains("given up after 300 ms"), "{status}: {said}");
    }
    // All threads of SQL are busy; everything else goes on.
    write(home.path(), &daemon, &["m f=1".to_string()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_needs_too_much_memory_is_refused_and_others_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let catalogue = Arc::new(Catalogue::open(&directory.path().join("catalogue")).unwrap());
    let clock = Arc::new(ManualClock::new(0));
    let store = Store::open(directory.path(), StoreOptions::default(), catalogue, clock).await.unwrap();
    let sql = Sql::with_memory(Arc::new(store), 4 << 20).unwrap();
    let count = async |text: &str| {
        let mut answer = sql.open(&Source::new("<sql>", text), 0).await?;
        let mut rows = 0;
        while let Some(chunk) = answer.next().await? {
            rows += chunk.len;
        }
        Ok::<usize, fluxmill::error::Error>(rows)
    };
    for text in [
        "SELECT value FROM generate_series(1, 1000000) ORDER BY value % 1000, value",
        "SELECT value * 7919 % 1000003 AS v, count(*) FROM generate_series(1, 1000000) GROUP BY v",
        "SELECT * FROM generate_series(1, 1000000) a JOIN generate_series(1, 1000000) b ON a.value % 999983 = b.value",
    ] {
        let error = count(text).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResourceExhausted, "{text}: {error}");
        assert!(error.message().contains("memory") && error.hint().is_some(), "{error}");
    }
    assert_eq!(count("SELECT value FROM generate_series(1, 1000) ORDER BY value % 10").await.unwrap(), 1_000);
    assert_eq!(count("SELECT value FROM generate_series(1, 1000000)").await.unwrap(), 1_000_000, "it is streamed");
}

#[cfg(feature = "repl")]
#[test]
fn a_session_shows_the_rows_of_sql() {
    use crate::support::pty::Terminal;
    let home = tempfile::tempdir().unwrap();
    let daemon = plant(home.path());
    let mut command = Command::new(FLUXMILL);
    command.args(["repl", "--data-dir"]).arg(&daemon.data_dir).current_dir(home.path());
    command.env_remove("FLUXMILL_URL").env_remove("FLUXMILL_TOKEN").env("FLUXMILL_HISTORY", "");
    let mut terminal = Terminal::start(command);
    terminal.wait_for_prompt("flux> ");
    terminal.keys(":sql SELECT machine, bar FROM \"my-plant\".\"Press\" WHERE n = 5\r");
    let screen = terminal.wait_for("1 row, ");
    let has = |words: &[&str]| screen.lines().any(|line| line.split_whitespace().eq(words.iter().copied()));
    assert!(has(&["machine", "bar"]) && has(&["string", "float"]) && has(&["p1", "171.5"]), "{screen}");
    terminal.wait_for_prompt("flux> ");
    // What is open goes on in the next line.
    terminal.keys(":sql SELECT max(bar) AS highest,\r");
    terminal.wait_for_prompt("   | ");
    terminal.enter("min(bar) AS lowest FROM \"my-plant\".\"Press\"");
    let screen = terminal.wait_for("96.25");
    assert!(screen.contains("highest") && screen.contains("172"), "{screen}");
    terminal.wait_for_prompt("flux> ");
    terminal.keys(":sql SELECT ber FROM \"my-plant\".\"Press\"\r");
    let screen = terminal.wait_for("did you mean bar?");
    assert!(screen.contains("<repl>:1:8"), "{screen}");
    terminal.wait_for_prompt("flux> ");
    // What a session defined before is still there.
    terminal.keys("1 + 41\r");
    terminal.wait_for("42 : int");
    terminal.wait_for_prompt("flux> ");
    terminal.keys("\x04");
    assert!(terminal.end().success());
}
