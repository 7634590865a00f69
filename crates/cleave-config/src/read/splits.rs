//! `[splits]`.

use super::databases::NAME_HINT;
use super::findings::{Findings, nearest};
use super::sections::{self, Entry};
use super::value;
use crate::keys::{Choice, ORPHANS, SHARED, SPLIT_BRIDGES};
use crate::{
    Database, DatabaseName, ErrorCode, Orphans, ReachedBy, Service, ServiceName, Shared, Spanned, Split,
    SplitBridge, SplitTarget, TablePattern,
};
use cleave_model::QualifiedName;
use std::collections::BTreeSet;
use toml_edit::{Item, TableLike, Value};

/// What the entries may name.
struct Known<'k> {
    databases: &'k [Database],
    services: &'k [Service],
}

pub(crate) fn read(
    root: &dyn TableLike,
    databases: &[Database],
    services: &[Service],
    findings: &mut Findings<'_>,
) -> Vec<Split> {
    let known = Known { databases, services };
    let entries = sections::entries(root, "splits", findings);
    let splits: Vec<Split> = entries.iter().filter_map(|entry| split(entry, &known, findings)).collect();
    let mut tables = BTreeSet::new();
    for split in &splits {
        check_claims(split, services, findings);
        if !tables.insert((split.from.clone(), split.table.value.clone())) {
            let message = format!("`{}` is split twice", split.table.value);
            findings.report(ErrorCode::Contradiction, &split.table.span, message);
        }
    }
    splits
}

fn split(entry: &Entry<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Option<Split> {
    let name = name(entry, known.services, findings);
    let get = |key: &str| entry.table.get(key);
    let table = get("table").and_then(|item| {
        let text = value::text(item, "table", findings)?;
        exact(&text, "table", findings).map(|value| Spanned { value, span: text.span })
    });
    let from = match get("from") {
        Some(item) => value::text(item, "from", findings)
            .and_then(|text| value::database(&text, known.databases, findings)),
        None => known.databases.first().map(|database| database.name.clone()),
    };
    let into = get("into").map(|item| targets(item, from.as_ref(), known, findings));
    let shared = match get("shared") {
        Some(item) => value::choice(item, "shared", SHARED, findings).map(|choice| choice.value),
        None => Some("refuse"),
    };
    let orphans = match get("orphans") {
        Some(item) => orphans(item, into.as_deref().unwrap_or_default(), findings),
        None => Some(Orphans::Refuse),
    };
    let bridge = match get("bridge") {
        Some(item) => value::choice(item, "bridge", SPLIT_BRIDGES, findings).map(|choice| choice.value),
        None => Some("none"),
    };
    Some(Split {
        name: name?,
        table: table?,
        from: from?,
        into: into?,
        shared: if shared? == "copy" { Shared::Copy } else { Shared::Refuse },
        orphans: orphans?,
        bridge: if bridge? == "view" { SplitBridge::View } else { SplitBridge::None },
        span: entry.span.clone(),
    })
}

/// A verb takes the name of either.
fn name(entry: &Entry<'_>, services: &[Service], findings: &mut Findings<'_>) -> Option<ServiceName> {
    let name = match ServiceName::parse(entry.name) {
        Ok(name) => name,
        Err(error) => {
            findings.report(ErrorCode::InvalidName, &entry.span, error.to_string()).hint(NAME_HINT);
            return None;
        }
    };
    if services.iter().any(|service| service.name == name) {
        findings
            .report(ErrorCode::Contradiction, &entry.span, format!("`{name}` names a service and a split"))
            .hint("commands take the name of either: give the split another one");
        return None;
    }
    Some(name)
}

fn exact(text: &Spanned<String>, key: &str, findings: &mut Findings<'_>) -> Option<QualifiedName> {
    let exact = TablePattern::parse(&text.value).ok().and_then(|pattern| pattern.exact());
    if exact.is_none() {
        findings
            .report(ErrorCode::InvalidValue, &text.span, format!("`{}` does not name one table", text.value))
            .hint(format!("write `{key}` as `schema.table`"));
    }
    exact
}

fn targets(
    item: &Item,
    from: Option<&DatabaseName>,
    known: &Known<'_>,
    findings: &mut Findings<'_>,
) -> Vec<SplitTarget> {
    let Some(array) = item.as_array() else {
        value::wrong_type(item, "into", "an array of `{ service, reached_by }`", findings);
        return Vec::new();
    };
    let mut found: Vec<SplitTarget> = Vec::new();
    for element in array {
        let Some(target) = target(element, from, known, findings) else { continue };
        let span = &target.service.span;
        if found.iter().any(|other| other.service.value == target.service.value) {
            let message = format!("service `{}` stands in `into` twice", target.service.value);
            findings
                .report(ErrorCode::Contradiction, span, message)
                .hint("list all its columns in one `reached_by`");
        } else if found.iter().any(|other| other.schema == target.schema) {
            let message = format!("two parts would stand in schema `{}`", target.schema.as_str());
            findings
                .report(ErrorCode::Contradiction, span, message)
                .hint("each service needs its own `home`");
        }
        for column in &target.reached_by {
            if found.iter().any(|other| other.reached_by.iter().any(|known| known.value == column.value)) {
                let message = format!("`{}` leads to two services", column.value);
                findings.report(ErrorCode::Contradiction, &column.span, message);
            }
        }
        found.push(target);
    }
    if found.len() < 2 && array.len() < 2 {
        findings
            .report(ErrorCode::InvalidValue, &value::span(item), "a split needs two services or more")
            .hint("a table that goes to one service is claimed in that service's `tables`");
    }
    found
}

fn target(
    element: &Value,
    from: Option<&DatabaseName>,
    known: &Known<'_>,
    findings: &mut Findings<'_>,
) -> Option<SplitTarget> {
    const KEYS: [&str; 2] = ["service", "reached_by"];
    let span = element.span().unwrap_or(0..0);
    let Some(table) = element.as_inline_table() else {
        findings.report(ErrorCode::WrongType, &span, "`into` takes tables: `{ service, reached_by }`");
        return None;
    };
    for (key, value) in table.iter().filter(|(key, _)| !KEYS.contains(key)) {
        let place = value.span().unwrap_or_else(|| span.clone());
        let hint = nearest(key, KEYS).map_or_else(
            || "it takes `service` and `reached_by`".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        findings.report(ErrorCode::UnknownKey, &place, format!("`into` has no key `{key}`")).hint(hint);
    }
    let mut required = |key: &str| {
        let value = table.get(key);
        if value.is_none() {
            findings.report(ErrorCode::MissingKey, &span, format!("this part has no `{key}`"));
        }
        value.map(|value| Item::Value(value.clone()))
    };
    let (service, reached_by) = (required("service"), required("reached_by"));
    let text = value::text(&service?, "service", findings)?;
    let service = service_of(&text, from, known, findings)?;
    let texts = value::texts(&reached_by?, "reached_by", findings);
    if texts.is_empty() {
        findings.report(ErrorCode::InvalidValue, &span, "`reached_by` is empty").hint(REACHED_BY);
    }
    let columns = texts.iter().filter_map(|text| reached(text, findings)).collect();
    Some(SplitTarget {
        service: Spanned { value: service.name.clone(), span: text.span },
        schema: service.home.value.schema.clone(),
        owner: service.owner.as_ref().map(|owner| owner.value.clone()),
        reached_by: columns,
    })
}

const REACHED_BY: &str = "write a column with a foreign key to the table, as `schema.table.column`";

fn reached(text: &Spanned<String>, findings: &mut Findings<'_>) -> Option<Spanned<ReachedBy>> {
    let parsed = text.value.rsplit_once('.').and_then(|(table, column)| {
        let table = TablePattern::parse(table).ok()?.exact()?;
        let column = column.strip_prefix('"').and_then(|c| c.strip_suffix('"')).unwrap_or(column);
        (!column.is_empty()).then(|| ReachedBy { table, column: column.into() })
    });
    if parsed.is_none() {
        let message = format!("`{}` does not name a column", text.value);
        findings.report(ErrorCode::InvalidValue, &text.span, message).hint(REACHED_BY);
    }
    parsed.map(|value| Spanned { value, span: text.span.clone() })
}

/// A part stands where its service lives, which must be in this database.
fn service_of<'k>(
    text: &Spanned<String>,
    from: Option<&DatabaseName>,
    known: &Known<'k>,
    findings: &mut Findings<'_>,
) -> Option<&'k Service> {
    let Some(service) = known.services.iter().find(|service| service.name.as_str() == text.value) else {
        let message = format!("`{}` is not a service of this file", text.value);
        let near = nearest(&text.value, known.services.iter().map(|service| service.name.as_str()));
        let hint = near.map_or_else(
            || "add it to [services], with the schema of its part as `home`".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        findings.report(ErrorCode::UnknownName, &text.span, message).hint(hint);
        return None;
    };
    let from = from?;
    if service.home.value.database != *from {
        let message = format!(
            "service `{}` lives in `{}`, and a split is done inside `{from}`",
            service.name, service.home.value
        );
        findings.report(ErrorCode::Contradiction, &text.span, message).hint(format!(
            "give it a home in `{from}` first; its tables, the part among them, can move to another database afterwards"
        ));
        return None;
    }
    Some(service)
}

fn orphans(item: &Item, into: &[SplitTarget], findings: &mut Findings<'_>) -> Option<Orphans> {
    let text = value::text(item, "orphans", findings)?;
    match text.value.as_str() {
        "refuse" => return Some(Orphans::Refuse),
        "keep" => return Some(Orphans::Keep),
        _ => {}
    }
    if let Some(target) = into.iter().find(|target| target.service.value.as_str() == text.value) {
        return Some(Orphans::Service(target.service.value.clone()));
    }
    let choices = ORPHANS.iter().map(|choice: &Choice| choice.value);
    let services = into.iter().map(|target| target.service.value.as_str());
    let listed: Vec<String> = choices.chain(services).map(|name| format!("`{name}`")).collect();
    findings
        .report(
            ErrorCode::InvalidValue,
            &text.span,
            format!("`orphans` has no choice `{}`, and no part's service has that name", text.value),
        )
        .hint(format!("it takes {}", listed.join(", ")));
    None
}

/// A table that is split belongs to none of the services as a whole.
fn check_claims(split: &Split, services: &[Service], findings: &mut Findings<'_>) {
    for service in services.iter().filter(|service| service.from == split.from) {
        for pattern in service.tables.iter().filter(|pattern| pattern.value.exact().is_some()) {
            if pattern.value.matches(&split.table.value) {
                let message =
                    format!("`{}` is claimed by service `{}` and split", split.table.value, service.name);
                findings
                    .report(ErrorCode::TableClaimedTwice, &pattern.span, message)
                    .hint("take it out of the service's `tables`: its part comes by the split");
            }
        }
    }
}
