//! A workload written down: the statements of an application and how often it executes them, as a file of SQL.
//!
//! ```sql
//! -- transaction: checkout
//! -- count: 35
//! insert into orders (customer_id) values ($1) returning id;
//! insert into order_line (order_id) values ($1);
//! ```

use cleave_model::Ident;
use cleave_model::catalog::Catalog;
use cleave_model::workload::{Statement, Transaction, Workload};
use cleave_sql::{Resolver, read_statement};
use std::collections::BTreeSet;

/// A script that cannot be read, with the transaction that it is about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("transaction {transaction}: {reason}")]
pub struct ScriptError {
    /// Which.
    pub transaction: String,
    /// Why.
    pub reason: String,
}

const TRANSACTION: &str = "-- transaction:";
const COUNT: &str = "-- count:";

/// Reads a script as what a server that ran it would have been seen to do. Names are sought in `public`.
///
/// # Errors
/// A transaction without a count, or a statement that cannot be read.
pub fn read_script(text: &str, catalog: &Catalog) -> Result<Workload, ScriptError> {
    let resolver = Resolver::new(catalog, &[Ident::new("public")]);
    let mut workload = Workload { sources: vec!["a script".to_owned()], ..Workload::default() };
    for part in text.split(TRANSACTION).skip(1) {
        let (name, body) = part.split_once('\n').unwrap_or((part, ""));
        let wrong =
            |reason: &str| ScriptError { transaction: name.trim().to_owned(), reason: reason.to_owned() };
        let count = body.lines().find_map(|line| line.strip_prefix(COUNT));
        let count: u64 =
            count.and_then(|count| count.trim().parse().ok()).ok_or_else(|| wrong("no count"))?;
        let (mut read, mut written) = (BTreeSet::new(), BTreeSet::new());
        let body: String =
            body.lines().filter(|line| !line.starts_with("--")).map(|line| format!("{line}\n")).collect();
        for statement in body.split(";\n").map(str::trim).filter(|statement| !statement.is_empty()) {
            let used = read_statement(statement, &resolver).map_err(|unread| wrong(&unread.reason))?;
            for table in &used.tables {
                if table.writes {
                    written.insert(table.table.clone())
                } else {
                    read.insert(table.table.clone())
                };
            }
            let known = workload.statements.iter_mut().find(|known| known.text == statement);
            match known {
                Some(known) => known.calls += count,
                None => workload.statements.push(Statement {
                    id: format!("{}", workload.statements.len() + 1),
                    text: statement.to_owned(),
                    calls: count,
                    tables: used.tables,
                    functions: used.functions,
                    sequences: used.sequences,
                    traits: used.traits,
                    ..Statement::default()
                }),
            }
        }
        let read = read.difference(&written).cloned().collect();
        workload.transactions.push(Transaction { read, written, count });
    }
    Ok(workload)
}
