//! Functions, procedures and aggregates.

use super::reader::{Fields, Reader, acl, no_member};
use crate::error::PgError;
use cleave_model::catalog::{Function, FunctionKind};
use cleave_model::{Ident, QualifiedName};

/// `pg_get_functiondef` refuses aggregates (42809). Plain ones are written from `pg_aggregate`; ordered-set,
/// hypothetical-set, moving and partial ones, and those with a sort operator, are left empty, which is refused by name.
const AGGREGATE: &str = "
    select format('CREATE AGGREGATE %I.%I(%s) (sfunc = %s, stype = %s%s%s%s%s%s)', n.nspname, p.proname,
                  case when p.pronargs = 0 then '*' else pg_get_function_arguments(p.oid) end,
                  step.name, format_type(a.aggtranstype, null),
                  case when a.aggtransspace <> 0 then ', sspace = ' || a.aggtransspace end,
                  ', finalfunc = ' || final.name,
                  case when a.aggfinalextra then ', finalfunc_extra' end,
                  ', initcond = ' || quote_literal(a.agginitval),
                  case p.proparallel when 's' then ', parallel = safe'
                                     when 'r' then ', parallel = restricted' end) as text
    from pg_aggregate a
    join lateral (select named.name from named(a.aggtransfn)) step on true
    left join lateral (select named.name from named(a.aggfinalfn)) final on true
    where a.aggfnoid = p.oid and a.aggkind = 'n' and a.aggmtransfn = 0 and a.aggcombinefn = 0
      and a.aggserialfn = 0 and a.aggsortop = 0";

/// A function's name as `CREATE AGGREGATE` takes it: qualified where it stands in another schema than the aggregate.
const NAMED: &str = "
    select case when fn.nspname in ('pg_catalog', n.nspname) then '' else quote_ident(fn.nspname) || '.' end
           || quote_ident(f.proname) as name
    from pg_proc f join pg_namespace fn on fn.oid = f.pronamespace where f.oid = ";

fn sql() -> String {
    let aggregate = AGGREGATE
        .replace("select named.name from named(a.aggtransfn)", &format!("{NAMED} a.aggtransfn"))
        .replace("select named.name from named(a.aggfinalfn)", &format!("{NAMED} a.aggfinalfn"));
    format!(
        "select p.oid, p.proname::text as name, pg_get_function_identity_arguments(p.oid) as arguments,
                p.prokind::text as kind, l.lanname::text as language,
                case when p.prokind <> 'a' then pg_get_functiondef(p.oid)
                     else coalesce(aggregate.text, '') end as definition,
                case when p.prosqlbody is null and p.prokind <> 'a' then p.prosrc end as body,
                coalesce(pg_get_function_result(p.oid), '') as result, p.prosecdef as security_definer,
                p.proconfig as settings, pg_get_userbyid(p.proowner)::text as owner,
                obj_description(p.oid, 'pg_proc') as comment, acl.*
         from pg_proc p
         join pg_namespace n on n.oid = p.pronamespace
         join pg_language l on l.oid = p.prolang
         left join lateral ({aggregate}) aggregate on p.prokind = 'a'
         {acl}
         where n.nspname = $1 and {no_member}
         order by p.proname collate \"C\", pg_get_function_identity_arguments(p.oid) collate \"C\"",
        acl = acl("p.proacl"),
        no_member = no_member("pg_proc", "p.oid"),
    )
}

pub(super) async fn functions(reader: &Reader<'_>, schema: &Ident) -> Result<Vec<Function>, PgError> {
    let rows = reader.rows_in("functions", schema, &sql()).await?;
    let function = |row: &Fields| {
        Ok(Function {
            oid: row.oid("oid")?,
            name: QualifiedName { schema: schema.clone(), name: row.ident("name")? },
            identity_arguments: row.get("arguments")?,
            kind: match row.get::<&str>("kind")? {
                "p" => FunctionKind::Procedure,
                "a" => FunctionKind::Aggregate,
                "w" => FunctionKind::Window,
                _ => FunctionKind::Function,
            },
            language: row.get("language")?,
            definition: row.get("definition")?,
            body: row.get("body")?,
            result: row.get("result")?,
            security_definer: row.get("security_definer")?,
            settings: row.list("settings")?,
            owner: row.ident("owner")?,
            grants: row.grants()?,
            comment: row.get("comment")?,
        })
    };
    rows.iter().map(function).collect()
}
