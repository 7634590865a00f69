//! Foreign keys whose two tables are on different sides.

use super::{Crossing, Kind, Line, Member, Outcome};
use cleave_model::catalog::{ForeignKey, ReferentialAction, Table};
use cleave_model::format_count;

/// A partition's inherited keys are its parent's.
pub(super) fn crossings(line: &Line<'_>) -> Vec<Crossing> {
    let keys =
        line.catalog.tables.iter().flat_map(|table| table.foreign_keys.iter().map(move |key| (table, key)));
    keys.filter_map(|(table, key)| crossing(line, table, key)).collect()
}

fn crossing(line: &Line<'_>, table: &Table, key: &ForeignKey) -> Option<Crossing> {
    let referenced = line.table(&key.referenced)?;
    let (from, to) = (line.owner(table.oid), line.owner(referenced.oid));
    if from.map(|service| &service.name) == to.map(|service| &service.name) {
        return None;
    }
    let outcome = |service: &str, label, text| Outcome { service: service.to_owned(), label, text };
    let leaves = |service: &&&Member| service.bridge.is_some();
    let (into, out_of) = (to.as_ref().filter(leaves), from.as_ref().filter(leaves));
    let inbound = into.map(|service| outcome(&service.name, "foreign key in", inbound(key)));
    let outbound = out_of.map(|service| outcome(&service.name, "foreign key out", outbound(key).to_owned()));
    let columns: Vec<String> = key.columns.iter().map(ToString::to_string).collect();
    let rows = if table.rows_estimated > 0 {
        format!(", about {} rows hold it", format_count(table.rows_estimated))
    } else {
        String::new()
    };
    Some(Crossing {
        kind: Kind::Key,
        object: format!("{} ({}) → {} [{}]", table.name, columns.join(", "), key.referenced, key.name),
        parties: line.parties([table, referenced]),
        evidence: format!("declared, on delete {}{rows}", action(key.on_delete)),
        remedy: remedy(key).to_owned(),
        outcomes: inbound.into_iter().chain(outbound).collect(),
        count: 0,
    })
}

fn action(action: ReferentialAction) -> &'static str {
    match action {
        ReferentialAction::NoAction => "no action",
        ReferentialAction::Restrict => "restrict",
        ReferentialAction::Cascade => "cascade",
        ReferentialAction::SetNull => "set null",
        ReferentialAction::SetDefault => "set default",
    }
}

/// When the referenced table moves.
fn inbound(key: &ForeignKey) -> String {
    let deleted = match key.on_delete {
        ReferentialAction::NoAction | ReferentialAction::Restrict => {
            "a delete at the new home that leaves it dangling is reported"
        }
        ReferentialAction::Cascade => "deletes at the new home are cascaded",
        ReferentialAction::SetNull => "deletes at the new home set it null",
        ReferentialAction::SetDefault => "deletes at the new home set its default",
    };
    format!("becomes a watched reference: checked in the copy, then at the new home; {deleted}")
}

/// When the referencing table moves.
fn outbound(key: &ForeignKey) -> &'static str {
    match key.on_delete {
        ReferentialAction::NoAction | ReferentialAction::Restrict => {
            "stays on the copy, where it stops deletes; new rows at the new home are not checked"
        }
        _ => {
            "its action on delete cannot reach the new home: it is dropped at the switch and the rows are left as they are"
        }
    }
}

fn remedy(key: &ForeignKey) -> &'static str {
    match key.on_delete {
        ReferentialAction::Cascade => {
            "rows that live and die with another service's belong to it: put both tables into one service, or let the \
             service delete its rows when it hears of the other's delete"
        }
        _ => {
            "keep the number without the key; ask the other service, or a copy of it, whether the row is there"
        }
    }
}
