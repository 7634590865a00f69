//! The transaction that a catalog is read in, and typed access to the rows.

use crate::error::{During, PgError};
use cleave_model::catalog::Grant;
use cleave_model::{Ident, Oid, QualifiedName};
use tokio_postgres::types::{FromSql, ToSql};
use tokio_postgres::{Client, Row};

/// What texts depend on besides `search_path`. `pg_get_*` and `format_type` follow these settings.
const BEGIN: &str = "begin transaction isolation level repeatable read, read only;
    set local search_path = '';
    set local quote_all_identifiers = off;
    set local datestyle = 'ISO';
    set local intervalstyle = 'postgres';
    set local timezone = 'UTC';
    set local extra_float_digits = 3";

/// One snapshot of one database.
pub(super) struct Reader<'a> {
    client: &'a Client,
}

impl<'a> Reader<'a> {
    pub(super) async fn begin(client: &'a Client) -> Result<Self, PgError> {
        client.batch_execute(BEGIN).await.during("opening a snapshot to read the catalog")?;
        Ok(Self { client })
    }

    /// Nothing was written: a rollback ends it, and ends a failed transaction too.
    pub(super) async fn end(self) -> Result<(), PgError> {
        self.client.batch_execute("rollback").await.during("closing the snapshot of the catalog")
    }

    /// Makes the names of one schema come out unqualified.
    pub(super) async fn enter(&self, schema: &Ident) -> Result<(), PgError> {
        self.client
            .batch_execute(&format!("set local search_path = {}", schema.quoted()))
            .await
            .during(format!("entering schema {schema}"))
    }

    pub(super) async fn rows(&self, kind: &'static str, sql: &str) -> Result<Vec<Fields>, PgError> {
        self.query(kind, sql, &[]).await
    }

    /// The rows of one schema; `$1` is its name.
    pub(super) async fn rows_in(
        &self,
        kind: &'static str,
        schema: &Ident,
        sql: &str,
    ) -> Result<Vec<Fields>, PgError> {
        self.query(kind, sql, &[&schema.as_str()]).await
    }

    async fn query(
        &self,
        kind: &'static str,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Fields>, PgError> {
        let rows = self.client.query(sql, params).await.during(format!("reading the catalog's {kind}"))?;
        Ok(rows.into_iter().map(|row| Fields { row, kind }).collect())
    }
}

/// A row, read by column name.
pub(super) struct Fields {
    row: Row,
    kind: &'static str,
}

impl Fields {
    pub(super) fn get<'a, T: FromSql<'a>>(&'a self, column: &str) -> Result<T, PgError> {
        self.row.try_get(column).during(format!("reading {column} of the catalog's {}", self.kind))
    }

    pub(super) fn oid(&self, column: &str) -> Result<Oid, PgError> {
        self.get(column).map(Oid)
    }

    pub(super) fn oid_maybe(&self, column: &str) -> Result<Option<Oid>, PgError> {
        Ok(self.get::<Option<u32>>(column)?.map(Oid))
    }

    pub(super) fn ident(&self, column: &str) -> Result<Ident, PgError> {
        self.get::<String>(column).map(Ident::new)
    }

    pub(super) fn ident_maybe(&self, column: &str) -> Result<Option<Ident>, PgError> {
        Ok(self.get::<Option<String>>(column)?.map(Ident::new))
    }

    /// An array that is null where it is empty.
    pub(super) fn list<'a, T: FromSql<'a>>(&'a self, column: &str) -> Result<Vec<T>, PgError> {
        Ok(self.get::<Option<Vec<T>>>(column)?.unwrap_or_default())
    }

    pub(super) fn idents(&self, column: &str) -> Result<Vec<Ident>, PgError> {
        Ok(self.list::<String>(column)?.into_iter().map(Ident::new).collect())
    }

    /// Two parallel arrays `<column>_schemas`, `<column>_names`.
    pub(super) fn qualified_list(&self, column: &str) -> Result<Vec<QualifiedName>, PgError> {
        let schemas = self.idents(&format!("{column}_schemas"))?;
        let names = self.idents(&format!("{column}_names"))?;
        Ok(schemas.into_iter().zip(names).map(|(schema, name)| QualifiedName { schema, name }).collect())
    }

    /// The columns of [`acl`].
    pub(super) fn grants(&self) -> Result<Vec<Grant>, PgError> {
        let grantees = self.list::<Option<String>>("acl_grantees")?;
        let privileges = self.list::<String>("acl_privileges")?;
        let grantable = self.list::<bool>("acl_grantable")?;
        let rows = grantees.into_iter().zip(privileges).zip(grantable);
        Ok(rows
            .map(|((grantee, privilege), grantable)| Grant {
                grantee: grantee.map(Ident::new),
                privilege,
                grantable,
            })
            .collect())
    }

    pub(super) fn count(&self, column: &str) -> Result<u64, PgError> {
        Ok(u64::try_from(self.get::<i64>(column)?).unwrap_or(0))
    }
}

/// A lateral join that opens the access list `list` into the columns that [`Fields::grants`] reads.
pub(super) fn acl(list: &str) -> String {
    format!(
        "left join lateral (
             select array_agg(grantee) as acl_grantees, array_agg(privilege) as acl_privileges,
                    array_agg(grantable) as acl_grantable
             from (select distinct case when e.grantee <> 0 then pg_get_userbyid(e.grantee)::text end collate \"C\"
                              as grantee,
                          e.privilege_type collate \"C\" as privilege, e.is_grantable as grantable
                   from aclexplode({list}) e
                   order by 1 nulls first, 2, 3) opened
         ) acl on true"
    )
}

/// A condition that leaves out members of extensions.
pub(super) fn no_member(class: &str, oid: &str) -> String {
    format!(
        "not exists (select from pg_depend member where member.classid = '{class}'::regclass
                     and member.objid = {oid} and member.deptype = 'e')"
    )
}
