//! The second keys of the tables that reach rows: added and proven while writers go on.

use super::work::{Budget, Records, SplitWork, Started};
use crate::{EngineError, switch::sql};
use cleave_model::QualifiedName;
use cleave_pg::{During, Session};
use cleave_plan::split::{KeyScript, ReferenceScript};

impl SplitWork {
    /// Before the switch: keys to the parts.
    pub(super) async fn keys_to_parts(
        &self,
        session: &Session,
        started: &Started,
    ) -> Result<(), EngineError> {
        for reference in &started.plan.script.references {
            self.key(session, started, reference, &reference.to_part).await?;
        }
        Ok(())
    }

    /// Before the switch back: keys to the table.
    pub(super) async fn keys_to_table(
        &self,
        session: &Session,
        started: &Started,
    ) -> Result<(), EngineError> {
        for reference in &started.plan.script.references {
            self.key(session, started, reference, &reference.to_table).await?;
        }
        Ok(())
    }

    async fn key(
        &self,
        session: &Session,
        started: &Started,
        reference: &ReferenceScript,
        key: &KeyScript,
    ) -> Result<(), EngineError> {
        let tables = started.plan.tables();
        let id = started.row.id;
        let wanted = wanted(key);
        let mut there = proven(session, &wanted).await?;
        if there == Proof::Ready {
            return Ok(());
        }
        let summary =
            format!("proves a second key beside {} of {}", reference.key, reference.table.qualified());
        let step = self.events.step(&self.name, "split.key", summary);
        if there == Proof::Missing {
            cleave_failpoint::hit_async("split.key.add").await;
            let mut groups = key.drop.clone();
            groups.extend(key.add.iter().cloned());
            let records = Records { step: "split.key.add", ..Records::default() };
            self.transact(session, id, &[groups], records, (Budget::WritePause, &tables)).await?;
            there = Proof::Added;
        }
        if there == Proof::Added {
            cleave_failpoint::hit_async("split.key.validate").await;
            let records = Records { step: "split.key.validate", ..Records::default() };
            self.transact(session, id, std::slice::from_ref(&key.validate), records, (Budget::None, &tables))
                .await?;
        }
        if !key.adopt.is_empty() {
            let records = Records { step: "split.key.adopt", ..Records::default() };
            self.transact(
                session,
                id,
                std::slice::from_ref(&key.adopt),
                records,
                (Budget::WritePause, &tables),
            )
            .await?;
        }
        step.finish("it holds for every row");
        Ok(())
    }
}

/// How far a second key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    Missing,
    Added,
    Ready,
}

/// The tables of `alter table T drop constraint if exists "K"`, and the key's name: the first is the referencing table.
fn wanted(key: &KeyScript) -> Vec<(String, String)> {
    key.drop
        .iter()
        .filter_map(|statement| {
            let rest = statement.strip_prefix("alter table ")?;
            let (table, constraint) = rest.split_once(" drop constraint if exists ")?;
            Some((table.to_owned(), constraint.trim_matches('"').to_owned()))
        })
        .collect()
}

async fn proven(session: &Session, wanted: &[(String, String)]) -> Result<Proof, EngineError> {
    const SQL: &str = "select c.convalidated from pg_catalog.pg_constraint c
        where c.conrelid = pg_catalog.to_regclass($1) and c.conname = $2";
    let mut found = Vec::new();
    for (table, name) in wanted {
        let row = session.query_opt(SQL, &[table, name]).await.during("looking for a key")?;
        found.push(row.map(|row| row.get::<_, bool>(0)));
    }
    // With partitions the root's own key comes last, and stands for all.
    let leaves = found.get(1..).unwrap_or_default();
    Ok(match found.first() {
        Some(Some(true)) => Proof::Ready,
        Some(Some(false)) => Proof::Added,
        _ if !leaves.is_empty() && leaves.iter().all(Option::is_some) => Proof::Added,
        _ => Proof::Missing,
    })
}

/// Keys to the table that the plan does not know: they would be left behind.
pub(super) async fn unknown_keys(
    session: &Session,
    table: &QualifiedName,
    known: &[ReferenceScript],
) -> Result<Vec<String>, EngineError> {
    sql(session, "set search_path = ''").await?;
    let rows = session
        .query(
            "select c.conrelid::pg_catalog.regclass::text, c.conname::text from pg_catalog.pg_constraint c
             where c.contype = 'f' and c.conparentid = 0 and c.confrelid = pg_catalog.to_regclass($1)",
            &[&table.quoted()],
        )
        .await
        .during("looking for keys to the table")?;
    let found = rows.iter().map(|row| (row.get::<_, String>(0), row.get::<_, String>(1)));
    Ok(found
        .filter(|(_, key)| {
            !key.starts_with(cleave_model::labels::TRIGGER_PREFIX)
                && !known.iter().any(|reference| reference.key == *key)
        })
        .map(|(table, key)| format!("{key} on {table}"))
        .collect())
}
