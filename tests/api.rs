//! The HTTP API as clients meet it: statuses, bodies and headers on a real socket; InfluxDB's own Python and JavaScript
//! clients, unmodified; requests as Telegraf sends them.
//!
//! Expected statuses and bodies are InfluxDB 2's (its API's documentation and error texts), not our own output.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::daemon::{Daemon, Start};

/// A daemon with a directory of its own, and a client with its token.
struct Server {
    daemon: Daemon,
    token: String,
    http: reqwest::Client,
    home: tempfile::TempDir,
}

struct Answer {
    status: u16,
    body: String,
    headers: reqwest::header::HeaderMap,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_default().to_string()
    }
}

impl Server {
    fn start() -> Server {
        let home = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(home.path().join("tasks")).expect("a directory");
        Self::over(home)
    }

    /// Over what a directory holds.
    fn over(home: tempfile::TempDir) -> Server {
        let (data, tasks) = (home.path().join("data"), home.path().join("tasks"));
        let config = Some(home.path().join("fluxmill.toml")).filter(|file| file.exists());
        let start = Start { data_dir: &data, tasks_dir: &tasks, config: config.as_deref(), kafka: None };
        let daemon = Daemon::start(&start);
        let token = std::fs::read_to_string(data.join("token")).expect("a token");
        Server { daemon, token, http: reqwest::Client::new(), home }
    }

    /// Kills the daemon and starts another one.
    fn restart(self) -> Server {
        self.daemon.kill();
        Self::over(self.home)
    }

    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = method.parse().expect("a method");
        let url = format!("{}{path}", self.daemon.url);
        self.http.request(method, url).header("Authorization", format!("Token {}", self.token))
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, body: response.text().await.expect("a body") }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path)).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.request("POST", path).header("Content-Type", "application/json").body(body.to_string())).await
    }

    async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(self.request("PATCH", path).header("Content-Type", "application/json").body(body.to_string())).await
    }

    async fn make_bucket(&self, name: &str) -> Answer {
        let org = self.get("/api/v2/orgs").await.json()["orgs"][0]["id"].clone();
        self.post("/api/v2/buckets", json!({ "name": name, "orgID": org, "retentionRules": [] })).await
    }

    async fn write(&self, parameters: &str, lines: &str) -> Answer {
        self.send(self.request("POST", &format!("/api/v2/write?{parameters}")).body(lines.to_string())).await
    }

    async fn query(&self, script: &str) -> Answer {
        let body = json!({
            "query": script, "type": "flux", "dialect": { "annotations": ["datatype", "group", "default"] },
        });
        self.post("/api/v2/query?org=fluxmill", body).await
    }
}

/// The limits are those of the configuration; a start empties the folder of rows that did not fit in memory.
#[tokio::test]
async fn a_query_beyond_its_memory_is_refused_with_its_place() {
    let home = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(home.path().join("tasks")).expect("a directory");
    std::fs::write(home.path().join("fluxmill.toml"), "[query]\nmemory_per_run = \"100B\"\n").expect("a file");
    let server = Server::over(home);
    let staging = server.home.path().join("data/staging");
    std::fs::create_dir_all(&staging).expect("a directory");
    std::fs::write(staging.join("left"), "rows").expect("a file");
    let server = server.restart();
    assert!(!staging.join("left").exists());
    let script =
        "import \"array\"\n\narray.from(rows: [{v: 1}, {v: 2}, {v: 3}, {v: 4}])\n    |> group(columns: [\"v\"])";
    let refused = server.query(script).await;
    let (message, rendered) = (refused.message(), refused.json()["rendered"].to_string());
    assert!(message.starts_with("group wants ") && message.contains("; a run may take 100, "), "{message}");
    assert!(rendered.contains("<query>:4:8") && rendered.contains("memory_per_run"), "{rendered}");
    let ran = server.query("import \"array\"\n\narray.from(rows: [{v: 1}])").await;
    assert_eq!(ran.status, 200, "{}", ran.body);
}

/// Six fields of an identity come as rows of six tables; the rows are on disk before they are one record.
#[tokio::test]
async fn a_query_may_write_more_rows_than_it_may_hold() {
    let home = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(home.path().join("tasks")).expect("a directory");
    std::fs::write(home.path().join("fluxmill.toml"), "[query]\nmemory_per_run = \"4MiB\"\n").expect("a file");
    let server = Server::over(home);
    for bucket in ["raw", "down"] {
        assert_eq!(server.make_bucket(bucket).await.status, 201);
    }
    let line = |row: i64| format!("m,host=h{} a={row},b=1,c=2,d=3,e=4,f={row}.5 {row}\n", row % 10);
    let lines: String = (0..6_000).map(line).collect();
    assert_eq!(server.write("bucket=raw&org=fluxmill&precision=s", &lines).await.status, 204);
    let read = |bucket: &str, rest: &str| {
        format!(
            "from(bucket: \"{bucket}\") |> range(start: 1970-01-01T00:00:00Z, stop: 1970-01-02T00:00:00Z) |> {rest}"
        )
    };
    let wrote = server.query(&read("raw", "to(bucket: \"down\") |> group() |> count()")).await;
    assert!(wrote.status == 200 && wrote.body.contains(",36000\r\n"), "{}", wrote.body);
    for rest in ["count()", "sum()", "last()"] {
        let (raw, down) = (server.query(&read("raw", rest)).await, server.query(&read("down", rest)).await);
        assert!(raw.status == 200 && raw.body.lines().count() > 60, "{}", raw.body);
        assert_eq!(down.body, raw.body);
    }
    // As many identities as rows: their records are more than the run may hold.
    let script =
        read("raw", "map(fn: (r) => ({r with host: r.host + r._field})) |> to(bucket: \"down\") |> group() |> count()");
    let refused = server.query(&script).await;
    assert!(refused.message().starts_with("the points of to(), ready to be written, want "), "{}", refused.body);
    assert!(refused.json()["hint"].to_string().contains("memory_per_run"), "{}", refused.body);
}

#[tokio::test]
async fn health_ready_ping_and_metrics_need_no_token() {
    let server = Server::start();
    let plain = |path: &str| server.http.get(format!("{}{path}", server.daemon.url));
    let health = server.send(plain("/health")).await;
    assert_eq!(health.status, 200);
    assert_eq!(health.json()["name"], "influxdb");
    assert_eq!(health.json()["status"], "pass");
    let ready = server.send(plain("/ready")).await;
    assert_eq!(ready.json()["status"], "ready");
    let ping = server.send(plain("/ping")).await;
    assert_eq!(ping.status, 204);
    assert_eq!(ping.headers["x-influxdb-build"], "OSS");
    assert!(ping.headers.contains_key("x-influxdb-version"));
    let metrics = server.send(plain("/metrics")).await;
    assert_eq!(metrics.status, 200);
}

#[tokio::test]
async fn without_the_token_nothing_is_said() {
    let server = Server::start();
    for token in ["", "Token wrong", "Bearer wrong", "Basic YTpi"] {
        let request = server.http.get(format!("{}/api/v2/buckets", server.daemon.url)).header("Authorization", token);
        let answer = server.send(request).await;
        assert_eq!(answer.status, 401, "{token:?}");
        assert_eq!(answer.json()["code"], "unauthorized");
        assert_eq!(answer.message(), "unauthorized access");
        assert_eq!(answer.headers["x-platform-error-code"], "unauthorized");
    }
    let bearer = server.http.get(format!("{}/api/v2/buckets", server.daemon.url));
    let answer = server.send(bearer.header("Authorization", format!("bearer {}", server.token))).await;
    assert_eq!(answer.status, 200, "the scheme is case-insensitive");
}

#[tokio::test]
async fn unknown_paths_and_methods() {
    let server = Server::start();
    let answer = server.get("/api/v2/nothing").await;
    assert_eq!((answer.status, answer.message().as_str()), (404, "path not found"));
    let answer = server.send(server.request("DELETE", "/api/v2/query")).await;
    assert_eq!((answer.status, answer.json()["code"].as_str()), (405, Some("method not allowed")));
}

#[tokio::test]
async fn buckets_come_and_go() {
    let server = Server::start();
    let made = server.make_bucket("plant").await;
    assert_eq!(made.status, 201, "{}", made.body);
    let id = made.json()["id"].as_str().expect("an id").to_string();
    assert!(id.len() == 16 && id.chars().all(|c| c.is_ascii_hexdigit()), "{id}");
    assert_eq!(made.json()["type"], "user");
    assert_eq!(server.make_bucket("plant").await.status, 422, "a name is taken once");
    for bad in ["", "_own", "a\"b"] {
        assert!(matches!(server.make_bucket(bad).await.status, 400 | 422), "{bad:?}");
    }
    let listed = server.get("/api/v2/buckets?name=plant").await.json();
    assert_eq!(listed["buckets"][0]["id"], id.as_str());
    assert_eq!(server.get("/api/v2/buckets?name=none").await.json()["buckets"], json!([]));
    assert_eq!(server.get(&format!("/api/v2/buckets/{id}")).await.json()["name"], "plant");
    let gone = server.send(server.request("DELETE", &format!("/api/v2/buckets/{id}"))).await;
    assert_eq!((gone.status, gone.body.as_str()), (204, ""));
    assert_eq!(server.get(&format!("/api/v2/buckets/{id}")).await.status, 404);
    let org = server.get("/api/v2/orgs?org=nobody").await;
    assert_eq!(org.status, 404);
}

#[tokio::test]
async fn retention_and_name_of_a_bucket_can_be_changed() {
    let server = Server::start();
    let id = server.make_bucket("plant").await.json()["id"].as_str().unwrap().to_string();
    server.make_bucket("taken").await;
    let path = format!("/api/v2/buckets/{id}");
    let change = |body: Value| server.patch(&path, body);
    let changed = change(json!({ "retentionRules": [{ "type": "expire", "everySeconds": 3600 }] })).await;
    assert_eq!((changed.status, &changed.json()["retentionRules"][0]["everySeconds"]), (200, &json!(3600)));
    assert_eq!(server.get(&path).await.json()["retentionRules"][0]["everySeconds"], 3600);
    // Rows that are older than an hour are no longer taken, nor shown.
    assert_eq!(server.write("org=fluxmill&bucket=plant", "m v=1 1").await.status, 422);
    let renamed = change(json!({ "name": "works" })).await;
    assert_eq!((renamed.status, &renamed.json()["retentionRules"][0]["everySeconds"]), (200, &json!(3600)));
    assert_eq!(change(json!({ "name": "taken" })).await.status, 422);
    assert_eq!(change(json!({ "name": "_own" })).await.status, 400);
    assert_eq!(change(json!({ "retentionRules": [{ "everySeconds": -1 }] })).await.status, 400);
    let forever = change(json!({ "retentionRules": [] })).await;
    assert_eq!(forever.json()["retentionRules"][0]["everySeconds"], 0);
    assert_eq!(server.patch("/api/v2/buckets/0000000000000001", json!({})).await.status, 404);
}

#[tokio::test]
async fn what_was_written_can_be_read_at_once() {
    let server = Server::start();
    server.make_bucket("plant").await;
    let lines = "press,machine=p1 bar=171.5,count=3i 1000000000\npress,machine=p2 bar=96.25 1000000001\n";
    let written = server.write("org=fluxmill&bucket=plant", lines).await;
    assert_eq!((written.status, written.body.as_str()), (204, ""));
    // Rows as InfluxDB 2 gives them: a table per series and field, times with the digits they need, CRLF.
    let read = server.query("from(bucket: \"plant\") |> range(start: 0, stop: 10)").await;
    assert_eq!(read.status, 200, "{}", read.body);
    assert_eq!(read.headers["content-type"], "text/csv; charset=utf-8");
    let expected = [
        "#datatype,string,long,dateTime:RFC3339,dateTime:RFC3339,dateTime:RFC3339,double,string,string,string",
        "#group,false,false,true,true,false,false,true,true,true",
        "#default,_result,,,,,,,,",
        ",result,table,_start,_stop,_time,_value,_field,_measurement,machine",
        ",,0,1970-01-01T00:00:00Z,1970-01-01T00:00:10Z,1970-01-01T00:00:01Z,171.5,bar,press,p1",
        ",,1,1970-01-01T00:00:00Z,1970-01-01T00:00:10Z,1970-01-01T00:00:01.000000001Z,96.25,bar,press,p2",
        "",
        "#datatype,string,long,dateTime:RFC3339,dateTime:RFC3339,dateTime:RFC3339,long,string,string,string",
        "#group,false,false,true,true,false,false,true,true,true",
        "#default,_result,,,,,,,,",
        ",result,table,_start,_stop,_time,_value,_field,_measurement,machine",
        ",,2,1970-01-01T00:00:00Z,1970-01-01T00:00:10Z,1970-01-01T00:00:01Z,3,count,press,p1",
        "",
        "",
    ];
    let mut tables = read.body.split("\r\n").collect::<Vec<_>>();
    assert_eq!(tables.len(), expected.len(), "{}", read.body);
    // The order of tables is key order; which of the two series with `bar` stands first follows from it.
    tables.sort_unstable();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    let number = |line: &&str| {
        line.split(',').enumerate().filter(|(at, _)| *at != 2).map(|(_, c)| c.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(
        tables.iter().map(number).collect::<std::collections::BTreeSet<_>>(),
        expected.iter().map(number).collect::<std::collections::BTreeSet<_>>()
    );
}

#[tokio::test]
async fn precisions_defaults_and_compressed_bodies() {
    let server = Server::start();
    server.make_bucket("b").await;
    for (precision, time) in [("s", "1700000000"), ("ms", "1700000000000"), ("us", "1700000000000000")] {
        let written = server
            .write(&format!("org=fluxmill&bucket=b&precision={precision}"), &format!("m,p={precision} v=1 {time}"))
            .await;
        assert_eq!(written.status, 204, "{}", written.body);
    }
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(b"m,p=gzip v=1 1700000000000000000\r\n# a comment\n\n").expect("compression");
    let request = server.request("POST", "/api/v2/write?org=fluxmill&bucket=b").header("Content-Encoding", "gzip");
    let answer = server.send(request.body(packed.finish().expect("compression"))).await;
    assert_eq!(answer.status, 204, "{}", answer.body);
    let rows =
        server.daemon.rows("from(bucket: \"b\") |> range(start: 2023-11-14T22:13:20Z, stop: 2023-11-14T22:13:21Z)");
    assert_eq!(rows.len(), 4, "all four stand at the same second: {rows:?}");
    assert_eq!(server.write("org=fluxmill&bucket=b", "").await.status, 204);
    let wrong = server.write("org=fluxmill&bucket=b&precision=h", "m v=1 1").await;
    assert_eq!(wrong.status, 400);
    assert_eq!(wrong.message(), "invalid precision; valid precision units are ns, us, ms, and s");
}

#[tokio::test]
async fn a_line_that_does_not_parse_refuses_the_batch() {
    let server = Server::start();
    server.make_bucket("b").await;
    let answer = server.write("org=fluxmill&bucket=b", "m v=1 1\nm v= 2\nnothing\n").await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["code"], "invalid");
    assert!(answer.message().starts_with("unable to parse 'm v= 2':"), "{}", answer.message());
    assert!(answer.message().contains("unable to parse 'nothing':"), "{}", answer.message());
    let rows = server.daemon.rows("from(bucket: \"b\") |> range(start: 0)");
    assert!(rows.is_empty(), "nothing of a refused batch is kept: {rows:?}");
    let missing = server.write("org=fluxmill&bucket=none", "m v=1").await;
    assert_eq!((missing.status, missing.json()["code"].as_str()), (404, Some("not found")));
}

#[tokio::test]
async fn a_type_conflict_drops_its_point_and_says_so() {
    let server = Server::start();
    server.make_bucket("b").await;
    assert_eq!(server.write("org=fluxmill&bucket=b", "m v=1.5 1").await.status, 204);
    let answer = server.write("org=fluxmill&bucket=b", "m v=\"text\" 2\nm v=2.5 3").await;
    assert_eq!(answer.status, 422, "{}", answer.body);
    assert!(answer.message().contains("partial write"), "{}", answer.message());
    assert!(answer.message().contains("dropped=1"), "{}", answer.message());
    let rows = server.daemon.rows("from(bucket: \"b\") |> range(start: 0)");
    assert_eq!(rows.len(), 2, "the rest of the batch is written: {rows:?}");
}

#[tokio::test]
async fn errors_of_queries_have_influx_statuses() {
    let server = Server::start();
    server.make_bucket("b").await;
    for (script, status, words) in [
        ("from(bucket: \"none\") |> range(start: -1h)", 404, "could not find bucket \"none\""),
        ("from(bucket: \"b\")", 400, "cannot submit unbounded read to \"b\""),
        ("from(bucket: \"b\") |> range(start: 10, stop: 5)", 400, "cannot query an empty range"),
        ("from(bucket: \"b\") |> range(begin: -1h)", 400, "begin"),
        ("from(bucket: \"b\") |> rnge(start: -1h)", 400, "undefined identifier rnge"),
        ("from(bucket: \"b\" |> range(start: -1h)", 400, ""),
        ("x = 1", 400, "returns no streaming data"),
    ] {
        let answer = server.query(script).await;
        assert_eq!(answer.status, status, "{script}: {}", answer.body);
        assert!(answer.message().contains(words), "{script}: {}", answer.message());
    }
    let answer = server.send(server.request("POST", "/api/v2/query?org=other").body("{}")).await;
    assert_eq!(answer.status, 404);
}

#[tokio::test]
async fn to_writes_into_the_bucket_and_its_topic() {
    let server = Server::start();
    server.make_bucket("raw").await;
    server.make_bucket("copy").await;
    server.write("org=fluxmill&bucket=raw", "m,t=a v=7i 5000000000").await;
    let answer = server
        .query("from(bucket: \"raw\") |> range(start: 0) |> set(key: \"by\", value: \"us\") |> to(bucket: \"copy\")")
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let rows = server.daemon.rows("from(bucket: \"copy\") |> range(start: 0)");
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (rows[0]["by"].as_str(), rows[0]["t"].as_str(), rows[0]["_value"].as_i64()),
        (Some("us"), Some("a"), Some(7))
    );
    let topic = server.daemon.output(&["topic", "tail", "copy", "--from", "0", "--json"]);
    let record: Value = serde_json::from_str(topic.lines().next().expect("a record")).expect("JSON");
    assert!(record["key"].as_str().expect("a key").starts_with("m,by=us,t=a"), "{record}");
}

/// InfluxDB deletes whole points of the series that a predicate names, from the start to the stop, both included.
#[tokio::test]
async fn deletes_hide_points_at_once_and_for_good() {
    let server = Server::start();
    server.make_bucket("b").await;
    let lines: String =
        (1..=6).map(|n| format!("m,host=a v={n},w={n}i {n}000000000\nm,host=b v={n} {n}000000000\n")).collect();
    assert_eq!(server.write("org=fluxmill&bucket=b", &format!("{lines}n,host=a v=1 1000000000")).await.status, 204);
    let delete = async |start: u32, stop: u32, predicate: &str| {
        let time = |second: u32| format!("1970-01-01T00:00:{second:02}Z");
        let body = json!({ "start": time(start), "stop": time(stop), "predicate": predicate });
        server.post("/api/v2/delete?org=fluxmill&bucket=b", body).await
    };
    let count = |filter: &str| {
        server.daemon.rows(&format!("from(bucket: \"b\") |> range(start: 0) |> filter(fn: (r) => {filter})")).len()
    };
    let gone = delete(2, 4, "_measurement=\"m\" AND host=\"a\"").await;
    assert_eq!((gone.status, gone.body.as_str()), (204, ""), "{}", gone.body);
    assert_eq!((count("r.host == \"a\" and r._measurement == \"m\""), count("r.host == \"b\"")), (6, 6));
    // What is written again is there again, and so it is after a restart.
    assert_eq!(server.write("org=fluxmill&bucket=b", "m,host=a v=30 3000000000").await.status, 204);
    assert_eq!(count("r._field == \"v\" and r._measurement == \"m\" and r.host == \"a\""), 4);
    assert_eq!(delete(0, 59, "host=\"b\"").await.status, 204);
    let server = server.restart();
    let rows = server.daemon.rows("from(bucket: \"b\") |> range(start: 0)");
    assert_eq!(rows.len(), 8, "{rows:?}");
    let command = ["bucket", "delete-rows", "b", "--start", "1970-01-01T00:00:00Z", "--stop", "1970-01-01T00:01:00Z"];
    server.daemon.output(&command);
    assert_eq!(server.daemon.rows("from(bucket: \"b\") |> range(start: 0)").len(), 0);
    let topic = server.daemon.output(&["topic", "tail", "b", "--from", "0", "--json"]);
    let deletes = topic.lines().filter(|line| line.contains("application/vnd.fluxmill.delete+json")).count();
    assert_eq!(deletes, 3, "a delete is a record of the bucket's topic: {topic}");
}

#[tokio::test]
async fn a_delete_is_refused_as_influxdb_refuses_it() {
    let server = Server::start();
    server.make_bucket("b").await;
    let (start, stop) = ("1970-01-01T00:00:00Z", "1970-01-01T00:01:00Z");
    for (path, body, status, words) in [
        ("bucket=b&org=fluxmill", json!({}), 400, "invalid RFC3339Nano for field start, please format your time"),
        ("bucket=b&org=fluxmill", json!({ "start": start, "stop": "now" }), 400, "invalid RFC3339Nano for field stop"),
        (
            "bucket=b&org=fluxmill",
            json!({ "start": start, "stop": stop, "predicate": "a=1 or b=2" }),
            400,
            "the logical operator OR is not supported for delete predicate yet",
        ),
        ("bucket=b&org=fluxmill", json!({ "start": start, "stop": stop, "predicate": "a>1" }), 400, "at position 1"),
        ("bucket=b&org=fluxmill", json!({ "start": start, "stop": stop, "predicate": "_field=\"v\"" }), 501, "_field"),
        ("bucket=none&org=fluxmill", json!({ "start": start, "stop": stop }), 404, "bucket \"none\" not found"),
        ("bucket=b&org=other", json!({ "start": start, "stop": stop }), 404, "organization name \"other\" not found"),
    ] {
        let answer = server.post(&format!("/api/v2/delete?{path}"), body).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        assert!(answer.message().contains(words), "{}", answer.message());
    }
}

/// The requests of Telegraf's `influxdb_v2` output: gzip, no precision, and only 2xx counts as delivered.
#[tokio::test]
async fn telegraf_s_requests_are_taken() {
    let server = Server::start();
    server.make_bucket("telegraf").await;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    for index in 0..1000 {
        writeln!(packed, "cpu,cpu=cpu{},host=edge usage_idle=97.5,usage_user=1.25 17000000000000{index:05}", index % 4)
            .expect("compression");
    }
    let request = server
        .request("POST", "/api/v2/write?bucket=telegraf&org=fluxmill")
        .header("Content-Type", "text/plain; charset=utf-8")
        .header("Content-Encoding", "gzip")
        .header("User-Agent", "Telegraf/1.30.0 Go/1.22.0");
    let answer = server.send(request.body(packed.finish().expect("compression"))).await;
    assert_eq!(answer.status, 204, "{}", answer.body);
    let rows = server.daemon.rows("from(bucket: \"telegraf\") |> range(start: 0)");
    assert_eq!(rows.len(), 2000);
}

/// Telegraf itself, with InfluxDB's output: a file of lines arrives whole, and again is the same.
#[test]
fn telegraf_delivers_its_metrics() {
    let telegraf = cache().join("telegraf/telegraf");
    assert!(telegraf.exists(), "{} is missing: run `make services`", telegraf.display());
    let server = Server::start();
    server.daemon.output(&["bucket", "create", "telegraf"]);
    let folder = tempfile::tempdir().expect("a directory");
    let lines: String = (0..3_000)
        .map(|n| format!("cpu,cpu=cpu{},host=edge usage_idle={}.5,busy={n}i 17000000000000{n:05}\n", n % 4, n % 100))
        .collect();
    std::fs::write(folder.path().join("metrics"), lines).expect("a file");
    let config = format!(
        "[agent]\n  omit_hostname = true\n  precision = \"1ns\"\n  metric_batch_size = 500\n[[inputs.file]]\n  files = [\"metrics\"]\n  \
         data_format = \"influx\"\n[[outputs.influxdb_v2]]\n  urls = [\"{}\"]\n  token = \"{}\"\n  \
         organization = \"fluxmill\"\n  bucket = \"telegraf\"\n",
        server.daemon.url, server.token
    );
    std::fs::write(folder.path().join("telegraf.conf"), config).expect("a file");
    let once = || {
        let output = Command::new(&telegraf)
            .args(["--config", "telegraf.conf", "--once"])
            .current_dir(folder.path())
            .output()
            .expect("telegraf runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    once();
    let rows = server.daemon.rows("from(bucket: \"telegraf\") |> range(start: 0)");
    assert_eq!(rows.len(), 6_000);
    // The same again is the same points.
    once();
    assert_eq!(server.daemon.rows("from(bucket: \"telegraf\") |> range(start: 0)").len(), 6_000);
}

fn cache() -> PathBuf {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")));
    base.expect("HOME or XDG_CACHE_HOME is set").join("fluxmill")
}

fn run_client(program: &Path, script: &str, server: &Server) {
    assert!(program.exists(), "{} is missing: run `make services`", program.display());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script);
    let output = Command::new(program)
        .arg(path)
        .arg(&server.daemon.url)
        .arg(&server.token)
        .env("NODE_PATH", cache().join("node/node_modules"))
        .output()
        .expect("the client runs");
    assert!(
        output.status.success(),
        "{script}:\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_python_client_works_unmodified() {
    run_client(&cache().join("python/bin/python"), "influx.py", &Server::start());
}

#[test]
fn the_javascript_client_works_unmodified() {
    assert!(cache().join("node/node_modules/@influxdata").exists(), "the client is missing: run `make services`");
    let node = which("node");
    run_client(&node, "influx.js", &Server::start());
}

/// A program in PATH.
fn which(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").expect("PATH is set");
    let found = std::env::split_paths(&path).map(|folder| folder.join(program)).find(|candidate| candidate.is_file());
    found.unwrap_or_else(|| panic!("{program} is not in PATH: run `make services`"))
}
