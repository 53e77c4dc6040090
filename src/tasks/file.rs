//! The directory of task files: what it holds, and a sign when it changes.
//!
//! Called by the loader. A file is `*.flux` at any depth; names that begin with a point are passed over. Nothing here
//! knows what a script means, and nothing is read while somebody may still be writing it: a scan counts when a second one
//! after a quiet moment is equal.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use sha2::{Digest, Sha256};
use tokio::sync::Notify;

use crate::error::{Error, Result};
use crate::name::Name;

/// The largest task file.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// How deep folders are looked into.
const MAX_DEPTH: usize = 8;

/// How long nothing may change until a scan counts.
const QUIET: Duration = Duration::from_millis(150);

/// How often a directory that keeps changing is scanned before its present state counts all the same.
const MAX_SCANS: usize = 20;

/// What a directory holds: the path of each task file, relative and with `/`, and its text or why it cannot be read.
pub type Files = BTreeMap<String, std::result::Result<Arc<str>, String>>;

/// Reads all task files below a directory.
///
/// Errors: the directory itself cannot be read. Then nothing is known of its files; above all not that they are gone.
pub fn scan(directory: &Path) -> Result<Files> {
    let mut files = Files::new();
    let entries = list(directory).map_err(|error| {
        Error::unavailable(format!("cannot read the tasks directory {}: {error}", directory.display()))
    })?;
    visit(directory, entries, MAX_DEPTH, &mut files);
    Ok(files)
}

/// Scans until two scans with a quiet moment between them are equal.
pub async fn scan_when_quiet(directory: &Path) -> Result<Files> {
    let mut before = scan(directory)?;
    for _ in 0..MAX_SCANS {
        tokio::time::sleep(QUIET).await;
        let now = scan(directory)?;
        if now == before {
            break;
        }
        before = now;
    }
    Ok(before)
}

/// The id of a task: pinned in its file by `// fluxmill: id=0123456789abcdef`, else made from the path.
///
/// Errors: a pinned id that is none, as a sentence.
pub fn task_id(path: &str, text: &str) -> std::result::Result<Name, String> {
    let pins = text.lines().filter_map(|line| line.trim().strip_prefix("//"));
    let mut pins = pins
        .filter_map(|comment| comment.trim().strip_prefix("fluxmill:"))
        .filter_map(|words| words.trim().strip_prefix("id="));
    if let Some(pin) = pins.next() {
        let id = pin.trim();
        let is_id = id.len() == 16 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !is_id || id.bytes().all(|byte| byte == b'0') {
            return Err(format!("expected 16 hex digits, not all zero, after `fluxmill: id=`, found `{id}`"));
        }
        return Ok(id.into());
    }
    let digest = Sha256::digest(path.as_bytes());
    let hex: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Ok(hex.into())
}

/// Tells when something in a directory may have changed. It stops when it is dropped.
pub struct DirectoryWatch {
    _watcher: Option<RecommendedWatcher>,
}

impl DirectoryWatch {
    /// Watches a directory and all folders in it; `changed` is notified. Where the system cannot watch (some network
    /// file systems) the regular rescan has to do.
    pub fn start(directory: &Path, changed: Arc<Notify>) -> Self {
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let only_read = event.as_ref().is_ok_and(|event| match event.kind {
                EventKind::Access(AccessKind::Close(AccessMode::Write)) => false,
                EventKind::Access(_) => true,
                _ => false,
            });
            if !only_read {
                changed.notify_one();
            }
        });
        let watcher = watcher.and_then(|mut watcher| {
            watcher.watch(directory, RecursiveMode::Recursive)?;
            Ok(watcher)
        });
        match watcher {
            Ok(watcher) => DirectoryWatch { _watcher: Some(watcher) },
            Err(error) => {
                tracing::warn!(directory = %directory.display(), %error, "cannot watch the tasks directory; it is rescanned");
                DirectoryWatch { _watcher: None }
            }
        }
    }
}

fn list(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

fn visit(root: &Path, entries: Vec<PathBuf>, depth: usize, files: &mut Files) {
    for path in entries {
        // Links are followed: that is how configuration is mounted in containers.
        let Ok(metadata) = std::fs::metadata(&path) else {
            continue;
        };
        if metadata.is_dir() {
            if depth > 1
                && let Ok(inner) = list(&path)
            {
                visit(root, inner, depth - 1, files);
            }
        } else if path.extension().is_some_and(|extension| extension == "flux") {
            let relative = path.strip_prefix(root).unwrap_or(&path);
            let parts: Vec<_> = relative.components().map(|part| part.as_os_str().to_string_lossy()).collect();
            files.insert(parts.join("/"), read(&path, metadata.len()));
        }
    }
}

fn read(path: &Path, length: u64) -> std::result::Result<Arc<str>, String> {
    if length > MAX_FILE_BYTES {
        return Err(format!("the file has {length} bytes; a task has at most {MAX_FILE_BYTES}"));
    }
    let bytes = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text.into()),
        Err(error) => {
            Err(format!("is not UTF-8 text: the first wrong byte is at {}", error.utf8_error().valid_up_to()))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_scan_finds_flux_files_at_any_depth_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        std::fs::create_dir_all(root.join("plant/.git")).unwrap();
        for (path, bytes) in [
            ("a.flux", &b"a"[..]),
            ("plant/b.flux", b"b"),
            ("plant/.git/c.flux", b"c"),
            (".d.flux.swp", b"d"),
            ("README.md", b"e"),
            ("latin.flux", b"caf\xe9"),
        ] {
            std::fs::write(root.join(path), bytes).unwrap();
        }
        let files = scan(root).unwrap();
        assert_eq!(files.keys().collect::<Vec<_>>(), ["a.flux", "latin.flux", "plant/b.flux"]);
        assert_eq!(files["plant/b.flux"].as_deref().unwrap(), "b");
        assert_eq!(files["latin.flux"].as_ref().unwrap_err(), "is not UTF-8 text: the first wrong byte is at 3");
        assert!(scan(&root.join("absent")).unwrap_err().message().starts_with("cannot read the tasks directory"));
    }

    #[test]
    fn an_id_is_pinned_or_follows_from_the_path() {
        // printf 'a.flux' | sha256sum
        assert_eq!(&*task_id("a.flux", "option task = {}").unwrap(), "47a80e7eebfea0ff");
        let pinned = "// a task\n  // fluxmill: id=00000000000000a1\noption task = {}";
        assert_eq!(&*task_id("a.flux", pinned).unwrap(), "00000000000000a1");
        assert_eq!(
            task_id("a.flux", "// fluxmill: id=12").unwrap_err(),
            "expected 16 hex digits, not all zero, after `fluxmill: id=`, found `12`"
        );
        assert!(task_id("a.flux", "// fluxmill: id=0000000000000000").is_err());
    }

    #[tokio::test]
    async fn a_watch_tells_of_changes() {
        let directory = tempfile::tempdir().unwrap();
        let changed = Arc::new(Notify::new());
        let _watch = DirectoryWatch::start(directory.path(), Arc::clone(&changed));
        std::fs::write(directory.path().join("a.flux"), "a").unwrap();
        tokio::time::timeout(Duration::from_secs(10), changed.notified()).await.unwrap();
        let files = scan_when_quiet(directory.path()).await.unwrap();
        assert_eq!(files.len(), 1);
    }
}
