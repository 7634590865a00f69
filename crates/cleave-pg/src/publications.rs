//! Publications (manual 29.1): whether they exist and what they list. Their SQL is written elsewhere.

use crate::{During, PgError};
use cleave_model::{Ident, Oid, QualifiedName};
use tokio_postgres::Client;

/// True if the database has a publication of that name.
///
/// # Errors
/// A failed query.
pub async fn exists(client: &Client, name: &Ident) -> Result<bool, PgError> {
    let sql = "select exists (select from pg_publication where pubname = $1::text)";
    let row = client.query_one(sql, &[&name.as_str()]).await;
    row.and_then(|row| row.try_get(0)).during(format!("looking for the publication {name}"))
}

/// The tables that a publication lists by name, in the order of their names. Tables that it has by `FOR ALL TABLES` or
/// `FOR TABLES IN SCHEMA` are not among them.
///
/// # Errors
/// A failed query.
pub async fn tables(client: &Client, name: &Ident) -> Result<Vec<(Oid, QualifiedName)>, PgError> {
    let sql = "
        select c.oid, n.nspname::text, c.relname::text
        from pg_publication p
        join pg_publication_rel r on r.prpubid = p.oid
        join pg_class c on c.oid = r.prrelid
        join pg_namespace n on n.oid = c.relnamespace
        where p.pubname = $1::text
        order by 2, 3";
    let what = format!("listing the tables of the publication {name}");
    let rows = client.query(sql, &[&name.as_str()]).await.during(&what)?;
    let table = |row: &tokio_postgres::Row| {
        let (schema, table): (String, String) = (row.try_get(1)?, row.try_get(2)?);
        Ok((Oid(row.try_get(0)?), QualifiedName::new(schema, table)))
    };
    rows.iter().map(table).collect::<Result<_, _>>().during(&what)
}
