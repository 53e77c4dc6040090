//! Changes of task files that come over the API: a task made, its script replaced, a task deleted.
//!
//! The directory stays the source of truth: a change is a change of a file, and the task follows it as it would follow an
//! editor. A script that is not in order changes no file.

use std::io::Write;
use std::path::Path;

use super::facade::Tasks;
use super::views::TaskView;
use crate::error::{Error, Result};
use crate::syntax;

/// Most files whose names begin alike.
const MOST_ALIKE: usize = 100;

impl Tasks {
    /// Makes a file for a script, named after its task, and loads it.
    ///
    /// Errors: `Invalid` for a script that is not in order, with carets.
    pub async fn create(&self, flux: &str) -> Result<TaskView> {
        let name = self.check_script("task.flux", flux)?;
        let stem: String =
            name.chars().map(|letter| if letter.is_alphanumeric() { letter } else { '-' }).take(60).collect();
        let stem = stem.trim_matches('-').to_lowercase();
        let stem = if stem.is_empty() { "task".to_string() } else { stem };
        let candidates = (1..=MOST_ALIKE).map(|number| match number {
            1 => format!("{stem}.flux"),
            number => format!("{stem}-{number}.flux"),
        });
        for file in candidates {
            if !self.directory().join(&file).exists() {
                write(self.directory(), &file, flux)?;
                self.load().await?;
                return self.of_file(&file);
            }
        }
        Err(Error::conflict(format!("there are {MOST_ALIKE} files named like {stem}.flux already")))
    }

    /// Replaces the script of a task in its file.
    ///
    /// Errors: `NotFound`; `Invalid` for a script that is not in order, with carets.
    pub async fn replace_script(&self, id_or_name: &str, flux: &str) -> Result<TaskView> {
        let file = self.find(id_or_name)?.definition.file;
        self.check_script(&file, flux)?;
        write(self.directory(), &file, flux)?;
        self.load().await?;
        self.of_file(&file)
    }

    /// Deletes the file of a task, and with it the task.
    ///
    /// Errors: `NotFound`.
    pub async fn delete(&self, id_or_name: &str) -> Result<()> {
        let file = self.find(id_or_name)?.definition.file;
        std::fs::remove_file(self.directory().join(&file))?;
        self.load().await?;
        Ok(())
    }

    /// The name in a script's option.
    fn check_script(&self, path: &str, flux: &str) -> Result<String> {
        if let Some(problem) = self.loader().problem_of(path, flux) {
            return Err(Error::invalid(format!("invalid options: {problem}")));
        }
        let parsed = syntax::parse(flux);
        let option = crate::flux::task_option::task_option(&parsed.file);
        option.map(|(option, _)| option.name).map_err(|_| Error::internal("a checked script has no option"))
    }

    fn of_file(&self, file: &str) -> Result<TaskView> {
        let found = self.list().into_iter().find(|view| view.file == file);
        found.ok_or_else(|| Error::internal(format!("the file {file} makes no task")))
    }
}

/// Writes a file as a whole, or not at all.
fn write(directory: &Path, file: &str, text: &str) -> Result<()> {
    let path = directory.join(file);
    let folder = path.parent().unwrap_or(directory);
    // The loader passes over names that begin with a point.
    let mut whole = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
    whole.write_all(text.as_bytes())?;
    #[cfg(unix)]
    whole.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    whole.as_file().sync_all()?;
    whole.persist(&path).map_err(|error| Error::from(error.error))?;
    Ok(())
}
