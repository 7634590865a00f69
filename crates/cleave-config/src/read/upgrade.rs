//! `[upgrade]`: a service whose tables are all there are.

use super::databases::NAME_HINT;
use super::findings::Findings;
use super::{pooler, sections, services, value};
use crate::{
    Bridge, Database, DatabaseName, ErrorCode, Home, OnDdl, Service, ServiceName, Spanned, WholeDatabase,
};
use cleave_model::Ident;
use std::collections::BTreeMap;
use toml_edit::{Item, TableLike};

/// What an upgrade is called that has no `name`.
const NAME: &str = "upgrade";

pub(crate) fn read(
    root: &dyn TableLike,
    databases: &[Database],
    services: &[Service],
    findings: &mut Findings<'_>,
) -> Option<Service> {
    let table = sections::single(root, NAME, findings)?;
    let span = root.get(NAME).map(|item| sections::key_span(root, NAME, item)).unwrap_or_default();
    let from = database(table, "from", databases, findings);
    let to = database(table, "to", databases, findings);
    let name = name(table, services, findings);
    let identity = table.get("identity").map(|item| services::identity(item, findings)).unwrap_or_default();
    let pooler = table.get("pgbouncer").and_then(|item| pooler::read(item, findings));
    let tablespaces = table.get("tablespaces").map(|item| names(item, findings)).unwrap_or_default();
    let client_tools = table.get("client_tools").and_then(|item| value::text(item, "client_tools", findings));
    let (from, to) = (from?, to?);
    if from.value == to.value {
        findings.report(
            ErrorCode::Contradiction,
            &to.span,
            "`from` and `to` of an upgrade are the same database",
        );
        return None;
    }
    Some(Service {
        name: name?,
        // Names are unchanged, so the schema says nothing.
        home: Spanned { value: Home { database: to.value, schema: Ident::new("public") }, span: to.span },
        from: from.value,
        tables: Vec::new(),
        owner: None,
        copy: None,
        bridge: Spanned { value: Bridge::None, span: span.clone() },
        on_ddl: OnDdl::Stop,
        identity,
        schema_move: None,
        pooler,
        whole: Some(WholeDatabase {
            tablespaces,
            client_tools: client_tools.map(|folder| folder.value.into()),
        }),
        span,
    })
}

fn database(
    table: &dyn TableLike,
    key: &str,
    databases: &[Database],
    findings: &mut Findings<'_>,
) -> Option<Spanned<DatabaseName>> {
    let text = value::text(table.get(key)?, key, findings)?;
    let value = value::database(&text, databases, findings)?;
    Some(Spanned { value, span: text.span })
}

fn name(table: &dyn TableLike, services: &[Service], findings: &mut Findings<'_>) -> Option<ServiceName> {
    let text = match table.get("name") {
        Some(item) => value::text(item, "name", findings)?,
        None => Spanned { value: NAME.to_owned(), span: 0..0 },
    };
    let name = match ServiceName::parse(&text.value) {
        Ok(name) => name,
        Err(error) => {
            findings.report(ErrorCode::InvalidName, &text.span, error.to_string()).hint(NAME_HINT);
            return None;
        }
    };
    if let Some(service) = services.iter().find(|service| service.name == name) {
        findings
            .report(
                ErrorCode::Contradiction,
                &service.span,
                format!("a service is called {name}, as the upgrade is"),
            )
            .hint("give the upgrade another `name`");
        return None;
    }
    Some(name)
}

fn names(item: &Item, findings: &mut Findings<'_>) -> BTreeMap<Ident, Ident> {
    let mut found = BTreeMap::new();
    let Some(table) = value::table(item, "tablespaces", findings) else { return found };
    for (old, item) in table.iter() {
        if let Some(new) = value::text(item, "tablespaces", findings) {
            found.insert(Ident::new(old), Ident::new(new.value));
        }
    }
    found
}
