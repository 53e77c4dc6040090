//! A disk of which one write fails: the program goes on, or is killed there, and nothing is lost.

use futures::stream::BoxStream;
use object_store::ObjectStore;
use parking_lot::Mutex;

use super::{Bench, DurableFiles, Oracle, START, always, partition, row};
use crate::error::ErrorKind;
use crate::point::FieldValue::Int;

/// What goes wrong with a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing is written, and the writer is told.
    Refused,
    /// It is written, and the writer is told that it is not.
    Unknown,
}

/// A disk of which one write, counted from now, fails.
#[derive(Debug)]
pub(super) struct FaultyDisk {
    inner: DurableFiles,
    fault: Mutex<Option<(usize, Fault)>>,
}

impl FaultyDisk {
    pub(super) fn new(inner: DurableFiles) -> Self {
        FaultyDisk { inner, fault: Mutex::new(None) }
    }

    pub(super) fn fail(&self, write: usize, fault: Fault) {
        *self.fault.lock() = Some((write, fault));
    }

    /// Whether the fault has happened.
    pub(super) fn has_failed(&self) -> bool {
        self.fault.lock().is_none()
    }

    fn next_fault(&self) -> Option<Fault> {
        let mut fault = self.fault.lock();
        match &mut *fault {
            Some((0, _)) => fault.take().map(|(_, fault)| fault),
            Some((writes, _)) => {
                *writes -= 1;
                None
            }
            None => None,
        }
    }
}

impl std::fmt::Display for FaultyDisk {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("faulty disk")
    }
}

#[async_trait::async_trait]
impl ObjectStore for FaultyDisk {
    async fn put_opts(
        &self,
        location: &object_store::path::Path,
        payload: object_store::PutPayload,
        options: object_store::PutOptions,
    ) -> object_store::Result<object_store::PutResult> {
        let fault = self.next_fault();
        if fault != Some(Fault::Refused) {
            self.inner.put_opts(location, payload, options).await?;
        }
        match fault {
            None => Ok(object_store::PutResult { e_tag: None, version: None }),
            Some(fault) => {
                Err(object_store::Error::Generic { store: "faulty disk", source: format!("{fault:?}").into() })
            }
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &object_store::path::Path,
        options: object_store::PutMultipartOptions,
    ) -> object_store::Result<Box<dyn object_store::MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(
        &self,
        location: &object_store::path::Path,
        options: object_store::GetOptions,
    ) -> object_store::Result<object_store::GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<object_store::path::Path>>,
    ) -> BoxStream<'static, object_store::Result<object_store::path::Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(
        &self,
        prefix: Option<&object_store::path::Path>,
    ) -> BoxStream<'static, object_store::Result<object_store::ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(
        &self,
        prefix: Option<&object_store::path::Path>,
    ) -> object_store::Result<object_store::ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(
        &self,
        from: &object_store::path::Path,
        to: &object_store::path::Path,
        options: object_store::CopyOptions,
    ) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// Each write of two flushes (schema, Parquet, commit) fails once, in each way; the program goes on, or is killed there and
/// replays. Nothing is lost, nothing counts twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_fails_loses_nothing() {
    for fault in [Fault::Refused, Fault::Unknown] {
        for killed in [false, true] {
            let mut write = 0;
            while one_write_fails(write, fault, killed).await {
                write += 1;
            }
            // Version 0, a file, version 1; schema, two files, a commit.
            assert_eq!(write, 7, "{fault:?}, killed: {killed}");
        }
    }
}

/// Returns whether there was a write of that number.
async fn one_write_fails(write: usize, fault: Fault, killed: bool) -> bool {
    let mut bench = Bench::new().await;
    let source = partition("b", 0);
    let point = |offset: u64, field: &str, time: i64| {
        row(offset, START + offset as i64, "m", &[("host", "a")], &[(field, Int(offset as i64))], START + time)
    };
    let flushes = [vec![point(0, "x", 5), point(1, "x", 7)], vec![point(2, "x", 5), point(3, "y", 9)]];
    let mut oracle = Oracle::default();
    let mut log = Vec::new();
    let mut committed = 0;
    bench.disk.fail(write, fault);
    for rows in flushes {
        rows.iter().for_each(|row| oracle.add(row));
        log.extend(rows.iter().cloned());
        bench.apply(&source, &rows);
        let expected = oracle.long(always(), |_, _, _, _| true);
        if let Err(error) = bench.store().flush_all().await {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            assert!(bench.disk.has_failed(), "an error that is not the disk's: {error}");
            if killed {
                bench.reopen().await;
                bench.apply(&source, &log[committed..]);
            }
            // A commit that happened unbeknown to the writer is found on opening.
            let found = if killed && fault == Fault::Unknown { log.len() } else { committed };
            let low_water = bench.store().low_water(&source).unwrap() as usize;
            assert!([committed, found].contains(&low_water), "low-water {low_water}");
            assert_eq!(bench.read(always(), &[]).await, expected);
            bench.store().flush_all().await.unwrap();
        }
        committed = bench.store().low_water(&source).unwrap() as usize;
        assert_eq!(committed, log.len());
        assert_eq!(bench.store().memory_used(), 0);
        assert_eq!(bench.read(always(), &[]).await, expected);
    }
    bench.reopen().await;
    assert_eq!(bench.read(always(), &[]).await, oracle.long(always(), |_, _, _, _| true));
    bench.disk.has_failed()
}
