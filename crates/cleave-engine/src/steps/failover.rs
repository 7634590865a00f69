//! Slots that survive the promotion of a standby: where cleave.toml wants them, the server must have them.

use crate::{EngineError, Site, context::MoveContext};
use cleave_model::{Direction, Position};
use cleave_pg::{During, Session};
use cleave_stream::StreamError;

/// `server_version_num` of the first version that has them.
const FIRST_VERSION: u32 = 170_000;

/// Refuses, before anything is made, where a server is too old.
pub(crate) async fn check(move_: &MoveContext) -> Result<(), EngineError> {
    for site in [&move_.m, &move_.n].into_iter().filter(|site| site.failover_slots) {
        let session = site.connect("failover slots").await?;
        let version = session.server_version_num();
        if version < FIRST_VERSION {
            let message = format!(
                "database {} has failover_slots = \"on\", but its server is PostgreSQL {}: standbys keep no logical slots before 17",
                site.name,
                version / 10_000
            );
            return Err(EngineError::gate("C0534", message)
                .hint("leave failover_slots out; after a promotion the copy is then made anew"));
        }
    }
    Ok(())
}

/// Says what is missing for a promotion that the stream can follow; it can be set at any time.
pub(crate) async fn tell(move_: &MoveContext, site: &Site, session: &Session) -> Result<(), EngineError> {
    if !site.failover_slots {
        return Ok(());
    }
    let row = session
        .query_one("select pg_catalog.current_setting('synchronized_standby_slots', true)", &[])
        .await
        .during("looking at synchronized_standby_slots")?;
    let slots: Option<String> = row.get(0);
    if slots.is_none_or(|slots| slots.is_empty()) {
        move_.events.note(
            Some(&move_.service),
            format!(
                "synchronized_standby_slots is empty in {}: a change may reach the other side before the standby has it, and \
                 after a promotion then the stream stops; name the standby's physical slot there and reload",
                site.name
            ),
        );
    }
    Ok(())
}

/// Refuses to go on with a copy that was begun on another timeline: a table that is copied may have rows that this one has
/// lost, and its start position does not tell of which timeline it is. A copy that is complete is for its stream to judge.
pub(crate) async fn refuse_between_copies(
    move_: &MoveContext,
    m: &Session,
    known: Position,
) -> Result<(), EngineError> {
    let timeline = cleave_pg::catalog::read_facts(m).await?.timeline;
    if timeline == known.timeline || super::is_copied(move_).await? {
        return Ok(());
    }
    let reason = format!(
        "its tables were being copied on timeline {}, and it is on timeline {timeline} now",
        known.timeline
    );
    Err(StreamError::FailoverRefused { stream: move_.stream(Direction::Forward), reason }.into())
}
