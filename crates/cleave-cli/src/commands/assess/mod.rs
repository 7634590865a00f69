//! `cleave assess`: what the database says about being taken apart.

mod boundary;
mod html;
mod overview;
mod page;
pub mod services;
pub mod table;
pub mod wishes;

use crate::cli::WorkloadSources;
use crate::context::Context;
use crate::failure::Failure;
use cleave_api::ExitCode;
use std::path::PathBuf;

/// Say whether a database is ready to be taken apart, and how large it is
///
/// Looks at the whole database as the source of moves, and at its server: what blocks a move, what wants a look first, what
/// is worth knowing, each with the objects that have it; how many tables, keys, functions and rows there are. `-v` shows
/// why each finding matters and what fixes it. Needs no cleave.toml if a URL is given. Changes nothing. With --html it writes
/// one page with all that: findings, services, pictures, what crosses and every table.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct AssessArgs {
    /// A closer look
    #[command(subcommand)]
    pub part: Option<AssessPart>,

    /// The database to look at: a name in cleave.toml, or a URL, with which no configuration file is needed
    #[arg(long, value_name = "NAME|URL")]
    pub database: Option<String>,

    /// Write a page to this file instead: it needs nothing from elsewhere, can be searched, printed, and read on a phone
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,

    /// Where the page's statements and transactions are read from
    #[command(flatten)]
    pub workload: WorkloadSources,
}

/// Parts of an assessment.
#[derive(Debug, clap::Subcommand)]
pub enum AssessPart {
    #[expect(missing_docs, reason = "the arguments' doc comment is the manual")]
    Boundary(boundary::BoundaryArgs),
    #[expect(missing_docs, reason = "the arguments' doc comment is the manual")]
    Services(services::ServicesArgs),
    #[expect(missing_docs, reason = "the arguments' doc comment is the manual")]
    Table(table::TableArgs),
}

/// Runs the verb.
pub async fn run(arguments: AssessArgs, context: &Context) -> Result<ExitCode, Failure> {
    match (arguments.part, &arguments.html) {
        (Some(AssessPart::Boundary(arguments)), _) => boundary::run(arguments, context).await,
        (Some(AssessPart::Services(arguments)), _) => services::run(arguments, context).await,
        (Some(AssessPart::Table(arguments)), _) => table::run(arguments, context).await,
        (None, Some(html)) => {
            html::run(html, arguments.database.as_deref(), &arguments.workload, context).await
        }
        (None, None) => overview::run(arguments.database.as_deref(), context).await,
    }
}
