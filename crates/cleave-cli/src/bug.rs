//! A panic is a bug in Cleave: it is reported as one, and the process exits with 70 after cleaning up.

use cleave_api::ExitCode;
use std::io::Write as _;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};

static PANICKED: AtomicBool = AtomicBool::new(false);

/// Replaces the panic message. The panic's own text is shown only with `RUST_BACKTRACE`, as it may hold values.
pub fn install_hook() {
    let default = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        PANICKED.store(true, Ordering::SeqCst);
        if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
            default(info);
        }
        let place = info.location().map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
        // There is no one left to tell if standard error is gone.
        let _ = writeln!(
            std::io::stderr(),
            "error[C0906]: Cleave met a bug in itself{place}\n  \
             hint: databases are safe to leave as they are; run the same command again to go on from the journal"
        );
    }));
}

/// Runs the program; a panic in it, or in any of its threads, becomes exit code 70.
pub fn guard(program: impl FnOnce() -> ExitCode) -> ExitCode {
    let exit = panic::catch_unwind(AssertUnwindSafe(program));
    match exit {
        Ok(exit) if !PANICKED.load(Ordering::SeqCst) => exit,
        _ => ExitCode::Bug,
    }
}
