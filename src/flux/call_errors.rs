//! The sentences about wrong calls, said once for the checker and the evaluator.
//!
//! Pure text. The checker makes diagnostics of them, the evaluator errors.

use super::types::{FunctionType, ParameterKind};
use crate::diagnostic::nearest;
use crate::syntax::ast;

/// A wrong call: the sentence and what may help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallProblem {
    /// A short stable name, as of a diagnostic.
    pub code: &'static str,
    /// The sentence.
    pub message: String,
    /// What may help, if anything is known to.
    pub help: Option<String>,
}

/// What a call has to know of a function: its name, its parameters in order, how it is called.
#[derive(Clone, Debug)]
pub struct Callee<'a> {
    /// The name for messages; empty for a function without one.
    pub name: &'a str,
    /// Names and kinds of the parameters.
    pub parameters: Vec<(&'a str, ParameterKind)>,
    /// How it is called, for messages.
    pub usage: String,
}

impl<'a> Callee<'a> {
    /// A function with a type.
    pub fn typed(name: &'a str, function: &'a FunctionType) -> Self {
        let parameters = function.parameters.iter().map(|parameter| (&*parameter.name, parameter.kind));
        Callee { name, parameters: parameters.collect(), usage: function.brief(name) }
    }

    /// A function literal, of whose parameters no types are known.
    pub fn literal(name: &'a str, function: &'a ast::FunctionExpr) -> Self {
        let parameters = function.parameters.iter().map(|parameter| (&*parameter.name.name, kind_of(&parameter.kind)));
        let parameters: Vec<_> = parameters.collect();
        let shown = parameters.iter().map(|(name, kind)| format!("{}{name}", kind.mark()));
        let usage = format!("{name}({})", shown.collect::<Vec<_>>().join(", "));
        Callee { name, parameters, usage }
    }

    /// The parameter that takes the left side of a pipe.
    pub fn pipe(&self) -> Option<&'a str> {
        self.parameters.iter().find(|(_, kind)| *kind == ParameterKind::Pipe).map(|(name, _)| *name)
    }

    /// Whether there is a parameter of a name.
    pub fn takes(&self, name: &str) -> bool {
        self.parameters.iter().any(|(own, _)| *own == name)
    }

    /// An argument that no parameter takes.
    pub fn unexpected(&self, argument: &str) -> CallProblem {
        let names = self.parameters.iter().map(|(name, _)| *name);
        let near = nearest(argument, names).map(|near| format!("did you mean {near}?"));
        self.problem("unexpected-argument", format!("found unexpected argument {argument}"), near)
    }

    /// A parameter that no argument was given for.
    pub fn missing(&self, parameter: &str, kind: ParameterKind) -> CallProblem {
        match kind {
            ParameterKind::Pipe => self.problem(
                "missing-pipe-argument",
                format!("missing pipe argument {parameter}"),
                Some(format!("pipe it in, as in: {parameter} |> {}", self.shown_call())),
            ),
            _ => self.problem("missing-argument", format!("missing required argument {parameter}"), None),
        }
    }

    /// A pipe into a function that takes none.
    pub fn takes_no_pipe(&self) -> CallProblem {
        let what = if self.name.is_empty() { "the function" } else { self.name };
        CallProblem {
            code: "no-pipe-parameter",
            message: format!("{what} does not take a piped argument"),
            help: Some(self.usage.clone()),
        }
    }

    /// An argument that is given twice.
    pub fn duplicate(&self, argument: &str) -> CallProblem {
        self.problem("duplicate-argument", format!("duplicate keyword parameter specified: \"{argument}\""), None)
    }

    fn shown_call(&self) -> String {
        format!("{}(...)", if self.name.is_empty() { "f" } else { self.name })
    }

    fn problem(&self, code: &'static str, message: String, help: Option<String>) -> CallProblem {
        let of = if self.name.is_empty() { String::new() } else { format!(" of {}", self.name) };
        let help = help.map_or_else(|| self.usage.clone(), |help| format!("{help}\n{}", self.usage));
        CallProblem { code, message: format!("{message}{of}"), help: Some(help) }
    }
}

/// The kind of a parameter in the tree.
pub fn kind_of(kind: &ast::ParameterKind) -> ParameterKind {
    match kind {
        ast::ParameterKind::Required => ParameterKind::Required,
        ast::ParameterKind::Optional(_) => ParameterKind::Optional,
        ast::ParameterKind::Pipe => ParameterKind::Pipe,
    }
}
