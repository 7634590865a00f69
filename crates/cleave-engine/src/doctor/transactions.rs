//! Transactions that hold up a slot or a switch.

use super::sheet::{Noted, Sheet};
use cleave_model::quote_literal;
use cleave_pg::Session;
use cleave_pg::locks::{
    HolderKind, PreparedTransaction, Transaction, long_transactions, prepared_transactions,
};
use std::time::Duration;

/// What is older holds up the creation of a slot for longer than anybody wants to wait.
const LONG: Duration = Duration::from_secs(300);

const WHY: &str =
    "a slot is made only when every transaction that ran before has ended, and a switch needs its locks";

pub(super) async fn check(session: &Session, sheet: &mut Sheet) {
    match long_transactions(session, LONG).await {
        Ok(transactions) => sheet.check(transactions.iter().filter_map(long)),
        Err(error) => sheet.failed("looking for long transactions", &error),
    }
    match prepared_transactions(session).await {
        Ok(transactions) => sheet.check(transactions.iter().map(prepared)),
        Err(error) => sheet.failed("looking for prepared transactions", &error),
    }
}

fn long(transaction: &Transaction) -> Option<Noted> {
    let pid = transaction.pid;
    // A base backup or another reader of the log: no transaction of an application.
    if transaction.kind == HolderKind::Walsender {
        return None;
    }
    let unknown = || "?".to_owned();
    let seen = format!(
        "process {pid} has been in a transaction for {} (role {}, application {:?}, database {}, {}{})",
        age(transaction.age_ms),
        transaction.user.clone().unwrap_or_else(unknown),
        transaction.application.as_deref().unwrap_or_default(),
        transaction.database.clone().unwrap_or_else(unknown),
        transaction.state.as_deref().unwrap_or("state unknown"),
        if transaction.has_xid { ", has written" } else { "" },
    );
    let noted = Noted::warning("C0819", seen, WHY).about(format!("process {pid}"));
    Some(noted.fix(format!("select pg_terminate_backend({pid}); -- if nobody needs it")))
}

fn prepared(transaction: &PreparedTransaction) -> Noted {
    let PreparedTransaction { name, owner, database, age_ms } = transaction;
    let seen =
        format!("a transaction of role {owner} in database {database} was prepared {} ago", age(*age_ms));
    let name_quoted = quote_literal(name);
    let fix = format!("rollback prepared {name_quoted}; -- or commit prepared, in database {database}");
    let noted = |build: fn(&str, String, &str) -> Noted| {
        build("C0820", seen.clone(), WHY).about(name).fix(fix.clone())
    };
    if *age_ms >= u64::try_from(LONG.as_millis()).unwrap_or(u64::MAX) {
        noted(|code, seen, why| Noted::error(code, seen, why))
    } else {
        noted(|code, seen, why| Noted::warning(code, seen, why))
    }
}

/// `2 h 5 min`.
fn age(age_ms: u64) -> String {
    let seconds = age_ms / 1000;
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, seconds) => format!("{seconds} s"),
        (0, 0, minutes, _) => format!("{minutes} min"),
        (0, hours, minutes, _) => format!("{hours} h {minutes} min"),
        (days, hours, ..) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::{age, long};
    use cleave_pg::locks::{HolderKind, Transaction};

    #[test]
    fn a_long_transaction_is_named_by_process_and_a_walsender_is_none() {
        let transaction = |kind| Transaction {
            pid: 4711,
            database: Some("shop".into()),
            user: Some("app".into()),
            application: Some("report".into()),
            state: Some("idle in transaction".into()),
            kind,
            age_ms: 7_500_000,
            query_kind: None,
            has_xid: true,
        };
        assert!(long(&transaction(HolderKind::Client)).is_some());
        assert!(long(&transaction(HolderKind::Walsender)).is_none());
    }

    #[test]
    fn an_age_has_its_two_largest_units() {
        let ages = [(59_999, "59 s"), (300_000, "5 min"), (7_500_000, "2 h 5 min"), (90_000_000, "1 d 1 h")];
        for (age_ms, expected) in ages {
            assert_eq!(age(age_ms), expected);
        }
    }
}
