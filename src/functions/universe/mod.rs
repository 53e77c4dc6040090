//! What needs no import.
//!
//! Listed in `functions`; a file per function, a file for families with one body.

pub mod from;
pub mod now;
pub mod range;
pub mod table_find;
pub mod to;
pub mod r#yield;
