//! Which service owns which table.

use crate::read::Collected;
use crate::{
    Config, ConfigError, ConfigErrors, ErrorCode, Service, ServiceName, Source, Spanned, TablePattern,
};
use cleave_model::{DatabaseName, QualifiedName};
use std::collections::BTreeMap;

/// Tables by service; every service of the config has an entry, sorted by name.
pub type Assignments = BTreeMap<ServiceName, Vec<QualifiedName>>;

/// Resolves the patterns of the services that come from `database` against the tables it has.
///
/// # Errors
/// A table claimed by two services (C0007), and a pattern or name that fits no table (C0012, with the nearest name).
/// `text` is the source that the config was read from, for lines and columns.
pub fn match_tables(
    config: &Config,
    database: &DatabaseName,
    tables: &[QualifiedName],
    text: &str,
) -> Result<Assignments, ConfigErrors> {
    let mut findings = Collected::new(Source { file: &config.file, text });
    let mut assignments = Assignments::new();
    let mut owners: BTreeMap<&QualifiedName, &Service> = BTreeMap::new();
    for service in config.services.iter().filter(|service| service.from == *database) {
        let mut claimed: Vec<QualifiedName> = Vec::new();
        for pattern in &service.tables {
            let matched: Vec<&QualifiedName> = tables.iter().filter(|t| pattern.value.matches(t)).collect();
            if matched.is_empty() {
                no_such_table(pattern, database, tables, &mut findings);
            }
            for table in matched {
                match owners.get(table) {
                    Some(owner) if owner.name != service.name => {
                        claimed_twice(table, owner, service, pattern, &mut findings);
                    }
                    _ => {
                        owners.insert(table, service);
                        claimed.push(table.clone());
                    }
                }
            }
        }
        claimed.sort();
        claimed.dedup();
        assignments.insert(service.name.clone(), claimed);
    }
    findings.finish().map(|_| assignments)
}

/// Names without a star can be compared before any database is asked.
pub(crate) fn check_exact_claims(services: &[Service], findings: &mut Collected<'_>) {
    let mut owners: BTreeMap<(DatabaseName, QualifiedName), &Service> = BTreeMap::new();
    for service in services {
        for pattern in &service.tables {
            let Some(table) = pattern.value.exact() else { continue };
            match owners.get(&(service.from.clone(), table.clone())) {
                Some(owner) if owner.name != service.name => {
                    claimed_twice(&table, owner, service, pattern, findings);
                }
                _ => {
                    owners.insert((service.from.clone(), table), service);
                }
            }
        }
    }
}

fn claimed_twice<'f>(
    table: &QualifiedName,
    owner: &Service,
    second: &Service,
    pattern: &Spanned<TablePattern>,
    findings: &'f mut Collected<'_>,
) -> &'f mut ConfigError {
    let message = format!("`{table}` is claimed by two services, `{}` and `{}`", owner.name, second.name);
    let finding = findings.report(ErrorCode::TableClaimedTwice, &pattern.span, message);
    finding
        .label(format!("`{}` has it already", owner.name))
        .hint("a table has one owner: take it out of one of the two")
}

fn no_such_table(
    pattern: &Spanned<TablePattern>,
    database: &DatabaseName,
    tables: &[QualifiedName],
    findings: &mut Collected<'_>,
) {
    let message = match pattern.value.exact() {
        Some(_) => format!("database `{database}` has no table `{}`", pattern.value),
        None => format!("no table of database `{database}` fits `{}`", pattern.value),
    };
    let wanted = pattern.value.to_string();
    let best = tables
        .iter()
        .map(|table| (strsim::jaro_winkler(&wanted, &table.to_string()), table))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let finding = findings.report(ErrorCode::NoSuchTable, &pattern.span, message);
    // Nearly all tables share the schema's name, so the bar is higher than for keys.
    if let Some((_, near)) = best.filter(|(score, _)| *score >= 0.88 && pattern.value.exact().is_some()) {
        finding.hint(format!("did you mean `{near}`?"));
    }
}
