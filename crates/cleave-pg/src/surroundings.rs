//! Reads what a move inside one database has to know besides the catalog.

use crate::error::{During, PgError};
use cleave_model::catalog::Grant;
use cleave_model::surroundings::{DefaultPrivilege, PathSetting, Surroundings};
use cleave_model::{Ident, QualifiedName};
use tokio_postgres::{Client, Row};

/// Settings of the database, of roles everywhere, and of roles in this database.
const PATHS: &str = "
    select r.rolname::text, s.setdatabase <> 0, substr(c.setting, length('search_path=') + 1)
    from pg_catalog.pg_db_role_setting s
    left join pg_catalog.pg_roles r on r.oid = s.setrole
    cross join unnest(s.setconfig) c(setting)
    where c.setting like 'search\\_path=%'
      and s.setdatabase in (0, (select oid from pg_catalog.pg_database where datname = current_database()))
      and (s.setrole = 0 or r.oid is not null)
    order by 1 nulls first, 2";

/// The configuration file's own word is for superusers; the built-in default is for everybody.
const DEFAULT_PATH: &str = "
    select case when pg_catalog.has_function_privilege('pg_catalog.pg_show_all_file_settings()', 'execute')
           then (select 'file') end,
           (select boot_val from pg_catalog.pg_settings where name = 'search_path')";

const FILE_PATH: &str = "
    select setting from pg_catalog.pg_file_settings where name = 'search_path' and applied order by seqno desc limit 1";

const DEFAULT_PRIVILEGES: &str = "
    select d.oid::text, n.nspname::text,
           case d.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions'
                                when 'T' then 'types' end,
           g.rolname::text, a.privilege_type, a.is_grantable, o.rolname::text
    from pg_catalog.pg_default_acl d
    join pg_catalog.pg_namespace n on n.oid = d.defaclnamespace
    join pg_catalog.pg_roles o on o.oid = d.defaclrole
    cross join pg_catalog.aclexplode(d.defaclacl) a
    left join pg_catalog.pg_roles g on g.oid = a.grantee
    where d.defaclobjtype in ('r', 'S', 'f', 'T') and (a.grantee = 0 or g.oid is not null)
    order by 2, 1, 3, 4, 5";

const EXTENSION_TABLES: &str = "
    select n.nspname::text, c.relname::text, e.extname::text
    from pg_catalog.pg_depend d
    join pg_catalog.pg_class c on c.oid = d.objid and d.classid = 'pg_catalog.pg_class'::regclass
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_extension e on e.oid = d.refobjid and d.refclassid = 'pg_catalog.pg_extension'::regclass
    where d.deptype = 'e' and c.relkind in ('r', 'p', 'f') order by 1, 2";

/// Since 15.
const SCHEMA_PUBLICATIONS: &str = "
    select p.pubname::text, n.nspname::text
    from pg_catalog.pg_publication_namespace s
    join pg_catalog.pg_publication p on p.oid = s.pnpubid
    join pg_catalog.pg_namespace n on n.oid = s.pnnspid order by 1, 2";

const PUBLISHED_TABLES: &str = "
    select p.pubname::text, n.nspname::text, c.relname::text
    from pg_catalog.pg_publication_rel r
    join pg_catalog.pg_publication p on p.oid = r.prpubid
    join pg_catalog.pg_class c on c.oid = r.prrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace order by 1, 2, 3";

const MEMBER_OF: &str =
    "select rolname::text from pg_catalog.pg_roles where pg_catalog.pg_has_role(oid, 'member') order by 1";

const MAY: &str = "
    select r.rolsuper or r.rolcreaterole,
           pg_catalog.has_database_privilege(pg_catalog.current_database(), 'create'),
           r.rolsuper or pg_catalog.pg_has_role(d.datdba, 'member')
    from pg_catalog.pg_roles r, pg_catalog.pg_database d
    where r.rolname = current_user and d.datname = pg_catalog.current_database()";

/// Reads all of it.
///
/// # Errors
/// A failed query.
pub async fn surroundings(client: &Client) -> Result<Surroundings, PgError> {
    const WHAT: &str = "reading search paths and default privileges";
    let rows = async |sql: &str| client.query(sql, &[]).await.during(WHAT);
    let version: i32 =
        rows("select pg_catalog.current_setting('server_version_num')::integer").await?[0].get(0);
    let schema_publications = if version >= 150_000 { rows(SCHEMA_PUBLICATIONS).await? } else { Vec::new() };
    let default = &rows(DEFAULT_PATH).await?[0];
    let boot: String = default.get(1);
    let file = match default.get::<_, Option<&str>>(0) {
        Some(_) => rows(FILE_PATH).await?.first().map(|row| row.get(0)),
        None => None,
    };
    let may = &rows(MAY).await?[0];
    Ok(Surroundings {
        default_path: file.unwrap_or(boot),
        paths: rows(PATHS).await?.iter().map(path).collect(),
        default_privileges: rows(DEFAULT_PRIVILEGES).await?.iter().map(default_privilege).collect(),
        extension_tables: rows(EXTENSION_TABLES)
            .await?
            .iter()
            .map(|row| (QualifiedName::new(row.get::<_, &str>(0), row.get::<_, &str>(1)), ident(row, 2)))
            .collect(),
        schema_publications: schema_publications.iter().map(|row| (ident(row, 0), ident(row, 1))).collect(),
        published_tables: rows(PUBLISHED_TABLES)
            .await?
            .iter()
            .map(|row| (ident(row, 0), QualifiedName::new(row.get::<_, &str>(1), row.get::<_, &str>(2))))
            .collect(),
        member_of: rows(MEMBER_OF).await?.iter().map(|row| ident(row, 0)).collect(),
        creates_roles: may.get(0),
        creates_schemas: may.get(1),
        owns_database: may.get(2),
    })
}

fn ident(row: &Row, at: usize) -> Ident {
    Ident::new(row.get::<_, &str>(at))
}

fn path(row: &Row) -> PathSetting {
    PathSetting {
        role: row.get::<_, Option<&str>>(0).map(Ident::new),
        here_only: row.get(1),
        path: row.get(2),
    }
}

fn default_privilege(row: &Row) -> DefaultPrivilege {
    DefaultPrivilege {
        role: ident(row, 6),
        schema: ident(row, 1),
        objects: row.get(2),
        grant: Grant {
            grantee: row.get::<_, Option<&str>>(3).map(Ident::new),
            privilege: row.get(4),
            grantable: row.get(5),
        },
    }
}
