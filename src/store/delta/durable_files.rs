//! The local file system as an object store that says "done" after fsync, and never before.
//!
//! Handed to deltalake for its log and used for data files. The crate's own `LocalFileSystem` never syncs: a crash may leave
//! an empty `N.json`, which bricks a table. Here each put writes a temporary file, syncs it, links or renames it, and
//! syncs the directory, and once in the life of the process those above it. Reads and lists are the inner store's. A temporary
//! file has a name that lists pass over (`name#1`), so what a crash leaves is never read; vacuum removes it.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use hashbrown::HashSet;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};
use parking_lot::Mutex;

use super::disk::{Disk, RealDisk};
use crate::failpoint::failpoint;

const NAME: &str = "durable files";

/// A local file system whose writes are synced.
#[derive(Clone, Debug)]
pub(crate) struct DurableFiles {
    inner: Arc<LocalFileSystem>,
    uploads: Arc<AtomicU64>,
    writes: Arc<Writes>,
}

/// How files become durable.
#[derive(Debug)]
struct Writes {
    disk: Arc<dyn Disk>,
    /// It exists, and its own name is nobody's business here.
    base: PathBuf,
    /// Directories below the base whose names are synced. One that is found may have been made by a process that was killed
    /// before it could sync.
    named: Mutex<HashSet<PathBuf>>,
}

impl DurableFiles {
    /// The files below a directory that exists; paths are absolute, without the first slash.
    pub(crate) fn below(base: &FilePath) -> Self {
        Self::on(Arc::new(RealDisk), base)
    }

    /// The same on a given disk.
    pub(crate) fn on(disk: Arc<dyn Disk>, base: &FilePath) -> Self {
        let writes = Writes { disk, base: base.to_path_buf(), named: Mutex::default() };
        DurableFiles { inner: Arc::new(LocalFileSystem::new()), uploads: Arc::default(), writes: Arc::new(writes) }
    }

    fn temporary_name(&self, path: &FilePath) -> PathBuf {
        // Digits after `#` mark a staged upload to the inner store, which then does not list it.
        let number = self.uploads.fetch_add(1, Ordering::Relaxed);
        let mut name = path.as_os_str().to_owned();
        name.push(format!("#{}{number:09}", std::process::id()));
        PathBuf::from(name)
    }
}

/// Removes the temporary files below a directory that were begun before a time, in milliseconds since the epoch: what a
/// crash has left in the midst of a write. Lists pass over them, so nobody else finds them. Returns how many there were.
pub(super) fn remove_unfinished(directory: &FilePath, before_ms: i64) -> io::Result<usize> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut removed = 0;
    for entry in entries {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            removed += remove_unfinished(&entry.path(), before_ms)?;
        } else if kind.is_file() && is_temporary(&entry.file_name()) {
            let begun = entry.metadata()?.modified()?;
            let begun_ms = begun.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
            if i64::try_from(begun_ms).is_ok_and(|begun_ms| begun_ms <= before_ms) {
                fs::remove_file(entry.path())?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}

/// Whether a name is one that [`DurableFiles::temporary_name`] gives.
fn is_temporary(name: &OsStr) -> bool {
    let number = name.to_str().and_then(|name| name.rsplit_once('#'));
    number.is_some_and(|(_, digits)| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

impl fmt::Display for DurableFiles {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(NAME)
    }
}

#[async_trait]
impl ObjectStore for DurableFiles {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let path = self.inner.path_to_filesystem(location)?;
        let temporary = self.temporary_name(&path);
        let create = match options.mode {
            PutMode::Create => true,
            PutMode::Overwrite => false,
            PutMode::Update(_) => {
                return Err(Error::NotImplemented { operation: "update".into(), implementer: NAME.into() });
            }
        };
        let writes = Arc::clone(&self.writes);
        let put = move || writes.put(&path, &temporary, &payload, create).map_err(|error| io_error(&path, error));
        blocking(put).await?;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn put_multipart_opts(&self, location: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(Upload { store: self.clone(), location: location.clone(), parts: Vec::new() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        // A delete that a crash undoes leaves a file that nothing names: harmless, so it is not synced.
        let store = self.clone();
        let remove = move |location: Result<Path>| {
            let store = store.clone();
            async move {
                let location = location?;
                let path = store.inner.path_to_filesystem(&location)?;
                let remove = move || store.writes.disk.remove(&path).map_err(|error| io_error(&path, error));
                blocking(remove).await?;
                Ok(location)
            }
        };
        locations.then(remove).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await?;
        let path = self.inner.path_to_filesystem(to)?;
        let writes = Arc::clone(&self.writes);
        blocking(move || writes.sync_copy(&path).map_err(|error| io_error(&path, error))).await
    }
}

/// Parts are kept in memory and written as one: what goes this way (checkpoints) is small.
#[derive(Debug)]
struct Upload {
    store: DurableFiles,
    location: Path,
    parts: Vec<PutPayload>,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.parts.push(data);
        let done: BoxFuture<'static, Result<()>> = Box::pin(async { Ok(()) });
        done
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let parts = std::mem::take(&mut self.parts);
        let payload = parts.iter().flat_map(|part| part.iter().cloned()).collect::<PutPayload>();
        self.store.put_opts(&self.location, payload, PutOptions::default()).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.parts.clear();
        Ok(())
    }
}

/// Runs blocking work away from the runtime's threads, where there is a runtime.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => match runtime.spawn_blocking(work).await {
            Ok(result) => result,
            Err(error) => Err(Error::Generic { store: NAME, source: error.into() }),
        },
        Err(_) => work(),
    }
}

fn io_error(path: &FilePath, error: io::Error) -> Error {
    let path = path.display().to_string();
    match error.kind() {
        io::ErrorKind::AlreadyExists => Error::AlreadyExists { path, source: error.into() },
        io::ErrorKind::NotFound => Error::NotFound { path, source: error.into() },
        _ => Error::Generic { store: NAME, source: format!("{path}: {error}").into() },
    }
}

impl Writes {
    /// Writes a file whole, or not at all. An error after the name was made leaves it unknown whether it would survive a
    /// crash.
    fn put(&self, path: &FilePath, temporary: &FilePath, payload: &PutPayload, create: bool) -> io::Result<()> {
        let parent = path.parent().unwrap_or(FilePath::new("/"));
        self.make_directories(parent)?;
        let written = self.write_synced(temporary, payload).and_then(|()| {
            failpoint("put.synced");
            if create { self.disk.link(temporary, path) } else { self.disk.rename(temporary, path) }
        });
        failpoint("put.linked");
        if create || written.is_err() {
            // The link stays; the temporary name is of no use any more.
            let _ = self.disk.remove(temporary);
        }
        written?;
        self.disk.sync_directory(parent)
    }

    fn write_synced(&self, path: &FilePath, payload: &PutPayload) -> io::Result<()> {
        let file = self.disk.write(path, payload)?;
        failpoint("put.written");
        self.disk.sync_file(&file, path)
    }

    /// Makes a directory and its missing parents, and syncs each directory that has one of them.
    fn make_directories(&self, directory: &FilePath) -> io::Result<()> {
        if directory == self.base || self.named.lock().contains(directory) {
            return Ok(());
        }
        let parent = directory.parent().ok_or(io::ErrorKind::NotFound)?;
        self.make_directories(parent)?;
        match self.disk.create_directory(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => self.disk.sync_directory(parent)?,
        }
        self.named.lock().insert(directory.to_path_buf());
        Ok(())
    }

    /// Syncs a file that the inner store has copied.
    fn sync_copy(&self, path: &FilePath) -> io::Result<()> {
        self.disk.sync_file(&File::open(path)?, path)?;
        self.disk.sync_directory(path.parent().unwrap_or(FilePath::new("/")))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures::TryStreamExt;
    use futures::executor::block_on;
    use object_store::ObjectStoreExt;

    use super::*;

    fn location(directory: &tempfile::TempDir, name: &str) -> Path {
        Path::from_absolute_path(directory.path().join(name)).unwrap()
    }

    #[test]
    fn puts_make_their_directories_and_create_only_once() {
        let directory = tempfile::tempdir().unwrap();
        let store = DurableFiles::below(directory.path());
        let path = location(&directory, "a/b/file.json");
        let create = PutOptions { mode: PutMode::Create, ..Default::default() };
        block_on(store.put_opts(&path, "one".into(), create.clone())).unwrap();
        let second = block_on(store.put_opts(&path, "two".into(), create)).unwrap_err();
        assert!(matches!(second, Error::AlreadyExists { .. }), "{second}");
        block_on(store.put(&path, "three".into())).unwrap();
        assert_eq!(fs::read(directory.path().join("a/b/file.json")).unwrap(), b"three");
        let names: Vec<_> =
            fs::read_dir(directory.path().join("a/b")).unwrap().map(|it| it.unwrap().file_name()).collect();
        assert_eq!(names, ["file.json"], "temporary files stay");
    }

    #[test]
    fn what_a_crash_leaves_is_not_listed() {
        let directory = tempfile::tempdir().unwrap();
        let store = DurableFiles::below(directory.path());
        let path = directory.path().join("file.json");
        fs::write(store.temporary_name(&path), "torn").unwrap();
        let root = Path::from_absolute_path(directory.path()).unwrap();
        let listed: Vec<_> = block_on(store.list(Some(&root)).try_collect()).unwrap();
        assert_eq!(listed, []);
        fs::write(directory.path().join("notes#2"), "").unwrap();
        fs::write(directory.path().join("a#b"), "not ours").unwrap();
        assert_eq!(remove_unfinished(directory.path(), 0).unwrap(), 0, "they may still be written");
        assert_eq!(remove_unfinished(directory.path(), i64::MAX).unwrap(), 2);
        let names: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
        assert_eq!(names, ["a#b"]);
        assert_eq!(remove_unfinished(&path, i64::MAX).unwrap(), 0, "there is no such directory");
    }

    #[test]
    fn uploads_in_parts_become_one_file() {
        let directory = tempfile::tempdir().unwrap();
        let store = DurableFiles::below(directory.path());
        let path = location(&directory, "parts");
        let mut upload = block_on(store.put_multipart(&path)).unwrap();
        block_on(upload.put_part("ab".into())).unwrap();
        block_on(upload.put_part("cd".into())).unwrap();
        block_on(upload.complete()).unwrap();
        assert_eq!(fs::read(directory.path().join("parts")).unwrap(), b"abcd");
    }
}
