//! `cleave assess table`: why a table is where it is.

use super::wishes::{WishArgs, assess, table};
use crate::context::Context;
use crate::failure::Failure;
use cleave_api::{ExitCode, NextStep, Output, Problem, Risk};
use cleave_engine::table_report;

/// Show what ties a table to others, and so to the service that is proposed for it
///
/// Finds services as `assess services` does, and prints the table's place, how sure it is, what pulls it elsewhere, and every
/// tie to another table by its weight. Changes nothing.
#[derive(Debug, clap::Args)]
pub struct TableArgs {
    /// The table: name or schema.name
    #[arg(value_name = "TABLE")]
    pub table: String,

    /// How services are sought.
    #[command(flatten)]
    pub wishes: WishArgs,
}

/// Runs the verb.
pub async fn run(arguments: TableArgs, context: &Context) -> Result<ExitCode, Failure> {
    let name = table(&arguments.table)?;
    let assessed = assess(&arguments.wishes, context).await?;
    let found = assessed.looked.recommend(&assessed.wishes)?;
    let Some(report) = table_report(&found, arguments.wishes.alternative.grain(), &name) else {
        let aside = found.aside.iter().find(|aside| aside.table == name);
        let message = match aside {
            Some(aside) => format!("table {name} is not placed: {}", aside.reason.as_str()),
            None => format!("there is no table {name} to place"),
        };
        return Err(Problem::error("C1020", message)
            .hint("partitions go with their table; views have no place of their own")
            .exit(ExitCode::Usage)
            .into());
    };
    let why = "moves it: --must-link or --cannot-link with another table";
    let next = arguments
        .wishes
        .database
        .is_none()
        .then(|| NextStep::cleave(["assess", "services"], why, Risk::Read));
    context
        .output
        .report(Output::new(report).with_problems(assessed.looked.problems).with_next(next), None)?;
    Ok(ExitCode::Done)
}
