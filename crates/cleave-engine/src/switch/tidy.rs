//! What can wait until writers go on.

use super::{fence::sql, run::Switch};
use crate::EngineError;
use cleave_plan::cutover::Round;

impl Switch<'_> {
    /// After a rollback: what the bridge needed is dropped, keys are validated. After a cutover nothing is left.
    pub(super) async fn tidy(&mut self) -> Result<(), EngineError> {
        if self.round == Round::Cutover {
            return Ok(());
        }
        let session = self.move_.m.connect("tidy").await?;
        let scripts = || self.parties.iter().map(|party| &party.script.back);
        // Writers of the staying tables queue behind these locks; those of the validation below mind nobody.
        let short = self.move_.limits.lock_timeout.as_millis();
        sql(&session, &format!("set lock_timeout = '{short}ms'")).await?;
        for statement in scripts().flat_map(|back| &back.tidy) {
            sql(&session, statement).await?;
        }
        cleave_failpoint::hit_async("rollback.tidied").await;
        sql(&session, "set lock_timeout = '2s'").await?;
        let between = self.between.iter().flat_map(|key| &key.validate);
        for statement in scripts().flat_map(|back| &back.validate).chain(between) {
            let Err(error) = sql(&session, statement).await else { continue };
            // 23503: rows that a delete at the other home has left dangling. The key stays NOT VALID: it guards new
            // rows, and the problem is told, not hidden.
            if error.sqlstate() != Some("23503") {
                return Err(error);
            }
            let message = format!(
                "`{statement}` found rows that refer to rows deleted at the other home; the key guards new rows only"
            );
            self.note(message);
        }
        Ok(())
    }
}
