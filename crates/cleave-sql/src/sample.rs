//! A small hand-made catalog for tests.

use crate::Resolver;
use cleave_model::catalog::{
    Catalog, Facts, Function, FunctionKind, Partition, Persistence, ReplicaIdentity, Sequence, Table,
    TableKind, Trigger, TriggerFiring, TypeKind, UserType, View,
};
use cleave_model::{Ident, Oid, QualifiedName};

pub(crate) fn public(name: &str) -> QualifiedName {
    QualifiedName::new("public", name)
}

/// Tables `public.film`, `actor`, `Odd Name`, `pay` with the partition `pay_1`, `other.film`; a view, sequences, a type
/// and functions.
pub(crate) fn catalog() -> Catalog {
    let mut catalog = Catalog {
        facts: Facts {
            version_num: 180_000,
            system_identifier: 1,
            timeline: 1,
            database: "shop".into(),
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
    };
    let other = QualifiedName::new("other", "film");
    for name in [public("film"), public("actor"), public("Odd Name"), public("pay"), public("pay_1"), other] {
        catalog.tables.push(table(name));
    }
    let parent = Partition { parent: public("pay"), bound: "DEFAULT".into() };
    catalog.tables[4].partition_of = Some(parent);
    catalog.views.push(view(public("titles")));
    for name in ["film_id_seq", "free_seq"] {
        catalog.sequences.push(sequence(public(name)));
    }
    catalog.types.push(UserType {
        oid: Oid(500),
        name: public("mood"),
        kind: TypeKind::Enum(vec!["good".into()]),
        owner: "postgres".into(),
        grants: vec![],
        comment: None,
    });
    catalog.functions.push(function("rate", "sql", "select 1"));
    catalog
}

/// A resolver for `search_path = public`.
pub(crate) fn resolver() -> Resolver {
    Resolver::new(&catalog(), &[Ident::new("public")])
}

/// A function of schema `public`, with the definition that the server would show.
pub(crate) fn function(name: &str, language: &str, body: &str) -> Function {
    Function {
        oid: Oid(400),
        name: public(name),
        identity_arguments: String::new(),
        kind: FunctionKind::Function,
        language: language.into(),
        definition: format!(
            "CREATE OR REPLACE FUNCTION public.{name}(a film)\n RETURNS SETOF film\n LANGUAGE {language}\nAS $function${body}$function$\n"
        ),
        body: Some(body.into()),
        result: "void".into(),
        security_definer: false,
        settings: vec![],
        owner: "postgres".into(),
        grants: vec![],
        comment: None,
    }
}

/// A trigger that calls a function, as the server shows it.
pub(crate) fn trigger(function: &Function, definition: &str) -> Trigger {
    Trigger {
        name: "t".into(),
        definition: definition.into(),
        function: function.oid,
        firing: TriggerFiring::Origin,
        inherited: false,
        comment: None,
    }
}

fn table(name: QualifiedName) -> Table {
    Table {
        oid: Oid(100),
        name,
        kind: TableKind::Ordinary,
        partition_of: None,
        inherits: vec![],
        persistence: Persistence::Permanent,
        of_type: None,
        access_method: None,
        owner: "postgres".into(),
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

fn view(name: QualifiedName) -> View {
    View {
        oid: Oid(200),
        name,
        materialized: false,
        definition: "select 1;".into(),
        columns: vec![],
        owner: "postgres".into(),
        options: vec![],
        reads: vec![],
        keyed_by: vec![],
        triggers: vec![],
        grants: vec![],
        comment: None,
    }
}

fn sequence(name: QualifiedName) -> Sequence {
    Sequence {
        oid: Oid(300),
        name,
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
    }
}
