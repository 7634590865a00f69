//! Whether values may travel in their binary forms: all or none, as the output plugin is asked once for all tables.

use crate::{Route, Side, StreamError, error::On};
use cleave_model::{Ident, Oid};
use cleave_pg::During;
use cleave_proto::pgoutput::has_stable_binary_form;
use std::{collections::HashMap, sync::Arc};
use tokio_postgres::Client;

/// The type of each column on the source when the stream was started, if all values may come in binary form: a change
/// that was made under another type must not be read as one of this.
#[derive(Clone, Debug, Default)]
pub(crate) struct BinaryTypes(Option<Arc<HashMap<(Oid, Ident), Oid>>>);

/// A type in both databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A built-in type, or a domain over it.
    BuiltIn(u32),
    /// Its binary form is its label.
    Enum,
}

/// The types of columns, those of domains resolved once.
const TYPES: &str = "
    select a.attrelid, a.attname::pg_catalog.text, a.atttypid, b.oid, b.typtype = 'e', a.attgenerated <> ''
    from pg_catalog.pg_attribute a
    join pg_catalog.pg_type t on t.oid = a.atttypid
    join pg_catalog.pg_type b on b.oid = case when t.typtype = 'd' then t.typbasetype else t.oid end
    where a.attrelid = any($1) and a.attnum > 0 and not a.attisdropped";

impl BinaryTypes {
    /// Compares every routed column on both sides.
    pub(crate) async fn decide(
        routes: &[Route],
        source: &Client,
        target: &Client,
    ) -> Result<Self, StreamError> {
        let source_oids = routes.iter().map(|route| route.source_oid.0).collect();
        let target_oids = routes.iter().map(|route| route.target_oid.0).collect();
        let theirs = read(source, source_oids, Side::Source).await?;
        let ours = read(target, target_oids, Side::Target).await?;
        let mut types = HashMap::new();
        for route in routes {
            // The plugin sends columns that came since, too.
            let sent =
                theirs.iter().filter(|((table, _), column)| *table == route.source_oid && !column.generated);
            if sent.count() > route.columns.len() {
                return Ok(Self(None));
            }
            for column in &route.columns {
                let from = theirs.get(&(route.source_oid, column.source_name.clone()));
                let into = ours.get(&(route.target_oid, column.target_name.clone()));
                let (Some(from), Some(into)) = (from, into) else { return Ok(Self(None)) };
                if from.form.is_none() || from.form != into.form {
                    return Ok(Self(None));
                }
                types.insert((route.source_oid, column.source_name.clone()), from.oid);
            }
        }
        Ok(Self(Some(Arc::new(types))))
    }

    /// True if the plugin may be asked for binary forms.
    pub(crate) fn is_safe(&self) -> bool {
        self.0.is_some()
    }

    /// True if values that were written as of this type mean what they are taken for.
    pub(super) fn agrees(&self, table: Oid, column: &Ident, type_oid: Oid) -> bool {
        self.0.as_ref().is_none_or(|types| types.get(&(table, column.clone())) == Some(&type_oid))
    }
}

/// A column's type.
#[derive(Clone, Copy, Debug)]
struct Typed {
    oid: Oid,
    /// None if its binary form is not known to be the same everywhere.
    form: Option<Form>,
    generated: bool,
}

type Types = HashMap<(Oid, Ident), Typed>;

async fn read(client: &Client, tables: Vec<u32>, side: Side) -> Result<Types, StreamError> {
    let rows = client.query(TYPES, &[&tables]).await.during("reading the columns' types").on(side)?;
    let of = |row: &tokio_postgres::Row| {
        let (table, name, type_oid) = (Oid(row.get(0)), Ident::new(row.get::<_, String>(1)), Oid(row.get(2)));
        let base: u32 = row.get(3);
        let form = match row.get(4) {
            true => Some(Form::Enum),
            false if has_stable_binary_form(base) => Some(Form::BuiltIn(base)),
            false => None,
        };
        ((table, name), Typed { oid: type_oid, form, generated: row.get(5) })
    };
    Ok(rows.iter().map(of).collect())
}
