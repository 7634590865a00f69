//! The entries of a dump, in the stages of a move: before the copy, with each table's rows, after all rows.

use super::dump::Entry;
use crate::{PlannedIndex, PlannedIndexes, PlannedTable, TargetScript};
use cleave_model::catalog::{Catalog, Table};
use cleave_model::{Ident, quote_ident};
use std::collections::BTreeMap;

/// What stands behind tables' rows in a dump. The first of these ends what comes before them.
const AFTER_ROWS: [&str; 16] = [
    "CONSTRAINT",
    "FK CONSTRAINT",
    "CHECK CONSTRAINT",
    "INDEX",
    "INDEX ATTACH",
    "STATISTICS",
    "RULE",
    "TRIGGER",
    "POLICY",
    "ROW SECURITY",
    "PUBLICATION",
    "PUBLICATION TABLE",
    "PUBLICATION TABLES IN SCHEMA",
    "EVENT TRIGGER",
    "DEFAULT ACL",
    "ACL",
];

/// The statements by stage.
pub(super) struct Stages {
    pub(super) script: TargetScript,
    /// Materialized views in the order of the dump: each after what it reads.
    pub(super) materialized_views: Vec<(String, String)>,
    /// What `cancel` drops.
    pub(super) dropped: Vec<String>,
}

/// Sorts a dump's entries. User mappings are left out, as they hold passwords: the engine carries them without storing
/// them.
pub(super) fn stages(entries: Vec<Entry>, source: &Catalog, tables: &[PlannedTable]) -> Stages {
    let mut stages = Stages {
        script: TargetScript::default(),
        materialized_views: Vec::new(),
        dropped: dropped(&entries),
    };
    let mut own = OwnIndexes::new(source, tables);
    let mut last = Vec::new();
    let mut before = true;
    for entry in entries {
        before &= !AFTER_ROWS.contains(&entry.kind.as_str());
        if entry.kind == "MATERIALIZED VIEW" {
            stages.materialized_views.push((entry.schema.clone(), entry.name.clone()));
        }
        let script = &mut stages.script;
        match entry.kind.as_str() {
            "USER MAPPING" | "SUBSCRIPTION" => {}
            "PUBLICATION" | "PUBLICATION TABLE" | "PUBLICATION TABLES IN SCHEMA" if is_ours(&entry) => {}
            "EVENT TRIGGER" => last.extend(entry.statements),
            _ if before => script.prepare.extend(entry.statements),
            "INDEX" | "CONSTRAINT" => script.indexes.extend(own.take(entry)),
            "INDEX ATTACH" => script.indexes.extend(entry.statements),
            "FK CONSTRAINT" => {
                for statement in entry.statements {
                    let (add, validate) = unchecked(statement);
                    script.foreign_keys.push(add);
                    script.validate.extend(validate);
                }
            }
            _ => script.finish.extend(entry.statements),
        }
    }
    stages.script.finish.extend(last);
    stages.script.tables = own.into_planned();
    stages
}

fn is_ours(entry: &Entry) -> bool {
    entry.name.starts_with("cleave_") || entry.name.contains(" cleave_")
}

/// A key is added without looking at rows, then proven under a lock that writers do not mind. Keys of partitioned tables
/// (without `ONLY`) cannot be had in two steps before 18.
fn unchecked(statement: String) -> (String, Option<String>) {
    let parts =
        statement.strip_prefix("ALTER TABLE ONLY ").and_then(|rest| rest.split_once("ADD CONSTRAINT "));
    let named = parts.and_then(|(table, rest)| Some((table.trim(), rest.split_once(" FOREIGN KEY")?.0)));
    match named {
        Some((table, name)) if !statement.ends_with("NOT VALID") && !statement.ends_with("NOT ENFORCED") => {
            let validate = format!("ALTER TABLE ONLY {table} VALIDATE CONSTRAINT {name}");
            (format!("{statement} NOT VALID"), Some(validate))
        }
        _ => (statement, None),
    }
}

/// Indexes of tables that hold rows, to be built as soon as these are there.
struct OwnIndexes<'c> {
    /// By kind, schema and name as a dump has them.
    known: BTreeMap<(&'static str, String, String), (&'c Table, &'c Ident, u64)>,
    built: BTreeMap<u32, Vec<(u64, PlannedIndex)>>,
}

impl<'c> OwnIndexes<'c> {
    fn new(source: &'c Catalog, tables: &[PlannedTable]) -> Self {
        let oids: std::collections::BTreeSet<u32> =
            tables.iter().filter(|table| table.holds_rows()).map(|table| table.source_oid).collect();
        let mut known = BTreeMap::new();
        for table in source.tables.iter().filter(|table| oids.contains(&table.oid.0)) {
            let schema = table.name.schema.as_str();
            for index in &table.indexes {
                let (kind, name) = match index.constraint {
                    Some(_) => {
                        ("CONSTRAINT", format!("{} {}", table.name.name.as_str(), index.name.as_str()))
                    }
                    None => ("INDEX", index.name.as_str().to_owned()),
                };
                known.insert((kind, schema.to_owned(), name), (table, &index.name, index.bytes));
            }
        }
        Self { known, built: BTreeMap::new() }
    }

    /// Keeps an entry; gives back the statements of one that belongs to no table with rows.
    fn take(&mut self, entry: Entry) -> Vec<String> {
        let kind = if entry.kind == "INDEX" { "INDEX" } else { "CONSTRAINT" };
        let found = self.known.get(&(kind, entry.schema.clone(), entry.name.clone()));
        let Some((table, name, bytes)) = found else { return entry.statements };
        let create = entry.statements.join(";\n");
        let index = PlannedIndex { name: name.as_str().to_owned(), create, constraint: None, late: false };
        self.built.entry(table.oid.0).or_default().push((*bytes, index));
        Vec::new()
    }

    fn into_planned(self) -> Vec<PlannedIndexes> {
        let planned = self.built.into_iter().map(|(source_oid, mut indexes)| {
            indexes.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
            let indexes = indexes.into_iter().map(|(_, index)| index).collect();
            PlannedIndexes { source_oid, search_path: "pg_catalog".to_owned(), indexes }
        });
        planned.collect()
    }
}

/// The objects that do not go with a schema, and the schemas, last made first.
fn dropped(entries: &[Entry]) -> Vec<String> {
    let mut dropped: Vec<String> = Vec::new();
    for entry in entries.iter().rev() {
        let kind = match entry.kind.as_str() {
            "EVENT TRIGGER" => "event trigger",
            "PUBLICATION" if !is_ours(entry) => "publication",
            "SERVER" => "server",
            "FOREIGN DATA WRAPPER" => "foreign data wrapper",
            "PROCEDURAL LANGUAGE" => "language",
            "ACCESS METHOD" => "access method",
            "EXTENSION" => "extension",
            "SCHEMA" if entry.name != "public" => "schema",
            _ => continue,
        };
        dropped.push(format!("drop {kind} if exists {} cascade", quote_ident(&entry.name)));
    }
    dropped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_first_and_proven_later_where_that_is_possible() {
        let add = "ALTER TABLE ONLY public.film\n    ADD CONSTRAINT \"a b\" FOREIGN KEY (x) REFERENCES public.language(id)";
        let (first, then) = unchecked(add.to_owned());
        assert_eq!(first, format!("{add} NOT VALID"));
        assert_eq!(then.as_deref(), Some("ALTER TABLE ONLY public.film VALIDATE CONSTRAINT \"a b\""));
        for whole in [format!("{add} NOT VALID"), add.replace("ONLY ", "")] {
            assert_eq!(unchecked(whole.clone()), (whole, None));
        }
    }

    #[test]
    fn statements_come_in_the_stages_of_a_move() {
        let entry = |kind: &str, name: &str, statement: &str| Entry {
            kind: kind.into(),
            schema: "public".into(),
            name: name.into(),
            statements: vec![statement.into()],
        };
        let entries = vec![
            entry("EXTENSION", "hstore", "create extension"),
            entry("TABLE", "film", "create table"),
            entry("USER MAPPING", "USER MAPPING app SERVER x", "with a password"),
            entry("CONSTRAINT", "film film_pkey", "a key of a table that is not planned"),
            entry("VIEW", "late", "create view that needs the key"),
            entry("EVENT TRIGGER", "guard", "create event trigger"),
            entry("PUBLICATION TABLE", "cleave_upgrade_forward film", "ours"),
            entry("ACL", "TABLE film", "grant"),
        ];
        let source = crate::scope::sample::Sample::with([]).source;
        let stages = stages(entries, &source, &[]);
        let script = stages.script;
        assert_eq!(script.prepare, ["create extension", "create table"]);
        assert_eq!(script.indexes, ["a key of a table that is not planned"]);
        assert_eq!(script.finish, ["create view that needs the key", "grant", "create event trigger"]);
        assert_eq!(
            stages.dropped,
            ["drop event trigger if exists \"guard\" cascade", "drop extension if exists \"hstore\" cascade"]
        );
    }
}
