//! What a package brings beside the program.

use crate::runner::Runner;
use clap::CommandFactory as _;

fn verbs() -> Vec<String> {
    let command = cleave_cli::cli::Cli::command();
    command.get_subcommands().map(|verb| verb.get_name().to_owned()).collect()
}

#[test]
fn every_shell_is_told_every_verb() {
    let runner = Runner::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = runner.command(&["completions", shell]).output().unwrap();
        assert!(output.status.success());
        let script = String::from_utf8(output.stdout).unwrap();
        for verb in verbs() {
            assert!(script.contains(&verb), "{shell} does not know {verb}");
        }
    }
}

#[test]
fn every_verb_has_a_manual_page_of_its_own() {
    let runner = Runner::new();
    let written = runner.run(&["manual", "."]);
    assert!(written.starts_with("exit: 0"), "{written}");
    for verb in verbs() {
        let page = std::fs::read_to_string(runner.path().join(format!("cleave-{verb}.1"))).unwrap();
        assert!(page.contains(".TH") && page.contains(".SH DESCRIPTION"), "{verb}: {page}");
    }
    assert!(runner.run(&["manual", "no/such/folder"]).contains("C0910"));
}
