//! The file in which tests say that they could not run here, and why.

use std::path::PathBuf;
use std::process::Command;

use crate::command::root;
use crate::error::Error;

/// The name of the environment variable that tests read.
pub(crate) const VARIABLE: &str = "CLEAVE_SKIPPED_FILE";

/// A file that stands empty before the tests run and is read afterwards.
#[derive(Debug)]
pub(crate) struct Skipped {
    path: PathBuf,
}

impl Skipped {
    /// Empties the file of this process; two runs at the same time do not share one.
    pub(crate) fn start() -> Result<Skipped, Error> {
        let folder = root().join("target").join("skipped");
        std::fs::create_dir_all(&folder).map_err(Error::file("create", &folder))?;
        let path = folder.join(format!("{}.txt", std::process::id()));
        std::fs::write(&path, "").map_err(Error::file("write", &path))?;
        Ok(Skipped { path })
    }

    /// Tells the tests of a command where to write.
    pub(crate) fn tell(&self, command: &mut Command) {
        command.env(VARIABLE, &self.path);
    }

    /// What the tests wrote, a line each; the file is gone afterwards.
    pub(crate) fn finish(self) -> Result<Vec<String>, Error> {
        let text = std::fs::read_to_string(&self.path).map_err(Error::file("read", &self.path))?;
        std::fs::remove_file(&self.path).map_err(Error::file("remove", &self.path))?;
        Ok(text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect())
    }
}
