//! Changes of columns that the forward stream has made at the new home: the plan on record names columns, so it is brought
//! up to date with what the stream has recorded beside its position.

use crate::{EngineError, runner::Runner};
use cleave_journal::{EntryEvent, MoveRow, MoveState, Shape, ShapeColumn};
use cleave_model::Direction;
use cleave_pg::During;
use cleave_plan::{MovePlan, Plan};
use serde_json::json;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use tokio::time::sleep;

const STEP: &str = "columns";

impl Runner {
    /// Looks whether the forward stream has changed columns, and takes up what it has.
    pub(crate) async fn take_up_columns(&mut self) -> Result<(), EngineError> {
        let Some(stream) = self.streams.get(Direction::Forward) else { return Ok(()) };
        let reshaped = stream.status().counters.reshaped;
        if reshaped == self.reshaped {
            return Ok(());
        }
        if let Some(row) = self.row().await? {
            self.renew_columns(&row).await?;
        }
        self.reshaped = reshaped;
        Ok(())
    }

    /// The plan, and the stream of the way back: it reads what was changed, and knows the columns that were planned.
    pub(crate) async fn renew_columns(&mut self, row: &MoveRow) -> Result<(), EngineError> {
        if !self.bring_up_to_date(row).await? {
            return Ok(());
        }
        self.streams.stop(Direction::Back).await;
        if let Some(row) = self.row().await?.filter(|row| row.state.is_open() && !row.paused) {
            let move_ = self.context(&row)?;
            self.streams.start(&move_, row.state).await?;
        }
        Ok(())
    }

    /// Writes what has become of the tables' columns into the move's plan; true if it was not there.
    pub(crate) async fn bring_up_to_date(&self, row: &MoveRow) -> Result<bool, EngineError> {
        let move_ = self.context(row)?;
        let n = move_.n.connect("columns").await?;
        let shapes = cleave_journal::shapes(&*n, &move_.stream(Direction::Forward)).await?;
        let Some(plan) = reshaped(&move_.plan, &shapes) else { return Ok(false) };
        let value = Plan::Live(Box::new(plan)).to_value().map_err(|error| EngineError::Stored {
            what: "the plan".to_owned(),
            reason: error.to_string(),
        })?;
        let mut session = self.journal().await?;
        let transaction = session.transaction().await.during("storing the plan")?;
        self.m_lease.check(&transaction).await?;
        MoveRow::set_plan(&transaction, &self.service, &value, &row.fingerprint).await?;
        let statements: Vec<&str> = shapes
            .iter()
            .flat_map(|shape| &shape.followed)
            .map(|followed| followed.statement.as_str())
            .collect();
        move_.journal_m(&transaction, STEP, EntryEvent::Note, &json!({ "followed": statements })).await?;
        transaction.commit().await.during("storing the plan")?;
        for statement in statements {
            self.events.note(
                Some(&self.service),
                format!("the columns of the source have changed; done at the new home: {statement}"),
            );
        }
        Ok(true)
    }
}

/// How long a stream may take until it has come to what was altered.
const SETTLE_LIMIT: Duration = Duration::from_secs(60);
const SETTLE_LOOK: Duration = Duration::from_millis(100);

/// The columns of tables by number, those that a stream names.
const COLUMNS: &str = "
    select attrelid, attnum, attname::pg_catalog.text, atttypid, atttypmod from pg_catalog.pg_attribute
    where attrelid = any($1) and attnum > 0 and not attisdropped and attgenerated = '' order by 1, 2";

impl Runner {
    /// Where changes of columns are followed, waits until the stream has made those of now: what compares the two sides names
    /// columns. A stream that has stopped is no reason to wait.
    pub(crate) async fn settle_columns(&mut self, row: MoveRow) -> Result<MoveRow, EngineError> {
        if !self.context(&row)?.follows_columns || row.state != MoveState::Following {
            return Ok(row);
        }
        let mut row = row;
        let until = Instant::now() + SETTLE_LIMIT;
        loop {
            let move_ = self.context(&row)?;
            let n = move_.n.connect("columns").await?;
            let known = cleave_journal::shapes(&*n, &move_.stream(Direction::Forward)).await?;
            let oids: Vec<u32> = known.iter().map(|shape| shape.source_oid.0).collect();
            let mut now: BTreeMap<u32, Vec<ShapeColumn>> = BTreeMap::new();
            let m = move_.m.connect("columns").await?;
            for row in m.query(COLUMNS, &[&oids]).await.during("looking at the tables' columns")? {
                let column = ShapeColumn {
                    number: row.get(1),
                    name: row.get(2),
                    type_oid: row.get(3),
                    modifier: row.get(4),
                };
                now.entry(row.get(0)).or_default().push(column);
            }
            let is_so = known.iter().all(|shape| now.get(&shape.source_oid.0) == Some(&shape.columns));
            let stream = self.streams.get(Direction::Forward);
            let has_stopped = stream.is_none_or(|stream| stream.failure().is_some());
            if is_so && reshaped(&move_.plan, &known).is_none() || has_stopped || Instant::now() >= until {
                return Ok(row);
            }
            sleep(SETTLE_LOOK).await;
            self.renew_columns(&row).await?;
            row = self.open_row("verify").await?;
        }
    }
}

/// The plan with the columns of these tables; none if it has them.
fn reshaped(plan: &MovePlan, shapes: &[Shape]) -> Option<MovePlan> {
    let mut new = plan.clone();
    for table in &mut new.tables {
        let of = |shape: &&Shape| shape.source_oid == table.oid() && !shape.followed.is_empty();
        let Some(shape) = shapes.iter().find(of) else { continue };
        let columns = shape.columns.iter().map(|column| (column.number, column.name.as_str()));
        let renamed = table.take_columns(columns);
        let referring = new.references.iter_mut().filter(|reference| reference.referenced == table.source);
        for (_, _, referenced) in referring.flat_map(|reference| &mut reference.columns) {
            if let Some((_, name)) = renamed.iter().find(|(from, _)| from == referenced) {
                referenced.clone_from(name);
            }
        }
    }
    (new != *plan).then_some(new)
}
