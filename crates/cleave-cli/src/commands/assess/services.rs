//! `cleave assess services`: which services the tables could be.

use super::wishes::{Assessed, WishArgs, assess};
use crate::cli::Format;
use crate::context::Context;
use crate::failure::Failure;
use crate::files;
use cleave_api::{ExitCode, NextStep, Output, Risk};
use cleave_engine::{services_report, services_toml};
use std::path::PathBuf;

/// Propose services for a database's tables, with reasons and with what each way to cut would cost
///
/// Weighs everything that ties two tables: keys, keys that nobody declared, statements and transactions, views, functions,
/// triggers, names, schemas, owners and comments. Finds groups many times over weights changed by chance, and keeps what
/// the runs agree on, with a confidence for each table. Services of cleave.toml are taken as decided. Changes nothing; reads
/// samples of rows only to try columns that may be keys. --format toml prints the services for cleave.toml.
#[derive(Debug, clap::Args)]
pub struct ServicesArgs {
    /// How services are sought.
    #[command(flatten)]
    pub wishes: WishArgs,

    /// The database that the services shall live in, for --format toml and -o: a name in cleave.toml
    #[arg(long, value_name = "NAME")]
    pub home: Option<String>,

    /// Write the services to a file, as `[services.*]` for cleave.toml
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// The home where none is named and cleave.toml has no second database.
const NEW_HOME: &str = "new_home";

/// Runs the verb.
pub async fn run(arguments: ServicesArgs, context: &Context) -> Result<ExitCode, Failure> {
    let assessed = assess(&arguments.wishes, context).await?;
    let found = assessed.looked.recommend(&assessed.wishes)?;
    let grain = arguments.wishes.alternative.grain();
    let toml = services_toml(&found, grain, assessed.config.as_ref(), &home(&arguments, &assessed));
    if let Some(path) = &arguments.output {
        files::write(path, &toml)?;
    } else if context.globals.format == Format::Toml {
        context.output.data(&toml)?;
        return Ok(ExitCode::Done);
    }
    let report = services_report(&assessed.looked, &found, &assessed.wishes, grain);
    let unsure = report
        .alternatives
        .iter()
        .find(|alternative| alternative.grain == report.shown)
        .and_then(|alternative| alternative.unsure.first())
        .map(|unsure| unsure.table.clone());
    let next = next(&arguments, unsure);
    context
        .output
        .report(Output::new(report).with_problems(assessed.looked.problems).with_next(next), None)?;
    Ok(ExitCode::Done)
}

fn home(arguments: &ServicesArgs, assessed: &Assessed) -> String {
    let second = || assessed.config.as_ref().and_then(|config| config.databases.get(1));
    let named = arguments.home.clone().or_else(|| second().map(|database| database.name.to_string()));
    named.unwrap_or_else(|| NEW_HOME.to_owned())
}

fn next(arguments: &ServicesArgs, unsure: Option<String>) -> Vec<NextStep> {
    let database = arguments.wishes.database.as_deref();
    // A password belongs into no line that is shown.
    let shown = database.filter(|text| !text.contains("://"));
    let with = |mut words: Vec<String>| {
        words.extend(shown.iter().flat_map(|text| ["--database".to_owned(), (*text).to_owned()]));
        words
    };
    if database.is_some() && shown.is_none() {
        return Vec::new();
    }
    let mut steps = Vec::new();
    if let Some(table) = unsure {
        let words = with(vec!["assess".into(), "table".into(), table]);
        let why = "shows what pulls at the table that is least sure";
        steps.push(NextStep::cleave(words.iter().map(String::as_str), why, Risk::Read));
    }
    if arguments.output.is_none() {
        let words = with(vec!["assess".into(), "services".into(), "--format".into(), "toml".into()]);
        let why = "prints them for cleave.toml; then plan";
        steps.push(NextStep::cleave(words.iter().map(String::as_str), why, Risk::Read));
    }
    steps
}
