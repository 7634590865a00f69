//! `cleave doctor`: is everything ready for a move.

use crate::context::Context;
use crate::failure::Failure;
use crate::work::Work;
use cleave_api::{ExitCode, NextStep, Output, Risk, Severity};
use cleave_config::ServiceName;
use cleave_model::{DatabaseName, Ident};

/// Check servers, rights and tables, and show how to mend what is not ready
///
/// Looks at settings, free slots, senders, origins and connections, rights on both sides, the chosen tables and what
/// hangs on them, transactions, versions and standbys, what differs between the two sides, and tries a real replication
/// connection. Each finding says what was seen, why it matters, and the SQL or setting that fixes it; `docs/reference`
/// lists them all. Changes nothing. Exits with 4 if a move could not be begun.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct DoctorArgs {
    #[expect(missing_docs, reason = "each says it")]
    #[command(subcommand)]
    pub subject: Option<Subject>,

    /// Look at these services only, or at these databases of cleave.toml; a name that is both is the service
    #[arg(value_name = "SERVICE|DATABASE")]
    pub names: Vec<String>,

    /// Print instead the SQL that a superuser runs once, so that the roles of the URLs have the rights they need
    #[arg(long)]
    pub script: bool,

    /// Write the script for this role instead of those of the URLs
    #[arg(long, value_name = "ROLE", requires = "script")]
    pub role: Option<String>,
}

/// What else can be looked at.
#[derive(Debug, clap::Subcommand)]
pub enum Subject {
    /// Try what the role of each service could do with the others' tables
    ///
    /// As each `owner` and `reader` it asks for every privilege on every table, view and sequence of every other service in
    /// the database, and looks for ways around: roles that can become another, views and SECURITY DEFINER functions that
    /// run with their owner's rights. Changes nothing. Exits with 4 if something is open.
    Isolation {
        /// Look at the databases of these services only
        #[arg(value_name = "SERVICE")]
        services: Vec<String>,
    },
}

/// Runs the verb.
pub async fn run(arguments: DoctorArgs, context: &Context) -> Result<ExitCode, Failure> {
    let work = Work::begin(context)?;
    if let Some(Subject::Isolation { services }) = &arguments.subject {
        return isolation(&work, services, context).await;
    }
    let (services, databases) = sorted(&work, &arguments.names)?;
    let chosen = (!services.is_empty()).then_some(services.as_slice());
    if arguments.script {
        return script(&work, chosen, arguments.role.as_deref(), context).await;
    }
    let at = (!databases.is_empty()).then_some(databases.as_slice());
    let report = cleave_engine::doctor_at(&work.topology, chosen, at, &work.events).await?;
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

/// Services and databases among the names.
fn sorted(work: &Work, names: &[String]) -> Result<(Vec<ServiceName>, Vec<DatabaseName>), Failure> {
    let (mut services, mut databases) = (Vec::new(), Vec::new());
    let config = &work.loaded.config;
    for name in names {
        let database = config.databases.iter().find(|database| database.name.as_str() == name);
        match database.filter(|_| config.service(name).is_none()) {
            Some(database) => databases.push(database.name.clone()),
            None => services.push(work.service(Some(name))?.name.clone()),
        }
    }
    Ok((services, databases))
}

/// Which role could touch what is another service's.
async fn isolation(work: &Work, named: &[String], context: &Context) -> Result<ExitCode, Failure> {
    let services = work.services(named)?;
    let chosen = (!named.is_empty()).then_some(services.as_slice());
    let report = cleave_engine::isolation(&work.topology, chosen, &work.events).await?;
    let open = report.findings.iter().find(|finding| finding.severity == Severity::Error);
    let (next, exit) = match open {
        Some(finding) => {
            let why = "why it matters, with an example and the fix";
            (NextStep::cleave(["explain", &finding.code], why, Risk::Read), ExitCode::Refused)
        }
        None => (NextStep::cleave(["status"], "where every service stands", Risk::Read), ExitCode::Done),
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
