//! What comes of a run, as plain text and values: runs that should agree are compared by it.

use std::fmt::Write;

use fluxmill::diagnostic::Source;
use fluxmill::engine::{BucketWrite, CollectedResults, Engine, RunError, RunRequest};
use fluxmill::error::Result;
use fluxmill::point::{Point, line_protocol, series_key};

use super::plain;

/// What came of a run.
#[derive(Clone, PartialEq)]
pub enum Outcome {
    Done { results: Vec<plain::Result>, writes: Vec<Writes>, warnings: Vec<String> },
    Failed(String),
}

/// The points that were staged for a bucket.
#[derive(Clone, PartialEq)]
pub struct Writes {
    bucket: String,
    /// Each with its series and time, as line protocol where that can say it.
    points: Vec<(String, i64, String)>,
}

impl std::fmt::Display for Writes {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(formatter, "# bucket {}", self.bucket)?;
        self.points.iter().try_for_each(|(_, _, line)| formatter.write_str(line))
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Outcome::Done { results, writes, warnings } => {
                for result in results {
                    write!(formatter, "{result}")?;
                }
                for write in writes {
                    write!(formatter, "{write}")?;
                }
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
    /// The same with staged points by series and time: only the order of those of one identity counts.
    pub fn by_identity(&self) -> Outcome {
        let mut sorted = self.clone();
        if let Outcome::Done { writes, .. } = &mut sorted {
            let identity = |(series, time_ns, _): &(String, i64, String)| (series.clone(), *time_ns);
            writes.iter_mut().for_each(|write| write.points.sort_by_key(identity));
        }
        sorted
    }

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
                writes: report.writes.iter().map(staged).collect(),
                warnings: report.warnings,
            },
            Err(error) => Outcome::Failed(error_text(&source, &error)),
        }
    }
}

fn staged(write: &BucketWrite) -> Writes {
    let point = |point: Result<Point>| {
        let point = point.unwrap();
        let mut line = String::new();
        if line_protocol::write(&mut line, &point).is_err() {
            // A line holds no line feed in a name.
            line = format!("{point:?}\n");
        }
        (series_key(&point.measurement, &point.tags), point.time_ns, line)
    };
    Writes { bucket: write.bucket_name.to_string(), points: write.points.staged().map(point).collect() }
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
