//! Roles that the target's server lacks, with memberships, settings and, where rights allow, passwords. Passwords are
//! verifiers that go from server to server: they stand in no plan, journal or log of ours.

use super::surroundings::{SETTINGS, is_known, known_settings, names};
use crate::{EngineError, context::MoveContext, switch::sql};
use cleave_model::{quote_ident, quote_literal};
use cleave_pg::{During, Session};
use std::collections::BTreeSet;

/// Attributes as `CREATE ROLE` spells them, and the verifier where it may be read.
const ROLES: &str = "
    select r.rolname::text, pg_catalog.concat_ws(' ',
             case when r.rolsuper then 'superuser' end, case when r.rolcreaterole then 'createrole' end,
             case when r.rolcreatedb then 'createdb' end, case when r.rolcanlogin then 'login' end,
             case when r.rolreplication then 'replication' end, case when r.rolbypassrls then 'bypassrls' end,
             case when not r.rolinherit then 'noinherit' end,
             case when r.rolconnlimit >= 0 then 'connection limit ' || r.rolconnlimit end,
             case when r.rolvaliduntil is not null then 'valid until ' || quote_literal(r.rolvaliduntil) end),
           r.rolcanlogin, PASSWORD
    from CATALOG r where r.rolname !~ '^(pg_|cleave_bridge_)' order by 1";

const MEMBERS: &str = "
    select g.rolname::text, u.rolname::text, m.admin_option
    from pg_catalog.pg_auth_members m
    join pg_catalog.pg_roles g on g.oid = m.roleid join pg_catalog.pg_roles u on u.oid = m.member order by 1, 2";

/// Rights on the database itself, which a dump of it does not have.
const DATABASE_RIGHTS: &str = "
    select coalesce(r.rolname::text, ''), a.privilege_type, a.is_grantable
    from pg_catalog.pg_database d cross join lateral pg_catalog.aclexplode(d.datacl) a
    left join pg_catalog.pg_roles r on r.oid = a.grantee
    where d.datname = pg_catalog.current_database() and a.grantee <> d.datdba order by 1, 2";

const MAPPINGS: &str = "
    select srvname::text, usename::text, coalesce(umoptions, '{}') from pg_catalog.pg_user_mappings
    where srvname !~ '^cleave_' order by 1, 2";

/// Settings whose value is a list of names, which must not be quoted as one text.
const LISTS: [&str; 5] = [
    "search_path",
    "local_preload_libraries",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
];

/// Makes the roles that are missing, in the transaction that is open on N. Returns their names.
pub(super) async fn make_missing(
    move_: &MoveContext,
    m: &Session,
    n: &Session,
) -> Result<Vec<String>, EngineError> {
    let there: BTreeSet<String> =
        names(n, "select rolname::text from pg_catalog.pg_roles").await?.into_iter().collect();
    let readable: bool =
        one(m, "select pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'select')").await?;
    let superuser: bool =
        one(n, "select rolsuper from pg_catalog.pg_roles where rolname = current_user").await?;
    let roles = match readable {
        true => ROLES.replace("PASSWORD", "r.rolpassword").replace("CATALOG", "pg_catalog.pg_authid"),
        false => ROLES.replace("PASSWORD", "null::text").replace("CATALOG", "pg_catalog.pg_roles"),
    };
    if superuser {
        // A statement with a verifier must not stand in the server's log.
        sql(n, "set local log_statement = 'none'; set local log_min_duration_statement = -1").await?;
    }
    let (mut made, mut without_password) = (BTreeSet::new(), Vec::new());
    for row in m.query(&roles, &[]).await.during("reading roles")? {
        let (name, attributes, login): (String, String, bool) = (row.get(0), row.get(1), row.get(2));
        if there.contains(&name) {
            continue;
        }
        let password: Option<String> = row.get(3);
        let verifier = password.as_ref().map(|verifier| format!(" password {}", quote_literal(verifier)));
        let own = quote_ident(&name);
        if !create(n, &format!("create role {own} {attributes}{}", verifier.unwrap_or_default())).await? {
            continue;
        }
        if !superuser {
            sql(n, &format!("grant {own} to current_user")).await?;
        }
        if login && !readable {
            without_password.push(name.clone());
        }
        made.insert(name);
    }
    join(m, n, &made).await?;
    if !without_password.is_empty() {
        let names = without_password.join(", ");
        let message = format!(
            "made without a password, as the source's are not readable: {names}; set them in {}",
            move_.n.name
        );
        move_.events.note(Some(&move_.service), message);
    }
    Ok(made.into_iter().collect())
}

/// False if it is there after all: another database of the old server is upgraded at the same time.
async fn create(n: &Session, statement: &str) -> Result<bool, EngineError> {
    sql(n, "savepoint role").await?;
    match sql(n, statement).await {
        Err(error) if matches!(error.sqlstate(), Some("42710" | "23505")) => {
            sql(n, "rollback to savepoint role").await?;
            Ok(false)
        }
        other => other.map(|()| true),
    }
}

/// Memberships of roles that were made here. Those that both servers had already are theirs.
async fn join(m: &Session, n: &Session, made: &BTreeSet<String>) -> Result<(), EngineError> {
    for row in m.query(MEMBERS, &[]).await.during("reading memberships")? {
        let (group, member, admin): (String, String, bool) = (row.get(0), row.get(1), row.get(2));
        if made.contains(&group) || made.contains(&member) {
            let admin = if admin { " with admin option" } else { "" };
            sql(n, &format!("grant {} to {}{admin}", quote_ident(&group), quote_ident(&member))).await?;
        }
    }
    Ok(())
}

/// Settings of the database and of roles in it, and those of roles that were made here; rights on the database.
pub(super) async fn settings_and_rights(
    m: &Session,
    n: &Session,
    made: &[String],
) -> Result<(), EngineError> {
    let database = quote_ident(&one::<String>(n, "select pg_catalog.current_database()::text").await?);
    let known = known_settings(n).await?;
    for row in m.query(SETTINGS, &[]).await.during("reading settings of roles")? {
        let (role, here, name): (Option<String>, bool, String) = (row.get(0), row.get(1), row.get(2));
        let is_new = role.as_ref().is_some_and(|role| made.contains(role));
        if !is_known(&name, &known) || !(here || is_new) {
            continue;
        }
        let whose = match (&role, here) {
            (Some(role), true) => format!("role {} in database {database}", quote_ident(role)),
            (Some(role), false) => format!("role {}", quote_ident(role)),
            (None, _) => format!("database {database}"),
        };
        let value = setting(&name, row.get(3));
        sql(n, &format!("alter {whose} set {} = {value}", dotted(&name))).await?;
    }
    let rights = m.query(DATABASE_RIGHTS, &[]).await.during("reading rights on the database")?;
    if !rights.is_empty() {
        sql(n, &format!("revoke all on database {database} from public")).await?;
    }
    for row in rights {
        let (grantee, right, grantable): (String, String, bool) = (row.get(0), row.get(1), row.get(2));
        let grantee = if grantee.is_empty() { "public".to_owned() } else { quote_ident(&grantee) };
        let option = if grantable { " with grant option" } else { "" };
        sql(n, &format!("grant {right} on database {database} to {grantee}{option}")).await?;
    }
    Ok(())
}

/// User mappings, whose options may hold passwords.
pub(super) async fn user_mappings(m: &Session, n: &Session) -> Result<(), EngineError> {
    for row in m.query(MAPPINGS, &[]).await.during("reading user mappings")? {
        let (server, user): (String, Option<String>) = (row.get(0), row.get(1));
        let options: Vec<String> = row.get(2);
        let options: Vec<String> = options
            .iter()
            .filter_map(|option| option.split_once('='))
            .map(|(name, value)| format!("{} {}", quote_ident(name), quote_literal(value)))
            .collect();
        let user = user
            .filter(|user| user != "public")
            .map_or_else(|| "public".to_owned(), |user| quote_ident(&user));
        let options =
            if options.is_empty() { String::new() } else { format!(" options ({})", options.join(", ")) };
        sql(
            n,
            &format!("create user mapping if not exists for {user} server {}{options}", quote_ident(&server)),
        )
        .await?;
    }
    Ok(())
}

fn setting(name: &str, value: &str) -> String {
    if LISTS.contains(&name.to_ascii_lowercase().as_str()) {
        // Stored as it was written, each name quoted where it has to be; an empty one reads as a text only.
        return if value.is_empty() { "''".to_owned() } else { value.replace("\"\"", "''") };
    }
    quote_literal(value)
}

/// A setting's name, each part quoted.
fn dotted(name: &str) -> String {
    name.split('.').map(quote_ident).collect::<Vec<_>>().join(".")
}

async fn one<T: for<'r> tokio_postgres::types::FromSql<'r>>(
    session: &Session,
    sql: &str,
) -> Result<T, EngineError> {
    Ok(session.query_one(sql, &[]).await.during("reading about roles")?.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_names_are_written_as_lists() {
        assert_eq!(setting("search_path", "\"$user\", public"), "\"$user\", public");
        assert_eq!(setting("search_path", "\"\""), "''");
        assert_eq!(setting("work_mem", "64MB"), "'64MB'");
        assert_eq!(dotted("app.mode"), "\"app\".\"mode\"");
    }
}
