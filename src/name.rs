//! A name that many hold: column, measurement, tag, field, bucket, topic.
//!
//! Used on every floor. Cheap to clone; compares by text.

use std::sync::Arc;

/// A shared name.
pub type Name = Arc<str>;
