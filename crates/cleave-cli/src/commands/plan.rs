//! `cleave plan`: everything a move will do, before the first byte.

use crate::cli::WorkloadSources;
use crate::context::Context;
use crate::failure::Failure;
use crate::files;
use crate::plan_report;
use crate::work::Work;
use cleave_api::{ExitCode, NextStep, Output, PlanReport, Problem, Risk, ServiceState, Severity};
use cleave_model::ServiceName;
use cleave_plan::{Plan, Weight};
use std::path::Path;

/// Show what a move will do, and why it could not be done
///
/// Compares cleave.toml with the databases: tables and sizes, what crosses the boundary, missing roles, steps, locks,
/// how long writers may wait at the switch. Changes nothing. A plan written with -o is what `apply` then carries out,
/// or refuses once the databases differ from it. Exits with 4 if something stands against the move.
#[derive(Debug, clap::Args)]
pub struct PlanArgs {
    /// Plan these services only
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,

    /// Write the plan to a file, for `cleave apply FILE`
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<std::path::PathBuf>,

    /// Print the SQL of every step instead
    #[arg(long, conflicts_with = "full")]
    pub sql: bool,

    /// Print every step, lock and gate
    #[arg(long)]
    pub full: bool,

    /// Exit with 3 if there is something to do
    #[arg(long)]
    pub detailed_exit_code: bool,

    #[expect(missing_docs, reason = "its own flags say it")]
    #[command(flatten)]
    pub workload: WorkloadSources,
}

/// A service's plan and what follows it.
struct Planned {
    plan: Option<Plan>,
    next: Vec<NextStep>,
}

/// Runs the verb.
pub async fn run(arguments: PlanArgs, context: &Context) -> Result<ExitCode, Failure> {
    let work = Work::begin(context)?;
    if let [name] = arguments.services.as_slice()
        && work.loaded.config.split(name).is_some()
    {
        return split_plan(&work, &arguments, name, context).await;
    }
    let services = work.services(&arguments.services)?;
    if arguments.output.is_some() && services.len() > 1 {
        let problem = Problem::error("C0908", "a plan file holds the plan of one service, and none is named");
        return Err(problem.exit(ExitCode::Usage).into());
    }
    let (mut plans, mut steps) = (Vec::new(), Vec::new());
    for service in &services {
        let Planned { plan: planned, next } = plan(&work, service, context).await?;
        plans.extend(planned);
        steps.extend(next);
    }
    if arguments.services.is_empty() {
        let splits = work.loaded.config.splits.iter().map(|split| split.name.as_str());
        steps.extend(
            splits.map(|name| NextStep::cleave(["plan", name], "shows what the split will do", Risk::Read)),
        );
    }
    let possible = plans.iter().all(|plan| !plan.is_refused());
    if let (Some(path), [plan], true) = (&arguments.output, plans.as_slice(), possible) {
        save(path, plan)?;
        let saved = apply(&path.display().to_string(), plan);
        steps
            .iter_mut()
            .filter(|step| **step == apply(plan.service(), plan))
            .for_each(|step| step.clone_from(&saved));
    }
    if arguments.sql {
        let texts: Vec<String> = plans.iter().map(plan_report::sql).collect();
        context.output.data(&texts.join("\n"))?;
    } else {
        let limits = &work.loaded.config.limits;
        let mut reports: Vec<PlanReport> =
            plans.iter().map(|plan| plan_report::report(plan, limits)).collect();
        for (plan, report) in plans.iter().zip(&mut reports) {
            add_workload(&work, plan, &arguments, report).await?;
        }
        let output = if arguments.full { context.output.with_verbose(1) } else { context.output.clone() };
        output.report(Output::new(reports).with_next(steps), None)?;
    }
    Ok(match plans.as_slice() {
        _ if !possible => ExitCode::Refused,
        [] => ExitCode::Done,
        _ if arguments.detailed_exit_code => ExitCode::Changes,
        _ => ExitCode::Done,
    })
}

/// Says what becomes of known statements. Without sources that the user has named, what is missing is said in full only.
async fn add_workload(
    work: &Work,
    plan: &Plan,
    arguments: &PlanArgs,
    report: &mut PlanReport,
) -> Result<(), Failure> {
    let Some(service) = work.loaded.config.service(plan.service()) else { return Ok(()) };
    let options = arguments.workload.options();
    let read = cleave_engine::plan_workload(&work.topology, &service.name, plan, &options).await?;
    let (workload, mut problems) = read;
    if !arguments.full && !arguments.workload.is_asked_for() {
        problems.retain(|problem| problem.severity != Severity::Note);
    }
    report.workload = workload;
    report.findings.extend(problems);
    report.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    Ok(())
}

/// A split is planned by itself: it has no other side.
async fn split_plan(
    work: &Work,
    arguments: &PlanArgs,
    name: &str,
    context: &Context,
) -> Result<ExitCode, Failure> {
    if arguments.output.is_some() {
        let problem = Problem::error("C0908", "a plan file holds the plan of a service, and this is a split");
        return Err(problem.exit(ExitCode::Usage).into());
    }
    let name = work.named(Some(name))?;
    if arguments.sql {
        let plan = cleave_engine::plan_split(&work.topology, &name).await?;
        context.output.data(&crate::split_plan::sql(&plan))?;
        return Ok(if plan.is_refused() { ExitCode::Refused } else { ExitCode::Done });
    }
    let output = if arguments.full { context.output.with_verbose(1) } else { context.output.clone() };
    let options = arguments.workload.options();
    let asked = arguments.full || arguments.workload.is_asked_for();
    let exit = crate::split_plan::show(work, &name, &output, (&options, asked)).await?;
    Ok(if exit == ExitCode::Done && arguments.detailed_exit_code { ExitCode::Changes } else { exit })
}

/// The plan of a service; what to do next instead once its move is complete.
async fn plan(work: &Work, service: &ServiceName, context: &Context) -> Result<Planned, Failure> {
    let status = work.status(service).await?;
    match status.state {
        ServiceState::Planned => {}
        ServiceState::Done => {
            context.output.note(&format!("service {service} is at home in {}: nothing to do", status.wanted));
            return Ok(Planned { plan: None, next: work.next(service).await? });
        }
        state => {
            let state = state.as_str();
            context
                .output
                .note(&format!("service {service} is {state}: this is the plan that its move runs"));
        }
    }
    let plan = cleave_engine::plan(&work.topology, service).await?;
    let refusal = plan.findings().iter().find(|finding| finding.weight == Weight::Refusal);
    let next = match (refusal, status.state) {
        (Some(refusal), _) => {
            let why = format!("why, with an example and the fix; then `cleave plan {service}` again");
            vec![NextStep::cleave(["explain", &refusal.code], why, Risk::Read)]
        }
        (None, ServiceState::Planned) => vec![apply(service.as_str(), &plan)],
        (None, _) => work.next(service).await?,
    };
    Ok(Planned { plan: Some(plan), next })
}

fn apply(what: &str, plan: &Plan) -> NextStep {
    let why = match plan {
        Plan::Live(_) => "prepares and fills the new home; applications notice nothing",
        Plan::Schema(_) => "prepares the new home; applications notice nothing",
    };
    NextStep::cleave(["apply", what], why, Risk::Reversible)
}

fn save(path: &Path, plan: &Plan) -> Result<(), Failure> {
    let text = plan.to_value().and_then(|plan| serde_json::to_string_pretty(&plan));
    let text = text.map_err(|error| files::unwritable(path, &error))?;
    files::write(path, &(text + "\n"))
}

/// Reads a plan that [`save`] has written.
///
/// # Errors
/// C0911 if the file cannot be read, is no plan, or is one of another version.
pub fn saved(path: &Path) -> Result<Plan, Failure> {
    let unreadable = |error: Option<&dyn std::error::Error>| -> Failure {
        Problem::error("C0911", format!("{} cannot be read as a plan", path.display()))
            .caused_by(error)
            .hint("`cleave plan SERVICE -o FILE` writes one")
            .exit(ExitCode::Usage)
            .into()
    };
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(Some(&error)))?;
    let plan = serde_json::from_str(&text).and_then(Plan::from_value);
    let plan = plan.map_err(|error| unreadable(Some(&error)))?;
    if plan.version() != cleave_plan::PLAN_VERSION {
        return Err(unreadable(None));
    }
    Ok(plan)
}
