//! `fluxmill route try`: what a configuration does to a message, without a daemon.
//!
//! Called by `cli`.

use std::io::Read;

use super::arguments::{RouteAction, RouteOptions};
use super::{Failure, Outcome};
use crate::clock::{Clock, SystemClock};
use crate::config;
use crate::error::Error;
use crate::ingest::route::{Routes, try_route};
use crate::point::line_protocol;

pub(crate) fn run(options: RouteOptions) -> Outcome {
    let config = config::load(options.config.as_deref())?;
    let routes = Routes::new(&config.routes)?;
    let RouteAction::Try { topic, payload } = options.action;
    let payload = if payload == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes)?;
        bytes
    } else {
        payload.into_bytes()
    };
    let Some(tried) = try_route(&routes, &topic, &payload, SystemClock.now_ns()) else {
        let filters: Vec<&str> = config.routes.iter().map(|route| route.filter.as_str()).collect();
        return Err(Error::not_found(format!("no route matches {topic:?}"))
            .with_hint(format!("the filters are: {}", filters.join(", ")))
            .into());
    };
    println!("filter  {}", tried.filter);
    println!("topic   {}", tried.topic);
    println!("key     {}", String::from_utf8_lossy(&tried.key));
    for point in &tried.decoded.points {
        let mut line = String::new();
        match line_protocol::write(&mut line, point) {
            Ok(()) => println!("point   {line}"),
            Err(unwritable) => println!("point   {point:?} ({unwritable:?})"),
        }
    }
    for problem in &tried.decoded.problems {
        println!("dead letter: {problem}");
    }
    if tried.decoded.problems.is_empty() { Ok(()) } else { Err(Failure::Said(1)) }
}
