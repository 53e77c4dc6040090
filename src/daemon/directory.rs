//! The data directory: its lock, its version, its token, and the note by which commands find the running daemon.
//!
//! Used by `daemon` when it opens a directory and by the command line when it looks for one that runs. What the
//! subfolders hold is the business of the log, the catalogue and the store.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rand::RngCore;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::error::{Error, Result};

/// The layout of the directory; a directory of a newer layout is refused.
const VERSION: u32 = 1;

/// An open data directory, locked against other processes for as long as this value lives.
#[derive(Debug)]
pub(crate) struct DataDirectory {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it was made now.
    pub fresh: bool,
    /// Held, never read.
    _lock: File,
}

impl DataDirectory {
    /// Makes or opens a data directory and locks it.
    ///
    /// Errors: `Conflict` if another process has it open, `Invalid` if it was written by a newer fluxmill or holds
    /// something else, `Unavailable` if the disk refuses.
    pub fn open(path: &Path) -> Result<Self> {
        fs::create_dir_all(path).map_err(|error| refused(path, &error))?;
        let lock_path = path.join("LOCK");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(|error| refused(&lock_path, &error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::conflict(format!("{} is in use by another fluxmill", path.display()))
                    .with_hint("stop that daemon, or pass another --data-dir"));
            }
            Err(TryLockError::Error(error)) => return Err(refused(&lock_path, &error)),
        }
        let fresh = check_version(path)?;
        Ok(DataDirectory { path: path.to_path_buf(), fresh, _lock: lock })
    }

    /// The operator's token: given, or as it stands in the file `token`, or made now (mode 0600).
    pub fn token(&self, given: Option<&str>) -> Result<String> {
        let path = self.path.join("token");
        if let Some(given) = given {
            write_private(&path, given.as_bytes())?;
            return Ok(given.to_string());
        }
        match fs::read_to_string(&path) {
            Ok(token) if !token.trim().is_empty() => Ok(token.trim().to_string()),
            _ => {
                let mut random = [0u8; 32];
                rand::rng().fill_bytes(&mut random);
                let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
                write_private(&path, token.as_bytes())?;
                Ok(token)
            }
        }
    }

    /// Keeps the configuration in effect, so that a command over this directory finds the same log.
    pub fn keep_config(&self, config: &Config) -> Result<()> {
        let text = serde_json::to_vec_pretty(config)
            .map_err(|error| Error::internal(format!("the configuration cannot be kept: {error}")))?;
        write_private(&self.path.join("config.json"), &text)
    }

    /// The configuration that was in effect last over a directory.
    pub fn kept_config(path: &Path) -> Result<Config> {
        let mut config = match fs::read(path.join("config.json")) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|error| Error::invalid(format!("config.json of the data directory: {error}")))?,
            Err(_) => Config::default(),
        };
        config.data_dir = path.to_path_buf();
        Ok(config)
    }

    /// Tells commands where the daemon listens.
    pub fn announce(&self, url: &str) -> Result<()> {
        let note = Note { url: url.to_string(), process: std::process::id() };
        let text = serde_json::to_vec(&note).map_err(|error| Error::internal(error.to_string()))?;
        write_private(&self.path.join(NOTE), &text)
    }

    /// Takes the note back.
    pub fn withdraw(&self) {
        // The note of a dead daemon does no harm: the lock tells that nobody listens.
        let _ = fs::remove_file(self.path.join(NOTE));
    }
}

const NOTE: &str = "daemon.json";

#[derive(Serialize, Deserialize)]
struct Note {
    url: String,
    process: u32,
}

/// Where a running daemon listens, as its data directory says.
pub struct Announcement {
    /// `http://127.0.0.1:8086`.
    pub url: String,
    /// Its token, if this user may read it.
    pub token: Option<String>,
}

impl Announcement {
    /// The daemon that runs over a data directory; `None` if none does.
    ///
    /// Errors: `Conflict` if one holds the directory but has no HTTP listener.
    pub fn read(directory: &Path) -> Result<Option<Announcement>> {
        let Ok(lock) = OpenOptions::new().write(true).open(directory.join("LOCK")) else { return Ok(None) };
        if lock.try_lock().is_ok() {
            return Ok(None);
        }
        let note = fs::read(directory.join(NOTE)).ok().and_then(|text| serde_json::from_slice::<Note>(&text).ok());
        let Some(note) = note else {
            return Err(Error::conflict(format!("{} is in use by a fluxmill without HTTP", directory.display()))
                .with_hint("start it with --http 127.0.0.1:8086, or stop it"));
        };
        let token = fs::read_to_string(directory.join("token")).ok().map(|token| token.trim().to_string());
        Ok(Some(Announcement { url: note.url, token }))
    }
}

fn check_version(path: &Path) -> Result<bool> {
    let file = path.join("VERSION");
    match fs::read_to_string(&file) {
        Ok(text) => {
            let version: u32 = text
                .trim()
                .parse()
                .map_err(|_| Error::invalid(format!("{} holds {text:?}, expected a version number", file.display())))?;
            if version > VERSION {
                return Err(Error::invalid(format!(
                    "{} was written by a newer fluxmill (layout {version}, this one knows {VERSION})",
                    path.display()
                )));
            }
            Ok(false)
        }
        Err(_) => {
            let strange = fs::read_dir(path)?.flatten().find(|entry| entry.file_name() != "LOCK");
            if let Some(entry) = strange {
                return Err(Error::invalid(format!(
                    "{} is not empty (it holds {:?}) and no data directory",
                    path.display(),
                    entry.file_name()
                ))
                .with_hint("pass an empty or new directory with --data-dir"));
            }
            write_private(&file, format!("{VERSION}\n").as_bytes())?;
            Ok(true)
        }
    }
}

/// Writes a file that only its owner may read, whole or not at all.
fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = path.with_extension("tmp");
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().map_err(|error| refused(path, &error))
}

fn refused(path: &Path, error: &std::io::Error) -> Error {
    Error::unavailable(format!("cannot use {}: {error}", path.display()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_for_one_process() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("data");
        let first = DataDirectory::open(&path).unwrap();
        assert!(first.fresh);
        let error = DataDirectory::open(&path).unwrap_err();
        assert!(error.message().contains("in use by another fluxmill"), "{error}");
        drop(first);
        assert!(!DataDirectory::open(&path).unwrap().fresh);
    }

    #[test]
    fn a_folder_of_something_else_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("thesis.txt"), "precious").unwrap();
        let error = DataDirectory::open(home.path()).unwrap_err();
        assert!(error.message().contains("not empty"), "{error}");
    }

    #[test]
    fn a_newer_layout_is_refused() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("VERSION"), "99\n").unwrap();
        let error = DataDirectory::open(home.path()).unwrap_err();
        assert!(error.message().contains("newer fluxmill"), "{error}");
    }

    #[test]
    fn the_token_stays_and_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        let directory = DataDirectory::open(&home.path().join("data")).unwrap();
        let token = directory.token(None).unwrap();
        assert_eq!(token.len(), 64);
        assert_eq!(directory.token(None).unwrap(), token);
        let mode = fs::metadata(directory.path.join("token")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_running_daemon_is_found_and_a_dead_one_is_not() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("data");
        assert!(Announcement::read(&path).unwrap().is_none());
        let directory = DataDirectory::open(&path).unwrap();
        assert!(Announcement::read(&path).is_err(), "held, but without HTTP");
        directory.announce("http://127.0.0.1:1").unwrap();
        assert_eq!(Announcement::read(&path).unwrap().unwrap().url, "http://127.0.0.1:1");
        drop(directory);
        assert!(Announcement::read(&path).unwrap().is_none(), "the note of a dead daemon says nothing");
    }
}
