//! `cutover` and `rollback`: gates first, then a yes, then the switch.

use crate::cli::SwitchManner;
use crate::context::Context;
use crate::failure::Failure;
use crate::next;
use crate::work::{Work, unknown_answer};
use cleave_api::{CutoverOutcome, CutoverReport, ExitCode, NextStep, Output, Risk, SwitchDirection};
use cleave_engine::{Answer, Verb};
use cleave_model::{ServiceName, format_duration_ms};

/// Switches a service's home, or checks only whether it could be switched.
///
/// # Errors
/// A gate that refuses, no yes, and what the engine says.
pub async fn run(
    direction: SwitchDirection,
    services: &[String],
    manner: SwitchManner,
    context: &Context,
) -> Result<ExitCode, Failure> {
    let dry_run = manner.rehearsal.dry_run;
    let mut work = Work::begin(context)?;
    work.wish(|wishes| wishes.terminate_blockers_after = manner.terminate_blockers_after);
    let names = named(&work, services)?;
    let (name, with) = (&names[0], names[1..].to_vec());
    work.wish(|wishes| {
        wishes.with = with;
        wishes.warm_up = manner.warm_up;
        wishes.accept_less_protection = manner.accept_less_protection;
    });
    // Nobody is asked for a yes to what a gate refuses.
    if !dry_run && context.asks()? {
        switch(&work, name, direction, true).await?;
        let about = if names.len() > 1 {
            about_several(&work, &names, direction)?
        } else {
            about(&work, name, direction)?
        };
        context.confirm(&about, &words(&names).join(" "))?;
    }
    let report = switch(&work, name, direction, dry_run).await?;
    let exit = cleave_engine::exit_of_switch(report.outcome);
    let switched = report.outcome == CutoverOutcome::Switched;
    let steps = match report.outcome {
        CutoverOutcome::Rehearsed => vec![again(&names, direction, "does it")],
        CutoverOutcome::Aborted => vec![again(&names, direction, "tries it again")],
        CutoverOutcome::Switched | CutoverOutcome::Refused => {
            let mut steps = Vec::new();
            for name in &names {
                steps.extend(work.next(name).await?);
            }
            steps
        }
    };
    let undo = switched.then(|| match direction {
        SwitchDirection::Cutover => next::rollback(&words(&names)),
        SwitchDirection::Rollback => {
            let live = work
                .loaded
                .config
                .service(name.as_str())
                .is_some_and(|service| service.schema_move.is_none());
            let why = if !live {
                "changes the names again"
            } else {
                "switches again, after a new comparison of both sides"
            };
            again(&names, SwitchDirection::Cutover, why)
        }
    });
    context.output.report(Output::new(report).with_next(steps), undo)?;
    Ok(exit)
}

async fn switch(
    work: &Work,
    service: &ServiceName,
    direction: SwitchDirection,
    dry_run: bool,
) -> Result<CutoverReport, Failure> {
    let verb = match direction {
        SwitchDirection::Cutover => Verb::Cutover { dry_run },
        SwitchDirection::Rollback => Verb::Rollback { dry_run },
    };
    match work.execute(service, verb).await? {
        Answer::Switch(report) => Ok(report),
        _ => Err(unknown_answer().into()),
    }
}

/// The services of these names, in the order of names and each once; the only one of the file where none is given.
fn named(work: &Work, services: &[String]) -> Result<Vec<ServiceName>, Failure> {
    if services.is_empty() {
        return Ok(vec![work.named(None)?]);
    }
    let names: Result<Vec<ServiceName>, Failure> =
        services.iter().map(|service| work.named(Some(service))).collect();
    let mut names = names?;
    names.sort();
    names.dedup();
    Ok(names)
}

fn words(names: &[ServiceName]) -> Vec<&str> {
    names.iter().map(ServiceName::as_str).collect()
}

fn about_several(work: &Work, names: &[ServiceName], direction: SwitchDirection) -> Result<String, Failure> {
    let pause = work.loaded.config.limits.write_pause.as_millis();
    let pause = format_duration_ms(u64::try_from(pause).unwrap_or(u64::MAX));
    let mut homes = Vec::with_capacity(names.len());
    for name in names {
        let service = work.service(Some(name.as_str()))?;
        let home = match direction {
            SwitchDirection::Cutover => service.home.value.database.as_str(),
            SwitchDirection::Rollback => service.from.as_str(),
        };
        homes.push(format!("{name} to {home}"));
    }
    Ok(format!(
        "Every gate holds. One transaction decides for all: writes pause for at most {pause} and then go on, {}. If that \
         is not enough, they go on where they were and nothing has moved.",
        homes.join(", ")
    ))
}

fn again(services: &[ServiceName], direction: SwitchDirection, why: &str) -> NextStep {
    let verb = match direction {
        SwitchDirection::Cutover => "cutover",
        SwitchDirection::Rollback => "rollback",
    };
    NextStep::cleave([vec![verb], words(services)].concat(), why, Risk::Reversible)
}

fn about(work: &Work, name: &ServiceName, direction: SwitchDirection) -> Result<String, Failure> {
    let pause = work.loaded.config.limits.write_pause.as_millis();
    let pause = format_duration_ms(u64::try_from(pause).unwrap_or(u64::MAX));
    if let Some(split) = work.loaded.config.split(name.as_str()) {
        let from_then_on = match direction {
            SwitchDirection::Cutover => "services read and write their parts",
            SwitchDirection::Rollback => "everything reads and writes the table alone",
        };
        return Ok(format!(
            "Every gate holds. Writes to {} and what refers to it pause for at most {pause}; from then on {from_then_on}. \
             The old name goes on as it is.",
            split.table.value
        ));
    }
    let service = work.service(Some(name.as_str()))?;
    if service.schema_move.is_some() {
        let (now, then) = match direction {
            SwitchDirection::Cutover => (service.from.to_string(), service.home.value.to_string()),
            SwitchDirection::Rollback => (service.home.value.to_string(), service.from.to_string()),
        };
        return Ok(format!(
            "Every gate holds. The tables of {} go from {now} to {then} in one transaction; statements on them wait for at \
             most {pause}. If that is not enough, nothing has moved.",
            service.name
        ));
    }
    let (old, new) = (service.from.as_str(), service.home.value.database.as_str());
    let (now, then) = match direction {
        SwitchDirection::Cutover => (old, new),
        SwitchDirection::Rollback => (new, old),
    };
    Ok(format!(
        "Every gate holds. Writes to {} pause for at most {pause} and then go to {then}. If that is not enough, they go \
         on at {now} and nothing has moved.",
        service.name
    ))
}
