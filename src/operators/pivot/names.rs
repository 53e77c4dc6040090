//! The names of pivoted columns: the values of the column key as text, joined by `_`.
//!
//! Used by [`super`]. Each name is made once, however many rows it has.

use std::fmt::Write;

use indexmap::IndexSet;

use crate::table::{Cell, Name};
use crate::time::rfc3339;

/// All names met so far, numbered in the order of their first appearance.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: IndexSet<Name>,
    text: String,
    /// The length of all names.
    bytes: usize,
}

impl Names {
    /// The number of the name that these cells make.
    pub(super) fn number<'a>(&mut self, cells: impl Iterator<Item = Cell<'a>>) -> u32 {
        self.text.clear();
        for (at, cell) in cells.enumerate() {
            if at > 0 {
                self.text.push('_');
            }
            render(cell, &mut self.text);
        }
        if let Some(number) = self.known.get_index_of(self.text.as_str()) {
            return number as u32;
        }
        self.bytes += self.text.len();
        self.known.insert(Name::from(self.text.as_str()));
        self.known.len() as u32 - 1
    }

    /// What they take, in bytes: an entry, its hash, its place, two counters before the text.
    pub(super) fn memory(&self) -> usize {
        self.bytes + self.known.capacity() * (size_of::<Name>() + 4 * size_of::<usize>())
    }

    /// The name of a number.
    pub(super) fn name(&self, number: u32) -> &Name {
        &self.known[number as usize]
    }
}

/// A value in the name of a column (flux-semantics 6.2): strings as they are, floats with an exponent as `1.5E+00`, times
/// with nine digits of fraction, `null`.
fn render(cell: Cell<'_>, text: &mut String) {
    match cell {
        Cell::Null => text.push_str("null"),
        Cell::Float(value) if value.is_finite() => {
            let plain = format!("{value:E}");
            let (digits, exponent) = plain.split_once('E').unwrap_or((&plain, "0"));
            let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
            // Writing to a string cannot fail.
            let _ = write!(text, "{digits}E{sign}{exponent:0>2}");
        }
        Cell::Time(value) => text.push_str(&rfc3339::to_text(value)),
        other => {
            let _ = write!(text, "{other}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(cell: Cell<'_>) -> String {
        let mut text = String::new();
        render(cell, &mut text);
        text
    }

    /// flux-semantics 6.2, point 3.
    #[test]
    fn each_type_has_its_text() {
        assert_eq!(rendered(Cell::Null), "null");
        assert_eq!(rendered(Cell::Bool(true)), "true");
        assert_eq!(rendered(Cell::Int(-7)), "-7");
        assert_eq!(rendered(Cell::UInt(u64::MAX)), "18446744073709551615");
        assert_eq!(rendered(Cell::Float(1.5)), "1.5E+00");
        assert_eq!(rendered(Cell::Float(-0.0025)), "-2.5E-03");
        assert_eq!(rendered(Cell::Float(1e100)), "1E+100");
        assert_eq!(rendered(Cell::Float(f64::INFINITY)), "+Inf");
        assert_eq!(rendered(Cell::Time(0)), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(rendered(Cell::String("a b")), "a b");
    }

    #[test]
    fn equal_names_have_one_number() {
        let mut names = Names::default();
        assert_eq!(names.number([Cell::String("a"), Cell::Int(1)].into_iter()), 0);
        assert_eq!(names.number([Cell::String("b")].into_iter()), 1);
        assert_eq!(names.number([Cell::String("a_1")].into_iter()), 0);
        assert_eq!(&**names.name(0), "a_1");
    }
}
