//! Flux text to tree: lexer, parser (nom over tokens), AST.
//!
//! Called by `flux` (check, eval), `tasks/file` (the task option) and the rim. The parser never fails: it returns a tree
//! and diagnostics. No I/O, no clock, no knowledge of which functions exist.

pub mod ast;
