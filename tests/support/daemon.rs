//! A `fluxmill serve` as a child process: started on free ports, asked over HTTP, killed like a machine that loses power.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The program under test.
pub const FLUXMILL: &str = env!("CARGO_BIN_EXE_fluxmill");

/// A running daemon; dropping it kills it.
pub struct Daemon {
    child: Child,
    /// The data directory.
    pub data_dir: PathBuf,
    /// The MQTT listener.
    pub mqtt: SocketAddr,
    /// `http://127.0.0.1:port`.
    pub url: String,
    /// From the start of the process until it announced itself.
    pub start_took: Duration,
}

/// How a daemon is started.
pub struct Start<'a> {
    pub data_dir: &'a Path,
    pub tasks_dir: &'a Path,
    pub config: Option<&'a Path>,
    pub kafka: Option<&'a str>,
}

impl Daemon {
    /// Starts a daemon on free ports and waits until it is ready.
    pub fn start(start: &Start<'_>) -> Daemon {
        Self::start_failing(start, None)
    }

    /// The same, to be killed at the named place (`src/failpoint.rs`).
    pub fn start_failing(start: &Start<'_>, fail_at: Option<&str>) -> Daemon {
        let began = Instant::now();
        let mut command = Command::new(FLUXMILL);
        command.arg("serve").args(["--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0"]);
        command.arg("--data-dir").arg(start.data_dir).arg("--tasks-dir").arg(start.tasks_dir);
        if let Some(config) = start.config {
            command.arg("--config").arg(config);
        }
        if let Some(brokers) = start.kafka {
            command.args(["--kafka", brokers]);
        }
        if let Some(place) = fail_at {
            command.env("FAILPOINT_KILLS_AT", place);
        }
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(start.data_dir.with_extension("stderr"))
            .expect("a log file beside the data directory");
        command.env("FLUXMILL_LOG_LEVEL", "warn,fluxmill=debug").env_remove("FLUXMILL_URL");
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().expect("fluxmill starts");
        let (mut mqtt, mut url) = (None, None);
        let mut printed = String::new();
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        for line in lines.by_ref().map_while(Result::ok) {
            printed.push_str(&line);
            printed.push('\n');
            if let Some(address) = after(&line, "mqtt://") {
                mqtt = address.parse().ok();
            }
            if let Some(address) = after(&line, "http://") {
                url = Some(format!("http://{address}"));
            }
            if line.starts_with("ready") {
                break;
            }
        }
        let log = || std::fs::read_to_string(start.data_dir.with_extension("stderr")).unwrap_or_default();
        let (Some(mqtt), Some(url)) = (mqtt, url) else {
            panic!("fluxmill did not become ready:\n{printed}\n{}", log());
        };
        // What it prints later must not fill the pipe and stop it.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Daemon { child, data_dir: start.data_dir.into(), mqtt, url, start_took: began.elapsed() }
    }

    /// SIGKILL: nothing is flushed, nothing is said.
    pub fn kill(mut self) {
        self.child.kill().expect("the process can be killed");
        self.child.wait().expect("the process ends");
    }

    /// Waits until the process has been killed at its armed place; false if it lives on.
    pub fn is_killed_within(&mut self, time: Duration) -> bool {
        use std::os::unix::process::ExitStatusExt;
        let until = Instant::now() + time;
        loop {
            match self.child.try_wait().expect("the process can be asked") {
                Some(status) => return status.signal() == Some(libc::SIGKILL),
                None if Instant::now() > until => return false,
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    /// SIGTERM, and the exit status after a clean end.
    pub fn stop(mut self) -> std::process::ExitStatus {
        let process = i32::try_from(self.child.id()).expect("a process id");
        // SAFETY: kill(2) with the id of a child that has not been waited for.
        assert_eq!(unsafe { libc::kill(process, libc::SIGTERM) }, 0);
        self.child.wait().expect("the process ends")
    }

    /// Runs a subcommand against this daemon.
    pub fn run(&self, arguments: &[&str]) -> Output {
        Command::new(FLUXMILL).args(arguments).arg("--data-dir").arg(&self.data_dir).output().expect("fluxmill runs")
    }

    /// The output of a subcommand that must succeed.
    pub fn output(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// The answer to a GET that needs no token.
    pub fn get(&self, path: &str) -> String {
        use std::io::{Read, Write};
        let address = self.url.trim_start_matches("http://");
        let mut stream = std::net::TcpStream::connect(address).expect("the daemon listens");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer
    }

    /// The rows of a query as JSON objects.
    pub fn rows(&self, script: &str) -> Vec<serde_json::Value> {
        self.output(&["query", script, "--format", "json"])
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn after<'a>(line: &'a str, scheme: &str) -> Option<&'a str> {
    let rest = &line[line.find(scheme)? + scheme.len()..];
    Some(rest.split_whitespace().next().unwrap_or(rest))
}
