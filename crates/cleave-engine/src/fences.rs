//! Whether the fences still stand: an owner of a table can disable or drop a trigger, and nothing but a look tells.

use crate::EngineError;
use cleave_api::Problem;
use cleave_journal::{MoveRow, MoveState};
use cleave_model::{DatabaseName, QualifiedName, ServiceName, labels};
use cleave_pg::{During, Session};
use cleave_plan::MovePlan;

/// Of the tables named, those that exist and whose fence trigger is missing or does not fire always.
const UNFENCED: &str = "
    select n.nspname::text, c.relname::text, t.oid is not null
    from pg_catalog.unnest($1::text[]) wanted(name)
    join pg_catalog.pg_class c on c.oid = pg_catalog.to_regclass(wanted.name)
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    left join pg_catalog.pg_trigger t on t.tgrelid = c.oid and t.tgname = $2
    where t.oid is null or t.tgenabled <> 'A' order by 1, 2";

/// A table whose fence would not hold.
pub(crate) struct Weakened {
    /// Where it lies.
    pub(crate) database: DatabaseName,
    /// The table.
    pub(crate) table: QualifiedName,
    /// The trigger exists, but its owner has disabled it or made it fire for ordinary sessions only.
    is_there: bool,
    service: ServiceName,
}

impl Weakened {
    /// What is wrong with it.
    pub(crate) fn seen(&self) -> String {
        let state = if self.is_there { "does not fire always" } else { "is missing" };
        format!("the fence of {} in {} {state}", self.table, self.database)
    }

    /// The statements that put it back.
    pub(crate) fn fix(&self) -> String {
        cleave_ddl::fence::triggers(&self.service, std::slice::from_ref(&self.table)).join("; ")
    }

    /// As `status` tells it.
    pub(crate) fn problem(&self) -> Problem {
        let message = format!("{}: writes there would not be stopped", self.seen());
        let (fix, service) = (self.fix(), &self.service);
        Problem::warning("C0721", message).hint(format!(
            "find out who changed it, run `{fix}` there, and compare with `cleave verify {service}`"
        ))
    }
}

/// One per table that should have a fence and has none that works. While a side is the home its fence lets
/// everybody through, but it has to be there, or it could not be closed in time.
pub(crate) async fn weakened(
    row: &MoveRow,
    plan: &MovePlan,
    (m, n): (&Session, &Session),
) -> Result<Vec<Weakened>, EngineError> {
    let tables = |of: &dyn Fn(&cleave_plan::PlannedTable) -> QualifiedName| -> Vec<String> {
        plan.row_tables().map(|table| of(table).quoted()).collect()
    };
    let mut weakened = Vec::new();
    if matches!(row.state, MoveState::Copying | MoveState::Following | MoveState::Switched) {
        let names = tables(&|table| table.target.qualified());
        weakened.extend(unfenced(n, (&row.service, &row.target), &names).await?);
    }
    let copy_is_kept = plan.copy_kept && matches!(row.state, MoveState::Completing | MoveState::Done);
    if row.state == MoveState::Switched || copy_is_kept {
        let names = tables(&|table| plan.left_behind(&table.source));
        weakened.extend(unfenced(m, (&row.service, &row.source), &names).await?);
    }
    Ok(weakened)
}

async fn unfenced(
    session: &Session,
    (service, database): (&ServiceName, &DatabaseName),
    names: &[String],
) -> Result<Vec<Weakened>, EngineError> {
    let rows =
        session.query(UNFENCED, &[&names, &labels::FENCE_TRIGGER]).await.during("looking at the fences")?;
    let weakened = |row: &tokio_postgres::Row| Weakened {
        database: database.clone(),
        table: QualifiedName::new(row.get::<_, &str>(0), row.get::<_, &str>(1)),
        is_there: row.get(2),
        service: service.clone(),
    };
    Ok(rows.iter().map(weakened).collect())
}
