//! Who is writing to a table of the home.

use crate::{VerifyError, connection::Connection};
use cleave_model::QualifiedName;
use std::collections::BTreeSet;

/// Who is writing to the table: a transaction keeps this lock until its changes are visible to others.
const WRITERS: &str = "\
    with recursive family(oid) as (
        select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = $1 and c.relname = $2
        union
        select i.inhrelid from family f join pg_inherits i on i.inhparent = f.oid)
    select distinct l.virtualtransaction from pg_locks l join family f on f.oid = l.relation
    where l.locktype = 'relation' and l.granted
        and l.database = (select oid from pg_database where datname = current_database())
        and l.mode in ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')";

/// The transactions that are writing to the table.
pub(crate) async fn writers(
    home: &Connection,
    table: &QualifiedName,
) -> Result<BTreeSet<String>, VerifyError> {
    home.texts(table, WRITERS, &[&table.schema.as_str(), &table.name.as_str()]).await
}
