//! The names in the points that `to()` stages, and what points take in memory.
//!
//! Used by [`super`] only, for every row. Nothing here knows what becomes a name.

use std::collections::HashMap;

use crate::point::{FieldValue, Point};
use crate::table::Name;

/// What a name in a point stands for.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum NameOf {
    Measurement,
    Field,
    Tag(usize),
}

/// What a point takes beside itself and its names, in bytes.
pub(super) fn bytes_of(point: &Point) -> usize {
    let text = |value: &FieldValue| if let FieldValue::String(text) = value { text.len() } else { 0 };
    let texts: usize = point.fields.iter().map(|(_, value)| text(value)).sum();
    point.tags.capacity() * size_of::<(Name, Name)>()
        + point.fields.capacity() * size_of::<(Name, FieldValue)>()
        + texts
}

/// Names of the row before: neighbouring rows mostly agree, and then share one allocation.
#[derive(Default)]
pub(super) struct NameCache {
    last: HashMap<NameOf, Name>,
    /// What all names that were made take, in bytes.
    pub(super) bytes: usize,
}

impl NameCache {
    /// A name as the row before had it, or a new one.
    pub(super) fn name(&mut self, of: NameOf, text: &str) -> Name {
        match self.last.get(&of) {
            Some(name) if &**name == text => name.clone(),
            _ => {
                let name: Name = text.into();
                // Two counters stand before the text.
                self.bytes += text.len() + 2 * size_of::<usize>();
                self.last.insert(of, name.clone());
                name
            }
        }
    }
}
