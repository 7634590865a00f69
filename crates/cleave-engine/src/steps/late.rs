//! Indexes of giants that keep rows apart which were of different ages until now: unique ones without the column that the
//! table was divided by, and exclusion constraints. The stream runs meanwhile, and goes on while unique indexes are built.

use super::finish::beside_the_stream;
use crate::{EngineError, context::MoveContext, switch::sql};
use cleave_model::{Ident, QualifiedName};
use cleave_pg::{During, Session};
use cleave_plan::PlannedIndex;

/// Whether a table has an index of a name, whether it is valid, and whether a constraint stands on it.
const FOUND: &str = "
    select x.indisvalid, exists (select from pg_catalog.pg_constraint k
                                 where k.conindid = i.oid and k.conrelid = x.indrelid and k.contype in ('p', 'u', 'x'))
    from pg_catalog.pg_index x join pg_catalog.pg_class i on i.oid = x.indexrelid
    where x.indrelid = pg_catalog.to_regclass($1) and i.relname = $2::text";

/// Ends whoever builds an index of this name on a table: the server notices late that a client is gone, and to drop the index
/// would wait for its end, with the stream behind.
const END_BUILD: &str = "
    select pg_catalog.pg_terminate_backend(p.pid)
    from pg_catalog.pg_stat_progress_create_index p join pg_catalog.pg_class i on i.oid = p.index_relid
    where p.relid = pg_catalog.to_regclass($1) and i.relname = $2::text and p.datname = pg_catalog.current_database()";

const UNIQUE: &str = "CREATE UNIQUE INDEX ";

/// Builds what is not there.
pub(crate) async fn indexes(move_: &MoveContext, n: &Session) -> Result<(), EngineError> {
    let script = &move_.plan.script;
    for own in &script.tables {
        let late: Vec<&PlannedIndex> = own.indexes.iter().filter(|index| index.late).collect();
        let table = move_.plan.tables.iter().find(|table| table.source_oid == own.source_oid);
        let Some(table) = table.filter(|_| !late.is_empty()) else { continue };
        sql(n, &format!("set search_path = {}", own.search_path)).await?;
        for index in late {
            let summary = format!("builds index {} of {}", index.name, table.target.qualified());
            let step = move_.events.step(&move_.service, "late_index", summary);
            build(move_, n, (&table.target.qualified(), index)).await?;
            cleave_failpoint::hit_async("finish.late_index").await;
            step.finish("it is there");
        }
    }
    Ok(())
}

async fn build(
    move_: &MoveContext,
    n: &Session,
    (table, index): (&QualifiedName, &PlannedIndex),
) -> Result<(), EngineError> {
    let name = Ident::new(index.name.as_str());
    let mut found = find(n, table, &name).await?;
    if let Some((false, _)) = found {
        // What a build left behind that was ended in the middle, or goes on for an engine that is no more.
        let ended = n.query(END_BUILD, &[&table.quoted(), &name.as_str()]).await;
        ended.during("ending the build of an index of an earlier run")?;
        let own = QualifiedName { schema: table.schema.clone(), name: name.clone() };
        beside_the_stream(n, &format!("drop index {}", own.quoted())).await?;
        found = None;
    }
    if found.is_none() {
        move_.n_lease.check(&**n).await?;
        beside_the_stream(n, &create(&index.create)).await?;
    }
    let Some(constraint) = &index.constraint else { return Ok(()) };
    if find(n, table, &name).await?.is_none_or(|(_, stands)| !stands) {
        move_.n_lease.check(&**n).await?;
        beside_the_stream(n, constraint).await?;
    }
    Ok(())
}

/// A constraint that comes in one piece makes the stream wait while it is built; an index does not.
fn create(statement: &str) -> String {
    match statement.strip_prefix(UNIQUE) {
        Some(rest) if !statement.contains(';') => format!("{UNIQUE}CONCURRENTLY {rest}"),
        _ => statement.to_owned(),
    }
}

async fn find(n: &Session, table: &QualifiedName, name: &Ident) -> Result<Option<(bool, bool)>, EngineError> {
    let row = n.query_opt(FOUND, &[&table.quoted(), &name.as_str()]).await;
    let row = row.during("looking for an index of a giant")?;
    Ok(row.map(|row| (row.get(0), row.get(1))))
}

#[cfg(test)]
mod tests {
    use super::create;

    #[test]
    fn a_single_unique_index_is_built_beside_the_stream() {
        assert_eq!(
            create("CREATE UNIQUE INDEX film_code ON film USING btree (code)"),
            "CREATE UNIQUE INDEX CONCURRENTLY film_code ON film USING btree (code)"
        );
        for whole in [
            "alter table only film add constraint x exclude using gist (during with &&)",
            "CREATE UNIQUE INDEX a ON film (a);\nALTER INDEX a SET (fillfactor = 70)",
        ] {
            assert_eq!(create(whole), whole);
        }
    }
}
