//! Shared names while text is decoded: the same measurement, tag or field key is one allocation, not one a point.
//!
//! Used by the decoders of line protocol and JSON. Bounded: a stream of ever new names empties it and starts again.

use hashbrown::HashSet;

use crate::name::Name;

/// Most names that are remembered.
const CAPACITY: usize = 8_192;

/// Longer texts are not worth remembering (they are values, not names).
const LONGEST: usize = 128;

/// A set of names that were seen lately.
#[derive(Debug, Default)]
pub struct Names(HashSet<Name>);

impl Names {
    /// The shared name of a text.
    pub fn share(&mut self, text: &str) -> Name {
        if text.len() > LONGEST {
            return Name::from(text);
        }
        if let Some(name) = self.0.get(text) {
            return Name::clone(name);
        }
        if self.0.len() >= CAPACITY {
            self.0.clear();
        }
        let name = Name::from(text);
        self.0.insert(Name::clone(&name));
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_share_and_the_set_is_bounded() {
        let mut names = Names::default();
        assert!(Name::ptr_eq(&names.share("fuel"), &names.share("fuel")));
        for number in 0..3 * CAPACITY {
            assert_eq!(&*names.share(&number.to_string()), number.to_string());
        }
        assert!(names.0.len() <= CAPACITY);
    }
}
