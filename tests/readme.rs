//! The README's commands, as a newcomer types them: every block that is marked as tested runs, line by line.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::daemon::FLUXMILL;

fn block(name: &str) -> Vec<String> {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("README.md");
    let marker = format!("<!-- tested: {name} -->");
    let rest = readme.split(&marker).nth(1).unwrap_or_else(|| panic!("README.md has no block {name}"));
    let code = rest.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block of commands");
    code.lines().filter(|line| !line.trim().is_empty()).map(str::to_string).collect()
}

/// Three commands from a device's message to the row. They stand in the README with the default ports, so these must be
/// free on the machine that runs the test.
#[test]
fn three_commands_from_mosquitto_pub_to_the_row() {
    let commands = block("first-steps");
    assert_eq!(commands.len(), 3, "the README promises three commands");
    let home = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(home.path().join("fixtures")).expect("a directory");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::copy(root.join("fixtures/plant.toml"), home.path().join("fixtures/plant.toml")).expect("a copy");
    let folder = Path::new(FLUXMILL).parent().expect("the program's folder").display().to_string();
    let path = format!("{folder}:{}", std::env::var("PATH").expect("PATH"));
    let mut shell = Command::new("bash")
        .current_dir(home.path())
        .env("PATH", path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("bash runs");
    let mut input = shell.stdin.take().expect("its input");
    writeln!(input, "trap 'kill %1' EXIT").expect("bash reads");
    for (number, command) in commands.iter().chain(&block("sql")).enumerate() {
        writeln!(input, "{command}").expect("bash reads");
        if number == 0 {
            wait_for_port("127.0.0.1:1883");
        }
    }
    // The daemon ends with the shell.
    writeln!(input, "kill %1; wait").expect("bash reads");
    drop(input);
    let output = shell.wait_with_output().expect("bash ends");
    let printed = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    for word in ["press", "hall-2", "p1", "171.5", "state_temp", "61"] {
        assert!(printed.contains(word), "{word} is missing in:\n{printed}\n{said}");
    }
    assert!(printed.contains("machine,bar\np1,171.5\n"), "the answer of SQL is missing in:\n{printed}\n{said}");
}

fn wait_for_port(address: &str) {
    let until = Instant::now() + Duration::from_secs(20);
    while std::net::TcpStream::connect(address).is_err() {
        assert!(Instant::now() < until, "nothing listens at {address}");
        std::thread::yield_now();
    }
}
