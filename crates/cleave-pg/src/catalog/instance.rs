//! Schemas, extensions, event triggers, publications, subscriptions and roles.

use super::reader::{Fields, Reader, acl};
use crate::error::PgError;
use cleave_model::catalog::{EventTrigger, Extension, Publication, Role, Schema, Subscription};

pub(super) async fn schemas(reader: &Reader<'_>) -> Result<Vec<Schema>, PgError> {
    let sql = format!(
        "select n.nspname::text as name, pg_get_userbyid(n.nspowner)::text as owner,
                obj_description(n.oid, 'pg_namespace') as comment, acl.*
         from pg_namespace n {}
         where n.nspname not in ('information_schema', 'cleave') and n.nspname !~ '^pg_'
         order by n.nspname collate \"C\"",
        acl("coalesce(n.nspacl, acldefault('n', n.nspowner))")
    );
    let rows = reader.rows("schemas", &sql).await?;
    let schema = |row: &Fields| {
        Ok(Schema {
            name: row.ident("name")?,
            owner: row.ident("owner")?,
            grants: row.grants()?,
            comment: row.get("comment")?,
        })
    };
    rows.iter().map(schema).collect()
}

pub(super) async fn extensions(reader: &Reader<'_>) -> Result<Vec<Extension>, PgError> {
    let sql = "select e.extname::text as name, e.extversion as version, n.nspname::text as schema
               from pg_extension e join pg_namespace n on n.oid = e.extnamespace
               order by e.extname collate \"C\"";
    let rows = reader.rows("extensions", sql).await?;
    let extension = |row: &Fields| {
        Ok(Extension { name: row.ident("name")?, version: row.get("version")?, schema: row.ident("schema")? })
    };
    rows.iter().map(extension).collect()
}

pub(super) async fn event_triggers(reader: &Reader<'_>) -> Result<Vec<EventTrigger>, PgError> {
    let sql = "select evtname::text as name, evtevent::text as event from pg_event_trigger
               order by evtname collate \"C\"";
    let rows = reader.rows("event triggers", sql).await?;
    let trigger = |row: &Fields| Ok(EventTrigger { name: row.ident("name")?, event: row.get("event")? });
    rows.iter().map(trigger).collect()
}

pub(super) async fn publications(reader: &Reader<'_>) -> Result<Vec<Publication>, PgError> {
    let sql = "select p.pubname::text as name, p.puballtables as all_tables,
                      array_agg(t.schemaname::text order by t.schemaname collate \"C\", t.tablename collate \"C\")
                          filter (where t.tablename is not null) as table_schemas,
                      array_agg(t.tablename::text order by t.schemaname collate \"C\", t.tablename collate \"C\")
                          filter (where t.tablename is not null) as table_names
               from pg_publication p left join pg_publication_tables t on t.pubname = p.pubname
               group by p.pubname, p.puballtables
               order by p.pubname collate \"C\"";
    let rows = reader.rows("publications", sql).await?;
    let publication = |row: &Fields| {
        Ok(Publication {
            name: row.ident("name")?,
            all_tables: row.get("all_tables")?,
            tables: row.qualified_list("table")?,
        })
    };
    rows.iter().map(publication).collect()
}

/// Rights on `pg_subscription` are given by column and may have been taken away.
pub(super) async fn subscriptions(reader: &Reader<'_>) -> Result<Vec<Subscription>, PgError> {
    let may = "select bool_and(has_column_privilege('pg_catalog.pg_subscription', name, 'select')) as may
               from unnest(array['oid', 'subname', 'subdbid']) name";
    let may = reader.rows("rights on subscriptions", may).await?;
    if !may.first().map_or(Ok(false), |row| row.get::<bool>("may"))? {
        return Ok(Vec::new());
    }
    let sql = "select s.subname::text as name,
                      array_agg(n.nspname::text order by n.nspname collate \"C\", c.relname collate \"C\")
                          filter (where c.oid is not null) as table_schemas,
                      array_agg(c.relname::text order by n.nspname collate \"C\", c.relname collate \"C\")
                          filter (where c.oid is not null) as table_names
               from pg_subscription s
               left join pg_subscription_rel r on r.srsubid = s.oid
               left join pg_class c on c.oid = r.srrelid
               left join pg_namespace n on n.oid = c.relnamespace
               where s.subdbid = (select oid from pg_database where datname = current_database())
               group by s.subname
               order by s.subname collate \"C\"";
    let rows = reader.rows("subscriptions", sql).await?;
    let subscription =
        |row: &Fields| Ok(Subscription { name: row.ident("name")?, tables: row.qualified_list("table")? });
    rows.iter().map(subscription).collect()
}

pub(super) async fn roles(reader: &Reader<'_>) -> Result<Vec<Role>, PgError> {
    let sql = "select rolname::text as name, rolsuper, rolcanlogin, rolreplication, rolbypassrls
               from pg_roles where rolname !~ '^pg_' order by rolname collate \"C\"";
    let rows = reader.rows("roles", sql).await?;
    let role = |row: &Fields| {
        Ok(Role {
            name: row.ident("name")?,
            superuser: row.get("rolsuper")?,
            login: row.get("rolcanlogin")?,
            replication: row.get("rolreplication")?,
            bypass_rls: row.get("rolbypassrls")?,
        })
    };
    rows.iter().map(role).collect()
}
