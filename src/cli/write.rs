//! `fluxmill write`: line protocol from a file or standard input into a bucket.
//!
//! Called by `cli`. Sends whole lines in bodies of bounded size; what was acknowledged before an error stays.

use std::io::{BufRead, BufReader, Read};

use reqwest::Method;

use super::Outcome;
use super::arguments::WriteOptions;
use super::target::Connection;
use crate::error::{Error, Result};

/// A body is sent when it has this size.
const BODY_BYTES: usize = 1 << 20;

pub(crate) async fn run(options: WriteOptions) -> Outcome {
    let input: Box<dyn Read> = match &options.file {
        Some(path) => Box::new(
            std::fs::File::open(path)
                .map_err(|error| Error::not_found(format!("cannot read {}: {error}", path.display())))?,
        ),
        None => Box::new(std::io::stdin()),
    };
    let connection = options.target.connect().await?;
    let outcome = send_all(&connection, &options, BufReader::new(input)).await;
    connection.close().await?;
    let lines = outcome?;
    eprintln!("{lines} lines written to {}", options.bucket);
    Ok(())
}

async fn send_all(connection: &Connection, options: &WriteOptions, mut input: impl BufRead) -> Result<usize> {
    let mut body = Vec::new();
    let (mut lines, mut sent) = (0, 0);
    loop {
        // A string field may hold line ends: a body may only be cut where no string is open.
        let read = input.read_until(b'\n', &mut body)?;
        lines += usize::from(read > 0);
        let whole = read == 0 || quotes_are_closed(&body);
        if read == 0 || (whole && body.len() >= BODY_BYTES) {
            if !body.is_empty() {
                send(connection, options, std::mem::take(&mut body), sent).await?;
                sent = lines;
            }
            if read == 0 {
                return Ok(lines);
            }
        }
    }
}

fn quotes_are_closed(body: &[u8]) -> bool {
    let mut open = false;
    let mut escaped = false;
    for byte in body {
        match byte {
            b'\\' if !escaped => escaped = true,
            b'"' if !escaped => open = !open,
            _ => escaped = false,
        }
        if *byte != b'\\' {
            escaped = false;
        }
    }
    !open
}

async fn send(connection: &Connection, options: &WriteOptions, body: Vec<u8>, sent: usize) -> Result<()> {
    let parameters = [("org", "fluxmill"), ("bucket", &*options.bucket), ("precision", &*options.precision)];
    let request = connection.client.request(Method::POST, "/api/v2/write", &parameters).body(body);
    match connection.client.send(request).await {
        Ok(_) => Ok(()),
        Err(error) if sent > 0 => Err(error.context(format!("after {sent} lines that are written"))),
        Err(error) => Err(error),
    }
}
