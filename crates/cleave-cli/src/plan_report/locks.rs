//! The locks that a move takes, relation by relation. Modes as in the manual, section 13.3.

use super::dotted;
use cleave_api::LockUse;
use cleave_plan::{BridgeKind, MovePlan};

const ACCESS_SHARE: &str = "ACCESS SHARE";
const SHARE_UPDATE_EXCLUSIVE: &str = "SHARE UPDATE EXCLUSIVE";
const SHARE_ROW_EXCLUSIVE: &str = "SHARE ROW EXCLUSIVE";
const ACCESS_EXCLUSIVE: &str = "ACCESS EXCLUSIVE";

/// In the order of the steps.
pub(super) fn locks(plan: &MovePlan) -> Vec<LockUse> {
    let mut locks = Vec::new();
    let moved = || plan.tables.iter().map(|table| dotted(&table.source));
    let homes = || plan.tables.iter().map(|table| dotted(&table.target));
    let source = |step: &'static str, mode: &'static str| lock(&plan.source, step, mode);
    let target = |step: &'static str, mode: &'static str| lock(&plan.target, step, mode);
    let set = plan.tables.iter().filter(|table| table.set_identity.is_some());
    let roots = plan.tables.iter().filter(|table| !table.is_partition);
    locks.extend(set.map(|table| dotted(&table.source)).map(source("prepare_source", ACCESS_EXCLUSIVE)));
    locks.extend(
        roots.map(|table| dotted(&table.source)).map(source("prepare_source", SHARE_UPDATE_EXCLUSIVE)),
    );
    locks.extend(plan.row_tables().map(|table| dotted(&table.source)).map(source("copy", ACCESS_SHARE)));
    if plan.whole.is_some() {
        locks.extend(moved().map(source("cutover", SHARE_ROW_EXCLUSIVE)));
        locks.extend(sequences(plan).map(source("cutover", ACCESS_EXCLUSIVE)));
        locks.extend(homes().map(target("rollback", SHARE_ROW_EXCLUSIVE)));
        locks.extend(sequences(plan).map(target("rollback", ACCESS_EXCLUSIVE)));
        locks.extend(homes().map(target("complete", ACCESS_EXCLUSIVE)));
        return locks;
    }
    let switched: Vec<String> =
        views(plan).chain(referring(plan)).chain(sequences(plan)).chain(moved()).collect();
    locks.extend(switched.iter().cloned().map(source("cutover", ACCESS_EXCLUSIVE)));
    locks.extend(switched.into_iter().map(source("rollback", ACCESS_EXCLUSIVE)));
    locks.extend(homes().map(target("rollback", SHARE_ROW_EXCLUSIVE)));
    locks.extend(homes().map(target("complete", ACCESS_EXCLUSIVE)));
    if !plan.copy_kept {
        locks.extend(moved().map(source("complete", ACCESS_EXCLUSIVE)));
    }
    locks
}

fn lock<'a>(database: &'a str, step: &'static str, mode: &'static str) -> impl Fn(String) -> LockUse + 'a {
    move |object| LockUse {
        database: database.to_owned(),
        object,
        mode: mode.to_owned(),
        step: step.to_owned(),
        length: None,
    }
}

/// Views that are made anew when the tables' names lead elsewhere.
fn views(plan: &MovePlan) -> impl Iterator<Item = String> {
    let views = plan.crossings.iter().filter(|crossing| crossing.kind == "view");
    views.filter(|_| plan.bridge == BridgeKind::Forward).map(|crossing| crossing.object.clone())
}

/// Staying tables with keys into the set, each once.
fn referring(plan: &MovePlan) -> impl Iterator<Item = String> {
    let mut names: Vec<String> = plan.references.iter().map(|reference| dotted(&reference.table)).collect();
    names.sort();
    names.dedup();
    names.into_iter()
}

fn sequences(plan: &MovePlan) -> impl Iterator<Item = String> {
    plan.sequences.iter().map(|sequence| dotted(&sequence.source))
}
