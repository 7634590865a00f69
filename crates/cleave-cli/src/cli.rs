//! The grammar of the command line: global flags and the list of verbs.

use crate::commands::Command;
use clap::{Parser, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// Takes a PostgreSQL monolith's database apart into databases that services own, live, verified and reversibly
#[derive(Debug, Parser)]
#[command(name = "cleave", version, max_term_width = 100, propagate_version = true, after_help = AFTER_HELP)]
pub struct Cli {
    /// What every verb takes.
    #[command(flatten)]
    pub globals: Globals,
    /// The verb.
    #[command(subcommand)]
    pub command: Command,
}

/// The configuration file where none is named.
pub const DEFAULT_CONFIG: &str = "cleave.toml";

const AFTER_HELP: &str = "\
Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 plan has changes (--detailed-exit-code),
4 a gate refused and nothing changed, 5 differences found, 6 a switch undid itself, 7 drift,
8 another operator holds the lease, 70 a bug in Cleave, 130 interrupted.";

/// Flags of every verb.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Globals {
    /// The configuration file
    #[arg(short = 'C', long = "config", value_name = "FILE", global = true, default_value = DEFAULT_CONFIG)]
    pub config: PathBuf,

    /// How to print: for people, one JSON document, or JSON lines with every event
    #[arg(long, value_enum, value_name = "FORMAT", global = true, default_value_t = Format::Human)]
    pub format: Format,

    /// Print data and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Print more; twice for even more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// When to use colour; NO_COLOR is respected
    #[arg(long, value_enum, value_name = "WHEN", global = true, default_value_t = Color::Auto)]
    pub color: Color,

    /// Show no progress bars
    #[arg(long, global = true)]
    pub no_progress: bool,

    /// Do not ask; needed where standard input is no terminal
    #[arg(long, global = true)]
    pub yes: bool,

    /// Why this is done; written into the journal
    #[arg(long, value_name = "TEXT", global = true)]
    pub reason: Option<String>,
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Text for people
    Human,
    /// One JSON document at the end
    Json,
    /// A JSON line per event, then the document as the last line
    Jsonl,
    /// A part of cleave.toml, where a verb has one to give: assess services
    Toml,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The flags of `cutover` and `rollback`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct SwitchManner {
    #[expect(missing_docs, reason = "its own flag says it")]
    #[command(flatten)]
    pub rehearsal: Rehearsal,

    /// End sessions that keep the switch from its locks once both have lasted this long, such as `5s`. Their transactions
    /// are rolled back, and their applications are told; without this nobody is ended
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub terminate_blockers_after: Option<Duration>,

    /// Read tables and indexes of the new home before the switch, for at most this long, such as `30s`, instead of
    /// `limits.warm_up`. Nobody waits for it
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub warm_up: Option<Duration>,

    /// Switch although the new home has fewer standbys or backups than the old one (C0732)
    #[arg(long)]
    pub accept_less_protection: bool,
}

/// Where a verb reads what applications do.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "What applications do")]
pub struct WorkloadSources {
    /// Read statements and transactions from a log file of the server: csvlog, jsonlog or stderr. May be given several
    /// times. `pg_stat_statements` is read where it is installed
    #[arg(long = "workload", value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// What stands before each line of these files, where that is not the server's present log_line_prefix
    #[arg(long, value_name = "TEXT", requires = "files", allow_hyphen_values = true)]
    pub log_line_prefix: Option<String>,

    /// Look for so long at which tables are written in one transaction, such as `10m`. Needs wal_level = logical, and
    /// publishes nothing
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub listen: Option<Duration>,
}

impl WorkloadSources {
    /// As the engine takes them.
    pub fn options(&self) -> cleave_engine::WorkloadOptions {
        cleave_engine::WorkloadOptions {
            statements: true,
            files: self.files.clone(),
            log_line_prefix: self.log_line_prefix.clone(),
            listen: self.listen,
        }
    }

    /// True if the user has named a source.
    pub fn is_asked_for(&self) -> bool {
        !self.files.is_empty() || self.listen.is_some()
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    cleave_config::parse_duration(text).map_err(|error| error.to_string())
}

/// The flag of every verb that changes something.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Rehearsal {
    /// Check everything and say what would be done; change nothing
    #[arg(long)]
    pub dry_run: bool,
}
