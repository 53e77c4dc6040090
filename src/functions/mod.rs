//! The builtins, by Flux package, a file each: how a call becomes a value or a node of the plan.
//!
//! Called by `engine`, which hands the whole library to the language. Nothing here runs a row; what an operator does
//! stands in `operators`.
//!
//! # Adding a function
//!
//! 1. `src/functions/<package>/<name>.rs`: one `static` [`Builtin`](crate::flux::builtin::Builtin) (signature in Flux's
//!    type syntax, one line of doc, examples that run) and its body.
//! 2. One line in the package's list below. Unit tests beside it for odd edges.
//! 3. `fixtures/query/<name>/`: an ordinary case, a grouped case, an error case.
//! 4. The tests check `grammar/functions.md` and say how to rewrite it. Nothing else knows that the function exists.

pub mod arguments;
pub mod array;
mod bitwise;
pub mod boundaries;
mod contrib;
pub mod csv;
pub mod date;
mod dict;
pub mod experimental;
mod generate;
pub mod influxdb;
mod internal;
mod interpolate;
pub mod join;
mod json;
pub mod location;
pub mod math;
mod not_yet;
pub mod planner;
pub mod reference;
pub mod regexp;
mod runtime;
pub mod strings;
pub mod system;
pub mod testing;
pub mod timezone;
pub mod types;
pub mod universe;
pub mod windows;

use std::sync::{Arc, LazyLock};

pub use not_yet::{FUNCTIONS_NOT_YET, PACKAGES_NOT_YET};

use crate::flux::library::Library;

/// All packages, built once.
pub fn library() -> &'static Arc<Library> {
    static LIBRARY: LazyLock<Arc<Library>> = LazyLock::new(|| {
        let packages = [
            universe::package(),
            array::package(),
            csv::package(),
            date::package(),
            join::package(),
            dict::package(),
            generate::package(),
            interpolate::package(),
            math::package(),
            regexp::package(),
            runtime::package(),
            strings::package(),
            system::package(),
            testing::package(),
            testing::expect::package(),
            timezone::package(),
            types::package(),
        ];
        let below = [
            bitwise::packages().into(),
            boundaries::packages().into_iter().collect(),
            contrib::packages(),
            experimental::packages(),
            influxdb::packages(),
            internal::packages(),
            json::packages().into(),
            planner::packages().into(),
        ];
        let packages = packages.into_iter().chain(below.into_iter().flat_map(Vec::into_iter));
        let library =
            Library::new(packages).expect("names are unique and signatures read, as the test over the library shows");
        Arc::new(library.with_not_yet(PACKAGES_NOT_YET, FUNCTIONS_NOT_YET))
    });
    &LIBRARY
}

#[cfg(test)]
mod tests;
