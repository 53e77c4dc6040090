//! What several integration tests share: tables in a form that compares.

pub mod plain;
