//! Texts to arrays of texts and back.

use super::{bounded, example, function};
use crate::error::Result;
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::functions::arguments::{Arguments, any_null};

/// The functions.
pub(super) static BUILTINS: [&Builtin; 5] = [&SPLIT, &SPLIT_AFTER, &SPLIT_N, &SPLIT_AFTER_N, &JOIN_STR];

static SPLIT: Builtin = function(
    "split",
    "(v: string, t: string) => [string]",
    "The parts of the text between the occurrences of t; its characters if t is empty.",
    example!("strings.split(v: \"a,b\", t: \",\")[1]"),
    |call| split(call, false),
);
static SPLIT_AFTER: Builtin = function(
    "splitAfter",
    "(v: string, t: string) => [string]",
    "The parts of the text up to and with each occurrence of t.",
    example!("strings.splitAfter(v: \"a,b\", t: \",\")[0]"),
    |call| split(call, true),
);
static SPLIT_N: Builtin = function(
    "splitN",
    "(v: string, t: string, i: int) => [string]",
    "At most i parts as split gives them, the last one with all of the rest; none for 0, all for a negative i.",
    example!("strings.splitN(v: \"a,b,c\", t: \",\", i: 2)[1]"),
    |call| split(call, false),
);
static SPLIT_AFTER_N: Builtin = function(
    "splitAfterN",
    "(v: string, t: string, i: int) => [string]",
    "At most i parts as splitAfter gives them, the last one with all of the rest; none for 0, all for a negative i.",
    example!("strings.splitAfterN(v: \"a,b,c\", t: \",\", i: 2)[0]"),
    |call| split(call, true),
);

static JOIN_STR: Builtin = function(
    "joinStr",
    "(arr: [string], v: string) => string",
    "The texts of an array with v between them; null if one of them is null.",
    example!("strings.joinStr(arr: [\"a\", \"b\"], v: \"-\")"),
    |call| {
        if any_null(call) || call.array("arr")?.iter().any(|item| matches!(item, Value::Null)) {
            return Ok(Value::Null);
        }
        let (parts, between) = (call.strings("arr")?, call.string("v")?);
        let bytes = parts.iter().try_fold(0_usize, |bytes, part| bytes.checked_add(part.len() + between.len()));
        bounded(call, bytes)?;
        let parts: Vec<&str> = parts.iter().map(|part| &**part).collect();
        Ok(Value::string(parts.join(&between)))
    },
);

fn split(call: &Call<'_>, keep: bool) -> Result<Value> {
    if any_null(call) {
        return Ok(Value::Null);
    }
    let (v, between) = (call.string("v")?, call.string("t")?);
    let most = match call.optional("i") {
        None => usize::MAX,
        Some(_) => usize::try_from(call.int("i")?).unwrap_or(usize::MAX),
    };
    let parts = parts(&v, &between, most, keep);
    Ok(Value::Array(parts.into_iter().map(Value::string).collect()))
}

fn parts<'a>(text: &'a str, between: &str, most: usize, keep: bool) -> Vec<&'a str> {
    let mut parts = Vec::new();
    let mut rest = text;
    if most == 0 || (between.is_empty() && text.is_empty()) {
        return parts;
    }
    while parts.len() + 1 < most {
        let cut = match between {
            // Every character is a part; the last one is what remains.
            "" => rest.chars().next().map(|first| (first.len_utf8(), first.len_utf8())),
            _ => rest.find(between).map(|at| (if keep { at + between.len() } else { at }, at + between.len())),
        };
        match cut {
            Some((_, next)) if between.is_empty() && next == rest.len() => break,
            Some((end, next)) => {
                parts.push(&rest[..end]);
                rest = &rest[next..];
            }
            None => break,
        }
    }
    parts.push(rest);
    parts
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn texts_are_split_as_often_as_asked() {
        // Go's strings.SplitN and SplitAfterN, whose rules the reference takes over.
        let all = usize::MAX;
        assert_eq!(parts("a,b,c", ",", all, false), ["a", "b", "c"]);
        assert_eq!(parts("a,b,c", ",", 2, false), ["a", "b,c"]);
        assert_eq!(parts("a,b,c", ",", 1, false), ["a,b,c"]);
        assert_eq!(parts("a,b,c", ",", 0, false), [""; 0]);
        assert_eq!(parts("a,b,c", ",", all, true), ["a,", "b,", "c"]);
        assert_eq!(parts(",a,", ",", all, false), ["", "a", ""]);
        assert_eq!(parts("", ",", all, false), [""]);
        assert_eq!(parts("", "", all, false), [""; 0]);
        assert_eq!(parts("aé", "", all, false), ["a", "é"]);
        assert_eq!(parts("aéb", "", 2, true), ["a", "éb"]);
    }
}
