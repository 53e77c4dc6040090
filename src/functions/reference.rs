//! The reference of all functions as Markdown: `grammar/functions.md`.
//!
//! Made from the library alone, so that it cannot be out of date; a test compares it with the file.

use std::fmt::Write;

use crate::flux::library::{Library, PRELUDE};
use crate::flux::value::{Function, Value};

/// The reference of a library.
pub fn markdown(library: &Library) -> String {
    let mut text = String::from(
        "# Functions\n\nMade from the signatures in `src/functions`; `BLESS=1 cargo test functions_md` rewrites it. \
         What needs no import stands first.\n",
    );
    let mut packages: Vec<_> = library.packages().collect();
    packages.sort_by_key(|(path, _)| (*path != PRELUDE, *path));
    for (path, members) in packages {
        match path {
            PRELUDE => text.push_str("\n## Without an import\n"),
            _ => {
                let _ = write!(text, "\n## `import \"{path}\"`\n");
            }
        }
        let mut functions: Vec<_> = members.iter().filter_map(|(_, member)| member.builtin()).collect();
        functions.sort_by_key(|builtin| builtin.name);
        for builtin in functions {
            let _ = write!(text, "\n### {}\n\n{}\n\n", builtin.name, builtin.doc);
            let _ = write!(text, "```text\n{} : {}\n```\n", builtin.name, builtin.signature);
            for example in builtin.examples {
                let _ = write!(text, "\n```flux\n{}\n```\n", example.trim_end());
            }
        }
        let values: Vec<String> = members
            .iter()
            .filter(|(_, member)| !matches!(member.value, Value::Function(Function::Builtin(_))) || member.is_option)
            .map(|(name, member)| {
                let kind = if member.is_option { "option" } else { "constant" };
                format!("- {kind} `{name}`: {}", member.value.type_name())
            })
            .collect();
        if !values.is_empty() {
            let _ = write!(text, "\n### Values\n\n{}\n", values.join("\n"));
        }
    }
    text
}
