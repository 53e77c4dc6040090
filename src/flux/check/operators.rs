//! Operators on operands whose types are known: what evaluation would refuse is refused before.

use super::Checker;
use crate::diagnostic::{Diagnostic, Span};
use crate::flux::scalar;
use crate::flux::types::{Ground, Type};
use crate::syntax::ast::{BinaryOperator, Expr, LogicalOperator, UnaryOperator};

/// The word for a type in messages about operators, as for a value of it; `None` if it is not known.
fn word(operand: &Type) -> Option<&'static str> {
    Some(match operand {
        Type::Ground(ground) => ground.name(),
        Type::Array(_) => "array",
        Type::Dict(..) => "dictionary",
        Type::Record(_) => "record",
        Type::Function(_) => "function",
        Type::Stream(_) => "stream",
        Type::Var(_) | Type::Unknown => return None,
    })
}

fn is_numeric(operand: &Type) -> bool {
    matches!(operand, Type::Ground(Ground::Int | Ground::UInt | Ground::Float))
}

impl<'a> Checker<'a> {
    pub(super) fn binary(&mut self, operator: BinaryOperator, left: &'a Expr, right: &'a Expr, span: Span) -> Type {
        use BinaryOperator::*;
        let left = self.infer(left);
        let right = self.infer(right);
        let arithmetic = matches!(operator, Add | Subtract | Multiply | Divide | Modulo | Power);
        let (Some(left_word), Some(right_word)) = (word(&left), word(&right)) else {
            return if arithmetic { Type::Unknown } else { Type::Ground(Ground::Bool) };
        };
        let same = left_word == right_word;
        let works = match operator {
            Add => same && (is_numeric(&left) || left_word == "string"),
            Subtract | Multiply | Divide | Modulo | Power => same && is_numeric(&left),
            Less | LessEqual | Greater | GreaterEqual => {
                (is_numeric(&left) && is_numeric(&right))
                    || (same && matches!(left_word, "string" | "time" | "duration"))
            }
            Equal | NotEqual => {
                (is_numeric(&left) && is_numeric(&right))
                    || (same && !matches!(left_word, "regexp" | "function" | "stream"))
            }
            Matches | NotMatches => left_word == "string" && right_word == "regexp",
        };
        if !works {
            let error = scalar::unsupported_types(operator, left_word, right_word);
            self.report_error("type-mismatch", &error, span);
        }
        match operator {
            _ if !works && arithmetic => Type::Unknown,
            Power => Type::Ground(Ground::Float),
            _ if arithmetic => left,
            _ => Type::Ground(Ground::Bool),
        }
    }

    pub(super) fn logical(&mut self, operator: LogicalOperator, left: &'a Expr, right: &'a Expr) -> Type {
        let symbol = match operator {
            LogicalOperator::And => "and",
            LogicalOperator::Or => "or",
        };
        self.must_be_bool(left, &format!("operand of {symbol}"));
        self.must_be_bool(right, &format!("operand of {symbol}"));
        Type::Ground(Ground::Bool)
    }

    pub(super) fn unary(&mut self, operator: UnaryOperator, operand: &'a Expr, span: Span) -> Type {
        let operand = self.infer(operand);
        let Some(found) = word(&operand) else {
            return if operator == UnaryOperator::Minus || operator == UnaryOperator::Plus {
                Type::Unknown
            } else {
                Type::Ground(Ground::Bool)
            };
        };
        let (works, symbol) = match operator {
            UnaryOperator::Exists => return Type::Ground(Ground::Bool),
            UnaryOperator::Not => (found == "bool", "not "),
            UnaryOperator::Minus => (matches!(found, "int" | "float" | "duration"), "-"),
            UnaryOperator::Plus => (is_numeric(&operand) || found == "duration", "+"),
        };
        if !works {
            let message = format!("unsupported unary expression {symbol}{found}");
            self.report(Diagnostic::error("type-mismatch", message, span));
        }
        operand
    }

    /// Reports an expression that is known to be no boolean.
    pub(super) fn must_be_bool(&mut self, expr: &'a Expr, what: &str) {
        let found = self.infer(expr);
        if let Some(found) = word(&found)
            && found != "bool"
        {
            let message = format!("expected bool but found {found} ({what})");
            self.report(Diagnostic::error("type-mismatch", message, expr.span));
        }
    }

    /// Reports a part of a string that has no text.
    pub(super) fn must_have_text(&mut self, expr: &'a Expr) {
        let found = self.infer(expr);
        let Some(found_word) = word(&found) else { return };
        let has_text = matches!(&found, Type::Ground(ground) if !matches!(ground, Ground::Regexp | Ground::Bytes));
        if !has_text {
            let message = format!("invalid interpolation type {found_word}, expected a basic type");
            self.report(Diagnostic::error("type-mismatch", message, expr.span));
        }
    }
}
