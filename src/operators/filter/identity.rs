//! Conditions that say something of a point's identity only: measurement, field, tags and time.
//!
//! Called by [`super::Filter`] to find what a store may decide. It looks at the tree of the condition and at the values
//! that the function has taken along; what it does not understand is no such condition. It holds for tables as a bucket
//! gives them; whoever offers it to a store knows that nothing has renamed a column before.

use std::sync::Arc;

use crate::flux::Value;
use crate::flux::value::Closure;
use crate::syntax::ast::{BinaryOperator, Expr, ExprKind, LogicalOperator, UnaryOperator};
use crate::table::Name;
use crate::table::scan::{Comparison, Literal, Predicate};

const TIME: &str = "_time";

/// The condition in the store's words, if it says something of identities only.
pub fn predicate(expr: &Expr, closure: &Closure) -> Option<Predicate> {
    match &expr.kind {
        ExprKind::Paren(inner) => predicate(inner, closure),
        ExprKind::Identifier(_) => match constant(expr, closure)? {
            Value::Bool(true) => Some(Predicate::And(Vec::new())),
            Value::Bool(false) => Some(Predicate::Or(Vec::new())),
            _ => None,
        },
        ExprKind::Logical { operator, left, right } => {
            let both = vec![predicate(left, closure)?, predicate(right, closure)?];
            Some(match operator {
                LogicalOperator::And => Predicate::And(both),
                LogicalOperator::Or => Predicate::Or(both),
            })
        }
        ExprKind::Unary { operator: UnaryOperator::Not, operand } => {
            Some(Predicate::Not(Box::new(predicate(operand, closure)?)))
        }
        ExprKind::Unary { operator: UnaryOperator::Exists, operand } => {
            column(operand, closure).filter(|name| &**name != TIME).map(Predicate::Exists)
        }
        ExprKind::Binary { operator, left, right } => binary(*operator, left, right, closure),
        _ => None,
    }
}

fn binary(operator: BinaryOperator, left: &Expr, right: &Expr, closure: &Closure) -> Option<Predicate> {
    if let (BinaryOperator::Matches | BinaryOperator::NotMatches, Some(Value::Regexp(pattern))) =
        (operator, constant(right, closure))
    {
        let column = column(left, closure).filter(|name| &**name != TIME)?;
        let matches = Predicate::Matches { column, pattern };
        return Some(match operator {
            BinaryOperator::Matches => matches,
            _ => Predicate::Not(Box::new(matches)),
        });
    }
    let comparison = comparison(operator)?;
    let (column, comparison, literal) = match (column(left, closure), column(right, closure)) {
        (Some(column), None) => (column, comparison, constant(right, closure)?),
        (None, Some(column)) => (column, turned(comparison), constant(left, closure)?),
        _ => return None,
    };
    // Other types are errors or of other meaning, which the operator knows.
    let literal = match literal {
        Value::String(text) if &*column != TIME => Literal::String(text),
        Value::Time(time_ns) if &*column == TIME => Literal::Time(time_ns),
        _ => return None,
    };
    Some(Predicate::Compare { column, comparison, literal })
}

fn comparison(operator: BinaryOperator) -> Option<Comparison> {
    Some(match operator {
        BinaryOperator::Equal => Comparison::Equal,
        BinaryOperator::NotEqual => Comparison::NotEqual,
        BinaryOperator::Less => Comparison::Less,
        BinaryOperator::LessEqual => Comparison::LessEqual,
        BinaryOperator::Greater => Comparison::Greater,
        BinaryOperator::GreaterEqual => Comparison::GreaterEqual,
        _ => return None,
    })
}

/// The comparison with its sides exchanged.
fn turned(comparison: Comparison) -> Comparison {
    match comparison {
        Comparison::Less => Comparison::Greater,
        Comparison::LessEqual => Comparison::GreaterEqual,
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterEqual => Comparison::LessEqual,
        same => same,
    }
}

/// The identity column that an expression reads: `r.host`, `r["host"]`.
fn column(expr: &Expr, closure: &Closure) -> Option<Name> {
    match &expr.kind {
        ExprKind::Paren(inner) => column(inner, closure),
        ExprKind::Member { object, property, .. } => {
            let is_row = matches!(&object.kind, ExprKind::Identifier(name) if is_row(name, closure));
            // The value and the bounds of the range are no part of a point's identity.
            let identity = !matches!(&*property.name, "_value" | "_start" | "_stop");
            (is_row && identity).then(|| property.name.clone())
        }
        _ => None,
    }
}

fn is_row(name: &str, closure: &Closure) -> bool {
    name == "r" && closure.function.parameters.iter().any(|parameter| &*parameter.name.name == name)
}

/// The value of a literal, or of a name that the function has taken along.
fn constant(expr: &Expr, closure: &Closure) -> Option<Value> {
    match &expr.kind {
        ExprKind::Paren(inner) => constant(inner, closure),
        ExprKind::String(text) => Some(Value::String(Arc::clone(text))),
        ExprKind::Time(time_ns) => Some(Value::Time(*time_ns)),
        ExprKind::Regexp(pattern) => regex::Regex::new(pattern).ok().map(|pattern| Value::Regexp(Arc::new(pattern))),
        ExprKind::Identifier(name) => {
            let is_parameter = closure.function.parameters.iter().any(|parameter| parameter.name.name == *name);
            if is_parameter { None } else { closure.scope.get(name).cloned() }
        }
        ExprKind::Member { object, property, .. } => match constant(object, closure)? {
            Value::Record(record) => record.get(&property.name).cloned(),
            _ => None,
        },
        _ => None,
    }
}
