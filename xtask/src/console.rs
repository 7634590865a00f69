//! The one place that writes to the terminal: results on standard output, the course of things on standard error.

use std::fmt::Display;
use std::io::Write;

use crate::error::Error;

/// Writes one line of result to standard output.
pub(crate) fn say(line: impl Display) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(Error::Console)
}

/// Writes one line about what is being done to standard error. A closed terminal is no reason to stop.
pub(crate) fn note(line: impl Display) {
    let mut out = std::io::stderr().lock();
    drop(writeln!(out, "{line}"));
}

/// Prints an error with all its causes, the outermost first.
pub(crate) fn fail(error: &dyn std::error::Error) {
    note(format_args!("error: {error}"));
    let mut cause = error.source();
    while let Some(error) = cause {
        note(format_args!("  because: {error}"));
        cause = error.source();
    }
}
