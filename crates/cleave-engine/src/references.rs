//! Work that a watched reference has left: a row deleted at the home that rows of a staying table refer to.
//!
//! Guards on the copy write `cleave.work` rows as the applier deletes; here they are settled, each in a transaction of
//! its own without an origin, because it is a change of a staying table like any other.

use crate::{EngineError, context::stored_plan, runner::Runner, switch::sql};
use cleave_journal::{Lease, MoveState, WorkItem, open_work, resolve_work};
use cleave_model::{QualifiedName, quote_ident};
use cleave_pg::{During, Session};
use cleave_plan::{MovePlan, PlannedReference};
use std::time::{Duration, Instant};

/// Items settled per look, and how often is looked.
const ITEMS_MAX: i64 = 500;
const LOOK: Duration = Duration::from_secs(1);

impl Runner {
    /// Settles what waits, as the key's ON DELETE said. What only a person can settle stays open and is shown by
    /// `status` until nothing dangles any more.
    pub(crate) async fn settle_references(&mut self) -> Result<(), EngineError> {
        if self.references_looked.is_some_and(|looked| looked.elapsed() < LOOK) {
            return Ok(());
        }
        self.references_looked = Some(Instant::now());
        let session = self.journal().await?;
        let items = open_work(&*session, &self.service, ITEMS_MAX).await?;
        if items.is_empty() {
            return Ok(());
        }
        let Some(row) = self.row().await? else { return Ok(()) };
        if !matches!(row.state, MoveState::Switched | MoveState::Completing | MoveState::Done) {
            // After a rollback the keys are real again; what dangles shows when they are validated.
            return Ok(());
        }
        let plan = stored_plan(&row)?;
        let mut result = Ok(());
        for item in items {
            // One that cannot be settled does not keep the others.
            result = result.and(settle(&session, &self.m_lease, &plan, &item).await);
        }
        result
    }
}

async fn settle(
    session: &Session,
    lease: &Lease,
    plan: &MovePlan,
    item: &WorkItem,
) -> Result<(), EngineError> {
    let Some(reference) = plan.references.iter().find(|reference| reference.name == item.reference) else {
        return Ok(());
    };
    sql(session, "begin; set local lock_timeout = '1s'").await?;
    match settle_in(session, lease, plan, reference, item).await {
        Ok(Some(())) => sql(session, "commit").await,
        Ok(None) => sql(session, "rollback").await,
        Err(error) => {
            sql(session, "rollback").await?;
            // A row that is locked is settled at a later look.
            if matches!(error.sqlstate(), Some("55P03" | "40P01" | "40001")) { Ok(()) } else { Err(error) }
        }
    }
}

/// Settles an item and closes it; `None` when it is a person's to do.
async fn settle_in(
    session: &Session,
    lease: &Lease,
    plan: &MovePlan,
    reference: &PlannedReference,
    item: &WorkItem,
) -> Result<Option<()>, EngineError> {
    lease.check(&**session).await?;
    let Some(resolution) = resolution(session, plan, reference, item).await? else { return Ok(None) };
    Ok(Some(resolve_work(&**session, item.id, &resolution).await?))
}

/// What was done.
async fn resolution(
    session: &Session,
    plan: &MovePlan,
    reference: &PlannedReference,
    item: &WorkItem,
) -> Result<Option<String>, EngineError> {
    let staying = reference.table.qualified().quoted();
    let with_key = with_key(reference);
    let set = |value: &str| {
        let columns = reference.columns.iter().map(|(own, ..)| format!("{} = {value}", quote_ident(own)));
        format!("update {staying} s set {} where {with_key}", columns.collect::<Vec<_>>().join(", "))
    };
    let statement = match item.kind.as_str() {
        "cascade" => format!("delete from {staying} s where {with_key}"),
        "set null" => set("null"),
        "set default" => set("default"),
        _ => return dangles(session, plan, reference, item).await,
    };
    let changed = session.execute(&statement, &[&item.keys]).await.during("settling a watched reference")?;
    Ok(Some(format!("{}: {changed} rows", item.kind)))
}

fn with_key(reference: &PlannedReference) -> String {
    let pairs = reference.columns.iter().map(|(own, type_name, theirs)| {
        format!(
            "s.{} = ($1::jsonb ->> {})::{type_name}",
            quote_ident(own),
            cleave_model::quote_literal(theirs)
        )
    });
    pairs.collect::<Vec<_>>().join(" and ")
}

/// A reported item is over when no row refers to the key any more, or the key is back.
async fn dangles(
    session: &Session,
    plan: &MovePlan,
    reference: &PlannedReference,
    item: &WorkItem,
) -> Result<Option<String>, EngineError> {
    if item.keys.as_object().is_none_or(serde_json::Map::is_empty) {
        return Ok(None);
    }
    let copy: QualifiedName = reference.referenced.qualified().in_schema(&plan.copy_schema());
    let join = reference
        .columns
        .iter()
        .map(|(own, _, theirs)| format!("c.{} = s.{}", quote_ident(theirs), quote_ident(own)));
    let statement = format!(
        "select exists (select from {} s where {} and not exists (select from {} c where {}))",
        reference.table.qualified().quoted(),
        with_key(reference),
        copy.quoted(),
        join.collect::<Vec<_>>().join(" and ")
    );
    let row = session.query_one(&statement, &[&item.keys]).await.during("looking for dangling references")?;
    let dangling: bool = row.get(0);
    Ok((!dangling).then(|| "nothing dangles any more".to_owned()))
}
