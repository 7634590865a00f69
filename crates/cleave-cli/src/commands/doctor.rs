//! `cleave doctor`: is everything ready for a move.

use crate::context::Context;
use crate::failure::Failure;
use crate::work::Work;
use cleave_api::{ExitCode, NextStep, Output, Risk, Severity};
use cleave_config::ServiceName;
use cleave_model::Ident;

/// Check servers, rights and tables, and show how to mend what is not ready
///
/// Looks at settings, free slots, senders, origins and connections, rights on both sides, keys and replica identity of
/// the chosen tables, long and prepared transactions, versions and standbys, and tries a real replication connection.
/// Each finding says what was seen, why it matters, and the SQL or setting that fixes it. Changes nothing. Exits with 4
/// if a move could not be begun.
#[derive(Debug, clap::Args)]
pub struct DoctorArgs {
    /// Look at these services only
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,

    /// Print instead the SQL that a superuser runs once, so that the roles of the URLs have the rights they need
    #[arg(long)]
    pub script: bool,

    /// Write the script for this role instead of those of the URLs
    #[arg(long, value_name = "ROLE", requires = "script")]
    pub role: Option<String>,
}

/// Runs the verb.
pub async fn run(arguments: DoctorArgs, context: &Context) -> Result<ExitCode, Failure> {
    let work = Work::begin(context)?;
    let services = work.services(&arguments.services)?;
    let chosen = (!arguments.services.is_empty()).then_some(services.as_slice());
    if arguments.script {
        return script(&work, chosen, arguments.role.as_deref(), context).await;
    }
    let report = cleave_engine::doctor(&work.topology, chosen, &work.events).await?;
    let errors: Vec<&str> = report
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| finding.code.as_str())
        .collect();
    let (next, exit) = match errors.first() {
        Some(code) => (
            NextStep::cleave(["explain", code], "why it matters, with an example and the fix", Risk::Read),
            ExitCode::Refused,
        ),
        None => (NextStep::cleave(["plan"], "shows what the move will do", Risk::Read), ExitCode::Done),
    };
    context.output.report(Output::new(report).with_next([next]), None)?;
    Ok(exit)
}

async fn script(
    work: &Work,
    services: Option<&[ServiceName]>,
    role: Option<&str>,
    context: &Context,
) -> Result<ExitCode, Failure> {
    let role = role.map(Ident::new);
    let scripts = cleave_engine::privilege_scripts(&work.topology, services, role.as_ref()).await?;
    let texts: Vec<String> = scripts
        .iter()
        .map(|(database, text)| {
            format!("-- Database {database} of cleave.toml: run by a superuser, connected to it.\n{text}\n")
        })
        .collect();
    context.output.data(&texts.join("\n"))?;
    Ok(ExitCode::Done)
}
