//! Whether the fences of moves under way still stand.

use super::sheet::{Noted, Sheet, told};
use crate::context::{stored, stored_plan};
use crate::fences::{self, Weakened};
use crate::{EngineError, Topology};
use cleave_api::DoctorReport;
use cleave_config::Service;
use cleave_journal::MoveRow;
use cleave_model::{DatabaseName, ServiceName};
use cleave_plan::Plan;

/// Looks at both sides of every live move of the services, or of all, as far as they are among the databases. A side that
/// cannot be reached is told elsewhere.
pub(super) async fn check(
    topology: &Topology,
    services: Option<&[ServiceName]>,
    databases: Option<&[DatabaseName]>,
    report: &mut DoctorReport,
) {
    let chosen = |service: &&Service| services.is_none_or(|names| names.contains(&service.name));
    for service in topology.config().services.iter().filter(chosen) {
        let sides = [&service.from, &service.home.value.database];
        let sides = sides.into_iter().filter(|side| databases.is_none_or(|names| names.contains(side)));
        let mut sheets: Vec<_> = sides.map(|side| (side, Sheet::new(side))).collect();
        match weakened(topology, service).await {
            Ok(Some(weakened)) => sheets.iter_mut().for_each(|(side, sheet)| {
                sheet.check(weakened.iter().filter(|weakened| weakened.database == **side).map(noted));
            }),
            Ok(None) | Err(EngineError::Connect { .. }) => {}
            Err(error) => sheets.iter_mut().take(1).for_each(|(_, sheet)| {
                let why = "a fence that cannot be looked at may be off";
                sheet.check([Noted::error(error.code(), told(&error), why)]);
            }),
        }
        sheets.into_iter().for_each(|(_, sheet)| sheet.hand_in(report));
    }
}

/// `None` for a service that has no live move.
async fn weakened(topology: &Topology, service: &Service) -> Result<Option<Vec<Weakened>>, EngineError> {
    let m = topology.site(&service.from)?.connect("doctor").await?;
    if cleave_journal::installed_version(&*m).await?.is_none() {
        return Ok(None);
    }
    let Some(row) = MoveRow::read(&*m, &service.name).await? else { return Ok(None) };
    if row.is_split() || !matches!(stored(&row)?, Plan::Live(_)) {
        return Ok(None);
    }
    let n = topology.site(&row.target)?.connect("doctor").await?;
    fences::weakened(&row, &stored_plan(&row)?, (&m, &n)).await.map(Some)
}

fn noted(weakened: &Weakened) -> Noted {
    let why = "a write there would not be stopped, and would stop the stream that reads this side";
    Noted::warning("C0721", weakened.seen(), why).about(&weakened.table).fix(weakened.fix())
}
