//! Sequences: the side that takes over continues where the other side stopped, in the sequence's direction.

use super::{party::Party, run::Switch};
use crate::EngineError;
use cleave_model::{Ident, QualifiedName};
use cleave_pg::{During, Session};
use cleave_plan::PlannedSequence;
use cleave_plan::cutover::Round;

/// Where a sequence stands. `last_value` holds values that sessions have cached, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standing {
    last_value: i64,
    is_called: bool,
}

impl Standing {
    /// The further one in the sequence's direction.
    fn further(self, other: Self, ascending: bool) -> Self {
        // Bitwise not turns the order round and, unlike a minus, has an answer for the lowest value.
        let key = |standing: Self| if ascending { standing.last_value } else { !standing.last_value };
        match key(self).cmp(&key(other)) {
            std::cmp::Ordering::Greater => self,
            std::cmp::Ordering::Less => other,
            std::cmp::Ordering::Equal => Self { is_called: self.is_called || other.is_called, ..self },
        }
    }
}

/// How many sequences one statement reads or sets.
const PORTION: usize = 500;

/// Where sequences stand, in their order; one round trip for many of them, as writers wait.
async fn read(session: &Session, names: &[QualifiedName]) -> Result<Vec<Standing>, EngineError> {
    let mut standings = Vec::with_capacity(names.len());
    for portion in names.chunks(PORTION) {
        let selects: Vec<String> = portion
            .iter()
            .enumerate()
            .map(|(at, name)| format!("select {at} as at, last_value, is_called from {}", name.quoted()))
            .collect();
        let sql = format!("{} order by at", selects.join(" union all "));
        let rows = session.query(&sql, &[]).await.during("reading sequences")?;
        standings.extend(rows.iter().map(|row| Standing { last_value: row.get(1), is_called: row.get(2) }));
    }
    Ok(standings)
}

async fn set(session: &Session, standings: &[(QualifiedName, Standing)]) -> Result<(), EngineError> {
    for portion in standings.chunks(PORTION) {
        let names: Vec<String> = portion.iter().map(|(name, _)| name.quoted()).collect();
        let values: Vec<i64> = portion.iter().map(|(_, standing)| standing.last_value).collect();
        let called: Vec<bool> = portion.iter().map(|(_, standing)| standing.is_called).collect();
        discard_cached(session, &names).await?;
        session
            .execute(
                "select pg_catalog.setval(n::regclass, v, c)
                 from unnest($1::text[], $2::bigint[], $3::boolean[]) u(n, v, c)",
                &[&names, &values, &called],
            )
            .await
            .during("setting sequences")?;
    }
    Ok(())
}

/// Makes open sessions of this side forget the values that they have cached in an earlier round: they were never given
/// out, but would now be behind what the other side has given out. A sequence whose file is new is read anew by each
/// session, and any ALTER of its parameters makes a new file (measured on 14 to 18); without a cache there is no need.
async fn discard_cached(session: &Session, names: &[String]) -> Result<(), EngineError> {
    let what = "discarding sequences' cached values";
    let sql = "select n, seqcache from pg_catalog.unnest($1::text[]) n
               join pg_catalog.pg_sequence on seqrelid = n::regclass where seqcache > 1";
    let rows = session.query(sql, &[&names]).await.during(what)?;
    let alter = |row: &tokio_postgres::Row| {
        format!("alter sequence {} cache {}", row.get::<_, &str>(0), row.get::<_, i64>(1))
    };
    let statements: Vec<String> = rows.iter().map(alter).collect();
    Ok(session.batch_execute(&statements.join(";")).await.during(what)?)
}

impl Switch<'_> {
    /// Sets the sequences of the sides that take over.
    pub(super) async fn carry_sequences(&mut self) -> Result<(), EngineError> {
        let t = self.t()?;
        for party in &self.parties {
            party.carry_large_objects(&self.m).await?;
            party.carry_sequences(&self.m, t).await?;
        }
        Ok(())
    }
}

impl Party<'_> {
    /// `setval` is not transactional: it runs under a check of the lease, so that a process that was stopped and woken
    /// cannot set one back.
    async fn carry_sequences(&self, m: &Session, t: &Session) -> Result<(), EngineError> {
        if self.move_.plan.sequences.is_empty() {
            return Ok(());
        }
        // On M the journal's session does: its commits are not flushed at once, but T's commit flushes them. Who reads
        // the old side is the transaction that holds its sequences.
        let (writer, lease, reader) = match self.round {
            Round::Cutover => (&self.n, &self.move_.n_lease, t),
            Round::Rollback => (m, &self.move_.m_lease, self.tn()?),
        };
        super::fence::sql(writer, "begin").await?;
        let result = match lease.check(&**writer).await {
            Ok(()) => self.carry(reader, writer).await,
            Err(error) => Err(error.into()),
        };
        super::fence::sql(writer, if result.is_ok() { "commit" } else { "rollback" }).await?;
        result
    }

    /// Those of an upgrade that were written since they were copied: who writes them waits, as they are not in the stream.
    async fn carry_large_objects(&self, m: &Session) -> Result<(), EngineError> {
        if self.move_.plan.whole.is_none() || crate::upgrade::large_objects::are_none(m, &self.n).await? {
            return Ok(());
        }
        let (m, n) = (&self.move_.m, &self.move_.n);
        let (sides, lease) = match self.round {
            Round::Cutover => ((m, n), &self.move_.n_lease),
            Round::Rollback => ((n, m), &self.move_.m_lease),
        };
        crate::upgrade::large_objects::carry(self.move_, sides, lease).await
    }

    async fn carry(&self, reader: &Session, writer: &Session) -> Result<(), EngineError> {
        let (mut from, mut to) = (Vec::new(), Vec::new());
        for sequence in &self.move_.plan.sequences {
            let (old, new) = self.ends(sequence);
            from.push(old);
            to.push(new);
        }
        let (theirs, ours) = (read(reader, &from).await?, read(writer, &to).await?);
        let behind = self.move_.plan.sequences.iter().zip(theirs.into_iter().zip(ours)).zip(to);
        let further: Vec<(QualifiedName, Standing)> = behind
            .filter_map(|((sequence, (theirs, ours)), name)| {
                let further = theirs.further(ours, sequence.ascending);
                (further != ours).then_some((name, further))
            })
            .collect();
        set(writer, &further).await
    }

    /// The name on the old side and the one on the new side. On M a moved sequence stands in the copy's schema while N is the
    /// home; under T's lock it has its retired name.
    fn ends(&self, sequence: &PlannedSequence) -> (QualifiedName, QualifiedName) {
        let source = sequence.source.qualified();
        let target = sequence.target.qualified();
        match self.round {
            // A sequence that no column owns was locked by moving it into the copy's schema at once.
            Round::Cutover if sequence.owned => (retired(&source, sequence.source_oid), target),
            Round::Cutover => (source.in_schema(&self.move_.plan.copy_schema()), target),
            Round::Rollback => {
                let left_behind = self.move_.plan.left_behind(&sequence.source);
                (retired(&target, sequence.source_oid), left_behind)
            }
        }
    }
}

/// The name that a sequence has while a switch holds it: renaming it blocks `nextval`, which no LOCK TABLE can.
fn retired(name: &QualifiedName, source_oid: u32) -> QualifiedName {
    QualifiedName {
        schema: name.schema.clone(),
        name: Ident::new(cleave_plan::retired_sequence_name(source_oid)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_further_state_wins_in_the_sequences_direction() {
        let at = |last_value, is_called| Standing { last_value, is_called };
        assert_eq!(at(5, true).further(at(7, false), true), at(7, false));
        assert_eq!(at(-5, true).further(at(-7, true), false), at(-7, true));
        assert_eq!(at(5, false).further(at(5, true), true), at(5, true));
        assert_eq!(at(i64::MIN, true).further(at(-7, true), false), at(i64::MIN, true));
    }
}
