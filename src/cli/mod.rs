//! The command line: one file per subcommand, one door to the data.
//!
//! Called by `main` only. It parses arguments, prints, and turns errors into exit statuses; whatever it does to data goes
//! through the HTTP API, of a running daemon or of one that it starts over the data directory for itself.

mod arguments;
mod bucket;
mod check;
mod client;
mod dead_letter;
mod demo;
mod explain;
mod files;
mod fmt;
mod output;
mod query;
#[cfg(feature = "repl")]
mod repl;
mod route;
mod serve;
mod simulate;
mod sql;
mod target;
mod task;
mod test;
mod token;
mod topic;
mod write;

use std::process::ExitCode;

use clap::Parser;

use crate::error::{Error, ErrorKind};
use arguments::{Arguments, Command};

/// Exit status after an interrupt (Ctrl-C), as shells give it.
const INTERRUPTED: u8 = 130;

/// What a command ends with, when it does not end well.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something to say, and a status that follows from its kind.
    Error(Error),
    /// Everything has been said already (diagnostics with carets); only the status is left.
    Said(u8),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Error(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::Error(error.into())
    }
}

/// What a command returns.
pub(crate) type Outcome = std::result::Result<(), Failure>;

/// Runs the program: arguments from the process, output to its streams.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the runtime does not start: {error}");
            return ExitCode::from(1);
        }
    };
    let outcome = runtime.block_on(run(arguments));
    // A thread that still reads a broker or a file must not keep a finished program alive.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Said(status)) => ExitCode::from(status),
        Err(Failure::Error(error)) => {
            eprintln!("error: {error}");
            if let Some(hint) = error.hint() {
                eprintln!("  help: {hint}");
            }
            ExitCode::from(status_of(error.kind()))
        }
    }
}

async fn run(arguments: Arguments) -> Outcome {
    match arguments.command {
        Command::Demo(options) => demo::run(options).await,
        Command::Serve(options) => serve::run(*options).await,
        Command::Query(options) => interruptible(query::run(options)).await,
        Command::Sql(options) => interruptible(sql::run(options)).await,
        #[cfg(feature = "repl")]
        Command::Repl(options) => repl::run(options).await,
        Command::Check(options) => check::run(&options),
        Command::Explain(options) => interruptible(explain::run(options)).await,
        Command::Fmt(options) => fmt::run(&options),
        Command::Task(options) => interruptible(task::run(options)).await,
        Command::Test(options) => interruptible(test::run(options)).await,
        Command::Write(options) => interruptible(write::run(options)).await,
        Command::Simulate(options) => simulate::run(options).await,
        Command::Topic(options) => interruptible(topic::run(options)).await,
        Command::DeadLetter(options) => interruptible(dead_letter::run(options)).await,
        Command::Route(options) => route::run(options),
        Command::Bucket(options) => interruptible(bucket::run(options)).await,
        Command::Token(options) => interruptible(token::run(options)).await,
    }
}

/// Runs a command until it ends or the user interrupts it.
async fn interruptible(command: impl Future<Output = Outcome>) -> Outcome {
    tokio::select! {
        outcome = command => outcome,
        _ = tokio::signal::ctrl_c() => Err(Failure::Said(INTERRUPTED)),
    }
}

/// The exit status of an error: 2 for a script, usage or configuration that is wrong, 130 for an interrupt, else 1.
fn status_of(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Invalid | ErrorKind::Unimplemented => 2,
        ErrorKind::Canceled => INTERRUPTED,
        _ => 1,
    }
}
