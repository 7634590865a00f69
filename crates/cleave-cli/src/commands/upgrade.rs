//! `cleave upgrade`: a whole database to another server, up to the point where a person decides.

use crate::change;
use crate::cli::Rehearsal;
use crate::context::Context;
use crate::failure::Failure;
use crate::work::{Work, settled, unknown_answer};
use crate::{files, next, plan_report};
use cleave_api::{
    DoctorReport, ExitCode, NextStep, Output, Problem, Risk, ServiceState, Severity, VerificationState,
};
use cleave_config::Service;
use cleave_engine::Answer;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Take a whole database to a new server or version, ready for `cleave cutover`
///
/// Does in turn what `doctor`, `plan`, `apply` and `verify` do for the `[upgrade]` of the configuration: checks both servers, carries
/// roles and schema (by `pg_dump`), copies all rows, follows changes, and compares every row. Nothing that applications see changes.
/// Then it keeps the new server current until it is stopped, while `cleave cutover upgrade` is given from another shell; `rollback`,
/// `complete` and `cancel` take the name `upgrade` too. Run again, it goes on where it was.
#[derive(Debug, clap::Args)]
pub struct UpgradeArgs {
    /// The database to upgrade, as env:NAME, file:PATH, cmd:COMMAND or a URL; writes a configuration with it
    #[arg(long, value_name = "URL", requires = "to")]
    pub from: Option<String>,

    /// The empty database on the new server
    #[arg(long, value_name = "URL", requires = "from")]
    pub to: Option<String>,

    /// Stop once this is reached, instead of following until stopped
    #[arg(long, value_enum, value_name = "STATE")]
    pub until: Option<Until>,

    #[expect(missing_docs, reason = "its own flag says it")]
    #[command(flatten)]
    pub rehearsal: Rehearsal,
}

/// Where `upgrade` may stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Until {
    /// Every row is compared; the slot keeps log on the old server from then on
    Verified,
}

/// Runs the verb.
pub async fn run(arguments: UpgradeArgs, context: &Context) -> Result<ExitCode, Failure> {
    if let (Some(from), Some(to)) = (&arguments.from, &arguments.to) {
        write_config(&context.globals.config, from, to, context)?;
    }
    let work = Work::begin(context)?;
    let service = upgrade(&work)?;
    let name = &service.name;
    let status = work.status(name).await?;
    if status.state == ServiceState::Planned {
        let doctor =
            cleave_engine::doctor(&work.topology, Some(std::slice::from_ref(name)), &work.events).await?;
        if let Some(exit) = not_ready(doctor, arguments.rehearsal.dry_run, context)? {
            return Ok(exit);
        }
    }
    if arguments.rehearsal.dry_run {
        let plan = cleave_engine::plan(&work.topology, name).await?;
        let report = plan_report::report(&plan, &work.loaded.config.limits);
        let next = NextStep::cleave(["upgrade"], "does it, up to the cutover", Risk::Reversible);
        context.output.report(Output::new(vec![report]).with_next([next]), None)?;
        return Ok(ExitCode::Done);
    }
    let until = match arguments.until {
        Some(Until::Verified) => cleave_engine::Until::Following,
        None => cleave_engine::Until::Stopped,
    };
    let ways = (&work.events, &work.cancelled);
    let Answer::Verification(verified) =
        settled(cleave_engine::upgrade(&work.topology, name, until, ways).await?)?
    else {
        return Err(unknown_answer().into());
    };
    let report = change::report(&work, name, "upgrade", work.done()).await?;
    let undo = match report.state {
        ServiceState::Switched | ServiceState::Completing | ServiceState::Done => None,
        _ => Some(next::cancel(name.as_str())),
    };
    let steps = work.next(name).await?;
    context.output.report(Output::new(report).with_next(steps), undo)?;
    Ok(match verified.state {
        VerificationState::Clean if work.cancelled.is_cancelled() => ExitCode::Interrupted,
        state => cleave_engine::exit_of_verification(state),
    })
}

/// The file's `[upgrade]`.
fn upgrade(work: &Work) -> Result<&Service, Failure> {
    let config = &work.loaded.config;
    config.services.iter().find(|service| service.whole.is_some()).ok_or_else(|| {
        Problem::error("C0005", format!("{} has no [upgrade]", config.file))
            .hint("write one with `from` and `to`, or give --from and --to")
            .exit(ExitCode::Usage)
            .into()
    })
}

/// Shows what the doctor has found, if it stands in the way; warnings go by as they came.
fn not_ready(report: DoctorReport, dry_run: bool, context: &Context) -> Result<Option<ExitCode>, Failure> {
    let error = report.findings.iter().find(|finding| finding.severity == Severity::Error);
    let Some(code) = error.map(|finding| finding.code.clone()) else {
        if !dry_run {
            for finding in report.findings.iter().filter(|finding| finding.severity == Severity::Warning) {
                let object = finding.object.as_ref().map(|object| format!("{object}: ")).unwrap_or_default();
                context
                    .output
                    .note(&format!("{} {}: {object}{}", finding.code, finding.database, finding.seen));
            }
        }
        return Ok(None);
    };
    let why = "why it matters, with an example and the fix; then `cleave upgrade` again";
    let next = NextStep::cleave(["explain", &code], why, Risk::Read);
    context.output.report(Output::new(report).with_next([next]), None)?;
    Ok(Some(ExitCode::Refused))
}

/// Verbs that come later find the same databases in the file. It may hold a password, so it is its owner's alone.
fn write_config(path: &Path, from: &str, to: &str, context: &Context) -> Result<(), Failure> {
    if path.exists() {
        return Err(Problem::error("C1211", format!("{} is there already", path.display()))
            .hint("put [upgrade] with `from` and `to` into it and run `cleave upgrade`, or name another file with -C")
            .exit(ExitCode::Usage)
            .into());
    }
    let text = format!(
        "# The upgrade of one database. The verbs take it by the name `upgrade`.\n\n[databases]\nold = {{ url = {from:?} }}\n\
         new = {{ url = {to:?} }}\n\n[upgrade]\nfrom = \"old\"\nto   = \"new\"\n"
    );
    files::create(path, &text)?;
    let own = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600));
    own.map_err(|error| files::unwritable(path, &error))?;
    context.output.note(&format!("wrote {}", path.display()));
    Ok(())
}
