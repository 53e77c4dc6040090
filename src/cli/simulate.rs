//! `fluxmill simulate`: a fleet of generators as outside clients on real MQTT sockets.
//!
//! Called by `cli`. The fleet itself stands in `simulate`; here are its arguments and its account.

use tokio_util::sync::CancellationToken;

use super::arguments::SimulateArguments;
use super::output::parse_span;
use super::{Failure, INTERRUPTED, Outcome};
use crate::simulate::{self, SimulateOptions};

pub(crate) async fn run(arguments: SimulateArguments) -> Outcome {
    let span = |what, text: &Option<String>| text.as_deref().map(|text| parse_span(what, text)).transpose();
    let options = SimulateOptions {
        address: arguments.mqtt.clone(),
        generators: arguments.generators,
        duration: span("--for", &arguments.duration)?,
        history: span("--history", &arguments.history)?,
        interval: parse_span("--interval", &arguments.interval)?,
        qos: arguments.qos,
        seed: arguments.seed,
    };
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let fleet = tokio::spawn(async move { simulate::run(options, cancel).await });
    tokio::pin!(fleet);
    let (report, interrupted) = tokio::select! {
        report = &mut fleet => (report, false),
        _ = tokio::signal::ctrl_c() => {
            stop.cancel();
            (fleet.await, true)
        }
    };
    let report = report.map_err(|error| crate::error::Error::internal(format!("the fleet ended: {error}")))??;
    eprintln!("{report}");
    if interrupted && arguments.duration.is_some() { Err(Failure::Said(INTERRUPTED)) } else { Ok(()) }
}
