//! In which order a table can be read in parts: by columns that an index of every one of its parts begins with, on both
//! sides. A table with a key is read in the order of key columns, so that a row stays in its part for as long as it is
//! the same row; one without a key in that of any columns, as its rows are what they hold.

use crate::{
    VerifyError,
    canonical::oid,
    connection::Connection,
    relation::{Column, Relation, Sorted},
};
use std::collections::BTreeSet;

/// Types from here on are each server's own.
const FIRST_OWN_TYPE: u32 = 16_384;

/// Per table that holds rows (partitions and children too) and index, the columns that the index begins with; null
/// where it has an expression, an order, a collation or an operator class that `<` does not have.
const INDEXES: &str = "\
    with recursive family(oid) as (
        select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = $1 and c.relname = $2
        union
        select i.inhrelid from family f join pg_inherits i on i.inhparent = f.oid)
    select c.oid, array(
        select case when i.indoption[k] = 0 and o.opcdefault and i.indcollation[k] = a.attcollation
                    then a.attname::text end
        from generate_series(0, i.indnkeyatts - 1) k
        left join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[k]
        left join pg_opclass o on o.oid = i.indclass[k]
        order by k)
    from family f join pg_class c on c.oid = f.oid and c.relkind = 'r'
    left join (pg_index i join pg_class x on x.oid = i.indexrelid
               join pg_am m on m.oid = x.relam and m.amname = 'btree')
        on i.indrelid = c.oid and i.indisvalid and i.indpred is null";

/// Beginnings of indexes by table.
type Indexes = Vec<(u32, Vec<String>)>;

/// Whether the two sides may put the values of these columns into different orders.
pub(crate) fn may_differ([here, there]: [&Relation; 2], columns: &[usize]) -> bool {
    let differs =
        |relation: &Relation, at: &usize| match relation.columns.get(*at).map(|column| &column.sorted) {
            Some(Sorted::Collation(_)) => true,
            Some(Sorted::Bytes) => here.encoding != there.encoding,
            Some(Sorted::Everywhere) | None => false,
        };
    columns.iter().any(|at| differs(here, at) || differs(there, at))
}

/// The longest order that both sides have, as indexes into the columns; none if there is no such index.
pub(crate) async fn order(
    sides: [(&Connection, &Relation); 2],
    key: Option<&[usize]>,
) -> Result<Option<Vec<usize>>, VerifyError> {
    let [(home, here), (follower, there)] = sides;
    let (on_home, on_follower) = tokio::try_join!(indexes(home, here), indexes(follower, there))?;
    let usable: Vec<usize> = (0..here.columns.len())
        .filter(|at| key.is_none_or(|key| key.contains(at)))
        .filter(|at| is_ordered(here.columns.get(*at), there.columns.get(*at)))
        // Rows without a key are found again in their part only: it must be the same on both sides.
        .filter(|at| key.is_some() || !may_differ([here, there], &[*at]))
        .collect();
    let names = |relation: &Relation, columns: &[usize]| -> Vec<String> {
        let named = columns.iter().filter_map(|at| relation.columns.get(*at));
        named.map(|column| column.name.as_str().to_owned()).collect()
    };
    let place = |name: &String| {
        usable.iter().copied().find(|at| here.columns.get(*at).is_some_and(|one| one.name.as_str() == name))
    };
    let mut candidates: Vec<Vec<usize>> =
        on_home.iter().map(|(_, index)| index.iter().map_while(place).collect()).collect();
    candidates.retain(|columns| !columns.is_empty());
    candidates.sort_by_key(|columns| (std::cmp::Reverse(columns.len()), columns.clone()));
    Ok(candidates.into_iter().find(|columns| {
        everywhere(&on_home, &names(here, columns)) && everywhere(&on_follower, &names(there, columns))
    }))
}

/// A value's text must give the value back, and two values must be in some order: which one does not matter.
fn is_ordered(here: Option<&Column>, there: Option<&Column>) -> bool {
    let (Some(here), Some(there)) = (here, there) else { return false };
    let one_type = here.type_oid == there.type_oid && here.type_oid < FIRST_OWN_TYPE;
    one_type && here.not_null && there.not_null && !matches!(here.type_oid, oid::MONEY | oid::XML)
}

/// Whether an index of every table begins with these columns.
fn everywhere(indexes: &Indexes, columns: &[String]) -> bool {
    let tables: BTreeSet<u32> = indexes.iter().map(|(table, _)| *table).collect();
    let has = |table: &u32| indexes.iter().any(|(of, index)| of == table && index.starts_with(columns));
    !tables.is_empty() && tables.iter().all(has)
}

async fn indexes(connection: &Connection, relation: &Relation) -> Result<Indexes, VerifyError> {
    let name = &relation.name;
    let rows = connection.rows(name, INDEXES, &[&name.schema.as_str(), &name.name.as_str()]).await?;
    let index = |row| -> Result<(u32, Vec<String>), VerifyError> {
        let columns: Vec<Option<String>> = connection.value(name, row, 1)?;
        Ok((connection.value(name, row, 0)?, columns.into_iter().map_while(|column| column).collect()))
    };
    rows.iter().map(index).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_must_be_that_of_an_index_of_every_partition() {
        let index = |table, columns: &[&str]| (table, columns.iter().map(ToString::to_string).collect());
        let wanted = ["a".to_owned(), "b".to_owned()];
        let indexes = vec![index(1, &["a", "b", "c"]), index(2, &["b"]), index(2, &["a", "b"])];
        assert!(everywhere(&indexes, &wanted));
        assert!(!everywhere(&[indexes.as_slice(), &[index(3, &["a"])]].concat(), &wanted));
        assert!(!everywhere(&vec![index(1, &[])], &wanted[..1]));
        assert!(!everywhere(&Vec::new(), &wanted));
    }
}
