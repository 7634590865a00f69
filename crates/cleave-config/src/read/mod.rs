//! From TOML to [`Config`]: collects every error before it gives up.
//!
//! `findings.rs` collects, `value.rs` reads single values, and there is one file per section. This file puts them in
//! order: databases first, as everything else names them.

mod databases;
mod findings;
mod pooler;
mod schema_move;
mod sections;
mod services;
mod settings;
mod splits;
mod upgrade;
mod value;

use crate::{Config, ConfigErrors, ErrorCode, Source};
use findings::Findings;
use toml_edit::{Document, TableLike};

/// Reads the whole file.
pub(crate) fn read(source: Source<'_>) -> Result<Config, ConfigErrors> {
    let mut findings = Findings::new(source);
    let document = match Document::parse(source.text) {
        Ok(document) => document,
        Err(error) => {
            let span = error.span().unwrap_or(0..0);
            findings.report(ErrorCode::Syntax, &span, syntax_message(error.message()));
            return Err(findings.into_errors());
        }
    };
    let root: &dyn TableLike = document.as_table();
    sections::check_top_level(root, &mut findings);
    let databases = databases::read(root, &mut findings);
    let mut services = services::read(root, &databases, &mut findings);
    let upgrade = upgrade::read(root, &databases, &services, &mut findings);
    services.extend(upgrade);
    let splits = splits::read(root, &databases, &services, &mut findings);
    let limits = settings::limits(root, &mut findings);
    let hooks = settings::hooks(root, &mut findings);
    let server = settings::server(root, &mut findings);
    crate::claims::check_exact_claims(&services, &mut findings);
    let warnings = findings.finish()?;
    Ok(Config { file: source.file.to_owned(), databases, services, splits, limits, hooks, server, warnings })
}

/// The parser's message on one line.
fn syntax_message(message: &str) -> String {
    let line: Vec<&str> = message.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    format!("this is not TOML: {}", line.join(", "))
}

pub(crate) use findings::Findings as Collected;
