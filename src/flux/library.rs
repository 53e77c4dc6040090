//! The packages that scripts can import, and the prelude: names to functions, constants and options.
//!
//! Made once by `functions` and handed to the checker and the evaluator, which know no single builtin. It also answers
//! what a misspelt name was probably meant to be.

use std::collections::{BTreeMap, HashMap};

use indexmap::IndexMap;

use super::Value;
use super::builtin::Builtin;
use super::signature;
use super::types::FunctionType;
use super::value::Function;
use crate::diagnostic::nearest;
use crate::error::{Error, Result};
use crate::table::Name;

/// The import path of the prelude, whose names need no import.
pub const PRELUDE: &str = "universe";

/// A package as `functions` hands it over.
#[derive(Debug, Default)]
pub struct Package {
    /// The import path, such as `influxdata/influxdb/tasks`.
    pub path: &'static str,
    /// The functions.
    pub builtins: Vec<&'static Builtin>,
    /// The values that never change: `math.pi`, `date.Monday`, `true`.
    pub constants: Vec<(&'static str, Value)>,
    /// The options with their defaults: `now`, `location`, `tasks.lastSuccessTime`. A default may be a builtin, which
    /// then need not stand among the functions.
    pub options: Vec<(&'static str, Value)>,
}

/// What a name of a package stands for.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its value; of an option, the default.
    pub value: Value,
    /// A script may set it by an `option` statement.
    pub is_option: bool,
}

impl Member {
    /// The builtin that it is, if it is one.
    pub fn builtin(&self) -> Option<&'static Builtin> {
        match &self.value {
            Value::Function(Function::Builtin(builtin)) => Some(builtin),
            _ => None,
        }
    }
}

/// The members of one package, by name, in the order in which they were handed over.
pub type Members = IndexMap<Name, Member>;

/// All packages.
#[derive(Debug, Default)]
pub struct Library {
    packages: BTreeMap<&'static str, Members>,
    /// The type of every builtin, by its address.
    types: HashMap<usize, FunctionType>,
    packages_not_yet: &'static [&'static str],
    functions_not_yet: &'static [(&'static str, &'static [&'static str])],
}

impl Library {
    /// A library of packages.
    ///
    /// # Errors
    /// Internal if a path or a member's name comes twice, or if a signature does not read: defects that a test over the
    /// whole library finds.
    pub fn new(packages: impl IntoIterator<Item = Package>) -> Result<Self> {
        let mut library = Library::default();
        for package in packages {
            let mut members = Members::new();
            let functions = package.builtins.into_iter();
            let functions = functions.map(|builtin| (builtin.name, Value::Function(Function::Builtin(builtin)), false));
            let constants = package.constants.into_iter().map(|(name, value)| (name, value, false));
            let options = package.options.into_iter().map(|(name, value)| (name, value, true));
            for (name, value, is_option) in functions.chain(constants).chain(options) {
                let member = Member { value, is_option };
                if let Some(builtin) = member.builtin() {
                    let function_type = signature::parse(builtin.signature)?;
                    library.types.insert(address(builtin), function_type);
                }
                if members.insert(name.into(), member).is_some() {
                    return Err(Error::internal(format!("package {} has two members {name}", package.path)));
                }
            }
            if library.packages.insert(package.path, members).is_some() {
                return Err(Error::internal(format!("two packages {}", package.path)));
            }
        }
        Ok(library)
    }

    /// With the names of what Flux has and this library has not: import paths, and functions of packages that are here. A
    /// script that uses them is told so.
    pub fn with_not_yet(
        mut self,
        packages: &'static [&'static str],
        functions: &'static [(&'static str, &'static [&'static str])],
    ) -> Self {
        self.packages_not_yet = packages;
        self.functions_not_yet = functions;
        self
    }

    /// Whether Flux has a package of a path that is not here.
    pub fn is_package_not_yet(&self, path: &str) -> bool {
        self.packages_not_yet.contains(&path)
    }

    /// Whether Flux has a function in a package that is here without it.
    pub fn is_function_not_yet(&self, path: &str, name: &str) -> bool {
        self.functions_not_yet.iter().any(|(package, names)| *package == path && names.contains(&name))
    }

    /// The members of a package by its import path.
    pub fn package(&self, path: &str) -> Option<&Members> {
        self.packages.get(path)
    }

    /// A member of a package.
    pub fn member(&self, path: &str, name: &str) -> Option<&Member> {
        self.packages.get(path)?.get(name)
    }

    /// What a name of the prelude stands for.
    pub fn prelude(&self, name: &str) -> Option<&Member> {
        self.member(PRELUDE, name)
    }

    /// All packages with their import paths, ascending by path; the prelude is `universe`.
    pub fn packages(&self) -> impl Iterator<Item = (&'static str, &Members)> {
        self.packages.iter().map(|(path, members)| (*path, members))
    }

    /// All builtins, by package and then in the order in which they were handed over.
    pub fn builtins(&self) -> impl Iterator<Item = &'static Builtin> {
        self.packages.values().flat_map(Members::values).filter_map(Member::builtin)
    }

    /// The type of a builtin: its parsed signature. `None` for one that is in no package.
    pub fn function_type(&self, builtin: &'static Builtin) -> Option<&FunctionType> {
        self.types.get(&address(builtin))
    }

    /// The import path that a wrong one was probably meant to be: near in spelling, or with the same last part.
    pub fn nearest_path(&self, path: &str) -> Option<&'static str> {
        let paths = || self.packages.keys().copied().filter(|path| *path != PRELUDE);
        let last = |path: &str| path.rsplit('/').next().map(str::to_string);
        nearest(path, paths()).or_else(|| paths().find(|known| last(known) == last(path)))
    }

    /// The member of a package that a wrong name was probably meant to be.
    pub fn nearest_member(&self, path: &str, name: &str) -> Option<&str> {
        nearest(name, self.packages.get(path)?.keys().map(|known| &**known))
    }

    /// The import paths whose last part is a name: what may be missing where a script says `name.member`.
    pub fn paths_named(&self, name: &str) -> Vec<&'static str> {
        self.packages.keys().copied().filter(|path| path.rsplit('/').next() == Some(name) && *path != PRELUDE).collect()
    }
}

/// What tells builtins apart: they are statics, so each has an address of its own for good.
fn address(builtin: &'static Builtin) -> usize {
    std::ptr::from_ref(builtin).addr()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::flux::builtin::Call;

    fn nothing(_: &mut Call<'_>) -> Result<Value> {
        Ok(Value::Null)
    }

    static LENGTH: Builtin = Builtin {
        package: PRELUDE,
        name: "length",
        signature: "(<-arr: [A]) => int",
        doc: "Counts.",
        examples: &[],
        body: nothing,
    };

    static BROKEN: Builtin = Builtin {
        package: PRELUDE,
        name: "broken",
        signature: "(arr: [A) => int",
        doc: "Has a signature that does not read.",
        examples: &[],
        body: nothing,
    };

    fn package(path: &'static str) -> Package {
        Package { path, ..Package::default() }
    }

    fn library() -> Library {
        Library::new([
            Package { builtins: vec![&LENGTH], options: vec![("location", Value::Null)], ..package(PRELUDE) },
            Package { constants: vec![("pi", Value::Float(std::f64::consts::PI))], ..package("math") },
            package("influxdata/influxdb/tasks"),
        ])
        .unwrap()
    }

    #[test]
    fn members_are_found_by_path_and_name() {
        let library = library();
        assert_eq!(library.prelude("length").unwrap().builtin().unwrap().name, "length");
        assert!(library.prelude("location").unwrap().is_option);
        assert!(matches!(library.member("math", "pi").unwrap().value, Value::Float(_)));
        assert!(library.member("math", "tau").is_none());
        assert!(library.package("maths").is_none());
        assert_eq!(library.function_type(&LENGTH).unwrap().pipe().unwrap().name, "arr".into());
        assert_eq!(library.builtins().count(), 1);
    }

    #[test]
    fn wrong_names_lead_to_near_ones() {
        let library = library();
        assert_eq!(library.nearest_path("maths"), Some("math"));
        assert_eq!(library.nearest_path("influxdb/tasks"), Some("influxdata/influxdb/tasks"));
        assert_eq!(library.nearest_path("geometry"), None);
        assert_eq!(library.nearest_member(PRELUDE, "lenght"), Some("length"));
        assert_eq!(library.paths_named("tasks"), ["influxdata/influxdb/tasks"]);
    }

    #[test]
    fn defects_of_the_library_are_errors() {
        assert!(Library::new([Package { builtins: vec![&BROKEN], ..package("a") }]).is_err());
        assert!(Library::new([Package { builtins: vec![&LENGTH, &LENGTH], ..package("a") }]).is_err());
        assert!(Library::new([package("a"), package("a")]).is_err());
    }
}
