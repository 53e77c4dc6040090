//! Joins: rows of two streams side by side.
//!
//! `columns` is `join` of the prelude: on columns of equal name, all columns of both sides come out. `tables` is the
//! package `join`: tables of one group key, any columns compared, inner and outer, and a function makes the new rows.
//! Both hold their inputs until both have ended, and give tables in the order of their keys.

pub mod columns;
mod pairs;
mod rows;
mod side;
pub mod tables;

pub use columns::JoinColumns;
pub use tables::{JoinMethod, JoinTables, OnPair};
