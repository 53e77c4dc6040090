//! For tests of operators: input and expectation as short text (see [`crate::table::testing`]), run whole, cut and
//! scattered; the answer has to be the same and keep what [`Transform::gives`] promises.
#![allow(clippy::unwrap_used)]

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::{Out, Transform};
use crate::error::{Error, Result};
use crate::table::check::check_stream;
use crate::table::scan::{Parts, StreamProps, TableOrder};
use crate::table::testing::{normal, recut, scatter, show, tables};
use crate::table::{Bounds, Chunk};

/// Nothing is known of the stream but how its parts come.
pub fn props(parts: Parts) -> StreamProps {
    StreamProps {
        parts,
        tables: TableOrder::Arrival,
        rows_by_time: false,
        unique_keys: true,
        one_shape: false,
        bounds: None,
    }
}

/// As [`props`], with bounds in seconds.
pub fn bounded(parts: Parts, start: i64, stop: i64) -> StreamProps {
    let second = 1_000_000_000;
    StreamProps { bounds: Some(Bounds { start_ns: start * second, stop_ns: stop * second }), ..props(parts) }
}

/// Runs an operator of one input over a stream.
pub fn run(transform: &dyn Transform, props: StreamProps, chunks: Vec<Chunk>) -> Result<Out> {
    let mut operator = transform.operator(&[props])?;
    let mut out = Out::default();
    for chunk in chunks {
        operator.push(0, chunk, &mut out)?;
    }
    operator.finish(0, &mut out)?;
    let gives = transform.gives(&[props]);
    if let Err(what) = check_stream(&out.chunks, gives.parts) {
        panic!("{}: {what}\n{}", transform.name(), show(&out.chunks));
    }
    Ok(out)
}

/// The answer for the input as it stands, after it was found to be the same for the input cut and scattered.
pub fn answer(transform: &dyn Transform, props: StreamProps, input: &str) -> Result<Out> {
    let chunks = tables(input);
    let clustered = StreamProps { parts: Parts::Clustered, ..props };
    let scattered = StreamProps { parts: Parts::Scattered, ..props };
    let whole = run(transform, clustered, chunks.clone());
    let text = shown(&whole);
    for seed in 0..40 {
        let random = &mut StdRng::seed_from_u64(seed);
        let cut = recut(&chunks, random);
        check_stream(&cut, Parts::Clustered).unwrap();
        assert_eq!(shown(&run(transform, clustered, cut.clone())), text, "cut, seed {seed}");
        assert_eq!(shown(&run(transform, scattered, cut)), text, "cut, taken as scattered, seed {seed}");
        let mixed = scatter(&chunks, random);
        check_stream(&mixed, Parts::Scattered).unwrap();
        assert_eq!(shown(&run(transform, scattered, mixed)), text, "scattered, seed {seed}");
    }
    whole
}

fn shown(out: &Result<Out>) -> String {
    match out {
        Ok(out) => show(&out.chunks),
        Err(error) => format!("error: {error}"),
    }
}

/// Expects an operator to make `expected` of `input`.
pub fn expect(transform: &dyn Transform, input: &str, expected: &str) {
    let out = answer(transform, props(Parts::Clustered), input).unwrap();
    assert_eq!(show(&out.chunks), normal(expected));
}

/// Expects an operator to fail on `input`.
pub fn expect_error(transform: &dyn Transform, input: &str) -> Error {
    match answer(transform, props(Parts::Clustered), input) {
        Ok(out) => panic!("no error but {}", show(&out.chunks)),
        Err(error) => error,
    }
}
