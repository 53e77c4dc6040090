//! Chains of pipes as the rules see them: from what is piped first to the last call, names of chains resolved.
//!
//! Made once per file.

use std::collections::{HashMap, HashSet};

use crate::diagnostic::Span;
use crate::flux::library::{Library, PRELUDE};
use crate::syntax::ast::{CallExpr, Expr, ExprKind, File, FunctionBody, Statement};
use crate::syntax::visit;

/// How many names of names are followed.
const MAX_NAMES: usize = 20;

/// A call of a chain.
#[derive(Clone, Copy)]
pub(super) struct Step<'a> {
    /// The package and name of the builtin that is called; `None` for a function of the script, or one that is not known.
    pub builtin: Option<(&'a str, &'a str)>,
    pub call: &'a CallExpr,
    /// The place of the call.
    pub span: Span,
}

impl<'a> Step<'a> {
    /// Whether it calls this function of the prelude.
    pub fn is(&self, name: &str) -> bool {
        self.builtin == Some((PRELUDE, name))
    }

    /// The name of the builtin in whatever package.
    pub fn name(&self) -> &'a str {
        self.builtin.map_or("", |(_, name)| name)
    }

    /// An argument.
    pub fn argument(&self, name: &str) -> Option<&'a Expr> {
        self.call.arguments.iter().find(|argument| &*argument.name.name == name).map(|argument| &argument.value)
    }

    /// A string literal as an argument.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        match &self.argument(name)?.kind {
            ExprKind::String(text) => Some(text),
            _ => None,
        }
    }
}

/// Calls in the order in which rows go through them.
pub(super) struct Chain<'a> {
    pub steps: Vec<Step<'a>>,
    /// How many steps at the start stand elsewhere, under a name: they are looked at where they stand.
    pub named: usize,
}

/// What the names of a file stand for.
pub(super) struct Names<'a> {
    pub library: &'a Library,
    /// Import paths by name, with the place of the import.
    pub imports: HashMap<&'a str, (&'a str, Span)>,
    /// The expressions of the file's own variables.
    pub variables: HashMap<&'a str, &'a Expr>,
    /// All names that the file binds anywhere, parameters among them.
    pub bound: HashSet<&'a str>,
}

impl<'a> Names<'a> {
    pub fn new(file: &'a File, library: &'a Library) -> Self {
        let imports = file.imports.iter().map(|import| (import.name(), (&*import.path, import.span)));
        let mut names = Names { library, imports: imports.collect(), variables: HashMap::new(), bound: HashSet::new() };
        for statement in &file.body {
            if let Statement::Variable(assignment) = statement {
                names.variables.insert(&assignment.name.name, &assignment.value);
            }
        }
        names.bind(&file.body);
        let mut functions = Vec::new();
        each(file, &mut |expr| {
            if let ExprKind::Function(function) = &expr.kind {
                functions.push(&**function);
            }
        });
        for function in functions {
            names.bound.extend(function.parameters.iter().map(|parameter| &*parameter.name.name));
            if let FunctionBody::Block(body) = &function.body {
                names.bind(body);
            }
        }
        names
    }

    fn bind(&mut self, body: &'a [Statement]) {
        for statement in body {
            match statement {
                Statement::Variable(assignment) => {
                    self.bound.insert(&assignment.name.name);
                }
                Statement::Option(option) if option.package.is_none() => {
                    self.bound.insert(&option.name.name);
                }
                Statement::TestCase(case) => self.bind(&case.body),
                _ => {}
            }
        }
    }

    /// The package and name of the builtin that an expression names.
    pub fn builtin(&self, callee: &'a Expr) -> Option<(&'a str, &'a str)> {
        match &callee.kind {
            ExprKind::Identifier(name) if !self.bound.contains(&**name) => {
                self.library.prelude(name).map(|_| (PRELUDE, &**name))
            }
            ExprKind::Member { object, property, .. } => match &object.kind {
                ExprKind::Identifier(package) if !self.bound.contains(&**package) => {
                    let (path, _) = self.imports.get(&**package)?;
                    self.library.member(path, &property.name).map(|_| (*path, &*property.name))
                }
                _ => None,
            },
            _ => None,
        }
    }

    fn step(&self, call: &'a CallExpr, span: Span) -> Step<'a> {
        Step { builtin: self.builtin(&call.callee), call, span }
    }

    /// The steps of an expression, those of the name that it begins with included.
    fn steps(&self, expr: &'a Expr, names: usize) -> Vec<Step<'a>> {
        let mut steps = Vec::new();
        let mut first = expr;
        loop {
            match &first.kind {
                ExprKind::Pipe { argument, call, call_span } => {
                    steps.push(self.step(call, *call_span));
                    first = argument;
                }
                ExprKind::Paren(inner) => first = inner,
                _ => break,
            }
        }
        steps.reverse();
        let before = match &first.kind {
            ExprKind::Call(call) => vec![self.step(call, first.span)],
            ExprKind::Identifier(name) if names > 0 => match self.variables.get(&**name) {
                Some(value) => self.steps(value, names - 1),
                None => Vec::new(),
            },
            _ => Vec::new(),
        };
        [before, steps].concat()
    }
}

/// All chains of a file. A chain that is the beginning of another is there once.
pub(super) fn chains<'a>(file: &'a File, names: &Names<'a>) -> Vec<Chain<'a>> {
    let mut chains = Vec::new();
    // The left side of a pipe is a chain too, which its whole covers.
    let mut covered: HashSet<u32> = HashSet::new();
    each(file, &mut |expr| {
        if let ExprKind::Pipe { argument, .. } = &expr.kind {
            covered.insert(argument.id.0);
        }
        if covered.contains(&expr.id.0) {
            return;
        }
        let steps = match &expr.kind {
            ExprKind::Pipe { .. } | ExprKind::Call(_) => names.steps(expr, MAX_NAMES),
            _ => return,
        };
        let named = steps.iter().filter(|step| step.span.end <= expr.span.start || step.span.start >= expr.span.end);
        let named = named.count();
        chains.push(Chain { steps, named });
    });
    chains
}

/// Every expression of a file, each before its parts.
pub(super) fn each<'a>(file: &'a File, visit: &mut dyn FnMut(&'a Expr)) {
    visit::file(file, &mut |expr| {
        visit(expr);
        true
    });
}
