//! Which statements run: those that read.
//!
//! Used by `engine::sql`. The list names what is let through, so that what the parser learns later stays out; DataFusion's
//! own check of the plan is the second lock.

use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;

use crate::error::{Error, Result};

/// Refuses a statement that does more than read.
///
/// # Errors
/// Invalid, with what reads.
pub(super) fn check(statement: &Statement) -> Result<()> {
    let reads = match statement {
        Statement::Statement(statement) => reads(statement),
        Statement::Explain(explain) => return check(&explain.statement),
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => false,
    };
    if reads { Ok(()) } else { Err(refused(&first_words(&statement.to_string()))) }
}

fn reads(statement: &SqlStatement) -> bool {
    match statement {
        SqlStatement::Query(_)
        | SqlStatement::ShowTables { .. }
        | SqlStatement::ShowColumns { .. }
        | SqlStatement::ShowFunctions { .. }
        | SqlStatement::ExplainTable { .. } => true,
        SqlStatement::Explain { statement, .. } => reads(statement),
        _ => false,
    }
}

/// Refuses a plan that does more than read, such as one of `SELECT ... INTO`.
///
/// # Errors
/// Invalid, with what reads.
pub(super) fn check_plan(plan: &LogicalPlan) -> Result<()> {
    let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    options.verify_plan(plan).map_err(|_| refused(&first_words(&plan.display().to_string())))
}

fn refused(what: &str) -> Error {
    Error::invalid(format!("SQL only reads here, and {what} does more")).with_hint(
        "SELECT, EXPLAIN, DESCRIBE, SHOW TABLES and SHOW COLUMNS read; rows are written with `fluxmill write`",
    )
}

/// The keywords with which a statement begins.
fn first_words(text: &str) -> String {
    let is_keyword = |word: &&str| word.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_');
    let words: Vec<&str> = text.split_whitespace().take_while(is_keyword).take(3).collect();
    if words.is_empty() { "this statement".to_string() } else { words.join(" ") }
}
