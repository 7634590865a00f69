//! `cancel`, which takes everything back, and `complete`, after which nothing can be.

use super::work::{Budget, Records, SplitWork, Started};
use crate::{Answer, EngineError};
use cleave_journal::MoveState;
use cleave_pg::{During, Session};
use cleave_plan::split::{OldName, OrphanRows};

impl SplitWork {
    /// Removes triggers, second keys and parts. The table has been the home all along.
    pub(super) async fn cancel(&self) -> Result<Answer, EngineError> {
        let session = self.site.connect("cancel").await?;
        let allowed = [MoveState::Planned, MoveState::Prepared, MoveState::Copying, MoveState::Following];
        let started = self.started(&session, "cancel", &allowed, Some("rollback")).await?;
        let (plan, script) = (&started.plan, &started.plan.script);
        let step = self.events.step(&self.name, "split.cancel", "removes what apply has made");
        cleave_failpoint::hit_async("split.cancel.before").await;
        let mut groups: Vec<Vec<String>> = Vec::new();
        if matches!(started.row.state, MoveState::Copying | MoveState::Following) {
            groups.extend(script.references.iter().map(|reference| {
                let keys = reference.to_part.drop.iter().chain(&reference.to_table.drop);
                keys.chain(&reference.drop_triggers).cloned().collect()
            }));
            groups.push(script.release.clone());
        }
        let id = started.row.id;
        let tables = plan.tables();
        if !groups.is_empty() {
            let records = Records { step: "split.cancel.triggers", ..Records::default() };
            self.transact(&session, id, &groups, records, (Budget::WritePause, &tables)).await?;
        }
        cleave_failpoint::hit_async("split.cancel.between").await;
        let drop = if started.row.state == MoveState::Planned { Vec::new() } else { script.drop.clone() };
        let records = Records {
            step: "split.cancel",
            to: Some((&allowed, MoveState::Cancelled)),
            ..Records::default()
        };
        self.transact(&session, id, &[drop], records, (Budget::None, &tables)).await?;
        cleave_journal::delete_owner(&*session, &self.name).await?;
        cleave_failpoint::hit_async("split.cancel.after").await;
        step.finish(format!("{} is as it was", plan.table.qualified()));
        self.answer(&session).await
    }

    /// The parts become tables of their own; what `bridge` and `orphans` ask for stays under the old name.
    pub(super) async fn complete(&self) -> Result<Answer, EngineError> {
        let session = self.site.connect("complete").await?;
        let allowed = [MoveState::Switched, MoveState::Completing];
        let started = self.started(&session, "complete", &allowed, Some("cutover")).await?;
        self.nothing_waits(&session, &started).await?;
        self.nothing_depends(&session, &started).await?;
        let plan = &started.plan;
        let step = self.events.step(&self.name, "split.complete", "makes the parts tables of their own");
        cleave_failpoint::hit_async("split.complete.before").await;
        let references = &plan.script.references;
        let mut statements: Vec<String> = references
            .iter()
            .flat_map(|reference| reference.to_part.drop.iter().chain(&reference.to_table.drop))
            .cloned()
            .collect();
        statements.extend(plan.script.complete.iter().cloned());
        let records = Records {
            step: "split.complete",
            to: Some((&allowed, MoveState::Done)),
            epoch: None,
            pause: None,
        };
        let tables = plan.tables();
        self.transact(&session, started.row.id, &[statements], records, (Budget::WritePause, &tables))
            .await?;
        cleave_failpoint::hit_async("split.complete.after").await;
        step.finish("there is no way back any more");
        self.answer(&session).await
    }

    async fn nothing_waits(&self, session: &Session, started: &Started) -> Result<(), EngineError> {
        let plan = &started.plan;
        if plan.orphans != OrphanRows::Refuse || plan.old_name == OldName::View {
            return Ok(());
        }
        let pending = plan.pending.qualified().quoted();
        let query = format!("select count(*) from {pending}");
        let waiting: i64 = session.query_one(&query, &[]).await.during("counting rows that wait")?.get(0);
        if waiting == 0 {
            return Ok(());
        }
        Err(EngineError::gate(
            "C1161",
            format!("{waiting} rows of {} have no owner: nobody refers to them", plan.table.qualified()),
        )
        .hint(format!(
            "they stand in {pending}: refer to them, or delete them from {}",
            plan.table.qualified()
        )))
    }

    /// What would be removed with the table, or stand in the way of it.
    async fn nothing_depends(&self, session: &Session, started: &Started) -> Result<(), EngineError> {
        let table = started.plan.table.qualified();
        let rows = session
            .query(DEPENDENTS, &[&table.quoted(), &cleave_model::labels::split_schema(&self.name).as_str()])
            .await
            .during("looking for what depends on the table")?;
        let found: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        if found.is_empty() {
            return Ok(());
        }
        Err(EngineError::gate("C1162", format!("{table} is still used by {}", found.join(", ")))
            .hint("let them read the parts, or drop them; then run the command again"))
    }
}

/// Views, functions and keys that are bound to the table or its row type, but for the split's own.
const DEPENDENTS: &str = "
    with own as (
        select 'pg_catalog.pg_class'::pg_catalog.regclass as class, c.oid
        from pg_catalog.pg_class c where c.oid = pg_catalog.to_regclass($1)
        union all
        select 'pg_catalog.pg_type'::pg_catalog.regclass, t.oid
        from pg_catalog.pg_type t join pg_catalog.pg_class c on t.oid = c.reltype or t.typelem = c.reltype
        where c.oid = pg_catalog.to_regclass($1)
    )
    select distinct coalesce(
        (select pg_catalog.format('view %s', v.oid::pg_catalog.regclass)
         from pg_catalog.pg_rewrite r join pg_catalog.pg_class v on v.oid = r.ev_class
         where d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and r.oid = d.objid),
        (select pg_catalog.format('key %s on %s', k.conname, k.conrelid::pg_catalog.regclass)
         from pg_catalog.pg_constraint k
         where d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass and k.oid = d.objid),
        pg_catalog.pg_describe_object(d.classid, d.objid, 0))
    from pg_catalog.pg_depend d
    join own on d.refclassid = own.class and d.refobjid = own.oid
    left join pg_catalog.pg_proc p on d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and p.oid = d.objid
    left join pg_catalog.pg_constraint k
        on d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass and k.oid = d.objid
    where d.deptype = 'n'
      and d.classid in ('pg_catalog.pg_rewrite'::pg_catalog.regclass, 'pg_catalog.pg_proc'::pg_catalog.regclass,
                        'pg_catalog.pg_constraint'::pg_catalog.regclass, 'pg_catalog.pg_class'::pg_catalog.regclass)
      and (p.oid is null or p.pronamespace <> coalesce(pg_catalog.to_regnamespace(pg_catalog.quote_ident($2)), 0))
      and (k.oid is null or k.contype = 'f' and k.conrelid <> k.confrelid)
    order by 1";
