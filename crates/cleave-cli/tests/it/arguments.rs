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

/// A verb's arguments as a command of their own.
fn parses<A: clap::Args>(arguments: &[&str]) -> bool {
    let command = A::augment_args(clap::Command::new("verb").no_binary_name(true));
    command.clone().debug_assert();
    assert!(command.get_about().is_some(), "the arguments' doc comment is the manual");
    command.try_get_matches_from(arguments).is_ok()
}

#[test]
fn arguments_of_verbs_on_services_take_what_the_manual_says() {
    use cleave_cli::commands::*;
    assert!(parses::<init::InitArgs>(&["env:MONOLITH_URL", "--force"]));
    assert!(!parses::<init::InitArgs>(&[]));
    assert!(parses::<doctor::DoctorArgs>(&["films", "stores"]));
    assert!(parses::<assess::AssessArgs>(&["--database", "monolith"]));
    assert!(parses::<assess::AssessArgs>(&["boundary", "films"]) && parses::<assess::AssessArgs>(&[]));
    assert!(!parses::<assess::AssessArgs>(&["--database", "monolith", "boundary"]));
    assert!(parses::<graph::GraphArgs>(&["--service", "films", "--as", "dot", "-o", "films.dot"]));
    assert!(!parses::<graph::GraphArgs>(&["--as", "png"]));
    assert!(parses::<assess::AssessArgs>(&["--html", "report.html", "--database", "env:MONOLITH_URL"]));
    assert!(parses::<plan::PlanArgs>(&["films", "-o", "films.plan", "--detailed-exit-code"]));
    assert!(!parses::<plan::PlanArgs>(&["--sql", "--full"]));
    assert!(parses::<apply::ApplyArgs>(&["films.plan", "--until", "following", "--dry-run"]));
    assert!(!parses::<apply::ApplyArgs>(&["--until", "switched"]));
    assert!(parses::<apply::ApplyArgs>(&["films", "--max-rate", "50MB"]));
    assert!(!parses::<apply::ApplyArgs>(&["films", "--max-rate", "fast"]));
    assert!(parses::<run::RunArgs>(&[]) && parses::<history::HistoryArgs>(&[]));
    assert!(parses::<status::StatusArgs>(&["--watch"]));
    assert!(
        parses::<verify::VerifyArgs>(&["films", "-o", "differences.jsonl"])
            && parses::<verify::VerifyArgs>(&[])
            && parses::<verify::VerifyArgs>(&[
                "--source", "env:A", "--target", "env:B", "--tables", "a.b", "a.*"
            ])
    );
    assert!(
        parses::<cutover::CutoverArgs>(&["films", "--dry-run"])
            && parses::<cutover::CutoverArgs>(&[
                "films",
                "stores",
                "--warm-up",
                "30s",
                "--accept-less-protection"
            ])
            && !parses::<cutover::CutoverArgs>(&["films", "--warm-up", "soon"])
    );
    assert!(parses::<rollback::RollbackArgs>(&["films"]) && parses::<complete::CompleteArgs>(&["films"]));
    assert!(parses::<cancel::CancelArgs>(&["films"]) && parses::<pause::PauseArgs>(&["films"]));
    assert!(parses::<resume::ResumeArgs>(&["films"]));
    assert!(
        parses::<demo::DemoArgs>(&["--rounds", "1", "--keep"])
            && !parses::<demo::DemoArgs>(&["--rounds", "0"])
    );
}

#[test]
fn the_reference_page_is_current() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/cli.md");
    let page = cleave_cli::reference::reference_page();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let current = std::fs::read_to_string(&path).unwrap();
    assert!(current == page, "renew it with UPDATE=1 cargo test -p cleave-cli reference");
}
