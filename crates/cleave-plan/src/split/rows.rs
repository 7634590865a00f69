//! What the counted rows say.

use super::{OrphanRows, RowCounts, SplitPlan};
use crate::Finding;

/// Puts the counts into the plan, with what follows from them.
pub fn judge_rows(plan: &mut SplitPlan, counts: RowCounts) {
    let table = plan.table.qualified();
    let about = if counts.estimated { "of a sample of " } else { "of " };
    if counts.shared > 0 && !plan.shared {
        let message =
            format!("{} {about}{} rows are reached by several services", counts.shared, counts.rows);
        plan.findings.push(
            Finding::refusal("C1147", &table, message)
                .fix("give each service a row of its own, or set shared = \"copy\""),
        );
    }
    if counts.orphans > 0 && plan.orphans == OrphanRows::Refuse {
        let message = format!("{} {about}{} rows are reached by no service", counts.orphans, counts.rows);
        plan.findings.push(
            Finding::refusal("C1149", &table, message)
                .fix("delete them, set orphans = \"keep\", or name the service that takes them"),
        );
    }
    if counts.estimated {
        let message = format!(
            "rows were counted in a sample of {}; `apply` counts all of them before anything switches",
            counts.rows
        );
        plan.findings.push(Finding::note("C1155", &table, message));
    }
    plan.findings.sort_by_key(|finding| std::cmp::Reverse(finding.weight));
    plan.counts = Some(counts);
}
