//! A file as it is evaluated: its imports, its bindings, its options.
//!
//! Called by the evaluator at file level. Statements are evaluated in order and see what the ones before them have bound.
//! Options of packages and of the prelude (`now`, `location`, `tasks.lastSuccessTime`) hold for the whole script wherever
//! they stand: they are evaluated first, and whatever they need before them (flux-semantics 18 row 22).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use indexmap::IndexMap;

use super::{Env, Evaluation, Evaluator};
use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::library::PRELUDE;
use crate::flux::value::{Function, Record, Stream};
use crate::syntax::ast::{Expr, File, Statement};
use crate::table::Name;

/// An option: the import path of its package, and its name.
type OptionKey = (Arc<str>, Name);

pub(super) struct Program {
    file: Arc<File>,
    /// Import paths by the name that the file gives them.
    imports: HashMap<Name, Arc<str>>,
    /// What each statement that binds something has bound.
    bindings: HashMap<usize, Binding>,
    /// The statements that bind a name of the file.
    names: IndexMap<Name, usize>,
    /// The statements that set an option of a package or of the prelude.
    options: IndexMap<OptionKey, usize>,
    /// Names from before the file.
    given: IndexMap<Name, Value>,
    /// Imported packages as records, made when first read.
    packages: HashMap<Arc<str>, Value>,
    /// All options of packages and of the prelude have been evaluated.
    settled: bool,
    now: Now,
    streams: Vec<Arc<dyn Stream>>,
    /// The addresses of the streams.
    noted: HashSet<usize>,
}

enum Binding {
    Waiting,
    Running,
    Done(Value),
}

#[derive(Clone, Copy)]
enum Now {
    Unknown,
    Running,
    Known(i64),
}

impl Program {
    /// A file with all its names; nothing is evaluated yet.
    pub(super) fn new(file: Arc<File>, given: IndexMap<Name, Value>) -> Result<Self> {
        let imports = file.imports.iter().map(|import| (Name::from(import.name()), Arc::clone(&import.path)));
        let mut program = Program {
            imports: imports.collect(),
            bindings: HashMap::new(),
            names: IndexMap::new(),
            options: IndexMap::new(),
            given,
            packages: HashMap::new(),
            settled: false,
            now: Now::Unknown,
            streams: Vec::new(),
            noted: HashSet::new(),
            file: Arc::clone(&file),
        };
        for (index, statement) in file.body.iter().enumerate() {
            let name = match statement {
                Statement::Variable(assignment) => &assignment.name,
                Statement::Option(option) => {
                    let path = match &option.package {
                        None => Arc::from(PRELUDE),
                        Some(package) => match program.imports.get(&package.name) {
                            Some(path) => Arc::clone(path),
                            None => return Err(undefined(&package.name).at(package.span)),
                        },
                    };
                    if program.options.insert((path, Arc::clone(&option.name.name)), index).is_some() {
                        let message = format!("option \"{}\" reassigned", option.name.name);
                        return Err(Error::invalid(message).at(option.name.span));
                    }
                    &option.name
                }
                _ => continue,
            };
            program.bindings.insert(index, Binding::Waiting);
            let of_package = matches!(statement, Statement::Option(option) if option.package.is_some());
            if !of_package && program.names.insert(Arc::clone(&name.name), index).is_some() {
                let message = format!("variable \"{}\" reassigned", name.name);
                return Err(Error::invalid(message).at(name.span));
            }
        }
        Ok(program)
    }

    /// The import path of a name, unless a statement before `statement` has bound the name to something else.
    pub(super) fn import(&self, name: &str, statement: usize) -> Option<Arc<str>> {
        match self.names.get(name) {
            Some(bound) if *bound < statement => None,
            _ if self.given.contains_key(name) => None,
            _ => self.imports.get(name).cloned(),
        }
    }

    /// The statement that sets an option.
    fn option_statement(&self, path: &str, name: &str) -> Option<usize> {
        self.options.get(&(Arc::from(path), Name::from(name))).copied()
    }

    pub(super) fn note_stream(&mut self, stream: Arc<dyn Stream>) {
        if self.noted.insert(Arc::as_ptr(&stream).addr()) {
            self.streams.push(stream);
        }
    }
}

fn is_option_now(statement: &Statement) -> bool {
    matches!(statement, Statement::Option(option) if option.package.is_none() && &*option.name.name == "now")
}

/// The error for a name that nothing binds.
pub(super) fn undefined(name: &str) -> Error {
    Error::invalid(format!("undefined identifier {name}"))
}

impl Evaluator {
    /// Evaluates the whole file.
    pub(super) fn run(mut self) -> Result<Evaluation> {
        let Some(program) = &self.program else { return Ok(Evaluation::default()) };
        let file = Arc::clone(&program.file);
        let options: Vec<usize> =
            program.options.iter().filter(|(key, _)| self.is_option(key)).map(|(_, at)| *at).collect();
        for statement in options {
            self.bind(statement)?;
        }
        self.script_now()?;
        if let Some(program) = &mut self.program {
            program.settled = true;
        }
        let mut values = Vec::new();
        for (index, statement) in file.body.iter().enumerate() {
            match statement {
                Statement::Variable(_) | Statement::Option(_) => {
                    self.bind(index)?;
                }
                Statement::Expression(expr) => {
                    let value = self.eval(expr, &mut Env::file(index))?;
                    if let (Value::Stream(stream), Some(program)) = (&value, &mut self.program) {
                        program.note_stream(Arc::clone(stream));
                    }
                    values.push((expr.span, value));
                }
                Statement::TestCase(_) => {}
                Statement::Return { span, .. } => {
                    return Err(Error::invalid("return not valid in file block").at(*span));
                }
                Statement::Builtin { span, .. } => {
                    return Err(Error::invalid("builtin statements are for the library only").at(*span));
                }
                Statement::Bad(span) => return Err(Error::invalid("invalid statement").at(*span)),
            }
        }
        let Some(mut program) = self.program else { return Ok(Evaluation::default()) };
        let mut names = IndexMap::new();
        for (name, statement) in program.names {
            if let Some(Binding::Done(value)) = program.bindings.remove(&statement) {
                names.insert(name, value);
            }
        }
        Ok(Evaluation { streams: program.streams, values, names })
    }

    /// Whether options will not change any more.
    pub(super) fn options_are_settled(&self) -> bool {
        self.program.as_ref().is_none_or(|program| program.settled)
    }

    /// Whether the library knows an option.
    fn is_option(&self, key: &OptionKey) -> bool {
        self.session.library.member(&key.0, &key.1).is_some_and(|member| member.is_option)
    }

    /// The value that a statement binds, evaluated now if it has not been.
    fn bind(&mut self, statement: usize) -> Result<Value> {
        let Some(program) = &mut self.program else { return Ok(Value::Null) };
        let file = Arc::clone(&program.file);
        let (name, value): (&Name, &Expr) = match &file.body[statement] {
            Statement::Variable(assignment) => (&assignment.name.name, &assignment.value),
            Statement::Option(option) => (&option.name.name, &option.value),
            _ => return Ok(Value::Null),
        };
        match program.bindings.insert(statement, Binding::Running) {
            Some(Binding::Done(value)) => {
                program.bindings.insert(statement, Binding::Done(value.clone()));
                return Ok(value);
            }
            Some(Binding::Running) => {
                return Err(Error::invalid(format!("{name} depends on itself")).at(value.span));
            }
            Some(Binding::Waiting) | None => {}
        }
        let value = self.eval(value, &mut Env::file(statement))?;
        if let Some(program) = &mut self.program {
            program.bindings.insert(statement, Binding::Done(value.clone()));
        }
        Ok(value)
    }

    /// What a name stands for that is not bound within a function: in the file, before it, an import, the prelude.
    pub(super) fn global(&mut self, name: &str, statement: usize) -> Result<Option<Value>> {
        let Some(program) = &self.program else { return Ok(None) };
        if let Some(bound) = program.names.get(name).filter(|bound| **bound < statement) {
            let bound = *bound;
            if is_option_now(&program.file.body[bound]) {
                return self.member_of_package(PRELUDE, name);
            }
            return self.bind(bound).map(Some);
        }
        if let Some(value) = program.given.get(name) {
            return Ok(Some(value.clone()));
        }
        if let Some(path) = program.imports.get(name) {
            let path = Arc::clone(path);
            return self.package(&path).map(Some);
        }
        self.member_of_package(PRELUDE, name)
    }

    /// A member of a package as the script sees it: an option has the value that it was set to.
    pub(super) fn member_of_package(&mut self, path: &str, name: &str) -> Result<Option<Value>> {
        match self.session.library.member(path, name) {
            // The builtin returns what an option now returns, always the same time.
            Some(member) if path == PRELUDE && name == "now" => Ok(Some(member.value.clone())),
            Some(member) if member.is_option => self.option_value(path, name),
            Some(member) => Ok(Some(member.value.clone())),
            None => Ok(None),
        }
    }

    /// A package as a record: for scripts that hand it around. Its members are read one by one otherwise.
    fn package(&mut self, path: &Arc<str>) -> Result<Value> {
        if let Some(known) = self.program.as_ref().and_then(|program| program.packages.get(path)) {
            return Ok(known.clone());
        }
        let library = self.session.library;
        let members = library.package(path).ok_or_else(|| Error::invalid(format!("invalid import path {path}")))?;
        let mut record = Record::default();
        for name in members.keys() {
            let value = self.member_of_package(path, name)?.unwrap_or(Value::Null);
            record.properties.push((Arc::clone(name), value));
        }
        let record = Value::Record(Arc::new(record));
        if let Some(program) = &mut self.program {
            program.packages.insert(Arc::clone(path), record.clone());
        }
        Ok(record)
    }

    /// An option of a package: what the script sets it to, what the request does, its default. An option that is read
    /// while it is being evaluated has the value that it had before the script.
    pub(super) fn option_value(&mut self, path: &str, name: &str) -> Result<Option<Value>> {
        if let Some(resolved) = &self.resolved {
            return Ok(resolved.options.get(&(path.to_string(), name.to_string())).cloned());
        }
        if let Some(program) = &self.program
            && let Some(statement) = program.option_statement(path, name)
            && !matches!(program.bindings.get(&statement), Some(Binding::Running))
        {
            return self.bind(statement).map(Some);
        }
        let session = &self.session;
        let given = session.options.iter().find(|(package, option, _)| &**package == path && &**option == name);
        if let Some((_, _, value)) = given {
            return Ok(Some(value.clone()));
        }
        Ok(session.library.member(path, name).filter(|member| member.is_option).map(|member| member.value.clone()))
    }

    /// `now()`: of an `option now` in the script, else of the request. Evaluated once. A function that is an option `now`
    /// and itself calls `now()` gets the request's.
    pub(super) fn script_now(&mut self) -> Result<i64> {
        if let Some(resolved) = &self.resolved {
            return Ok(resolved.now_ns);
        }
        match self.program.as_ref().map_or(Now::Running, |program| program.now) {
            Now::Known(now_ns) => return Ok(now_ns),
            Now::Running => return Ok(self.session.now_ns),
            Now::Unknown => self.set_now(Now::Running),
        }
        let place = self.program.as_ref().and_then(|program| program.option_statement(PRELUDE, "now"));
        let now_ns = self.evaluate_now().map_err(|error| match (place, &self.program) {
            (Some(statement), Some(program)) => error.at(program.file.body[statement].span()),
            _ => error,
        })?;
        self.set_now(Now::Known(now_ns));
        Ok(now_ns)
    }

    fn evaluate_now(&mut self) -> Result<i64> {
        let now = match self.option_value(PRELUDE, "now")? {
            Some(Value::Function(function @ Function::Closure(_))) => {
                self.apply(&function, Vec::new(), None, "now", None)?
            }
            Some(Value::Function(Function::Builtin(_))) | None => return Ok(self.session.now_ns),
            Some(other) => {
                let found = other.type_name();
                let message = format!("option now is of type {found}, expected a function without arguments");
                return Err(Error::invalid(message).with_hint("write option now = () => 2024-01-01T00:00:00Z"));
            }
        };
        match now {
            Value::Time(now_ns) => Ok(now_ns),
            other => Err(Error::invalid(format!("option now returns {}, expected time", other.type_name()))),
        }
    }

    fn set_now(&mut self, now: Now) {
        if let Some(program) = &mut self.program {
            program.now = now;
        }
    }
}
