//! Whether the role may do what a move does. A superuser may; anybody else is told what is missing.

use super::MoveSide;
use super::observe::{Membership, Observed};
use super::sheet::{Noted, Sheet};
use super::sides::{Part, Visit};
use super::touched::{Touched, shortened};
use cleave_model::{Ident, quote_ident};

pub(super) fn check(observed: &Observed, visit: &Visit<'_>, sheet: &mut Sheet) {
    let facts = &observed.base.catalog.facts;
    if facts.superuser {
        let seen = format!("role {} is a superuser", facts.role);
        let why = "it has every right, more than a move needs; `cleave doctor --script` prints what would do";
        sheet.check([Noted::note("C0829", seen, why).about(format!("role {}", facts.role))]);
        return check_fdw(observed, visit, sheet);
    }
    let role = quote_ident(&facts.role);
    sheet.check(replication(observed, &role));
    sheet.check(create_in_database(observed, &role));
    sheet.check(cleave_schema(observed, &role));
    sheet.check(sees_all(observed, &role));
    sheet.check(origin_functions(observed, &role));
    for part in &visit.parts {
        match part.side {
            MoveSide::Source => source(observed, part, &role, sheet),
            MoveSide::Target => target(observed, part, &role, sheet),
        }
    }
    check_fdw(observed, visit, sheet);
}

fn replication(observed: &Observed, role: &str) -> Option<Noted> {
    if observed.role.replication {
        return None;
    }
    let why = "slots can be made and read only by roles with this attribute";
    let seen = "the role lacks the attribute REPLICATION";
    Some(Noted::error("C0808", seen, why).fix(format!("alter role {role} replication;")))
}

fn create_in_database(observed: &Observed, role: &str) -> Option<Noted> {
    if observed.role.create_in_database {
        return None;
    }
    let why = "Cleave makes schemas (its journal, the bridge, the new home) and publications";
    let database = quote_ident(&observed.base.catalog.facts.database);
    let fix = format!("grant create on database {database} to {role};");
    Some(Noted::error("C0809", "the role lacks CREATE on the database", why).fix(fix))
}

fn cleave_schema(observed: &Observed, role: &str) -> Option<Noted> {
    if observed.role.owns_cleave {
        return None;
    }
    let why = "the journal of an earlier run belongs to another role, and this one could not write it";
    let fix =
        format!("alter schema cleave owner to {role}; -- and its tables, or use the same role as before");
    Some(Noted::error("C0809", "schema cleave belongs to another role", why).about("schema cleave").fix(fix))
}

fn sees_all(observed: &Observed, role: &str) -> Option<Noted> {
    if observed.role.sees_all {
        return None;
    }
    let why = "long transactions and who holds a lock cannot be seen, so a wait could not be explained";
    let seen = "the role does not see what other roles' sessions do";
    Some(Noted::warning("C0816", seen, why).fix(format!("grant pg_monitor to {role};")))
}

fn origin_functions(observed: &Observed, role: &str) -> Option<Noted> {
    let missing = &observed.role.origin_functions_missing;
    if missing.is_empty() {
        return None;
    }
    let seen = format!("no EXECUTE on {}", shortened(missing));
    let why = "rows that Cleave writes carry an origin; without it each direction would send back the other's changes";
    let grants = missing.iter().map(|function| format!("grant execute on function {function} to {role};"));
    Some(Noted::error("C0812", seen, why).fix(grants.collect::<Vec<_>>().join("\n")))
}

fn source(observed: &Observed, part: &Part<'_>, role: &str, sheet: &mut Sheet) {
    let touched = Touched::of(part.service, &observed.base.catalog);
    for (owner, objects) in &touched.owners {
        let what = format!(
            "{} of service {}",
            shortened(objects.iter().map(|object| &object.shown)),
            part.service.name
        );
        sheet.check(member(observed, owner, &what, role));
    }
    for schema in &touched.schemas {
        sheet.check(create_in_schema(observed, schema, role));
    }
    let forced = touched.forced_policies.iter().filter(|_| !observed.role.bypass_rls);
    sheet.check(forced.map(|table| {
        let seen = "row-level security is forced, so its owner reads and writes only what policies allow";
        let why = "a copy of what policies let through would be a part of the table";
        Noted::error("C0818", seen, why).about(table).fix(format!("alter role {role} bypassrls;"))
    }));
}

fn target(observed: &Observed, part: &Part<'_>, role: &str, sheet: &mut Sheet) {
    let home = &part.service.home.value.schema;
    if let Some(owner) = part.service.owner.as_ref().map(|owner| &owner.value) {
        let what = format!("schema {home} of service {}", part.service.name);
        match observed.members.contains_key(owner) {
            true => sheet.check(member(observed, owner, &what, role)),
            false => sheet.check([missing_owner(owner, part)]),
        }
    }
    sheet.check(create_in_schema(observed, home, role));
    sheet.check(bridge_role(observed));
}

fn missing_owner(owner: &Ident, part: &Part<'_>) -> Noted {
    let seen = format!("role {owner} does not exist");
    let why = format!("service {} shall own its schema and tables as this role", part.service.name);
    Noted::error("C0827", seen, why)
        .about(format!("role {owner}"))
        .fix(format!("create role {} login;", owner.quoted()))
}

fn member(observed: &Observed, owner: &Ident, what: &str, role: &str) -> Option<Noted> {
    let membership = observed.members.get(owner).copied();
    let Membership { usage, set, superuser } =
        membership.unwrap_or(Membership { usage: false, set: false, superuser: false });
    if usage && set {
        return None;
    }
    let why = "only an owner can move, publish and fence a table and put another in its place";
    let grant = if observed.base.catalog.facts.major() >= 16 { " with inherit true, set true" } else { "" };
    let fix = if superuser {
        "-- a superuser's rights cannot be lent without lending all: give these objects to a plain role, and that \
         role to Cleave's"
            .to_owned()
    } else {
        format!("grant {} to {role}{grant};", owner.quoted())
    };
    let what_owner = if superuser { "superuser" } else { "role" };
    let seen = format!("{what} belongs to {what_owner} {owner}, whose rights this role does not have");
    Some(Noted::error("C0810", seen, why).about(format!("role {owner}")).fix(fix))
}

fn create_in_schema(observed: &Observed, schema: &Ident, role: &str) -> Option<Noted> {
    // A schema that is not there yet is made by Cleave.
    if observed.may_create.get(schema).copied().unwrap_or(true) {
        return None;
    }
    let why = "tables leave this schema and come back to it, and bridges are made in it";
    let fix = format!("grant usage, create on schema {} to {role};", schema.quoted());
    let seen = "the role lacks USAGE or CREATE on the schema";
    Some(Noted::error("C0811", seen, why).about(format!("schema {schema}")).fix(fix))
}

/// The bridge logs in at the new home by a role with a password that Cleave makes.
fn bridge_role(observed: &Observed) -> Option<Noted> {
    if observed.role.createrole || observed.role.bridge_functions {
        return None;
    }
    let why = "the bridge logs in at the new home by a role of its own, whose password Cleave makes";
    let fix =
        "-- run the part \"Bridge role\" of the script that `cleave doctor --script` prints, as a superuser";
    Some(Noted::error("C0815", "the role may not make the bridge's role", why).fix(fix))
}

fn check_fdw(observed: &Observed, visit: &Visit<'_>, sheet: &mut Sheet) {
    if visit.parts.iter().any(|part| part.side == MoveSide::Source) {
        sheet.check(fdw(observed));
    }
}

fn fdw(observed: &Observed) -> Option<Noted> {
    let rights = &observed.role;
    let role = quote_ident(&observed.base.catalog.facts.role);
    let noted = |seen: &str, fix: String| {
        let why = "the old names lead to the new home through postgres_fdw";
        Some(Noted::error("C0814", seen, why).about("extension postgres_fdw").fix(fix))
    };
    if !rights.fdw_installed && !rights.fdw_available {
        let fix =
            "-- install the contrib package of this PostgreSQL version on the server's machine".to_owned();
        return noted("postgres_fdw is not on the server", fix);
    }
    let grant = format!("grant usage on foreign data wrapper postgres_fdw to {role};");
    if !rights.fdw_installed {
        // A superuser makes it on the way.
        let fix = format!("create extension postgres_fdw; -- as a superuser\n{grant}");
        return if observed.base.catalog.facts.superuser {
            None
        } else {
            noted("postgres_fdw is not created in this database", fix)
        };
    }
    if rights.fdw_usage { None } else { noted("the role lacks USAGE on the wrapper postgres_fdw", grant) }
}
