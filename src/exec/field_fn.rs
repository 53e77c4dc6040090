//! The `fieldFn` of `to()`: which columns its body reads.
//!
//! Used by `to` alone. A string column that becomes a field must not become a tag as well.

use std::collections::HashSet;
use std::sync::Arc;

use crate::syntax::ast::{Expr, ExprKind, FunctionExpr};
use crate::syntax::visit;

/// The columns that the body reads as members of the function's parameter: `r.fuel`, `r["fuel"]`.
pub fn columns_read(function: &FunctionExpr) -> HashSet<Arc<str>> {
    let mut columns = HashSet::new();
    let Some(row) = function.parameters.first() else { return columns };
    visit::function(function, &mut |expr| {
        if let ExprKind::Member { object, property, .. } = &expr.kind
            && matches!(&without_parens(object).kind, ExprKind::Identifier(name) if *name == row.name.name)
        {
            columns.insert(property.name.clone());
        }
        true
    });
    columns
}

fn without_parens(mut expr: &Expr) -> &Expr {
    while let ExprKind::Paren(inner) = &expr.kind {
        expr = inner;
    }
    expr
}
