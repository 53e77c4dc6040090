//! The embedded log: the cases that every log is held to, on a fresh directory each.

use std::sync::Arc;

use fluxmill::clock::SystemClock;
use fluxmill::commitlog::{CommitLog, EmbeddedLog, EmbeddedOptions};

use super::Subject;

async fn subject() -> Subject {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    Subject::new("e", move || {
        let dir = Arc::clone(&dir);
        Box::pin(async move {
            let log = EmbeddedLog::open(dir.path(), EmbeddedOptions::default(), Arc::new(SystemClock)).unwrap();
            Arc::new(log) as Arc<dyn CommitLog>
        })
    })
}

super::conformance!(subject);
