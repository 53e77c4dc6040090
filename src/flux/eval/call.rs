//! Calls: arguments to parameters, builtins and closures alike.
//!
//! Called for call expressions and, through the host, by builtins and operators.

use std::sync::Arc;

use super::{Env, Evaluator, nesting};
use crate::diagnostic::Span;
use crate::error::{Error, ErrorKind, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::call_errors::{CallProblem, Callee};
use crate::flux::signature;
use crate::flux::types::{FunctionType, ParameterKind};
use crate::flux::value::{Closure, Function, Scope};
use crate::syntax::ast::{self, CallExpr, Expr, ExprKind, FunctionBody, FunctionExpr, Statement};
use crate::table::Name;

/// From this length on an error is not told any more through which functions it came.
const MAX_CONTEXT: usize = 300;

impl Evaluator {
    /// A function literal becomes a closure with the names that it needs.
    pub(super) fn closure(&mut self, function: &Arc<FunctionExpr>, env: &mut Env<'_>) -> Result<Value> {
        let address = Arc::as_ptr(function).addr();
        let names = match self.captures.get(&address) {
            Some((_, names)) => Arc::clone(names),
            None => {
                let names: Arc<[Name]> = super::free_names(function).into();
                self.captures.insert(address, (Arc::clone(function), Arc::clone(&names)));
                names
            }
        };
        let mut scope = Scope::default();
        for name in names.iter() {
            // A name that nothing binds is an error when it is read, not before.
            if let Some(value) = self.lookup(name, env)? {
                scope.names.insert(Arc::clone(name), value);
            }
        }
        let closure = Closure { function: Arc::clone(function), scope: Arc::new(scope) };
        nesting::check(Value::Function(Function::Closure(Arc::new(closure))))
    }

    /// `callee(arguments)`, perhaps behind a pipe.
    #[inline(never)]
    pub(super) fn call(
        &mut self,
        call: &CallExpr,
        piped: Option<Value>,
        span: Span,
        env: &mut Env<'_>,
    ) -> Result<Value> {
        let function = match self.eval(&call.callee, env)? {
            Value::Function(function) => function,
            other => {
                let found = format!("expected function but found {}", other.type_name());
                return Err(Error::invalid(found).at(call.callee.span));
            }
        };
        let name = called_name(&call.callee);
        let mut arguments: Vec<(Name, Value)> = Vec::with_capacity(call.arguments.len() + 1);
        for argument in &call.arguments {
            if arguments.iter().any(|(name, _)| *name == argument.name.name) {
                let message = format!("duplicate keyword parameter specified: \"{}\"", argument.name.name);
                return Err(Error::invalid(message).at(argument.name.span));
            }
            arguments.push((Arc::clone(&argument.name.name), self.eval(&argument.value, env)?));
        }
        self.apply(&function, arguments, piped, name, Some(span))
    }

    /// Calls a function; `name` is for messages.
    pub(super) fn apply(
        &mut self,
        function: &Function,
        arguments: Vec<(Name, Value)>,
        piped: Option<Value>,
        name: &str,
        span: Option<Span>,
    ) -> Result<Value> {
        match function {
            Function::Builtin(builtin) => self.apply_builtin(builtin, arguments, piped, span),
            Function::Closure(closure) => self.apply_closure(closure, arguments, piped, name),
        }
    }

    fn apply_builtin(
        &mut self,
        builtin: &'static Builtin,
        mut arguments: Vec<(Name, Value)>,
        piped: Option<Value>,
        span: Option<Span>,
    ) -> Result<Value> {
        match self.session.library.function_type(builtin) {
            Some(function_type) => bind_builtin(builtin, function_type, &mut arguments, piped)?,
            // A builtin that another one returned and that is in no package.
            None => bind_builtin(builtin, &signature::parse(builtin.signature)?, &mut arguments, piped)?,
        }
        self.enter()?;
        let value = (builtin.body)(&mut Call { builtin, arguments, span: span.unwrap_or_default(), host: self });
        self.leave();
        match self.deferred.take() {
            Some(error) => Err(error),
            None => nesting::check(value?),
        }
    }

    fn apply_closure(
        &mut self,
        closure: &Closure,
        arguments: Vec<(Name, Value)>,
        piped: Option<Value>,
        name: &str,
    ) -> Result<Value> {
        let mut env = Env::function(&closure.scope);
        self.bind_closure(&closure.function, arguments, piped, name, &mut env)?;
        self.enter()?;
        let value = match &closure.function.body {
            FunctionBody::Expression(body) => self.eval(body, &mut env),
            FunctionBody::Block(statements) => self.block(statements, closure.function.span, &mut env),
        };
        self.leave();
        value.map_err(|error| match error.kind() {
            ErrorKind::Canceled => error,
            _ if name.is_empty() || name.starts_with('_') || error.message().len() > MAX_CONTEXT => error,
            _ => error.context(format_args!("error calling function \"{name}\"")),
        })
    }

    /// Gives every parameter of a function literal its value.
    fn bind_closure(
        &mut self,
        function: &FunctionExpr,
        mut arguments: Vec<(Name, Value)>,
        mut piped: Option<Value>,
        name: &str,
        env: &mut Env<'_>,
    ) -> Result<()> {
        env.names.reserve(function.parameters.len());
        for parameter in &function.parameters {
            let given = arguments.iter().position(|(own, _)| *own == parameter.name.name);
            let given = given.map(|at| arguments.swap_remove(at).1);
            let value = match (&parameter.kind, given) {
                (ast::ParameterKind::Pipe, Some(_)) if piped.is_some() => {
                    return Err(refuse(Callee::literal(name, function).duplicate(&parameter.name.name)));
                }
                (_, Some(value)) => value,
                (ast::ParameterKind::Pipe, None) if piped.is_some() => piped.take().unwrap_or(Value::Null),
                (ast::ParameterKind::Optional(default), None) => {
                    // Defaults do not see the parameters.
                    let mut outside = Env { names: Vec::new(), captured: env.captured, statement: env.statement };
                    self.eval(default, &mut outside)?
                }
                (kind, None) => {
                    let kind = crate::flux::call_errors::kind_of(kind);
                    return Err(refuse(Callee::literal(name, function).missing(&parameter.name.name, kind)));
                }
            };
            env.names.push((Arc::clone(&parameter.name.name), value));
        }
        if let Some((unexpected, _)) = arguments.first() {
            return Err(refuse(Callee::literal(name, function).unexpected(unexpected)));
        }
        if piped.is_some() {
            return Err(refuse(Callee::literal(name, function).takes_no_pipe()));
        }
        Ok(())
    }

    /// `{ statements; return value }`.
    fn block(&mut self, statements: &[Statement], span: Span, env: &mut Env<'_>) -> Result<Value> {
        for statement in statements {
            match statement {
                Statement::Variable(assignment) => {
                    let value = self.eval(&assignment.value, env)?;
                    env.names.push((Arc::clone(&assignment.name.name), value));
                }
                Statement::Expression(expr) => {
                    self.eval(expr, env)?;
                }
                Statement::Return { value, .. } => return self.eval(value, env),
                other => return Err(Error::invalid("invalid statement in function block").at(other.span())),
            }
        }
        Err(Error::invalid("missing return statement in block").at(span))
    }
}

/// Puts the piped argument under its parameter's name and sees that all arguments fit.
fn bind_builtin(
    builtin: &Builtin,
    function_type: &FunctionType,
    arguments: &mut Vec<(Name, Value)>,
    piped: Option<Value>,
) -> Result<()> {
    let callee = || Callee::typed(builtin.name, function_type);
    if let Some(piped) = piped {
        let Some(pipe) = function_type.pipe() else { return Err(refuse(callee().takes_no_pipe())) };
        if arguments.iter().any(|(name, _)| *name == pipe.name) {
            return Err(refuse(callee().duplicate(&pipe.name)));
        }
        arguments.push((Arc::clone(&pipe.name), piped));
    }
    for parameter in &function_type.parameters {
        let given = arguments.iter().any(|(name, _)| *name == parameter.name);
        if !given && parameter.kind != ParameterKind::Optional {
            return Err(refuse(callee().missing(&parameter.name, parameter.kind)));
        }
    }
    for (name, _) in arguments.iter() {
        if function_type.parameter(name).is_none() {
            return Err(refuse(callee().unexpected(name)));
        }
    }
    Ok(())
}

fn refuse(problem: CallProblem) -> Error {
    let error = Error::invalid(problem.message);
    match problem.help {
        Some(help) => error.with_hint(help),
        None => error,
    }
}

/// The name by which a function is called: `f` of `f()`, `f` of `p.f()`.
fn called_name(callee: &Expr) -> &str {
    match &callee.kind {
        ExprKind::Identifier(name) => name,
        ExprKind::Member { property, .. } => &property.name,
        _ => "",
    }
}
