//! `pg_depend`, folded to whole objects.

use super::reader::{Fields, Reader};
use crate::error::PgError;
use cleave_model::catalog::{Catalog, Dependency, ObjectRef, Outside, OutsideNeed};
use cleave_model::{Ident, Oid};
use std::collections::{BTreeMap, BTreeSet};

/// Every catalog row that is a part of something, with what it is a part of: `r` a relation, `f` a function, `t` a type.
const FOLDED: &str = "
    folded(classid, objid, kind, whole) as (
        select 'pg_class'::regclass::oid, c.oid, case when c.relkind = 'c' then 't' else 'r' end,
               case when c.relkind = 'c' then c.reltype else c.oid end
        from pg_class c where c.relkind in ('r', 'p', 'f', 'v', 'm', 'S', 'c')
        union all select 'pg_class'::regclass, i.indexrelid, 'r', i.indrelid from pg_index i
        union all select 'pg_proc'::regclass, p.oid, 'f', p.oid from pg_proc p
        union all select 'pg_type'::regclass, t.oid, case when c.relkind <> 'c' then 'r' else 't' end,
                         case when c.relkind <> 'c' then c.oid else e.oid end
                  from pg_type t
                  left join pg_range m on m.rngmultitypid = t.oid
                  left join pg_type array_of on array_of.typarray = t.oid
                  left join pg_range array_of_multi on array_of_multi.rngmultitypid = array_of.oid
                  join pg_type e on e.oid = coalesce(array_of_multi.rngtypid, array_of.oid, m.rngtypid, t.oid)
                  left join pg_class c on c.oid = e.typrelid
        union all select 'pg_attrdef'::regclass, d.oid, 'r', d.adrelid from pg_attrdef d
        union all select 'pg_constraint'::regclass, k.oid, case when k.conrelid <> 0 then 'r' else 't' end,
                         case when k.conrelid <> 0 then k.conrelid else k.contypid end from pg_constraint k
        union all select 'pg_trigger'::regclass, g.oid, 'r', g.tgrelid from pg_trigger g
        union all select 'pg_rewrite'::regclass, w.oid, 'r', w.ev_class from pg_rewrite w
        union all select 'pg_policy'::regclass, p.oid, 'r', p.polrelid from pg_policy p
        union all select 'pg_statistic_ext'::regclass, s.oid, 'r', s.stxrelid from pg_statistic_ext s)";

/// Edges between objects. What is only in system schemas falls away when the known OIDs are asked for.
fn edges_sql() -> String {
    format!(
        "with {FOLDED}
         select distinct a.kind as dependent_kind, a.whole as dependent, b.kind as referenced_kind,
                b.whole as referenced
         from pg_depend d
         join folded a on a.classid = d.classid and a.objid = d.objid
         join folded b on b.classid = d.refclassid and b.objid = d.refobjid
         where d.deptype in ('n', 'a', 'i', 'P', 'S') and (a.kind, a.whole) <> (b.kind, b.whole)"
    )
}

/// Uses of extensions' members, and of objects of other classes made by users (their OIDs are 16384 and up).
fn outside_sql() -> String {
    format!(
        "with {FOLDED}
         select distinct a.kind as dependent_kind, a.whole as dependent, x.extname::text as extension,
                case when x.oid is null then pg_describe_object(d.refclassid, d.refobjid, 0) end as other
         from pg_depend d
         join folded a on a.classid = d.classid and a.objid = d.objid
         left join pg_depend member on member.classid = d.refclassid and member.objid = d.refobjid
              and member.deptype = 'e'
         left join pg_extension x on x.oid = member.refobjid and member.refclassid = 'pg_extension'::regclass
         where d.deptype in ('n', 'a', 'i') and d.refobjid >= 16384
           and (x.oid is not null
                or d.refclassid in ('pg_operator'::regclass, 'pg_opclass'::regclass, 'pg_opfamily'::regclass,
                                    'pg_collation'::regclass, 'pg_conversion'::regclass, 'pg_ts_config'::regclass,
                                    'pg_ts_dict'::regclass, 'pg_ts_parser'::regclass, 'pg_am'::regclass,
                                    'pg_language'::regclass))"
    )
}

/// Fills dependencies, needs outside the model and what each view reads.
pub(super) async fn fill(reader: &Reader<'_>, catalog: &mut Catalog) -> Result<(), PgError> {
    let known = known(catalog);
    let mut edges = BTreeSet::new();
    for row in reader.rows("dependencies", &edges_sql()).await? {
        let dependent = object(&row, "dependent")?;
        let referenced = object(&row, "referenced")?;
        if known.contains(&dependent) && known.contains(&referenced) {
            edges.insert(Dependency { dependent, referenced });
        }
    }
    let mut outside = BTreeSet::new();
    for row in reader.rows("uses of extensions", &outside_sql()).await? {
        let dependent = object(&row, "dependent")?;
        let what = match row.get::<Option<String>>("extension")? {
            Some(name) => Outside::Extension(Ident::new(name)),
            None => Outside::Other(row.get::<Option<String>>("other")?.unwrap_or_default()),
        };
        if known.contains(&dependent) {
            outside.insert(OutsideNeed { dependent, what });
        }
    }
    fill_reads(catalog, &edges);
    catalog.dependencies = edges.into_iter().collect();
    catalog.outside_needs = outside.into_iter().collect();
    Ok(())
}

fn fill_reads(catalog: &mut Catalog, edges: &BTreeSet<Dependency>) {
    let readable: BTreeSet<Oid> =
        catalog.tables.iter().map(|t| t.oid).chain(catalog.views.iter().map(|v| v.oid)).collect();
    let mut reads = BTreeMap::<Oid, Vec<Oid>>::new();
    for edge in edges {
        if let (ObjectRef::Relation(view), ObjectRef::Relation(read)) = (edge.dependent, edge.referenced)
            && readable.contains(&read)
        {
            reads.entry(view).or_default().push(read);
        }
    }
    for view in &mut catalog.views {
        view.reads = reads.remove(&view.oid).unwrap_or_default();
    }
}

fn known(catalog: &Catalog) -> BTreeSet<ObjectRef> {
    let relations = catalog.tables.iter().map(|t| t.oid);
    let relations = relations.chain(catalog.views.iter().map(|v| v.oid));
    let relations = relations.chain(catalog.sequences.iter().map(|s| s.oid)).map(ObjectRef::Relation);
    let functions = catalog.functions.iter().map(|f| ObjectRef::Function(f.oid));
    relations.chain(functions).chain(catalog.types.iter().map(|t| ObjectRef::Type(t.oid))).collect()
}

fn object(row: &Fields, column: &str) -> Result<ObjectRef, PgError> {
    let oid = row.oid(column)?;
    Ok(match row.get::<&str>(&format!("{column}_kind"))? {
        "r" => ObjectRef::Relation(oid),
        "f" => ObjectRef::Function(oid),
        _ => ObjectRef::Type(oid),
    })
}
