//! Facts of the server and the database.

use super::reader::Reader;
use crate::error::PgError;
use cleave_model::catalog::Facts;
use tokio_postgres::Client;

/// The timeline of a primary is that of the file it writes: the control file learns of a promotion at the next
/// checkpoint only.
const FACTS: &str = "
    select current_setting('server_version_num')::integer as version_num,
           (select system_identifier from pg_control_system()) as system_identifier,
           case when pg_is_in_recovery() then (select timeline_id from pg_control_checkpoint())
                else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::integer end as timeline,
           current_database()::text as database,
           current_setting('server_encoding') as encoding,
           concat_ws(' ', case coalesce(to_jsonb(d) ->> 'datlocprovider', 'c')
                              when 'i' then 'icu' when 'b' then 'builtin' else 'libc' end,
                     coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'),
                     d.datcollate, nullif(d.datctype, d.datcollate)) as collation,
           pg_is_in_recovery() as in_recovery,
           current_setting('wal_level') as wal_level,
           current_user::text as role,
           (select rolsuper from pg_roles where rolname = current_user) as superuser
    from pg_database d where d.datname = current_database()";

/// Reads the facts alone.
///
/// # Errors
/// A failed query.
pub async fn read_facts(client: &Client) -> Result<Facts, PgError> {
    let reader = Reader::begin(client).await?;
    let read = facts(&reader).await;
    let ended = reader.end().await;
    let read = read?;
    ended?;
    Ok(read)
}

pub(super) async fn facts(reader: &Reader<'_>) -> Result<Facts, PgError> {
    let rows = reader.rows("server facts", FACTS).await?;
    let row = rows.first().ok_or_else(|| PgError::protocol("reading the server's facts", "no row"))?;
    Ok(Facts {
        version_num: row.get::<i32>("version_num")?.unsigned_abs(),
        system_identifier: row.get::<i64>("system_identifier")?.cast_unsigned(),
        timeline: row.get::<i32>("timeline")?.unsigned_abs(),
        database: row.get("database")?,
        encoding: row.get("encoding")?,
        collation: row.get("collation")?,
        in_recovery: row.get("in_recovery")?,
        wal_level: row.get("wal_level")?,
        role: row.get("role")?,
        superuser: row.get("superuser")?,
    })
}
