//! Real Kafka brokers for tests, from `services/kafka`.
//!
//! A broker lives as long as its `KafkaBroker`, or, for the shared one, as the test process: a small watchdog process waits
//! for the end of a pipe, which also comes when the test process is killed, then kills the broker and removes its data.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

/// One broker in a folder of its own, on ports of its own.
pub struct KafkaBroker {
    run_dir: PathBuf,
    ports: (u16, u16),
    /// Its standard input is the pipe.
    watchdog: Child,
}

impl KafkaBroker {
    /// The broker that tests share; started by the first that asks. Names of topics, groups and producers must be the
    /// test's own.
    pub fn shared() -> &'static KafkaBroker {
        static SHARED: OnceLock<KafkaBroker> = OnceLock::new();
        SHARED.get_or_init(KafkaBroker::own)
    }

    /// A broker for one test, which may kill and restart it.
    pub fn own() -> KafkaBroker {
        let run_dir = tempfile::Builder::new().prefix("fluxmill-kafka-").tempdir().unwrap().keep();
        let watchdog = Command::new("bash")
            .args(["-c", r#"read -r _; "$0" kill; rm -rf "$KAFKA_RUN_DIR""#])
            .arg(script())
            .env("KAFKA_RUN_DIR", &run_dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("bash starts");
        let mut broker = KafkaBroker { run_dir, ports: (0, 0), watchdog };
        // A port that was free may be taken by the time the broker wants it.
        for _ in 0..5 {
            broker.ports = free_ports();
            let output = broker.command("start").output().expect("the script starts");
            if output.status.success() {
                return broker;
            }
            let reason = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(reason.contains("is in use"), "this test needs a Kafka broker:\n{reason}");
        }
        panic!("no free ports for a Kafka broker");
    }

    /// Its bootstrap address.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.0)
    }

    /// Ends it with kill -9.
    pub fn kill(&self) {
        self.succeed("kill");
    }

    /// Starts it again after `kill`, on the same port; returns when it is ready.
    pub fn start(&self) {
        self.succeed("start");
    }

    /// Runs one of Kafka's own tools with some input and returns what it prints.
    pub fn tool(&self, class: &str, arguments: &[&str], input: &str) -> String {
        let mut command = self.command("run");
        command.arg(class).args(["--bootstrap-server", &self.address()]).args(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{class}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn command(&self, command: &str) -> Command {
        let mut script = Command::new(script());
        script
            .arg(command)
            .env("KAFKA_RUN_DIR", &self.run_dir)
            .env("KAFKA_PORT", self.ports.0.to_string())
            .env("KAFKA_CONTROLLER_PORT", self.ports.1.to_string())
            .env("KAFKA_HEAP", "256m");
        script
    }

    fn succeed(&self, command: &str) {
        let Output { status, stderr, .. } = self.command(command).output().unwrap();
        assert!(status.success(), "kafka {command}: {}", String::from_utf8_lossy(&stderr));
    }
}

impl Drop for KafkaBroker {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("services/kafka/kafka")
}

/// Two ports that nothing listens on.
fn free_ports() -> (u16, u16) {
    let [first, second] = [(), ()].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    (first.local_addr().unwrap().port(), second.local_addr().unwrap().port())
}
