//! Small hand-made catalogs for tests. Everything stands in schema `public`; an object's OID is made of its place.

use cleave_model::catalog::{
    Catalog, Column, Constraint, ConstraintKind, Facts, ForeignKey, Function, FunctionKind, Index, Partition,
    Persistence, ReferentialAction, ReplicaIdentity, Role, Sequence, SequenceOwner, Table, TableKind,
    Trigger, TriggerFiring, View,
};
use cleave_model::{Ident, Oid, QualifiedName};

/// A monolith and an empty new home.
pub(crate) struct Sample {
    /// The catalog that tables come from.
    pub(crate) source: Catalog,
    /// The catalog they go to.
    pub(crate) target: Catalog,
}

/// A table on its way into a [`Sample`].
pub(crate) struct NewTable(pub(crate) Table);

pub(crate) fn public(name: &str) -> QualifiedName {
    QualifiedName::new("public", name)
}

impl Sample {
    pub(crate) fn with<const N: usize>(tables: [NewTable; N]) -> Self {
        let mut source = catalog("shop", 140_012);
        source.tables = tables.into_iter().map(|table| table.0).collect();
        for (at, table) in (100..).zip(&mut source.tables) {
            table.oid = Oid(at);
        }
        Self { source, target: catalog("products", 180_001) }
    }

    pub(crate) fn table_mut(&mut self, name: &str) -> &mut Table {
        self.source.tables.iter_mut().find(|table| table.name == public(name)).unwrap()
    }

    fn oid(&self, name: &str) -> Oid {
        self.source.table(&public(name)).unwrap().oid
    }

    /// A view that reads tables.
    pub(crate) fn view(&mut self, name: &str, reads: &[&str]) -> &mut View {
        let reads = reads.iter().map(|table| self.oid(table)).collect();
        self.source.views.push(View {
            oid: Oid(200 + u32::try_from(self.source.views.len()).unwrap()),
            name: public(name),
            materialized: false,
            definition: "select 1;".into(),
            columns: vec!["id".into()],
            owner: "postgres".into(),
            options: vec![],
            reads,
            keyed_by: vec![],
            triggers: vec![],
            grants: vec![],
            comment: None,
        });
        self.source.views.last_mut().unwrap()
    }

    /// A sequence that no column owns.
    pub(crate) fn sequence(&mut self, name: &str) -> Oid {
        let oid = Oid(300 + u32::try_from(self.source.sequences.len()).unwrap());
        self.source.sequences.push(Sequence {
            oid,
            name: public(name),
            type_name: "bigint".into(),
            increment: 1,
            min: 1,
            max: i64::MAX,
            start: 1,
            cache: 1,
            cycle: false,
            owner_column: None,
            owner: "postgres".into(),
            grants: vec![],
            comment: None,
        });
        oid
    }

    /// A function in PL/pgSQL.
    pub(crate) fn function(&mut self, name: &str, body: &str) -> Oid {
        let oid = Oid(400 + u32::try_from(self.source.functions.len()).unwrap());
        self.source.functions.push(Function {
            oid,
            name: public(name),
            identity_arguments: String::new(),
            kind: FunctionKind::Function,
            language: "plpgsql".into(),
            definition: String::new(),
            body: Some(body.into()),
            result: "void".into(),
            security_definer: false,
            settings: vec![],
            owner: "postgres".into(),
            grants: vec![],
            comment: None,
        });
        oid
    }

    /// A trigger on a table, with a function of its own.
    pub(crate) fn trigger(&mut self, table: &str, name: &str, body: &str) -> &mut Trigger {
        let function = self.function(name, body);
        self.source.functions.last_mut().unwrap().result = "trigger".into();
        let triggers = &mut self.table_mut(table).triggers;
        triggers.push(Trigger {
            name: name.into(),
            definition: String::new(),
            function,
            firing: TriggerFiring::Origin,
            inherited: false,
            comment: None,
        });
        triggers.last_mut().unwrap()
    }
}

/// A sequence owned by column `id` of a table.
pub(crate) fn owned_sequence(sample: &mut Sample, name: &str, table: &str) {
    let oid = sample.sequence(name);
    let owner = SequenceOwner { table: sample.oid(table), column: "id".into(), identity: false };
    sample.source.sequences.last_mut().unwrap().owner_column = Some(owner);
    sample.table_mut(table).columns[0].default_sequence = Some(oid);
}

/// An ordinary table with the primary key `id` and a column `name`.
pub(crate) fn table(name: &str) -> NewTable {
    NewTable(Table {
        oid: Oid(0),
        name: public(name),
        kind: TableKind::Ordinary,
        partition_of: None,
        inherits: vec![],
        persistence: Persistence::Permanent,
        of_type: None,
        access_method: None,
        owner: "postgres".into(),
        replica_identity: ReplicaIdentity::Default,
        columns: vec![column(1, "id", true), column(2, "name", false)],
        constraints: vec![primary_key(&format!("{name}_pkey"))],
        foreign_keys: vec![],
        indexes: vec![unique_index(&format!("{name}_pkey"), "id")],
        triggers: vec![],
        policies: vec![],
        row_security: (false, false),
        rules: vec![],
        statistics: vec![],
        options: vec![],
        grants: vec![],
        comment: None,
        rows_estimated: 0,
        heap_bytes: 0,
        index_bytes: 0,
    })
}

/// A table without primary key and indexes.
pub(crate) fn keyless(name: &str) -> NewTable {
    let mut table = table(name).0;
    (table.constraints, table.indexes) = (vec![], vec![]);
    NewTable(table)
}

/// A partitioned table.
pub(crate) fn partitioned(name: &str, key: &str) -> NewTable {
    let mut table = table(name).0;
    table.kind = TableKind::Partitioned(key.to_owned());
    NewTable(table)
}

/// A partition that holds rows.
pub(crate) fn partition(name: &str, parent: &str) -> NewTable {
    table(name).under(parent)
}

impl NewTable {
    pub(crate) fn under(mut self, parent: &str) -> Self {
        self.0.partition_of = Some(Partition { parent: public(parent), bound: "DEFAULT".into() });
        self
    }

    pub(crate) fn key(mut self, key: ForeignKey) -> Self {
        self.0.foreign_keys.push(key);
        self
    }

    pub(crate) fn index(mut self, index: Index) -> Self {
        self.0.indexes.push(index);
        self
    }

    pub(crate) fn set(mut self, change: impl FnOnce(&mut Table)) -> Self {
        change(&mut self.0);
        self
    }
}

fn column(number: i16, name: &str, not_null: bool) -> Column {
    Column {
        number,
        name: name.into(),
        type_name: "integer".into(),
        type_oid: Oid(23),
        user_type: None,
        not_null,
        default: None,
        default_sequence: None,
        identity: None,
        generated: None,
        collation: None,
        storage: None,
        compression: None,
        statistics: None,
        options: vec![],
        comment: None,
        grants: vec![],
    }
}

fn primary_key(name: &str) -> Constraint {
    Constraint {
        name: name.into(),
        kind: ConstraintKind::PrimaryKey,
        definition: "PRIMARY KEY (id)".into(),
        columns: vec!["id".into()],
        deferrable: false,
        validated: true,
        inherited: false,
        comment: None,
    }
}

/// An index that can be a replica identity.
pub(crate) fn unique_index(name: &str, column: &str) -> Index {
    Index {
        name: name.into(),
        definition: String::new(),
        columns: vec![column.into()],
        unique: true,
        identifies_rows: true,
        constraint: None,
        inherited: false,
        parent: None,
        valid: true,
        clustered: false,
        bytes: 0,
        comment: None,
    }
}

/// A key from column `id` to another table's.
pub(crate) fn foreign_key(name: &str, referenced: &str, on_delete: ReferentialAction) -> ForeignKey {
    ForeignKey {
        name: name.into(),
        columns: vec!["id".into()],
        referenced: public(referenced),
        referenced_columns: vec!["id".into()],
        on_delete,
        on_update: ReferentialAction::NoAction,
        match_full: false,
        deferrable: (false, false),
        validated: true,
        definition: String::new(),
        comment: None,
    }
}

/// A role that may log in.
pub(crate) fn role(name: &str) -> Role {
    Role { name: Ident::from(name), superuser: false, login: true, replication: false, bypass_rls: false }
}

fn catalog(database: &str, version_num: u32) -> Catalog {
    Catalog {
        facts: Facts {
            version_num,
            system_identifier: u64::from(version_num),
            timeline: 1,
            database: database.into(),
            encoding: "UTF8".into(),
            collation: "C.UTF-8".into(),
            in_recovery: false,
            wal_level: "logical".into(),
            role: "postgres".into(),
            superuser: true,
        },
        schemas: vec![],
        tables: vec![],
        views: vec![],
        sequences: vec![],
        types: vec![],
        functions: vec![],
        extensions: vec![],
        event_triggers: vec![],
        publications: vec![],
        subscriptions: vec![],
        roles: vec![role("postgres")],
        dependencies: vec![],
        outside_needs: vec![],
    }
}
