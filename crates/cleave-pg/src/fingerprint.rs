//! A digest of the definitions of a set of tables, to tell whether they have changed since it was taken.

use crate::error::{During, PgError};
use tokio_postgres::Client;

/// One line per column, constraint, index, trigger, policy, rule and table, hashed. Expressions go in as stored
/// (`pg_node_tree`), where other objects are OIDs: the text that `pg_get_expr` makes of them would change when a
/// table or a sequence changes its schema, as a switch does. For the same reason there are no schema names. Incoming
/// foreign keys are part of it, by the referencing table's OID.
const FINGERPRINT: &str = r#"
    with relation as (select * from pg_class where oid = any ($1)),
    line(text) as (
        select concat_ws('|', 'table', c.oid, c.relname, c.relkind, c.relpersistence, c.relreplident,
                         c.relrowsecurity, c.relforcerowsecurity, c.relowner, c.relispartition,
                         coalesce(md5(c.relpartbound::text), '-'))
        from relation c
        union all
        select concat_ws('|', 'parent', h.inhrelid, h.inhparent, h.inhseqno)
        from pg_inherits h join relation c on c.oid = h.inhrelid
        union all
        select concat_ws('|', 'partition', h.inhparent, h.inhrelid)
        from pg_inherits h join relation c on c.oid = h.inhparent
        union all
        select concat_ws('|', 'column', a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull,
                         a.attcollation, a.attidentity::text, a.attgenerated::text, coalesce(md5(d.adbin::text), '-'))
        from pg_attribute a
        join relation c on c.oid = a.attrelid
        left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
        where a.attnum > 0 and not a.attisdropped
        union all
        select concat_ws('|', 'constraint', k.conrelid, k.conname, k.contype, k.conkey::text, k.confrelid,
                         k.confkey::text, k.confdeltype, k.confupdtype, k.confmatchtype, k.condeferrable,
                         k.condeferred, k.convalidated, coalesce(md5(k.conbin::text), '-'))
        from pg_constraint k
        where k.conrelid in (select oid from relation)
           or (k.contype = 'f' and k.confrelid in (select oid from relation))
        union all
        select concat_ws('|', 'index', i.indrelid, x.relname, x.relam, i.indisunique, i.indisvalid, i.indimmediate,
                         i.indisreplident, i.indnkeyatts, i.indkey::text, i.indclass::text, i.indcollation::text,
                         i.indoption::text, coalesce(md5(i.indexprs::text), '-'), coalesce(md5(i.indpred::text), '-'))
        from pg_index i
        join relation c on c.oid = i.indrelid
        join pg_class x on x.oid = i.indexrelid
        union all
        select concat_ws('|', 'trigger', t.tgrelid, t.tgname, t.tgfoid, t.tgtype, t.tgenabled, t.tgattr::text,
                         encode(t.tgargs, 'hex'), coalesce(md5(t.tgqual::text), '-'))
        from pg_trigger t
        join relation c on c.oid = t.tgrelid
        where t.tgname <> 'cleave_fence' and not starts_with(t.tgname::text, '_cleave')
          and not starts_with(t.tgname::text, '0_cleave')
          and not exists (select from pg_constraint k where k.oid = t.tgconstraint and k.contype <> 't')
        union all
        select concat_ws('|', 'policy', p.polrelid, p.polname, p.polcmd, p.polpermissive, p.polroles::text,
                         coalesce(md5(p.polqual::text), '-'), coalesce(md5(p.polwithcheck::text), '-'))
        from pg_policy p join relation c on c.oid = p.polrelid
        union all
        select concat_ws('|', 'rule', w.ev_class, w.rulename, w.ev_enabled, md5(w.ev_action::text))
        from pg_rewrite w join relation c on c.oid = w.ev_class)
    select coalesce(encode(sha256(convert_to(string_agg(text, E'\n' order by text collate "C"), 'UTF8')), 'hex'),
                    'nothing') as digest
    from line"#;

/// The fingerprint of the tables with these OIDs: names, columns, types, defaults, keys, indexes, triggers, policies
/// and rules, but no schema names, no statistics, and none of Cleave's own triggers. Comparable on one database only.
/// 64 hexadecimal digits, or `nothing` if none of the tables exists.
///
/// # Errors
/// A failed query.
pub async fn fingerprint(client: &Client, oids: &[u32]) -> Result<String, PgError> {
    let what = "taking the fingerprint of the tables";
    let row = client.query_one(FINGERPRINT, &[&oids]).await.during(what)?;
    row.try_get(0).during(what)
}
