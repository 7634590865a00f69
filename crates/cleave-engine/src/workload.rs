//! Reads what applications do with a database: `pg_stat_statements`, log files, a look at the write-ahead log.

mod at_risk;
mod files;
mod listening;

pub use at_risk::plan_workload;

use crate::EngineError;
use cleave_api::{ExitCode, Problem};
use cleave_assess::workload::{Collector, SearchPaths, Seen, function_tables};
use cleave_model::catalog::Catalog;
use cleave_model::format_count;
use cleave_model::workload::Workload;
use cleave_pg::Session;
use cleave_pg::workload::{Statements, read_search_paths, read_statements};
use cleave_sql::Resolver;
use std::path::PathBuf;
use std::time::Duration;

/// Where a workload is read from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkloadOptions {
    /// `pg_stat_statements`, where it is.
    pub statements: bool,
    /// Log files of the server.
    pub files: Vec<PathBuf>,
    /// `log_line_prefix` of the files, where it is not the server's present one.
    pub log_line_prefix: Option<String>,
    /// How long to look at what transactions write.
    pub listen: Option<Duration>,
}

impl WorkloadOptions {
    /// What costs nothing: `pg_stat_statements` alone.
    pub fn statements_only() -> Self {
        Self { statements: true, ..Self::default() }
    }
}

/// A workload, and what is to be said of how it was read.
#[derive(Clone, Debug, Default)]
pub struct WorkloadReading {
    /// What applications do.
    pub workload: Workload,
    /// Sources that were missing or that say a part only: notes and warnings.
    pub problems: Vec<Problem>,
}

/// Reads a workload. Names are resolved against `catalog`, which is the one of the session's database. The session must
/// not be in a transaction.
///
/// # Errors
/// `C1002` and `C1003` for a file, `C1005` and `C1006` for listening, and the server's own. A missing
/// `pg_stat_statements` is no error.
pub async fn read_workload(
    session: &mut Session,
    catalog: &Catalog,
    options: &WorkloadOptions,
) -> Result<WorkloadReading, EngineError> {
    let settings = read_search_paths(session).await?;
    let paths = SearchPaths { default: settings.default, roles: settings.roles.into_iter().collect() };
    let functions = function_tables(catalog, &paths);
    let mut collector = Collector::new(Resolver::new(catalog, &[]), paths).with_functions(functions);
    let mut problems = Vec::new();
    if options.statements {
        statements(session, &mut collector, &mut problems).await?;
    }
    if !options.files.is_empty() {
        let prefix = match &options.log_line_prefix {
            Some(prefix) => prefix.clone(),
            None => cleave_pg::workload::log_line_prefix(session).await?,
        };
        let input = files::Input {
            paths: options.files.clone(),
            prefix,
            given: options.log_line_prefix.is_some(),
            database: catalog.facts.database.clone(),
        };
        let read = tokio::task::spawn_blocking(move || files::read(&input, collector)).await;
        let (filled, found) = read.map_err(|error| EngineError::Stored {
            what: "the log".to_owned(),
            reason: error.to_string(),
        })??;
        collector = filled;
        problems.extend(found);
    }
    if let Some(time) = options.listen {
        listening::listen(session, catalog, time, &mut collector).await?;
    }
    let workload = collector.finish();
    problems.extend(unread(&workload));
    Ok(WorkloadReading { workload, problems })
}

async fn statements(
    session: &Session,
    collector: &mut Collector,
    problems: &mut Vec<Problem>,
) -> Result<(), EngineError> {
    let (rows, since, forgotten) = match read_statements(session).await? {
        Statements::NotInstalled => {
            problems.push(note("C1000", "pg_stat_statements is not installed in this database: statements that applications send are not known").hint(
                "create extension pg_stat_statements; with it in shared_preload_libraries, or give log files with --workload",
            ));
            return Ok(());
        }
        Statements::NotLoaded => {
            problems.push(
                note("C1000", "pg_stat_statements is installed, and the server does not load it").hint(
                    "add it to shared_preload_libraries and restart the server, or give log files with --workload",
                ),
            );
            return Ok(());
        }
        Statements::NotAllowed => {
            let message =
                "this role may not read pg_stat_statements: statements that applications send are not known";
            problems.push(Problem::warning("C1001", message).hint(
                "grant usage on its schema, select on it, and pg_read_all_stats to the role that Cleave connects as",
            ));
            return Ok(());
        }
        Statements::Read { rows, since, forgotten } => (rows, since, forgotten),
    };
    let since = since.map(|since| format!(" since {since}")).unwrap_or_default();
    collector.source(format!("pg_stat_statements{since}"));
    let hidden = rows.iter().filter(|row| row.text.is_none()).count();
    for row in &rows {
        if let Some(text) = &row.text {
            collector.take(&Seen {
                id: row.id,
                text,
                role: row.role.as_deref(),
                path: None,
                calls: row.calls,
                total_ms: row.total_ms,
            });
        }
    }
    if hidden > 0 {
        let message = format!(
            "{} of pg_stat_statements are of other roles, and this role may not see them",
            counted(hidden as u64, "statement", "statements")
        );
        problems.push(
            Problem::warning("C1001", message)
                .hint("grant pg_read_all_stats to the role that Cleave connects as"),
        );
    }
    if forgotten > 0 {
        let message = format!(
            "pg_stat_statements had to forget statements {} times: what is seldom sent may be missing",
            format_count(forgotten.unsigned_abs())
        );
        problems.push(
            Problem::warning("C1007", message)
                .hint("raise pg_stat_statements.max, and wait until it has seen everything"),
        );
    }
    Ok(())
}

fn unread(workload: &Workload) -> Option<Problem> {
    let times: u64 = workload.unread.iter().map(|(_, calls)| calls).sum();
    if times == 0 {
        return None;
    }
    let message = format!(
        "{}, seen {} times, could not be read and count nowhere",
        counted(workload.unread.len() as u64, "statement", "statements"),
        format_count(times)
    );
    let shown: Vec<String> =
        workload.unread.iter().take(5).map(|(text, calls)| format!("{calls} times: {text}")).collect();
    Some(Problem { causes: shown, ..Problem::warning("C1008", message) })
}

fn note(code: &str, message: impl Into<String>) -> Problem {
    Problem { severity: cleave_api::Severity::Note, ..Problem::warning(code, message) }
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", format_count(count), if count == 1 { one } else { many })
}

/// A source that was asked for and cannot be had.
fn refused(code: &'static str, message: String, hint: impl Into<String>) -> EngineError {
    EngineError::Gate { code, message, hint: Some(hint.into()), next: None, exit: ExitCode::Usage }
}
