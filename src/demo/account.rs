//! What the demo prints: a living account, each line with the seconds since the start.
//!
//! Used by the demo only. It prints to what it is given.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use super::outside::{Run, Totals};
use crate::daemon::Daemon;
use crate::error::Result;
use crate::simulate::SimulateReport;
use crate::table::Chunk;
use crate::table::text::TextWriter;

/// The account so far.
pub(super) struct Account<'a> {
    began: Instant,
    out: &'a mut (dyn Write + Send),
}

impl<'a> Account<'a> {
    pub(super) fn new(began: Instant, out: &'a mut (dyn Write + Send)) -> Self {
        Account { began, out }
    }

    fn line(&mut self, text: &str) -> Result<()> {
        let seconds = self.began.elapsed().as_secs_f64();
        writeln!(self.out, "{seconds:6.1} s  {text}")?;
        self.out.flush()?;
        Ok(())
    }

    pub(super) fn header(&mut self, daemon: &Daemon, generators: usize) -> Result<()> {
        writeln!(self.out, "One process, nothing else needed:\n")?;
        if let Some(address) = daemon.mqtt_address() {
            writeln!(self.out, "  mqtt     {address}   {generators} generators publish here, as outside clients")?;
        }
        writeln!(self.out, "  log      {}", daemon.describe_log())?;
        writeln!(self.out, "  buckets  {}", daemon.directory().display())?;
        writeln!(self.out, "  http     {}\n", daemon.http_url().unwrap_or_default())?;
        self.line("the daemon is ready")
    }

    pub(super) fn history(&mut self, messages: u64, generators: usize) -> Result<()> {
        self.line(&format!(
            "{generators} generators have published the last hour: {messages} messages, each acknowledged after an fsync"
        ))
    }

    pub(super) fn task(&mut self, directory: &Path) -> Result<()> {
        self.line(&format!("a task file appears: {}", directory.join("generator_downsample.flux").display()))
    }

    pub(super) fn run(&mut self, run: &Run) -> Result<()> {
        let Run { scheduled_for, rows_in, rows_out, duration_ms, .. } = run;
        if run.succeeded() {
            return self.line(&format!(
                "run for {scheduled_for}: {rows_in} rows in, {rows_out} out, durable after {duration_ms:.0} ms"
            ));
        }
        let error = run.error.as_deref().unwrap_or("no reason given");
        self.line(&format!("run for {scheduled_for}: {}: {error}", run.status))
    }

    pub(super) fn rows(&mut self, chunks: &[Chunk]) -> Result<()> {
        self.line("the lowest tanks in bucket kafka_downsampled (the same rows stand on the topic of that name):")?;
        writeln!(self.out)?;
        let mut writer = TextWriter::new(Vec::new(), None);
        for chunk in chunks {
            writer.chunk(chunk)?;
        }
        for line in String::from_utf8_lossy(&writer.into_inner()).lines() {
            writeln!(self.out, "    {line}")?;
        }
        writeln!(self.out)?;
        self.out.flush()?;
        Ok(())
    }

    pub(super) fn live(&mut self, fleet: &SimulateReport) -> Result<()> {
        self.line(&format!("live: {} messages sent, {} acknowledged", fleet.sent, fleet.acknowledged))
    }

    pub(super) fn end(&mut self, fleet: &SimulateReport, totals: &Totals) -> Result<()> {
        let total = fleet.history + fleet.acknowledged;
        self.line(&format!("the end: {total} messages acknowledged; records in the log:"))?;
        for (topic, records) in &totals.topics {
            writeln!(self.out, "            {records:>8}  {topic}")?;
        }
        Ok(())
    }
}
