//! `fluxmill demo`: its arguments, its log level, and Ctrl-C.
//!
//! Called by `cli`. What is shown stands in `demo`.

use tokio_util::sync::CancellationToken;

use super::Outcome;
use super::arguments::DemoOptions as Arguments;
use super::output::parse_span;
use crate::demo::{self, DemoOptions};
use crate::telemetry;

pub(crate) async fn run(arguments: Arguments) -> Outcome {
    telemetry::log_to_stderr("warn");
    let options = DemoOptions {
        duration: parse_span("--for", &arguments.duration)?,
        generators: arguments.generators,
        kafka: arguments.kafka,
        keep: arguments.keep,
    };
    let stop = CancellationToken::new();
    let on_interrupt = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            on_interrupt.cancel();
        }
    });
    Ok(demo::run(options, stop, &mut std::io::stdout()).await?)
}
