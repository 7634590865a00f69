//! `[services]`.

use super::databases::NAME_HINT;
use super::findings::Findings;
use super::pooler;
use super::schema_move;
use super::sections::{self, Entry};
use super::value;
use crate::keys::{BRIDGES, ON_DDL};
use crate::{
    Bridge, Database, DatabaseName, ErrorCode, Home, IdentityChoice, OnDdl, Service, ServiceName, Spanned,
    TablePattern,
};
use cleave_model::{Ident, QualifiedName};
use std::collections::BTreeMap;
use toml_edit::{Item, TableLike};

pub(crate) fn read(
    root: &dyn TableLike,
    databases: &[Database],
    findings: &mut Findings<'_>,
) -> Vec<Service> {
    let entries = sections::entries(root, "services", findings);
    entries.iter().filter_map(|entry| service(entry, databases, findings)).collect()
}

fn service(entry: &Entry<'_>, databases: &[Database], findings: &mut Findings<'_>) -> Option<Service> {
    let name = match ServiceName::parse(entry.name) {
        Ok(name) => Some(name),
        Err(error) => {
            findings.report(ErrorCode::InvalidName, &entry.span, error.to_string()).hint(NAME_HINT);
            None
        }
    };
    let get = |key: &str| entry.table.get(key);
    let home = get("home").and_then(|item| {
        let text = value::text(item, "home", findings)?;
        let home = value::home(&text, "home", databases, findings)?;
        Some(Spanned { value: home, span: text.span })
    });
    let from = from(entry, databases, findings);
    let tables = get("tables").map(|item| patterns(item, findings)).unwrap_or_default();
    let owner = get("owner").and_then(|item| role(item, "owner", findings));
    let copies = get("copies").map(|item| copies(item, databases, findings)).unwrap_or_default();
    let chosen = get("bridge").and_then(|item| value::choice(item, "bridge", BRIDGES, findings));
    let same_database =
        home.as_ref().zip(from.as_ref()).is_some_and(|(home, from)| home.value.database == *from);
    let bridge = match chosen.clone().filter(|_| !same_database) {
        Some(chosen) => bridge(chosen, findings),
        None => Some(Spanned { value: Bridge::Forward, span: entry.span.clone() }),
    };
    let schema_move = schema_move::read(entry, chosen.as_ref(), same_database, findings);
    let on_ddl = get("on_ddl").and_then(|item| value::choice(item, "on_ddl", ON_DDL, findings));
    let identity = get("identity").map(|item| identity(item, findings)).unwrap_or_default();
    let pooler = get("pgbouncer").and_then(|item| pooler::read(item, findings));
    let copy = one_copy(copies, home.as_ref(), from.as_ref(), findings);
    check_bridge(bridge.as_ref(), get("copies").is_some(), findings);
    Some(Service {
        name: name?,
        home: home?,
        from: from?,
        tables,
        owner,
        copy,
        bridge: bridge?,
        schema_move,
        on_ddl: if on_ddl.is_some_and(|chosen| chosen.value == "follow") {
            OnDdl::Follow
        } else {
            OnDdl::Stop
        },
        identity,
        pooler,
        whole: None,
        span: entry.span.clone(),
    })
}

fn from(entry: &Entry<'_>, databases: &[Database], findings: &mut Findings<'_>) -> Option<DatabaseName> {
    match entry.table.get("from") {
        Some(item) => {
            let text = value::text(item, "from", findings)?;
            value::database(&text, databases, findings)
        }
        None => databases.first().map(|database| database.name.clone()),
    }
}

fn patterns(item: &Item, findings: &mut Findings<'_>) -> Vec<Spanned<TablePattern>> {
    let texts = value::texts(item, "tables", findings);
    if texts.is_empty() && item.as_array().is_some_and(|array| array.is_empty()) {
        findings
            .report(ErrorCode::InvalidValue, &value::span(item), "`tables` is empty")
            .hint("name at least one table, as `schema.table`");
    }
    let mut found = Vec::new();
    for text in texts {
        if let Some(value) = pattern(&text, findings) {
            found.push(Spanned { value, span: text.span });
        }
    }
    found
}

fn pattern(text: &Spanned<String>, findings: &mut Findings<'_>) -> Option<TablePattern> {
    match TablePattern::parse(&text.value) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            let finding = findings.report(
                ErrorCode::InvalidValue,
                &text.span,
                format!("the table name `{}` {error}", text.value),
            );
            if !text.value.is_empty() && !text.value.contains(['.', '"', ' ']) {
                finding.hint(format!("write `public.{}` if the schema is public", text.value));
            }
            None
        }
    }
}

pub(super) fn role(item: &Item, key: &str, findings: &mut Findings<'_>) -> Option<Spanned<Ident>> {
    let text = value::text(item, key, findings)?;
    if text.value.is_empty() || text.value.len() > 63 || text.value.starts_with("pg_") {
        findings
            .report(ErrorCode::InvalidValue, &text.span, format!("`{key}` is not the name of a role"))
            .label("1 to 63 bytes, and not beginning with pg_");
        return None;
    }
    Some(Spanned { value: Ident::new(text.value), span: text.span })
}

fn copies(item: &Item, databases: &[Database], findings: &mut Findings<'_>) -> Vec<Spanned<Home>> {
    let mut found = Vec::new();
    for text in value::texts(item, "copies", findings) {
        if let Some(value) = value::home(&text, "copies", databases, findings) {
            found.push(Spanned { value, span: text.span });
        }
    }
    found
}

fn bridge(choice: Spanned<&'static str>, findings: &mut Findings<'_>) -> Option<Spanned<Bridge>> {
    let bridges = [Bridge::Forward, Bridge::Local, Bridge::None];
    let Some(value) = bridges.into_iter().find(|bridge| bridge.as_str() == choice.value) else {
        findings
            .report(
                ErrorCode::Contradiction,
                &choice.span,
                format!("`bridge = \"{}\"` is for a home in the same database", choice.value),
            )
            .hint("write `forward`, `local` or `none` for a home in another database");
        return None;
    };
    Some(Spanned { value, span: choice.span })
}

pub(super) fn identity(
    item: &Item,
    findings: &mut Findings<'_>,
) -> BTreeMap<QualifiedName, Spanned<IdentityChoice>> {
    let mut found = BTreeMap::new();
    let Some(table) = value::table(item, "identity", findings) else { return found };
    for (name, item) in table.iter() {
        let place = Spanned { value: name.to_owned(), span: sections::key_span(table, name, item) };
        let exact = pattern(&place, findings).and_then(|pattern| {
            let exact = pattern.exact();
            if exact.is_none() {
                findings.report(
                    ErrorCode::InvalidValue,
                    &place.span,
                    "`identity` takes names of single tables",
                );
            }
            exact
        });
        let choice =
            value::parsed(item, "identity", "`full` or `index:NAME` in quotes", identity_choice, findings);
        if let (Some(table), Some(value)) = (exact, choice) {
            found.insert(table, Spanned { value, span: value::span(item) });
        }
    }
    found
}

fn identity_choice(text: &str) -> Result<IdentityChoice, &'static str> {
    match text.strip_prefix("index:") {
        Some(index) if !index.is_empty() => Ok(IdentityChoice::Index(Ident::new(index))),
        None if text == "full" => Ok(IdentityChoice::Full),
        _ => Err("expected `full` or `index:NAME`"),
    }
}

fn one_copy(
    copies: Vec<Spanned<Home>>,
    home: Option<&Spanned<Home>>,
    from: Option<&DatabaseName>,
    findings: &mut Findings<'_>,
) -> Option<Spanned<Home>> {
    let mut copies = copies.into_iter();
    let copy = copies.next()?;
    if let Some(second) = copies.next() {
        findings.report(
            ErrorCode::NotAvailable,
            &second.span,
            "more than one copy is not available in this version",
        );
    }
    if home.is_some_and(|home| home.value == copy.value) {
        findings.report(ErrorCode::Contradiction, &copy.span, "a copy cannot stand in the home's own schema");
        return None;
    }
    if from.is_some_and(|from| copy.value.database != *from) {
        findings
            .report(
                ErrorCode::NotAvailable,
                &copy.span,
                "a copy in another database than the old one is not available in this version",
            )
            .hint("the copy is what stays of the old tables: name a schema of the database in `from`");
        return None;
    }
    Some(copy)
}

fn check_bridge(bridge: Option<&Spanned<Bridge>>, has_copies: bool, findings: &mut Findings<'_>) {
    let Some(bridge) = bridge else { return };
    if !has_copies && matches!(bridge.value, Bridge::Local | Bridge::None) {
        findings
            .report(
                ErrorCode::Contradiction,
                &bridge.span,
                format!("`bridge = \"{}\"` reads from a copy, and the service keeps none", bridge.value),
            )
            .hint("add `copies = [\"DATABASE/SCHEMA\"]`, or write `bridge = \"forward\"`");
    }
}
