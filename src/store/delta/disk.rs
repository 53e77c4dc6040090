//! The few things that are done to the disk to make a file durable, each by itself.
//!
//! Used by `durable_files`, which puts them in the right order; tests put a disk in their place that forgets what was not
//! synced, or that loses power between two of them.

use std::fmt::Debug;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use object_store::PutPayload;

/// A disk. Nothing that was done counts before it is synced: a file's bytes by `sync_file`, names by `sync_directory`.
pub(crate) trait Disk: Debug + Send + Sync + 'static {
    /// Makes a file, or empties it, and writes bytes to it.
    fn write(&self, path: &Path, payload: &PutPayload) -> io::Result<File> {
        let mut file = File::create(path)?;
        for part in payload {
            file.write_all(part)?;
        }
        Ok(file)
    }

    /// Syncs a file's bytes.
    fn sync_file(&self, file: &File, _path: &Path) -> io::Result<()> {
        file.sync_all()
    }

    /// Gives a file a second name; fails if the name is taken.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    /// Gives a file another name, in place of what had it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    /// Takes a name away.
    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    /// Makes a directory.
    fn create_directory(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    /// Syncs the names in a directory.
    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

/// The machine's own.
#[derive(Debug)]
pub(crate) struct RealDisk;

impl Disk for RealDisk {}
