//! Names: imports, identifiers, members of packages, and what a wrong one was probably meant to be.

use super::Checker;
use crate::diagnostic::{Diagnostic, Span, nearest};
use crate::flux::library::{Member, PRELUDE};
use crate::flux::types::Type;
use crate::syntax::ast::{File, Identifier};

/// What a test case that extends another calls to run it.
const SUPER: &str = "super";

/// Names from elsewhere, and what they are called here.
const FOREIGN: [(&[&str], &str); 18] = [
    (&["avg", "average", "AVG"], "the average is called mean"),
    (&["where", "WHERE", "having"], "rows are selected with filter(fn: (r) => ...)"),
    (&["select", "project"], "columns are selected with keep(columns: [...]), and computed with map(fn: (r) => ...)"),
    (&["groupBy", "group_by", "groupby"], "tables are regrouped with group(columns: [...])"),
    (&["orderBy", "order_by", "orderby"], "rows are sorted with sort(columns: [...])"),
    (&["head", "take"], "the first rows are kept with limit(n: 10)"),
    (&["len", "size"], "the length of an array is length(arr: a), that of a string strings.strlen(v: s)"),
    (
        &["print", "println", "console", "log"],
        "a stream is shown with yield(), a value by writing it into a row: array.from",
    ),
    (&["stdev", "std"], "the standard deviation is called stddev"),
    (&["percentile"], "percentiles are quantiles: quantile(q: 0.95)"),
    (&["str", "toText", "to_string"], "a value becomes a string with string(v: x)"),
    (&["number", "toNumber", "parseFloat"], "a value becomes a number with float(v: x) or int(v: x)"),
    (&["isNull", "is_null", "isnull", "isNaN", "notNull"], "whether there is a value is asked with exists r.name"),
    (
        &["coalesce", "ifnull", "nvl"],
        "a value in place of null: if exists r.name then r.name else 0.0, or fill(value: 0.0)",
    ),
    (
        &["resample", "downsample", "groupByTime"],
        "rows are brought into windows with aggregateWindow(every: 5m, fn: mean)",
    ),
    (&["True", "TRUE", "yes", "on"], "the booleans are true and false"),
    (&["False", "FALSE", "no", "off"], "the booleans are true and false"),
    (&["nil", "None", "NULL", "NaN", "undefined"], "there is no literal for null: ask for it with exists"),
];

impl<'a> Checker<'a> {
    /// Every import names a package that is here.
    pub(super) fn imports(&mut self, file: &File) {
        for import in &file.imports {
            let path = &*import.path;
            if self.library.package(path).is_some() {
                continue;
            }
            let span = import.path_span;
            if self.library.is_package_not_yet(path) {
                self.report(Diagnostic::error("unsupported", format!("package {path} is not supported yet"), span));
                continue;
            }
            let diagnostic = Diagnostic::error("unknown-package", format!("invalid import path {path}"), span);
            self.report(match (self.package_of_member(path), self.library.nearest_path(path)) {
                (Some(help), _) => diagnostic.help(help),
                (None, Some(near)) => diagnostic.help(format!("did you mean \"{near}\"?")),
                (None, None) => diagnostic,
            });
        }
    }

    /// What to write for the import of a function: its package is imported as a whole.
    fn package_of_member(&self, path: &str) -> Option<String> {
        let (package, member) = path.rsplit_once(['.', '/'])?;
        self.library.member(package, member)?;
        let name = package.rsplit('/').next().unwrap_or(package);
        Some(format!("a package is imported as a whole: import \"{package}\", then {name}.{member}"))
    }

    /// The type of a name; reports one that nothing binds.
    pub(super) fn identifier(&mut self, name: &str, span: Span) -> Type {
        if let Some(bound) = self.scopes.iter().rev().find_map(|scope| scope.get(name)) {
            return bound.bound_type.clone();
        }
        if self.imports.contains_key(name) || (self.in_extension && name == SUPER) {
            return Type::Unknown;
        }
        if let Some(member) = self.library.prelude(name) {
            return self.type_of_member(member);
        }
        self.undefined_identifier(name, span);
        Type::Unknown
    }

    /// The import path of a name, if it is an import's and nothing nearer has the name.
    pub(super) fn import(&self, name: &str) -> Option<&'a str> {
        let bound = self.scopes.iter().any(|scope| scope.contains_key(name));
        self.imports.get(name).filter(|_| !bound).copied()
    }

    /// The type of a member of a package.
    pub(super) fn type_of_member(&self, member: &Member) -> Type {
        match member.builtin().and_then(|builtin| self.library.function_type(builtin)) {
            Some(function) => Type::Function(Box::new(function.clone())),
            None => Type::of(&member.value),
        }
    }

    /// The type of a member of an imported package; reports one that the package has not.
    pub(super) fn member_of_import(&mut self, path: &str, package: &str, property: &Identifier) -> Type {
        if let Some(member) = self.library.member(path, &property.name) {
            return self.type_of_member(member);
        }
        // An unknown package has been reported at its import.
        if self.library.package(path).is_some() {
            self.undefined_member(path, package, property);
        }
        Type::Unknown
    }

    pub(super) fn undefined_member(&mut self, path: &str, package: &str, property: &Identifier) {
        let name = &*property.name;
        if self.library.is_function_not_yet(path, name) {
            let message = format!("function {package}.{name} is not supported yet");
            self.report(Diagnostic::error("unsupported", message, property.span));
            return;
        }
        let message = format!("package {path} has no member {name}");
        let diagnostic = Diagnostic::error("undefined-member", message, property.span);
        let help = match self.library.nearest_member(path, name) {
            _ if (path, name) == ("influxdata/influxdb/tasks", "lastFailure") => {
                Some("failed runs are rows of the bucket _tasks, measurement runs, status \"failed\"".to_string())
            }
            Some(near) => Some(format!("did you mean {package}.{near}?")),
            None => self.elsewhere(name),
        };
        self.report(match help {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        });
    }

    pub(super) fn undefined_identifier(&mut self, name: &str, span: Span) {
        let place = self.binding_places.iter().rev().find_map(|places| places.get(name)).copied();
        if let Some(place) = place {
            let diagnostic = Diagnostic::error("undefined-identifier", format!("undefined identifier {name}"), span);
            // The name is bound around this place or below it.
            self.report(if place.start < span.start {
                let diagnostic = diagnostic.also(place, format!("{name} is what is being assigned here"));
                diagnostic.help("a function cannot call itself, and a value cannot contain itself")
            } else {
                diagnostic.also(place, format!("{name} is assigned only here")).help("assign a name before it is used")
            });
            return;
        }
        if self.library.is_function_not_yet(PRELUDE, name) {
            let message = format!("function {name} is not supported yet");
            self.report(Diagnostic::error("unsupported", message, span));
            return;
        }
        let diagnostic = Diagnostic::error("undefined-identifier", format!("undefined identifier {name}"), span);
        self.report(match self.meant(name) {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        });
    }

    /// What may help with a name that nothing binds.
    fn meant(&self, name: &str) -> Option<String> {
        let missing = self.library.paths_named(name);
        if !missing.is_empty() {
            let imports: Vec<String> = missing.iter().map(|path| format!("import \"{path}\"")).collect();
            return Some(format!("missing {}", imports.join(" or ")));
        }
        if self.library.is_package_not_yet(name) {
            return Some(format!("package {name} is not supported yet"));
        }
        if matches!(name, "r" | "key" | "accumulator") {
            return Some(format!("{name} is there within a function only: write ({name}) => ..."));
        }
        if let Some((_, help)) = FOREIGN.iter().find(|(names, _)| names.contains(&name)) {
            return Some((*help).to_string());
        }
        let prelude = self.library.package(PRELUDE).into_iter().flat_map(|members| members.keys());
        let bound = self.scopes.iter().flat_map(|scope| scope.keys());
        let visible = bound.chain(prelude).map(|name| &**name).chain(self.imports.keys().copied());
        if let Some(near) = nearest(name, visible) {
            return Some(format!("did you mean {near}?"));
        }
        if name == "null" {
            return Some("there is no literal for null: ask for it with exists".to_string());
        }
        self.elsewhere(name)
    }

    /// The package that has a member of a name.
    fn elsewhere(&self, name: &str) -> Option<String> {
        let (path, _) = self.library.packages().find(|(_, members)| members.contains_key(name))?;
        if path == PRELUDE {
            return Some(format!("{name} needs no package: write {name}"));
        }
        let package = path.rsplit('/').next().unwrap_or(path);
        Some(format!("import \"{path}\" has {package}.{name}"))
    }
}
