//! What a script may do and probably does not mean: warnings about whole pipelines, never errors.
//!
//! Called where a file is checked, if it has no errors. Each rule looks at the text alone and keeps silent where it cannot
//! be sure what a name stands for.

mod chain;
mod rules;

use super::library::Library;
use crate::diagnostic::Diagnostic;
use crate::syntax::ast::File;

/// The warnings about a file that has no errors, in the order of the text.
pub fn lint(file: &File, library: &Library) -> Vec<Diagnostic> {
    let names = chain::Names::new(file, library);
    let chains = chain::chains(file, &names);
    let mut found = Vec::new();
    rules::mean_of_any_field(&chains, &mut found);
    rules::range_shorter_than_every(file, &chains, &mut found);
    rules::newest_row_of_merged_series(&chains, &mut found);
    rules::unbounded_read(&chains, &mut found);
    rules::own_output(file, &chains, &mut found);
    rules::pattern_of_everything(file, &mut found);
    rules::not_in_influxdb(file, &names, &mut found);
    rules::unused(file, &names, &mut found);
    found.sort_by_key(|diagnostic| (diagnostic.span.start, diagnostic.span.end));
    // A chain that is named is a part of every chain that begins with its name.
    found.dedup();
    found
}
