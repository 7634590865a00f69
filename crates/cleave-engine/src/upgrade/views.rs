//! Materialized views hold rows that no stream brings: they are refreshed where they are about to be read.

use crate::{EngineError, context::MoveContext, switch::sql};
use cleave_pg::{During, Session};

/// Refreshes on `there` what is filled at the `home`, each after what it reads.
pub(crate) async fn refresh(move_: &MoveContext, home: &Session, there: &Session) -> Result<(), EngineError> {
    let Some(whole) = move_.plan.whole.as_ref().filter(|whole| !whole.materialized_views.is_empty()) else {
        return Ok(());
    };
    // Functions that a view calls may name tables without a schema: they are found as its readers find them.
    sql(there, "set search_path to default").await?;
    for view in &whole.materialized_views {
        let name = view.qualified();
        let filled = home
            .query_opt(
                "select relispopulated from pg_catalog.pg_class where oid = pg_catalog.to_regclass($1) and relkind = 'm'",
                &[&name.quoted()],
            )
            .await
            .during("looking for materialized views")?;
        if !filled.is_some_and(|row| row.get(0)) {
            continue;
        }
        move_.check_cancelled()?;
        if let Err(error) = sql(there, &format!("refresh materialized view {}", name.quoted())).await {
            let problem = error.problem();
            let why = problem.causes.first().unwrap_or(&problem.message);
            return Err(EngineError::gate(
                "C1217",
                format!("materialized view {name} cannot be refreshed: {why}"),
            )
            .hint("mend it, or drop it on both sides; then run the command again"));
        }
    }
    sql(there, "set search_path = ''").await
}
