//! Upper, lower and title case, character by character: what has no single character in the other case stays.

/// The upper case of a character.
pub(super) fn upper(character: char) -> char {
    let mut mapped = character.to_uppercase();
    match (mapped.next(), mapped.next()) {
        (Some(single), None) => single,
        // Greek letters with a subscript iota have a capital of their own besides the mapping to two letters.
        _ => match u32::from(character) {
            code @ 0x1f80..=0x1faf if code & 8 == 0 => char::from_u32(code + 8).unwrap_or(character),
            code @ (0x1fb3 | 0x1fc3 | 0x1ff3) => char::from_u32(code + 9).unwrap_or(character),
            _ => character,
        },
    }
}

/// The lower case of a character.
pub(super) fn lower(character: char) -> char {
    character.to_lowercase().next().unwrap_or(character)
}

/// The title case of a character: that of letter pairs has only its first letter large.
pub(super) fn title(character: char) -> char {
    match u32::from(character) {
        0x01c4..=0x01c6 => '\u{01c5}',
        0x01c7..=0x01c9 => '\u{01c8}',
        0x01ca..=0x01cc => '\u{01cb}',
        0x01f1..=0x01f3 => '\u{01f2}',
        _ => upper(character),
    }
}

/// What characters that differ in case only have in common.
pub(super) fn folded(character: char) -> char {
    lower(upper(character))
}

/// The first letter of every word in title case; letters, digits and underscores make words.
pub(super) fn titled(text: &str) -> String {
    let in_word = |character: char| match character {
        '_' => true,
        _ if character.is_ascii() => character.is_ascii_alphanumeric(),
        _ => !character.is_whitespace(),
    };
    let mut previous = ' ';
    let mut titled = String::with_capacity(text.len());
    for character in text.chars() {
        titled.push(if in_word(previous) { character } else { title(character) });
        previous = character;
    }
    titled
}
