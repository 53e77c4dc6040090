//! The checker: what is wrong with a script before it runs.
//!
//! Called by the engine, the command line and the REPL for every file that parses. It finds names, imports, calls and
//! basic types that cannot work; a script that it accepts may still fail at run time, but one that could work is never
//! refused: a false rejection breaks a working task. It changes nothing and evaluates nothing.

mod calls;
mod fit;
mod infer;
mod names;
mod operators;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use indexmap::IndexMap;

use super::Value;
use super::library::{Library, PRELUDE};
use super::types::{Row, Type};
use crate::diagnostic::{Diagnostic, Severity, Span};
use crate::error::Error;
use crate::syntax::Parsed;
use crate::syntax::ast::{Assignment, File, Identifier, OptionStatement, Statement};
use crate::table::Name;

/// How many problems of one file are kept; the rest is counted.
const MAX_PROBLEMS: usize = 100;

/// All problems of a file that parsed without errors, in the order of the text.
pub fn check(file: &File, library: &Library) -> Vec<Diagnostic> {
    check_session(file, library, &IndexMap::new())
}

/// As [`check`], for input that sees names which earlier input has bound.
pub fn check_session(file: &File, library: &Library, given: &IndexMap<Name, Value>) -> Vec<Diagnostic> {
    let mut checker = Checker::new(file, library, given);
    checker.imports(file);
    checker.statements(&file.body, true);
    let mut diagnostics = checker.diagnostics;
    diagnostics.sort_by_key(|diagnostic| (diagnostic.span.start, diagnostic.span.end));
    if checker.not_kept > 0 {
        let message = format!("{} more problems are not shown", checker.not_kept);
        let span = diagnostics.last().map_or_else(Span::default, |last| last.span);
        diagnostics.push(Diagnostic::error("too-many-problems", message, span));
    }
    diagnostics
}

/// The names that a file binds at its top, options among them, in the order of the text, with their types as far as they
/// are known.
pub fn names(file: &File, library: &Library) -> Vec<(Name, Span, Type)> {
    let mut checker = Checker::new(file, library, &IndexMap::new());
    checker.statements(&file.body, true);
    checker.names
}

/// Parses and checks a text. A text that does not parse has the parser's diagnostics only: what else is wrong with it
/// cannot be told apart from what follows from them. One without errors also has the warnings of [`super::lint`].
pub fn parse_and_check(text: &str, library: &Library) -> Parsed {
    let mut parsed = crate::syntax::parse(text);
    if !parsed.has_errors() {
        let mut found = check(&parsed.file, library);
        merge_missing_pipes(&mut parsed.diagnostics, &mut found);
        if found.iter().all(|diagnostic| diagnostic.severity != Severity::Error) {
            found.extend(super::lint::lint(&parsed.file, library));
        }
        parsed.diagnostics.append(&mut found);
        parsed.diagnostics.sort_by_key(|diagnostic| (diagnostic.span.start, diagnostic.span.end));
    }
    parsed
}

/// Where the parser has warned that nothing is piped into a call and the call needs it, one error tells both.
fn merge_missing_pipes(warnings: &mut Vec<Diagnostic>, errors: &mut [Diagnostic]) {
    for error in errors.iter_mut().filter(|error| error.code == "missing-pipe-argument") {
        let same = |warning: &Diagnostic| warning.code == "missing-pipe" && warning.span.start == error.span.start;
        if let Some(at) = warnings.iter().position(same) {
            let warning = warnings.remove(at);
            error.label = warning.label;
            error.labels = warning.labels;
            error.help = warning.help;
        }
    }
}

struct Checker<'a> {
    library: &'a Library,
    diagnostics: Vec<Diagnostic>,
    /// How many problems were found after [`MAX_PROBLEMS`].
    not_kept: usize,
    /// Import paths by the name that the file gives them.
    imports: HashMap<&'a str, &'a str>,
    /// Bound names, the innermost block last; the first is what was given.
    scopes: Vec<IndexMap<Name, Bound>>,
    /// Where the blocks around this place bind names, whether they have come to it yet.
    binding_places: Vec<HashMap<&'a str, Span>>,
    /// Within a test case that extends another.
    in_extension: bool,
    /// What the file has bound at its top.
    names: Vec<(Name, Span, Type)>,
}

/// A bound name.
struct Bound {
    bound_type: Type,
    /// Where it is bound; `None` for parameters and for what was given.
    span: Option<Span>,
    is_option: bool,
}

impl<'a> Checker<'a> {
    fn new(file: &'a File, library: &'a Library, given: &IndexMap<Name, Value>) -> Self {
        let given = given.iter().map(|(name, value)| {
            let bound_type = opened(Type::of(value));
            (name.clone(), Bound { bound_type, span: None, is_option: false })
        });
        Checker {
            library,
            diagnostics: Vec::new(),
            not_kept: 0,
            imports: file.imports.iter().map(|import| (import.name(), &*import.path)).collect(),
            scopes: vec![given.collect()],
            binding_places: Vec::new(),
            in_extension: false,
            names: Vec::new(),
        }
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        if self.diagnostics.len() < MAX_PROBLEMS {
            self.diagnostics.push(diagnostic);
        } else {
            self.not_kept += 1;
        }
    }

    /// Reports what evaluation would say, at its place.
    fn report_error(&mut self, code: &'static str, error: &Error, span: Span) {
        let diagnostic = Diagnostic::error(code, error.message(), span);
        self.report(match error.hint() {
            Some(hint) => diagnostic.help(hint),
            None => diagnostic,
        });
    }

    /// The statements of a file or block, in a scope of their own; the type that the block returns.
    fn statements(&mut self, statements: &'a [Statement], file_level: bool) -> Type {
        let places = statements.iter().filter_map(|statement| match statement {
            Statement::Variable(assignment) => Some((&*assignment.name.name, assignment.name.span)),
            Statement::Option(option) if option.package.is_none() => Some((&*option.name.name, option.name.span)),
            _ => None,
        });
        self.binding_places.push(places.collect());
        self.scopes.push(IndexMap::new());
        let mut returned = Type::Unknown;
        for statement in statements {
            match statement {
                Statement::Expression(expr) => {
                    self.infer(expr);
                }
                Statement::Variable(assignment) => self.variable(assignment),
                Statement::Option(option) => self.option(option, file_level),
                Statement::Return { value, .. } => returned = self.infer(value),
                Statement::Builtin { span, .. } => {
                    let message = "builtin statements are for the library only";
                    self.report(Diagnostic::error("builtin-statement", message, *span));
                }
                Statement::TestCase(case) => {
                    self.in_extension = case.extends.is_some();
                    self.statements(&case.body, true);
                    self.in_extension = false;
                }
                Statement::Bad(_) => {}
            }
        }
        self.scopes.pop();
        self.binding_places.pop();
        returned
    }

    fn variable(&mut self, assignment: &'a Assignment) {
        let bound_type = self.infer(&assignment.value);
        if matches!(&*assignment.name.name, "true" | "false") {
            let message = format!("{} cannot be assigned to", assignment.name.name);
            self.report(Diagnostic::error("reserved-name", message, assignment.name.span));
            return;
        }
        self.bind(&assignment.name, bound_type, false);
    }

    fn option(&mut self, option: &'a OptionStatement, file_level: bool) {
        let value_type = self.infer(&option.value);
        let name = &option.name;
        let path = match &option.package {
            None => PRELUDE,
            Some(package) => match self.imports.get(&*package.name) {
                Some(path) => path,
                None => {
                    self.undefined_identifier(&package.name, package.span);
                    return;
                }
            },
        };
        let member = self.library.member(path, &name.name);
        match (&option.package, member) {
            (_, Some(member)) if member.is_option => {
                let default = self.type_of_member(member);
                if fit::contradicts(&default, &value_type) || fit::is_no_function(&default, &value_type) {
                    let shown = |found: &Type| found.brief().unwrap_or_default();
                    let (expected, found) = (shown(&default), shown(&value_type));
                    let message = format!("expected {expected} but found {found} (option {})", name.name);
                    self.report(Diagnostic::error("type-mismatch", message, option.value.span));
                }
            }
            (Some(package), Some(_)) => {
                let message = format!("{} of package {} is not an option", name.name, package.name);
                self.report(Diagnostic::error("no-option", message, name.span));
            }
            (Some(package), None) if self.library.package(path).is_some() => {
                self.undefined_member(path, &package.name, name);
            }
            _ => {}
        }
        if option.package.is_none() && file_level {
            self.bind(name, value_type, true);
        }
    }

    /// Binds a name in the innermost block.
    fn bind(&mut self, name: &Identifier, bound_type: Type, is_option: bool) {
        // Below the file's own names are those that were given.
        if self.scopes.len() == 2 {
            self.names.push((Name::clone(&name.name), name.span, bound_type.clone()));
        }
        let Some(scope) = self.scopes.last_mut() else { return };
        let new = Bound { bound_type, span: Some(name.span), is_option };
        let Some(old) = scope.insert(Name::clone(&name.name), new) else { return };
        let text = &name.name;
        let (code, message) = match (old.is_option, is_option) {
            (false, false) => ("reassigned", format!("variable \"{text}\" reassigned")),
            (true, true) => ("reassigned", format!("option \"{text}\" reassigned")),
            _ => ("option-conflict", format!("variable \"{text}\" conflicts with option of same name")),
        };
        let mut diagnostic = Diagnostic::error(code, message, name.span);
        if let Some(first) = old.span {
            diagnostic = diagnostic.also(first, "first assigned here");
        }
        self.report(match is_option {
            true => diagnostic.help("an option is set once"),
            false => diagnostic.help("a name is assigned once in a block: choose another name"),
        });
    }
}

/// A type of which records may have further properties: what is known of a value that came from data.
fn opened(of_value: Type) -> Type {
    match of_value {
        Type::Record(row) => {
            let properties = row.properties.into_iter().map(|(name, property)| (name, opened(property)));
            Type::Record(Row { properties: properties.collect(), rest: Some("R".into()) })
        }
        Type::Array(item) => Type::Array(Box::new(opened(*item))),
        other => other,
    }
}
