//! What has drifted since the cutover of a schema move: shown by `status`. A view takes statements that change it alone
//! without a word (`alter table ... rename column`, `set default`, `owner to`, `grant`), and the table does not tell
//! the view.

use crate::EngineError;
use cleave_api::Problem;
use cleave_model::QualifiedName;
use cleave_pg::{During, Session};
use cleave_plan::{NameLayer, SchemaPlan};

/// What stands under each old name, and how it differs from the table: one row per difference.
const VIEWS: &str = "
    with pair(old, oid) as (select * from unnest($1::text[], $2::oid[])),
    seen as (
        select p.old, p.oid as base, v.oid as view, v.relkind, v.relowner, v.reloptions, v.relacl, b.relacl as base_acl,
               b.relowner as base_owner
        from pair p
        left join pg_catalog.pg_class v on v.oid = pg_catalog.to_regclass(p.old)
        join pg_catalog.pg_class b on b.oid = p.oid),
    view as (select * from seen where relkind = 'v')
    select old, 'missing' as what, '' as detail from seen where view is null
    union all
    select old, 'replaced', 'a relation of another kind' from seen where view is not null and relkind <> 'v'
    union all
    select old, 'replaced', 'a view that does not read the table' from view
    where not exists (
        select from pg_catalog.pg_rewrite r join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_rewrite'::regclass
               and d.objid = r.oid and d.refclassid = 'pg_catalog.pg_class'::regclass
        where r.ev_class = view and d.refobjid = base)
    union all
    select old, 'options', 'security_invoker is gone' from view
    where $3 and not coalesce('security_invoker=true' = any (reloptions), false)
    union all
    select old, 'column', a.attname::text from view join pg_catalog.pg_attribute a on a.attrelid = base
    where a.attnum > 0 and not a.attisdropped and not exists (
        select from pg_catalog.pg_depend d join pg_catalog.pg_rewrite r on r.oid = d.objid and r.ev_class = view
        where d.classid = 'pg_catalog.pg_rewrite'::regclass and d.refclassid = 'pg_catalog.pg_class'::regclass
          and d.refobjid = base and d.refobjsubid = a.attnum)
    union all
    select old, 'renamed', c.attname::text from view join pg_catalog.pg_attribute c on c.attrelid = view
    where c.attnum > 0 and not exists (
        select from pg_catalog.pg_attribute a where a.attrelid = base and a.attname = c.attname and not a.attisdropped)
    union all
    select old, 'default', a.attname::text from view
    join pg_catalog.pg_attribute a on a.attrelid = base and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
    join pg_catalog.pg_attribute c on c.attrelid = view and c.attname = a.attname
    left join pg_catalog.pg_attrdef d on d.adrelid = base and d.adnum = a.attnum
    left join pg_catalog.pg_attrdef e on e.adrelid = view and e.adnum = c.attnum
    where pg_catalog.pg_get_expr(d.adbin, base) is distinct from pg_catalog.pg_get_expr(e.adbin, view)
    union all
    select old, 'privilege', pg_catalog.concat_ws(' ', x.privilege_type, 'of', coalesce(g.rolname::text, 'PUBLIC'))
    from view
    cross join lateral (
        (select grantee, privilege_type from pg_catalog.aclexplode(coalesce(base_acl, pg_catalog.acldefault('r', base_owner)))
         where privilege_type <> 'MAINTAIN'
         except select grantee, privilege_type from pg_catalog.aclexplode(coalesce(relacl, pg_catalog.acldefault('r', relowner))))
        union
        (select grantee, privilege_type from pg_catalog.aclexplode(coalesce(relacl, pg_catalog.acldefault('r', relowner)))
         where grantee <> relowner and privilege_type <> 'MAINTAIN'
         except select grantee, privilege_type from pg_catalog.aclexplode(coalesce(base_acl, pg_catalog.acldefault('r', base_owner))))
    ) x
    left join pg_catalog.pg_roles g on g.oid = x.grantee
    order by 1, 2, 3";

/// Tables that are not where the plan has put them, or belong to somebody else; whatever stands under an old name
/// without a view layer; partitions that were made beside the schema.
const TABLES: &str = "
    with pair(old, oid) as (select * from unnest($1::text[], $2::oid[]))
    select p.old, 'gone', '' from pair p where not exists (select from pg_catalog.pg_class c where c.oid = p.oid)
    union all
    select p.old, 'elsewhere', n.nspname::text
    from pair p join pg_catalog.pg_class c on c.oid = p.oid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname <> $3
    union all
    select p.old, 'owner', r.rolname::text
    from pair p join pg_catalog.pg_class c on c.oid = p.oid join pg_catalog.pg_roles r on r.oid = c.relowner
    where r.rolname <> $4
    union all
    select p.old, 'shadow', '' from pair p where $5 and pg_catalog.to_regclass(p.old) is not null
    union all
    select p.old, 'partition', c.oid::regclass::text
    from pair p join pg_catalog.pg_inherits i on i.inhparent = p.oid join pg_catalog.pg_class c on c.oid = i.inhrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname <> $3
    order by 1, 2, 3";

/// Everything that is not as the cutover left it.
pub(crate) async fn problems(plan: &SchemaPlan, session: &Session) -> Result<Vec<Problem>, EngineError> {
    const WHAT: &str = "looking for what has drifted";
    let names: Vec<String> = plan.tables.iter().map(|table| table.from.qualified().quoted()).collect();
    let oids: Vec<u32> = plan.tables.iter().map(|table| table.oid).collect();
    let view_layer = plan.layer == NameLayer::View;
    let owner = plan.owner_role.clone().unwrap_or_default();
    let rows =
        session.query(TABLES, &[&names, &oids, &plan.schema, &owner, &!view_layer]).await.during(WHAT)?;
    let mut problems: Vec<Problem> = rows
        .iter()
        .map(|row| (row.get::<_, String>(0), row.get::<_, String>(1), row.get::<_, String>(2)))
        .filter(|(_, what, _)| what != "owner" || plan.owner_role.is_some())
        .map(|(old, what, detail)| of_table(plan, &shown(plan, &old), &what, &detail))
        .collect();
    if view_layer {
        let invoker = session.server_version_num() >= 150_000;
        let rows = session.query(VIEWS, &[&names, &oids, &invoker]).await.during(WHAT)?;
        problems.extend(rows.iter().map(|row| {
            let (old, what, detail): (String, String, String) = (row.get(0), row.get(1), row.get(2));
            of_view(plan, &shown(plan, &old), &what, &detail)
        }));
    }
    let around = cleave_pg::surroundings(session).await?;
    problems.extend(cleave_plan::lacking_paths(plan, &around).into_iter().map(|change| {
        let whose =
            change.role.map_or_else(|| format!("database {}", plan.database), |role| format!("role {role}"));
        Problem::warning(
            "C1129",
            format!("the search path of {whose} does not name schema {} before {}", plan.schema, olds(plan)),
        )
        .hint(format!("set search_path = {}", change.after))
    }));
    Ok(problems)
}

fn olds(plan: &SchemaPlan) -> String {
    plan.old_schemas().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Old name and new name, for people.
fn shown(plan: &SchemaPlan, old: &str) -> (QualifiedName, QualifiedName) {
    let table = plan.tables.iter().find(|table| table.from.qualified().quoted() == old);
    table.map_or_else(
        || (QualifiedName::new("", old), QualifiedName::new("", old)),
        |table| (table.from.qualified(), table.to.qualified()),
    )
}

fn of_table(
    plan: &SchemaPlan,
    (old, new): &(QualifiedName, QualifiedName),
    what: &str,
    detail: &str,
) -> Problem {
    match what {
        "gone" => Problem::error("C1124", format!("{new} is gone"))
            .hint("restore it, or cancel the service's wish for it"),
        "elsewhere" => Problem::error("C1124", format!("{new} stands in schema {detail} now"))
            .hint(format!("alter table {detail}.{} set schema {}", old.name, plan.schema)),
        "owner" => Problem::warning("C1126", format!("{new} belongs to {detail}"))
            .hint(format!("alter table {new} owner to {}", plan.owner_role.as_deref().unwrap_or_default())),
        "shadow" => Problem::error(
            "C1127",
            format!("something stands under the old name {old} again: qualified names meet it, not {new}"),
        )
        .hint(format!("carry its rows to {new}, then drop it")),
        _ => Problem::warning("C1128", format!("partition {detail} of {new} was made beside its schema"))
            .hint(format!("alter table {detail} set schema {}", plan.schema)),
    }
}

fn of_view(
    plan: &SchemaPlan,
    (old, new): &(QualifiedName, QualifiedName),
    what: &str,
    detail: &str,
) -> Problem {
    let again = format!("cleave rollback {0}, then cleave cutover {0} makes the view anew", plan.service);
    match what {
        "missing" => Problem::error("C1124", format!("the view {old} is gone: qualified names meet nothing"))
            .hint(again),
        "replaced" => {
            Problem::error("C1124", format!("{old} is no longer the view over {new}, but {detail}"))
                .hint(again)
        }
        "options" => {
            Problem::error("C1126", format!("view {old}: {detail}, so that row-level security is passed by"))
                .hint(format!("alter view {old} set (security_invoker = true)"))
        }
        "column" => Problem::warning("C1125", format!("view {old} does not show column {detail} of {new}"))
            .hint(format!("{again}; or use the new name")),
        "renamed" => {
            Problem::warning("C1125", format!("view {old} calls a column {detail}, which {new} does not"))
                .hint(again)
        }
        "default" => Problem::warning(
            "C1125",
            format!("column {detail} has another default in view {old} than in {new}"),
        )
        .hint(format!("alter view {old} alter column {detail} set default, as the table has it")),
        _ => Problem::warning("C1126", format!("view {old} and {new} differ in {detail}"))
            .hint("grant or revoke it on both"),
    }
}
