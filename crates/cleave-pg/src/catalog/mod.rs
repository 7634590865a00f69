//! Reads a database's catalog into `cleave_model::catalog`: a bounded number of queries (a few per schema and kind of
//! object, none per object), all in one snapshot. What it reads is decided here; what it means, in the model.
//!
//! Every query casts to types the driver knows and asks for columns of newer versions through `to_jsonb(row)`, so
//! that one text serves 14 to 18.

mod depend;
mod facts;
mod functions;
mod instance;
mod keys;
mod reader;
mod sequences;
mod tables;
mod triggers;
mod user_types;
mod views;

pub use facts::read_facts;

use crate::error::PgError;
use cleave_model::catalog::Catalog;
use reader::Reader;
use tokio_postgres::Client;

/// Reads everything a move has to know about a database, but `cleave`'s own schema, system schemas and members of
/// extensions. Runs in its own `repeatable read, read only` transaction; the session must not be in one. If the
/// future is dropped half way the session is left in that transaction.
///
/// # Errors
/// A failed query, with what was being read.
pub async fn read_catalog(client: &Client) -> Result<Catalog, PgError> {
    let reader = Reader::begin(client).await?;
    let catalog = read(&reader).await;
    let ended = reader.end().await;
    let catalog = catalog?;
    ended?;
    Ok(catalog)
}

async fn read(reader: &Reader<'_>) -> Result<Catalog, PgError> {
    let facts = facts::facts(reader).await?;
    let mut catalog = Catalog {
        facts,
        schemas: instance::schemas(reader).await?,
        tables: Vec::new(),
        views: Vec::new(),
        sequences: Vec::new(),
        types: Vec::new(),
        functions: Vec::new(),
        extensions: instance::extensions(reader).await?,
        event_triggers: instance::event_triggers(reader).await?,
        publications: instance::publications(reader).await?,
        subscriptions: instance::subscriptions(reader).await?,
        roles: instance::roles(reader).await?,
        dependencies: Vec::new(),
        outside_needs: Vec::new(),
    };
    for schema in catalog.schemas.iter().map(|schema| schema.name.clone()) {
        reader.enter(&schema).await?;
        catalog.types.extend(user_types::user_types(reader, &schema).await?);
        catalog.functions.extend(functions::functions(reader, &schema).await?);
        catalog.sequences.extend(sequences::sequences(reader, &schema).await?);
        catalog.tables.extend(tables::tables(reader, &schema).await?);
        catalog.views.extend(views::views(reader, &schema).await?);
    }
    depend::fill(reader, &mut catalog).await?;
    Ok(catalog)
}
