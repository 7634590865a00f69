//! Keys between tables that move and tables that stay, watched by triggers once the two are in different databases.
//!
//! A foreign key from a staying table into a moved one becomes two things: a **check** on the staying table, which
//! looks in the copy and then at the home, and a **guard** on the copy, which notes in `cleave.work` what the home has
//! taken away from under a reference.

use crate::carry::Carried;
use crate::create::{ForeignKeySql, fk_definition, fk_leaves, foreign_key};
use crate::text::{dollar, list, split_schema};
use cleave_model::catalog::{Catalog, ForeignKey, ReferentialAction, Table};
use cleave_model::labels::{
    CLEAVE_SCHEMA, reference_check_function, reference_guard_function, reference_trigger,
};
use cleave_model::{Ident, QualifiedName, ServiceName, quote_literal};

/// `FirstNormalObjectId`: what the server itself brings has lower OIDs.
const FIRST_USER_OID: u32 = 16_384;

/// A foreign key that the switch cuts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference<'a> {
    /// 1, 2, ... in the order of the catalog; part of the names of its triggers and functions.
    pub number: usize,
    /// The table that has the key.
    pub table: &'a Table,
    /// The key.
    pub key: &'a ForeignKey,
}

/// Keys from tables that stay into tables that move.
pub fn incoming<'a>(catalog: &'a Catalog, carried: &Carried<'_>) -> Vec<Reference<'a>> {
    let staying = catalog.tables.iter().filter(|table| !carried.has_table(&table.name));
    let keys = staying.flat_map(|table| table.foreign_keys.iter().map(move |key| (table, key)));
    number(keys.filter(|(_, key)| carried.has_table(&key.referenced)))
}

/// Keys from tables that move to tables that stay.
pub fn outgoing<'a>(carried: &Carried<'a>) -> Vec<Reference<'a>> {
    let keys = carried.tables.iter().flat_map(|table| table.foreign_keys.iter().map(|key| (*table, key)));
    number(keys.filter(|(_, key)| !carried.has_table(&key.referenced)))
}

fn number<'a>(keys: impl Iterator<Item = (&'a Table, &'a ForeignKey)>) -> Vec<Reference<'a>> {
    keys.enumerate().map(|(at, (table, key))| Reference { number: at + 1, table, key }).collect()
}

impl Reference<'_> {
    /// True for a key of a moved table that would write to its copy (cascade, set null, set default on delete): the
    /// copy belongs to the applier alone, so the switch drops it.
    pub fn writes_to_copy(&self) -> bool {
        !matches!(self.key.on_delete, ReferentialAction::NoAction | ReferentialAction::Restrict)
    }

    /// Drops the key; on a partitioned table with the shares of its partitions.
    pub fn drop_key(&self, table: &QualifiedName) -> String {
        format!("alter table {} drop constraint {}", table.quoted(), self.key.name.quoted())
    }

    /// `referenced.id = referencing.film_id and ...`. The functions' `search_path` is `pg_catalog`, as anybody's
    /// operator in another schema must not run with their rights; so a type of an extension names its own `=`.
    fn matching(&self, referenced: &str, referencing: &str) -> String {
        let pairs = self.key.columns.iter().zip(&self.key.referenced_columns);
        let equal = |(own, theirs): (&Ident, &Ident)| {
            let extended =
                self.table.column(own).filter(|c| c.type_oid.0 >= FIRST_USER_OID && c.user_type.is_none());
            let equals = extended.map_or_else(
                || "=".to_owned(),
                |column| {
                    let schema = split_schema(&column.type_name).map(|(schema, _)| Ident::new(schema));
                    let schema = schema.unwrap_or_else(|| self.table.name.schema.clone());
                    format!("operator({}.=)", schema.quoted())
                },
            );
            format!("{referenced}.{} {equals} {referencing}.{}", theirs.quoted(), own.quoted())
        };
        pairs.map(equal).collect::<Vec<_>>().join(" and ")
    }

    /// Puts the key back, with both tables under their old names.
    pub fn restore_key(&self, catalog: &Catalog) -> ForeignKeySql {
        let tables: Vec<&Table> = catalog.tables.iter().collect();
        let leaves: Vec<QualifiedName> =
            fk_leaves(self.table, &tables).iter().map(|leaf| leaf.name.clone()).collect();
        foreign_key(&self.table.name, &leaves, self.key, &fk_definition(self.key, &self.key.referenced))
    }
}

/// The check function. `copy` and `home` are the referenced table's copy and the foreign table that leads to its home,
/// as they are named after the switch. Runs with its maker's rights, as the server's own foreign key triggers run
/// with the owner's: who may write the staying table needs no rights on either.
///
/// The copy's row is locked KEY SHARE: the applier's delete of it waits for us, and then its guard sees our row. At
/// the home a row that the copy does not have yet is locked until our transaction ends.
pub fn check_function(
    service: &ServiceName,
    reference: &Reference<'_>,
    copy: &QualifiedName,
    home: &QualifiedName,
) -> String {
    let key = reference.key;
    let null = |word: &str| {
        let tests = key.columns.iter().map(|column| format!("new.{} is null", column.quoted()));
        tests.collect::<Vec<_>>().join(word)
    };
    let found = reference.matching("r", "new");
    let violated = |detail: &str| {
        format!(
            "raise exception using errcode = '23503',
        message = pg_catalog.format('insert or update on table %I violates foreign key constraint %I', \
tg_table_name, {name}),
        detail = {detail}, constraint = {name}, schema = tg_table_schema, table = tg_table_name;",
            name = quote_literal(key.name.as_str()),
            detail = quote_literal(detail),
        )
    };
    let nulls = if key.match_full {
        format!(
            "    if {} then\n        return null;\n    end if;\n    if {} then\n        {}\n    end if;\n",
            null(" and "),
            null(" or "),
            violated("MATCH FULL does not allow mixing of null and nonnull key values.")
        )
    } else {
        format!("    if {} then\n        return null;\n    end if;\n", null(" or "))
    };
    let body = format!(
        "
begin
{nulls}    if tg_op = 'UPDATE' then
        if row({new})::record *= row({old})::record then
            return null;
        end if;
    end if;
    perform 1 from {copy} r where {found} for key share;
    if found then
        return null;
    end if;
    perform 1 from {home} r where {found} for key share;
    if found then
        return null;
    end if;
    {error}
end
",
        new = fields("new", &key.columns),
        old = fields("old", &key.columns),
        copy = copy.quoted(),
        home = home.quoted(),
        error = violated(&format!("Neither the copy nor the home of {} has such a key.", key.referenced)),
    );
    definer(&reference_check_function(service, reference.number), &body)
}

fn fields(record: &str, columns: &[Ident]) -> String {
    columns.iter().map(|column| format!("{record}.{}", column.quoted())).collect::<Vec<_>>().join(", ")
}

fn definer(name: &Ident, body: &str) -> String {
    let name = QualifiedName::new(CLEAVE_SCHEMA, name.clone()).quoted();
    format!(
        "create or replace function {name}() returns trigger language plpgsql security definer \
         set search_path = pg_catalog, pg_temp as {}",
        dollar(body)
    )
}

/// The check trigger on the staying table, in place of the key. A deferrable key becomes a constraint trigger that is
/// as deferrable; there is none on partitioned tables, so those check at the end of each statement.
pub fn check_trigger(service: &ServiceName, reference: &Reference<'_>) -> Vec<String> {
    let (table, trigger) = (reference.table.name.quoted(), reference_trigger(reference.number).quoted());
    let function =
        QualifiedName::new(CLEAVE_SCHEMA, reference_check_function(service, reference.number)).quoted();
    let deferred = match reference.key.deferrable {
        (true, initially) if reference.table.holds_rows() => {
            Some(if initially { " deferrable initially deferred" } else { " deferrable" })
        }
        _ => None,
    };
    let create = if deferred.is_some() { "create constraint trigger" } else { "create trigger" };
    vec![
        format!("drop trigger if exists {trigger} on {table}"),
        format!(
            "{create} {trigger} after insert or update of {} on {table}{} for each row execute function {function}()",
            list(&reference.key.columns),
            deferred.unwrap_or_default(),
        ),
    ]
}

/// Stops the check, with a lock that readers pass; for the rollback, before the key comes back.
pub fn disable_check(reference: &Reference<'_>) -> String {
    let (table, trigger) = (reference.table.name.quoted(), reference_trigger(reference.number).quoted());
    format!("alter table {table} disable trigger {trigger}")
}

/// Function and triggers that watch the copy. `copies`: the tables that hold the copy's rows (its leaf partitions, or
/// itself), as named when this runs. `ENABLE ALWAYS`, as the applier writes in replica mode.
///
/// The work row's kind is what ON DELETE asks for: `cascade`, `set null`, `set default`, `report`.
pub fn guard(service: &ServiceName, reference: &Reference<'_>, copies: &[QualifiedName]) -> Vec<String> {
    let function = reference_guard_function(service, reference.number);
    let name = QualifiedName::new(CLEAVE_SCHEMA, function.clone()).quoted();
    let trigger = reference_trigger(reference.number);
    let truncated = Ident::new(format!("{}_truncate", trigger.as_str()));
    let mut statements = vec![definer(&function, &guard_body(service, reference))];
    for copy in copies {
        let copy = copy.quoted();
        statements.push(format!(
            "create or replace trigger {} after delete or update of {} on {copy} for each row execute function {name}()",
            trigger.quoted(),
            list(&reference.key.referenced_columns),
        ));
        statements.push(format!(
            "create or replace trigger {} after truncate on {copy} for each statement execute function {name}()",
            truncated.quoted(),
        ));
        for trigger in [&trigger, &truncated] {
            statements.push(format!("alter table only {copy} enable always trigger {}", trigger.quoted()));
        }
    }
    statements
}

fn guard_body(service: &ServiceName, reference: &Reference<'_>) -> String {
    let (key, staying) = (reference.key, reference.table.name.quoted());
    let referencing = reference.matching("old", "s");
    let any: Vec<String> = key.columns.iter().map(|own| format!("s.{} is not null", own.quoted())).collect();
    let keys = key.referenced_columns.iter();
    let keys: Vec<String> =
        keys.map(|theirs| format!("{}, old.{}", quote_literal(theirs.as_str()), theirs.quoted())).collect();
    let work = |kind: &str, keys: &str| {
        format!(
            "insert into {CLEAVE_SCHEMA}.work (service, reference, kind, keys)\n            values ({}, {}, {}, {keys});",
            quote_literal(service.as_str()),
            quote_literal(&format!("{} on {}", key.name, reference.table.name)),
            quote_literal(kind),
        )
    };
    let by_key = format!("pg_catalog.jsonb_build_object({})", keys.join(", "));
    format!(
        "
begin
    if tg_op = 'TRUNCATE' then
        if exists (select from {staying} s where {any}) then
            {truncate}
        end if;
        return null;
    end if;
    if tg_op = 'UPDATE' then
        if row({new})::record *= row({old})::record then
            return null;
        end if;
        if exists (select from {staying} s where {referencing}) then
            {update}
        end if;
        return null;
    end if;
    if exists (select from {staying} s where {referencing}) then
        {delete}
    end if;
    return null;
end
",
        any = any.join(" and "),
        truncate = work("report", "'{}'::pg_catalog.jsonb"),
        new = fields("new", &key.referenced_columns),
        old = fields("old", &key.referenced_columns),
        // The new key is not known to the guard's row: a changed key is a person's to settle, whatever ON UPDATE said.
        update = work("report", &by_key),
        delete = work(kind(key.on_delete), &by_key),
    )
}

fn kind(action: ReferentialAction) -> &'static str {
    match action {
        ReferentialAction::Cascade => "cascade",
        ReferentialAction::SetNull => "set null",
        ReferentialAction::SetDefault => "set default",
        ReferentialAction::NoAction | ReferentialAction::Restrict => "report",
    }
}

/// Takes the guard off the copies.
pub fn drop_guard(reference: &Reference<'_>, copies: &[QualifiedName]) -> Vec<String> {
    let trigger = reference_trigger(reference.number);
    let truncated = Ident::new(format!("{}_truncate", trigger.as_str()));
    let drop = |copy: &QualifiedName| {
        [&trigger, &truncated]
            .map(|trigger| format!("drop trigger if exists {} on {}", trigger.quoted(), copy.quoted()))
    };
    copies.iter().flat_map(drop).collect()
}

/// Drops the functions and the check's trigger; the last thing, when no reference is watched any more.
pub fn drop_functions(service: &ServiceName, reference: &Reference<'_>) -> Vec<String> {
    let (table, trigger) = (reference.table.name.quoted(), reference_trigger(reference.number).quoted());
    let mut statements = vec![format!("drop trigger if exists {trigger} on {table}")];
    let functions = [
        reference_check_function(service, reference.number),
        reference_guard_function(service, reference.number),
    ];
    let drop = |function| {
        format!("drop function if exists {}()", QualifiedName::new(CLEAVE_SCHEMA, function).quoted())
    };
    statements.extend(functions.into_iter().map(drop));
    statements
}
