//! What a bare name of the table means to sessions once its parts are there.

use super::SplitPlan;
use crate::{Finding, Weight};
use cleave_model::workload::Workload;
use cleave_sql::parse_search_path;

const CODE: &str = "C1167";

/// Roles that a warning names.
const ROLES_NAMED: usize = 5;

/// Warns of every `search_path` that finds a part before the table: of all roles without a role, else of that one. A bare
/// name meets the part from `apply` on, which refuses writes before the cutover.
pub fn judge_paths<'p>(plan: &mut SplitPlan, paths: impl Iterator<Item = (Option<&'p str>, &'p str)>) {
    let table = plan.table.qualified();
    let parts: Vec<_> = plan.parts.iter().map(|part| part.place.qualified()).collect();
    let hides = |role: Option<&str>, path: &str| {
        let found = parse_search_path(path, role).into_iter().find(|schema| {
            *schema == table.schema
                || parts.iter().any(|part| part.schema == *schema && part.name == table.name)
        });
        found.is_some_and(|schema| schema != table.schema)
    };
    let hidden: Vec<String> = paths
        .filter(|(role, path)| hides(*role, path))
        .map(|(role, _)| role.map_or_else(|| "every role without its own".to_owned(), str::to_owned))
        .collect();
    if hidden.is_empty() {
        return;
    }
    let mut named = hidden.iter().take(ROLES_NAMED).cloned().collect::<Vec<_>>().join(", ");
    if hidden.len() > ROLES_NAMED {
        named.push_str(&format!(" and {} more", hidden.len() - ROLES_NAMED));
    }
    let message = format!(
        "the search_path of {named} has a part's schema first: from `apply` on the bare name is the part, which refuses \
         writes before the cutover and has its service's rows only"
    );
    plan.findings.push(
        Finding::warning(CODE, &table, message)
            .fix(format!("let statements write {}, or split before the schemas are moved", table.quoted())),
    );
    plan.findings.sort_by_key(|finding| std::cmp::Reverse(finding.weight));
}

/// True if some session's bare name would mean a part.
pub fn hides_bare_names(plan: &SplitPlan) -> bool {
    plan.findings.iter().any(|finding| finding.code == CODE)
}

/// Refuses the split where a search path hides the table and statements are known that name it without its schema.
pub fn judge_bare_names(plan: &mut SplitPlan, workload: &Workload) {
    let table = plan.table.qualified();
    let names_bare = |used: &&cleave_model::workload::Statement| {
        used.tables.iter().any(|used| used.table == table && !used.qualified)
    };
    let mut bare: Vec<_> = workload.statements.iter().filter(names_bare).collect();
    bare.sort_by(|a, b| (b.calls, &a.text).cmp(&(a.calls, &b.text)));
    let Some(first) = bare.first() else { return };
    let Some(finding) = plan.findings.iter_mut().find(|finding| finding.code == CODE) else { return };
    finding.weight = Weight::Refusal;
    finding.message.push_str(&format!(
        "; {} known statements name it without its schema, first: {}",
        bare.len(),
        first.text
    ));
    let forget = "`select pg_stat_statements_reset()` forgets those that are no longer sent";
    finding.fix = finding.fix.take().map(|fix| format!("{fix}; {forget}"));
    plan.findings.sort_by_key(|finding| std::cmp::Reverse(finding.weight));
}
