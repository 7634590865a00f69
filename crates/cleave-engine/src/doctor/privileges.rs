//! The script that a superuser runs once, so that the role Cleave logs in as has what a whole move needs and no more.
//! `docs/privileges.md` explains each part.

use super::touched::Touched;
use crate::{EngineError, Topology};
use cleave_config::Service;
use cleave_model::catalog::Catalog;
use cleave_model::{DatabaseName, Ident, ServiceName, quote_literal};
use std::collections::BTreeSet;

/// Which end of a move a database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveSide {
    /// The tables come from here.
    Source,
    /// The tables' new home.
    Target,
}

/// What sessions that write rows need, as each database's own rights on functions.
pub(super) const ORIGIN_FUNCTIONS: [&str; 6] = [
    "pg_catalog.pg_replication_origin_create(text)",
    "pg_catalog.pg_replication_origin_drop(text)",
    "pg_catalog.pg_replication_origin_oid(text)",
    "pg_catalog.pg_replication_origin_session_setup(text)",
    "pg_catalog.pg_replication_origin_session_reset()",
    "pg_catalog.pg_replication_origin_session_is_setup()",
];

/// Enters replica mode where the right to do so cannot be granted (14).
pub(super) const REPLICA_MODE_CALL: &str = "select cleave_admin.enter_replica_mode()";

/// Stand in for CREATEROLE where that would be the right to everything (14, 15).
pub(super) const BRIDGE_FUNCTIONS: [&str; 2] =
    ["cleave_admin.make_bridge_role(name, text)", "cleave_admin.drop_bridge_role(name)"];

/// Qualified names and no `set` clause: what `set_config` sets must outlive the call.
const ENTER_REPLICA_MODE: &str = "\
create or replace function cleave_admin.enter_replica_mode() returns void
language sql security definer
as $$ select pg_catalog.set_config('session_replication_role', 'replica', false) $$;";

const MAKE_BRIDGE_ROLE: &str = "\
create or replace function cleave_admin.make_bridge_role(role name, password text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if not starts_with(role::text, 'cleave_bridge_') then
        raise insufficient_privilege using message = format('%I is not the name of a bridge role', role);
    end if;
    if exists (select from pg_roles where rolname = role
               and (rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls)) then
        raise insufficient_privilege using message = format('role %I may more than a bridge role does', role);
    end if;
    if exists (select from pg_roles where rolname = role) then
        execute format('alter role %I login password %L', role, password);
    else
        execute format('create role %I login password %L', role, password);
    end if;
end
$$;";

const DROP_BRIDGE_ROLE: &str = "\
create or replace function cleave_admin.drop_bridge_role(role name) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if not starts_with(role::text, 'cleave_bridge_') then
        raise insufficient_privilege using message = format('%I is not the name of a bridge role', role);
    end if;
    execute format('drop role if exists %I', role);
end
$$;";

/// The scripts of all databases of the services (all of the file if none are named), in the order of the file. `role`
/// is the role to write them for; `None` takes the one that each database's URL names.
///
/// # Errors
/// `C0420` for an unknown service; a database that cannot be reached or read.
pub async fn privilege_scripts(
    topology: &Topology,
    services: Option<&[ServiceName]>,
    role: Option<&Ident>,
) -> Result<Vec<(DatabaseName, String)>, EngineError> {
    let mut scripts = Vec::new();
    for visit in super::sides::visits(topology.config(), services)? {
        if visit.parts.is_empty() {
            continue;
        }
        let site = topology.site(&visit.database)?;
        let session = site.connect("doctor").await?;
        let catalog = cleave_pg::catalog::read_catalog(&session).await?;
        let own = Ident::new(site.endpoint.user());
        let parts: Vec<(&Service, MoveSide)> =
            visit.parts.iter().map(|part| (part.service, part.side)).collect();
        scripts.push((visit.database, privilege_script(&catalog, role.unwrap_or(&own), &parts)));
    }
    Ok(scripts)
}

/// The script for one database, as psql or any other client runs it: statements and comments only. It can be run
/// again.
pub fn privilege_script(catalog: &Catalog, role: &Ident, parts: &[(&Service, MoveSide)]) -> String {
    let mut script = Script { catalog, role, lines: Vec::new() };
    script.head(parts);
    script.role();
    script.database();
    script.origins();
    script.replica_mode();
    let mut granted = BTreeSet::new();
    for (service, side) in parts {
        match side {
            MoveSide::Source => script.source(service, &mut granted),
            MoveSide::Target => script.target(service, &mut granted),
        }
    }
    if parts.iter().any(|(_, side)| *side == MoveSide::Source) {
        script.fdw();
    }
    if parts.iter().any(|(_, side)| *side == MoveSide::Target) {
        script.bridge_role();
    }
    script.lines.join("\n") + "\n"
}

struct Script<'a> {
    catalog: &'a Catalog,
    role: &'a Ident,
    lines: Vec<String>,
}

impl Script<'_> {
    fn line(&mut self, text: impl Into<String>) {
        self.lines.push(text.into());
    }

    /// A part's title, and why it is there.
    fn part(&mut self, title: &str, why: &str) {
        self.line(format!("\n-- {title}: {why}"));
    }

    fn major(&self) -> u32 {
        self.catalog.facts.major()
    }

    fn head(&mut self, parts: &[(&Service, MoveSide)]) {
        let facts = &self.catalog.facts;
        let uses = parts.iter().map(|(service, side)| match side {
            MoveSide::Source => format!("service {} leaves it", service.name),
            MoveSide::Target => format!("service {} moves to it", service.name),
        });
        let uses = uses.collect::<Vec<_>>().join(", ");
        let (database, role, major) = (comment(&facts.database), comment(self.role.as_str()), facts.major());
        self.line(format!("-- Cleave's rights in database {database} (PostgreSQL {major}): {uses}"));
        self.line(format!(
            "-- Run it once as a superuser in that database; role {role} is the one in Cleave's URL."
        ));
        self.line("-- docs/privileges.md explains each part. Running it again changes nothing.");
    }

    fn role(&mut self) {
        self.part("Role", "logs in and reads the log; give it a password with \\password");
        self.create_role(self.role);
        // From 16 on each membership says for itself whether it is inherited.
        let inherit = if self.major() >= 16 { "" } else { " inherit" };
        self.line(format!("alter role {} login replication{inherit};", self.role.quoted()));
        self.line(format!("grant pg_monitor to {};", self.role.quoted()));
    }

    fn create_role(&mut self, role: &Ident) {
        let body = format!(
            "begin\n    if not exists (select from pg_catalog.pg_roles where rolname = {}) then\n        \
             create role {} login;\n    end if;\nend",
            quote_literal(role.as_str()),
            role.quoted()
        );
        let mut tag = "$$".to_owned();
        while body.contains(&tag) {
            tag = format!("$q{}$", tag.len());
        }
        self.line(format!("do {tag}\n{body}\n{tag};"));
    }

    fn database(&mut self) {
        self.part("Database", "Cleave makes schemas (its journal, bridges, the new home) and publications");
        let database = Ident::new(self.catalog.facts.database.as_str()).quoted();
        self.line(format!("grant connect, create on database {database} to {};", self.role.quoted()));
    }

    fn origins(&mut self) {
        self.part(
            "Origins",
            "rows that Cleave writes are tagged, so that the other direction leaves them out",
        );
        for function in ORIGIN_FUNCTIONS {
            self.line(format!("grant execute on function {function} to {};", self.role.quoted()));
        }
    }

    fn replica_mode(&mut self) {
        self.part("Replica mode", "triggers and foreign keys that ran at the home must not run again");
        let role = self.role.quoted();
        if self.major() >= 15 {
            return self.line(format!("grant set on parameter session_replication_role to {role};"));
        }
        self.admin_schema();
        self.function(ENTER_REPLICA_MODE, "cleave_admin.enter_replica_mode()");
    }

    fn admin_schema(&mut self) {
        self.line("create schema if not exists cleave_admin;");
        self.line(format!("grant usage on schema cleave_admin to {};", self.role.quoted()));
    }

    fn function(&mut self, definition: &str, signature: &str) {
        self.line(definition);
        self.line(format!("revoke execute on function {signature} from public;"));
        self.line(format!("grant execute on function {signature} to {};", self.role.quoted()));
    }

    fn source(&mut self, service: &Service, granted: &mut BTreeSet<Ident>) {
        let touched = Touched::of(service, self.catalog);
        let why = "moves, publishes and fences tables, and puts others in their place: only owners may";
        self.part(&format!("Owners of service {}", service.name), why);
        for (owner, objects) in &touched.owners {
            if self.is_superuser(owner) {
                self.superusers_objects(owner, objects.iter().map(|object| object.sql.as_str()));
            } else if granted.insert(owner.clone()) {
                self.membership(owner);
            }
        }
        for schema in &touched.schemas {
            self.schema(schema);
        }
        if !touched.forced_policies.is_empty() {
            self.part("Row-level security", "a table on which it is forced is read and written as a whole");
            self.line(format!("alter role {} bypassrls;", self.role.quoted()));
        }
    }

    fn target(&mut self, service: &Service, granted: &mut BTreeSet<Ident>) {
        if let Some(owner) = service.owner.as_ref().map(|owner| &owner.value) {
            let why = "the new schema and its tables shall belong to it";
            self.part(&format!("Owner of service {}", service.name), why);
            self.create_role(owner);
            if self.is_superuser(owner) {
                self.superusers_objects(owner, [].into_iter());
            } else if granted.insert(owner.clone()) {
                self.membership(owner);
            }
        }
        let home = &service.home.value.schema;
        if self.catalog.schemas.iter().any(|schema| schema.name == *home) {
            self.schema(home);
        }
    }

    fn is_superuser(&self, role: &Ident) -> bool {
        self.catalog.roles.iter().any(|known| known.name == *role && known.superuser)
    }

    fn membership(&mut self, owner: &Ident) {
        if owner == self.role {
            return;
        }
        let options = if self.major() >= 16 { " with inherit true, set true" } else { "" };
        self.line(format!("grant {} to {}{options};", owner.quoted(), self.role.quoted()));
    }

    /// Membership in a superuser would be all rights, so the choice is left to whoever reads this.
    fn superusers_objects<'o>(&mut self, owner: &Ident, objects: impl Iterator<Item = &'o str>) {
        self.line(format!(
            "-- The following belongs to superuser {}, whose rights cannot be lent",
            comment(owner.as_str())
        ));
        self.line("-- without lending all: give it to a plain role (app_owner is an example), or let Cleave");
        self.line("-- log in as a superuser.");
        self.line("--   create role app_owner;");
        self.line(format!("--   grant app_owner to {};", comment(&self.role.quoted())));
        for object in objects {
            self.line(format!("--   alter {} owner to app_owner;", comment(object)));
        }
    }

    fn schema(&mut self, schema: &Ident) {
        self.line(format!("grant usage, create on schema {} to {};", schema.quoted(), self.role.quoted()));
    }

    fn fdw(&mut self) {
        self.part("Bridge", "the old names lead to the new home through postgres_fdw");
        self.line("create extension if not exists postgres_fdw;");
        self.line(format!("grant usage on foreign data wrapper postgres_fdw to {};", self.role.quoted()));
    }

    fn bridge_role(&mut self) {
        self.part("Bridge role", "the bridge logs in here by a role of its own, whose password Cleave makes");
        if self.major() >= 16 {
            return self.line(format!("alter role {} createrole;", self.role.quoted()));
        }
        self.line(
            "-- Before 16, CREATEROLE reaches every role that is no superuser. These two functions do not.",
        );
        self.admin_schema();
        self.function(MAKE_BRIDGE_ROLE, BRIDGE_FUNCTIONS[0]);
        self.function(DROP_BRIDGE_ROLE, BRIDGE_FUNCTIONS[1]);
    }
}

/// A name inside a comment must not end the comment.
fn comment(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_end_the_comment_it_stands_in() {
        assert_eq!(comment("a\ndrop table b"), "a drop table b");
    }
}
