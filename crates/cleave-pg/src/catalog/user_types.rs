//! User-defined types.

use super::reader::{Fields, Reader, acl, no_member};
use crate::error::PgError;
use cleave_model::catalog::{TypeKind, UserType};
use cleave_model::{Ident, QualifiedName};

/// Row types of tables, arrays and multiranges come with what they belong to.
fn sql() -> String {
    format!(
        "select t.oid, t.typname::text as name, t.typtype::text as kind, t.typisdefined as defined,
                pg_get_userbyid(t.typowner)::text as owner, obj_description(t.oid, 'pg_type') as comment,
                labels.list as labels,
                case when t.typtype = 'd' then format_type(t.typbasetype, t.typtypmod) end as base,
                t.typnotnull as not_null,
                case when t.typtype = 'd' then coalesce(pg_get_expr(t.typdefaultbin, 0), t.typdefault) end
                    as domain_default,
                {domain_collation} as collation,
                checks.names as check_names, checks.definitions as check_definitions,
                attributes.names as attribute_names, attributes.types as attribute_types,
                attributes.collations as attribute_collations,
                spans.options as range_options, spans.canonical as range_canonical, acl.*
         from pg_type t
         join pg_namespace n on n.oid = t.typnamespace
         left join pg_class c on c.oid = t.typrelid
         left join pg_type base on base.oid = t.typbasetype
         left join lateral (select array_agg(e.enumlabel::text order by e.enumsortorder) as list
                            from pg_enum e where e.enumtypid = t.oid) labels on true
         left join lateral (select array_agg(k.conname::text order by k.conname collate \"C\") as names,
                                   array_agg(pg_get_constraintdef(k.oid) order by k.conname collate \"C\") as definitions
                            from pg_constraint k where k.contypid = t.oid and k.contype = 'c') checks on true
         left join lateral (select array_agg(a.attname::text order by a.attnum) as names,
                                   array_agg(format_type(a.atttypid, a.atttypmod) order by a.attnum) as types,
                                   array_agg({attribute_collation} order by a.attnum) as collations
                            from pg_attribute a join pg_type at on at.oid = a.atttypid
                            where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) attributes on true
         left join lateral ({range}) spans on true
         {acl}
         where n.nspname = $1 and (t.typrelid = 0 or c.relkind = 'c') and t.typtype <> 'm'
           and not exists (select from pg_type element where element.typarray = t.oid)
           and {no_member}
         order by t.typname collate \"C\"",
        domain_collation = collation("t.typcollation", "base.typcollation"),
        attribute_collation = collation("a.attcollation", "at.typcollation"),
        range = RANGE,
        acl = acl("t.typacl"),
        no_member = no_member("pg_type", "t.oid"),
    )
}

/// The options of `CREATE TYPE ... AS RANGE`, those left out that say the default. Multiranges are named on 14 and
/// later, and always named here: the server's own choice depends on what else is in the schema.
const RANGE: &str = "
    select concat_ws(', ',
               'subtype = ' || format_type(r.rngsubtype, null),
               case when not oc.opcdefault then 'subtype_opclass = '
                   || case when pg_opclass_is_visible(oc.oid) then '' else quote_ident(ocn.nspname) || '.' end
                   || quote_ident(oc.opcname) end,
               case when r.rngcollation <> st.typcollation then 'collation = '
                   || case when pg_collation_is_visible(co.oid) then '' else quote_ident(con.nspname) || '.' end
                   || quote_ident(co.collname) end,
               case when r.rngsubdiff <> 0 then 'subtype_diff = ' || r.rngsubdiff::text end,
               'multirange_type_name = ' || format_type(r.rngmultitypid, null)) as options,
           r.rngcanonical <> 0 as canonical
    from pg_range r
    join pg_type st on st.oid = r.rngsubtype
    join pg_opclass oc on oc.oid = r.rngsubopc
    join pg_namespace ocn on ocn.oid = oc.opcnamespace
    left join pg_collation co on co.oid = r.rngcollation
    left join pg_namespace con on con.oid = co.collnamespace
    where r.rngtypid = t.oid";

/// SQL for a collation, null where it is the type's own.
pub(super) fn collation(used: &str, default: &str) -> String {
    format!(
        "(select quote_ident(cn.nspname) || '.' || quote_ident(co.collname)
          from pg_collation co join pg_namespace cn on cn.oid = co.collnamespace
          where co.oid = {used} and {used} <> {default})"
    )
}

pub(super) async fn user_types(reader: &Reader<'_>, schema: &Ident) -> Result<Vec<UserType>, PgError> {
    let rows = reader.rows_in("types", schema, &sql()).await?;
    let user_type = |row: &Fields| {
        Ok(UserType {
            oid: row.oid("oid")?,
            name: QualifiedName { schema: schema.clone(), name: row.ident("name")? },
            kind: kind(row)?,
            owner: row.ident("owner")?,
            grants: row.grants()?,
            comment: row.get("comment")?,
        })
    };
    rows.iter().map(user_type).collect()
}

fn kind(row: &Fields) -> Result<TypeKind, PgError> {
    let other = |what: &str| Ok(TypeKind::Other(what.to_owned()));
    match row.get::<&str>("kind")? {
        "e" => Ok(TypeKind::Enum(row.list("labels")?)),
        "d" => Ok(TypeKind::Domain {
            base: row.get("base")?,
            not_null: row.get("not_null")?,
            default: row.get("domain_default")?,
            collation: row.get("collation")?,
            checks: row.idents("check_names")?.into_iter().zip(row.list("check_definitions")?).collect(),
        }),
        "c" => {
            let named = row.idents("attribute_names")?.into_iter().zip(row.list("attribute_types")?);
            let collations = row.list("attribute_collations")?;
            let attributes = named.zip(collations).map(|((name, text), collation)| (name, text, collation));
            Ok(TypeKind::Composite(attributes.collect()))
        }
        "r" if row.get("range_canonical")? => other("range type with a canonical function"),
        "r" => Ok(TypeKind::Range(row.get("range_options")?)),
        "b" => other("base type"),
        "p" if !row.get::<bool>("defined")? => other("shell type"),
        _ => other("type of an unknown kind"),
    }
}
