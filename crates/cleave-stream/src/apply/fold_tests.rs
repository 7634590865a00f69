//! Folding against a model: what comes out, done to the rows that were there, gives the rows that the changes give.

use super::*;
use crate::{
    Identity, Route,
    apply::{
        layout::LayoutColumn,
        table::{Comparison, TargetColumn, TargetTable},
    },
};
use bytes::Bytes;
use cleave_model::{Ident, Lsn, Oid, QualifiedName};
use cleave_proto::pgoutput::{Relation, ReplicaIdentity};
use std::{collections::BTreeMap, fmt::Write, sync::Arc};

/// Columns: id (the key), code, note.
fn layout(always: bool) -> Layout {
    let column = |name: &str, identity_always| TargetColumn {
        name: Ident::new(name),
        type_sql: "int4".into(),
        type_oid: Oid(23),
        has_array: true,
        equals: "=".into(),
        comparison: Comparison::Native,
        identity_always,
        generated: false,
    };
    let route = Route {
        source_oid: Oid(1),
        target_oid: Oid(42),
        columns: Vec::new(),
        identity: Identity::Key(vec![Ident::new("id")]),
        start: Lsn(0),
    };
    let name = QualifiedName::new("films", "film");
    let columns = [column("id", always), column("code", false), column("note", false)];
    Layout {
        serial: 1,
        relation: Arc::new(Relation {
            oid: Oid(1),
            name: QualifiedName::new("films", "film"),
            replica_identity: ReplicaIdentity::Default,
            columns: Vec::new(),
        }),
        table: Arc::new(TargetTable { route, name, columns: HashMap::new(), set_based: true }),
        columns: columns
            .into_iter()
            .enumerate()
            .map(|(cell, target)| LayoutColumn { cell, target })
            .collect(),
        key: vec![0],
        set_based: true,
    }
}

/// `7`, `null` as `-`, unchanged as `~`.
fn tuple(text: &str) -> Tuple {
    let cell = |word: &str| match word {
        "-" => Cell::Null,
        "~" => Cell::Unchanged,
        value => Cell::Text(Bytes::copy_from_slice(value.as_bytes())),
    };
    Tuple { cells: text.split(' ').map(cell).collect() }
}

fn show(cell: &Cell) -> String {
    match cell {
        Cell::Null => "-".into(),
        Cell::Unchanged => "~".into(),
        Cell::Text(bytes) | Cell::Binary(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// `+ row`, `- key`, `= row`, `key > row`.
fn change(text: &str) -> Change {
    let key = |key: &str| OldTuple::Key(tuple(&format!("{key} - -")));
    match text.split_once(' ').unwrap() {
        ("+", row) => Change::Insert { new: tuple(row) },
        ("-", gone) => Change::Delete { old: key(gone) },
        ("=", row) => Change::Update { old: None, new: tuple(row) },
        (before, rest) => {
            Change::Update { old: Some(key(before)), new: tuple(rest.strip_prefix("> ").unwrap()) }
        }
    }
}

fn shown(layout: &Layout, changes: &[&Change]) -> String {
    let Ok(net) = fold(layout, changes) else { return "one by one".into() };
    let row = |row: &Row<'_>| (0..3).map(|place| show(row.cell(layout, place))).collect::<Vec<_>>().join(" ");
    let mut out = String::new();
    net.deletes.iter().for_each(|find| write!(out, "-{}; ", show(&find.cells[0])).unwrap());
    for group in &net.updates {
        for (find, now) in &group.rows {
            write!(out, "{}={} {:?}; ", show(&find.cells[0]), row(now), group.set).unwrap();
        }
    }
    net.inserts.iter().for_each(|new| write!(out, "+{}; ", row(new)).unwrap());
    out.trim_end_matches("; ").to_owned()
}

fn check(changes: &[&str], expected: &str) {
    let changes: Vec<Change> = changes.iter().map(|text| change(text)).collect();
    assert_eq!(shown(&layout(false), &changes.iter().collect::<Vec<_>>()), expected);
}

#[test]
fn changes_of_one_row_become_one() {
    check(&["+ 1 10 a", "= 1 11 ~"], "+1 11 a");
    check(&["= 1 10 ~", "= 1 11 b", "= 1 12 ~"], "1=1 12 b [1, 2]");
    check(&["= 1 10 ~", "= 1 11 ~"], "1=1 11 ~ [1]");
    check(&["= 1 - a", "= 1 - ~"], "1=1 - a [1, 2]");
    check(&["+ 1 10 a", "- 1"], "");
    check(&["= 1 10 a", "- 1"], "-1");
    check(&["- 1", "+ 1 10 a", "= 1 11 a"], "-1; +1 11 a");
    check(&["- 1", "+ 1 10 a", "- 1", "+ 1 12 c"], "-1; +1 12 c");
}

#[test]
fn a_row_is_found_by_the_key_that_it_had_before_the_run() {
    check(&["1 > 2 10 ~", "2 > 3 11 ~"], "1=3 11 ~ [0, 1]");
    check(&["1 > 2 10 a", "2 > 1 11 a"], "1=1 11 a [1, 2]");
    check(&["1 > 2 10 a", "- 2"], "-1");
    check(&["1 > 9 1 a", "2 > 1 2 b", "9 > 2 1 a"], "1=2 1 a [0, 1, 2]; 2=1 2 b [0, 1, 2]");
    check(&["+ 1 10 a", "1 > 2 10 ~", "+ 1 12 c"], "+2 10 a; +1 12 c");
    check(&["1 > ~ 10 ~"], "1=~ 10 ~ [1]");
}

#[test]
fn what_one_source_cannot_have_sent_is_not_folded() {
    check(&["+ 1 10 a", "+ 1 10 a"], "one by one");
    check(&["- 1", "= 1 10 a"], "one by one");
    check(&["- 1", "- 1"], "one by one");
    check(&["1 > 2 10 a", "= 1 11 a"], "one by one");
    check(&["= 2 10 a", "1 > 2 11 a"], "one by one");
    check(&["= - 10 a"], "one by one");
    check(&["= ~ 10 a"], "one by one");
}

#[test]
fn a_key_that_cannot_be_set_takes_a_statement_of_its_own() {
    let changes = [change("1 > 2 10 a"), change("= 3 10 a")];
    assert_eq!(shown(&layout(true), &[&changes[1]]), "3=3 10 a [1, 2]");
    assert_eq!(shown(&layout(true), &[&changes[0]]), "one by one");
}

type Rows = BTreeMap<String, [String; 2]>;

/// A change that is possible with these rows, done to them.
fn random_change(random: &mut fastrand::Rng, rows: &mut Rows) -> Option<String> {
    let (key, other) = (random.u8(0..12).to_string(), random.u8(0..12).to_string());
    let (code, note) = (random.u8(0..100).to_string(), random.u8(0..100).to_string());
    let sent = random.bool();
    let noted = if sent { note.as_str() } else { "~" };
    match (random.u8(0..4), rows.contains_key(&key)) {
        (0, false) => {
            rows.insert(key.clone(), [code.clone(), note.clone()]);
            Some(format!("+ {key} {code} {note}"))
        }
        (1, true) => rows.remove(&key).map(|_| format!("- {key}")),
        (2, true) => {
            let row = rows.get_mut(&key)?;
            row[0] = code.clone();
            if sent {
                row[1] = note.clone();
            }
            Some(format!("= {key} {code} {noted}"))
        }
        (3, true) if !rows.contains_key(&other) => {
            let [_, before] = rows.remove(&key)?;
            rows.insert(other.clone(), [code.clone(), if sent { note.clone() } else { before }]);
            Some(format!("{key} > {other} {code} {noted}"))
        }
        _ => None,
    }
}

/// Does what came out of folding to rows, each find exactly one.
fn written(layout: &Layout, net: &Net<'_>, rows: &Rows) -> Rows {
    let mut kept = rows.clone();
    for find in &net.deletes {
        assert!(kept.remove(&show(&find.cells[0])).is_some());
    }
    let mut moved = Rows::new();
    for group in &net.updates {
        for (find, row) in &group.rows {
            let key = show(&find.cells[0]);
            let mut values = kept.remove(&key).expect("an update meets its row");
            let mut now = key;
            for place in &group.set {
                let value = show(row.cell(layout, *place));
                match *place {
                    0 => now = value,
                    place => values[place - 1] = value,
                }
            }
            assert!(moved.insert(now, values).is_none());
        }
    }
    for row in &net.inserts {
        let value = |place| show(row.cell(layout, place));
        assert!(moved.insert(value(0), [value(1), value(2)]).is_none());
    }
    for (key, values) in moved {
        assert!(kept.insert(key, values).is_none());
    }
    kept
}

#[test]
fn folded_changes_give_the_same_rows_as_one_by_one() {
    let layout = layout(false);
    for seed in 0..2000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut before = Rows::new();
        for _ in 0..20 {
            random_change(&mut random, &mut before);
        }
        let mut after = before.clone();
        let texts: Vec<String> = (0..60).filter_map(|_| random_change(&mut random, &mut after)).collect();
        let changes: Vec<Change> = texts.iter().map(|text| change(text)).collect();
        let net = fold(&layout, &changes.iter().collect::<Vec<_>>()).expect("one source sent them");
        assert_eq!(written(&layout, &net, &before), after, "seed {seed}: {texts:?}");
    }
}
