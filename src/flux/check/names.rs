//! Names: imports, identifiers, members of packages, and what a wrong one was probably meant to be.

use super::Checker;
use crate::diagnostic::{Diagnostic, Span, nearest};
use crate::flux::library::{Member, PRELUDE};
use crate::flux::types::Type;
use crate::syntax::ast::{File, Identifier};

/// What a test case that extends another calls to run it.
const SUPER: &str = "super";

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
            self.report(match self.library.nearest_path(path) {
                Some(near) => diagnostic.help(format!("did you mean \"{near}\"?")),
                None => diagnostic,
            });
        }
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
