//! Who uses a service's bridge, as engines have seen it since the last switch.

use crate::{JournalError, error::During};
use cleave_model::ServiceName;
use tokio_postgres::GenericClient;

/// What is known of a bridge's use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BridgeUse {
    /// Since when somebody has looked, and how long ago last, in milliseconds; none if nobody has.
    pub looked: Option<(u64, u64)>,
    /// Who was seen.
    pub users: Vec<BridgeUser>,
}

/// One who was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgeUser {
    /// The role at the old home; empty where its server does not tell.
    pub role: String,
    /// The application, as it calls itself.
    pub application: String,
    /// How long ago it was seen last, in milliseconds.
    pub seen_ago_ms: u64,
}

/// Keeps who is there now. `users` are roles and applications.
///
/// # Errors
/// The statement's.
pub async fn keep_bridge_use(
    client: &impl GenericClient,
    service: &ServiceName,
    users: &[(String, String)],
) -> Result<(), JournalError> {
    let look = [(String::new(), String::new())];
    let (roles, applications): (Vec<&str>, Vec<&str>) =
        look.iter().chain(users).map(|(role, application)| (role.as_str(), application.as_str())).unzip();
    client
        .execute(
            "insert into cleave.bridge_use (service, role, application)
             select distinct $1, u.role, u.application from unnest($2::text[], $3::text[]) u (role, application)
             on conflict (service, role, application) do update set last_seen = clock_timestamp()",
            &[&service.as_str(), &roles, &applications],
        )
        .await
        .during("keep who uses a bridge")?;
    Ok(())
}

/// Who was seen since the last switch.
///
/// # Errors
/// The statement's.
pub async fn bridge_use(
    client: &impl GenericClient,
    service: &ServiceName,
) -> Result<BridgeUse, JournalError> {
    let rows = client
        .query(
            "select role, application,
                    (extract(epoch from clock_timestamp() - first_seen) * 1000)::bigint,
                    (extract(epoch from clock_timestamp() - last_seen) * 1000)::bigint
             from cleave.bridge_use where service = $1 order by last_seen desc, role, application",
            &[&service.as_str()],
        )
        .await
        .during("read who uses a bridge")?;
    let mut found = BridgeUse::default();
    for row in rows {
        let (role, application): (String, String) = (row.get(0), row.get(1));
        let ms = |at: usize| row.get::<_, i64>(at).max(0).unsigned_abs();
        if role.is_empty() && application.is_empty() {
            found.looked = Some((ms(2), ms(3)));
        } else {
            found.users.push(BridgeUser { role, application, seen_ago_ms: ms(3) });
        }
    }
    Ok(found)
}

/// Forgets it: a switch begins anew.
///
/// # Errors
/// The statement's.
pub async fn forget_bridge_use(
    client: &impl GenericClient,
    service: &ServiceName,
) -> Result<(), JournalError> {
    client
        .execute("delete from cleave.bridge_use where service = $1", &[&service.as_str()])
        .await
        .during("forget who has used a bridge")?;
    Ok(())
}
