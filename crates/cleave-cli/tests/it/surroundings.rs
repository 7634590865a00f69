//! What stands around verbs: panics and closed pipes.

use crate::runner::Runner;
use cleave_api::ExitCode;
use cleave_cli::bug;
use std::process::Stdio;

#[test]
fn a_panic_becomes_exit_code_70() {
    bug::install_hook();
    let exit = bug::guard(|| panic!("of a test"));
    // Other tests of this process report their failures in the usual way.
    drop(std::panic::take_hook());
    assert_eq!(exit, ExitCode::Bug);
}

#[test]
fn a_reader_that_closes_the_pipe_early_is_no_error() {
    let mut child = Runner::new()
        .command(&["config", "schema"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}
