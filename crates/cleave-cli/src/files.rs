//! Files that verbs write: plans, differences, a first configuration.

use crate::failure::Failure;
use cleave_api::Problem;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

/// Writes a file, over what was there.
///
/// # Errors
/// C0910 with the system's reason.
pub fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| unwritable(path, &error))
}

/// Writes a file that must not be there yet.
///
/// # Errors
/// C0910 with the system's reason; it has appeared in the meantime is one.
pub fn create(path: &Path, text: &str) -> Result<(), Failure> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| unwritable(path, &error))
}

/// C0910.
pub fn unwritable(path: &Path, error: &dyn std::error::Error) -> Failure {
    let problem = Problem::error("C0910", format!("the file {} cannot be written", path.display()));
    problem.caused_by(Some(error)).into()
}
