use super::Sessions;
use crate::workload::log::Entry;
use crate::workload::{Collector, SearchPaths, Seen};
use cleave_model::workload::Workload;
use cleave_model::{Ident, QualifiedName};
use cleave_sql::{Relation, Resolver};

fn collector() -> Collector {
    let names = [("public", "film"), ("public", "actor"), ("other", "film")];
    let tables = names.map(|(schema, name)| {
        let name = QualifiedName::new(schema, name);
        Relation::Table { root: name.clone(), name }
    });
    let paths = SearchPaths {
        default: "\"$user\", public".into(),
        roles: [("eve".to_owned(), "other".to_owned())].into(),
    };
    Collector::new(Resolver::of_relations(tables, &[Ident::new("public")]), paths)
}

/// `session|virtual transaction|role|message`.
fn workload(lines: &[&str]) -> Workload {
    let (mut sessions, mut collector) = (Sessions::of("shop"), collector());
    for line in lines {
        let fields: Vec<&str> = line.splitn(4, '|').collect();
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let (severity, message) = match fields[3].strip_prefix("ERROR ") {
            Some(message) => ("ERROR", message),
            None => ("LOG", fields[3]),
        };
        let entry = Entry {
            session: some(fields[0]),
            virtual_transaction: some(fields[1]),
            role: some(fields[2]),
            database: Some("shop".into()),
            severity: severity.into(),
            message: message.into(),
            ..Entry::default()
        };
        sessions.take(&entry, &mut collector);
    }
    sessions.finish(&mut collector);
    collector.finish()
}

/// `actor>film x2`: read, written, how many.
fn transactions(lines: &[&str]) -> Vec<String> {
    let names = |set: &std::collections::BTreeSet<QualifiedName>| {
        set.iter().map(ToString::to_string).collect::<Vec<_>>().join(",").replace("public.", "")
    };
    let workload = workload(lines);
    workload
        .transactions
        .iter()
        .map(|t| format!("{}>{} x{}", names(&t.read), names(&t.written), t.count))
        .collect()
}

#[test]
fn statements_of_one_virtual_transaction_belong_together() {
    let lines = [
        "a|3/7||statement: begin",
        "b|4/1||statement: insert into film values (1)",
        "a|3/7||statement: insert into film values (1)",
        "a|3/7||statement: update actor set a = 2 where b = 'x'",
        "a|3/7||statement: commit",
        "b|4/2||statement: insert into film values (2)",
    ];
    assert_eq!(transactions(&lines), [">actor,film x1", ">film x2"]);
}

#[test]
fn lines_with_durations_are_written_after_their_transaction_ended() {
    let lines = [
        "a|3/0||duration: 1 ms  statement: select 1 from actor",
        "a|3/7||duration: 1 ms  statement: begin",
        "a|3/7||duration: 1 ms  execute s: insert into film values ($1)",
        "a|3/7||duration: 1 ms  execute s: select 1 from actor",
        "a|3/0||duration: 1 ms  statement: commit",
        "a|3/0||duration: 1 ms  statement: delete from film",
    ];
    assert_eq!(transactions(&lines), [">film x1", "actor> x1", "actor>film x1"]);
}

#[test]
fn a_log_without_virtual_transactions_is_grouped_by_begin_and_commit() {
    let lines = [
        "a|||statement: insert into film values (1)",
        "a|||statement: begin; insert into film values (1); insert into actor values (1); commit",
        "a|||statement: start transaction",
        "a|||statement: insert into actor values (1)",
        "a|||statement: insert into film values (1)",
        "a|||statement: end",
        "|||statement: insert into actor values (1)",
    ];
    assert_eq!(transactions(&lines), [">actor x1", ">actor,film x2", ">film x1"]);
}

#[test]
fn what_was_rolled_back_or_failed_is_no_transaction() {
    for lines in [
        ["a|3/7||statement: begin", "a|3/7||statement: delete from film", "a|3/7||statement: rollback"],
        [
            "a|3/7||statement: begin",
            "a|3/7||statement: delete from film",
            "a|||disconnection: session time: 1",
        ],
        ["a|3/7||statement: delete from film", "a|3/7||ERROR no", "a|3/8||statement: select 1"],
        ["a|||statement: delete from film", "a|||ERROR no", "a|||statement: select 1"],
    ] {
        assert_eq!(transactions(&lines), Vec::<String>::new(), "{lines:?}");
    }
    let lines = [
        "a|3/0||duration: 1 ms  statement: delete from film",
        "a|3/8||ERROR no",
        "a|3/0||duration: 1 ms  statement: select 1 from actor",
    ];
    assert_eq!(transactions(&lines), [">film x1", "actor> x1"]);
}

#[test]
fn names_follow_the_path_of_the_role_and_of_the_session() {
    let lines = [
        "a|3/1|eve|statement: insert into film values (1)",
        "b|4/1|ann|statement: set search_path to 'other'",
        "b|4/2|ann|statement: insert into film values (1)",
        "b|4/3|ann|statement: reset search_path",
        "b|4/4|ann|statement: begin; set local search_path = other; insert into film values (1); commit",
        "b|4/5|ann|statement: insert into film values (1)",
    ];
    assert_eq!(transactions(&lines), [">other.film x2", ">film x2"]);
}

#[test]
fn temporary_tables_of_a_session_are_no_tables() {
    let lines = [
        "a|3/1||statement: create temp table film (a int)",
        "a|3/2||statement: insert into film values (1)",
        "b|4/1||statement: insert into film values (1)",
    ];
    assert_eq!(transactions(&lines), [">film x1"]);
}

#[test]
fn statements_are_counted_without_their_constants_and_unread_ones_are_shown() {
    let workload = workload(&[
        "a|3/1|ann|duration: 2 ms  statement: select * from film where a = 'secret'",
        "a|3/2|ann|statement: select * from film where a = 'other secret'",
        "a|3/2|ann|duration: 0.5 ms",
        "a|3/3|ann|statement: selec * from film where a = 'secret'",
        "a|3/4|ann|statement: show work_mem",
    ]);
    assert_eq!(workload.statements.len(), 1);
    let statement = &workload.statements[0];
    assert_eq!(
        (statement.text.as_str(), statement.calls, statement.total_ms),
        ("select * from film where a = $1", 2, 2.5)
    );
    assert!(statement.id.starts_with('t'));
    assert_eq!(workload.unread, [("selec * from film where a = $1".to_owned(), 1)]);
}

#[test]
fn a_statement_that_two_sources_show_is_counted_once() {
    let mut collector = collector();
    for (source, id, calls) in [("a log", None, 3), ("pg_stat_statements", Some(77), 10)] {
        collector.source(source);
        collector.take(&Seen { id, text: "select a from film where b = $1", calls, ..Seen::default() });
    }
    let workload = collector.finish();
    assert_eq!(workload.sources, ["a log", "pg_stat_statements"]);
    assert_eq!((workload.statements.len(), workload.statements[0].calls), (1, 10));
    assert_eq!(workload.statements[0].id, "77");
}
