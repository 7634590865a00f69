//! The reference page of the command line, made from the grammar itself.

use crate::cli::Cli;
use clap::{Arg, Command, CommandFactory as _};
use cleave_api::ExitCode;
use std::fmt::Write as _;

const HEAD: &str = "\
<!-- Made from the doc comments in crates/cleave-cli. To renew it: UPDATE=1 cargo test -p cleave-cli reference -->
# cleave on the command line
";

/// The page in Markdown; `docs/reference/cli.md` is this text.
pub fn reference_page() -> String {
    let mut root = Cli::command();
    root.build();
    let mut page = HEAD.to_owned();
    // Writing to a String cannot fail.
    let _ = write!(page, "\n## Global options\n\n{}", arguments(&root, true));
    for verb in root.get_subcommands().filter(|verb| verb.get_name() != "help") {
        write_verb(verb, &mut page);
    }
    page.push_str("\n## Exit codes\n\n| code | meaning |\n| --- | --- |\n");
    for exit in ExitCode::ALL {
        let _ = writeln!(page, "| {} | {} |", exit.code(), exit.meaning());
    }
    page
}

fn write_verb(verb: &Command, page: &mut String) {
    if verb.has_subcommands() {
        if !verb.is_subcommand_required_set() {
            write_manual(verb, page);
        }
        let parts = verb.get_subcommands().filter(|part| part.get_name() != "help");
        return parts.for_each(|part| write_verb(part, page));
    }
    write_manual(verb, page);
}

fn write_manual(verb: &Command, page: &mut String) {
    let usage = verb.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").trim();
    let name = verb.get_bin_name().unwrap_or_else(|| verb.get_name());
    let manual = verb.get_long_about().or(verb.get_about()).map(ToString::to_string).unwrap_or_default();
    let _ = writeln!(page, "\n## {name}\n\n    {usage}\n\n{}", manual.trim_end());
    let own = arguments(verb, false);
    if !own.is_empty() {
        let _ = write!(page, "\n{own}");
    }
}

/// A list of the global arguments of a command, or of its own.
fn arguments(command: &Command, global: bool) -> String {
    let own = |arg: &&Arg| {
        arg.is_global_set() == global
            && !matches!(arg.get_id().as_str(), "help" | "version")
            && !arg.is_hide_set()
    };
    let mut list = String::new();
    for arg in command.get_arguments().filter(own) {
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(list, "- `{}`: {help}{}", spelling(arg), choices(arg));
    }
    list
}

/// `-C, --config <FILE>`, or `<SERVICE>`.
fn spelling(arg: &Arg) -> String {
    let value = arg.get_value_names().filter(|_| arg.get_action().takes_values());
    let value = value.and_then(|names| names.first()).map(|name| format!("<{name}>"));
    let short = arg.get_short().map(|short| format!("-{short}"));
    let long = arg.get_long().map(|long| format!("--{long}"));
    let flags: Vec<String> = [short, long].into_iter().flatten().collect();
    let words: Vec<String> = [flags.join(", ")].into_iter().filter(|f| !f.is_empty()).chain(value).collect();
    words.join(" ")
}

fn choices(arg: &Arg) -> String {
    let mut text = String::new();
    if arg.get_action().takes_values() {
        let possible: Vec<String> =
            arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
        if !possible.is_empty() {
            let _ = write!(text, "; {}", possible.join(", "));
        }
        if let Some(default) = arg.get_default_values().first() {
            let _ = write!(text, " (default `{}`)", default.to_string_lossy());
        }
    }
    text
}
