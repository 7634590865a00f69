//! The report of a move inside one database.

use super::{FINGERPRINT_SHOWN, crossing, dotted, problem};
use cleave_api::{ChangeSide, FunctionChange, LockUse, PlanReport, PlanStep, PlannedTable};
use cleave_config::Limits;
use cleave_plan::{NameLayer, RelocatedTable, SchemaPlan};
use std::fmt::Write as _;

/// What a step that changes catalog rows only needs, whatever the size of a table.
const CATALOG_ONLY: &str = "milliseconds: catalog rows only, whatever the size";

pub(super) fn report(plan: &SchemaPlan, limits: &Limits) -> PlanReport {
    PlanReport {
        service: plan.service.clone(),
        source: plan.database.clone(),
        home: format!("{}/{}", plan.database, plan.schema),
        copy: None,
        bridge: plan.layer.as_str().to_owned(),
        owner: plan.owner_role.clone(),
        fingerprint: plan.fingerprint.chars().take(FINGERPRINT_SHOWN).collect(),
        tables: plan.tables.iter().map(table).collect(),
        sequences: plan.sequences.iter().map(|sequence| dotted(&sequence.from)).collect(),
        crossings: plan.crossings.iter().map(crossing).collect(),
        functions: plan.functions.iter().map(function).collect(),
        missing_roles: Vec::new(),
        steps: steps(plan),
        locks: locks(plan),
        workload: None,
        expected_pause_ms: None,
        write_pause_ms: u64::try_from(limits.write_pause.as_millis()).unwrap_or(u64::MAX),
        findings: plan.findings.iter().map(problem).collect(),
    }
}

fn table(table: &RelocatedTable) -> PlannedTable {
    PlannedTable {
        name: dotted(&table.from),
        target: dotted(&table.to),
        rows: table.rows,
        bytes: table.bytes,
        identity: if table.key.is_empty() {
            "no key".to_owned()
        } else {
            format!("key ({})", table.key.join(", "))
        },
        partition: table.is_partition,
    }
}

fn function(change: &cleave_plan::FunctionChange) -> FunctionChange {
    FunctionChange { function: change.function.clone(), what: change.what.clone(), diff: change.diff.clone() }
}

fn steps(plan: &SchemaPlan) -> Vec<PlanStep> {
    let cutover: Vec<String> = plan
        .script
        .cutover
        .iter()
        .chain(plan.functions.iter().flat_map(|change| &change.cutover))
        .cloned()
        .collect();
    let step = |name: &str, summary: String, sql: &[String]| PlanStep {
        name: name.to_owned(),
        summary,
        side: ChangeSide::Source,
        sql: sql.to_vec(),
    };
    let roles = match plan.made_roles.as_slice() {
        [] => String::new(),
        made => format!(", roles {}", made.join(" and ")),
    };
    let names = match plan.layer {
        NameLayer::View => "an updatable view stands under each old name",
        NameLayer::Path => "nothing stands under the old names",
    };
    let removed = match plan.layer {
        NameLayer::View => "drops the views under the old names",
        NameLayer::Path => "forgets the way back",
    };
    vec![
        step(
            "prepare_schema",
            format!("makes schema {}{roles}; sets search paths", plan.schema),
            &plan.script.prepare,
        ),
        step("cutover", format!("one transaction: the tables change their schema, {names}"), &cutover),
        step("complete", format!("{removed}, the only step that cannot be undone"), &plan.script.complete),
    ]
}

/// Each with its mode and how long it is held.
fn locks(plan: &SchemaPlan) -> Vec<LockUse> {
    let exclusive = |object: String, step: &str| LockUse {
        database: plan.database.clone(),
        object,
        mode: "ACCESS EXCLUSIVE".to_owned(),
        step: step.to_owned(),
        length: Some(CATALOG_ONLY.to_owned()),
    };
    let mut locks: Vec<LockUse> =
        plan.tables.iter().map(|table| exclusive(dotted(&table.from), "cutover")).collect();
    let owned = plan.sequences.iter().filter(|sequence| sequence.owned);
    locks.extend(owned.map(|sequence| exclusive(dotted(&sequence.from), "cutover")));
    if plan.layer == NameLayer::View {
        locks.extend(plan.tables.iter().map(|table| exclusive(dotted(&table.from), "complete")));
    }
    locks
}

/// All SQL, with a comment per step.
pub(super) fn sql(plan: &SchemaPlan) -> String {
    let mut text = format!(
        "-- The move of service {} to {}/{}. Each step is one transaction, begun with the locks of its tables.\n",
        plan.service, plan.database, plan.schema
    );
    let functions = plan.functions.iter().flat_map(|change| &change.rollback);
    let rollback: Vec<String> = plan.script.rollback.iter().chain(functions).cloned().collect();
    let undo = [("cancel", &plan.script.cancel), ("rollback", &rollback)];
    let steps = steps(plan).into_iter().map(|step| (format!("{}: {}", step.name, step.summary), step.sql));
    let undo = undo.into_iter().map(|(name, sql)| (format!("{name}: the way back"), sql.clone()));
    for (at, (title, sql)) in steps.chain(undo).enumerate() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\n-- {}. {title}", at + 1);
        for statement in &sql {
            let _ = writeln!(text, "{};", statement.trim_end().trim_end_matches(';'));
        }
    }
    text
}
