//! What functions touch, from their bodies.

use super::FunctionTables;
use cleave_model::Ident;
use cleave_model::catalog::{Catalog, FunctionKind};
use cleave_sql::{Resolver, read_function};

/// What the bodies say, and which of them do not say all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FunctionsRead {
    /// One entry per function that names tables or views.
    pub tables: Vec<FunctionTables>,
    /// Functions that were read.
    pub read: usize,
    /// Functions that were not read in full, with the reason.
    pub unread: Vec<(String, String)>,
}

/// Reads the bodies of all functions. Names without a schema are sought in the function's own `search_path`; where it has
/// none, in `public` and then in all others, since it is not known who will call it.
pub fn read_functions(catalog: &Catalog) -> FunctionsRead {
    let public = Ident::new("public");
    let others = catalog.schemas.iter().map(|schema| schema.name.clone()).filter(|name| *name != public);
    let path: Vec<Ident> = [public.clone()].into_iter().chain(others).collect();
    let resolver = Resolver::new(catalog, &path);
    let mut functions = FunctionsRead::default();
    let written = catalog.functions.iter().filter(|function| function.kind != FunctionKind::Aggregate);
    for function in written {
        let used = read_function(function, catalog, &resolver);
        let reason = match (&used.opaque, used.unread.first(), used.dynamic.is_empty()) {
            (Some(opaque), ..) => Some(opaque.clone()),
            (None, Some(unread), _) => Some(unread.reason.clone()),
            (None, None, false) => Some("it puts statements together at run time".to_owned()),
            (None, None, true) => None,
        };
        match reason {
            Some(reason) => functions.unread.push((function.name.to_string(), reason)),
            None => functions.read += 1,
        }
        let mut tables =
            FunctionTables { function: function.oid, reads: Default::default(), writes: Default::default() };
        for used in used.read.tables {
            if used.writes {
                tables.writes.insert(used.table.clone());
            }
            if used.reads {
                tables.reads.insert(used.table);
            }
        }
        if !tables.reads.is_empty() || !tables.writes.is_empty() {
            functions.tables.push(tables);
        }
    }
    functions
}
