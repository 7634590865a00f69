//! How the tables of one database stand in another where names, columns or rows do not: schemas, tables and columns of
//! other names, columns and rows that only one side has, and tables that became several. Pure.

use crate::{
    Side, VerifyError, VerifyTable,
    matching::{chosen, key},
};
use cleave_model::{
    Ident, QualifiedName,
    catalog::{Catalog, Table},
};
use std::collections::BTreeMap;

/// What is not as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapping {
    /// The target's names of the source's schemas; others have one name.
    pub schemas: BTreeMap<Ident, Ident>,
    /// Tables; several of one source are its parts.
    pub tables: Vec<TableMapping>,
}

/// One table of the source in one of the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableMapping {
    /// The source's table.
    pub source: QualifiedName,
    /// The target's table; none for rows that are somewhere else, in another database perhaps.
    pub target: Option<QualifiedName>,
    /// The target's names of the source's columns; others have one name.
    pub columns: BTreeMap<Ident, Ident>,
    /// Columns that are not compared, by the name of whichever side has them.
    pub without: Vec<Ident>,
    /// Which rows of the source are in the target's table, as an SQL condition; without, all.
    pub source_where: Option<String>,
    /// Which rows of the target's table come from there; without, all.
    pub target_where: Option<String>,
}

impl Mapping {
    /// The wanted tables, by their names on the source, with their counterparts. Where a table became several, its rows
    /// that belong to none of them, and those that belong to more than one, are looked for too.
    ///
    /// # Errors
    /// [`VerifyError::OneSided`], [`VerifyError::ColumnsDiffer`], [`VerifyError::Mapping`] for what the mapping names and
    /// neither side has, and [`VerifyError::NothingToCompare`].
    pub fn match_tables(
        &self,
        home: &Catalog,
        follower: &Catalog,
        wanted: impl Fn(&QualifiedName) -> bool,
    ) -> Result<Vec<VerifyTable>, VerifyError> {
        let there_wanted = |name: &QualifiedName| wanted(&self.named_at_home(name));
        let (here, mut there) = (chosen(home, &wanted), chosen(follower, &there_wanted));
        let (mut matched, mut lonely) = (Vec::new(), Vec::new());
        for mapped in &self.tables {
            if !here.contains_key(&mapped.source) && home.tables.iter().all(|one| one.name != mapped.source) {
                return Err(unfit(format!("the source has no table {}", mapped.source)));
            }
        }
        for (name, table) in &here {
            let mapped: Vec<&TableMapping> = self.tables.iter().filter(|one| one.source == **name).collect();
            if mapped.is_empty() {
                let target = self.renamed(name);
                match there.remove(&target) {
                    Some(other) => matched.push(paired(table, other, &TableMapping::plain(name, &target))),
                    None => lonely.push(((*name).clone(), Side::Home)),
                }
                continue;
            }
            there.retain(|name, _| mapped.iter().all(|one| one.target.as_ref() != Some(*name)));
            match parts(table, follower, &mapped) {
                Ok(parts) => matched.extend(several(parts, &mapped).into_iter().map(Ok)),
                Err(error) => matched.push(Err(error)),
            }
        }
        lonely.extend(there.into_keys().map(|name| (name.clone(), Side::Follower)));
        if !lonely.is_empty() {
            lonely.sort();
            return Err(VerifyError::OneSided { tables: lonely });
        }
        if matched.is_empty() { Err(VerifyError::NothingToCompare) } else { matched.into_iter().collect() }
    }

    fn renamed(&self, name: &QualifiedName) -> QualifiedName {
        match self.schemas.get(&name.schema) {
            Some(schema) => name.in_schema(schema),
            None => name.clone(),
        }
    }

    fn named_at_home(&self, name: &QualifiedName) -> QualifiedName {
        match self.schemas.iter().find(|(_, there)| **there == name.schema) {
            Some((here, _)) => name.in_schema(here),
            None => name.clone(),
        }
    }
}

impl TableMapping {
    /// All of a table.
    pub fn plain(source: &QualifiedName, target: &QualifiedName) -> Self {
        Self {
            source: source.clone(),
            target: Some(target.clone()),
            columns: BTreeMap::new(),
            without: Vec::new(),
            source_where: None,
            target_where: None,
        }
    }

    fn counterpart<'c>(&'c self, column: &'c Ident) -> &'c Ident {
        self.columns.get(column).unwrap_or(column)
    }
}

fn unfit(reason: String) -> VerifyError {
    VerifyError::Mapping { reason }
}

/// The parts of a table that the target has.
fn parts(
    table: &Table,
    follower: &Catalog,
    mapped: &[&TableMapping],
) -> Result<Vec<VerifyTable>, VerifyError> {
    let here = mapped.iter().filter_map(|one| Some((one, one.target.as_ref()?)));
    let part = |(one, target): (&&TableMapping, &QualifiedName)| {
        let other = follower.tables.iter().find(|other| other.name == *target);
        paired(table, other.ok_or_else(|| unfit(format!("the target has no table {target}")))?, one)
    };
    let parts: Vec<VerifyTable> = here.map(part).collect::<Result<_, _>>()?;
    if parts.is_empty() {
        return Err(unfit(format!("no part of table {} is in the target", table.name)));
    }
    Ok(parts)
}

/// The parts of a table by names that tell them apart, if there are several, and what none or more than one of them
/// has. Nothing of the target is the counterpart of such a row, so each is told as one that the target lacks.
fn several(parts: Vec<VerifyTable>, mapped: &[&TableMapping]) -> Vec<VerifyTable> {
    let (Some(first), [_, _, ..]) = (parts.first(), mapped) else { return parts };
    let belongs: Vec<String> = mapped
        .iter()
        .map(|one| format!("coalesce(({}), false)::int", one.source_where.as_deref().unwrap_or("true")))
        .collect();
    let sum = belongs.join(" + ");
    let stray = |condition: &str, what: &str| VerifyTable {
        home_where: Some(format!("({sum}) {condition}")),
        follower_where: Some("false".to_owned()),
        title: Some(format!("{} in {what} of its targets", first.home_name)),
        ..first.clone()
    };
    let strays = [stray("= 0", "none"), stray("> 1", "several")];
    let named = parts.into_iter().map(|part| VerifyTable {
        title: Some(format!("{} in {}", part.home_name, part.follower_name)),
        ..part
    });
    named.chain(strays).collect()
}

fn paired(table: &Table, other: &Table, mapped: &TableMapping) -> Result<VerifyTable, VerifyError> {
    let unknown = mapped.columns.iter().find_map(|(here, there)| {
        let missing = |name: &Ident, of: &Table| format!("{} has no column {name}", of.name);
        match (table.column(here), other.column(there)) {
            (None, _) => Some(missing(here, table)),
            (_, None) => Some(missing(there, other)),
            _ => None,
        }
    });
    if let Some(reason) = unknown {
        return Err(unfit(reason));
    }
    let here: Vec<&Ident> = table
        .columns
        .iter()
        .map(|column| &column.name)
        .filter(|name| !mapped.without.contains(name))
        .collect();
    let only_home: Vec<Ident> = here
        .iter()
        .filter(|name| other.column(mapped.counterpart(name)).is_none())
        .map(|name| (*name).clone())
        .collect();
    let is_counterpart = |name: &Ident| here.iter().any(|column| mapped.counterpart(column) == name);
    let there = other.columns.iter().map(|column| &column.name);
    let only_follower: Vec<Ident> =
        there.filter(|name| !mapped.without.contains(name) && !is_counterpart(name)).cloned().collect();
    if !only_home.is_empty() || !only_follower.is_empty() {
        return Err(VerifyError::ColumnsDiffer { table: table.name.clone(), only_home, only_follower });
    }
    let columns: Vec<(Ident, Ident)> =
        here.iter().map(|name| ((*name).clone(), mapped.counterpart(name).clone())).collect();
    let place = |name: &Ident| columns.iter().position(|(home, _)| home == name);
    let key = key(table).and_then(|key| key.iter().map(place).collect());
    let whole = VerifyTable::whole(table.name.clone(), other.name.clone(), columns, key);
    Ok(VerifyTable {
        home_where: mapped.source_where.clone(),
        follower_where: mapped.target_where.clone(),
        ..whole
    })
}
