//! `cleave apply`: prepare, copy, follow; never switch.

use crate::change;
use crate::cli::Rehearsal;
use crate::commands::plan;
use crate::context::Context;
use crate::failure::Failure;
use crate::work::{Work, settled};
use crate::{next, plan_report, split_plan};
use cleave_api::{ExitCode, NextStep, Output, Problem, Risk, ServiceState};
use cleave_engine::WorkloadOptions;
use cleave_model::ServiceName;
use cleave_plan::Plan;
use std::path::Path;

/// Prepare and fill the new home, and follow changes; never switch
///
/// Makes schema, slot and publication, copies the rows and applies changes as they commit. If no engine runs, this
/// command is the engine until it is stopped; run it again and it goes on where it was. Nothing that applications see
/// changes before `cleave cutover`. A plan is carried out as it stands in its file, or refused with 7 if the databases
/// have changed since.
#[derive(Debug, clap::Args)]
pub struct ApplyArgs {
    /// Apply this service, or the plan in this file; may be left out where the configuration has one service
    #[arg(value_name = "SERVICE|PLAN")]
    pub target: Option<String>,

    /// Stop once this is reached, instead of following until stopped
    #[arg(long, value_enum, value_name = "STATE")]
    pub until: Option<Until>,

    /// Read at most so much per second while tables are copied, all workers together, such as `50MB`. It goes before
    /// `limits.copy_rate`
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub max_rate: Option<u64>,

    /// Pause the copy while a standby, or a slot that somebody else reads, is further behind the source than this, such as
    /// `64MB`. It goes before `limits.copy_max_lag`
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub max_lag: Option<u64>,

    /// Pause the copy while more sessions than this execute a statement on the source. It goes before
    /// `limits.copy_max_sessions`
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_sessions: Option<u32>,

    /// Pause the copy while the target keeps more log than this for its slots or its archive, such as `20GB`. It goes
    /// before `limits.copy_max_target_log`
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub max_target_log: Option<u64>,

    #[expect(missing_docs, reason = "its own flag says it")]
    #[command(flatten)]
    pub rehearsal: Rehearsal,
}

/// Where `apply` may stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Until {
    /// The rows are copied and changes are being applied; the slot keeps log on the source from then on
    Following,
}

/// Runs the verb.
pub async fn run(arguments: ApplyArgs, context: &Context) -> Result<ExitCode, Failure> {
    let mut work = Work::begin(context)?;
    work.wish(|wishes| {
        wishes.copy_bytes_per_second = arguments.max_rate;
        wishes.copy_load = cleave_engine::LoadLimits {
            lag_bytes_max: arguments.max_lag,
            sessions_max: arguments.max_sessions,
            target_log_bytes_max: arguments.max_target_log,
        };
    });
    let (service, saved) = chosen(&work, arguments.target.as_deref())?;
    if arguments.rehearsal.dry_run {
        return rehearse(&work, &service, saved, context).await;
    }
    let until = match arguments.until {
        Some(Until::Following) => cleave_engine::Until::Following,
        None => cleave_engine::Until::Stopped,
    };
    let ways = (&work.events, &work.cancelled);
    let answer = cleave_engine::apply(&work.topology, &service, saved.map(Box::new), until, ways).await?;
    settled(answer)?;
    let report = change::report(&work, &service, "apply", work.done()).await?;
    let undo = match report.state {
        ServiceState::Switched | ServiceState::Completing | ServiceState::Done => None,
        _ => Some(next::cancel(service.as_str())),
    };
    let steps = work.next(&service).await?;
    context.output.report(Output::new(report).with_next(steps), undo)?;
    Ok(if work.cancelled.is_cancelled() { ExitCode::Interrupted } else { ExitCode::Done })
}

pub(super) fn size(text: &str) -> Result<u64, String> {
    cleave_config::parse_size(text).map_err(|error| error.to_string())
}

/// A service by its name, or the plan in a file.
fn chosen(work: &Work, target: Option<&str>) -> Result<(ServiceName, Option<Plan>), Failure> {
    let config = &work.loaded.config;
    let known = |name: &&str| config.service(name).is_some() || config.split(name).is_some();
    let Some(path) = target.filter(|name| !known(name)) else {
        return Ok((work.named(target)?, None));
    };
    if !Path::new(path).exists() && !path.contains(['/', '.']) {
        return Ok((work.named(target)?, None));
    }
    let plan = plan::saved(Path::new(path))?;
    Ok((work.service(Some(plan.service()))?.name.clone(), Some(plan)))
}

/// The plan that would be carried out, and whether it still fits.
async fn rehearse(
    work: &Work,
    service: &ServiceName,
    saved: Option<Plan>,
    context: &Context,
) -> Result<ExitCode, Failure> {
    if work.is_split(service) {
        return split_plan::show(work, service, &context.output, (&WorkloadOptions::default(), false)).await;
    }
    let fresh = cleave_engine::plan(&work.topology, service).await?;
    if saved.is_some_and(|saved| !saved.does_the_same_as(&fresh)) {
        let again = NextStep::cleave(["plan", service.as_str()], "shows what it would be now", Risk::Read);
        let problem = Problem::error("C0223", "the plan no longer fits the databases or cleave.toml");
        return Err(problem.next(again).exit(ExitCode::Drift).into());
    }
    let refused = fresh.is_refused();
    let report = plan_report::report(&fresh, &work.loaded.config.limits);
    let next = if refused {
        NextStep::cleave(["plan", service.as_str()], "once what was found is mended", Risk::Read)
    } else {
        NextStep::cleave(["apply", service.as_str()], "does it", Risk::Reversible)
    };
    context.output.report(Output::new(vec![report]).with_next([next]), None)?;
    Ok(if refused { ExitCode::Refused } else { ExitCode::Done })
}
