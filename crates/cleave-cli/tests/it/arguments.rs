//! The grammar.

use crate::runner::Runner;
use clap::CommandFactory as _;

#[test]
fn the_grammar_is_consistent() {
    cleave_cli::cli::Cli::command().debug_assert();
}

#[test]
fn an_unknown_verb_is_a_usage_error_with_the_nearest_one() {
    insta::assert_snapshot!(Runner::new().run(&["explian"]));
}

#[test]
fn help_of_a_verb_is_its_manual() {
    insta::assert_snapshot!(Runner::new().run(&["explain", "--help"]));
}

#[test]
fn every_verb_has_a_one_line_description() {
    let mut left = vec![cleave_cli::cli::Cli::command()];
    while let Some(command) = left.pop() {
        assert!(command.get_about().is_some(), "{}", command.get_name());
        left.extend(command.get_subcommands().cloned());
    }
}
