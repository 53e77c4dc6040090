//! What an operator works out once per shape, kept for the chunks that follow.
//!
//! Used by operators. A query has few shapes, and neighbouring chunks share one: a list is enough.

use std::sync::Arc;

use crate::error::Result;
use crate::table::Shape;

/// Values per shape.
#[derive(Debug)]
pub(super) struct ByShape<T> {
    known: Vec<(Arc<Shape>, T)>,
    last: usize,
}

impl<T> Default for ByShape<T> {
    fn default() -> Self {
        ByShape { known: Vec::new(), last: 0 }
    }
}

impl<T> ByShape<T> {
    /// The value of a shape; made if it has not been seen.
    pub(super) fn get(&mut self, shape: &Arc<Shape>, make: impl FnOnce(&Shape) -> Result<T>) -> Result<&mut T> {
        let known = |(own, _): &(Arc<Shape>, T)| Arc::ptr_eq(own, shape) || own == shape;
        if !self.known.get(self.last).is_some_and(known) {
            self.last = match self.known.iter().position(known) {
                Some(at) => at,
                None => {
                    self.known.push((Arc::clone(shape), make(shape)?));
                    self.known.len() - 1
                }
            };
        }
        Ok(&mut self.known[self.last].1)
    }
}
