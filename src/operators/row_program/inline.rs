//! Calls within row functions: functions written in Flux are inlined, builtins are called with the values of their
//! arguments, everything else is left to the evaluator.
//!
//! Called by [`super::compile`]. A call whose arguments do not fit is left to the evaluator as well, which refuses it in
//! the right words when it is reached.

use std::sync::Arc;

use super::builtins::Floats;
use super::compile::{Bound, Compiled, Compiler, Env, prefixed};
use super::node::{Argument, Kind, Node, Rate, ValueType};
use crate::flux::Value;
use crate::flux::builtin::Builtin;
use crate::flux::library::PRELUDE;
use crate::flux::signature;
use crate::flux::types::{FunctionType, Ground, Type};
use crate::flux::value::{Closure, Function};
use crate::syntax::ast::{CallExpr, Expr, ParameterKind};
use crate::table::{ColumnType, Name};

/// Functions inlined within each other; what goes deeper is left to the evaluator, which has a bound of its own.
const MAX_DEPTH: u32 = 16;

/// Calls inlined in one program: functions that call each other twice would double it with each level. What comes later is
/// left to the evaluator, which counts its steps and asks whether it is still wanted.
const MAX_INLINED: u32 = 1_000;

/// Packages whose builtins do nothing but compute: the same arguments always give the same value. Others are called for
/// every single row.
const PURE: [&str; 21] = [
    PRELUDE,
    "array",
    "bitwise",
    "contrib/bonitoo-io/hex",
    "contrib/jsternberg/math",
    "contrib/qxip/hash",
    "date",
    "dict",
    "experimental",
    "experimental/array",
    "experimental/bitwise",
    "experimental/dynamic",
    "experimental/json",
    "experimental/record",
    "internal/debug",
    "json",
    "math",
    "regexp",
    "strings",
    "timezone",
    "types",
];

impl Compiler<'_> {
    /// `callee(arguments)`, perhaps behind a pipe.
    pub(super) fn call(&mut self, expr: &Expr, call: &CallExpr, piped: Option<&Expr>, env: &Env) -> Compiled {
        let callee = match self.compile(&call.callee, env) {
            Compiled::Value(node) => node,
            Compiled::Record(_) => return Compiled::Value(self.interpret(expr, env)),
        };
        match callee.as_constant() {
            Some(Value::Function(Function::Closure(closure)))
                if self.depth < MAX_DEPTH && self.inlined < MAX_INLINED =>
            {
                let closure = Arc::clone(closure);
                self.inline(&closure, call, piped, env).unwrap_or_else(|| Compiled::Value(self.interpret(expr, env)))
            }
            Some(Value::Function(Function::Builtin(builtin))) => {
                let builtin = *builtin;
                Compiled::Value(match self.builtin(builtin, expr, call, piped, env) {
                    Some(node) => node,
                    None => Node { value_type: result_type(builtin), ..self.interpret(expr, env) },
                })
            }
            _ => Compiled::Value(self.interpret(expr, env)),
        }
    }

    /// The body of a function with its parameters bound to the arguments, each evaluated once.
    fn inline(&mut self, closure: &Closure, call: &CallExpr, piped: Option<&Expr>, env: &Env) -> Option<Compiled> {
        let function = &closure.function;
        let takes = |name: &Name| function.parameters.iter().any(|parameter| parameter.name.name == *name);
        let mut given: Vec<&Name> = Vec::new();
        for argument in &call.arguments {
            let name = &argument.name.name;
            if !takes(name) || given.contains(&name) {
                return None;
            }
            given.push(name);
        }
        let mut slots = Vec::new();
        let mut bound: Vec<(Name, Bound)> = Vec::new();
        // In the order of the call: the piped argument first.
        if let Some(argument) = piped {
            let pipe = function.parameters.iter().find(|parameter| parameter.kind == ParameterKind::Pipe)?;
            if given.contains(&&pipe.name.name) {
                return None;
            }
            bound.push((pipe.name.name.clone(), self.bind_expr(argument, env, &mut slots)));
        }
        for argument in &call.arguments {
            bound.push((argument.name.name.clone(), self.bind_expr(&argument.value, env, &mut slots)));
        }
        for parameter in &function.parameters {
            if bound.iter().any(|(name, _)| *name == parameter.name.name) {
                continue;
            }
            let ParameterKind::Optional(default) = &parameter.kind else { return None };
            let outside = Env { names: Vec::new(), scope: Arc::clone(&closure.scope) };
            bound.push((parameter.name.name.clone(), self.bind_expr(default, &outside, &mut slots)));
        }
        let mut inside = Env { names: bound, scope: Arc::clone(&closure.scope) };
        self.depth += 1;
        self.inlined += 1;
        let body = self.body(function, &mut inside);
        self.depth -= 1;
        Some(prefixed(slots, body))
    }

    /// A call of a builtin with values; `None` if an argument is no single value or does not fit.
    fn builtin(
        &mut self,
        builtin: &'static Builtin,
        expr: &Expr,
        call: &CallExpr,
        piped: Option<&Expr>,
        env: &Env,
    ) -> Option<Node> {
        let function_type = signature::parse(builtin.signature).ok()?;
        let mut arguments: Vec<(Name, Node)> = Vec::new();
        if let Some(piped) = piped {
            let name = function_type.pipe()?.name.clone();
            let Compiled::Value(node) = self.compile(piped, env) else { return None };
            arguments.push((name, node));
        }
        for argument in &call.arguments {
            let name = &argument.name.name;
            let known = function_type.parameter(name).is_some();
            if !known || super::names(&arguments).any(|own| own == &**name) {
                return None;
            }
            let Compiled::Value(node) = self.compile(&argument.value, env) else { return None };
            arguments.push((name.clone(), node));
        }
        let missing = function_type.parameters.iter().any(|parameter| {
            let given = super::names(&arguments).any(|own| own == &*parameter.name);
            !given && parameter.kind != crate::flux::types::ParameterKind::Optional
        });
        if missing {
            return None;
        }
        let span = expr.span;
        let value_type = call_type(&function_type, &arguments);
        if PURE.contains(&builtin.package) {
            let floats = Floats::of(builtin, &arguments);
            let rate = arguments.iter().map(|(_, argument)| argument.rate).max().unwrap_or(Rate::Constant);
            let may_fail = floats.is_none() || arguments.iter().any(|(_, argument)| argument.may_fail);
            let kind = Kind::Builtin { builtin, floats, arguments };
            return Some(Node { kind, value_type, rate, may_fail, span });
        }
        self.pure = false;
        let arguments = arguments.into_iter().map(|(name, node)| (name, Argument::Value(node))).collect();
        let kind = Kind::Call(Function::Builtin(builtin), arguments);
        Some(Node { kind, value_type, rate: Rate::Row, may_fail: true, span })
    }
}

/// The type of a builtin's result where its signature alone says it.
fn result_type(builtin: &Builtin) -> ValueType {
    signature::parse(builtin.signature).map_or(ValueType::Other, |function_type| call_type(&function_type, &[]))
}

/// The type of a call: that of the signature, or of the argument that has the same type variable.
fn call_type(function_type: &FunctionType, arguments: &[(Name, Node)]) -> ValueType {
    match &function_type.result {
        Type::Ground(ground) => match ground {
            Ground::Bool => ValueType::BOOL,
            Ground::Int => ValueType::Column(ColumnType::Int),
            Ground::UInt => ValueType::Column(ColumnType::UInt),
            Ground::Float => ValueType::Column(ColumnType::Float),
            Ground::String => ValueType::Column(ColumnType::String),
            Ground::Time => ValueType::Column(ColumnType::Time),
            Ground::Duration | Ground::Regexp | Ground::Bytes => ValueType::Other,
        },
        result @ Type::Var(_) => {
            let same = function_type.parameters.iter().filter(|parameter| parameter.parameter_type == *result);
            let types = same.filter_map(|parameter| {
                let argument = arguments.iter().find(|(name, _)| *name == parameter.name);
                argument.map(|(_, node)| node.value_type)
            });
            types.reduce(ValueType::either).unwrap_or(ValueType::Other)
        }
        _ => ValueType::Other,
    }
}
