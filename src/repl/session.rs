//! What earlier input has defined, and how it joins new input to one script.
//!
//! Used by the REPL. The daemon knows no sessions: every input is sent as a whole script, with the definitions that it
//! needs in front of it. A name may be defined again; what was defined with its old meaning keeps the old meaning. A value
//! that Flux can write down is computed once, when it is defined. Nothing here runs anything.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use indexmap::IndexMap;

use super::compose::{Composed, Composer, Edit};
use crate::diagnostic::Span;
use crate::syntax::ast::{ExprKind, File, ParameterKind, Statement};
use crate::syntax::uses::{self, Use};
use crate::syntax::{PieceKind, pieces};

/// The number of a definition, ascending in time.
pub(super) type DefinitionId = usize;

/// What sort of thing a definition is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// `import "path"`.
    Import(Arc<str>),
    /// `name = value`.
    Variable,
    /// `option name = value`, `option package.name = value`: the import path of the package.
    Option(Option<Arc<str>>),
}

/// A definition.
#[derive(Clone, Debug)]
pub(super) struct Definition {
    /// The name that it binds.
    pub name: Arc<str>,
    /// What it is.
    pub sort: Sort,
    /// Its statement as it was written.
    pub text: String,
    /// The value as a literal, where there is one.
    pub literal: Option<String>,
    /// The type of the value, as far as it is known.
    pub type_text: String,
    /// The parameters of a function: names, and whether each is piped.
    pub parameters: Option<Vec<(Arc<str>, bool)>>,
    /// The definitions that it uses, with the places in the text.
    uses: Vec<(Use, DefinitionId)>,
}

/// An expression of earlier input, with the meaning that its names had.
#[derive(Clone, Debug)]
pub(super) struct Query {
    /// Its text.
    pub text: String,
    uses: Vec<(Use, DefinitionId)>,
}

/// New input as the parser read it.
pub(super) struct Input<'a> {
    /// The text.
    pub text: &'a str,
    /// Its tree, without errors.
    pub file: &'a File,
}

/// All definitions, and which of them names mean now.
#[derive(Debug, Default)]
pub(super) struct Session {
    definitions: Vec<Definition>,
    names: IndexMap<Arc<str>, DefinitionId>,
    options: IndexMap<(Option<Arc<str>>, Arc<str>), DefinitionId>,
    /// The last expression.
    pub last: Option<Query>,
}

/// How definitions are written into a script.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Values {
    /// With values that are known already.
    Known,
    /// As they were written.
    AsWritten,
}

impl Session {
    /// What a name means now.
    pub fn get(&self, name: &str) -> Option<&Definition> {
        self.names.get(name).map(|id| &self.definitions[*id])
    }

    /// All names with what they mean now, in the order of their definition.
    pub fn names(&self) -> impl Iterator<Item = &Definition> {
        self.names.values().map(|id| &self.definitions[*id])
    }

    /// A definition by its number.
    pub fn definition(&self, id: DefinitionId) -> Option<&Definition> {
        self.definitions.get(id)
    }

    /// The texts of the definitions that a text needs, in order: for whoever looks for a bucket's name in them.
    pub fn needed_texts(&self, text: &str) -> Vec<&str> {
        let names = pieces(text).into_iter().filter(|piece| piece.kind == PieceKind::Name);
        let ids = names.filter_map(|piece| self.names.get(&text[piece.span.range()]).copied());
        self.closure(ids).into_iter().map(|id| self.definitions[id].text.as_str()).collect()
    }

    /// The script of an input: the definitions that it needs, and the input.
    pub fn compose(&self, input: &Input<'_>, values: Values) -> Composed {
        let parts = self.read(input);
        let mut composer = Composer::new();
        let head = parts.head_end;
        composer.input(input.text, 0..head, &[]);
        let edits = self.definitions_of(&mut composer, &parts, values, &[]);
        composer.apart(&input.text[head..]);
        composer.input(input.text, head..input.text.len(), &edits);
        composer.finish()
    }

    /// The script of the last expression as a task: imports, the option, definitions as they were written, the expression.
    pub fn compose_task(&self, query: &Query, option: &str) -> String {
        let parts = Parts {
            uses: query.uses.clone(),
            binds: HashSet::from([Arc::from("task")]),
            options: HashSet::from([(None, Arc::from("task"))]),
            imports: HashSet::new(),
            head_end: 0,
        };
        let mut composer = Composer::new();
        let edits = self.definitions_of(&mut composer, &parts, Values::AsWritten, &[option]);
        composer.input(&query.text, 0..query.text.len(), &edits);
        composer.finish().script
    }

    /// Keeps what an input has defined, up to the byte `until`; `shown` tells literal and type of a name's value.
    pub fn adopt(&mut self, input: &Input<'_>, until: usize, shown: impl Fn(&str) -> Option<(Option<String>, String)>) {
        for import in &input.file.imports {
            let (name, path): (Arc<str>, _) = (import.name().into(), Arc::clone(&import.path));
            if import.span.end as usize > until || self.is_import(&name, &path) {
                continue;
            }
            let text = input.text[import.span.range()].to_string();
            self.define(Definition {
                name,
                sort: Sort::Import(path),
                text,
                literal: None,
                type_text: "package".into(),
                parameters: None,
                uses: Vec::new(),
            });
        }
        for statement in &input.file.body {
            let span = statement.span();
            if span.end as usize > until {
                continue;
            }
            let uses = self.resolve(statement, span.start);
            let text = input.text[span.range()].to_string();
            let (name, sort, value) = match statement {
                Statement::Variable(assignment) => (&assignment.name.name, Sort::Variable, &assignment.value),
                Statement::Option(option) => {
                    let package = option.package.as_ref().and_then(|package| self.path_of(&package.name));
                    (&option.name.name, Sort::Option(package), &option.value)
                }
                Statement::Expression(_) => {
                    self.last = Some(Query { text, uses });
                    continue;
                }
                _ => continue,
            };
            let (literal, type_text) = shown(name).unwrap_or_default();
            let parameters = match &value.kind {
                ExprKind::Function(function) => {
                    let parameters = function.parameters.iter();
                    let shown = parameters.map(|one| (Arc::clone(&one.name.name), one.kind == ParameterKind::Pipe));
                    Some(shown.collect())
                }
                _ => None,
            };
            // A literal may call these; what they mean must not have changed.
            let shadowed = ["uint", "float", "bytes"].iter().any(|function| self.names.contains_key(*function));
            let literal = literal.filter(|_| sort == Sort::Variable && !shadowed);
            let name = Arc::clone(name);
            self.define(Definition { name, sort, text, literal, type_text, parameters, uses });
        }
    }

    /// Keeps the expression of an input as the last one, although it has failed.
    pub fn adopt_query(&mut self, input: &Input<'_>) {
        if let Some(statement @ Statement::Expression(expr)) = input.file.body.last() {
            let text = input.text[expr.span.range()].to_string();
            self.last = Some(Query { text, uses: self.resolve(statement, expr.span.start) });
        }
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        *self = Session::default();
    }

    fn define(&mut self, definition: Definition) {
        let id = self.definitions.len();
        if let Sort::Option(package) = &definition.sort {
            self.options.insert((package.clone(), Arc::clone(&definition.name)), id);
        }
        if !matches!(definition.sort, Sort::Option(Some(_))) {
            self.names.shift_remove(&definition.name);
            self.names.insert(Arc::clone(&definition.name), id);
        }
        self.definitions.push(definition);
    }

    /// The definition itself; of an option the one that is set now, for there is only one in a script.
    fn current(&self, id: DefinitionId) -> DefinitionId {
        let definition = &self.definitions[id];
        match &definition.sort {
            Sort::Option(package) => {
                self.options.get(&(package.clone(), Arc::clone(&definition.name))).copied().unwrap_or(id)
            }
            _ => id,
        }
    }

    fn is_import(&self, name: &str, path: &str) -> bool {
        self.get(name).is_some_and(|known| matches!(&known.sort, Sort::Import(own) if **own == *path))
    }

    fn path_of(&self, name: &str) -> Option<Arc<str>> {
        match &self.get(name)?.sort {
            Sort::Import(path) => Some(Arc::clone(path)),
            _ => None,
        }
    }

    /// The definitions that a statement uses; places count from `start`.
    fn resolve(&self, statement: &Statement, start: u32) -> Vec<(Use, DefinitionId)> {
        let found = uses::of_statement(statement).into_iter();
        let known = found.filter_map(|one| self.names.get(&one.name).map(|id| (one, *id)));
        known
            .map(|(one, id)| {
                let own = |span: Span| Span { start: span.start - start, end: span.end - start };
                let siblings = one.siblings.iter().map(|(name, span)| (Arc::clone(name), own(*span))).collect();
                (Use { span: own(one.span), siblings, ..one }, id)
            })
            .collect()
    }

    /// What an input uses and binds.
    fn read(&self, input: &Input<'_>) -> Parts {
        let mut parts = Parts::default();
        for import in &input.file.imports {
            let name: Arc<str> = import.name().into();
            if self.is_import(&name, &import.path) {
                // The same import again: what the session has is written only once.
                parts.imports.insert(self.names[&name]);
            } else {
                parts.binds.insert(name);
            }
            parts.head_end = parts.head_end.max(import.span.end as usize);
        }
        if let Some(package) = &input.file.package {
            parts.head_end = parts.head_end.max(package.span.end as usize);
        }
        for attribute in &input.file.attributes {
            parts.head_end = parts.head_end.max(attribute.span.end as usize);
        }
        for statement in &input.file.body {
            for (one, id) in self.resolve(statement, 0) {
                if !parts.binds.contains(&one.name) {
                    parts.uses.push((one, id));
                }
            }
            match statement {
                Statement::Variable(assignment) => {
                    parts.binds.insert(Arc::clone(&assignment.name.name));
                }
                Statement::Option(option) => {
                    let package = match &option.package {
                        Some(package) => {
                            let own = input.file.imports.iter().find(|import| *import.name() == *package.name);
                            own.map(|import| Arc::clone(&import.path)).or_else(|| self.path_of(&package.name))
                        }
                        None => None,
                    };
                    if option.package.is_none() {
                        parts.binds.insert(Arc::clone(&option.name.name));
                    }
                    parts.options.insert((package, Arc::clone(&option.name.name)));
                }
                _ => {}
            }
        }
        parts
    }

    /// These definitions and all that they use, ascending.
    fn closure(&self, ids: impl IntoIterator<Item = DefinitionId>) -> BTreeSet<DefinitionId> {
        let mut needed = BTreeSet::new();
        let mut open: Vec<DefinitionId> = ids.into_iter().collect();
        while let Some(id) = open.pop() {
            if needed.insert(id) {
                open.extend(self.definitions[id].uses.iter().map(|(_, used)| *used));
            }
        }
        needed
    }

    /// Writes the definitions that an input needs; returns how the input's own names have to be written.
    fn definitions_of(&self, composer: &mut Composer, parts: &Parts, values: Values, top: &[&str]) -> Vec<Edit> {
        let literal = |id: &DefinitionId| match values {
            Values::Known => self.definitions[*id].literal.as_ref(),
            Values::AsWritten => None,
        };
        // What has a literal needs nothing else.
        let mut needed: BTreeSet<DefinitionId> = BTreeSet::new();
        let options = self.options.iter().filter(|(key, _)| !parts.options.contains(*key)).map(|(_, id)| *id);
        let mut open: Vec<DefinitionId> = parts.uses.iter().map(|(_, id)| *id).chain(options).collect();
        while let Some(id) = open.pop() {
            let id = self.current(id);
            let replaced = match &self.definitions[id].sort {
                Sort::Option(package) => parts.options.contains(&(package.clone(), self.definitions[id].name.clone())),
                _ => false,
            };
            if !replaced && needed.insert(id) && literal(&id).is_none() {
                open.extend(self.definitions[id].uses.iter().map(|(_, used)| *used));
            }
        }
        let renamed = self.renamed(&needed, parts);
        for id in &needed {
            if let Sort::Import(path) = &self.definitions[*id].sort
                && !parts.imports.contains(id)
            {
                composer.import(*id, renamed.get(id).unwrap_or(&self.definitions[*id].name), path);
            }
        }
        for statement in top {
            composer.glue(&format!("\n{statement}\n\n"));
        }
        for id in &needed {
            let definition = &self.definitions[*id];
            if matches!(definition.sort, Sort::Import(_)) {
                continue;
            }
            let name = renamed.get(id).unwrap_or(&definition.name);
            if let Some(literal) = literal(id) {
                composer.literal(*id, name, literal);
                continue;
            }
            let mut edits = edits(&definition.uses, &renamed);
            if name != &definition.name {
                edits.insert(0, Edit::new(Span::new(0, definition.name.len()), name.to_string()));
            }
            composer.definition(*id, &definition.text, &edits);
        }
        edits(&parts.uses, &renamed)
    }

    /// Other names for definitions whose own name means something else in the script.
    fn renamed(&self, needed: &BTreeSet<DefinitionId>, parts: &Parts) -> HashMap<DefinitionId, Arc<str>> {
        let mut taken: HashSet<Arc<str>> = parts.binds.clone();
        for id in needed {
            let text = &self.definitions[*id].text;
            let names = pieces(text).into_iter().filter(|piece| piece.kind == PieceKind::Name);
            taken.extend(names.map(|piece| Arc::from(&text[piece.span.range()])));
        }
        let mut owners: HashMap<&Arc<str>, DefinitionId> = HashMap::new();
        for id in needed {
            owners.insert(&self.definitions[*id].name, *id);
        }
        let mut renamed = HashMap::new();
        for id in needed {
            let definition = &self.definitions[*id];
            let is_option = matches!(definition.sort, Sort::Option(_));
            let owns = owners.get(&definition.name) == Some(id) && !parts.binds.contains(&definition.name);
            if owns || is_option || parts.imports.contains(id) {
                continue;
            }
            let mut number = 1;
            let name = loop {
                let name: Arc<str> = format!("{}_{number}", definition.name).into();
                if taken.insert(Arc::clone(&name)) {
                    break name;
                }
                number += 1;
            };
            renamed.insert(*id, name);
        }
        renamed
    }
}

/// What an input uses and binds.
#[derive(Default)]
struct Parts {
    /// The session's definitions that it uses, and where.
    uses: Vec<(Use, DefinitionId)>,
    /// The names that it binds.
    binds: HashSet<Arc<str>>,
    /// The options that it sets.
    options: HashSet<(Option<Arc<str>>, Arc<str>)>,
    /// The session's imports that it has too.
    imports: HashSet<DefinitionId>,
    /// Where package and imports end and statements begin.
    head_end: usize,
}

fn edits(uses: &[(Use, DefinitionId)], renamed: &HashMap<DefinitionId, Arc<str>>) -> Vec<Edit> {
    let mut edits: BTreeMap<u32, Edit> = BTreeMap::new();
    for (one, id) in uses {
        let Some(name) = renamed.get(id) else { continue };
        // One property written in full asks for all of them.
        for (sibling, span) in &one.siblings {
            edits.entry(span.start).or_insert_with(|| Edit::new(*span, format!("{sibling}: {sibling}")));
        }
        let text = if one.shorthand { format!("{}: {name}", one.name) } else { name.to_string() };
        edits.insert(one.span.start, Edit::new(one.span, text));
    }
    edits.into_values().collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::syntax::parse;

    fn enter(session: &mut Session, text: &str) -> String {
        enter_shown(session, text, |_| None)
    }

    fn enter_shown(session: &mut Session, text: &str, literal: impl Fn(&str) -> Option<String>) -> String {
        let parsed = parse(text);
        assert!(!parsed.has_errors(), "{text}: {:?}", parsed.diagnostics);
        let input = Input { text, file: &parsed.file };
        let script = session.compose(&input, Values::Known).script;
        let again = parse(&script);
        assert!(!again.has_errors(), "{script}: {:?}", again.diagnostics);
        session.adopt(&input, text.len(), |name| Some((literal(name), String::new())));
        script
    }

    #[test]
    fn an_input_brings_along_what_it_needs_and_nothing_else() {
        let mut session = Session::default();
        enter(&mut session, "import \"math\"");
        enter(&mut session, "a = math.pi");
        enter(&mut session, "b = 2");
        enter(&mut session, "f = (x) => x + a");
        assert_eq!(enter(&mut session, "f(x: 1)"), "import \"math\"\na = math.pi\nf = (x) => x + a\nf(x: 1)");
        assert_eq!(enter(&mut session, "b"), "b = 2\nb");
        assert_eq!(enter(&mut session, "(a) => a"), "(a) => a", "a parameter is not the variable");
    }

    #[test]
    fn a_name_may_be_defined_again() {
        let mut session = Session::default();
        enter(&mut session, "x = 1");
        enter(&mut session, "f = () => ({x})");
        assert_eq!(enter(&mut session, "x = x + 1"), "x_1 = 1\nx = x_1 + 1");
        assert_eq!(enter(&mut session, "x"), "x_1 = 1\nx = x_1 + 1\nx");
        let script = enter(&mut session, "[x, f()]");
        let apart = "testcase input {}";
        assert_eq!(script, format!("x_1 = 1\nf = () => ({{x: x_1}})\nx = x_1 + 1\n{apart}\n[x, f()]"), "f keeps its x");
        assert_eq!(enter(&mut session, "x = x + 1\ny = x"), "x_1 = 1\nx_2 = x_1 + 1\nx = x_2 + 1\ny = x");
    }

    #[test]
    fn properties_are_written_in_full_where_one_has_to_be() {
        let mut session = Session::default();
        enter(&mut session, "a = 1\nb = 2\nr = () => ({a, b})");
        enter(&mut session, "a = 3");
        let script = enter(&mut session, "{a: a, r: r()}");
        assert_eq!(script, "a_1 = 1\nb = 2\nr = () => ({a: a_1, b: b})\na = 3\n{a: a, r: r()}");
    }

    #[test]
    fn a_known_value_is_written_as_it_is() {
        let mut session = Session::default();
        enter_shown(&mut session, "t = now()", |_| Some("2024-01-01T00:00:00Z".to_string()));
        enter(&mut session, "u = t");
        assert_eq!(enter(&mut session, "u"), "t = 2024-01-01T00:00:00Z\nu = t\nu");
        let task = session.compose_task(session.last.as_ref().unwrap(), "option task = {name: \"n\", every: 1h}");
        assert_eq!(task, "\noption task = {name: \"n\", every: 1h}\n\nt = now()\nu = t\nu", "a task computes it anew");
    }

    #[test]
    fn options_hold_until_they_are_set_again() {
        let mut session = Session::default();
        enter(&mut session, "import \"timezone\"");
        enter(&mut session, "option location = timezone.utc");
        assert_eq!(enter(&mut session, "1"), "import \"timezone\"\noption location = timezone.utc\n1");
        let script = enter(&mut session, "option location = timezone.fixed(offset: 1h)");
        assert_eq!(script, "import \"timezone\"\noption location = timezone.fixed(offset: 1h)");
        assert_eq!(enter(&mut session, "2"), "import \"timezone\"\noption location = timezone.fixed(offset: 1h)\n2");
    }

    #[test]
    fn imports_come_first_and_once() {
        let mut session = Session::default();
        enter(&mut session, "import \"array\"\na = array.from(rows: [{v: 1}])");
        let script = enter(&mut session, "import \"array\"\narray.from(rows: []) a");
        assert_eq!(script, "import \"array\"\na = array.from(rows: [{v: 1}])\n\narray.from(rows: []) a");
        let script = enter(&mut session, "import array \"experimental/array\"\na");
        assert_eq!(
            script,
            "import array \"experimental/array\"\nimport array_1 \"array\"\na = array_1.from(rows: [{v: 1}])\n\na"
        );
    }
}
