//! How many rows each service reaches, before anything is made.

use super::Split;
use super::settle::reach;

/// How the rows are counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sampled {
    /// All of them: one pass over the table and one over each column that reaches it.
    Exact,
    /// So many percent of the table's pages.
    Percent(f64),
}

/// One row: rows looked at, rows of no service, of several, then of each part. `bigint` all.
pub fn count(split: &Split<'_>, sampled: Sampled) -> String {
    let (table, key) = (split.table.name.quoted(), split.key.quoted());
    let sample = match sampled {
        Sampled::Exact => String::new(),
        Sampled::Percent(percent) => format!(" tablesample system ({percent:.6})"),
    };
    let n = split.parts.len();
    let columns: Vec<String> = (0..n)
        .map(|part| {
            format!(
                "(exists (select from ({}) r where r.{key} = t.{key}))::integer as reached_{part}",
                reach(split, part)
            )
        })
        .collect();
    let sum: Vec<String> = (0..n).map(|part| format!("reached_{part}")).collect();
    let sum = sum.join(" + ");
    let each: Vec<String> = (0..n).map(|part| format!("coalesce(sum(reached_{part}), 0)::bigint")).collect();
    format!(
        "select count(*), count(*) filter (where {sum} = 0), count(*) filter (where {sum} > 1), {}
from (select {} from {table} t{sample}) counted",
        each.join(", "),
        columns.join(", ")
    )
}
