//! Finds what `[splits.NAME]` names in the catalog, and puts the plan together.

use super::{
    OldName, OrphanRows, PlannedPart, SPLIT_PLAN_VERSION, SplitPlan, SplitScript, findings, joins, script,
};
use crate::{Finding, Name};
use cleave_config::{Config, Orphans, Shared, Split as Wish, SplitBridge};
use cleave_ddl::split::{Part, Reference, Sampled, Split};
use cleave_model::catalog::{Catalog, ForeignKey, Table, TableKind};
use cleave_model::{Ident, QualifiedName};

/// A plan, and the question that is still to be asked about its rows.
#[derive(Clone, Debug)]
pub struct SplitDraft {
    /// The plan, without [`SplitPlan::counts`].
    pub plan: SplitPlan,
    /// Counts all rows; none if nothing can be counted.
    pub count: Option<String>,
    /// Counts about so many percent of them.
    pub count_sample: Option<String>,
}

/// Rows that a sample is made of.
const SAMPLE_ROWS: f64 = 100_000.0;

/// Plans a split against the catalog of its database. What stands against it is in the plan.
pub fn draft_split(config: &Config, wish: &Wish, catalog: &Catalog) -> SplitDraft {
    let mut plan = SplitPlan {
        version: SPLIT_PLAN_VERSION,
        split: wish.name.to_string(),
        database: wish.from.to_string(),
        table: Name::from(&wish.table.value),
        table_oid: 0,
        key: String::new(),
        rows: 0,
        bytes: 0,
        parts: Vec::new(),
        pending: Name::default(),
        shared: wish.shared == Shared::Copy,
        orphans: match &wish.orphans {
            Orphans::Refuse => OrphanRows::Refuse,
            Orphans::Keep => OrphanRows::Keep,
            Orphans::Service(service) => OrphanRows::Service(service.to_string()),
        },
        old_name: match (wish.bridge, &wish.orphans) {
            (SplitBridge::View, _) => OldName::View,
            (SplitBridge::None, Orphans::Keep) => OldName::Rest,
            (SplitBridge::None, _) => OldName::Removed,
        },
        counts: None,
        crossings: Vec::new(),
        findings: Vec::new(),
        script: SplitScript::default(),
    };
    let split = match resolve(config, wish, catalog) {
        Ok(split) => split,
        Err(findings) => {
            plan.findings = findings;
            return SplitDraft { plan, count: None, count_sample: None };
        }
    };
    plan.table_oid = split.table.oid.0;
    plan.key = split.key.as_str().to_owned();
    plan.rows = split.table.rows_estimated;
    plan.bytes = split.table.heap_bytes + split.table.index_bytes;
    plan.pending = Name::from(&split.pending());
    plan.parts = split.parts.iter().map(|part| planned(&split, part)).collect();
    plan.findings = findings::findings(&split, config, wish, catalog);
    let bound = joins::bound(&split, catalog);
    plan.crossings = bound.crossings;
    plan.findings.extend(bound.findings);
    plan.findings.sort_by_key(|finding| std::cmp::Reverse(finding.weight));
    if !plan.is_refused() {
        plan.script = script::script(&split, catalog, plan.old_name);
        plan.script.repoint = bound.repoint;
        plan.script.restore = bound.restore;
    }
    let percent = (SAMPLE_ROWS / (split.table.rows_estimated.max(1) as f64) * 100.0).clamp(0.000_1, 100.0);
    SplitDraft {
        count: Some(cleave_ddl::split::count(&split, Sampled::Exact)),
        count_sample: Some(cleave_ddl::split::count(&split, Sampled::Percent(percent))),
        plan,
    }
}

fn planned(split: &Split<'_>, part: &Part<'_>) -> PlannedPart {
    PlannedPart {
        service: part.service.to_string(),
        place: Name::from(&split.part(part)),
        owner: part.owner.as_str().to_owned(),
        reached_by: part
            .references
            .iter()
            .map(|reference| format!("{}.{}", reference.table, reference.column))
            .collect(),
    }
}

/// The table, its key and the keys that reach it. What cannot be resolved makes every further question moot.
fn resolve<'a>(config: &Config, wish: &'a Wish, catalog: &'a Catalog) -> Result<Split<'a>, Vec<Finding>> {
    let name = &wish.table.value;
    let Some(table) = catalog.table(name) else {
        let message = format!("database {} has no such table", wish.from);
        return Err(vec![
            Finding::refusal("C1140", name, message).fix("correct `table` of the split in cleave.toml"),
        ]);
    };
    let refused = findings::table_kind(table, catalog);
    if !refused.is_empty() {
        return Err(refused);
    }
    let mut refused = Vec::new();
    let mut parts = Vec::new();
    let mut number = 0;
    for target in &wish.into {
        let mut references = Vec::new();
        for reached in &target.reached_by {
            number += 1;
            let from = now(&reached.value.table, config, wish, catalog);
            match reference(&from, &reached.value.column, table, catalog) {
                Ok((table, key)) => references.push(Reference {
                    number,
                    table: &table.name,
                    leaves: leaves(table, catalog),
                    column: &reached.value.column,
                    key,
                }),
                Err(finding) => refused.push(finding),
            }
        }
        parts.push(Part {
            service: &target.service.value,
            schema: &target.schema,
            owner: target.owner.as_ref().unwrap_or(&table.owner),
            references,
        });
    }
    let keys = parts.iter().flat_map(|part| &part.references).map(|reference| reference.key);
    let key = findings::one_key(table, keys.collect(), catalog);
    match (key, refused.is_empty()) {
        (Ok(key), true) => Ok(Split {
            name: &wish.name,
            table,
            key,
            orphans: orphans(wish),
            exclusive: wish.shared == Shared::Refuse,
            parts,
        }),
        (key, _) => {
            refused.extend(key.err());
            Err(refused)
        }
    }
}

fn orphans(wish: &Wish) -> Option<usize> {
    match &wish.orphans {
        Orphans::Service(service) => wish.into.iter().position(|target| target.service.value == *service),
        Orphans::Refuse | Orphans::Keep => None,
    }
}

fn leaves<'a>(table: &'a Table, catalog: &'a Catalog) -> Vec<&'a QualifiedName> {
    if !matches!(table.kind, TableKind::Partitioned(_)) {
        return Vec::new();
    }
    let below = catalog.partitions_of(&table.name);
    below.flat_map(|part| if part.holds_rows() { vec![&part.name] } else { leaves(part, catalog) }).collect()
}

/// What a table of `reached_by` is called now: one file names it by its old name, and a schema move of its service may have
/// given it the new one.
fn now(named: &QualifiedName, config: &Config, wish: &Wish, catalog: &Catalog) -> QualifiedName {
    if catalog.table(named).is_some() {
        return named.clone();
    }
    let moved =
        config.services.iter().filter(|service| service.schema_move.is_some() && service.from == wish.from);
    let claiming = moved.filter(|service| service.tables.iter().any(|pattern| pattern.value.matches(named)));
    let renamed = claiming
        .map(|service| QualifiedName { schema: service.home.value.schema.clone(), name: named.name.clone() });
    renamed.into_iter().find(|name| catalog.table(name).is_some()).unwrap_or_else(|| named.clone())
}

/// The key behind a column of `reached_by`.
fn reference<'a>(
    from: &QualifiedName,
    column: &Ident,
    table: &Table,
    catalog: &'a Catalog,
) -> Result<(&'a Table, &'a ForeignKey), Finding> {
    let object = format!("{from}.{column}");
    let Some(found) = catalog.table(from) else {
        return Err(Finding::refusal("C1143", object, "there is no such table").fix("correct `reached_by`"));
    };
    if found.column(column).is_none() {
        return Err(Finding::refusal("C1143", object, "there is no such column").fix("correct `reached_by`"));
    }
    let mut keys = found.foreign_keys.iter().filter(|key| key.referenced == table.name);
    let Some(key) = keys.find(|key| key.columns.contains(column)) else {
        let message = format!("it is no foreign key to {}", table.name);
        let fix = format!(
            "alter table {} add foreign key ({}) references {} not valid; then validate it",
            from.quoted(),
            column.quoted(),
            table.name.quoted()
        );
        return Err(Finding::refusal("C1143", object, message).fix(fix));
    };
    if key.columns.len() > 1 {
        let message = format!("its key {} has several columns; a split follows keys of one column", key.name);
        return Err(Finding::refusal("C1144", object, message)
            .fix(format!("give {} a key of one column, and refer to that", table.name)));
    }
    Ok((found, key))
}
