//! The objects of [`Carried`] at the new home, in stages: [`first`] before the copy, [`table_indexes`],
//! [`indexes`] and [`foreign_keys`] after it, the rest before users come. A stage is a list of statements to execute in order; each list sets
//! `search_path` itself and leaves it changed.

mod column;
mod extension;
mod foreign_key;
mod function;
mod grant;
mod index;
mod kept;
mod late;
mod sequence;
mod table;
mod target;
mod user_type;

pub use column::identity_kinds;
pub use extension::extension_path;
pub use foreign_key::{ForeignKeySql, foreign_key, foreign_keys};
pub(crate) use foreign_key::{definition as fk_definition, leaves as fk_leaves};
pub(crate) use grant::statement as grant_statement;
pub use grant::{Grants, grants, owners};
pub use index::{IndexSql, TableIndexes, indexes, table_indexes};
pub use kept::drop_kept;
pub use late::{comments, late_checks, policies, statistics, triggers};
pub use target::Target;

use crate::carry::{Carried, Prelude};
use target::Script;

/// Types, functions, sequences and tables with columns and checks. Keys and indexes come after the rows: a copy into a
/// table without indexes is many times faster, and foreign keys would ask for an order.
///
/// Runs with `check_function_bodies = off`, as bodies may name what comes later; the setting stays changed.
pub fn first(carried: &Carried<'_>, target: &Target<'_>) -> Vec<String> {
    let mut script = Script::new(target);
    script.push("set check_function_bodies = off".to_owned());
    for schema in target.kept_schemas(carried) {
        script.push(format!("create schema if not exists {}", schema.quoted()));
    }
    for prelude in &carried.prelude {
        match prelude {
            Prelude::Type(user_type) => user_type::create(&mut script, user_type),
            Prelude::Function(function) => function::create(&mut script, function),
        }
    }
    for sequence in carried.plain_sequences() {
        sequence::create(&mut script, sequence);
    }
    for table in &carried.tables {
        table::create(&mut script, table, carried);
    }
    for sequence in carried.plain_sequences() {
        sequence::own(&mut script, sequence, carried);
    }
    for function in &carried.late_functions {
        function::create(&mut script, function);
    }
    script.finish()
}
