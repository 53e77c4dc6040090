//! Tables in memory: shapes, key rows and chunks of many tables; annotated CSV; the vocabulary of scans.
//!
//! Called by the store, the operators, the planner and the rim. Nothing here knows the language or a bucket's files.

pub mod builder;
pub mod cell;
pub mod check;
pub mod chunk;
pub mod cluster;
pub mod csv;
pub mod gather;
pub mod json_lines;
pub mod key;
pub mod layout;
pub mod merge;
pub mod pool;
pub mod scan;
pub mod select;
pub mod shape;
pub mod size;
pub mod spill;
#[cfg(test)]
pub mod testing;
pub mod text;
pub mod whole;

pub use builder::ChunkBuilder;
pub use cell::{Cell, ColumnBuilder, ColumnView};
pub use chunk::{Chunk, KeyBlock, Segment, TableId};
pub use scan::{Bounds, StreamProps};
pub use shape::{Column, ColumnType, Name, Place, Shape};
