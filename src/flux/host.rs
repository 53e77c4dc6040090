//! The world as the language sees it.
//!
//! The evaluator implements [`Host`] for builtins and forwards to the [`World`] that the engine gave it for whatever is
//! outside of the language. Nothing here does I/O itself.

use std::fmt;
use std::sync::Arc;

use super::value::{Function, Stream, Value};
use crate::error::Result;
use crate::table::{Chunk, Name};

/// The name under which [`Host::call`] takes the piped argument: the callee's pipe parameter, whatever it is called.
pub const PIPED: &str = "<-";

/// What builtins may ask of the evaluator.
pub trait Host {
    /// `now()` of this run, fixed for all of it (an `option now` included).
    fn now_ns(&mut self) -> Result<i64>;

    /// The value of an option: `("universe", "location")`, `("influxdata/influxdb/tasks", "lastSuccessTime")`, ...
    fn option(&mut self, package: &str, name: &str) -> Option<Value>;

    /// Calls a function value with named arguments, the piped one among them under the name [`PIPED`].
    fn call(&mut self, function: &Function, arguments: Vec<(Name, Value)>) -> Result<Value>;

    /// Notes a stream that must run although no expression statement names it (`yield`, `to`), in program order.
    fn side_effect(&mut self, stream: Arc<dyn Stream>);

    /// What lies outside of the language.
    fn world(&self) -> &dyn World;

    /// Hosts for functions that run later, row by row, when the script has been evaluated: `now` and the options as they
    /// are then. Operators with a row function keep it (`filter`, `map`, ...).
    fn row_hosts(&mut self) -> Arc<dyn RowHosts>;
}

/// Makes hosts for row functions, one for each running operator.
pub trait RowHosts: fmt::Debug + Send + Sync {
    /// A host of its own, for one thread.
    fn host(&self) -> Box<dyn Host + Send>;
}

/// A bucket as `buckets()` lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketInfo {
    /// Its id.
    pub id: Name,
    /// Its name.
    pub name: Name,
    /// Rows older than this are gone; `None` keeps them for ever.
    pub retention_ns: Option<i64>,
}

/// What lies outside of the language.
pub trait World: Send + Sync {
    /// Runs a stream now and returns its tables (`tableFind`, `findRecord`, `findColumn`). Blocks: the evaluator runs on
    /// a thread where that is allowed.
    fn collect(&self, stream: Arc<dyn Stream>) -> Result<Vec<Chunk>>;

    /// The id of a bucket by name or id; NotFound `could not find bucket "b"`.
    fn bucket_id(&self, name_or_id: &str) -> Result<Name>;

    /// All buckets, by name. Worlds without buckets have none.
    fn buckets(&self) -> Vec<BucketInfo> {
        Vec::new()
    }

    /// A secret; `None` if there is none of that name.
    fn secret(&self, name: &str) -> Option<String>;

    /// The wall clock, for `system.time()` only.
    fn wall_clock_ns(&self) -> i64;
}
