//! The steps of a move in the order of their use, by the names that the journal has for them.

use cleave_api::{ChangeSide, PlanStep};
use cleave_model::{Direction, ServiceName, format_bytes, labels};
use cleave_plan::{BridgeKind, MovePlan, PlannedIndexes};
use std::fmt::Write as _;

/// From the first change to the last.
pub(super) fn steps(plan: &MovePlan) -> Vec<PlanStep> {
    let mut steps = filling(plan);
    steps.extend([
        step(
            "verify",
            ChangeSide::Both,
            "compares every row of both sides; changes nothing".to_owned(),
            vec![],
        ),
        step("cutover", ChangeSide::Both, cutover(plan), vec![]),
        step("complete", ChangeSide::Both, complete(plan), vec![]),
    ]);
    steps
}

/// What `apply` does.
fn filling(plan: &MovePlan) -> Vec<PlanStep> {
    use ChangeSide::{Both, Source, Target};
    let script = &plan.script;
    let rows = plan.row_tables().count();
    let bytes = plan.row_tables().map(|table| table.bytes).sum();
    let [forward, back] = [Direction::Forward, Direction::Back].map(|direction| slot(plan, direction));
    let snapshots = match plan.row_tables().filter(|table| table.ranges.is_some()).count() {
        0 => "one snapshot".to_owned(),
        giants => {
            format!("one snapshot ({} in ranges of a key and as many snapshots as it takes)", tables(giants))
        }
    };
    let set = plan.tables.iter().filter_map(|table| table.set_identity.clone());
    let finish = [&script.indexes, &script.foreign_keys, &script.validate, &script.adopt, &script.finish];
    let schema = match &plan.whole {
        Some(whole) => {
            format!("makes roles and what {} has before rows, closed to writers", whole.dumped_by)
        }
        None => format!("makes schema {} and its tables without keys, closed to writers", plan.target_schema),
    };
    let publication = "publishes changes of the tables; sets replica identities where cleave.toml says so";
    vec![
        step("prepare_target", Target, schema, script.prepare.clone()),
        step("prepare_source", Source, publication.to_owned(), set.chain(plan.publication.clone()).collect()),
        step("slot", Source, format!("makes slot {forward}; waits for open transactions to end"), vec![]),
        step(
            "copy",
            Both,
            format!(
                "reads {} in {snapshots}, {}; builds their keys and indexes",
                tables(rows),
                format_bytes(bytes)
            ),
            script.tables.iter().flat_map(|table| builds(table, false)).collect(),
        ),
        step(
            "indexes_and_keys",
            Target,
            "makes foreign keys, triggers, comments and grants".to_owned(),
            script
                .tables
                .iter()
                .flat_map(|table| builds(table, true))
                .chain(finish.into_iter().flatten().cloned())
                .collect(),
        ),
        step(
            "way_back",
            Target,
            format!("makes slot {back}, so that a switch can be rolled back"),
            plan.way_back.clone(),
        ),
    ]
}

/// What is built on a table when its rows are there, or late, when they are all of one age.
fn builds(table: &PlannedIndexes, late: bool) -> Vec<String> {
    let indexes: Vec<_> = table.indexes.iter().filter(|index| index.late == late).collect();
    if indexes.is_empty() {
        return Vec::new();
    }
    let path = format!("set search_path = {}", table.search_path);
    let creates = indexes.iter().map(|index| index.create.clone());
    let constraints = indexes.iter().filter_map(|index| index.constraint.clone());
    std::iter::once(path).chain(creates).chain(constraints).collect()
}

fn step(name: &str, side: ChangeSide, summary: String, sql: Vec<String>) -> PlanStep {
    PlanStep { name: name.to_owned(), summary, side, sql }
}

/// A slot's name but for the number that each move gets of its own.
fn slot(plan: &MovePlan, direction: Direction) -> String {
    match ServiceName::parse(&plan.service) {
        Ok(service) => labels::slot(&service, direction, 0).trim_end_matches('0').to_owned() + "N",
        Err(_) => format!("of service {}", plan.service),
    }
}

fn tables(count: usize) -> String {
    if count == 1 { "1 table".to_owned() } else { format!("{count} tables") }
}

fn cutover(plan: &MovePlan) -> String {
    if plan.whole.is_some() {
        return format!(
            "writers wait, {} becomes the home; in {} they are refused from then on, names stay as they are",
            plan.target, plan.source
        );
    }
    let names = match plan.bridge {
        BridgeKind::Forward => "the old names then read and write the new home",
        BridgeKind::Local => "the old names then read the copy and write the new home",
        BridgeKind::None => "the old names then read the copy; writes to them fail",
    };
    format!("writers wait, {} becomes the home; {names}", plan.target)
}

fn complete(plan: &MovePlan) -> String {
    let old = if plan.whole.is_some() {
        format!("{} stays as it is, fenced", plan.source)
    } else if plan.copy_kept {
        format!("the copy in {}.{} stays and is kept current", plan.source, plan.copy_schema)
    } else {
        format!("the old tables in {} are dropped", plan.source)
    };
    format!("removes the way back, the only step that cannot be undone; {old}")
}

/// All SQL that is known beforehand, with a comment per step. It can be read, not run: `apply` runs it with the copy
/// between.
pub(super) fn sql(plan: &MovePlan) -> String {
    let mut text = format!(
        "-- The move of service {} from {} to {}/{}. `cleave apply` runs these statements; this is for reading.\n",
        plan.service, plan.source, plan.target, plan.target_schema
    );
    for (at, step) in steps(plan).iter().enumerate() {
        let side = match step.side {
            ChangeSide::Source => plan.source.clone(),
            ChangeSide::Target => plan.target.clone(),
            ChangeSide::Both => format!("{} and {}", plan.source, plan.target),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\n-- {}. {} on {side}: {}", at + 1, step.name, step.summary);
        if step.name == "cutover" {
            text.push_str("-- Its statements are made from the catalogs as they are at the cutover.\n");
        }
        for statement in &step.sql {
            let _ = writeln!(text, "{};", statement.trim_end().trim_end_matches(';'));
        }
    }
    text
}
