use super::{Fate, Layer, MovedNames, fate, judge, spanning, verdicts};
use cleave_model::QualifiedName;
use cleave_model::workload::{Statement, StatementTrait, TableUse, Transaction, Workload};

fn film() -> QualifiedName {
    QualifiedName::new("public", "film")
}

fn moved() -> MovedNames {
    MovedNames { tables: vec![film()], sequences: vec![QualifiedName::new("public", "film_id_seq")] }
}

fn statement(table: QualifiedName, qualified: bool, writes: bool, traits: &[StatementTrait]) -> Statement {
    Statement {
        id: "1".into(),
        text: "insert into film values ($1)".into(),
        calls: 7,
        tables: vec![TableUse { table, qualified, reads: !writes, writes }],
        traits: traits.iter().copied().collect(),
        ..Statement::default()
    }
}

fn breaks(fates: &[Fate]) -> bool {
    fates.iter().any(|fate| matches!(fate, Fate::Breaks(_)))
}

#[test]
fn an_upsert_by_column_is_carried_by_the_layers_of_a_schema_move_only() {
    let upsert = statement(film(), true, true, &[StatementTrait::OnConflictColumns]);
    let carried = |layer| judge(layer, 15, &upsert, &moved()).is_empty();
    assert!(carried(Layer::View));
    assert!(![Layer::Forward, Layer::Local, Layer::None, Layer::Path].into_iter().any(carried));
}

#[test]
fn merge_through_a_view_depends_on_the_version() {
    let carried = |major| fate(Layer::View, major, StatementTrait::Merge) == Fate::Carried;
    assert_eq!([14, 15, 16, 17, 18].map(carried), [false, false, false, true, true]);
}

#[test]
fn a_name_without_its_schema_meets_the_table_itself_where_the_path_leads_to_it() {
    let truncate = |qualified| statement(film(), qualified, true, &[StatementTrait::Truncate]);
    assert!(judge(Layer::View, 18, &truncate(false), &moved()).is_empty());
    assert!(breaks(&judge(Layer::View, 18, &truncate(true), &moved())));
    assert!(judge(Layer::Path, 18, &truncate(false), &moved()).is_empty());
    assert!(breaks(&judge(Layer::Path, 18, &truncate(true), &moved())));
}

#[test]
fn a_bridge_without_writes_breaks_every_write_and_no_read() {
    assert!(breaks(&judge(Layer::None, 18, &statement(film(), false, true, &[]), &moved())));
    assert!(judge(Layer::None, 18, &statement(film(), false, false, &[]), &moved()).is_empty());
}

#[test]
fn a_sequence_named_by_a_statement_is_at_the_new_home() {
    let mut next = statement(QualifiedName::new("public", "other"), false, false, &[]);
    next.sequences.insert(QualifiedName::new("public", "film_id_seq"));
    next.text = "select nextval('film_id_seq')".into();
    assert!(breaks(&judge(Layer::Forward, 18, &next, &moved())));
    assert!(judge(Layer::View, 18, &next, &moved()).is_empty());
    next.text = "select nextval('Public.\"film_id_seq\"')".into();
    assert!(breaks(&judge(Layer::View, 18, &next, &moved())));
}

#[test]
fn statements_that_touch_nothing_that_moves_are_of_no_interest() {
    let other = QualifiedName::new("public", "other");
    let merge = statement(other, true, true, &[StatementTrait::Merge]);
    assert!(judge(Layer::Forward, 18, &merge, &moved()).is_empty());
}

#[test]
fn the_verdict_names_the_statement_the_reason_and_who_would_carry_it() {
    let mut workload = Workload::default();
    workload.statements.push(statement(film(), false, true, &[StatementTrait::SkipLocked]));
    let mut often = statement(film(), false, true, &[StatementTrait::Truncate]);
    (often.id, often.calls) = ("2".into(), 900);
    workload.statements.push(often);
    let offered = [Layer::Forward, Layer::Local, Layer::None];
    let found = verdicts(&workload, &moved(), Layer::Local, 18, &offered);
    let shown: Vec<_> = found.iter().map(|verdict| (verdict.id.as_str(), verdict.breaks.len())).collect();
    assert_eq!(shown, [("2", 1), ("1", 0)]);
    assert_eq!(found[0].carried_by, [Layer::Forward]);
    assert_eq!(found[0].objects, [film()]);
    assert_eq!(found[1].differs.len(), 1);
    assert!(found[1].carried_by.is_empty());
}

#[test]
fn a_transaction_spans_the_boundary_if_it_writes_on_both_sides_of_it() {
    let other = || QualifiedName::new("public", "other");
    let transaction = |read: &[QualifiedName], written: &[QualifiedName], count| Transaction {
        read: read.iter().cloned().collect(),
        written: written.iter().cloned().collect(),
        count,
    };
    let transactions = vec![
        transaction(&[], &[film()], 100),
        transaction(&[other()], &[film()], 100),
        transaction(&[], &[film(), other()], 3),
        transaction(&[QualifiedName::new("public", "third")], &[film(), other()], 5),
    ];
    let workload = Workload { transactions, ..Workload::default() };
    let counts: Vec<u64> = spanning(&workload, &moved()).iter().map(|spans| spans.count).collect();
    assert_eq!(counts, [5, 3]);
}

/// The page that tests make from what servers do.
const MEASURED: &str = include_str!("../../../../docs/reference/bridges.md");

/// What stands in a row of the page, by version and bridge.
fn measured(row: &str) -> Vec<(u32, Layer, String)> {
    let line = MEASURED
        .lines()
        .find(|line| line.starts_with(&format!("| `{row}` |")) || line.starts_with(&format!("| `{row}` (")));
    let line = line.unwrap_or_else(|| panic!("the page has no row {row}"));
    let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).skip(1).collect();
    let mut found = Vec::new();
    for (major, cell) in (14..=18).zip(cells) {
        let parts: Vec<&str> = cell.split(" / ").map(|part| part.trim_matches('`')).collect();
        for (at, layer) in [Layer::Forward, Layer::Local, Layer::None].into_iter().enumerate() {
            found.push((major, layer, (*parts.get(at).unwrap_or(&parts[0])).to_owned()));
        }
    }
    found
}

#[test]
fn the_table_says_of_bridges_what_servers_were_seen_to_do() {
    use StatementTrait::{
        CopyFrom, CopyTo, CurrentOf, Ddl, LockTable, Merge, OnConflictColumns, OnConflictConstraint,
        OnConflictWithoutTarget, Returning, RowLock, SkipLocked, SystemColumn, Truncate,
    };
    for (row, feature, writes) in [
        ("ON CONFLICT DO NOTHING", OnConflictWithoutTarget, true),
        ("ON CONFLICT (columns) DO UPDATE", OnConflictColumns, true),
        ("ON CONFLICT ON CONSTRAINT", OnConflictConstraint, true),
        ("MERGE", Merge, true),
        ("SELECT ... FOR UPDATE", RowLock, false),
        ("FOR UPDATE SKIP LOCKED", SkipLocked, false),
        ("LOCK TABLE", LockTable, false),
        ("TRUNCATE", Truncate, true),
        ("COPY table TO", CopyTo, false),
        ("COPY table FROM", CopyFrom, true),
        ("WHERE CURRENT OF", CurrentOf, true),
        ("UPDATE ... RETURNING", Returning, true),
        ("xmin", SystemColumn, false),
        ("CREATE INDEX", Ddl, false),
    ] {
        let statement = statement(film(), true, writes, &[feature]);
        for (major, layer, seen) in measured(row) {
            // A server without the statement never had it sent.
            if seen == "42601" {
                continue;
            }
            let judged = judge(layer, major, &statement, &moved());
            assert_eq!(seen != "yes", breaks(&judged), "{row} through {layer} on {major}: {judged:?}");
            let named = judged.iter().any(|fate| matches!(fate, Fate::Breaks(why) if why.contains(&seen)));
            assert!(seen == "yes" || named, "{row} through {layer} on {major}: {seen}, {judged:?}");
        }
    }
}
