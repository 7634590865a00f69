//! A split's plan as the contract shows it, its SQL, and what `complete` and `cancel` would do.

use crate::failure::Failure;
use crate::output;
use crate::plan_report::{crossing, dotted, problem};
use crate::work::Work;
use cleave_api::{
    ChangeSide, ExitCode, LockUse, NextStep, Output, PlanStep, Risk, ServiceState, ServiceStatus, Severity,
    SplitPartReport, SplitReport, SplitRows,
};
use cleave_config::Limits;
use cleave_engine::{EngineError, WorkloadOptions};
use cleave_model::ServiceName;
use cleave_plan::Weight;
use cleave_plan::split::{OldName, OrphanRows, SplitPlan};
use std::fmt::Write as _;

/// Shows a split's plan and what follows it.
///
/// # Errors
/// The database cannot be read.
pub async fn show(
    work: &Work,
    name: &ServiceName,
    output: &output::Output,
    (options, asked): (&WorkloadOptions, bool),
) -> Result<ExitCode, Failure> {
    let (plan, mut problems) = cleave_engine::plan_split_for(&work.topology, name, options).await?;
    if !asked {
        problems.retain(|problem| problem.severity != Severity::Note);
    }
    let status = work.status(name).await?;
    let refusal = plan.findings.iter().find(|finding| finding.weight == Weight::Refusal);
    let next = match (refusal, status.state) {
        (Some(refusal), _) => {
            let why = format!("why, with an example and the fix; then `cleave plan {name}` again");
            vec![NextStep::cleave(["explain", &refusal.code], why, Risk::Read)]
        }
        (None, ServiceState::Planned) => {
            let why = "makes and fills the parts; applications notice nothing";
            vec![NextStep::cleave(["apply", name.as_str()], why, Risk::Reversible)]
        }
        (None, _) => work.next(name).await?,
    };
    let mut report = report(&plan, &work.loaded.config.limits);
    report.findings.extend(problems);
    report.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    output.report(Output::new(vec![report]).with_next(next), None)?;
    Ok(if plan.is_refused() { ExitCode::Refused } else { ExitCode::Done })
}

/// The report of a plan. Pure.
pub fn report(plan: &SplitPlan, limits: &Limits) -> SplitReport {
    let counts = plan.counts.as_ref();
    let parts = plan.parts.iter().enumerate().map(|(at, part)| SplitPartReport {
        service: part.service.clone(),
        place: dotted(&part.place),
        owner: part.owner.clone(),
        reached_by: part.reached_by.clone(),
        rows: counts.and_then(|counts| counts.parts.get(at).copied()),
    });
    SplitReport {
        split: plan.split.clone(),
        database: plan.database.clone(),
        table: dotted(&plan.table),
        key: plan.key.clone(),
        rows: plan.rows,
        bytes: plan.bytes,
        parts: parts.collect(),
        counts: counts.map(|counts| SplitRows {
            estimated: counts.estimated,
            rows: counts.rows,
            one: counts.rows.saturating_sub(counts.shared + counts.orphans),
            several: counts.shared,
            none: counts.orphans,
        }),
        shared: if plan.shared { "copy" } else { "refuse" }.to_owned(),
        orphans: match &plan.orphans {
            OrphanRows::Refuse => "refuse".to_owned(),
            OrphanRows::Keep => "keep".to_owned(),
            OrphanRows::Service(service) => service.clone(),
        },
        old_name: old_name(plan.old_name).to_owned(),
        crossings: plan.crossings.iter().map(crossing).collect(),
        steps: steps(plan),
        locks: locks(plan),
        write_pause_ms: u64::try_from(limits.write_pause.as_millis()).unwrap_or(u64::MAX),
        findings: plan.findings.iter().map(problem).collect(),
    }
}

fn old_name(name: OldName) -> &'static str {
    match name {
        OldName::Removed => "nothing",
        OldName::Rest => "the rest",
        OldName::View => "a view",
    }
}

fn steps(plan: &SplitPlan) -> Vec<PlanStep> {
    if plan.is_refused() {
        return Vec::new();
    }
    let (script, table) = (&plan.script, dotted(&plan.table));
    let parts: Vec<String> = plan.parts.iter().map(|part| dotted(&part.place)).collect();
    let each = |of: &dyn Fn(&cleave_plan::split::ReferenceScript) -> Vec<String>| -> Vec<String> {
        script.references.iter().flat_map(of).collect()
    };
    let step = |name: &str, summary: String, sql: Vec<String>| PlanStep {
        name: name.to_owned(),
        summary,
        side: ChangeSide::Source,
        sql,
    };
    let mut triggers = script.table_triggers.clone();
    triggers.extend(each(&|reference| reference.triggers.clone()));
    let keys = each(&|reference| {
        let key = &reference.to_part;
        key.add.iter().chain(&key.validate).chain(&key.adopt).cloned().collect()
    });
    let mut cutover = script.open.clone();
    cutover.extend(each(&|reference| reference.to_part.switch.clone()));
    cutover.extend(script.repoint.iter().cloned());
    vec![
        step(
            "prepare",
            format!("makes {} with every index, empty", parts.join(", ")),
            script.prepare.clone(),
        ),
        step(
            "triggers",
            format!("from here on every change of {table} reaches the parts in its own transaction"),
            triggers,
        ),
        step("fill", "places the rows, a small transaction at a time".to_owned(), vec![script.fill.clone()]),
        step(
            "keys",
            "a second key beside each that leads to the table: NOT VALID, then VALIDATE".to_owned(),
            keys,
        ),
        step("verify", "compares table and parts; a cutover needs it".to_owned(), vec![script.check.clone()]),
        step(
            "cutover",
            "keys, views and functions lead to the parts, and the parts take writes".to_owned(),
            cutover,
        ),
        step("complete", complete(plan), script.complete.clone()),
    ]
}

fn complete(plan: &SplitPlan) -> String {
    let left = match plan.old_name {
        OldName::Removed => "nothing stays under the old name".to_owned(),
        OldName::Rest => format!("rows that nobody reached stay in {}", dotted(&plan.table)),
        OldName::View => format!("a view over the parts stays under {}", dotted(&plan.table)),
    };
    format!("removes the way back, the only step that cannot be undone; {left}")
}

fn locks(plan: &SplitPlan) -> Vec<LockUse> {
    if plan.is_refused() {
        return Vec::new();
    }
    let lock = |object: String, mode: &str, step: &str| LockUse {
        database: plan.database.clone(),
        object,
        mode: mode.to_owned(),
        step: step.to_owned(),
        length: Some(if mode == "SHARE UPDATE EXCLUSIVE" {
            "one read of the table; readers and writers go on".to_owned()
        } else {
            "milliseconds: a change of the catalog".to_owned()
        }),
    };
    let references: Vec<String> =
        plan.script.references.iter().map(|reference| dotted(&reference.table)).collect();
    let table = dotted(&plan.table);
    let all = || references.iter().cloned().chain([table.clone()]);
    let mut locks: Vec<LockUse> =
        all().map(|object| lock(object, "SHARE ROW EXCLUSIVE", "triggers")).collect();
    locks.extend(references.iter().cloned().map(|object| lock(object, "SHARE ROW EXCLUSIVE", "keys")));
    locks.extend(
        references.iter().cloned().map(|object| lock(object, "SHARE UPDATE EXCLUSIVE", "keys (validate)")),
    );
    locks.extend(all().map(|object| lock(object, "ACCESS EXCLUSIVE", "cutover")));
    locks.extend(all().map(|object| lock(object, "ACCESS EXCLUSIVE", "complete")));
    locks
}

/// All SQL, with a comment per step.
pub fn sql(plan: &SplitPlan) -> String {
    let mut text = format!(
        "-- Split {} of {} in {}. `cleave apply` runs these statements; this is for reading.\n",
        plan.split,
        dotted(&plan.table),
        plan.database
    );
    for (at, step) in steps(plan).iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\n-- {}. {}: {}", at + 1, step.name, step.summary);
        for statement in &step.sql {
            let _ = writeln!(text, "{};", statement.trim_end().trim_end_matches(';'));
        }
    }
    text
}

/// What `complete` and `cancel` would do.
///
/// # Errors
/// C0421 in a state that does not allow it.
pub fn rehearse(
    verb: &'static str,
    status: &ServiceStatus,
    plan: &SplitPlan,
) -> Result<Vec<String>, EngineError> {
    let table = dotted(&plan.table);
    let parts: Vec<String> = plan.parts.iter().map(|part| dotted(&part.place)).collect();
    let allowed = match verb {
        "complete" => matches!(status.state, ServiceState::Switched | ServiceState::Completing),
        "cancel" => matches!(
            status.state,
            ServiceState::Prepared | ServiceState::Copying | ServiceState::Following | ServiceState::Planned
        ),
        _ => false,
    };
    if !allowed {
        let next = if verb == "complete" { "cutover" } else { "rollback" };
        let service = ServiceName::parse(&status.name).map_err(|error| EngineError::Stored {
            what: format!("the name of split {}", plan.split),
            reason: error.to_string(),
        })?;
        let state = status.state.as_str().to_owned();
        return Err(EngineError::WrongState { service, state, verb, next: Some(next) });
    }
    if verb == "cancel" {
        return Ok(vec![
            format!("removes the triggers from {} tables", plan.tables().len()),
            format!("drops {} and what waits for an owner", parts.join(", ")),
            format!("{table} is as it was"),
        ]);
    }
    Ok(vec![
        format!("removes the triggers that keep {table} and its parts equal"),
        match plan.old_name {
            OldName::Removed => format!("drops {table}; each part goes on with sequences of its own"),
            OldName::Rest => format!(
                "{table} keeps the rows that nobody reached; each part goes on with sequences of its own"
            ),
            OldName::View => format!("puts a view over {} in the place of {table}", parts.join(", ")),
        },
        "a rollback is no longer possible then".to_owned(),
    ])
}
