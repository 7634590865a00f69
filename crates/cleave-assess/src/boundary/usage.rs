//! Statements and transactions of the workload that touch several sides. What a bridge does not carry is the plan's to say.

use super::code::behind;
use super::{Crossing, Kind, Line, Party, listed};
use cleave_model::catalog::Table;
use cleave_model::workload::{Statement, Transaction, Workload};
use cleave_model::{QualifiedName, format_count, format_duration_ms};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Characters of a statement's text that are shown.
const SHOWN: usize = 160;

/// Those seen most often first.
pub(super) fn crossings(line: &Line<'_>, workload: &Workload) -> (Vec<Crossing>, Vec<Crossing>) {
    let mut statements: Vec<Crossing> =
        workload.statements.iter().filter_map(|statement| of_statement(line, statement)).collect();
    let mut transactions: Vec<Crossing> =
        workload.transactions.iter().filter_map(|transaction| of_transaction(line, transaction)).collect();
    statements.sort_by_key(|crossing| Reverse(crossing.count));
    transactions.sort_by_key(|crossing| Reverse(crossing.count));
    (statements, transactions)
}

fn of_statement(line: &Line<'_>, statement: &Statement) -> Option<Crossing> {
    let tables: Vec<&Table> = statement.tables.iter().flat_map(|used| behind(line, &used.table)).collect();
    let parties = line.parties(tables);
    if parties.len() < 2 {
        return None;
    }
    let written = statement.tables.iter().filter(|used| used.writes).map(|used| &used.table);
    let written = line.parties(written.flat_map(|name| behind(line, name)));
    let remedy = match (written.len(), written.is_empty()) {
        (2.., _) => "writes on several sides: split it, and let a saga or an outbox join the parts",
        (_, true) => {
            "a join over services: read copies, or keep a projection that the services' changes feed"
        }
        _ => "reads one side to write another: read first, then write, or keep a copy of what it reads",
    };
    let how = format!("touches {}", listed(parties.keys().map(Party::name)));
    Some(Crossing {
        kind: Kind::Statement,
        object: shortened(&statement.text),
        parties,
        evidence: format!("{how}; {}", frequency(statement)),
        remedy: remedy.to_owned(),
        outcomes: Vec::new(),
        count: statement.calls,
    })
}

fn frequency(statement: &Statement) -> String {
    let calls = if statement.calls == 1 {
        "1 call".to_owned()
    } else {
        format!("{} calls", format_count(statement.calls))
    };
    // Milliseconds of a running total: what is after the point says nothing.
    if statement.total_ms >= 1.0 {
        format!("{calls}, {}", format_duration_ms(statement.total_ms as u64))
    } else {
        calls
    }
}

/// One line, cut where it is long.
fn shortened(text: &str) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}...", &line[..at]),
        None => line,
    }
}

fn of_transaction(line: &Line<'_>, transaction: &Transaction) -> Option<Crossing> {
    let tables = |names: &BTreeSet<QualifiedName>| -> BTreeMap<Party, BTreeSet<String>> {
        line.parties(names.iter().flat_map(|name| behind(line, name)))
    };
    let (written, read) = (tables(&transaction.written), tables(&transaction.read));
    let mut parties = written.clone();
    for (party, names) in &read {
        parties.entry(party.clone()).or_default().extend(names.iter().cloned());
    }
    if parties.len() < 2 || written.is_empty() {
        return None;
    }
    let sides = |parties: &BTreeMap<Party, BTreeSet<String>>| listed(parties.keys().map(Party::name));
    let (evidence, remedy) = if written.len() > 1 {
        let remedy = "all or nothing ends at the boundary: a saga with a step for each side, or one service for the tables";
        (format!("writes on {}", sides(&written)), remedy)
    } else {
        let others: BTreeMap<_, _> =
            read.into_iter().filter(|(party, _)| !written.contains_key(party)).collect();
        let remedy =
            "what it reads on the other side may change before it writes: check it again, or keep a copy";
        (format!("writes on {} and reads on {}", sides(&written), sides(&others)), remedy)
    };
    let names: Vec<String> = transaction.written.iter().map(ToString::to_string).collect();
    Some(Crossing {
        kind: Kind::Transaction,
        object: format!("writes {}", listed(names)),
        parties,
        evidence: format!("{evidence}; seen {} times", format_count(transaction.count)),
        remedy: remedy.to_owned(),
        outcomes: Vec::new(),
        count: transaction.count,
    })
}
