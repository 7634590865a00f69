//! What stands against a split, by object, with the reason and the way out.

use crate::Finding;
use cleave_config::{Config, Split as Wish};
use cleave_ddl::split::{Reference, Split};
use cleave_model::catalog::{
    Catalog, Column, ConstraintKind, ForeignKey, Function, Persistence, Table, TableKind, TypeKind,
};
use cleave_model::workload::{StatementTrait, Workload};
use cleave_model::{Ident, QualifiedName, labels};
use cleave_sql::{Resolver, read_function};

/// Above this, a look at a column without an index for each change of a row would stop the application.
const ROWS_WITHOUT_INDEX_MAX: u64 = 10_000;

/// Objects with smaller OIDs are the server's own (`FirstNormalObjectId`).
const FIRST_USER_OID: u32 = 16_384;

/// Shapes of tables that are not split.
pub(super) fn table_kind(table: &Table, catalog: &Catalog) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut refuse = |code: &str, message: &str, fix: &str| {
        found.push(Finding::refusal(code, &table.name, message).fix(fix));
    };
    match &table.kind {
        TableKind::Ordinary => {}
        TableKind::Partitioned(_) => {
            refuse(
                "C1141",
                "it is partitioned",
                "split its rows by partition: attach each service's rows to a partition of their own and move that",
            );
        }
        TableKind::Foreign => refuse("C1141", "it is a foreign table", "split the table where it lives"),
    }
    if table.partition_of.is_some() {
        refuse("C1141", "it is a partition of another table", "detach it first");
    }
    let children = catalog.tables.iter().any(|other| other.inherits.contains(&table.name));
    if !table.inherits.is_empty() || children {
        refuse(
            "C1141",
            "it takes part in inheritance",
            "end the inheritance (`alter table ... no inherit ...`)",
        );
    }
    if table.persistence == Persistence::Unlogged {
        refuse("C1141", "it is unlogged", "make it logged (`alter table ... set logged`) where it is small");
    }
    if table.of_type.is_some() {
        refuse("C1141", "it is a table of a composite type", "`alter table ... not of`");
    }
    if table.row_security.0 {
        refuse(
            "C1150",
            "it has row-level security, whose policies would decide over rows that are passed on",
            "split it before policies are put on it, and give each part its own",
        );
    }
    if !table.rules.is_empty() {
        refuse("C1151", "it has rewrite rules", "replace them by triggers");
    }
    for trigger in table.constraints.iter().filter(|constraint| constraint.kind == ConstraintKind::Trigger) {
        let message = format!(
            "constraint trigger {} on {} cannot be told apart from a row that is passed on",
            trigger.name, table.name
        );
        found.push(Finding::refusal("C1151", &table.name, message).fix("make it an ordinary trigger"));
    }
    found
}

/// The one column that all references lead to, and that tells rows apart.
pub(super) fn one_key<'a>(
    table: &'a Table,
    keys: Vec<&ForeignKey>,
    catalog: &Catalog,
) -> Result<&'a Ident, Finding> {
    let single: Vec<&Ident> = keys
        .iter()
        .filter(|key| key.referenced_columns.len() == 1)
        .map(|key| &key.referenced_columns[0])
        .collect();
    let Some(first) = single.first() else {
        let message = "no key of one column leads to it";
        return Err(Finding::refusal("C1142", &table.name, message)
            .fix("add a primary key of one column, and foreign keys to it"));
    };
    if let Some(other) = single.iter().find(|other| *other != first) {
        let message = format!("its references lead to different columns, {first} and {other}");
        return Err(
            Finding::refusal("C1144", &table.name, message).fix(format!("let all of them refer to {first}"))
        );
    }
    let unique = table
        .indexes
        .iter()
        .any(|index| index.unique && index.valid && index.columns.len() == 1 && index.columns[0] == **first);
    let Some(column) = table.columns.iter().find(|column| column.name == **first).filter(|_| unique) else {
        let message = format!("column {first} has no valid unique index");
        return Err(Finding::refusal("C1142", &table.name, message).fix("reindex it, or make one"));
    };
    if !column.not_null {
        let message = format!("column {first} may be null");
        let fix = format!("alter table {} alter column {} set not null", table.name.quoted(), first.quoted());
        return Err(Finding::refusal("C1142", &table.name, message).fix(fix));
    }
    let own_type = column.user_type.and_then(|oid| catalog.type_by_oid(oid));
    let of_extension = column.type_oid.0 >= FIRST_USER_OID && column.user_type.is_none();
    if of_extension
        || own_type.is_some_and(|own| !matches!(own.kind, TypeKind::Domain { .. } | TypeKind::Enum(_)))
    {
        let message =
            format!("column {first} is {}, whose comparison is not the server's own", column.type_name);
        return Err(Finding::refusal("C1144", &table.name, message)
            .fix("refer to a column of a built-in type, a domain or an enum"));
    }
    for key in keys {
        disagreeing(table, column, key, catalog)?;
    }
    Ok(&column.name)
}

/// A key may join columns of different types; rows are looked up by it in both directions.
fn disagreeing(table: &Table, column: &Column, key: &ForeignKey, catalog: &Catalog) -> Result<(), Finding> {
    let owners =
        catalog.tables.iter().filter(|other| other.foreign_keys.iter().any(|own| std::ptr::eq(own, key)));
    for owner in owners {
        let Some(own) = key.columns.first().and_then(|name| owner.column(name)) else { continue };
        if own.type_oid != column.type_oid {
            let object = format!("{}.{}", owner.name, own.name);
            let message = format!(
                "it is {} and {}.{} is {}: a split follows keys of one type",
                own.type_name, table.name, column.name, column.type_name
            );
            return Err(Finding::refusal("C1144", object, message).fix(format!(
                "alter table {} alter column {} type {}; it rewrites the table",
                owner.name.quoted(),
                own.name.quoted(),
                column.type_name
            )));
        }
    }
    Ok(())
}

/// Everything about the table's surroundings.
pub(super) fn findings(split: &Split<'_>, config: &Config, wish: &Wish, catalog: &Catalog) -> Vec<Finding> {
    let mut found = incoming(split, catalog);
    found.extend(split.references().filter_map(|(_, reference)| unindexed(reference, catalog)));
    found.extend(collisions(split, catalog));
    found.extend(owners(split, catalog));
    found.extend(rights(split, catalog));
    found.extend(claimed(split, config, wish));
    found.extend(replication(split, catalog));
    found.extend(split.table.triggers.iter().filter_map(|trigger| fires_once(split, trigger, catalog)));
    let bytes = split.table.heap_bytes + split.table.index_bytes;
    let message = format!(
        "until `complete` its rows stand in the table and in its parts: about {} more are needed, and each change of a \
         row is written twice",
        cleave_model::format_bytes(bytes)
    );
    found.push(Finding::note("C1165", &split.table.name, message));
    found
}

/// Keys to the table that no `into` names would break at the end.
fn incoming(split: &Split<'_>, catalog: &Catalog) -> Vec<Finding> {
    let mut found = Vec::new();
    for table in &catalog.tables {
        for key in table.foreign_keys.iter().filter(|key| key.referenced == split.table.name) {
            let known = split
                .references()
                .any(|(_, reference)| *reference.table == table.name && reference.key.name == key.name);
            if known {
                continue;
            }
            let columns: Vec<String> = key.columns.iter().map(ToString::to_string).collect();
            let object = format!("{} on {}", key.name, table.name);
            let finding = if table.name == split.table.name {
                Finding::refusal(
                    "C1145",
                    object,
                    "the table refers to itself: rows of one service may refer to rows of another",
                )
                .fix("drop the key; rows that refer to each other cannot be divided by it")
            } else {
                let message =
                    format!("it leads to {}, and no part of the split is reached by it", split.table.name);
                Finding::refusal("C1145", object, message).fix(format!(
                    "add \"{}.{}\" to the `reached_by` of the service that owns {}",
                    table.name,
                    columns.join(", "),
                    table.name
                ))
            };
            found.push(finding);
        }
    }
    found
}

fn unindexed(reference: &Reference<'_>, catalog: &Catalog) -> Option<Finding> {
    let table = catalog.table(reference.table)?;
    let indexed = |table: &Table| {
        table.indexes.iter().any(|index| {
            index.valid
                && index.columns.first() == Some(reference.column)
                && !index.definition.contains(" WHERE ")
        })
    };
    if indexed(table) {
        return None;
    }
    let rows = if table.holds_rows() {
        table.rows_estimated
    } else {
        catalog
            .tables
            .iter()
            .filter(|leaf| reference.leaves.contains(&&leaf.name))
            .map(|leaf| leaf.rows_estimated)
            .sum()
    };
    let object = format!("{}.{}", reference.table, reference.column);
    let fix =
        format!("create index concurrently on {} ({})", reference.table.quoted(), reference.column.quoted());
    let message = "it has no index, and is looked at whenever a row of the split table changes";
    Some(if rows > ROWS_WITHOUT_INDEX_MAX {
        Finding::refusal("C1146", object, message).fix(fix)
    } else {
        Finding::warning("C1146", object, message).fix(fix)
    })
}

/// What stands already where a part, its type, an index or a sequence is to be.
fn collisions(split: &Split<'_>, catalog: &Catalog) -> Vec<Finding> {
    let mut found = Vec::new();
    let own = [split.table.name.name.clone()];
    let names = own.iter().chain(split.table.indexes.iter().map(|index| &index.name));
    let sequences = catalog.sequences.iter().filter(|sequence| {
        sequence.owner_column.as_ref().is_some_and(|owner| owner.table == split.table.oid)
    });
    let names: Vec<&Ident> = names.chain(sequences.map(|sequence| &sequence.name.name)).collect();
    for part in &split.parts {
        for name in &names {
            let place = QualifiedName { schema: part.schema.clone(), name: (*name).clone() };
            let kind = [
                ("a table", catalog.tables.iter().any(|table| table.name == place)),
                ("a view", catalog.views.iter().any(|view| view.name == place)),
                ("a sequence", catalog.sequences.iter().any(|sequence| sequence.name == place)),
                ("a type", catalog.types.iter().any(|kind| kind.name == place)),
                (
                    "an index",
                    catalog.tables.iter().any(|table| {
                        table.name.schema == *part.schema
                            && table.indexes.iter().any(|index| index.name == **name)
                    }),
                ),
            ];
            if let Some((kind, _)) = kind.iter().find(|(_, there)| *there) {
                let message = format!(
                    "{kind} has the name that a part of {} or what belongs to it would have",
                    split.table.name
                );
                found.push(
                    Finding::refusal("C1148", &place, message)
                        .fix("rename it, or give the service another schema as home"),
                );
            }
        }
    }
    let schema = labels::split_schema(split.name);
    if catalog.schemas.iter().any(|known| known.name == schema) {
        let message = "a schema of this name is there already, and an earlier run of this split would have removed its own";
        found.push(Finding::refusal("C1148", schema, message).fix("look what is in it, and drop it"));
    }
    found
}

fn owners(split: &Split<'_>, catalog: &Catalog) -> Vec<Finding> {
    let missing =
        split.parts.iter().filter(|part| !catalog.roles.iter().any(|role| role.name == *part.owner));
    missing
        .map(|part| {
            let message = format!("it is to own the part of service {}, and does not exist", part.service);
            Finding::refusal("C1163", format!("role {}", part.owner), message)
                .fix(format!("create role {}", part.owner.quoted()))
        })
        .collect()
}

/// Keys, triggers and indexes are made by who owns their tables.
fn rights(split: &Split<'_>, catalog: &Catalog) -> Option<Finding> {
    if catalog.facts.superuser {
        return None;
    }
    let tables = split.references().map(|(_, reference)| reference.table).chain([&split.table.name]);
    let foreign: Vec<&Table> = tables
        .filter_map(|name| catalog.table(name))
        .filter(|table| table.owner.as_str() != catalog.facts.role)
        .collect();
    let first = foreign.first()?;
    let message = format!(
        "role {} works on it as one who has the owner's rights; the server will refuse what it has no right to",
        catalog.facts.role
    );
    Some(Finding::warning("C1154", &first.name, message).fix(format!(
        "grant {} to {}",
        first.owner.quoted(),
        Ident::new(catalog.facts.role.as_str()).quoted()
    )))
}

/// A pattern of a service would take the table as a whole.
fn claimed(split: &Split<'_>, config: &Config, wish: &Wish) -> Vec<Finding> {
    let services = config.services.iter().filter(|service| service.from == wish.from);
    services
        .filter(|service| service.tables.iter().any(|pattern| pattern.value.matches(&split.table.name)))
        .map(|service| {
            let message = format!("service {} claims it with a pattern, and it is split", service.name);
            Finding::refusal("C1164", &split.table.name, message)
                .fix(format!("name the tables of service {} one by one", service.name))
        })
        .collect()
}

fn replication(split: &Split<'_>, catalog: &Catalog) -> Vec<Finding> {
    let mut found = Vec::new();
    let references = split.references().map(|(_, reference)| reference.table);
    for table in references.chain([&split.table.name]) {
        for subscription in
            catalog.subscriptions.iter().filter(|subscription| subscription.tables.contains(table))
        {
            let message =
                format!("subscription {} writes to it: its rows have another home", subscription.name);
            found.push(
                Finding::refusal("C1152", table, message)
                    .fix("end the subscription, or split the table where it is written"),
            );
        }
    }
    for publication in &catalog.publications {
        if publication.all_tables || publication.tables.contains(&split.table.name) {
            let message = format!(
                "publication {} has it: followers get every change until `complete`, and afterwards only what the \
                 parts are published with",
                publication.name
            );
            let parts: Vec<String> = split.parts.iter().map(|part| split.part(part).quoted()).collect();
            let finding = Finding::warning("C1152", &split.table.name, message);
            found.push(if publication.all_tables {
                finding
            } else {
                finding.fix(format!(
                    "alter publication {} add table {}",
                    publication.name.quoted(),
                    parts.join(", ")
                ))
            });
        }
    }
    found
}

/// A trigger fires where a client writes, and not where the row is passed on.
fn fires_once(
    split: &Split<'_>,
    trigger: &cleave_model::catalog::Trigger,
    catalog: &Catalog,
) -> Option<Finding> {
    if trigger.name.as_str().starts_with(labels::TRIGGER_PREFIX) {
        return None;
    }
    let object = format!("trigger {} on {}", trigger.name, split.table.name);
    let function: Option<&Function> = catalog.function_by_oid(trigger.function);
    let schema = &split.table.name.schema;
    let resolver = Resolver::new(catalog, &[schema.clone(), Ident::from("public")]);
    let read = function.map(|function| read_function(function, catalog, &resolver));
    let writes = read.is_some_and(|read| {
        let seen = read.is_certain() && read.read.unknown.is_empty();
        !seen || read.read.tables.iter().any(|used| used.writes)
    });
    if writes {
        let message = "it writes to other tables, or may: it fires once for each change, on the table or the part that the client \
                       has written to, and TG_TABLE_SCHEMA tells which";
        return Some(Finding::warning("C1153", object, message));
    }
    Some(Finding::note(
        "C1153",
        object,
        "each part gets it; for each change it fires once, where the client has written",
    ))
}

/// Statements that work until `complete`, and not on what is left under the old name then.
pub fn statements(table: &QualifiedName, workload: &Workload) -> Vec<Finding> {
    let mut found = Vec::new();
    for statement in &workload.statements {
        if !statement.tables.iter().any(|used| used.table == *table) {
            continue;
        }
        let what = [
            (StatementTrait::OnConflictColumns, "ON CONFLICT"),
            (StatementTrait::OnConflictConstraint, "ON CONFLICT ON CONSTRAINT"),
            (StatementTrait::RowLock, "FOR UPDATE or FOR SHARE"),
            (StatementTrait::Merge, "MERGE"),
            (StatementTrait::Truncate, "TRUNCATE"),
            (StatementTrait::CurrentOf, "WHERE CURRENT OF"),
            (StatementTrait::SystemColumn, "a system column"),
        ];
        let what: Vec<&str> =
            what.iter().filter(|(kind, _)| statement.traits.contains(kind)).map(|(_, word)| *word).collect();
        if what.is_empty() {
            continue;
        }
        let message = format!(
            "{} on {} ({} calls): it works until `complete`, and not through what is left under the old name",
            what.join(", "),
            table,
            statement.calls
        );
        found.push(
            Finding::warning("C1157", format!("statement {}", statement.id), message)
                .fix(statement.text.clone()),
        );
    }
    found
}
