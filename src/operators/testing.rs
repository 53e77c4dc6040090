//! For tests of operators: input and expectation as short text (see [`crate::table::testing`]), run whole, cut and
//! scattered; the answer has to be the same and keep what [`Transform::gives`] promises.
#![allow(clippy::unwrap_used)]

use std::cell::RefCell;
use std::sync::{Arc, LazyLock};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{Out, RowFunction, Transform};
use crate::error::{Error, Result};
use crate::flux::builtin::{Builtin, Call};
use crate::flux::eval::{EvalRequest, evaluate};
use crate::flux::host::RowHosts;
use crate::flux::library::{Library, PRELUDE, Package};
use crate::flux::value::Function;
use crate::flux::{Value, scalar};
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
    out.chunks = out.take_chunks()?;
    let gives = transform.gives(&[props]);
    if let Err(what) = check_stream(&out.chunks, gives.parts) {
        panic!("{}: {what}\n{}", transform.name(), show(&out.chunks));
    }
    Ok(out)
}

/// Runs copies of an operator, each over some of the tables of a stream, as several cores do.
fn run_copies(transform: &dyn Transform, props: StreamProps, chunks: Vec<Chunk>, random: &mut StdRng) -> Result<Out> {
    let mut operator = transform.operator(&[props])?;
    let mut copy = Some(transform.operator(&[props])?);
    let mut out = Out::default();
    let mut open = false;
    for chunk in chunks {
        if !open && random.random_bool(0.5) {
            copy.replace(transform.operator(&[props])?).into_iter().try_for_each(|copy| operator.absorb(copy))?;
        }
        open = copy.is_none() || chunk.segments.last().is_some_and(|segment| !segment.done);
        if let Some(own) = &mut copy
            && own.works_by_table(&chunk.shape)?
        {
            own.push(0, chunk, &mut out)?;
            continue;
        }
        copy.take().into_iter().try_for_each(|copy| operator.absorb(copy))?;
        open = true;
        operator.push(0, chunk, &mut out)?;
    }
    copy.into_iter().try_for_each(|copy| operator.absorb(copy))?;
    operator.finish(0, &mut out)?;
    out.chunks = out.take_chunks()?;
    if let Err(what) = check_stream(&out.chunks, transform.gives(&[props]).parts) {
        panic!("{}: {what}\n{}", transform.name(), show(&out.chunks));
    }
    Ok(out)
}

/// The answer for the input as it stands, after it was found to be the same for the input cut, scattered, and left to
/// copies if there may be some.
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
        if transform.works_by_table(&clustered) {
            let copied = run_copies(transform, clustered, recut(&chunks, random), random);
            assert_eq!(shown(&copied), text, "by copies, seed {seed}");
        }
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

/// The answer of an operator of two inputs, as text: the same whichever input ends first and however they are cut.
pub fn run_pair(transform: &dyn Transform, left: &str, right: &str) -> Result<String> {
    let props = [props(Parts::Clustered), props(Parts::Clustered)];
    let run = |order: [usize; 2], inputs: [Vec<Chunk>; 2]| {
        let mut operator = transform.operator(&props)?;
        let mut out = Out::default();
        for port in order {
            for chunk in &inputs[port] {
                operator.push(port, chunk.clone(), &mut out)?;
            }
            operator.finish(port, &mut out)?;
            out.chunks = out.take_chunks()?;
        }
        check_stream(&out.chunks, transform.gives(&props).parts).unwrap();
        Ok(show(&out.chunks))
    };
    let text = |answer: &Result<String>| match answer {
        Ok(text) => text.clone(),
        Err(error) => format!("error: {error}"),
    };
    let whole = run([0, 1], [tables(left), tables(right)]);
    for seed in 0..20 {
        let random = &mut StdRng::seed_from_u64(seed);
        let inputs = [scatter(&tables(left), random), recut(&tables(right), random)];
        assert_eq!(text(&run([1, 0], inputs)), text(&whole), "seed {seed}");
    }
    whole
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

thread_local! {
    static HOSTS: RefCell<Option<Arc<dyn RowHosts>>> = const { RefCell::new(None) };
}

fn capture(call: &mut Call<'_>) -> Result<Value> {
    let hosts = call.host.row_hosts();
    HOSTS.with(|own| *own.borrow_mut() = Some(hosts));
    call.required("fn").cloned()
}

fn convert(call: &mut Call<'_>) -> Result<Value> {
    let value = call.required("v")?;
    match call.builtin.name {
        "float" => scalar::to_float(value),
        "string" => scalar::to_string(value),
        _ => scalar::to_int(value),
    }
}

/// Gives back what it gets; nothing is known of its type.
fn opaque(call: &mut Call<'_>) -> Result<Value> {
    call.required("v").cloned()
}

fn now(call: &mut Call<'_>) -> Result<Value> {
    call.host.now_ns().map(Value::Time)
}

const fn builtin(name: &'static str, signature: &'static str, body: fn(&mut Call<'_>) -> Result<Value>) -> Builtin {
    Builtin { package: PRELUDE, name, signature, doc: "", examples: &[], body }
}

static CAPTURE: Builtin = builtin("capture", "(fn: A) => A", capture);
static FLOAT: Builtin = builtin("float", "(v: A) => float", convert);
static STRING: Builtin = builtin("string", "(v: A) => string", convert);
static INT: Builtin = builtin("int", "(v: A) => int", convert);
static OPAQUE: Builtin = builtin("opaque", "(v: A) => dynamic", opaque);
static SAME: Builtin = builtin("same", "(v: A) => A", opaque);
static NOW: Builtin = builtin("now", "() => time", now);

fn library() -> &'static Library {
    static LIBRARY: LazyLock<Library> = LazyLock::new(|| {
        let package = Package {
            path: PRELUDE,
            builtins: vec![&CAPTURE, &FLOAT, &STRING, &INT, &OPAQUE, &SAME],
            constants: vec![("true", Value::Bool(true)), ("false", Value::Bool(false))],
            options: vec![("now", Value::Function(Function::Builtin(&NOW)))],
        };
        Library::new([package]).unwrap()
    });
    &LIBRARY
}

/// The row function that is the last statement of a script. The script may call `float`, `int`, `string`, `now`, `same`
/// (of its argument's type) and `opaque` (of an unknown one).
pub fn row_function(script: &str) -> RowFunction {
    let (before, function) = script.rsplit_once('\n').unwrap_or(("", script));
    let text = format!("{before}\ncapture(fn: {function})");
    let parsed = crate::syntax::parse(&text);
    assert!(!parsed.has_errors(), "{text}: {:?}", parsed.diagnostics);
    let request = EvalRequest { now_ns: 7_000_000_000, ..EvalRequest::default() };
    let world = Arc::new(crate::flux::testing::Nowhere);
    let evaluation = evaluate(&Arc::new(parsed.file), library(), request, world).unwrap();
    let Some((_, Value::Function(Function::Closure(closure)))) = evaluation.values.last() else { panic!("a function") };
    let hosts = HOSTS.with(|own| own.borrow_mut().take()).unwrap();
    RowFunction { closure: Arc::clone(closure), hosts }
}
