//! The file of `verify -o`: every difference, a JSON line each, written as it is found, so that memory does not depend
//! on their number.

use crate::failure::Failure;
use crate::files::unwritable;
use cleave_api::Difference;
use cleave_engine::FoundDifference;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A file that is being written.
pub struct DifferenceFile {
    path: PathBuf,
    lines: Arc<Mutex<Lines>>,
}

struct Lines {
    file: BufWriter<File>,
    count: u64,
    /// The first failure; nothing is written after it.
    failed: Option<io::Error>,
}

impl DifferenceFile {
    /// Begins the file, over what was there.
    ///
    /// # Errors
    /// C0910 with the system's reason.
    pub fn create(path: &Path) -> Result<Self, Failure> {
        let file = File::create(path).map_err(|error| unwritable(path, &error))?;
        let lines = Lines { file: BufWriter::new(file), count: 0, failed: None };
        Ok(Self { path: path.to_owned(), lines: Arc::new(Mutex::new(lines)) })
    }

    /// Takes differences as they are found.
    pub fn found(&self) -> FoundDifference {
        let lines = Arc::clone(&self.lines);
        Arc::new(move |difference| lines.lock().unwrap_or_else(PoisonError::into_inner).add(difference))
    }

    /// Ends the file and says how many rows are in it. `kept` is what the report has: if another engine has compared,
    /// nothing else was told.
    ///
    /// # Errors
    /// C0910 with the system's reason.
    pub fn finish(self, kept: &[Difference]) -> Result<u64, Failure> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.count == 0 {
            kept.iter().for_each(|difference| lines.add(difference));
        }
        let failed = lines.failed.take().or_else(|| lines.file.flush().err());
        failed.map_or(Ok(lines.count), |error| Err(unwritable(&self.path, &error)))
    }
}

impl Lines {
    fn add(&mut self, difference: &Difference) {
        if self.failed.is_some() {
            return;
        }
        self.count += 1;
        let line = serde_json::to_string(difference).map_err(io::Error::from);
        if let Err(error) = line.and_then(|line| writeln!(self.file, "{line}")) {
            self.failed = Some(error);
        }
    }
}
