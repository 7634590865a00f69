//! Reads the database and has the split planned; counts whose rows are whose.

use crate::{EngineError, Topology, WorkloadOptions, switch::sql};
use cleave_api::Problem;
use cleave_config::Split;
use cleave_journal::MoveRow;
use cleave_model::{QualifiedName, ServiceName};
use cleave_pg::{During, PgError, Session, catalog::read_catalog, workload::read_search_paths};
use cleave_plan::split::{
    RowCounts, SplitDraft, SplitPlan, draft_split, hides_bare_names, judge_bare_names, judge_paths,
    judge_rows, statements,
};
use cleave_plan::{Finding, Weight};
use serde_json::{Value, json};
use std::time::Duration;

/// A table with more rows is counted by a sample first.
const COUNTED_ROWS_MAX: u64 = 1_000_000;

/// How long a plan may count all rows.
const COUNT_LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn no_such_split(topology: &Topology, name: &ServiceName) -> EngineError {
    let config = topology.config();
    let services = config.services.iter().map(|service| service.name.to_string());
    EngineError::NoSuchService {
        name: name.to_string(),
        file: config.file.clone(),
        known: services.chain(config.splits.iter().map(|split| split.name.to_string())).collect(),
    }
}

/// The plan of a split: the one that is being carried out, or one against what is there now.
///
/// # Errors
/// The server's and the configuration's; refusals are in the plan.
pub async fn plan_split(topology: &Topology, name: &ServiceName) -> Result<SplitPlan, EngineError> {
    let wish = super::configured(topology, name).ok_or_else(|| no_such_split(topology, name))?;
    let session = topology.site(&wish.from)?.connect("plan").await?;
    planned(topology, wish, &session).await
}

/// The same with what is known of the statements on the table; problems say what is not known.
///
/// # Errors
/// As [`plan_split`] and [`crate::read_workload`].
pub async fn plan_split_for(
    topology: &Topology,
    name: &ServiceName,
    options: &WorkloadOptions,
) -> Result<(SplitPlan, Vec<Problem>), EngineError> {
    let wish = super::configured(topology, name).ok_or_else(|| no_such_split(topology, name))?;
    let mut session = topology.site(&wish.from)?.connect("plan").await?;
    let mut plan = planned(topology, wish, &session).await?;
    let catalog = read_catalog(&session).await?;
    let reading = crate::read_workload(&mut session, &catalog, options).await?;
    judge_bare_names(&mut plan, &reading.workload);
    plan.findings.extend(statements(&plan.table.qualified(), &reading.workload));
    plan.findings.sort_by_key(|finding| std::cmp::Reverse(finding.weight));
    Ok((plan, reading.problems))
}

async fn planned(topology: &Topology, wish: &Split, session: &Session) -> Result<SplitPlan, EngineError> {
    let name = &wish.name;
    if cleave_journal::installed_version(&**session).await?.is_some()
        && let Some(row) = MoveRow::read(&**session, name).await?.filter(|row| row.state.is_open())
    {
        return stored(&row);
    }
    fresh(topology, wish, session).await
}

/// A plan against the catalog as it is.
pub(super) async fn fresh(
    topology: &Topology,
    wish: &Split,
    session: &Session,
) -> Result<SplitPlan, EngineError> {
    let catalog = read_catalog(session).await?;
    let SplitDraft { mut plan, count, count_sample } = draft_split(topology.config(), wish, &catalog);
    open_moves(session, &mut plan).await?;
    let paths = read_search_paths(session).await?;
    let roles = paths.roles.iter().map(|(role, path)| (Some(role.as_str()), path.as_str()));
    judge_paths(&mut plan, roles.chain([(None, paths.default.as_str())]));
    if hides_bare_names(&plan) {
        let mut session = topology.site(&wish.from)?.connect("plan").await?;
        let options = WorkloadOptions::statements_only();
        judge_bare_names(&mut plan, &crate::read_workload(&mut session, &catalog, &options).await?.workload);
    }
    if let (Some(count), Some(sample)) = (count, count_sample)
        && let Some(counts) = counted(session, &plan, &count, &sample).await?
    {
        judge_rows(&mut plan, counts);
    }
    Ok(plan)
}

/// Tables of an open move or of another split are not to be touched.
async fn open_moves(session: &Session, plan: &mut SplitPlan) -> Result<(), EngineError> {
    if cleave_journal::installed_version(&**session).await?.is_none() {
        return Ok(());
    }
    let own = plan.table.qualified();
    for row in MoveRow::read_all(&**session).await?.iter().filter(|row| row.state.is_open()) {
        let tables: Vec<QualifiedName> = match row.plan.get("split") {
            Some(_) => stored(row)?.places(),
            None => crate::context::stored(row)?.sources(),
        };
        if tables.contains(&own) {
            let message = format!("it is part of {}, which is {}", row.service, row.state.as_str());
            plan.findings.insert(0, open_finding(&own, message, &row.service));
        }
    }
    Ok(())
}

/// All rows where that is quick, else a sample. `None` if this role may not read them.
async fn counted(
    session: &Session,
    plan: &SplitPlan,
    count: &str,
    sample: &str,
) -> Result<Option<RowCounts>, EngineError> {
    let limit = COUNT_LIMIT.as_millis();
    sql(session, &format!("set statement_timeout = '{limit}ms'")).await?;
    let mut exact = plan.rows <= COUNTED_ROWS_MAX;
    let row = loop {
        let text = if exact { count } else { sample };
        let error = match session.query_one(text, &[]).await.during("counting whose rows are whose") {
            Ok(row) => break row,
            Err(error) => error,
        };
        match error.server_error().map(|error| error.sqlstate.as_str()) {
            Some("57014") if exact => exact = false,
            _ if matches!(error, PgError::MissingPrivilege { .. }) => return Ok(None),
            _ => return Err(error.into()),
        }
    };
    sql(session, "set statement_timeout = 0").await?;
    let number = |at: usize| u64::try_from(row.get::<_, i64>(at)).unwrap_or(0);
    Ok(Some(RowCounts {
        estimated: !exact,
        rows: number(0),
        orphans: number(1),
        shared: number(2),
        parts: (0..plan.parts.len()).map(|part| number(part + 3)).collect(),
    }))
}

/// As a move's row keeps it.
pub(super) fn kept(plan: &SplitPlan) -> Result<Value, EngineError> {
    let value = serde_json::to_value(plan).map_err(|error| EngineError::Stored {
        what: format!("the plan of split {}", plan.split),
        reason: error.to_string(),
    })?;
    Ok(json!({ "split": value }))
}

/// Reads what [`kept`] has written.
pub(super) fn stored(row: &MoveRow) -> Result<SplitPlan, EngineError> {
    let unreadable =
        |reason: String| EngineError::Stored { what: format!("the plan of split {}", row.service), reason };
    let value = row.plan.get("split").ok_or_else(|| unreadable("it is the plan of a move".to_owned()))?;
    serde_json::from_value(value.clone()).map_err(|error| unreadable(error.to_string()))
}

/// What stands against a move of one of these tables: a split that is open would lose it.
pub(crate) async fn in_open_split(
    session: &Session,
    tables: &[QualifiedName],
) -> Result<Option<Finding>, EngineError> {
    if cleave_journal::installed_version(&**session).await?.is_none() {
        return Ok(None);
    }
    let rows = MoveRow::read_all(&**session).await?;
    for row in rows.into_iter().filter(|row| row.is_split() && row.state.is_open()) {
        let plan = stored(&row)?;
        let taken = plan.places().into_iter().chain(plan.tables());
        if let Some(table) = taken.into_iter().find(|table| tables.contains(table)) {
            let message = format!("it takes part in split {}, whose triggers cannot follow it", row.service);
            return Ok(Some(open_finding(&table, message, &row.service)));
        }
    }
    Ok(None)
}

fn open_finding(table: &QualifiedName, message: String, open: &ServiceName) -> Finding {
    Finding {
        code: "C1160".to_owned(),
        weight: Weight::Refusal,
        object: table.to_string(),
        message,
        fix: Some(format!("cleave complete {open}, or cleave cancel {open}")),
    }
}
