//! Conditions of SQL in the words of a scan, as far as it decides them exactly as SQL does.
//!
//! Used by the tables of `engine::sql`. Only a point's identity is decided below "the newest version wins": its time and its
//! tags. Both sides know three values, and an absent tag is null on both.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};

use crate::name::Name;
use crate::store::{WideKind, WideTable};
use crate::table::scan::{Bounds, Comparison, Literal, Predicate};

/// A condition as the scan of a table decides it; `None` if it is left to DataFusion.
pub(super) fn predicate(table: &WideTable, condition: &Expr) -> Option<Predicate> {
    translate(table, condition).filter(WideTable::decides)
}

fn translate(table: &WideTable, condition: &Expr) -> Option<Predicate> {
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            Some(Predicate::And(vec![translate(table, left)?, translate(table, right)?]))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            Some(Predicate::Or(vec![translate(table, left)?, translate(table, right)?]))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let comparison = comparison(*op)?;
            match literal(right) {
                Some(right) => compare(table, left, comparison, right),
                None => compare(table, right, turned(comparison), literal(left)?),
            }
        }
        Expr::Not(inner) => Some(Predicate::Not(Box::new(translate(table, inner)?))),
        Expr::IsNotNull(inner) => Some(Predicate::Exists(tag(table, inner)?)),
        Expr::IsNull(inner) => Some(Predicate::Not(Box::new(Predicate::Exists(tag(table, inner)?)))),
        Expr::InList(InList { expr, list, negated }) => {
            let equal = |value: &Expr| compare(table, expr, Comparison::Equal, literal(value)?);
            let any = Predicate::Or(list.iter().map(equal).collect::<Option<_>>()?);
            // Without a value to compare with there is nothing that says what an absent tag gives.
            (!list.is_empty()).then(|| if *negated { Predicate::Not(Box::new(any)) } else { any })
        }
        Expr::Between(Between { expr, negated, low, high }) => {
            let from = compare(table, expr, Comparison::GreaterEqual, literal(low)?)?;
            let to = compare(table, expr, Comparison::LessEqual, literal(high)?)?;
            let both = Predicate::And(vec![from, to]);
            Some(if *negated { Predicate::Not(Box::new(both)) } else { both })
        }
        _ => None,
    }
}

fn comparison(operator: Operator) -> Option<Comparison> {
    Some(match operator {
        Operator::Eq => Comparison::Equal,
        Operator::NotEq => Comparison::NotEqual,
        Operator::Lt => Comparison::Less,
        Operator::LtEq => Comparison::LessEqual,
        Operator::Gt => Comparison::Greater,
        Operator::GtEq => Comparison::GreaterEqual,
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

fn compare(table: &WideTable, column: &Expr, comparison: Comparison, literal: Literal) -> Option<Predicate> {
    let column = match (kind(table, column)?, &literal) {
        (WideKind::Time, Literal::Time(_)) => "_time".into(),
        (WideKind::Tag(key), Literal::String(_)) => key.clone(),
        _ => return None,
    };
    Some(Predicate::Compare { column, comparison, literal })
}

fn kind<'a>(table: &'a WideTable, column: &Expr) -> Option<&'a WideKind> {
    let Expr::Column(column) = column else { return None };
    table.columns().iter().find(|own| *own.name == *column.name).map(|own| &own.kind)
}

fn tag(table: &WideTable, column: &Expr) -> Option<Name> {
    match kind(table, column)? {
        WideKind::Tag(key) => Some(key.clone()),
        WideKind::Time | WideKind::Field(_) => None,
    }
}

fn literal(value: &Expr) -> Option<Literal> {
    let Expr::Literal(value, _) = value else { return None };
    match value {
        ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => {
            Some(Literal::String(text.as_str().into()))
        }
        ScalarValue::TimestampNanosecond(Some(time_ns), None) => Some(Literal::Time(*time_ns)),
        _ => None,
    }
}

/// The times outside of which no row can fulfil all conditions.
pub(super) fn bounds_of(predicates: &[Predicate]) -> Bounds {
    let mut bounds = Bounds { start_ns: i64::MIN, stop_ns: i64::MAX };
    predicates.iter().for_each(|predicate| narrow(&mut bounds, predicate));
    bounds
}

fn narrow(bounds: &mut Bounds, predicate: &Predicate) {
    match predicate {
        Predicate::And(parts) => parts.iter().for_each(|part| narrow(bounds, part)),
        Predicate::Compare { comparison, literal: Literal::Time(time_ns), .. } => {
            let (time_ns, after_ns) = (*time_ns, time_ns.saturating_add(1));
            let (start_ns, stop_ns) = match comparison {
                Comparison::Equal => (time_ns, after_ns),
                Comparison::NotEqual => return,
                Comparison::Less => (i64::MIN, time_ns),
                Comparison::LessEqual => (i64::MIN, after_ns),
                Comparison::Greater => (after_ns, i64::MAX),
                Comparison::GreaterEqual => (time_ns, i64::MAX),
            };
            bounds.start_ns = bounds.start_ns.max(start_ns);
            bounds.stop_ns = bounds.stop_ns.min(stop_ns);
        }
        _ => {}
    }
}
