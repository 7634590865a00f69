//! What a server knows of its applications: `pg_stat_statements`, the roles' `search_path`, and which tables are
//! written in one transaction.

use crate::{During, PgError};
use cleave_model::{labels, quote_ident};
use std::time::Duration;
use tokio_postgres::Client;

/// Statements that are read, the most frequent first. `pg_stat_statements.max` is 5,000 unless somebody raised it.
const STATEMENTS_MAX: i64 = 50_000;
/// Changes that one look at the log takes, and more only to end a transaction.
const CHANGES_PER_LOOK: i32 = 100_000;

/// A row of `pg_stat_statements`, all its variants of nesting together.
#[derive(Clone, Debug, PartialEq)]
pub struct StatementRow {
    /// `queryid`; none where the role may not see the statement.
    pub id: Option<i64>,
    /// The text; none where the role may not see it.
    pub text: Option<String>,
    /// The role that executed it.
    pub role: Option<String>,
    /// How often.
    pub calls: u64,
    /// How long altogether, in milliseconds.
    pub total_ms: f64,
}

/// What `pg_stat_statements` has of a database.
#[derive(Clone, Debug, PartialEq)]
pub enum Statements {
    /// The extension is not installed in this database.
    NotInstalled,
    /// It is installed, and the server does not load its library.
    NotLoaded,
    /// The role may not look into its schema, or not read it.
    NotAllowed,
    /// Its rows.
    Read {
        /// The most frequent first.
        rows: Vec<StatementRow>,
        /// Since when it counts, where it says so.
        since: Option<String>,
        /// How often it had to forget statements because there were too many.
        forgotten: i64,
    },
}

/// Reads `pg_stat_statements`, in whichever schema it is, in any version of the extension.
///
/// # Errors
/// A failed query.
pub async fn read_statements(client: &Client) -> Result<Statements, PgError> {
    const WHERE: &str = "
        select n.nspname::text,
               exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'total_exec_time'),
               exists (select from pg_class i where i.relnamespace = n.oid and i.relname = 'pg_stat_statements_info')
        from pg_extension e
        join pg_namespace n on n.oid = e.extnamespace
        join pg_class c on c.relnamespace = n.oid and c.relname = 'pg_stat_statements'
        where e.extname = 'pg_stat_statements'";
    let what = "reading pg_stat_statements";
    let Some(place) = client.query_opt(WHERE, &[]).await.during(what)? else {
        return Ok(Statements::NotInstalled);
    };
    let schema = quote_ident(place.try_get(0).during(what)?);
    let time = if place.try_get(1).during(what)? { "total_exec_time" } else { "total_time" };
    let sql = format!(
        "select s.queryid, s.query, r.rolname::text, sum(s.calls)::bigint, sum(s.{time})::float8
         from {schema}.pg_stat_statements s left join pg_roles r on r.oid = s.userid
         where s.dbid = (select oid from pg_database where datname = current_database())
         group by 1, 2, 3 order by 4 desc limit {STATEMENTS_MAX}"
    );
    let rows = match client.query(&sql, &[]).await.during(what) {
        Err(error) if error.sqlstate() == Some("55000") => return Ok(Statements::NotLoaded),
        Err(error) if error.sqlstate() == Some("42501") => return Ok(Statements::NotAllowed),
        rows => rows?,
    };
    let row = |row: &tokio_postgres::Row| {
        let id: Option<i64> = row.try_get(0)?;
        // The server puts a note where the text would be, for who may not see it.
        let text = row.try_get::<_, Option<String>>(1)?.filter(|_| id.is_some());
        let calls = row.try_get::<_, i64>(3)?.unsigned_abs();
        Ok(StatementRow { id, text, role: row.try_get(2)?, calls, total_ms: row.try_get(4)? })
    };
    let rows = rows.iter().map(row).collect::<Result<_, _>>().during(what)?;
    let (since, forgotten) = if place.try_get(2).during(what)? {
        let sql = format!("select stats_reset::date::text, dealloc from {schema}.pg_stat_statements_info");
        let info = client.query_one(&sql, &[]).await.during(what)?;
        (info.try_get(0).during(what)?, info.try_get(1).during(what)?)
    } else {
        (None, 0)
    };
    Ok(Statements::Read { rows, since, forgotten })
}

/// How sessions of this database resolve names, as far as the server's own settings say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathSettings {
    /// For roles that have none of their own.
    pub default: String,
    /// Role and path.
    pub roles: Vec<(String, String)>,
}

/// Reads the `search_path` of the server, of this database and of every role.
///
/// # Errors
/// A failed query.
pub async fn read_search_paths(client: &Client) -> Result<PathSettings, PgError> {
    // A role's setting for this database comes before the role's, that before the database's.
    const SETTINGS: &str = "
        select r.rolname::text, substring(entry from 'search_path=(.*)'), s.setdatabase <> 0
        from pg_db_role_setting s
        cross join unnest(s.setconfig) entry
        left join pg_roles r on r.oid = s.setrole
        where s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
          and entry like 'search\\_path=%' and (s.setrole = 0 or r.rolname is not null)
        order by 3";
    const MAY_READ_FILES: &str = "select has_function_privilege('pg_show_all_file_settings()', 'execute') and has_table_privilege('pg_file_settings', 'select')";
    const FILE: &str = "select setting from pg_file_settings where name = 'search_path' and applied";
    const BUILT_IN: &str = "select boot_val from pg_settings where name = 'search_path'";
    let what = "reading the roles' search_path";
    let built_in = client.query_one(BUILT_IN, &[]).await.and_then(|row| row.try_get(0)).during(what)?;
    let mut paths = PathSettings { default: built_in, roles: Vec::new() };
    let may_read: bool =
        client.query_one(MAY_READ_FILES, &[]).await.and_then(|row| row.try_get(0)).during(what)?;
    if may_read && let Some(row) = client.query_opt(FILE, &[]).await.during(what)? {
        paths.default = row.try_get(0).during(what)?;
    }
    for row in client.query(SETTINGS, &[]).await.during(what)? {
        let (role, path): (Option<String>, String) =
            (row.try_get(0).during(what)?, row.try_get(1).during(what)?);
        match role {
            None => paths.default = path,
            Some(role) => {
                paths.roles.retain(|(known, _)| *known != role);
                paths.roles.push((role, path));
            }
        }
    }
    Ok(paths)
}

/// `log_line_prefix`, as the server has it now.
///
/// # Errors
/// A failed query.
pub async fn log_line_prefix(client: &Client) -> Result<String, PgError> {
    let sql = "select setting from pg_settings where name = 'log_line_prefix'";
    client.query_one(sql, &[]).await.and_then(|row| row.try_get(0)).during("reading log_line_prefix")
}

/// Transactions that wrote the same tables: the plugin's list of them, and how many.
pub type WrittenTogether = (Vec<String>, u64);

/// Looks at what transactions write, through a temporary slot that ends with the session. Nothing is published, and no
/// row's value leaves the server.
#[derive(Debug)]
pub struct Listener<'s> {
    client: &'s Client,
    slot: String,
}

impl<'s> Listener<'s> {
    /// Makes the slot. The server waits for every transaction that is open; past `limit` it gives up.
    ///
    /// # Errors
    /// [`PgError::SlotNotReady`] past the limit; 42501 without the attribute REPLICATION; 53400 if no slot is free;
    /// 55000 with a `wal_level` below logical; 58P01 where the server lacks the plugin.
    pub async fn begin(client: &'s mut Client, pid: i32, limit: Duration) -> Result<Self, PgError> {
        let slot = labels::listening_slot(pid);
        let what = "making a temporary slot";
        let transaction = client.transaction().await.during(what)?;
        let limit_ms = limit.as_millis().clamp(1, i32::MAX as u128);
        transaction.batch_execute(&format!("set local statement_timeout = {limit_ms}")).await.during(what)?;
        let sql = "select pg_create_logical_replication_slot($1::text, 'test_decoding', true)";
        let made = transaction.execute(sql, &[&slot]).await.during(what);
        made.map_err(|error| match error.is_canceled() {
            true => PgError::slot_not_ready(&slot, limit),
            false => error,
        })?;
        transaction.commit().await.during(what)?;
        Ok(Self { client, slot })
    }

    /// What was committed since the last look; `true` beside it if there may be more already.
    ///
    /// # Errors
    /// A failed query.
    pub async fn look(&self) -> Result<(Vec<WrittenTogether>, bool), PgError> {
        // A transaction is told by its id; what replication applied here was another database's transaction.
        let sql = "
            with change as materialized (
                select xid, substring(data from '^table (.*?): (?:INSERT|UPDATE|DELETE|TRUNCATE):') as tables
                from pg_logical_slot_get_changes($1::text, null, $2, 'skip-empty-xacts', '1', 'only-local', '1')
            ), written as (
                select array_agg(distinct tables order by tables) as tables, count(*) as changes
                from change where tables is not null group by xid::text
            )
            select tables, count(*), coalesce(sum(changes), 0)::bigint from written group by tables";
        let what = "reading what transactions write";
        let rows = self.client.query(sql, &[&self.slot, &CHANGES_PER_LOOK]).await.during(what)?;
        let row = |row: &tokio_postgres::Row| {
            Ok((row.try_get(0)?, row.try_get::<_, i64>(1)?.unsigned_abs(), row.try_get::<_, i64>(2)?))
        };
        let rows: Vec<(Vec<String>, u64, i64)> =
            rows.iter().map(row).collect::<Result<_, _>>().during(what)?;
        let changes: i64 = rows.iter().map(|(_, _, changes)| changes).sum();
        let more = changes >= i64::from(CHANGES_PER_LOOK) / 2;
        Ok((rows.into_iter().map(|(tables, count, _)| (tables, count)).collect(), more))
    }

    /// Drops the slot.
    ///
    /// # Errors
    /// A failed query; the slot ends with the session in any case.
    pub async fn end(self) -> Result<(), PgError> {
        let sql = "select pg_drop_replication_slot($1::text)";
        self.client.execute(sql, &[&self.slot]).await.map(drop).during("dropping the temporary slot")
    }
}
