//! Prepare: what the copy needs on both sides. Nothing a client could notice.

use super::with_ladder;
use crate::{
    EngineError,
    context::MoveContext,
    switch::{script, sql},
};
use cleave_journal::{EntryEvent, MoveRow, MoveState};
use cleave_model::{Epoch, QualifiedName, labels};
use serde_json::json;

const TARGET: &str = "prepare_target";
const SOURCE: &str = "prepare_source";

/// On N, in one transaction: schema, types, functions, tables with keys only, the closed fence, the owner row.
pub(crate) async fn prepare_target(move_: &MoveContext) -> Result<(), EngineError> {
    if move_.plan.whole.is_some() {
        return Box::pin(crate::upgrade::prepare_target(move_)).await;
    }
    let n = move_.n.connect("prepare").await?;
    if move_.is_done(&*n, TARGET).await? {
        return Ok(());
    }
    let summary = format!(
        "makes schema {} in {} with {} tables",
        move_.plan.target_schema,
        move_.n.name,
        move_.plan.tables.len()
    );
    let step = move_.events.step(&move_.service, TARGET, summary);
    cleave_failpoint::hit_async("prepare_target.before").await;
    let mut statements = vec!["begin".to_owned()];
    statements.extend(move_.plan.script.prepare.iter().cloned());
    sql(&n, &script(&statements)).await?;
    move_.n_lease.check(&*n).await?;
    cleave_journal::insert_owner(&*n, &move_.service, &move_.m.name, Epoch(0)).await?;
    move_.journal_n(&*n, TARGET, EntryEvent::Done, &json!({})).await?;
    sql(&n, "commit").await?;
    cleave_failpoint::hit_async("prepare_target.after").await;
    step.finish("the target's tables are there, empty and fenced");
    Ok(())
}

/// On M: replica identities where cleave.toml allows, the publication, the owner row.
pub(crate) async fn prepare_source(move_: &MoveContext) -> Result<(), EngineError> {
    let m = move_.m.connect("prepare").await?;
    if move_.is_done(&*m, SOURCE).await? {
        return Ok(());
    }
    let publication = labels::publication(&move_.service, cleave_model::Direction::Forward);
    let step = move_.events.step(
        &move_.service,
        SOURCE,
        format!("makes publication {publication} in {}", move_.m.name),
    );
    cleave_failpoint::hit_async("prepare_source.before").await;
    let tables: Vec<QualifiedName> = move_.plan.tables.iter().map(|table| table.source.qualified()).collect();
    for statement in move_.plan.row_tables().filter_map(|table| table.set_identity.clone()) {
        with_ladder(move_, &m, &[statement], &tables).await?;
    }
    // A run that was killed between this and the journal finds the publication and makes it anew.
    let mut statements = vec![format!("drop publication if exists {}", publication.quoted())];
    statements.extend(move_.plan.publication.iter().cloned());
    with_ladder(move_, &m, &statements, &tables).await?;
    cleave_failpoint::hit_async("prepare_source.published").await;
    sql(&m, "begin").await?;
    move_.m_lease.check(&*m).await?;
    cleave_journal::insert_owner(&*m, &move_.service, &move_.m.name, Epoch(0)).await?;
    MoveRow::transition(&*m, &move_.service, &[MoveState::Planned], MoveState::Prepared).await?;
    move_.journal_m(&*m, SOURCE, EntryEvent::Done, &json!({})).await?;
    sql(&m, "commit").await?;
    cleave_failpoint::hit_async("prepare_source.after").await;
    step.finish("changes of the tables are published");
    Ok(())
}
