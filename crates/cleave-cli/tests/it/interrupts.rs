//! Ctrl-C through the listener, as a verb sees it.

use clap::Parser as _;
use cleave_cli::{cli::Cli, interrupt::Interrupt, output::Output};
use std::process::Command;

#[test]
fn the_first_signal_asks_and_the_second_insists() {
    let cli = Cli::try_parse_from(["cleave", "-q", "explain"]).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut interrupt = Interrupt::listen(Output::new(&cli.globals));
        // The listener is ready once it has taken the place of the default action, which would end the test.
        interrupt.ready().await;
        assert!(!interrupt.is_asked());
        terminate_self();
        interrupt.asked().await;
        terminate_self();
        interrupt.insisted().await;
    });
}

fn terminate_self() {
    let sent = Command::new("kill").args(["-TERM", &std::process::id().to_string()]).status().unwrap();
    assert!(sent.success());
}
