//! What comes of a run, as plain text and values: runs that should agree are compared by it.

use std::fmt::Write;

use fluxmill::diagnostic::Source;
use fluxmill::engine::{CollectedResults, Engine, RunError, RunReport, RunRequest};
use fluxmill::point::line_protocol;

use super::plain;

/// What came of a run.
#[derive(Clone, PartialEq)]
pub enum Outcome {
    Done { results: Vec<plain::Result>, writes: String, warnings: Vec<String> },
    Failed(String),
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Outcome::Done { results, writes, warnings } => {
                for result in results {
                    write!(formatter, "{result}")?;
                }
                formatter.write_str(writes)?;
                for warning in warnings {
                    writeln!(formatter, "warning: {warning}")?;
                }
                Ok(())
            }
            Outcome::Failed(text) => formatter.write_str(text),
        }
    }
}

impl Outcome {
    /// Runs a request.
    pub async fn of(engine: &Engine, request: RunRequest) -> Outcome {
        let source = request.source.clone();
        let mut results = CollectedResults::default();
        match engine.run(request, &mut results).await {
            Ok(report) => Outcome::Done {
                results: (results.results.iter())
                    .map(|result| {
                        assert!(result.complete);
                        plain::result(&result.name, &result.chunks)
                    })
                    .collect(),
                writes: writes(&report),
                warnings: report.warnings,
            },
            Err(error) => Outcome::Failed(error_text(&source, &error)),
        }
    }
}

/// Staged points as `# bucket name` and line protocol, where that can say them.
fn writes(report: &RunReport) -> String {
    let mut text = String::new();
    for write in &report.writes {
        writeln!(text, "# bucket {}", write.bucket_name).unwrap();
        for point in &write.points {
            let start = text.len();
            if line_protocol::write(&mut text, point).is_err() {
                // A line holds no line feed in a name.
                text.truncate(start);
                writeln!(text, "{point:?}").unwrap();
            }
        }
    }
    text
}

/// `line:column: message`, one line per problem, hints below.
fn error_text(source: &Source, error: &RunError) -> String {
    let mut text = String::new();
    match error {
        RunError::Refused(diagnostics) => {
            for diagnostic in diagnostics {
                let (line, column) = source.line_and_column(diagnostic.span.start);
                writeln!(text, "{line}:{column}: {}", diagnostic.message).unwrap();
                if let Some(help) = &diagnostic.help {
                    writeln!(text, "  hint: {help}").unwrap();
                }
            }
        }
        RunError::Failed { error, report } => {
            assert!(report.writes.is_empty(), "a failed run hands out points");
            match error.span() {
                Some(span) => {
                    let (line, column) = source.line_and_column(span.start);
                    writeln!(text, "{line}:{column}: {:?}: {}", error.kind(), error.message()).unwrap();
                }
                None => writeln!(text, "{:?}: {}", error.kind(), error.message()).unwrap(),
            }
            if let Some(hint) = error.hint() {
                writeln!(text, "  hint: {hint}").unwrap();
            }
        }
    }
    text
}
