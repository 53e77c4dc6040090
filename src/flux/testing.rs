//! A small library for the tests of the language: a few builtins of each kind, streams that are lists of words.
//!
//! Used by the tests of `flux` only. The real builtins stand upstairs, where the language does not reach.

use std::any::Any;
use std::sync::{Arc, LazyLock};

use super::builtin::{Builtin, Call};
use super::host::{PIPED, World};
use super::library::{Library, PRELUDE, Package};
use super::value::{Function, Stream};
use super::{Value, scalar};
use crate::error::{Error, Result};
use crate::table::{Chunk, Name};
use crate::time::Duration;

/// A stream that knows the calls that made it.
#[derive(Debug)]
pub(crate) struct Steps(pub(crate) Vec<String>);

impl Stream for Steps {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

/// What made a stream: `from(a) range`.
pub(crate) fn shown(stream: &Arc<dyn Stream>) -> String {
    stream.as_any().downcast_ref::<Steps>().map_or_else(|| "?".to_string(), |steps| steps.0.join(" "))
}

fn text_of(call: &Call<'_>, name: &str) -> Result<String> {
    match call.required(name)? {
        Value::String(text) => Ok(text.to_string()),
        other => Err(Error::invalid(format!("expected string but found {} (argument {name})", other.type_name()))),
    }
}

fn extended(call: &Call<'_>, step: String) -> Result<Arc<dyn Stream>> {
    let Value::Stream(stream) = call.required("tables")? else {
        return Err(Error::invalid("expected stream (argument tables)"));
    };
    Ok(Arc::new(Steps(vec![format!("{} {step}", shown(stream))])))
}

fn from(call: &mut Call<'_>) -> Result<Value> {
    Ok(Value::Stream(Arc::new(Steps(vec![format!("from({})", text_of(call, "bucket")?)]))))
}

fn pass(call: &mut Call<'_>) -> Result<Value> {
    Ok(Value::Stream(extended(call, call.builtin.name.to_string())?))
}

fn yields(call: &mut Call<'_>) -> Result<Value> {
    let name = call.optional("name").map_or(Ok("_result".to_string()), |_| text_of(call, "name"))?;
    let stream = extended(call, format!("yield({name})"))?;
    call.host.side_effect(Arc::clone(&stream));
    Ok(Value::Stream(stream))
}

fn now(call: &mut Call<'_>) -> Result<Value> {
    call.host.now_ns().map(Value::Time)
}

fn convert(call: &mut Call<'_>) -> Result<Value> {
    let value = call.required("v")?;
    match call.builtin.name {
        "float" => scalar::to_float(value),
        "string" => scalar::to_string(value),
        _ => scalar::to_int(value),
    }
}

fn add(call: &mut Call<'_>) -> Result<Value> {
    match (call.required("to")?, call.required("d")?) {
        (Value::Time(time_ns), Value::Duration(duration)) => Ok(Value::Time(duration.add_to(*time_ns))),
        _ => Err(Error::invalid("expected time and duration")),
    }
}

fn map(call: &mut Call<'_>) -> Result<Value> {
    let (Value::Array(items), Value::Function(function)) = (call.required("arr")?, call.required("fn")?) else {
        return Err(Error::invalid("expected array and function"));
    };
    let (items, function) = (Arc::clone(items), function.clone());
    let mapped: Result<Vec<Value>> =
        items.iter().map(|item| call.host.call(&function, vec![("x".into(), item.clone())])).collect();
    Ok(Value::Array(mapped?.into()))
}

/// Calls `fn` with the piped stream and a column, as `aggregateWindow` does.
fn aggregate(call: &mut Call<'_>) -> Result<Value> {
    let Value::Function(function) = call.required("fn")?.clone() else { return Err(Error::invalid("no function")) };
    let tables = call.required("tables")?.clone();
    call.host.call(&function, vec![("column".into(), Value::string("_value")), (PIPED.into(), tables)])
}

fn location(call: &mut Call<'_>) -> Result<Value> {
    Ok(call.host.option(PRELUDE, "location").unwrap_or(Value::Null))
}

fn last_success(call: &mut Call<'_>) -> Result<Value> {
    Ok(call.host.option("influxdata/influxdb/tasks", "lastSuccessTime").unwrap_or(Value::Null))
}

const fn builtin(
    package: &'static str,
    name: &'static str,
    signature: &'static str,
    body: fn(&mut Call<'_>) -> Result<Value>,
) -> Builtin {
    Builtin { package, name, signature, doc: "", examples: &[], body }
}

const FILTER_TYPE: &str = "(<-tables: stream[A], fn: (r: A) => bool, ?onEmpty: string) => stream[A] where A: Record";
const MAP_TYPE: &str = "(<-tables: stream[A], fn: (r: A) => B) => stream[B]";
const AGGREGATE_TYPE: &str = "(<-tables: stream[A], every: duration, \
                              fn: (<-: stream[A], column: string) => stream[B], ?createEmpty: bool) => stream[B]";
const RANGE_TYPE: &str = "(<-tables: stream[A], start: B, ?stop: C) => stream[A]";

static FROM: Builtin = builtin(PRELUDE, "from", "(?bucket: string, ?bucketID: string) => stream[A]", from);
static RANGE: Builtin = builtin(PRELUDE, "range", RANGE_TYPE, pass);
static FILTER: Builtin = builtin(PRELUDE, "filter", FILTER_TYPE, pass);
static MAP: Builtin = builtin(PRELUDE, "map", MAP_TYPE, pass);
static GROUP: Builtin = builtin(PRELUDE, "group", "(<-tables: stream[A], ?columns: [string]) => stream[A]", pass);
static MEAN: Builtin = builtin(PRELUDE, "mean", "(<-tables: stream[A], ?column: string) => stream[B]", pass);
static LIMIT: Builtin = builtin(PRELUDE, "limit", "(<-tables: stream[A], n: int) => stream[A]", pass);
static AGGREGATE_WINDOW: Builtin = builtin(PRELUDE, "aggregateWindow", AGGREGATE_TYPE, aggregate);
static YIELD: Builtin = builtin(PRELUDE, "yield", "(<-tables: stream[A], ?name: string) => stream[A]", yields);
static NOW: Builtin = builtin(PRELUDE, "now", "() => time", now);
static FLOAT: Builtin = builtin(PRELUDE, "float", "(v: A) => float", convert);
static STRING: Builtin = builtin(PRELUDE, "string", "(v: A) => string", convert);
static INT: Builtin = builtin(PRELUDE, "int", "(v: A) => int", convert);
static HERE: Builtin = builtin(PRELUDE, "here", "() => {zone: string, offset: duration}", location);
static DATE_ADD: Builtin = builtin("date", "add", "(d: duration, to: T) => time where T: Timeable", add);
static ARRAY_MAP: Builtin = builtin("array", "map", "(<-arr: [A], fn: (x: A) => B) => [B]", map);
static LAST_SUCCESS: Builtin =
    builtin("influxdata/influxdb/tasks", "lastSuccess", "(orTime: T) => time where T: Timeable", last_success);

/// The library of the tests.
pub(crate) fn library() -> &'static Library {
    static LIBRARY: LazyLock<Library> = LazyLock::new(make);
    &LIBRARY
}

fn make() -> Library {
    let utc = Value::record([("zone", Value::string("UTC")), ("offset", Value::Duration(Duration::ZERO))]);
    let universe = Package {
        path: PRELUDE,
        builtins: vec![
            &FROM,
            &RANGE,
            &FILTER,
            &MAP,
            &GROUP,
            &MEAN,
            &LIMIT,
            &AGGREGATE_WINDOW,
            &YIELD,
            &FLOAT,
            &STRING,
            &INT,
            &HERE,
        ],
        constants: vec![("true", Value::Bool(true)), ("false", Value::Bool(false))],
        options: vec![("now", Value::Function(Function::Builtin(&NOW))), ("location", utc)],
    };
    let packages = [
        universe,
        Package {
            path: "date",
            builtins: vec![&DATE_ADD],
            constants: vec![("Monday", Value::Int(1))],
            options: vec![],
        },
        Package { path: "array", builtins: vec![&ARRAY_MAP], ..Package::default() },
        Package {
            path: "influxdata/influxdb/tasks",
            builtins: vec![&LAST_SUCCESS],
            constants: vec![],
            options: vec![("lastSuccessTime", Value::Null)],
        },
    ];
    Library::new(packages).expect("the library of the tests has no defects")
}

/// A world with nothing in it.
pub(crate) struct Nowhere;

impl World for Nowhere {
    fn collect(&self, _stream: Arc<dyn Stream>) -> Result<Vec<Chunk>> {
        Ok(Vec::new())
    }

    fn bucket_id(&self, name_or_id: &str) -> Result<Name> {
        Err(Error::not_found(format!("could not find bucket \"{name_or_id}\"")))
    }

    fn secret(&self, _name: &str) -> Option<String> {
        None
    }

    fn wall_clock_ns(&self) -> i64 {
        0
    }
}
