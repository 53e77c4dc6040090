//! The free names of a function literal: what a closure has to take along from where it stands.
//!
//! Called by the evaluator when it makes a closure. A closure holds these names only, not everything around it: a row
//! function finds `float` in one step, and a script's other values are not kept alive by it.

use std::collections::HashSet;

use crate::syntax::ast::{Expr, FunctionExpr};
use crate::syntax::uses::{self, Use};
use crate::table::Name;

/// The names that a function reads and does not bind itself, each once, in the order of the text.
pub fn free_names(function: &FunctionExpr) -> Vec<Name> {
    each_once(uses::of_function(function))
}

/// The names that an expression reads and does not bind itself.
pub fn free_names_of(expr: &Expr) -> Vec<Name> {
    each_once(uses::of_expr(expr))
}

fn each_once(found: Vec<Use>) -> Vec<Name> {
    let mut seen = HashSet::new();
    found.into_iter().map(|one| one.name).filter(|name| seen.insert(Name::clone(name))).collect()
}
