//! The parts: tables with the columns, defaults, keys, indexes, triggers and privileges of the table they come from.

use super::Split;
use super::triggers::guarded;
use crate::carry::Carried;
use crate::create::{self, Target};
use cleave_model::catalog::{Role, Table};
use cleave_model::{Ident, QualifiedName, labels};

/// Statements of one transaction that makes the split's schema, the pending part and all parts, with every index: an index
/// that is built on an empty table keeps no writer waiting. They leave `search_path` changed.
pub fn create_parts(
    split: &Split<'_>,
    sequence_of: impl Fn(&Ident) -> Option<QualifiedName>,
    roles: &[Role],
) -> Vec<String> {
    let own = labels::split_schema(split.name);
    let mut statements = vec![format!("create schema {}", own.quoted())];
    let table = shared_sequences(split.table, sequence_of);
    let mut plain = table.clone();
    // Nobody writes to the pending part but the triggers, which write what has passed the table's own triggers.
    plain.triggers.clear();
    plain.grants.clear();
    plain.columns.iter_mut().for_each(|column| column.grants.clear());
    statements.extend(one(&plain, &own, roles));
    let mut guarded_table = table;
    for trigger in &mut guarded_table.triggers {
        trigger.definition = guarded(trigger, split.key, &labels::split_down(split.name));
    }
    for part in &split.parts {
        statements.push(format!("create schema if not exists {}", part.schema.quoted()));
        statements.extend(one(&guarded_table, part.schema, roles));
        let (owner, place) = (part.owner.quoted(), split.part(part).quoted());
        let mut old_owner_grants = Vec::new();
        if *part.owner != split.table.owner {
            statements.push(format!("grant usage, create on schema {} to {owner}", part.schema.quoted()));
            // Views and functions of the table's owner read the part from the switch on.
            let old_owner = split.table.owner.quoted();
            statements.push(format!("grant usage on schema {} to {old_owner}", part.schema.quoted()));
            old_owner_grants.push(format!("grant all on table {place} to {old_owner}"));
            for sequence in sequences(&guarded_table) {
                statements.push(format!("grant usage, select on sequence {sequence} to {owner}"));
            }
        }
        statements.push(format!("alter table {place} owner to {owner}"));
        statements.extend(old_owner_grants);
    }
    statements.push("set search_path = ''".to_owned());
    statements
}

/// Until `complete` all parts draw from the table's sequences: there is one space of keys. An identity column's sequence
/// belongs to the table's column alone, so the parts have it as a default.
fn shared_sequences(table: &Table, sequence_of: impl Fn(&Ident) -> Option<QualifiedName>) -> Table {
    let mut table = table.clone();
    for column in &mut table.columns {
        if column.identity.take().is_some()
            && let Some(sequence) = sequence_of(&column.name)
        {
            column.default = Some(default_of(&sequence));
        }
    }
    table
}

/// `nextval('"public"."film_id_seq"'::regclass)`.
pub(super) fn default_of(sequence: &QualifiedName) -> String {
    format!("pg_catalog.nextval({}::pg_catalog.regclass)", cleave_model::quote_literal(&sequence.quoted()))
}

/// The sequences behind the defaults that [`shared_sequences`] has written.
fn sequences(table: &Table) -> Vec<String> {
    let defaults = table.columns.iter().filter_map(|column| column.default.as_deref());
    defaults
        .filter_map(|default| {
            let name =
                default.strip_prefix("pg_catalog.nextval('")?.strip_suffix("'::pg_catalog.regclass)")?;
            Some(name.replace("''", "'"))
        })
        .collect()
}

fn one(table: &Table, schema: &Ident, roles: &[Role]) -> Vec<String> {
    let carried = Carried { tables: vec![table], ..Carried::default() };
    let extra = [table.name.schema.clone()];
    let target = Target { source_schema: &table.name.schema, schema, extra_path: &extra };
    let mut statements = create::first(&carried, &target);
    for indexes in create::table_indexes(&carried, &target) {
        statements.push(format!("set search_path = {}", indexes.search_path));
        for index in indexes.indexes {
            statements.push(index.create);
            statements.extend(index.constraint);
        }
    }
    statements.extend(create::indexes(&carried, &target));
    statements.extend(create::late_checks(&carried, &target));
    statements.extend(outgoing(table, schema));
    statements.extend(create::triggers(&carried, &target));
    statements.extend(create::statistics(&carried, &target));
    statements.extend(create::comments(&carried, &target));
    statements.extend(create::grants(&carried, &target, roles).statements);
    statements
}

/// The table's keys to others; an empty table needs no second step.
fn outgoing(table: &Table, schema: &Ident) -> Vec<String> {
    let place = table.name.in_schema(schema).quoted();
    let keys = table.foreign_keys.iter().map(|key| {
        let definition = create::fk_definition(key, &key.referenced);
        format!("alter table {place} add constraint {} {definition}", key.name.quoted())
    });
    keys.collect()
}

/// Takes back [`create_parts`], once the triggers are gone. Schemas that hold something else stay.
pub fn drop_parts(split: &Split<'_>) -> Vec<String> {
    let mut statements: Vec<String> = split
        .parts
        .iter()
        .map(|part| format!("drop table if exists {}", split.part(part).quoted()))
        .collect();
    statements.push(format!("drop schema if exists {} cascade", labels::split_schema(split.name).quoted()));
    statements
}
