//! Sequences: the side that takes over continues where the other side stopped, in the sequence's direction.

use super::{fence::Held, run::Switch};
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

async fn read(session: &Session, name: &QualifiedName) -> Result<Standing, EngineError> {
    let sql = format!("select last_value, is_called from {}", name.quoted());
    let row = session.query_one(&sql, &[]).await.during("reading a sequence")?;
    Ok(Standing { last_value: row.get(0), is_called: row.get(1) })
}

/// Makes open sessions of this side forget the values that they have cached in an earlier round: they were never given
/// out, but would now be behind what the other side has given out. A sequence whose file is new is read anew by each
/// session, and any ALTER of its parameters makes a new file (measured on 14 to 18); without a cache there is no need.
async fn discard_cached(session: &Session, name: &QualifiedName) -> Result<(), EngineError> {
    let what = "discarding a sequence's cached values";
    let sql = "select seqcache from pg_catalog.pg_sequence where seqrelid = $1::text::regclass";
    let cache: i64 = session.query_one(sql, &[&name.quoted()]).await.during(what)?.get(0);
    if cache > 1 {
        let alter = format!("alter sequence {} cache {cache}", name.quoted());
        session.batch_execute(&alter).await.during(what)?;
    }
    Ok(())
}

impl Switch<'_> {
    /// Sets the sequences of the side that takes over. `setval` is not transactional: it runs under a check of the
    /// lease, so that a process that was stopped and woken cannot set one back.
    pub(super) async fn carry_sequences(&mut self) -> Result<(), EngineError> {
        if self.move_.plan.sequences.is_empty() {
            return Ok(());
        }
        let held = self.held()?;
        // On M the journal's session does: its commits are not flushed at once, but T's commit flushes them.
        let (writer, lease) = match self.round {
            Round::Cutover => (&self.n, &self.move_.n_lease),
            Round::Rollback => (&self.m, &self.move_.m_lease),
        };
        super::fence::sql(writer, "begin").await?;
        let result = match lease.check(&**writer).await {
            Ok(()) => self.carry(held, writer).await,
            Err(error) => Err(error.into()),
        };
        super::fence::sql(writer, if result.is_ok() { "commit" } else { "rollback" }).await?;
        result
    }

    async fn carry(&self, held: &Held, writer: &Session) -> Result<(), EngineError> {
        for sequence in &self.move_.plan.sequences {
            let (reader, from, to) = self.ends(held, sequence)?;
            let theirs = read(reader, &from).await?;
            let ours = read(writer, &to).await?;
            let further = theirs.further(ours, sequence.ascending);
            if further != ours {
                discard_cached(writer, &to).await?;
                writer
                    .execute(
                        "select pg_catalog.setval($1::text::regclass, $2, $3)",
                        &[&to.quoted(), &further.last_value, &further.is_called],
                    )
                    .await
                    .during("setting a sequence")?;
            }
        }
        Ok(())
    }

    /// Who reads the old side under which name, and the name on the new side. On M a moved sequence stands in the
    /// copy's schema while N is the home; under T's lock it has its retired name.
    fn ends<'h>(
        &self,
        held: &'h Held,
        sequence: &PlannedSequence,
    ) -> Result<(&'h Session, QualifiedName, QualifiedName), EngineError> {
        let source = sequence.source.qualified();
        let target = sequence.target.qualified();
        match self.round {
            // A sequence that no column owns was locked by moving it into the copy's schema at once.
            Round::Cutover if sequence.owned => Ok((&held.t, retired(&source, sequence.source_oid), target)),
            Round::Cutover => Ok((&held.t, source.in_schema(&self.move_.plan.copy_schema()), target)),
            Round::Rollback => {
                let tn = held.tn.as_ref().ok_or_else(|| {
                    EngineError::gate("C0705", "the switch's transaction at the new home is no longer open")
                })?;
                let copy = source.in_schema(&self.move_.plan.copy_schema());
                Ok((tn, retired(&target, sequence.source_oid), copy))
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
