//! What tables get after the copy, besides keys: checks never validated, triggers, statistics, policies, comments.

use super::function::{routine, signature};
use super::target::{Script, Target};
use crate::carry::{Carried, text_is_ours};
use crate::text::{list, split_schema};
use cleave_model::catalog::{ConstraintKind, Table, TableKind, TriggerFiring, TypeKind};
use cleave_model::{Ident, quote_literal};

/// Checks that were never validated, as they stand: the copied rows need not pass them.
pub fn late_checks(carried: &Carried<'_>, target: &Target<'_>) -> Vec<String> {
    let mut script = Script::new(target);
    for user_type in carried.types() {
        let TypeKind::Domain { checks, .. } = &user_type.kind else { continue };
        script.enter(&user_type.name.schema);
        for (name, definition) in checks.iter().filter(|(_, definition)| definition.ends_with("NOT VALID")) {
            let place = script.place(&user_type.name);
            script.push(format!("alter domain {place} add constraint {} {definition}", name.quoted()));
        }
    }
    for table in &carried.tables {
        script.enter(&table.name.schema);
        let checks = table.constraints.iter().filter(|c| c.kind == ConstraintKind::Check && !c.validated);
        for check in checks.filter(|check| !check.inherited) {
            let place = script.place(&table.name);
            script.push(format!(
                "alter table {place} add constraint {} {}",
                check.name.quoted(),
                check.definition
            ));
        }
    }
    script.finish()
}

/// Users' triggers, enabled as they are at the source. A row trigger of a partitioned table makes its partitions' own.
pub fn triggers(carried: &Carried<'_>, target: &Target<'_>) -> Vec<String> {
    let mut script = Script::new(target);
    for table in &carried.tables {
        script.enter(&table.name.schema);
        let own = table.triggers.iter().filter(|trigger| !trigger.inherited && !text_is_ours(&trigger.name));
        for trigger in own {
            script.push(trigger.definition.clone());
            if trigger.firing == TriggerFiring::Disabled {
                let place = script.place(&table.name);
                script.push(format!("alter table {place} disable trigger {}", trigger.name.quoted()));
            }
        }
    }
    script.finish()
}

/// Extended statistics.
pub fn statistics(carried: &Carried<'_>, target: &Target<'_>) -> Vec<String> {
    let mut script = Script::new(target);
    for table in &carried.tables {
        script.enter(&table.name.schema);
        for object in &table.statistics {
            let stripped = object.definition.strip_prefix("CREATE STATISTICS ").and_then(split_schema);
            if let Some((_, rest)) = stripped {
                // Beside its table, wherever it stood: it belongs to nothing else.
                let schema = script.target.place(&table.name).schema.quoted();
                script.push(format!("CREATE STATISTICS {schema}.{rest}"));
            }
        }
    }
    script.finish()
}

/// Row-level security. Roles that a policy names must exist.
pub fn policies(carried: &Carried<'_>, target: &Target<'_>) -> Vec<String> {
    let mut script = Script::new(target);
    for table in &carried.tables {
        script.enter(&table.name.schema);
        let place = script.place(&table.name);
        for policy in &table.policies {
            let roles = if policy.roles.is_empty() { "public".to_owned() } else { list(&policy.roles) };
            let clause = |word: &str, text: &Option<String>| {
                text.as_ref().map(|text| format!(" {word} ({text})")).unwrap_or_default()
            };
            script.push(format!(
                "create policy {} on {place} as {} for {} to {roles}{}{}",
                policy.name.quoted(),
                if policy.permissive { "permissive" } else { "restrictive" },
                policy.command.to_lowercase(),
                clause("using", &policy.using),
                clause("with check", &policy.check),
            ));
        }
        if table.row_security.0 {
            script.push(format!("alter table only {place} enable row level security"));
        }
        if table.row_security.1 {
            script.push(format!("alter table only {place} force row level security"));
        }
    }
    script.finish()
}

/// Comments on all that was made. The last of the stages: it names what the others make.
pub fn comments(carried: &Carried<'_>, target: &Target<'_>) -> Vec<String> {
    let mut script = Script::new(target);
    let comment = |script: &mut Script<'_>, object: String, text: &Option<String>| {
        if let Some(text) = text {
            script.push(format!("comment on {object} is {}", quote_literal(text)));
        }
    };
    for user_type in carried.types() {
        let word = if matches!(user_type.kind, TypeKind::Domain { .. }) { "domain" } else { "type" };
        let object = format!("{word} {}", script.place(&user_type.name));
        comment(&mut script, object, &user_type.comment);
    }
    for function in carried.functions() {
        script.enter(&function.name.schema);
        let object = format!("{} {}", routine(function.kind), signature(&script, function));
        comment(&mut script, object, &function.comment);
    }
    for sequence in &carried.sequences {
        let object = format!("sequence {}", script.place(&sequence.name));
        comment(&mut script, object, &sequence.comment);
    }
    for table in &carried.tables {
        for (object, text) in table_comments(&script, table, carried) {
            comment(&mut script, object, text);
        }
    }
    script.finish()
}

fn table_comments<'a>(
    script: &Script<'_>,
    table: &'a Table,
    carried: &Carried<'_>,
) -> Vec<(String, &'a Option<String>)> {
    let place = script.place(&table.name);
    let schema = script.target.place(&table.name).schema;
    let on = |word: &str, name: &Ident| format!("{word} {} on {place}", name.quoted());
    let mut found = vec![(format!("table {place}"), &table.comment)];
    found.extend(table.columns.iter().map(|c| (format!("column {place}.{}", c.name.quoted()), &c.comment)));
    let constraints = table.constraints.iter().filter(|c| c.kind != ConstraintKind::Trigger);
    found.extend(constraints.map(|c| (on("constraint", &c.name), &c.comment)));
    let keys = table.foreign_keys.iter().filter(|key| carried.has_table(&key.referenced));
    found.extend(keys.map(|key| (on("constraint", &key.name), &key.comment)));
    let valid = table.indexes.iter().filter(|i| i.valid || matches!(table.kind, TableKind::Partitioned(_)));
    found.extend(valid.map(|i| (format!("index {}.{}", schema.quoted(), i.name.quoted()), &i.comment)));
    let triggers = table.triggers.iter().filter(|trigger| !text_is_ours(&trigger.name));
    found.extend(triggers.map(|trigger| (on("trigger", &trigger.name), &trigger.comment)));
    found
}
