//! Package `join`: `inner`, `left`, `right`, `full`, `time`, `tables`; and `join` of the package `experimental`.
//!
//! All of them join tables of one group key. What is compared is read from the text of the function `on`.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::Package;
use crate::flux::value::Closure;
use crate::functions::arguments::{Arguments, stream};
use crate::operators::{JoinMethod, JoinTables, OnPair, RowFunction};
use crate::plan::NodeKind;
use crate::syntax::ast::{BinaryOperator, Expr, ExprKind, FunctionBody, LogicalOperator};
use crate::syntax::visit;
use crate::table::Name;

const PACKAGE: &str = "join";
const SIGNATURE: &str = "(<-left: stream[L], right: stream[R], on: (l: L, r: R) => bool, as: (l: L, r: R) => A) => stream[A] \
                         where A: Record, L: Record, R: Record";

const fn by_method(
    name: &'static str,
    doc: &'static str,
    examples: &'static [&'static str],
    body: fn(&mut Call<'_>) -> Result<Value>,
) -> Builtin {
    Builtin { package: PACKAGE, name, signature: SIGNATURE, doc, examples, body }
}

static INNER: Builtin = by_method(
    "inner",
    "Pairs of rows for which on holds, as makes the new row of each; tables are joined with those of equal group key.",
    &[
        "import \"array\"\nimport \"join\"\n\na = array.from(rows: [{t: 1, v: 10}, {t: 2, v: 20}])\nb = array.from(rows: \
       [{t: 2, w: 5}])\n\njoin.inner(left: a, right: b, on: (l, r) => l.t == r.t, as: (l, r) => ({l with w: r.w}))",
    ],
    |call| of_method(call, JoinMethod::Inner),
);
static LEFT: Builtin = by_method(
    "left",
    "As inner, and rows of the left side that match none beside nulls.",
    &[
        "import \"array\"\nimport \"join\"\n\na = array.from(rows: [{t: 1, v: 10}, {t: 2, v: 20}])\nb = array.from(rows: \
       [{t: 2, w: 5}])\n\njoin.left(left: a, right: b, on: (l, r) => l.t == r.t, as: (l, r) => ({l with w: r.w}))",
    ],
    |call| of_method(call, JoinMethod::Left),
);
static RIGHT: Builtin = by_method(
    "right",
    "As inner, and rows of the right side that match none beside nulls.",
    &["import \"array\"\nimport \"join\"\n\na = array.from(rows: [{t: 1, v: 10}])\nb = array.from(rows: [{t: 2, w: \
       5}])\n\njoin.right(left: a, right: b, on: (l, r) => l.t == r.t, as: (l, r) => ({r with v: l.v}))"],
    |call| of_method(call, JoinMethod::Right),
);
static FULL: Builtin = by_method(
    "full",
    "As inner, and rows of either side that match none beside nulls.",
    &["import \"array\"\nimport \"join\"\n\na = array.from(rows: [{t: 1, v: 10}])\nb = array.from(rows: [{t: 2, w: \
       5}])\n\njoin.full(left: a, right: b, on: (l, r) => l.t == r.t, as: (l, r) => ({t: if exists l.t then l.t else r.t, \
       v: l.v, w: r.w}))"],
    |call| of_method(call, JoinMethod::Full),
);
static TABLES: Builtin = Builtin {
    package: PACKAGE,
    name: "tables",
    signature: "(<-left: stream[L], right: stream[R], on: (l: L, r: R) => bool, as: (l: L, r: R) => A, method: string) => \
                stream[A] where A: Record, L: Record, R: Record",
    doc: "Pairs of rows for which on holds, as makes the new row of each; method is \"inner\", \"left\", \"right\" or \
          \"full\".",
    examples: &[
        "import \"array\"\nimport \"join\"\n\na = array.from(rows: [{t: 1, v: 10}])\nb = array.from(rows: [{t: 1, w: \
         5}])\n\njoin.tables(left: a, right: b, on: (l, r) => l.t == r.t, as: (l, r) => ({l with w: r.w}), method: \
         \"inner\")",
    ],
    body: tables,
};
static TIME: Builtin = Builtin {
    package: PACKAGE,
    name: "time",
    signature: "(<-left: stream[L], right: stream[R], as: (l: L, r: R) => A, ?method: string) => stream[A] \
                where A: Record, L: Record, R: Record",
    doc: "Pairs of rows of equal _time; method is \"inner\" (the default), \"left\", \"right\" or \"full\".",
    examples: &[
        "import \"array\"\nimport \"join\"\n\na = array.from(rows: [{_time: 2024-01-01T00:00:00Z, v: 10}])\nb = \
                 array.from(rows: [{_time: 2024-01-01T00:00:00Z, w: 5}])\n\njoin.time(left: a, right: b, as: (l, r) => ({l \
                 with w: r.w}))",
    ],
    body: time,
};

/// `experimental.join`.
pub static EXPERIMENTAL_JOIN: Builtin = Builtin {
    package: "experimental",
    name: "join",
    signature: "(left: stream[A], right: stream[B], fn: (left: A, right: B) => C) => stream[C] \
                where A: Record, B: Record, C: Record",
    doc: "Pairs of rows of equal _time from tables of equal group key; fn makes the new row of each.",
    examples: &["import \"array\"\nimport \"experimental\"\n\na = array.from(rows: [{_time: 2024-01-01T00:00:00Z, v: \
                 10}])\nb = array.from(rows: [{_time: 2024-01-01T00:00:00Z, w: 5}])\n\nexperimental.join(left: a, right: b, \
                 fn: (left, right) => ({left with w: right.w}))"],
    body: experimental,
};

/// The package.
pub fn package() -> Package {
    Package { path: PACKAGE, builtins: vec![&FULL, &INNER, &LEFT, &RIGHT, &TABLES, &TIME], ..Package::default() }
}

fn of_method(call: &mut Call<'_>, method: JoinMethod) -> Result<Value> {
    let on = on_pairs(&*call.closure("on")?)?;
    join(call, on, "as", ["l", "r"], method)
}

fn tables(call: &mut Call<'_>) -> Result<Value> {
    let method = JoinMethod::parse(&call.string("method")?)?;
    of_method(call, method)
}

fn on_time() -> Vec<OnPair> {
    vec![OnPair { left: "_time".into(), right: "_time".into() }]
}

fn time(call: &mut Call<'_>) -> Result<Value> {
    let method = match call.optional_string("method")? {
        Some(method) => JoinMethod::parse(&method)?,
        None => JoinMethod::Inner,
    };
    join(call, on_time(), "as", ["l", "r"], method)
}

fn experimental(call: &mut Call<'_>) -> Result<Value> {
    join(call, on_time(), "fn", ["left", "right"], JoinMethod::Inner)
}

fn join(
    call: &mut Call<'_>,
    on: Vec<OnPair>,
    argument: &str,
    parameters: [&'static str; 2],
    method: JoinMethod,
) -> Result<Value> {
    let inputs = vec![call.stream("left")?, call.stream("right")?];
    let closure = call.closure(argument)?;
    let reads = parameters.map(|parameter| columns_read(&closure, parameter));
    let function = RowFunction { closure, hosts: call.host.row_hosts() };
    let join = JoinTables { name: call.builtin.name, on, function, parameters, reads, method };
    Ok(stream(NodeKind::Transform(Arc::new(join)), inputs, call))
}

/// The columns that the function reads as members of a parameter.
fn columns_read(closure: &Closure, parameter: &str) -> Vec<Name> {
    let mut columns = Vec::new();
    visit::function(&closure.function, &mut |expr| {
        if let Some((object, property)) = member(expr)
            && &**object == parameter
        {
            columns.push(property.clone());
        }
        // Whether a column exists may be asked of any.
        !matches!(&expr.kind, ExprKind::Unary { operator: crate::syntax::ast::UnaryOperator::Exists, .. })
    });
    columns
}

/// `object.property`, where the object is a name.
fn member(expr: &Expr) -> Option<(&Name, &Name)> {
    let ExprKind::Member { object, property, .. } = &without_parens(expr).kind else { return None };
    let ExprKind::Identifier(object) = &without_parens(object).kind else { return None };
    Some((object, &property.name))
}

fn without_parens(mut expr: &Expr) -> &Expr {
    while let ExprKind::Paren(inner) = &expr.kind {
        expr = inner;
    }
    expr
}

/// What the function `on` compares: `l.a == r.b`, several of them joined by `and`.
fn on_pairs(closure: &Closure) -> Result<Vec<OnPair>> {
    let FunctionBody::Expression(body) = &closure.function.body else {
        return Err(unsupported("its body is a block").at(closure.function.span));
    };
    let mut pairs = Vec::new();
    collect(body, &mut pairs)?;
    Ok(pairs)
}

fn collect(expr: &Expr, pairs: &mut Vec<OnPair>) -> Result<()> {
    match &expr.kind {
        ExprKind::Paren(inner) => collect(inner, pairs),
        ExprKind::Logical { operator: LogicalOperator::And, left, right } => {
            collect(left, pairs)?;
            collect(right, pairs)
        }
        ExprKind::Logical { .. } => Err(unsupported("it uses or").at(expr.span)),
        ExprKind::Binary { operator: BinaryOperator::Equal, left, right } => {
            let sides = member(left).zip(member(right));
            match sides.map(|((first, left), (second, right))| (&**first, left, &**second, right)) {
                Some(("l", left, "r", right)) | Some(("r", right, "l", left)) => {
                    pairs.push(OnPair { left: left.clone(), right: right.clone() });
                    Ok(())
                }
                _ => Err(unsupported("it compares something else than a column of l with a column of r").at(expr.span)),
            }
        }
        ExprKind::Binary { .. } => Err(unsupported("it compares with another operator than ==").at(expr.span)),
        _ => Err(unsupported("it is no comparison").at(expr.span)),
    }
}

fn unsupported(what: &str) -> Error {
    Error::invalid(format!(
        "error in join function - some expressions are not yet supported in the `on` parameter: {what}"
    ))
    .with_hint("compare columns of both sides, as in (l, r) => l._time == r._time and l.host == r.host")
}
