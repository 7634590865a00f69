//! Room in the server's table of locks.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::catalog::Table;
use cleave_model::format_count;

pub(super) const RULE: Rule = Rule {
    code: "C0883",
    title: "The switch may need more locks than the server has room for",
    severity: Severity::Warning,
    side: Side::Either,
    in_plan: false,
    nouns: ("", ""),
    why: "the switch locks every table, partition and index of a service at once, and so does a dump",
    cause: "The server's table of locks holds about `max_locks_per_transaction` times the number of connections. \
        The switch of a service locks its tables, all their partitions, what refers to them, and their \
        indexes, in one transaction. When there is no room it fails with \"out of shared memory\" and has \
        changed nothing; other sessions may fail in the same moment. Named when everything that could be \
        locked would fill more than half.",
    fix: "Raise it, which costs a little memory, and restart:\n\n\
        ```sql\n\
        alter system set max_locks_per_transaction = 256; -- then restart the server\n\
        ```",
    bad: Example::Observed(
        "max_locks_per_transaction = 10, max_connections = 20: room for about 200 locks",
        r"create table event (id int, day int, primary key (id, day)) partition by list (day);
do $$ begin
  for day in 1..100 loop
    execute format('create table event_%s partition of event for values in (%s)', day, day);
  end loop;
end $$;",
        |observed| {
            observed.instance.settings.insert("max_locks_per_transaction".into(), "10".into());
            observed.instance.settings.insert("max_connections".into(), "20".into());
            observed.instance.settings.insert("max_prepared_transactions".into(), "0".into());
        },
    ),
    good: Example::Observed(
        "max_locks_per_transaction = 64, max_connections = 100: room for about 6,400 locks",
        r"create table event (id int, day int, primary key (id, day)) partition by list (day);
do $$ begin
  for day in 1..100 loop
    execute format('create table event_%s partition of event for values in (%s)', day, day);
  end loop;
end $$;",
        |observed| {
            observed.instance.settings.insert("max_locks_per_transaction".into(), "64".into());
            observed.instance.settings.insert("max_connections".into(), "100".into());
        },
    ),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    let number = |name| ground.instance().number(name).unwrap_or_default().max(0).unsigned_abs();
    let room = number("max_locks_per_transaction")
        * (number("max_connections") + number("max_prepared_transactions"));
    let relations = |table: &Table| 1 + table.indexes.len();
    let needed = ground.tables().map(relations).sum::<usize>() as u64;
    if room > 0 && needed.saturating_mul(2) > room {
        let wanted = number("max_locks_per_transaction").max(64).saturating_mul(2 * needed.div_ceil(room));
        let seen = format!(
            "{} tables and indexes, and room for about {} locks",
            format_count(needed),
            format_count(room)
        );
        let fix =
            format!("alter system set max_locks_per_transaction = {wanted}; -- then restart the server");
        found.sentence(seen).about("max_locks_per_transaction").fix(fix);
    }
}
