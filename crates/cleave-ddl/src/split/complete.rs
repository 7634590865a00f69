//! The end: the parts become tables of their own, and the old name goes, or leads to a view over them.

use super::Split;
use super::settle::{ASK, FUNCTION, PATH, WRITE};
use super::triggers::{drop_table_triggers, drop_triggers};
use crate::text::{dollar, list};
use cleave_model::catalog::{Column, Identity, Sequence};
use cleave_model::{QualifiedName, labels, quote_literal};

/// What stays under the old name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Nothing.
    Removed,
    /// The rows that no service has reached, as a table.
    Rest,
    /// A view over the parts and what waits; the parts go on drawing from one sequence.
    View,
}

/// One transaction. `sequences` are those that the table's columns own.
pub fn complete(split: &Split<'_>, sequences: &[&Sequence], ending: Ending) -> Vec<String> {
    let mut statements = Vec::new();
    let locks: Vec<String> = split.places().iter().map(QualifiedName::quoted).collect();
    statements.push(format!("lock table {} in access exclusive mode", split.table.name.quoted()));
    statements.extend(locks.iter().map(|place| format!("lock table {place} in access exclusive mode")));
    for (_, reference) in split.references() {
        statements.extend(drop_triggers(split, reference));
    }
    statements.extend(drop_table_triggers(split));
    for place in split.places() {
        let place = place.quoted();
        for name in [labels::split_trigger(split.name), labels::split_truncate_trigger(split.name)] {
            statements.push(format!("drop trigger {} on {place}", name.quoted()));
        }
    }
    statements.extend(plain_triggers(split));
    match ending {
        Ending::Removed | Ending::Rest => {
            statements.extend(own_sequences(split, sequences, ending));
            if ending == Ending::Removed {
                statements.push(format!("drop table {}", split.pending().quoted()));
            }
            statements.push(format!("drop table {}", split.table.name.quoted()));
            if ending == Ending::Rest {
                let schema = split.table.name.schema.quoted();
                statements.push(format!("alter table {} set schema {schema}", split.pending().quoted()));
                statements.push(format!(
                    "alter table {} owner to {}",
                    split.table.name.quoted(),
                    split.table.owner.quoted()
                ));
                statements.extend(rest_grants(split));
            }
            statements.push(format!("drop schema {} cascade", labels::split_schema(split.name).quoted()));
        }
        Ending::View => statements.extend(view(split, sequences)),
    }
    statements
}

/// Users' triggers on the parts as they were on the table, without the condition that kept them from firing twice.
fn plain_triggers(split: &Split<'_>) -> Vec<String> {
    let mut statements = Vec::new();
    let own = split.table.triggers.iter().filter(|trigger| !crate::carry::text_is_ours(&trigger.name));
    let own: Vec<_> = own.collect();
    for part in &split.parts {
        if own.is_empty() {
            break;
        }
        let path = list([part.schema, &split.table.name.schema]);
        statements.push(format!("set local search_path = {path}"));
        for trigger in &own {
            let text = trigger.definition.strip_prefix("CREATE TRIGGER ").unwrap_or(&trigger.definition);
            statements.push(format!("create or replace trigger {text}"));
        }
    }
    if !own.is_empty() {
        statements.push("set local search_path = ''".to_owned());
    }
    statements
}

/// Each part gets sequences of its own, which go on where the shared ones are.
fn own_sequences(split: &Split<'_>, sequences: &[&Sequence], ending: Ending) -> Vec<String> {
    let mut statements = Vec::new();
    let rest = (ending == Ending::Rest).then(|| split.pending());
    for place in split.parts.iter().map(|part| split.part(part)).chain(rest) {
        for sequence in sequences {
            let Some(owner) = &sequence.owner_column else { continue };
            let Some(column) = split.table.column(&owner.column) else { continue };
            statements.extend(own_sequence(&place, column, sequence));
        }
    }
    statements
}

fn own_sequence(place: &QualifiedName, column: &Column, sequence: &Sequence) -> Vec<String> {
    let (table, name) = (place.quoted(), column.name.quoted());
    let new = sequence.name.in_schema(&place.schema);
    let options = format!(
        "increment by {} minvalue {} maxvalue {} start with {} cache {}{}",
        sequence.increment,
        sequence.min,
        sequence.max,
        sequence.start,
        sequence.cache,
        if sequence.cycle { " cycle" } else { " no cycle" }
    );
    let alter = format!("alter table {table} alter column {name}");
    let mut statements = match column.identity {
        Some(kind) => {
            let always = if kind == Identity::Always { "always" } else { "by default" };
            vec![
                format!("{alter} drop default"),
                format!(
                    "{alter} add generated {always} as identity (sequence name {} {options})",
                    new.quoted()
                ),
            ]
        }
        None => vec![
            format!("create sequence {} as {} {options}", new.quoted(), sequence.type_name),
            format!("alter sequence {} owned by {table}.{name}", new.quoted()),
            format!("{alter} set default {}", super::parts::default_of(&new)),
        ],
    };
    statements.push(format!(
        "select pg_catalog.setval({}, s.last_value, s.is_called) from {} s",
        quote_literal(&new.quoted()),
        sequence.name.quoted()
    ));
    statements
}

fn rest_grants(split: &Split<'_>) -> Vec<String> {
    let table = split.table;
    let object = format!("table {}", table.name.quoted());
    let own = table.grants.iter().filter(|grant| grant.grantee.as_ref() != Some(&table.owner));
    let mut statements: Vec<String> =
        own.map(|grant| crate::create::grant_statement(grant, None, &object)).collect();
    for column in &table.columns {
        let grants = column.grants.iter();
        statements
            .extend(grants.map(|grant| crate::create::grant_statement(grant, Some(&column.name), &object)));
    }
    statements
}

/// The sequences stay with the parts, which draw from them; the table goes, and a view takes its name.
fn view(split: &Split<'_>, sequences: &[&Sequence]) -> Vec<String> {
    let table = split.table.name.quoted();
    let mut statements = Vec::new();
    let (identity, plain): (Vec<&Sequence>, Vec<&Sequence>) = sequences
        .iter()
        .partition(|sequence| sequence.owner_column.as_ref().is_some_and(|owner| owner.identity));
    statements.extend(
        plain.iter().map(|sequence| format!("alter sequence {} owned by none", sequence.name.quoted())),
    );
    for sequence in identity {
        statements.extend(free_identity(split, sequence));
    }
    let settle =
        format!("{}({table}.{}%type, text)", split.own("cleave_settle").quoted(), split.key.quoted());
    statements.push(format!("drop function {settle}"));
    for function in ["cleave_fill(integer)", "cleave_check(text, integer)"] {
        let (name, arguments) = function.split_once('(').unwrap_or((function, ")"));
        statements.push(format!("drop function {}({arguments}", split.own(name).quoted()));
    }
    statements.push(format!("drop table {table}"));
    statements.push(format!("drop table {}", split.place()));
    let own = |name: &str| split.own(name).quoted();
    statements.push(format!("drop table {}", own("cleave_progress")));
    statements.extend(
        (0..=split.parts.len())
            .map(|n| format!("drop function {}()", own(&format!("cleave_part_{}", n + 1)))),
    );
    for name in ["cleave_table", "cleave_table_truncated", "cleave_part_truncated"] {
        statements.push(format!("drop function {}()", own(name)));
    }
    statements.push(format!("create view {table} as {}", union(split)));
    statements.extend(view_defaults(split, sequences));
    statements.push(write_through(split));
    statements.push(format!(
        "create trigger {} instead of insert or update or delete on {table} for each row execute function {}()",
        labels::split_trigger(split.name).quoted(),
        own("cleave_view")
    ));
    statements.push(format!("alter view {table} owner to {}", split.table.owner.quoted()));
    statements.extend(rest_grants(split));
    for (part, reference) in split.references() {
        statements.extend(claim(split, part, reference));
    }
    statements
}

/// An identity column's sequence cannot leave its column: a free one goes on in its place, under its name.
fn free_identity(split: &Split<'_>, sequence: &Sequence) -> Vec<String> {
    let Some(owner) = &sequence.owner_column else { return Vec::new() };
    let table = split.table.name.quoted();
    let column = owner.column.quoted();
    let free = split.own(sequence.name.name.clone());
    let cycle = if sequence.cycle { " cycle" } else { " no cycle" };
    let mut statements = vec![
        format!(
            "create sequence {} as {} increment by {} minvalue {} maxvalue {} start with {} cache {}{cycle}",
            free.quoted(),
            sequence.type_name,
            sequence.increment,
            sequence.min,
            sequence.max,
            sequence.start,
            sequence.cache
        ),
        format!(
            "select pg_catalog.setval({}, s.last_value, s.is_called) from {} s",
            quote_literal(&free.quoted()),
            sequence.name.quoted()
        ),
    ];
    for place in split.places() {
        statements.push(format!("alter table {} alter column {column} drop default", place.quoted()));
    }
    statements.push(format!("alter table {table} alter column {column} drop identity"));
    statements.push(format!("alter sequence {} set schema {}", free.quoted(), sequence.name.schema.quoted()));
    for place in split.places() {
        let default = super::parts::default_of(&sequence.name);
        statements
            .push(format!("alter table {} alter column {column} set default {default}", place.quoted()));
    }
    let grants = sequence.grants.iter().filter(|grant| grant.grantee.as_ref() != Some(&sequence.owner));
    let object = format!("sequence {}", sequence.name.quoted());
    statements.push(format!("alter {object} owner to {}", sequence.owner.quoted()));
    statements.extend(grants.map(|grant| crate::create::grant_statement(grant, None, &object)));
    let owners = split.parts.iter().filter(|part| *part.owner != sequence.owner);
    statements
        .extend(owners.map(|part| format!("grant usage, select on {object} to {}", part.owner.quoted())));
    statements
}

/// A row that several parts hold is shown once, from the first of them.
fn union(split: &Split<'_>) -> String {
    let all = list(split.table.columns.iter().map(|column| &column.name));
    let key = split.key.quoted();
    let places = split.places();
    let selects: Vec<String> = places
        .iter()
        .enumerate()
        .map(|(n, place)| {
            let earlier = places[..n].iter().map(|other| {
                format!("not exists (select from {} o where o.{key} = p.{key})", other.quoted())
            });
            let earlier: Vec<String> = earlier.collect();
            let condition =
                if earlier.is_empty() { String::new() } else { format!(" where {}", earlier.join(" and ")) };
            format!("select {all} from {} p{condition}", place.quoted())
        })
        .collect();
    selects.join(" union all ")
}

/// A view has no defaults of its own: an omitted column would be written as null.
fn view_defaults(split: &Split<'_>, sequences: &[&Sequence]) -> Vec<String> {
    let table = split.table.name.quoted();
    let mut statements = vec![format!("set local search_path = {}", split.table.name.schema.quoted())];
    for column in split.written() {
        let default = if column.identity.is_some() {
            let own = |sequence: &&&Sequence| {
                sequence.owner_column.as_ref().is_some_and(|owner| owner.column == column.name)
            };
            sequences.iter().find(own).map(|sequence| super::parts::default_of(&sequence.name))
        } else {
            column.default.clone()
        };
        if let Some(default) = default {
            statements.push(format!(
                "alter view {table} alter column {} set default {default}",
                column.name.quoted()
            ));
        }
    }
    statements.push("set local search_path = ''".to_owned());
    statements
}

/// Inserts wait in the pending part; updates and deletes go to every place that holds the row.
fn write_through(split: &Split<'_>) -> String {
    let key = split.key.quoted();
    let all = list(split.table.columns.iter().map(|column| &column.name));
    let waits = split.places()[split.orphans.unwrap_or(split.parts.len())].quoted();
    let sets: Vec<String> =
        split.written().map(|column| format!("{0} = new.{0}", column.name.quoted())).collect();
    let each = |statement: &dyn Fn(&str) -> String| -> String {
        let places = split.places();
        places
            .iter()
            .map(|place| format!("        {}\n        hit := hit or found;\n", statement(&place.quoted())))
            .collect()
    };
    let shown: Vec<String> =
        split.table.columns.iter().map(|column| format!("p.{}", column.name.quoted())).collect();
    let updates = each(&|place| {
        format!(
            "update {place} p set {} where p.{key} operator(pg_catalog.=) old.{key} returning {} into changed;
        if found then new := changed; end if;",
            sets.join(", "),
            shown.join(", ")
        )
    });
    let deletes =
        each(&|place| format!("delete from {place} p where p.{key} operator(pg_catalog.=) old.{key};"));
    let body = format!(
        "
declare
{PATH}    hit boolean := false;
    changed record;
    inserts boolean;
    updates boolean;
begin
{ASK}    inserts := tg_op = 'INSERT';
    updates := tg_op = 'UPDATE';
{WRITE}    if inserts then
        insert into {waits} ({columns}) values ({values}) returning {all} into new;
        return new;
    end if;
    if updates then
{updates}        if hit then return new; else return null; end if;
    end if;
{deletes}    if hit then return old; else return null; end if;
end
",
        columns = split.columns(),
        values = split
            .written()
            .map(|column| format!("new.{}", column.name.quoted()))
            .collect::<Vec<_>>()
            .join(", "),
    );
    format!(
        "create function {}() returns trigger {FUNCTION} {}",
        split.own("cleave_view").quoted(),
        dollar(&body)
    )
}

/// After `complete` a first reference takes the row that waits into its service's part, or a copy of one that another
/// service holds.
fn claim(split: &Split<'_>, part: usize, reference: &super::Reference<'_>) -> Vec<String> {
    let (key, column, columns) = (split.key.quoted(), reference.column.quoted(), split.columns());
    let places = split.places();
    let own = places[part].quoted();
    let pending = split.pending().quoted();
    let others: String = (0..places.len())
        .rev()
        .filter(|n| *n != part)
        .map(|n| {
            format!(
                "    insert into {own} ({columns}) overriding system value
        select {columns} from {} q
        where q.{key} operator(pg_catalog.=) new.{column}
            and not exists (select from {own} p where p.{key} operator(pg_catalog.=) new.{column})
        for update on conflict ({key}) do nothing;\n",
                places[n].quoted()
            )
        })
        .collect();
    let function = split.own(format!("cleave_reference_{}", reference.number)).quoted();
    let body = format!(
        "\nbegin\n{others}    delete from {pending} q where q.{key} operator(pg_catalog.=) new.{column};\n    return null;\nend\n"
    );
    let mut statements =
        vec![format!("create or replace function {function}() returns trigger {FUNCTION} {}", dollar(&body))];
    for (event, condition) in [
        ("insert", format!("new.{column} is not null")),
        ("update", format!("new.{column} is not null and old.{column} is distinct from new.{column}")),
    ] {
        let name = labels::split_reference_trigger(split.name, reference.number, event).quoted();
        let table = reference.table.quoted();
        statements.push(format!(
            "create trigger {name} after {event} on {table} for each row when ({condition}) execute function {function}()"
        ));
    }
    statements.push(format!(
        "drop function {}()",
        split.own(format!("cleave_reference_{}_truncated", reference.number)).quoted()
    ));
    statements
}
