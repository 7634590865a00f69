//! `cleave doctor isolation`: what the role of one service could do with the objects of another.
//!
//! As each owner and reader role it asks the server about every relation of every other service in the database
//! (privileges that come through PUBLIC or another role count), and looks for what leaks: roles that can become an
//! owner, views that run with their owner's rights, SECURITY DEFINER functions.

use super::sheet::{Noted, Sheet};
use crate::{EngineError, Events, Topology, planning};
use cleave_api::DoctorReport;
use cleave_config::Service;
use cleave_model::catalog::{Catalog, Function};
use cleave_model::{DatabaseName, Ident, Oid, QualifiedName, ServiceName};
use cleave_pg::{During, Session, catalog::read_catalog};
use cleave_sql::{Resolver, read_function};
use std::collections::{BTreeMap, BTreeSet};

/// What each role may do with each relation that it can name. `$1` roles, `$2` OIDs.
const PRIVILEGES: &str = "
    select r, c.oid, string_agg(p, ', ' order by p)
    from unnest($1::text[]) r
    cross join unnest($2::oid[]) o
    join pg_catalog.pg_class c on c.oid = o
    cross join lateral unnest(case c.relkind when 'S' then array['USAGE', 'SELECT', 'UPDATE']
        else array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'] end) p
    where pg_catalog.has_schema_privilege(r, c.relnamespace, 'USAGE')
      and case when c.relkind = 'S' then pg_catalog.has_sequence_privilege(r, c.oid, p)
               when p in ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES') then pg_catalog.has_any_column_privilege(r, c.oid, p)
               else pg_catalog.has_table_privilege(r, c.oid, p) end
    group by r, c.oid order by r, c.oid";

/// Roles that can become another, and roles that nothing is closed to.
const MEMBERS: &str = "
    select a, b from unnest($1::text[]) a cross join unnest($1::text[]) b
    where a <> b and pg_catalog.pg_has_role(a, b, 'MEMBER') order by 1, 2";
const SUPERUSERS: &str =
    "select rolname::text from pg_catalog.pg_roles where rolsuper and rolname = any ($1) order by 1";
const EXECUTE: &str = "
    select r, f from unnest($1::text[]) r cross join unnest($2::oid[]) f
    join pg_catalog.pg_proc p on p.oid = f
    where pg_catalog.has_schema_privilege(r, p.pronamespace, 'USAGE') and pg_catalog.has_function_privilege(r, f, 'EXECUTE')";
const EXISTING: &str = "select rolname::text from pg_catalog.pg_roles where rolname = any ($1)";

/// A service in one database: its roles and its relations.
struct Tenant<'c> {
    service: &'c Service,
    roles: Vec<String>,
    relations: BTreeMap<Oid, QualifiedName>,
}

/// Looks at every database that is the home of a service, or at those of the named ones.
///
/// # Errors
/// `C0420` for a service that is not in the file, and what a server says.
pub async fn isolation(
    topology: &Topology,
    services: Option<&[ServiceName]>,
    events: &Events,
) -> Result<DoctorReport, EngineError> {
    for name in services.unwrap_or_default() {
        planning::service(topology, name.as_str())?;
    }
    let chosen = |service: &Service| services.is_none_or(|names| names.contains(&service.name));
    let config = topology.config();
    let mut report = DoctorReport::default();
    for database in &config.databases {
        let here: Vec<&Service> =
            config.services.iter().filter(|service| service.home.value.database == database.name).collect();
        if !here.iter().any(|service| chosen(service)) {
            continue;
        }
        events.note(None, format!("looking at database {}", database.name));
        let mut sheet = Sheet::new(&database.name);
        look(topology, &database.name, &here, &mut sheet).await?;
        sheet.hand_in(&mut report);
    }
    report.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    Ok(report)
}

async fn look(
    topology: &Topology,
    database: &DatabaseName,
    services: &[&Service],
    sheet: &mut Sheet,
) -> Result<(), EngineError> {
    let session = topology.site(database)?.connect("doctor").await?;
    let catalog = read_catalog(&session).await?;
    let mut tenants = Vec::new();
    for service in services {
        tenants.push(tenant(service, &catalog, &session, sheet).await?);
    }
    let all: Vec<String> = tenants.iter().flat_map(|tenant| tenant.roles.clone()).collect();
    let superusers = names(&session, SUPERUSERS, &all).await?;
    sheet.check(superusers.iter().map(|role| {
        Noted::error("C1133", "it is a superuser", "nothing in the server is closed to it")
            .about(format!("role {role}"))
            .fix(format!("alter role {} nosuperuser", Ident::new(role.as_str()).quoted()))
    }));
    for tenant in &mut tenants {
        tenant.roles.retain(|role| !superusers.contains(role));
    }
    members(&tenants, &session, sheet).await?;
    privileges(&tenants, &session, sheet).await?;
    let leaks = Leaks { tenants: &tenants, catalog: &catalog, session: &session };
    leaks.views(sheet).await?;
    leaks.functions(sheet).await
}

/// The roles that exist, and what stands in the service's schema; before its move, the tables that it claims.
async fn tenant<'c>(
    service: &'c Service,
    catalog: &Catalog,
    session: &Session,
    sheet: &mut Sheet,
) -> Result<Tenant<'c>, EngineError> {
    let reader = service.schema_move.as_ref().and_then(|wish| wish.reader.as_ref());
    let wanted: Vec<String> =
        service.owner.iter().chain(reader).map(|role| role.value.as_str().to_owned()).collect();
    let roles = names(session, EXISTING, &wanted).await?;
    let schema = &service.home.value.schema;
    let claims = |name: &QualifiedName| {
        name.schema == *schema
            || (service.schema_move.is_some()
                && service.tables.iter().any(|pattern| pattern.value.matches(name)))
    };
    let tables = catalog.tables.iter().map(|table| (table.oid, &table.name));
    let sequences = catalog.sequences.iter().map(|sequence| (sequence.oid, &sequence.name));
    let views = catalog.views.iter().map(|view| (view.oid, &view.name));
    let relations = tables.chain(sequences).chain(views).filter(|(_, name)| claims(name));
    let relations = relations.map(|(oid, name)| (oid, name.clone())).collect();
    sheet.check(roles.is_empty().then(|| {
        Noted::note(
            "C1134",
            "it has no role of its own there",
            "whoever may connect is told from nobody: give it an `owner`",
        )
        .about(format!("service {}", service.name))
    }));
    Ok(Tenant { service, roles, relations })
}

async fn names(session: &Session, sql: &str, roles: &[String]) -> Result<Vec<String>, EngineError> {
    let rows = session.query(sql, &[&roles]).await.during("reading the roles")?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Who can become somebody of another service has all that is theirs.
async fn members(tenants: &[Tenant<'_>], session: &Session, sheet: &mut Sheet) -> Result<(), EngineError> {
    let all: Vec<String> = tenants.iter().flat_map(|tenant| tenant.roles.clone()).collect();
    let rows = session.query(MEMBERS, &[&all]).await.during("reading memberships")?;
    let service_of = |role: &str| {
        let tenant = tenants.iter().find(|tenant| tenant.roles.iter().any(|own| own == role));
        tenant.map(|tenant| &tenant.service.name)
    };
    for row in rows {
        let (member, of): (String, String) = (row.get(0), row.get(1));
        sheet.check((service_of(&member) != service_of(&of)).then(|| {
            let other = service_of(&of).map(ToString::to_string).unwrap_or_default();
            Noted::error(
                "C1130",
                format!("it can become {of}"),
                format!("whatever service {other} may do, it may do too"),
            )
            .about(format!("role {member}"))
            .fix(format!(
                "revoke {} from {}",
                Ident::new(of.as_str()).quoted(),
                Ident::new(member.as_str()).quoted()
            ))
        }));
    }
    Ok(())
}

/// Each role against each relation of the others.
async fn privileges(tenants: &[Tenant<'_>], session: &Session, sheet: &mut Sheet) -> Result<(), EngineError> {
    for tenant in tenants {
        for other in tenants.iter().filter(|other| other.service.name != tenant.service.name) {
            let oids: Vec<u32> = other.relations.keys().map(|oid| oid.0).collect();
            let rows =
                session.query(PRIVILEGES, &[&tenant.roles, &oids]).await.during("asking for privileges")?;
            let mut found: BTreeSet<u32> = BTreeSet::new();
            for row in rows {
                let (role, oid, may): (String, u32, String) = (row.get(0), row.get(1), row.get(2));
                found.insert(oid);
                let Some(name) = other.relations.get(&Oid(oid)) else { continue };
                let kind = if may.contains("USAGE") { "sequence" } else { "table" };
                sheet.check([Noted::error(
                    "C1130",
                    format!("it may {may} {name}"),
                    format!("it belongs to service {}", other.service.name),
                )
                .about(format!("role {role}"))
                .fix(format!(
                    "revoke all on {kind} {0} from {1}; -- and, where it comes from there:\nrevoke all on {kind} {0} from public",
                    name.quoted(),
                    Ident::new(role.as_str()).quoted()
                ))]);
            }
            // What nothing was found for was checked too.
            for _ in oids.iter().filter(|oid| !found.contains(oid)) {
                sheet.check([]);
            }
        }
    }
    Ok(())
}

/// Ways around privileges.
struct Leaks<'a> {
    tenants: &'a [Tenant<'a>],
    catalog: &'a Catalog,
    session: &'a Session,
}

impl Leaks<'_> {
    /// A view without `security_invoker` reads with its owner's rights.
    async fn views(&self, sheet: &mut Sheet) -> Result<(), EngineError> {
        let invoker = |options: &[String]| options.iter().any(|option| option == "security_invoker=true");
        for view in self.catalog.views.iter().filter(|view| !invoker(&view.options)) {
            let reads = self.tables_below(view.oid);
            for tenant in self.tenants {
                let foreign = self.foreign(tenant, &reads);
                if foreign.is_empty() || tenant.roles.is_empty() {
                    continue;
                }
                let rows = self
                    .session
                    .query(PRIVILEGES, &[&tenant.roles, &vec![view.oid.0]])
                    .await
                    .during("asking for privileges")?;
                sheet.check(rows.iter().map(|row| {
                    let (role, may): (String, String) = (row.get(0), row.get(2));
                    let kind = if view.materialized { "materialized view" } else { "view" };
                    Noted::error(
                        "C1131",
                        format!("through {kind} {} it may {may} {}", view.name, foreign.join(", ")),
                        format!("it reads with the rights of {}", view.owner),
                    )
                    .about(format!("role {role}"))
                    .fix(format!(
                        "revoke all on table {0} from {1}; -- and, where it comes from there:\nrevoke all on table {0} from public",
                        view.name.quoted(),
                        Ident::new(role.as_str()).quoted()
                    ))
                }));
            }
        }
        Ok(())
    }

    /// Tables that a relation reads, through other views too.
    fn tables_below(&self, view: Oid) -> BTreeSet<Oid> {
        let (mut seen, mut rest) = (BTreeSet::new(), vec![view]);
        while let Some(oid) = rest.pop() {
            if seen.insert(oid)
                && let Some(view) = self.catalog.views.iter().find(|view| view.oid == oid)
            {
                rest.extend(&view.reads);
            }
        }
        seen.remove(&view);
        seen
    }

    /// Those of other services.
    fn foreign(&self, tenant: &Tenant<'_>, oids: &BTreeSet<Oid>) -> Vec<String> {
        let others = self.tenants.iter().filter(|other| other.service.name != tenant.service.name);
        let relations = others.flat_map(|other| &other.relations);
        relations.filter(|(oid, _)| oids.contains(oid)).map(|(_, name)| name.to_string()).collect()
    }

    /// A SECURITY DEFINER function does what its owner may.
    async fn functions(&self, sheet: &mut Sheet) -> Result<(), EngineError> {
        let path = [Ident::new("public")];
        let resolver = Resolver::new(self.catalog, &path);
        for function in self.catalog.functions.iter().filter(|function| function.security_definer) {
            let read = read_function(function, self.catalog, &resolver);
            let tables: BTreeSet<&QualifiedName> = read.read.tables.iter().map(|used| &used.table).collect();
            let oids: BTreeSet<Oid> = self
                .catalog
                .tables
                .iter()
                .filter(|table| tables.contains(&table.name))
                .map(|table| table.oid)
                .collect();
            for tenant in self.tenants.iter().filter(|tenant| !tenant.roles.is_empty()) {
                let foreign = self.foreign(tenant, &oids);
                if foreign.is_empty() && read.is_certain() {
                    continue;
                }
                for role in self.callers(tenant, function).await? {
                    sheet.check([leak(function, &role, &foreign)]);
                }
            }
        }
        Ok(())
    }

    async fn callers(&self, tenant: &Tenant<'_>, function: &Function) -> Result<Vec<String>, EngineError> {
        let rows = self
            .session
            .query(EXECUTE, &[&tenant.roles, &vec![function.oid.0]])
            .await
            .during("asking for privileges")?;
        let own = |role: &String| function.owner.as_str() == role;
        Ok(rows.iter().map(|row| row.get(0)).filter(|role| !own(role)).collect())
    }
}

fn leak(function: &Function, role: &str, foreign: &[String]) -> Noted {
    let called = format!("{}({})", function.name, function.identity_arguments);
    let fix = format!(
        "revoke execute on routine {}({}) from public, {}",
        function.name.quoted(),
        function.identity_arguments,
        Ident::new(role).quoted()
    );
    let why = format!("it is SECURITY DEFINER: it runs with the rights of {}", function.owner);
    let noted = if foreign.is_empty() {
        Noted::warning(
            "C1132",
            format!("it may call {called}, whose text does not say all that it touches"),
            why,
        )
    } else {
        Noted::error("C1132", format!("through {called} it reaches {}", foreign.join(", ")), why)
    };
    noted.about(format!("role {role}")).fix(fix)
}
