//! Names on disk: the directory of a measurement, the physical name of a column.
//!
//! Used by the table's schema and paths. Both directions of a column's name stand in the schema's metadata, so a name only
//! has to be unique and safe, not reversible.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

/// What stands in a directory name as it is.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// The longest directory name: below the 255 bytes that file systems allow.
const MAX_DIRECTORY: usize = 200;

/// Columns that every table has.
pub(crate) const TIME: &str = "time";
/// The nanoseconds within the microsecond of `time`, 0 to 999.
pub(crate) const TIME_NS: &str = "time_ns";
/// The arrival of the version, in nanoseconds; null where it equals the time.
pub(crate) const SEQ: &str = "_seq";
/// The UTC day of `time`; the partition.
pub(crate) const DAY: &str = "day";

/// The directory of a measurement below its bucket's: percent-encoded with `~` for `%`, or a hash where that would be too
/// long. A real `%` in a path is decoded once too often by some readers of Delta tables, deltalake's own among them.
pub(crate) fn directory_name(measurement: &str) -> String {
    let name = utf8_percent_encode(measurement, KEPT).to_string().replace('%', "~");
    if name.len() <= MAX_DIRECTORY {
        return name;
    }
    format!("{}__{}", plain(measurement), hash(measurement, 16))
}

/// The physical name of a column: its own if that is safe and free, else one that ends in a hash. `taken` tells of names
/// in lower case.
pub(crate) fn physical_name(name: &str, is_tag: bool, taken: impl Fn(&str) -> bool) -> String {
    let safe =
        !name.is_empty() && name.len() <= 100 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let reserved = [TIME, TIME_NS, SEQ, DAY].contains(&name.to_ascii_lowercase().as_str());
    if safe && !reserved && !taken(&name.to_ascii_lowercase()) {
        return name.to_string();
    }
    hashed_name(name, is_tag)
}

/// The physical name of a column that cannot have its own.
pub(crate) fn hashed_name(name: &str, is_tag: bool) -> String {
    let kind = if is_tag { "tag" } else { "field" };
    format!("{}__{}", plain(name), hash(&format!("{kind}:{name}"), 8))
}

/// The beginning of a name, for people.
fn plain(name: &str) -> String {
    name.chars().take(60).map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect()
}

fn hash(text: &str, digits: usize) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let mut hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    hex.truncate(digits);
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_encoded() {
        assert_eq!(directory_name("genData"), "genData");
        assert_eq!(directory_name("a/b c.d"), "a~2Fb~20c~2Ed");
        assert_eq!(directory_name(".."), "~2E~2E");
        let long = "x".repeat(300);
        assert!(directory_name(&long).len() <= MAX_DIRECTORY);
        assert_ne!(directory_name(&long), directory_name(&format!("{long}y")));
    }

    #[test]
    fn column_names_are_their_own_where_that_is_safe() {
        let taken = |name: &str| name == "fuel";
        assert_eq!(physical_name("generatorID", true, taken), "generatorID");
        for name in ["Fuel", "time", "TIME_NS", "_seq", "day", "a b", "ü", ""] {
            let physical = physical_name(name, false, taken);
            assert!(physical.contains("__"), "{name} -> {physical}");
            assert!(physical.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{physical}");
            assert_ne!(physical, physical_name(name, true, taken));
        }
    }
}
