//! A short notation for schemas, so that a test shows all of one at a glance.
//!
//! ```text
//! order_line(order_id*>orders.cascade, line_no*, variant_id>variant, sent_on:date?)   # * key, ? nullable, > refers
//! index order_line(variant_id, order_id)
//! rows orders 5000, order_line 20000
//! partition order_2024 of orders
//! view sales: orders order_line
//! function settle: reads orders writes payment
//! trigger log on orders: writes order_event
//! transaction 40: reads customer writes orders order_line
//! statement 90: reads orders customer
//! service ordering: orders order_line payment
//! ```
//! A column without a type is `bigint` if it is in the key or refers, else `text`. `~` gives it a default.

use cleave_assess::evidence::{FunctionTables, ImpliedKey, Known, candidates};
use cleave_model::catalog::{
    Catalog, Column, Constraint, ConstraintKind, Facts, ForeignKey, Function, FunctionKind, Index, Partition,
    Persistence, ReferentialAction, ReplicaIdentity, Table, TableKind, Trigger, TriggerFiring, View,
};
use cleave_model::workload::{Statement, TableUse, Transaction, Workload};
use cleave_model::{Ident, Oid, QualifiedName};
use std::collections::{BTreeMap, BTreeSet};

/// A schema with what is known about its use and its services.
pub(crate) struct Sample {
    pub(crate) catalog: Catalog,
    pub(crate) workload: Workload,
    pub(crate) functions: Vec<FunctionTables>,
    /// The service of each table.
    pub(crate) services: BTreeMap<QualifiedName, String>,
}

impl Sample {
    pub(crate) fn parse(text: &str) -> Self {
        let mut sample = Self {
            catalog: empty(),
            workload: Workload::default(),
            functions: Vec::new(),
            services: BTreeMap::new(),
        };
        for line in text.lines().map(|line| line.split('#').next().unwrap().trim()).filter(|l| !l.is_empty())
        {
            sample.line(line);
        }
        sample.resolve();
        sample
    }

    /// What the recommendation is given: keys implied by names as if a sample had proven them.
    pub(crate) fn implied(&self) -> Vec<ImpliedKey> {
        let found = candidates(&self.catalog).into_iter();
        found.map(|candidate| ImpliedKey { candidate, included: Some(1.0) }).collect()
    }

    pub(crate) fn known<'s>(&'s self, implied: &'s [ImpliedKey]) -> Known<'s> {
        Known { catalog: &self.catalog, workload: &self.workload, functions: &self.functions, implied }
    }

    fn line(&mut self, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "index" => self.index(rest, false),
            "unique" | "identity" => self.index(rest, true),
            "partition" => self.partition(rest),
            "rows" => {
                for (table, rows) in rest.split(',').map(|each| each.trim().split_once(' ').unwrap()) {
                    self.table_mut(table).rows_estimated = rows.parse().unwrap();
                }
            }
            "view" => self.view(rest),
            "function" => {
                let (name, touched) = rest.split_once(':').unwrap();
                self.function(name.trim(), touched, "void");
            }
            "trigger" => {
                let (head, touched) = rest.split_once(':').unwrap();
                let (name, tables) = head.split_once(" on ").unwrap();
                let function = self.function(name.trim(), touched, "trigger");
                for table in tables.split_whitespace() {
                    self.table_mut(table).triggers.push(trigger(name, function));
                }
            }
            "transaction" => {
                let (count, touched) = rest.split_once(':').unwrap();
                let (read, written) = touches(touched);
                self.workload.transactions.push(Transaction {
                    read,
                    written,
                    count: count.trim().parse().unwrap(),
                });
            }
            "statement" => {
                let (count, touched) = rest.split_once(':').unwrap();
                let (read, written) = touches(touched);
                let used = |table: QualifiedName, writes: bool| TableUse {
                    table,
                    qualified: false,
                    reads: !writes,
                    writes,
                };
                let tables = read.into_iter().map(|table| used(table, false));
                let tables = tables.chain(written.into_iter().map(|table| used(table, true))).collect();
                let (id, calls) = (rest.to_owned(), count.trim().parse().unwrap());
                self.workload.statements.push(Statement { id, calls, tables, ..Statement::default() });
            }
            "service" => {
                let (service, tables) = rest.split_once(':').unwrap();
                for table in tables.split_whitespace() {
                    self.services.insert(public(table), service.trim().to_owned());
                }
            }
            _ => self.new_table(line),
        }
    }

    fn table(&self, name: &str) -> &Table {
        self.catalog.table(&public(name)).unwrap_or_else(|| panic!("{name}"))
    }

    fn table_mut(&mut self, name: &str) -> &mut Table {
        self.catalog
            .tables
            .iter_mut()
            .find(|table| table.name == public(name))
            .unwrap_or_else(|| panic!("{name}"))
    }

    fn oid(&self) -> Oid {
        let all = self.catalog.tables.len() + self.catalog.views.len() + self.catalog.functions.len();
        Oid(u32::try_from(all).unwrap() + 1000)
    }

    fn new_table(&mut self, line: &str) {
        let (name, rest) = line.split_once('(').unwrap_or_else(|| panic!("{line}"));
        let mut made = table(public(name), self.oid());
        let mut key = Vec::new();
        for (at, text) in rest.trim_end_matches(')').split(',').map(str::trim).enumerate() {
            let (column, refers) = text.split_once('>').map_or((text, None), |(c, r)| (c, Some(r)));
            let name: String = column.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let type_name =
                column.split_once(':').map(|(_, t)| t.trim_end_matches(['*', '?', '~']).to_owned());
            let numbered = column.contains('*') || refers.is_some();
            let type_name = type_name.unwrap_or_else(|| if numbered { "bigint" } else { "text" }.to_owned());
            let whole = text.to_owned();
            if whole.contains('*') {
                key.push(Ident::new(&name));
            }
            made.columns.push(new_column(at, &name, &type_name, &whole));
            if let Some(refers) = refers {
                made.foreign_keys.push(foreign_key(&name, refers.trim_end_matches(['*', '?'])));
            }
        }
        if !key.is_empty() {
            let name = Ident::new(format!("{}_pkey", made.name.name.as_str()));
            made.indexes.push(new_index(&name, &key, true));
            made.constraints.push(primary_key(name, key));
        }
        self.catalog.tables.push(made);
    }

    fn index(&mut self, text: &str, unique: bool) {
        let (table, columns) = text.split_once('(').unwrap();
        let columns: Vec<Ident> =
            columns.trim_end_matches(')').split(',').map(|c| Ident::new(c.trim())).collect();
        let name = Ident::new(format!("{table}_{}_idx", columns.len()));
        self.table_mut(table).indexes.push(new_index(&name, &columns, unique));
    }

    fn partition(&mut self, text: &str) {
        let (name, parent) = text.split_once(" of ").unwrap();
        let mut part = table(public(name), self.oid());
        part.columns.clone_from(&self.table(parent).columns);
        part.partition_of = Some(Partition { parent: public(parent), bound: "DEFAULT".into() });
        self.table_mut(parent).kind = TableKind::Partitioned("LIST (id)".into());
        self.catalog.tables.push(part);
    }

    fn view(&mut self, text: &str) {
        let (name, tables) = text.split_once(':').unwrap();
        let reads = tables.split_whitespace().map(|read| {
            let view = self.catalog.view(&public(read)).map(|view| view.oid);
            view.unwrap_or_else(|| self.table(read).oid)
        });
        let reads = reads.collect();
        let oid = self.oid();
        self.catalog.views.push(View {
            oid,
            name: public(name),
            materialized: false,
            definition: String::new(),
            columns: vec![],
            owner: "app".into(),
            options: vec![],
            reads,
            keyed_by: vec![],
            triggers: vec![],
            grants: vec![],
            comment: None,
        });
    }

    fn function(&mut self, name: &str, touched: &str, result: &str) -> Oid {
        let (reads, writes) = touches(touched);
        let oid = self.oid();
        self.catalog.functions.push(function(name, oid, result));
        self.functions.push(FunctionTables { function: oid, reads, writes });
        oid
    }

    /// Referenced columns are the key of the table referred to.
    fn resolve(&mut self) {
        let keys: BTreeMap<QualifiedName, Vec<Ident>> = self
            .catalog
            .tables
            .iter()
            .map(|table| (table.name.clone(), table.primary_key().unwrap_or_default().to_vec()))
            .collect();
        for key in self.catalog.tables.iter_mut().flat_map(|table| &mut table.foreign_keys) {
            key.referenced_columns =
                keys.get(&key.referenced).unwrap_or_else(|| panic!("{}", key.referenced)).clone();
        }
    }
}

pub(crate) fn public(name: &str) -> QualifiedName {
    match name.trim().split_once('.') {
        Some((schema, name)) => QualifiedName::new(schema, name),
        None => QualifiedName::new("public", name.trim()),
    }
}

fn touches(text: &str) -> (BTreeSet<QualifiedName>, BTreeSet<QualifiedName>) {
    let (mut read, mut written, mut writes) = (BTreeSet::new(), BTreeSet::new(), false);
    for word in text.split_whitespace() {
        match word {
            "reads" => writes = false,
            "writes" => writes = true,
            table if writes => drop(written.insert(public(table))),
            table => drop(read.insert(public(table))),
        }
    }
    (read, written)
}

fn empty() -> Catalog {
    Catalog {
        facts: Facts {
            version_num: 160_004,
            system_identifier: 1,
            timeline: 1,
            database: "monolith".into(),
            encoding: "UTF8".into(),
            collation: "C".into(),
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
        roles: vec![],
        dependencies: vec![],
        outside_needs: vec![],
    }
}

fn table(name: QualifiedName, oid: Oid) -> Table {
    Table {
        oid,
        name,
        kind: TableKind::Ordinary,
        partition_of: None,
        inherits: vec![],
        persistence: Persistence::Permanent,
        of_type: None,
        access_method: None,
        owner: "app".into(),
        replica_identity: ReplicaIdentity::Default,
        columns: vec![],
        constraints: vec![],
        foreign_keys: vec![],
        indexes: vec![],
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
    }
}

fn new_column(at: usize, name: &str, type_name: &str, marks: &str) -> Column {
    Column {
        number: i16::try_from(at + 1).unwrap(),
        name: name.into(),
        type_name: type_name.to_owned(),
        type_oid: Oid(type_name.bytes().map(u32::from).sum()),
        user_type: None,
        not_null: !marks.contains('?'),
        default: marks.contains('~').then(|| "now()".to_owned()),
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

fn foreign_key(column: &str, refers: &str) -> ForeignKey {
    let (table, action) = refers.split_once('.').unwrap_or((refers, ""));
    ForeignKey {
        name: Ident::new(format!("{column}_fkey")),
        columns: vec![column.into()],
        referenced: public(table),
        referenced_columns: vec![],
        on_delete: match action {
            "cascade" => ReferentialAction::Cascade,
            "null" => ReferentialAction::SetNull,
            _ => ReferentialAction::NoAction,
        },
        on_update: ReferentialAction::NoAction,
        match_full: false,
        deferrable: (false, false),
        validated: true,
        definition: String::new(),
        comment: None,
    }
}

fn primary_key(name: Ident, columns: Vec<Ident>) -> Constraint {
    Constraint {
        name,
        kind: ConstraintKind::PrimaryKey,
        definition: String::new(),
        columns,
        deferrable: false,
        validated: true,
        inherited: false,
        comment: None,
    }
}

fn new_index(name: &Ident, columns: &[Ident], unique: bool) -> Index {
    Index {
        name: name.clone(),
        definition: String::new(),
        columns: columns.to_vec(),
        unique,
        identifies_rows: unique,
        constraint: None,
        inherited: false,
        parent: None,
        valid: true,
        clustered: false,
        bytes: 0,
        comment: None,
    }
}

fn function(name: &str, oid: Oid, result: &str) -> Function {
    Function {
        oid,
        name: public(name),
        identity_arguments: String::new(),
        kind: FunctionKind::Function,
        language: "plpgsql".into(),
        definition: String::new(),
        body: None,
        result: result.into(),
        security_definer: false,
        settings: vec![],
        owner: "app".into(),
        grants: vec![],
        comment: None,
    }
}

fn trigger(name: &str, function: Oid) -> Trigger {
    Trigger {
        name: name.trim().into(),
        definition: String::new(),
        function,
        firing: TriggerFiring::Origin,
        inherited: false,
        comment: None,
    }
}
