//! `:doc NAME`: what is known of a name: signature, meaning, examples; the members of a package; a definition.
//!
//! Used by the REPL. All of it comes from the library that runs scripts.

use std::fmt::Write;

use super::session::Session;
use crate::diagnostic::nearest;
use crate::error::{Error, Result};
use crate::flux::builtin::Builtin;
use crate::flux::library::{Library, Member, PRELUDE};

/// The documentation of a name: `range`, `date.hour`, `date`, `influxdata/influxdb/tasks`, a name of the session.
///
/// # Errors
/// NotFound, with what was probably meant.
pub(super) fn of(name: &str, session: &Session, library: &Library) -> Result<String> {
    let name = name.trim().trim_end_matches("()").trim_matches('"');
    if let Some(definition) = session.get(name) {
        let mut text = definition.text.clone();
        if !definition.type_text.is_empty() && definition.type_text != "package" {
            let _ = write!(text, "\n\n{name} : {}", definition.type_text);
        }
        if let super::session::Sort::Import(path) = &definition.sort
            && let Some(members) = package(path, library)
        {
            let _ = write!(text, "\n\n{members}");
        }
        return Ok(text);
    }
    if let Some(member) = library.prelude(name) {
        return Ok(of_member(PRELUDE, name, member));
    }
    let (owner, own) = name.rsplit_once('.').unwrap_or(("", name));
    let paths = |wanted: &str| -> Vec<&'static str> {
        let all = library.packages().map(|(path, _)| path).filter(|path| *path != PRELUDE);
        all.filter(|path| *path == wanted || path.rsplit('/').next() == Some(wanted)).collect()
    };
    if owner.is_empty() {
        let found: Vec<String> = paths(name).into_iter().filter_map(|path| package(path, library)).collect();
        if !found.is_empty() {
            return Ok(found.join("\n\n"));
        }
        // A member of some package, without its package.
        let members = library.packages().filter_map(|(path, members)| Some((path, members.get(name)?)));
        let found: Vec<String> = members.map(|(path, member)| of_member(path, name, member)).collect();
        if !found.is_empty() {
            return Ok(found.join("\n\n"));
        }
    } else {
        let found = paths(owner).into_iter().filter_map(|path| Some((path, library.member(path, own)?)));
        let found: Vec<String> = found.map(|(path, member)| of_member(path, own, member)).collect();
        if !found.is_empty() {
            return Ok(found.join("\n\n"));
        }
    }
    if library.is_function_not_yet(PRELUDE, name) || library.is_package_not_yet(name) {
        return Err(Error::not_found(format!("{name} is not supported yet")));
    }
    let all = library.packages().flat_map(|(path, members)| {
        let package = path.rsplit('/').next().unwrap_or(path);
        members.keys().map(move |own| match path {
            PRELUDE => own.to_string(),
            _ => format!("{package}.{own}"),
        })
    });
    let all: Vec<String> = all.collect();
    let error = Error::not_found(format!("nothing is known of {name:?}"));
    Err(match nearest(name, all.iter().map(String::as_str)) {
        Some(near) => error.with_hint(format!("did you mean {near}?")),
        None => error,
    })
}

fn package(path: &str, library: &Library) -> Option<String> {
    let members = library.package(path)?;
    let mut text = format!("import \"{path}\"\n");
    let mut names: Vec<_> = members.iter().collect();
    names.sort_by_key(|(name, _)| (*name).clone());
    for (name, member) in names {
        let about = match member.builtin() {
            Some(builtin) => builtin.doc.split_once(". ").map_or(builtin.doc, |(first, _)| first).trim_end_matches('.'),
            None => member.value.type_name(),
        };
        let _ = write!(text, "\n{name:<24} {about}");
    }
    Some(text)
}

fn of_member(path: &str, name: &str, member: &Member) -> String {
    let mut text = String::new();
    if path != PRELUDE {
        let _ = writeln!(text, "import \"{path}\"\n");
    }
    match member.builtin() {
        Some(builtin) => of_builtin(builtin, &mut text),
        None => {
            let kind = if member.is_option { "option" } else { "constant" };
            let _ = write!(text, "{kind} {name} : {}", member.value.type_name());
        }
    }
    text
}

fn of_builtin(builtin: &Builtin, text: &mut String) {
    // Continuation lines of the source are no part of the text.
    let joined = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let _ = write!(text, "{} : {}\n\n{}", builtin.name, joined(builtin.signature), joined(builtin.doc));
    for example in builtin.examples {
        text.push_str("\n\n");
        let lines = example.trim_end().lines().map(|line| format!("    {line}"));
        text.push_str(&lines.collect::<Vec<_>>().join("\n"));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::functions::library;

    fn doc(name: &str) -> String {
        of(name, &Session::default(), library()).unwrap()
    }

    #[test]
    fn functions_packages_and_members_are_documented() {
        assert!(doc("range").contains("range : (<-tables: ") && doc("range").contains("    from(bucket:"));
        assert!(doc("date.hour").starts_with("import \"date\"\n\nhour : "));
        assert!(doc("tasks").contains("lastSuccess"));
        assert!(doc("lastSuccess").contains("import \"influxdata/influxdb/tasks\""));
    }

    #[test]
    fn every_name_of_the_library_has_a_page() {
        for (path, members) in library().packages() {
            for name in members.keys() {
                let package = path.rsplit('/').next().unwrap();
                let name = if path == PRELUDE { name.to_string() } else { format!("{package}.{name}") };
                assert!(!doc(&name).is_empty(), "{name}");
            }
        }
    }

    #[test]
    fn a_wrong_name_leads_to_a_right_one() {
        let error = of("rnage", &Session::default(), library()).unwrap_err();
        assert_eq!(error.hint(), Some("did you mean range?"));
        assert!(of("xyzzyplugh", &Session::default(), library()).is_err());
    }
}
