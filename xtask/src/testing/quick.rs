//! `cargo xtask test`: every test of the workspace in its quick form; the last line of output is the sums.

use std::process::ExitCode;

use super::inputs::Inputs;
use super::stream::{stream, summarise};
use crate::command::{cargo, run};
use crate::console::note;
use crate::error::Error;

/// Builds quietly, then runs everything, failures included, to the end.
pub(crate) fn quick() -> Result<ExitCode, Error> {
    let inputs = Inputs::find()?;
    note("Building the tests");
    run(cargo(&["test", "--workspace", "--quiet", "--no-run"]))?;
    note("Running the tests");
    let outcome = stream(cargo(&["test", "--workspace", "--no-fail-fast"]), &inputs)?;
    summarise(&outcome)?;
    Ok(if outcome.tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
