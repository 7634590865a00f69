//! Where splits stand, for `status` and `history`.

use crate::{EngineError, Topology, status};
use cleave_api::{MoveKind, ServiceState, ServiceStatus};
use cleave_config::Split;
use cleave_journal::{Lease, MoveRow};
use cleave_model::ServiceName;

/// The state of a split, and who holds its database.
pub(crate) async fn status_of(
    topology: &Topology,
    split: &Split,
) -> Result<(ServiceStatus, Option<String>), EngineError> {
    let session = topology.site(&split.from)?.connect("status").await?;
    let parts: Vec<String> =
        split.into.iter().map(|target| split.table.value.in_schema(&target.schema).to_string()).collect();
    let mut found = ServiceStatus {
        name: split.name.to_string(),
        kind: MoveKind::Split,
        state: ServiceState::Planned,
        paused: false,
        home: split.from.to_string(),
        wanted: parts.join(", "),
        epoch: 0,
        streams: Vec::new(),
        copy: None,
        bridge: None,
        verification: status::verification(None, 0, 0),
        problems: Vec::new(),
    };
    if cleave_journal::installed_version(&*session).await?.is_none() {
        return Ok((found, None));
    }
    let holder = Lease::current(&*session).await?.filter(|holder| holder.expires_in_ms > 0);
    if let Some(row) = MoveRow::read(&*session, &split.name).await? {
        found.state = status::state(&row);
        found.epoch = cleave_journal::owner(&*session, &split.name).await?.map_or(0, |owner| owner.epoch.0);
        let max_age_s = topology.config().limits.verify_max_age.as_secs();
        found.verification = status::verification(row.verification.as_ref(), found.epoch, max_age_s);
    }
    Ok((found, holder.map(|holder| holder.label)))
}

/// Names and databases of the splits that `only` leaves.
pub(crate) fn history_of<'t>(
    topology: &'t Topology,
    only: Option<&'t ServiceName>,
) -> impl Iterator<Item = (&'t ServiceName, &'t cleave_model::DatabaseName)> {
    let splits = topology.config().splits.iter();
    splits
        .filter(move |split| only.is_none_or(|name| split.name == *name))
        .map(|split| (&split.name, &split.from))
}
