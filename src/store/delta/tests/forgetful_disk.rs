//! A disk of a machine that loses power after a number of steps: what was not synced by then is gone, or torn.
//!
//! Handed to `DurableFiles` in place of the machine's own. Nothing is synced in truth, so tests on it are quick, too.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::PutPayload;
use parking_lot::{Mutex, MutexGuard};

use super::DurableFiles;
use crate::store::files::disk::{Disk, RealDisk};

/// What becomes of names that were made or taken away, and not synced, when the power fails. A file system may do either,
/// whatever became of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnsyncedNames {
    /// They are as before.
    Forgotten,
    /// They are as the program left them.
    Kept,
}

/// The disk.
#[derive(Debug)]
pub(super) struct ForgetfulDisk {
    state: Mutex<Unsynced>,
}

#[derive(Debug)]
struct Unsynced {
    /// Steps until the power fails; then every step fails.
    left: usize,
    /// Steps that were done.
    done: usize,
    /// Whether the last of them gave or took the name of a file that others look for.
    named_last: bool,
    /// Names that their directory may forget, with what had the name before.
    names: Vec<(PathBuf, Option<Vec<u8>>)>,
    /// Files whose bytes are not synced.
    files: Vec<PathBuf>,
}

impl ForgetfulDisk {
    /// A disk with power for ever.
    pub(super) fn new() -> Arc<Self> {
        let state = Unsynced { left: usize::MAX, done: 0, named_last: false, names: Vec::new(), files: Vec::new() };
        Arc::new(ForgetfulDisk { state: Mutex::new(state) })
    }

    /// The files below a directory on it.
    pub(super) fn files(self: &Arc<Self>, base: &Path) -> Arc<DurableFiles> {
        let disk: Arc<dyn Disk> = Arc::clone(self) as _;
        Arc::new(DurableFiles::on(disk, base))
    }

    /// The power fails after so many more steps.
    pub(super) fn fail_after(&self, steps: usize) {
        self.state.lock().left = steps;
    }

    /// Whether the power has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.state.lock().left == 0
    }

    /// Steps that were done.
    pub(super) fn done(&self) -> usize {
        self.state.lock().done
    }

    /// Whether the last step gave or took a name that lists show and that is not synced: the two kinds of file systems then
    /// differ.
    pub(super) fn named_last(&self) -> bool {
        self.state.lock().named_last
    }

    fn step(&self) -> io::Result<MutexGuard<'_, Unsynced>> {
        let mut state = self.state.lock();
        if state.left == 0 {
            return Err(io::Error::other("the power is gone"));
        }
        state.left -= 1;
        state.done += 1;
        state.named_last = false;
        Ok(state)
    }

    /// The power comes back: files whose bytes were not synced are empty.
    pub(super) fn come_back(&self, unsynced: UnsyncedNames) {
        let mut state = self.state.lock();
        for path in state.files.drain(..) {
            if path.exists() {
                std::fs::write(path, "").unwrap();
            }
        }
        for (path, before) in std::mem::take(&mut state.names).into_iter().rev() {
            match before {
                _ if unsynced == UnsyncedNames::Kept => {}
                Some(bytes) => std::fs::write(path, bytes).unwrap(),
                None if path.is_dir() => std::fs::remove_dir_all(path).unwrap(),
                None => drop(std::fs::remove_file(path)),
            }
        }
        state.left = usize::MAX;
    }
}

impl Disk for ForgetfulDisk {
    fn write(&self, path: &Path, payload: &PutPayload) -> io::Result<File> {
        let mut state = self.step()?;
        state.names.push((path.into(), None));
        state.files.push(path.into());
        RealDisk.write(path, payload)
    }

    fn sync_file(&self, _: &File, path: &Path) -> io::Result<()> {
        self.step()?.files.retain(|unsynced| unsynced != path);
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.step()?;
        RealDisk.link(from, to)?;
        state.names.push((to.into(), None));
        state.named_last = true;
        if state.files.iter().any(|unsynced| unsynced == from) {
            state.files.push(to.into());
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.step()?;
        let before = std::fs::read(to).ok();
        RealDisk.rename(from, to)?;
        state.names.push((to.into(), before));
        state.named_last = true;
        for unsynced in state.files.iter_mut().filter(|unsynced| *unsynced == from) {
            *unsynced = to.into();
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.step()?;
        let before = std::fs::read(path)?;
        RealDisk.remove(path)?;
        state.names.push((path.into(), Some(before)));
        state.named_last = !path.to_string_lossy().contains('#');
        Ok(())
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        let mut state = self.step()?;
        RealDisk.create_directory(path)?;
        state.names.push((path.into(), None));
        Ok(())
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.step()?.names.retain(|(unsynced, _)| unsynced.parent() != Some(path));
        Ok(())
    }
}
