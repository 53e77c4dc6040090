//! The arguments of every subcommand: the contract that scripts rely on.
//!
//! Read by `cli` once; plain data after that.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::target::Target;

/// Devices speak MQTT to it, a durable log keeps every message, Flux tasks run over it on time.
#[derive(Parser, Debug)]
#[command(name = "fluxmill", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Show the whole way, from MQTT devices to downsampled rows, in a fresh directory on free ports
    Demo(DemoOptions),
    /// Run the daemon: MQTT, log, sink, buckets, tasks, HTTP
    Serve(Box<ServeOptions>),
    /// Run one Flux script
    Query(QueryOptions),
    /// Run one statement of SQL: SELECT ... FROM bucket.measurement
    Sql(SqlOptions),
    /// Flux by the line: completion, history, plots, tasks from queries
    #[cfg(feature = "repl")]
    Repl(ReplOptions),
    /// Check task files: every problem with file, line, caret and hint
    Check(CheckOptions),
    /// Show how a script is read and run: tokens, tree, types, plan, and what each step costs
    Explain(ExplainOptions),
    /// Format scripts: one pipe a line, comments kept
    Fmt(FmtOptions),
    /// Tasks and their runs
    Task(TaskOptions),
    /// Run the test cases of Flux files
    Test(TestOptions),
    /// Write line protocol into a bucket
    Write(WriteOptions),
    /// Be a fleet of generators that publish over MQTT
    Simulate(SimulateArguments),
    /// Topics of the log
    Topic(TopicOptions),
    /// Records that could not be decoded or kept
    DeadLetter(DeadLetterOptions),
    /// Try what becomes of an MQTT message
    Route(RouteOptions),
    /// Buckets
    Bucket(BucketOptions),
    /// Access tokens
    Token(TokenOptions),
}

#[derive(Args, Debug)]
pub(crate) struct DemoOptions {
    /// How long it goes on
    #[arg(long = "for", value_name = "DURATION", default_value = "90s")]
    pub duration: String,
    /// How many generators publish
    #[arg(long, default_value_t = 50)]
    pub generators: usize,
    /// Keep everything on a Kafka cluster instead of the embedded log
    #[arg(long, value_name = "BROKERS")]
    pub kafka: Option<String>,
    /// Keep the data directory afterwards (its path is printed)
    #[arg(long)]
    pub keep: bool,
}

#[derive(Args, Debug, Default)]
pub(crate) struct ServeOptions {
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "FLUXMILL_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where everything is kept (default ./fluxmill-data)
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The directory of task files (default ./tasks)
    #[arg(long, value_name = "DIR")]
    pub tasks_dir: Option<PathBuf>,
    /// The HTTP listener, or off (default 127.0.0.1:8086)
    #[arg(long, value_name = "ADDR|off")]
    pub http: Option<String>,
    /// The MQTT listener, or off (default 127.0.0.1:1883)
    #[arg(long, value_name = "ADDR|off")]
    pub mqtt: Option<String>,
    /// Keep the log on this Kafka cluster
    #[arg(long, value_name = "BROKERS")]
    pub kafka: Option<String>,
    /// Ask for no token (on loopback only)
    #[arg(long)]
    pub no_auth: bool,
    /// Listen off loopback although the listener has no users
    #[arg(long)]
    pub insecure: bool,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// Aligned text, a block per table
    Table,
    /// Annotated CSV, as InfluxDB answers
    Csv,
    /// One JSON object per row and line
    Json,
}

#[derive(Args, Debug)]
pub(crate) struct QueryOptions {
    /// The script; `-` reads standard input
    #[arg(value_name = "TEXT", required_unless_present = "file", conflicts_with = "file")]
    pub text: Option<String>,
    /// A file with the script
    #[arg(short = 'f', long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// What now() is, in RFC 3339
    #[arg(long, value_name = "TIME")]
    pub now: Option<String>,
    /// How results are printed: table on a terminal, csv in a pipe
    #[arg(long, value_enum)]
    pub format: Option<OutputFormat>,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Args, Debug)]
pub(crate) struct SqlOptions {
    /// The statement; `-` reads standard input
    #[arg(value_name = "TEXT", required_unless_present = "file", conflicts_with = "file")]
    pub text: Option<String>,
    /// A file with the statement
    #[arg(short = 'f', long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// What now() is, in RFC 3339
    #[arg(long, value_name = "TIME")]
    pub now: Option<String>,
    /// Give up after so long
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<String>,
    /// How rows are printed: table on a terminal, csv in a pipe
    #[arg(long, value_enum)]
    pub format: Option<OutputFormat>,
    #[command(flatten)]
    pub target: Target,
}

#[cfg(feature = "repl")]
#[derive(Args, Debug)]
pub(crate) struct ReplOptions {
    /// Where :as-task writes files (default: the tasks directory of the data directory's daemon, else ./tasks)
    #[arg(long, value_name = "DIR")]
    pub tasks_dir: Option<PathBuf>,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Args, Debug)]
pub(crate) struct CheckOptions {
    /// Files or directories
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// Also fail on warnings
    #[arg(long, value_name = "warnings", value_parser = ["warnings"])]
    pub deny: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What of a script is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExplainStage {
    /// The tokens of the text
    Tokens,
    /// Its tree
    Ast,
    /// Its names with their types, and its problems
    Checked,
    /// What its scans take over and what its operators do
    Plan,
    /// All of it
    All,
}

/// How an explanation is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExplainFormat {
    /// For people
    Text,
    /// One JSON object
    Json,
}

#[derive(Args, Debug)]
pub(crate) struct ExplainOptions {
    /// The script; `-` reads standard input
    #[arg(value_name = "TEXT", required_unless_present = "file", conflicts_with = "file")]
    pub text: Option<String>,
    /// A file with the script
    #[arg(short = 'f', long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// What is shown
    #[arg(long, value_enum, default_value = "plan")]
    pub stage: ExplainStage,
    /// Also run the plan and show rows, chunks, bytes and time of each step; points are not written
    #[arg(long)]
    pub analyze: bool,
    /// What now() is, in RFC 3339
    #[arg(long, value_name = "TIME")]
    pub now: Option<String>,
    /// How it is printed
    #[arg(long, value_enum, default_value = "text")]
    pub format: ExplainFormat,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Args, Debug)]
pub(crate) struct FmtOptions {
    /// Files or directories; `-` reads standard input
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// Name the files that would change, and fail if there are any; change nothing
    #[arg(long, conflicts_with = "write")]
    pub check: bool,
    /// Write each file in place
    #[arg(short, long)]
    pub write: bool,
}

#[derive(Args, Debug)]
pub(crate) struct TaskOptions {
    #[command(subcommand)]
    pub action: TaskAction,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Subcommand, Debug)]
pub(crate) enum TaskAction {
    /// All tasks: schedule, last run, state
    List,
    /// One task: script, schedule, last error
    Show {
        /// Name or id
        task: String,
    },
    /// Run the latest slot again now
    Run {
        /// Name or id
        task: String,
        /// Another slot, in RFC 3339
        #[arg(long, value_name = "TIME")]
        slot: Option<String>,
    },
    /// The latest runs: slot, window, rows, duration, error
    Runs {
        /// Name or id
        task: String,
        /// How many
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// What would run: missed slots, due ones, the next ones; nothing is started
    Plan {
        /// Name or id
        task: String,
        /// How many of the next slots
        #[arg(long, default_value_t = 5)]
        count: usize,
    },
    /// Run all slots of a range again, or for the first time
    Backfill {
        /// Name or id
        task: String,
        /// The first slot is at or after this time, in RFC 3339
        #[arg(long, value_name = "TIME")]
        from: String,
        /// The last slot is before this time, in RFC 3339; now without it
        #[arg(long, value_name = "TIME")]
        to: Option<String>,
    },
    /// Run the slot of a run again: the newest that has failed, unless one is named
    Retry {
        /// Name or id
        task: String,
        /// The id of the run
        run: Option<String>,
    },
    /// Cancel a run: all that are under way, unless one is named
    Cancel {
        /// Name or id
        task: String,
        /// The id of the run
        run: Option<String>,
    },
    /// Stop running a task; what runs is ended, and its slot runs after a resume
    Pause {
        /// Name or id
        task: String,
    },
    /// Run a paused task again; what was missed is caught up
    Resume {
        /// Name or id
        task: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct TestOptions {
    /// Files, or directories with files *_test.flux
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// Also run cases with these tags (a case runs if all of its tags are given)
    #[arg(long, value_name = "TAG", value_delimiter = ',')]
    pub tags: Vec<String>,
    /// Do not run cases of these names
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub skip: Vec<String>,
    /// Run cases of these names only, whatever their tags
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub test: Vec<String>,
    /// Do not run cases without a tag
    #[arg(long)]
    pub skip_untagged: bool,
    /// Name the cases that pass, too
    #[arg(short, long)]
    pub verbose: bool,
}

#[derive(Args, Debug)]
pub(crate) struct WriteOptions {
    /// The bucket
    #[arg(short, long)]
    pub bucket: String,
    /// The unit of timestamps: ns, us, ms, s
    #[arg(long, default_value = "ns")]
    pub precision: String,
    /// A file of line protocol; standard input without it
    pub file: Option<PathBuf>,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Args, Debug)]
pub(crate) struct SimulateArguments {
    /// The MQTT listener
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:1883")]
    pub mqtt: String,
    /// How many generators
    #[arg(long, default_value_t = 50)]
    pub generators: usize,
    /// How long; without it until interrupted
    #[arg(long = "for", value_name = "DURATION")]
    pub duration: Option<String>,
    /// First send this much history (its messages carry a time)
    #[arg(long, value_name = "DURATION")]
    pub history: Option<String>,
    /// The longest pause of a generator; the shortest is a third of it
    #[arg(long, value_name = "DURATION", default_value = "15s")]
    pub interval: String,
    /// MQTT quality of service, 0 or 1
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=1))]
    pub qos: u8,
    /// Equal seeds give equal fleets
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

#[derive(Args, Debug)]
pub(crate) struct TopicOptions {
    #[command(subcommand)]
    pub action: TopicAction,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Subcommand, Debug)]
pub(crate) enum TopicAction {
    /// All topics: partitions, offsets
    List,
    /// Print records
    Tail {
        /// The topic
        name: String,
        /// The first offset; without it the last ten records of each partition
        #[arg(long, value_name = "OFFSET")]
        from: Option<u64>,
        /// Go on as records arrive
        #[arg(long, short)]
        follow: bool,
        /// One JSON object per record, with key, headers and offset
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args, Debug)]
pub(crate) struct DeadLetterOptions {
    #[command(subcommand)]
    pub action: DeadLetterAction,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Subcommand, Debug)]
pub(crate) enum DeadLetterAction {
    /// Topics with dead letters, and how many for which reason
    List,
    /// The dead letters of a topic: where they stood, why, and their bytes
    Show {
        /// The topic that they came from
        topic: String,
        /// How many of the newest
        #[arg(long, default_value_t = 10)]
        limit: usize,
    },
    /// Append the records again, with their own arrival times: those that were not replayed before
    Replay {
        /// The topic that they came from
        topic: String,
        /// Also those that were replayed before
        #[arg(long)]
        all: bool,
        /// Only the record that stood there, as `show` prints it
        #[arg(long, value_name = "PARTITION/OFFSET")]
        only: Option<String>,
    },
}

#[derive(Args, Debug)]
pub(crate) struct RouteOptions {
    #[command(subcommand)]
    pub action: RouteAction,
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "FLUXMILL_CONFIG", global = true)]
    pub config: Option<PathBuf>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum RouteAction {
    /// Print topic, key and points of a message, or why it would be a dead letter
    Try {
        /// The MQTT topic
        topic: String,
        /// The payload; `-` reads standard input
        payload: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct BucketOptions {
    #[command(subcommand)]
    pub action: BucketAction,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Subcommand, Debug)]
pub(crate) enum BucketAction {
    /// All buckets
    List,
    /// Make a bucket
    Create {
        /// Its name
        name: String,
        /// How long rows are kept, such as 30d; without it for ever
        #[arg(long, value_name = "DURATION")]
        retention: Option<String>,
    },
    /// Delete a bucket with all its rows
    Delete {
        /// Its name
        name: String,
    },
    /// Delete rows of a bucket
    DeleteRows {
        /// Its name
        name: String,
        /// From here, in RFC 3339
        #[arg(long, value_name = "TIME")]
        start: String,
        /// To here, included, in RFC 3339
        #[arg(long, value_name = "TIME")]
        stop: String,
        /// Only those, such as `_measurement="m" and host="a"`
        #[arg(long, value_name = "PREDICATE", default_value = "")]
        predicate: String,
    },
    /// Make one sorted group of files of each day
    Compact {
        /// Its name
        name: String,
    },
    /// Drop all rows and read the bucket's topics again
    Rebuild {
        /// Its name
        name: String,
        /// Also where the log no longer has the beginning of a topic: rows from before are lost
        #[arg(long)]
        force: bool,
    },
    /// Give a field another type and read the bucket's topics again
    Retype {
        /// The bucket's name
        name: String,
        /// The measurement
        measurement: String,
        /// The field
        field: String,
        /// The new type
        #[arg(value_name = "TYPE", value_parser = ["bool", "int", "uint", "float", "string"])]
        to: String,
    },
    /// Files, rows, bytes, bytes per point, rows in memory, series
    Stats {
        /// Its name
        name: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct TokenOptions {
    #[command(subcommand)]
    pub action: TokenAction,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Subcommand, Debug)]
pub(crate) enum TokenAction {
    /// All tokens but the operator's
    List,
    /// Make a token and print it, once
    Create {
        /// What it is for
        #[arg(long, default_value = "")]
        description: String,
        /// It may read, not write
        #[arg(long, conflicts_with = "write_only")]
        read_only: bool,
        /// It may write and change, not read
        #[arg(long)]
        write_only: bool,
    },
    /// Revoke a token
    Revoke {
        /// Its id
        id: String,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_fit_together() {
        super::Arguments::command().debug_assert();
    }
}
