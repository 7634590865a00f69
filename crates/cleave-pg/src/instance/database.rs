//! What belongs to one database, beyond its catalog of objects.

use super::server::{count, rows};
use crate::PgError;
use cleave_model::QualifiedName;
use cleave_model::instance::{Activity, Collation, LargeObjects, RoleSetting, TableAge};
use tokio_postgres::{Client, Row};

/// Large objects are counted no further: that there are any is what matters.
const LARGE_OBJECTS_COUNTED: u32 = 10_000;

/// Tables of the oldest.
const OLDEST: u32 = 50;

/// User schemas.
const USERS: &str = "n.nspname not in ('information_schema', 'cleave') and n.nspname !~ '^pg_'";

fn table(row: &Row) -> Result<QualifiedName, tokio_postgres::Error> {
    Ok(QualifiedName::new(row.try_get::<_, &str>("schema")?, row.try_get::<_, &str>("name")?))
}

pub(super) async fn role_settings(client: &Client) -> Result<Vec<RoleSetting>, PgError> {
    let sql = "select r.rolname::text as role, s.setdatabase <> 0 as in_database,
                      split_part(setting, '=', 1) as name, substr(setting, strpos(setting, '=') + 1) as value
               from pg_db_role_setting s
               left join pg_roles r on r.oid = s.setrole
               cross join unnest(s.setconfig) setting
               where s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
               order by 1 nulls first, 2, 3 limit 500";
    rows(client, "settings of roles", sql, |row| {
        Ok(RoleSetting {
            role: row.try_get("role")?,
            in_database: row.try_get("in_database")?,
            name: row.try_get("name")?,
            value: row.try_get("value")?,
        })
    })
    .await
}

pub(super) async fn activity(client: &Client) -> Result<Option<Activity>, PgError> {
    let sql = "select idle_in_transaction_time::bigint as idle, active_time::bigint as active,
                      xact_commit as commits, deadlocks,
                      (extract(epoch from clock_timestamp() - stats_reset) * 1000)::bigint as since
               from pg_stat_database where datname = current_database()";
    let read = rows(client, "the database's statistics", sql, |row| {
        Ok(Activity {
            idle_in_transaction_ms: count(row, "idle")?,
            active_ms: count(row, "active")?,
            commits: count(row, "commits")?,
            deadlocks: count(row, "deadlocks")?,
            since_ms: row.try_get::<_, Option<i64>>("since")?.map(|ms| ms.max(0).unsigned_abs()),
        })
    });
    Ok(read.await?.into_iter().next())
}

/// Columns of newer versions are asked for through `to_jsonb`. The actual version is read for collations in use only: it
/// opens the locale.
pub(super) async fn collations(client: &Client) -> Result<Vec<Collation>, PgError> {
    let sql = format!(
        "with used as (
             select distinct a.attcollation as oid
             from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
             where a.attnum > 0 and not a.attisdropped and a.attcollation not in (0, 100) and {USERS})
         select null::text as name, case coalesce(to_jsonb(d) ->> 'datlocprovider', 'c')
                    when 'i' then 'icu' when 'b' then 'builtin' else 'libc' end as provider,
                true as deterministic, to_jsonb(d) ->> 'datcollversion' as version,
                case when to_jsonb(d) ? 'datcollversion' then pg_collation_actual_version(100) end as actual
         from pg_database d where d.datname = current_database()
         union all
         select quote_ident(n.nspname) || '.' || quote_ident(co.collname),
                case co.collprovider when 'i' then 'icu' when 'b' then 'builtin' else 'libc' end,
                co.collisdeterministic, co.collversion, pg_collation_actual_version(co.oid)
         from used join pg_collation co on co.oid = used.oid join pg_namespace n on n.oid = co.collnamespace
         order by 1 nulls first"
    );
    rows(client, "collations", &sql, |row| {
        Ok(Collation {
            name: row.try_get("name")?,
            provider: row.try_get("provider")?,
            deterministic: row.try_get("deterministic")?,
            version: row.try_get("version")?,
            actual_version: row.try_get("actual")?,
        })
    })
    .await
}

pub(super) async fn large_objects(client: &Client) -> Result<LargeObjects, PgError> {
    let sql = format!(
        "select count(*) as n, pg_total_relation_size('pg_largeobject') as bytes
         from (select from pg_largeobject_metadata limit {LARGE_OBJECTS_COUNTED}) counted"
    );
    let read = rows(client, "large objects", &sql, |row| {
        Ok(LargeObjects { count: count(row, "n")?, bytes: count(row, "bytes")? })
    });
    Ok(read.await?.into_iter().next().unwrap_or_default())
}

pub(super) async fn table_ages(client: &Client) -> Result<Vec<TableAge>, PgError> {
    let sql = format!(
        "select n.nspname::text as schema, c.relname::text as name, age(c.relfrozenxid)::bigint as age
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relkind in ('r', 'm') and {USERS}
         order by 3 desc, 1, 2 limit {OLDEST}"
    );
    rows(client, "the ages of tables", &sql, |row| {
        Ok(TableAge { table: table(row)?, age: count(row, "age")? })
    })
    .await
}

pub(super) async fn detaching(client: &Client) -> Result<Vec<QualifiedName>, PgError> {
    let sql = "select n.nspname::text as schema, c.relname::text as name
               from pg_inherits i join pg_class c on c.oid = i.inhrelid join pg_namespace n on n.oid = c.relnamespace
               where i.inhdetachpending order by 1, 2";
    rows(client, "partitions", sql, table).await
}

pub(super) async fn tablespaces(client: &Client) -> Result<Vec<(QualifiedName, String)>, PgError> {
    let sql = format!(
        "select n.nspname::text as schema, c.relname::text as name, t.spcname::text as space
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
         join pg_tablespace t on t.oid = c.reltablespace
         where c.relkind in ('r', 'p', 'm') and {USERS} order by 1, 2"
    );
    rows(client, "tablespaces", &sql, |row| Ok((table(row)?, row.try_get("space")?))).await
}
