//! Tables that a call touches: those of the function's text, and of the functions that it calls.

use super::SearchPaths;
use cleave_model::QualifiedName;
use cleave_model::catalog::{Catalog, FunctionKind};
use cleave_sql::{Resolver, read_function};
use std::collections::{BTreeMap, BTreeSet};

/// Tables that a function reads and writes, itself and through others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FunctionTables {
    /// Read.
    pub read: BTreeSet<QualifiedName>,
    /// Written.
    pub written: BTreeSet<QualifiedName>,
    calls: BTreeSet<QualifiedName>,
}

/// What each function of a database touches, as far as its text says; overloads count as one. Names in bodies without a
/// `search_path` of their own are resolved with the database's.
pub fn function_tables(catalog: &Catalog, paths: &SearchPaths) -> BTreeMap<QualifiedName, FunctionTables> {
    let resolver = Resolver::new(catalog, &paths.of(None));
    let mut found: BTreeMap<QualifiedName, FunctionTables> = BTreeMap::new();
    for function in catalog.functions.iter().filter(|function| function.kind != FunctionKind::Aggregate) {
        let used = read_function(function, catalog, &resolver).read;
        let tables = found.entry(function.name.clone()).or_default();
        for used in used.tables {
            if used.writes {
                tables.written.insert(used.table);
            } else if used.reads {
                tables.read.insert(used.table);
            }
        }
        tables.calls.extend(used.functions);
    }
    close(&mut found);
    found.retain(|_, tables| !tables.read.is_empty() || !tables.written.is_empty());
    found
}

/// Adds what called functions touch until nothing more comes; calls may go in circles.
fn close(found: &mut BTreeMap<QualifiedName, FunctionTables>) {
    loop {
        let mut grown = false;
        let names: Vec<QualifiedName> = found.keys().cloned().collect();
        for name in names {
            let called: Vec<FunctionTables> = match found.get(&name) {
                Some(tables) => tables.calls.iter().filter_map(|call| found.get(call)).cloned().collect(),
                None => Vec::new(),
            };
            let Some(tables) = found.get_mut(&name) else { continue };
            let before = tables.read.len() + tables.written.len();
            for call in called {
                tables.read.extend(call.read);
                tables.written.extend(call.written);
            }
            grown |= tables.read.len() + tables.written.len() > before;
        }
        if !grown {
            return;
        }
    }
}
