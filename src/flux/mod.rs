//! The language: values, signatures, the checker and the evaluator.
//!
//! Called by `operators` (row programs), `functions` (builtins), `engine`. No I/O, no wall clock, no DataFusion type:
//! whatever comes from outside comes through [`host::Host`].

pub mod builtin;
pub mod call_errors;
pub mod check;
pub mod eval;
pub mod host;
pub mod library;
pub mod lint;
pub mod scalar;
pub mod shown;
pub mod signature;
pub mod task_option;
#[cfg(test)]
pub(crate) mod testing;
pub mod types;
pub mod value;

pub use library::Library;
pub use task_option::{TaskOption, task_option};
pub use value::Value;
