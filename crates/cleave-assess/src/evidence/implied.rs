//! Keys that nobody declared: a column that is called after another table's key, of the same type, and whose values, as
//! far as a sample shows, are there.

use super::names::tokens;
use super::tables::Tables;
use cleave_model::catalog::{Catalog, Table};
use cleave_model::{Ident, QualifiedName};
use std::collections::{BTreeMap, BTreeSet};

/// A column that may be a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyCandidate {
    /// The table that would refer.
    pub table: QualifiedName,
    /// Its column.
    pub column: Ident,
    /// The table that would be referred to.
    pub referenced: QualifiedName,
    /// Its key column, which has a unique index.
    pub referenced_column: Ident,
}

/// A candidate, and what a sample showed.
#[derive(Clone, Debug, PartialEq)]
pub struct ImpliedKey {
    /// The candidate.
    pub candidate: KeyCandidate,
    /// The share of sampled values that are there; none if nothing was sampled.
    pub included: Option<f64>,
}

/// Share of the sampled values that must be there.
const INCLUDED_MIN: f64 = 0.999;

impl ImpliedKey {
    /// True unless a sample showed otherwise.
    pub fn holds(&self) -> bool {
        self.included.is_none_or(|included| included >= INCLUDED_MIN)
    }
}

/// A pair of columns that says which table a row refers to, and which of its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Polymorphic {
    /// The table.
    pub table: QualifiedName,
    /// The column that says which table.
    pub type_column: Ident,
    /// The column that says which row.
    pub id_column: Ident,
}

/// Columns that may be keys, by name and type. A name that fits several tables is nobody's.
pub fn candidates(catalog: &Catalog) -> Vec<KeyCandidate> {
    let tables = Tables::new(catalog);
    let mut named: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    let mut keys: Vec<Option<&Ident>> = Vec::new();
    for (number, table) in tables.roots.iter().enumerate() {
        let key = match table.primary_key() {
            Some([key]) => Some(key),
            _ => None,
        };
        keys.push(key);
        let Some(key) = key else { continue };
        for name in names_of_reference(table, key) {
            named.entry(name).or_default().insert(number);
        }
    }
    let mut declared: BTreeMap<usize, BTreeSet<&Ident>> = BTreeMap::new();
    for (number, key) in tables.foreign_keys() {
        declared.entry(number).or_default().extend(&key.columns);
    }
    let mut found = Vec::new();
    for (number, table) in tables.roots.iter().enumerate() {
        let polymorphic: Vec<Ident> = polymorphic_columns(table).into_iter().map(|pair| pair.1).collect();
        for column in &table.columns {
            let declared = declared.get(&number).is_some_and(|columns| columns.contains(&column.name));
            let own = keys[number] == Some(&column.name);
            if declared || own || polymorphic.contains(&column.name) {
                continue;
            }
            let Some(fitting) = endings(column.name.as_str()).find_map(|name| named.get(&name)) else {
                continue;
            };
            let mut fitting = fitting.iter().filter(|parent| **parent != number);
            let (Some(parent), None) = (fitting.next(), fitting.next()) else { continue };
            let Some(key) = keys[*parent] else { continue };
            let referenced = tables.roots[*parent];
            let same = referenced.column(key).is_some_and(|key| key.type_oid == column.type_oid);
            if same {
                found.push(KeyCandidate {
                    table: table.name.clone(),
                    column: column.name.clone(),
                    referenced: referenced.name.clone(),
                    referenced_column: key.clone(),
                });
            }
        }
    }
    found
}

/// Tables with columns such as `owner_type` and `owner_id`.
pub fn polymorphic(catalog: &Catalog) -> Vec<Polymorphic> {
    let tables = Tables::new(catalog);
    let pairs = tables.roots.iter().flat_map(|table| {
        polymorphic_columns(table).into_iter().map(|(type_column, id_column)| Polymorphic {
            table: table.name.clone(),
            type_column,
            id_column,
        })
    });
    pairs.collect()
}

fn polymorphic_columns(table: &Table) -> Vec<(Ident, Ident)> {
    let mut pairs = Vec::new();
    for column in &table.columns {
        let name = column.name.as_str();
        let stem = ["_type", "Type"].iter().find_map(|end| name.strip_suffix(end).map(|stem| (stem, *end)));
        let Some((stem, end)) = stem.filter(|(stem, _)| !stem.is_empty()) else { continue };
        let textual = column.type_name == "text" || column.type_name.starts_with("character");
        let id = Ident::new(format!("{stem}{}", if end == "_type" { "_id" } else { "Id" }));
        let keyed = table.foreign_keys.iter().any(|key| key.columns.contains(&id));
        if textual && table.column(&id).is_some() && !keyed {
            pairs.push((column.name.clone(), id));
        }
    }
    pairs
}

/// What a column is called that refers to this table: after the table and its key, or, where the key's own name says
/// which table it is of, as the key itself.
fn names_of_reference(table: &Table, key: &Ident) -> BTreeSet<String> {
    let words = tokens(table.name.name.as_str());
    let (whole, key_name) = (words.concat(), plain(key.as_str()));
    let mut names = BTreeSet::new();
    if ["id", "key", "code", "no", "nr", "uuid"].contains(&key_name.as_str()) {
        names.insert(format!("{whole}{key_name}"));
        names.insert(format!("{}{key_name}", plain(table.name.name.as_str())));
        names.insert(format!("fk{whole}"));
    } else if key_name.contains(&whole) || words.last().is_some_and(|word| key_name.contains(word.as_str())) {
        names.insert(key_name);
    }
    names
}

/// The name as it is, then without the words in front that say in which role: `manager_staff_id`, `staff_id`. The last
/// word alone says nothing.
fn endings(name: &str) -> impl Iterator<Item = String> {
    let after = name.match_indices('_').map(|(at, _)| &name[at + 1..]);
    let roles: Vec<String> = after.filter(|rest| rest.contains('_')).map(plain).collect();
    [plain(name)].into_iter().chain(roles)
}

/// A name without underscores and case.
fn plain(name: &str) -> String {
    name.chars().filter(|c| *c != '_').flat_map(char::to_lowercase).collect()
}
