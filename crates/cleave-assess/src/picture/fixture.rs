//! Catalogs for the tests of this module, made of tables and the keys between them.

use cleave_model::catalog::*;
use cleave_model::{Oid, QualifiedName};

/// A catalog of these tables; each refers to others by their place in the list.
pub(crate) fn catalog(tables: &[(QualifiedName, Vec<usize>)]) -> Catalog {
    Catalog {
        facts: Facts {
            version_num: 160_004,
            system_identifier: 1,
            timeline: 1,
            database: "shop".to_owned(),
            encoding: "UTF8".to_owned(),
            collation: "C".to_owned(),
            in_recovery: false,
            wal_level: "logical".to_owned(),
            role: "reader".to_owned(),
            superuser: false,
        },
        schemas: Vec::new(),
        tables: tables
            .iter()
            .enumerate()
            .map(|(at, (name, refers))| table(at, name, refers, tables))
            .collect(),
        views: Vec::new(),
        sequences: Vec::new(),
        types: Vec::new(),
        functions: Vec::new(),
        extensions: Vec::new(),
        event_triggers: Vec::new(),
        publications: Vec::new(),
        subscriptions: Vec::new(),
        roles: Vec::new(),
        dependencies: Vec::new(),
        outside_needs: Vec::new(),
    }
}

/// A view over tables, told by their places.
pub(crate) fn view(name: QualifiedName, reads: &[usize]) -> View {
    View {
        oid: Oid(90_000),
        name,
        materialized: false,
        definition: String::new(),
        columns: Vec::new(),
        owner: "owner".into(),
        options: Vec::new(),
        reads: reads.iter().map(|&place| oid(place)).collect(),
        keyed_by: Vec::new(),
        triggers: Vec::new(),
        grants: Vec::new(),
        comment: None,
    }
}

pub(crate) fn oid(place: usize) -> Oid {
    Oid(u32::try_from(place).unwrap_or(0) + 16_384)
}

/// So many tables in knots of twelve around a centre, with a few keys between the knots and one table that all refer to.
pub(crate) fn town(count: usize) -> Vec<(QualifiedName, Vec<usize>)> {
    let refers = |at: usize| {
        let knot = at / 12 * 12;
        let mut refers = vec![];
        if at != knot {
            refers.push(knot);
        }
        if at % 5 == 3 && at > knot + 1 {
            refers.push(at - 1);
        }
        if at == knot && at > 0 {
            refers.push((knot / 12 / 2) * 12);
        }
        if at % 12 == 6 {
            refers.push((at * 7) % count);
        }
        if at % 10 == 9 {
            refers.push(1 % count);
        }
        refers
    };
    (0..count).map(|at| (QualifiedName::new("public", format!("table_{at:04}")), refers(at))).collect()
}

fn column(number: i16, name: &str, type_name: &str) -> Column {
    Column {
        number,
        name: name.into(),
        type_name: type_name.to_owned(),
        type_oid: Oid(20),
        user_type: None,
        not_null: true,
        default: None,
        default_sequence: None,
        identity: None,
        generated: None,
        collation: None,
        storage: None,
        compression: None,
        statistics: None,
        options: Vec::new(),
        comment: None,
        grants: Vec::new(),
    }
}

fn table(at: usize, name: &QualifiedName, refers: &[usize], all: &[(QualifiedName, Vec<usize>)]) -> Table {
    let mut columns = vec![column(1, "id", "bigint")];
    let mut foreign_keys = Vec::new();
    for (number, &referenced) in refers.iter().enumerate() {
        let name = format!("{}_id", all[referenced].0.name.as_str());
        columns.push(column(i16::try_from(number).unwrap_or(0) + 2, &name, "bigint"));
        foreign_keys.push(ForeignKey {
            name: format!("key_{number}").into(),
            columns: vec![name.as_str().into()],
            referenced: all[referenced].0.clone(),
            referenced_columns: vec!["id".into()],
            on_delete: ReferentialAction::NoAction,
            on_update: ReferentialAction::NoAction,
            match_full: false,
            deferrable: (false, false),
            validated: true,
            definition: String::new(),
            comment: None,
        });
    }
    columns.push(column(90, "note", "text"));
    Table {
        oid: oid(at),
        name: name.clone(),
        kind: TableKind::Ordinary,
        partition_of: None,
        inherits: Vec::new(),
        persistence: Persistence::Permanent,
        of_type: None,
        access_method: None,
        owner: "owner".into(),
        replica_identity: ReplicaIdentity::Default,
        columns,
        constraints: vec![Constraint {
            name: "pk".into(),
            kind: ConstraintKind::PrimaryKey,
            definition: String::new(),
            columns: vec!["id".into()],
            deferrable: false,
            validated: true,
            inherited: false,
            comment: None,
        }],
        foreign_keys,
        indexes: Vec::new(),
        triggers: Vec::new(),
        policies: Vec::new(),
        row_security: (false, false),
        rules: Vec::new(),
        statistics: Vec::new(),
        options: Vec::new(),
        grants: Vec::new(),
        comment: None,
        rows_estimated: 1000 * (at as u64 + 1),
        heap_bytes: 1_000_000,
        index_bytes: 500_000,
    }
}
