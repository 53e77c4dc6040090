//! Row functions as conditions: which rows they are true for.
//!
//! Called by `filter`. A condition is taken apart at its outermost `and`; its parts are asked one after the other, each
//! only for the rows that are left. The caller puts first what a store may decide, so that it makes no difference whether
//! a store has decided it already.

use std::sync::Arc;

use arrow::buffer::BooleanBuffer;

use super::compile::{Compiled, Compiler};
use super::eval::Run;
use super::node::{Node, Slot};
use super::vector::{Selection, Tables};
use super::{ROW, RowFunction, RowHost, failed, first_error, not_a_row_function};
use crate::error::{Error, Result};
use crate::flux::value::{Closure, Function};
use crate::syntax::ast::{Expr, ExprKind, FunctionBody, FunctionExpr, LogicalOperator};
use crate::table::{Chunk, Shape};

/// The parts of the condition of a row function whose body is one expression: what stands between its outermost `and`s,
/// in the order of the text. A function with a block is one part.
pub fn conjuncts(function: &FunctionExpr) -> Vec<&Expr> {
    let mut parts = Vec::new();
    if let FunctionBody::Expression(body) = &function.body {
        split(body, &mut parts);
    }
    parts
}

fn split<'a>(expr: &'a Expr, parts: &mut Vec<&'a Expr>) {
    match &expr.kind {
        ExprKind::Paren(inner) => split(inner, parts),
        ExprKind::Logical { operator: LogicalOperator::And, left, right } => {
            split(left, parts);
            split(right, parts);
        }
        _ => parts.push(expr),
    }
}

/// A row function whose body is one part of another one's.
pub fn part_of(function: &RowFunction, part: &Expr) -> RowFunction {
    let whole = &function.closure.function;
    let literal = FunctionExpr {
        parameters: whole.parameters.clone(),
        body: FunctionBody::Expression(part.clone()),
        span: part.span,
    };
    let closure = Closure { function: Arc::new(literal), scope: Arc::clone(&function.closure.scope) };
    RowFunction { closure: Arc::new(closure), hosts: Arc::clone(&function.hosts) }
}

/// Conditions compiled for a shape.
pub struct PredicateProgram {
    parts: Vec<(Vec<(Slot, Node)>, Node)>,
    slots: usize,
    /// The parts as functions for the evaluator, and whether it may be asked again.
    functions: Vec<Function>,
    pure: bool,
    /// The function that asks, for messages.
    operator: &'static str,
}

impl PredicateProgram {
    /// Compiles conditions that are asked one after the other.
    ///
    /// # Errors
    /// Invalid if a function does not take the row.
    pub fn compile(functions: &[RowFunction], shape: &Shape) -> Result<PredicateProgram> {
        let mut compiler = Compiler::new(shape);
        let mut parts = Vec::new();
        for function in functions {
            let (mut env, slots) = compiler.row_env(&function.closure).ok_or_else(|| not_a_row_function("filter"))?;
            let node = match compiler.body(&function.closure.function, &mut env) {
                Compiled::Value(node) => node,
                Compiled::Record(_) => return Err(no_boolean()),
            };
            parts.push((slots, node));
        }
        let functions = functions.iter().map(|function| Function::Closure(Arc::clone(&function.closure))).collect();
        Ok(PredicateProgram { parts, slots: compiler.slots.len(), functions, pure: compiler.pure, operator: "filter" })
    }

    /// Asked by another function than `filter`.
    pub fn asked_by(self, operator: &'static str) -> PredicateProgram {
        PredicateProgram { operator, ..self }
    }

    /// The rows for which all conditions are true.
    ///
    /// # Errors
    /// What the evaluation of a row raises, for the first row of which it does.
    pub fn rows(&self, chunk: &Chunk, host: &mut RowHost) -> Result<BooleanBuffer> {
        let tables = Tables::new(chunk);
        let selection = self.select(chunk, &tables, host);
        let selection = selection.map_err(|error| {
            let first = if self.pure { first_error(&self.functions, chunk, host.as_mut()) } else { None };
            failed(self.operator, first.unwrap_or(error))
        })?;
        Ok(match selection {
            Selection::All => BooleanBuffer::new_set(chunk.len),
            Selection::Rows(rows) => rows,
        })
    }

    fn select(&self, chunk: &Chunk, tables: &Tables, host: &mut RowHost) -> Result<Selection> {
        let mut run = Run::new(chunk, tables, host.as_mut(), self.slots);
        let mut rows = Selection::All;
        for (slots, node) in &self.parts {
            if rows.is_empty(tables) {
                break;
            }
            run.fill(slots, &rows)?;
            let truth = run.truth(node, &rows).map_err(|error| match error.message().starts_with("expected bool") {
                true => no_boolean().at(node.span),
                false => error,
            })?;
            if !truth.is_all(true) {
                rows = rows.and(truth.rows(Some(true), tables));
            }
        }
        Ok(rows)
    }
}

fn no_boolean() -> Error {
    Error::invalid("row predicate function does not evaluate to a boolean")
        .with_hint(format!("write a comparison, as in fn: ({ROW}) => {ROW}._value > 0"))
}
