//! The daemon under load from outside: lines over HTTP, messages over MQTT; CPU seconds are the daemon's alone.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::measure::cpu_time_of;

/// A daemon in a process of its own; killed when dropped.
pub struct Daemon {
    /// The process.
    pub child: Child,
    http: SocketAddr,
    mqtt: SocketAddr,
    token: String,
}

impl Daemon {
    /// Starts one in a directory, with further arguments, and returns when it says that it is ready.
    pub fn start(home: &Path, arguments: &[&str]) -> Daemon {
        let data = home.join("data");
        let mut command = Command::new(env!("CARGO_BIN_EXE_fluxmill"));
        command.arg("serve").args(["--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0"]).arg("--data-dir").arg(&data);
        command.arg("--tasks-dir").arg(home.join("tasks")).args(arguments).env("FLUXMILL_LOG_LEVEL", "error");
        let mut child = command.stdout(Stdio::piped()).spawn().expect("fluxmill starts");
        let (mut http, mut mqtt) = (None, None);
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        for line in lines.by_ref().map_while(Result::ok) {
            let address = |scheme: &str| line.split_once(scheme).and_then(|(_, rest)| rest.trim().parse().ok());
            http = http.or(address("http://"));
            mqtt = mqtt.or(address("mqtt://"));
            if line == "ready" {
                break;
            }
        }
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        let token = std::fs::read_to_string(data.join("token")).expect("a token");
        let (http, mqtt) = (http.expect("an HTTP address"), mqtt.expect("an MQTT address"));
        Daemon { child, http, mqtt, token }
    }

    /// Sends a POST; returns the status.
    pub fn post(&self, path: &str, body: &str) -> u16 {
        let answer = self.ask("POST", path, body);
        answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
    }

    /// Sends a request; returns the answer with its head.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(self.http).expect("a connection");
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Token {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            self.token,
            body.len()
        );
        stream.write_all(head.as_bytes()).expect("a request");
        stream.write_all(body.as_bytes()).expect("a body");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lines of a request.
pub const LINES: usize = 5_000;

/// The body of a write: lines of six fields, of a thousand generators, whose times follow each other over all requests.
pub fn lines(request: usize) -> String {
    let mut body = String::new();
    for line in 0..LINES {
        let time = 1_700_000_000_000_000_000i64 + (request * LINES + line) as i64 * 1_000;
        body.push_str(&format!(
            "genData,generatorID=g{} fuel={}.5,lat=1.25,load=50,lon=2.5,power=120,temperature=60.5 {time}\n",
            line % 1000,
            line % 900
        ));
    }
    body
}

/// Where lines are written to.
pub const WRITE: &str = "/api/v2/write?org=fluxmill&bucket=kafka_raw";

/// 5,000 lines a request, 6 fields a line, each request answered when durable and visible.
pub fn http() {
    let home = tempfile::tempdir().expect("a directory");
    let daemon = Daemon::start(home.path(), &[]);
    let requests = 40;
    let bodies: Vec<String> = (0..requests).map(lines).collect();
    let (cpu, wall) = (cpu_time_of(daemon.child.id()), Instant::now());
    for body in &bodies {
        assert_eq!(daemon.post(WRITE, body), 204);
    }
    let (cpu, wall) = (cpu_time_of(daemon.child.id()) - cpu, wall.elapsed());
    let points = (requests * LINES * 6) as f64;
    println!("HTTP writes, 5,000 lines a request, durable and visible: {points} points");
    println!(
        "  {:.3} CPU-s per million points, {:.0} points/s wall\n",
        cpu.as_secs_f64() / points * 1e6,
        points / wall.as_secs_f64()
    );
}

/// QoS 1 messages of 125 bytes on 50 and 1,000 connections, on the embedded log and, if a broker is named in
/// BENCH_KAFKA, on Kafka.
pub fn mqtt() {
    println!("MQTT, QoS 1, 125 B, acknowledged after the log has it; the daemon's CPU, sink included");
    let kafka = std::env::var("BENCH_KAFKA").ok();
    for (name, brokers) in [("embedded", None), ("kafka", kafka.as_deref())] {
        if name == "kafka" && brokers.is_none() {
            println!("  kafka: not measured (BENCH_KAFKA names no broker)");
            continue;
        }
        for connections in [50usize, 1_000] {
            let home = tempfile::tempdir().expect("a directory");
            let arguments: Vec<&str> = brokers.iter().flat_map(|brokers| ["--kafka", *brokers]).collect();
            let daemon = Daemon::start(home.path(), &arguments);
            let total = 200_000 / connections * connections;
            let (cpu, wall) = (cpu_time_of(daemon.child.id()), Instant::now());
            publish(daemon.mqtt, connections, total / connections);
            let (cpu, wall) = (cpu_time_of(daemon.child.id()) - cpu, wall.elapsed());
            println!(
                "  {name:>8} {connections:>5} connections: {:.2} us CPU a message, {:.0} messages/s wall",
                cpu.as_secs_f64() / total as f64 * 1e6,
                total as f64 / wall.as_secs_f64()
            );
        }
    }
    println!();
}

/// Two threads drive all connections: up to 20 messages of each are on their way.
fn publish(address: SocketAddr, connections: usize, messages: usize) {
    const WINDOW: usize = 20;
    let threads: Vec<_> = (0..2)
        .map(|half| {
            std::thread::spawn(move || {
                let mut streams: Vec<TcpStream> = (half..connections)
                    .step_by(2)
                    .map(|number| connect(address, &format!("generator{number}")))
                    .collect();
                let mut sent = 0;
                while sent < messages {
                    let count = WINDOW.min(messages - sent);
                    for (number, stream) in streams.iter_mut().enumerate() {
                        let mut frames = Vec::new();
                        for index in 0..count {
                            frames.extend(frame(&format!("generator{}", number * 2 + half), (sent + index) as u16 + 1));
                        }
                        stream.write_all(&frames).expect("messages");
                    }
                    for stream in &mut streams {
                        let mut acknowledged = vec![0u8; 4 * count];
                        stream.read_exact(&mut acknowledged).expect("acknowledgements");
                        assert!(acknowledged.chunks(4).all(|one| one[0] == 0x40), "PUBACK each");
                    }
                    sent += count;
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("a publisher");
    }
}

fn connect(address: SocketAddr, client: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 45, 0, client.len() as u8];
    body.extend(client.as_bytes());
    let mut packet = vec![0x10, body.len() as u8];
    packet.extend(body);
    stream.write_all(&packet).expect("CONNECT");
    let mut answer = [0u8; 4];
    stream.read_exact(&mut answer).expect("CONNACK");
    stream
}

fn frame(client: &str, packet: u16) -> Vec<u8> {
    let topic = format!("emergency_generator/{client}");
    let payload = format!(
        "{{\"generatorID\":\"{client}\",\"lat\":40.68,\"lon\":-74.04,\"temperature\":61.25,\"power\":186.5,\"load\":74.6,\"fuel\":612.5}}"
    );
    let mut body = vec![0, topic.len() as u8];
    body.extend(topic.as_bytes());
    body.extend(packet.to_be_bytes());
    body.extend(payload.as_bytes());
    let mut out = vec![0x32, (body.len() % 128) as u8 | 0x80, (body.len() / 128) as u8];
    if body.len() < 128 {
        out = vec![0x32, body.len() as u8];
    }
    out.extend(body);
    out
}
