//! What is shown in grey behind the cursor: how the call that is being written goes on. Pure text work.
//!
//! Used by the editor where the history has nothing better.

use super::session::Session;
use crate::flux::library::{Library, PRELUDE};
use crate::flux::types::ParameterKind;
use crate::syntax::{PieceKind, pieces};

/// The parameters of the call whose opening parenthesis the text ends with: `start: B, ?stop: C)`.
pub(super) fn of_call(before: &str, session: &Session, library: &Library) -> Option<String> {
    let text = before.trim_end();
    let all = pieces(text);
    let [rest @ .., name, open] = all.as_slice() else { return None };
    let word = |piece: &crate::syntax::Piece| &text[piece.span.range()];
    if word(open) != "(" || open.span.end as usize != text.len() || name.kind != PieceKind::Name {
        return None;
    }
    let package = match rest {
        [.., package, dot] if word(dot) == "." => Some(word(package)),
        [dot] if word(dot) == "." => return None,
        _ => None,
    };
    let before_callee = rest.len().saturating_sub(if package.is_some() { 2 } else { 0 });
    let is_piped = before_callee.checked_sub(1).is_some_and(|at| word(&rest[at]) == "|>");
    let name = word(name);
    if package.is_none()
        && let Some(definition) = session.get(name)
    {
        let parameters = definition.parameters.as_ref()?.iter().filter(|(_, piped)| !(*piped && is_piped));
        let shown: Vec<String> = parameters.map(|(name, _)| format!("{name}: ")).collect();
        return Some(format!("{})", shown.join(", ").trim_end()));
    }
    let path = match package {
        None => PRELUDE.to_string(),
        Some(package) => match &session.get(package)?.sort {
            super::session::Sort::Import(path) => path.to_string(),
            _ => return None,
        },
    };
    let function = library.function_type(library.member(&path, name)?.builtin()?)?;
    let parameters = function.parameters.iter().filter(|one| !(one.kind == ParameterKind::Pipe && is_piped));
    let shown = parameters.map(|one| {
        let mark = if one.kind == ParameterKind::Optional { "?" } else { "" };
        format!("{mark}{}: {}", one.name, one.parameter_type)
    });
    Some(format!("{})", shown.collect::<Vec<_>>().join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::library;

    #[test]
    fn a_call_tells_its_parameters() {
        let hint = |text: &str| of_call(text, &Session::default(), library());
        assert_eq!(hint("from(bucket: \"b\") |> range(").as_deref(), Some("start: B, ?stop: C)"));
        assert!(hint("range(").is_some_and(|hint| hint.starts_with("tables: ")));
        assert_eq!(hint("range(start: "), None);
        assert_eq!(hint("nonsense("), None);
        assert_eq!(hint(""), None);
    }
}
