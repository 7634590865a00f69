//! Running the tests: the quick whole (`cargo xtask test`) and the resumable matrix (`cargo xtask test-full`).
//!
//! A test that cannot run where it is (its input is not there) appends one line, `its name: the reason`, to the file
//! named by the environment's `CLEAVE_SKIPPED_FILE` and returns. Cargo counts it as passed; these tasks do not.

mod binaries;
mod full;
mod inputs;
mod quick;
mod record;
mod skipped;
mod stream;
mod tally;

pub(crate) use full::full;
pub(crate) use quick::quick;
