//! Rules that hold for the whole library.

use super::*;
use crate::syntax;

#[test]
fn the_library_builds() {
    let names: Vec<&str> = library().builtins().map(|builtin| builtin.name).collect();
    assert!(names.contains(&"from") && names.contains(&"lastSuccess"), "{names:?}");
}

#[test]
fn every_builtin_stands_in_its_own_package_and_has_a_doc_line() {
    for (path, members) in library().packages() {
        for (name, member) in members {
            let Some(builtin) = member.builtin() else { continue };
            assert_eq!((builtin.package, builtin.name), (path, &**name));
            assert!(builtin.doc.ends_with('.') && !builtin.doc.contains('\n'), "{path}.{name}: {}", builtin.doc);
        }
    }
}

#[test]
fn every_example_parses() {
    for builtin in library().builtins() {
        for example in builtin.examples {
            let parsed = syntax::parse(example);
            assert!(!parsed.has_errors(), "{}.{}: {example}\n{:?}", builtin.package, builtin.name, parsed.diagnostics);
        }
    }
}

#[test]
fn what_is_not_supported_yet_is_not_in_the_library() {
    for path in PACKAGES_NOT_YET {
        assert!(library().package(path).is_none(), "{path}");
    }
    for (path, names) in FUNCTIONS_NOT_YET {
        assert!(library().package(path).is_some(), "{path}");
        for name in *names {
            assert!(library().member(path, name).is_none(), "{path}.{name}");
        }
    }
    assert!(PACKAGES_NOT_YET.is_sorted());
}

/// `BLESS=1` rewrites the file.
#[test]
fn functions_md_is_what_the_library_says() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("grammar/functions.md");
    let text = reference::markdown(library());
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder can be made");
        std::fs::write(&path, &text).expect("the reference can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == text, "grammar/functions.md is not current: BLESS=1 cargo test functions_md");
}
