//! Calls: arguments against parameters by name and by type, functions that are handed to functions.

use super::Checker;
use super::fit::{self, Misfit};
use crate::diagnostic::{Diagnostic, Span, nearest};
use crate::flux::call_errors::{CallProblem, Callee};
use crate::flux::types::{FunctionType, ParameterKind, Row, Type};
use crate::syntax::ast::{CallExpr, Expr, ExprKind, FunctionExpr, Property};
use crate::table::Name;

/// An argument with its type.
struct Argument<'a> {
    name: Name,
    value: &'a Expr,
    /// Where its name stands; of the piped one, where its value does.
    span: Span,
    found: Type,
}

impl<'a> Checker<'a> {
    /// The type of a call's result; `piped` is what stands to the left of the pipe.
    pub(super) fn call(&mut self, call: &'a CallExpr, piped: Option<(&'a Expr, Type)>, span: Span) -> Type {
        let callee_type = self.infer(&call.callee);
        let mut arguments = Vec::with_capacity(call.arguments.len() + 1);
        for Property { name, value, .. } in &call.arguments {
            let found = self.infer(value);
            self.suggest_quotes(value);
            arguments.push(Argument { name: Name::clone(&name.name), value, span: name.span, found });
        }
        let function = match callee_type {
            Type::Function(function) => *function,
            Type::Unknown | Type::Var(_) => return Type::Unknown,
            other => {
                let message = format!("expected function but found {}", other.brief().unwrap_or_default());
                self.report(Diagnostic::error("type-mismatch", message, call.callee.span));
                return Type::Unknown;
            }
        };
        let callee = Callee::typed(called_name(&call.callee), &function);
        let place = Place { callee: call.callee.span, call: span };
        self.names_of_arguments(&callee, &arguments, piped.is_some(), place);
        if let Some((value, found)) = piped
            && let Some(pipe) = callee.pipe()
        {
            arguments.push(Argument { name: pipe.into(), value, span: value.span, found });
        }
        for argument in &arguments {
            self.type_of_argument(&callee, &function, argument);
        }
        result_of(&function)
    }

    /// A name as an argument that nothing binds, and that is like no other: text without its quotes, perhaps.
    fn suggest_quotes(&mut self, value: &Expr) {
        if let ExprKind::Identifier(name) = &value.kind
            && let Some(last) = self.diagnostics.last_mut()
            && last.span == value.span
            && last.code == "undefined-identifier"
            && last.help.is_none()
            && last.labels.is_empty()
        {
            last.help = Some(format!("text stands in double quotes: \"{name}\""));
        }
    }

    /// Every argument has a parameter, every parameter that needs one has an argument.
    fn names_of_arguments(&mut self, callee: &Callee<'_>, arguments: &[Argument<'_>], piped: bool, place: Place) {
        let mut misspelt = Vec::new();
        for (index, argument) in arguments.iter().enumerate() {
            if arguments[..index].iter().any(|earlier| earlier.name == argument.name) {
                self.report_problem(callee.duplicate(&argument.name), argument.span);
            } else if !callee.takes(&argument.name) {
                misspelt.extend(nearest(&argument.name, callee.parameters.iter().map(|(name, _)| *name)));
                self.report_problem(callee.unexpected(&argument.name), argument.span);
            } else if piped && callee.pipe() == Some(&argument.name) {
                self.report_problem(callee.duplicate(&argument.name), argument.span);
            }
        }
        for (name, kind) in &callee.parameters {
            let given = arguments.iter().any(|argument| &*argument.name == *name) || misspelt.contains(name);
            let needed = match kind {
                ParameterKind::Required => true,
                ParameterKind::Pipe => !piped,
                ParameterKind::Optional => false,
            };
            if needed && !given {
                self.report_problem(callee.missing(name, *kind), place.callee);
            }
        }
        if piped && callee.pipe().is_none() {
            self.report_problem(callee.takes_no_pipe(), place.call);
        }
    }

    fn report_problem(&mut self, problem: CallProblem, span: Span) {
        let diagnostic = Diagnostic::error(problem.code, problem.message, span);
        self.report(match problem.help {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        });
    }

    fn type_of_argument(&mut self, callee: &Callee<'_>, function: &FunctionType, argument: &Argument<'a>) {
        let Some(parameter) = function.parameter(&argument.name) else { return };
        let expected = &parameter.parameter_type;
        let of = format!("argument {}{}", argument.name, of_callee(callee.name));
        if let (Type::Function(expected), Type::Function(found)) = (expected, &argument.found) {
            if let Some(misfit) = fit::misfit(expected, found) {
                self.report_misfit(&misfit, expected, found, argument, &of);
            }
            return;
        }
        let wanted = if fit::contradicts(expected, &argument.found) {
            Some(expected.brief().unwrap_or_default())
        } else {
            let kinds = function.constraints.iter().filter(|(name, _)| Type::Var(name.clone()) == *expected);
            let mut kinds = kinds.flat_map(|(_, kinds)| kinds);
            kinds.find_map(|kind| fit::lacked_kind(&argument.found, kind)).map(str::to_string)
        };
        let Some(wanted) = wanted else { return };
        let message = format!("expected {wanted} but found {} ({of})", argument.found.brief().unwrap_or_default());
        let diagnostic = Diagnostic::error("type-mismatch", message, argument.value.span);
        self.report(diagnostic.help(callee.usage.clone()));
    }

    /// A function that its caller cannot call.
    fn report_misfit(
        &mut self,
        misfit: &Misfit,
        expected: &FunctionType,
        found: &FunctionType,
        argument: &Argument<'a>,
        of: &str,
    ) {
        let literal = literal_of(argument.value);
        let parameter_place = |name: &str| {
            let parameters = literal.into_iter().flat_map(|literal| &literal.parameters);
            let mut named = parameters.filter(|parameter| &*parameter.name.name == name);
            named.next().map_or(argument.value.span, |parameter| parameter.name.span)
        };
        let called_with = shown_parameters(expected);
        let help = format!("it is called with {called_with}: write {called_with} => ...");
        let diagnostic = match misfit {
            Misfit::Needs(name) => {
                let wanted: Vec<&str> =
                    expected.parameters.iter().map(|p| &*p.name).filter(|own| found.parameter(own).is_none()).collect();
                let diagnostic = Diagnostic::error(
                    "row-function-parameter",
                    format!("found unexpected argument {name} ({of})"),
                    parameter_place(name),
                );
                let diagnostic = match wanted.as_slice() {
                    [one] if !one.is_empty() => diagnostic.label(format!("expected `{one}`")),
                    _ => diagnostic,
                };
                diagnostic.help(help)
            }
            Misfit::Lacks(name) => Diagnostic::error(
                "row-function-parameter",
                format!("missing required argument {name} ({of})"),
                argument.value.span,
            )
            .help(help),
            Misfit::LacksPipe => Diagnostic::error(
                "row-function-parameter",
                format!("the function takes no piped argument ({of})"),
                argument.value.span,
            )
            .help("it is called behind a pipe: write (tables=<-, column) => tables |> ..."),
            Misfit::Returns => {
                let span = literal.map_or(argument.value.span, |literal| literal.span);
                let message = format!("expected {} but found {} (result of {of})", expected.result, found.result);
                Diagnostic::error("type-mismatch", message, span)
            }
        };
        self.report(diagnostic);
    }
}

/// Where a call stands.
#[derive(Clone, Copy)]
struct Place {
    callee: Span,
    call: Span,
}

/// What is known of a call's result: types of the signature, its variables unknown.
fn result_of(function: &FunctionType) -> Type {
    without_variables(&function.result)
}

fn without_variables(found: &Type) -> Type {
    match found {
        Type::Var(_) => Type::Unknown,
        Type::Array(item) => Type::Array(Box::new(without_variables(item))),
        Type::Dict(key, value) => Type::Dict(Box::new(without_variables(key)), Box::new(without_variables(value))),
        Type::Record(row) => {
            let properties = row.properties.iter().map(|(name, property)| (name.clone(), without_variables(property)));
            Type::Record(Row { properties: properties.collect(), rest: row.rest.clone() })
        }
        Type::Stream(_) => Type::Stream(Box::new(Type::Unknown)),
        Type::Ground(_) | Type::Function(_) | Type::Unknown => found.clone(),
    }
}

fn literal_of(expr: &Expr) -> Option<&FunctionExpr> {
    match &expr.kind {
        ExprKind::Function(function) => Some(function),
        ExprKind::Paren(inner) => literal_of(inner),
        _ => None,
    }
}

/// `(r)`, `(tables=<-, column)`: the parameters as a function literal would write them.
fn shown_parameters(function: &FunctionType) -> String {
    let parameters = function.parameters.iter().map(|parameter| match parameter.kind {
        ParameterKind::Pipe if parameter.name.is_empty() => "tables=<-".to_string(),
        ParameterKind::Pipe => format!("{}=<-", parameter.name),
        _ => parameter.name.to_string(),
    });
    format!("({})", parameters.collect::<Vec<_>>().join(", "))
}

fn of_callee(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!(" of {name}") }
}

/// The name by which a function is called: `f` of `f()`, `f` of `p.f()`.
fn called_name(callee: &Expr) -> &str {
    match &callee.kind {
        ExprKind::Identifier(name) => name,
        ExprKind::Member { property, .. } => &property.name,
        ExprKind::Paren(inner) => called_name(inner),
        _ => "",
    }
}
