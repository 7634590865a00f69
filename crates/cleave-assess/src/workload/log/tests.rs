use super::{Entry, Event, Format, Prefix, Reader};
use crate::workload::{Collector, SearchPaths, Sessions};
use cleave_sql::Resolver;
use proptest::prelude::*;

fn entries(format: Format, text: &str) -> Vec<Entry> {
    let mut reader = Reader::new(format);
    let mut entries: Vec<Entry> = text.lines().filter_map(|line| reader.line(line)).collect();
    entries.extend(reader.finish());
    assert_eq!(reader.skipped(), 0);
    entries
}

const CSV: &str = "2026-11-27 06:24:06.000 UTC,\"ann\",\"shop\",12,\"127.0.0.1:1\",6567.c,1,\"SELECT\",2026-11-27 06:24:00 UTC,3/7,0,LOG,00000,\"statement: select 'a,\"\"b\"\"'
from film\",,,,,,,,,\"psql\",\"client backend\",,-42
2026-11-27 06:24:07.000 UTC,,,13,,6567.d,1,,2026-11-27 06:24:00 UTC,,0,LOG,00000,\"checkpoint starting: time\",,,,,,,,,\"\",\"checkpointer\",,0";

#[test]
fn a_record_of_csv_goes_over_lines_and_has_quotes() {
    let lines: Vec<&str> = CSV.lines().collect();
    assert_eq!(Format::recognise(&lines, &[]), Some(Format::Csv));
    let entries = entries(Format::Csv, CSV);
    assert_eq!(entries.len(), 2);
    assert_eq!(
        entries[0].event(),
        Event::Statement { text: "select 'a,\"b\"'\nfrom film", milliseconds: None }
    );
    assert_eq!((entries[0].role.as_deref(), entries[0].database.as_deref()), (Some("ann"), Some("shop")));
    assert_eq!((entries[0].virtual_transaction.as_deref(), entries[0].query_id), (Some("3/7"), Some(-42)));
    assert_eq!((entries[1].role.as_deref(), entries[1].event()), (None, Event::Other));
}

#[test]
fn an_object_of_json_is_an_entry() {
    let line = r#"{"timestamp":"2026-11-27 06:24:06.000 UTC","user":"ann","dbname":"shop","pid":12,"session_id":"6567.c","vxid":"3/7","txid":0,"error_severity":"LOG","message":"duration: 1.500 ms  execute S_1/P: select 1\nfrom film","query_id":0}"#;
    assert_eq!(Format::recognise(&[line], &[]), Some(Format::Json));
    let entries = entries(Format::Json, line);
    assert_eq!(entries[0].event(), Event::Statement { text: "select 1\nfrom film", milliseconds: Some(1.5) });
    assert_eq!(entries[0].query_id, None);
}

#[test]
fn the_usual_prefixes_are_recognised_and_give_what_they_have() {
    for (line, session, role, database) in [
        (
            "2026-11-27 06:24:06.123 UTC [12] ann@shop LOG:  statement: select 1",
            Some("12"),
            Some("ann"),
            Some("shop"),
        ),
        ("2026-11-27 06:24:06 CET [12] LOG:  statement: select 1", Some("12"), None, None),
        ("2026-11-27 06:24:06.123 +01 [12] LOG:  statement: select 1", Some("12"), None, None),
        (
            "2026-11-27 06:24:06 UTC:10.0.0.1(5432):ann@shop:[12]:LOG:  statement: select 1",
            Some("12"),
            Some("ann"),
            Some("shop"),
        ),
        (
            "2026-11-27 06:24:06 UTC [12]: [3-1] user=ann,db=shop,app=x y,client=::1 LOG:  statement: select 1",
            Some("12"),
            Some("ann"),
            Some("shop"),
        ),
        (
            "2026-11-27 06:24:06 UTC [12]: user=ann,db=shop,app=,client=[local] LOG:  statement: select 1",
            Some("12"),
            Some("ann"),
            Some("shop"),
        ),
        (
            "2026-11-27 06:24:06.123 UTC [12] ann@shop my app LOG:  statement: select 1",
            Some("12"),
            Some("ann"),
            Some("shop"),
        ),
        ("LOG:  statement: select 1", None, None, None),
    ] {
        let format = Format::recognise(&[line], &[]).unwrap_or_else(|| panic!("{line}"));
        let entry = &entries(format, line)[0];
        assert_eq!(entry.event(), Event::Statement { text: "select 1", milliseconds: None }, "{line}");
        assert_eq!(
            (entry.session.as_deref(), entry.role.as_deref(), entry.database.as_deref()),
            (session, role, database),
            "{line}"
        );
    }
}

#[test]
fn a_given_prefix_wins_over_the_usual_ones() {
    let prefix = Prefix::new("%c|%-6u|%d|%v|%x> ");
    assert!(prefix.names_session());
    let line = "6567a.c|ann   |shop|3/7|0> LOG:  statement: select 1";
    assert_eq!(
        Format::recognise(&[line], std::slice::from_ref(&prefix)),
        Some(Format::Stderr(prefix.clone()))
    );
    let entry = &entries(Format::Stderr(prefix), line)[0];
    assert_eq!((entry.session.as_deref(), entry.role.as_deref()), (Some("6567a.c"), Some("ann")));
    assert_eq!(entry.virtual_transaction.as_deref(), Some("3/7"));
}

#[test]
fn a_message_goes_over_lines_and_its_detail_is_its_own() {
    let text = "2026-11-27 06:24:06.123 UTC [12] ann@shop LOG:  execute <unnamed>: select *
\tfrom film
\twhere a = $1
2026-11-27 06:24:06.123 UTC [12] ann@shop DETAIL:  parameters: $1 = 'x
\ty'
2026-11-27 06:24:06.124 UTC [12] ann@shop ERROR:  division by zero
2026-11-27 06:24:06.124 UTC [12] ann@shop STATEMENT:  select 1
\t/ 0
2026-11-27 06:24:06.125 UTC [12] ann@shop LOG:  statement: execute p(1)
2026-11-27 06:24:06.125 UTC [12] ann@shop DETAIL:  prepare: prepare p as select 2
2026-11-27 06:24:06.126 UTC [14] LOG:  checkpoint starting: time";
    let lines: Vec<&str> = text.lines().collect();
    let format = Format::recognise(&lines, &[]).unwrap();
    let entries = entries(format, text);
    let events: Vec<Event<'_>> = entries.iter().map(Entry::event).collect();
    assert_eq!(
        events,
        [
            Event::Statement { text: "select *\nfrom film\nwhere a = $1", milliseconds: None },
            Event::Error,
            Event::Statement { text: "prepare p as select 2", milliseconds: None },
            Event::Other,
        ]
    );
    assert_eq!(entries[0].detail.as_deref(), Some("parameters: $1 = 'x\ny'"));
}

#[test]
fn only_what_was_executed_is_a_statement() {
    let event = |message: &str| {
        let entry = Entry { severity: "LOG".into(), message: message.into(), ..Entry::default() };
        format!("{:?}", entry.event())
    };
    for message in [
        "duration: 1 ms  parse s: select 1",
        "duration: 1 ms  bind s: select 1",
        "execute fetch from s: select 1",
        "checkpoint",
        "duration: 1 ms  plan:\nQuery Text: select 1",
    ] {
        assert_eq!(event(message), "Other", "{message}");
    }
    assert_eq!(event("duration: 0.250 ms"), "Duration(0.25)");
    assert_eq!(event("disconnection: session time: 0:00:01"), "Disconnection");
}

#[test]
fn a_text_that_is_no_log_is_not_recognised() {
    assert_eq!(Format::recognise(&["hello", "world"], &[]), None);
    assert_eq!(Format::recognise(&[], &[]), None);
}

#[test]
fn a_record_that_was_cut_off_costs_itself_only() {
    let mut reader = Reader::new(Format::Csv);
    let (first, second) = CSV.rsplit_once('\n').unwrap();
    let text = format!("2026-11-27 06:24:05.000 UTC,\"ann\",\"shop\",12,\"statement: sel\n{first}\n{second}");
    let entries: Vec<Entry> = text.lines().filter_map(|line| reader.line(line)).collect();
    assert_eq!((entries.len(), reader.skipped()), (2, 1));
}

#[test]
fn a_prefix_that_fits_in_countless_ways_is_given_up() {
    let prefix = Prefix::new("%a%h%r%i%a%h%r%i%b|");
    let mut reader = Reader::new(Format::Stderr(prefix));
    assert_eq!(reader.line(&"a ".repeat(200)), None);
}

/// Lines as logs have them, whole and broken.
fn line() -> impl Strategy<Value = String> {
    let parts = [
        "2026-11-27 06:24:06.123 UTC",
        "2026-11-27",
        " [12] ",
        "ann@shop ",
        "LOG:  ",
        "DETAIL:  ",
        "statement: ",
        "execute s: ",
        "duration: 1.5 ms  ",
        "duration: x ms",
        "begin",
        "commit",
        "insert into film values ('",
        "\"",
        ",",
        ",,,,,,,,,,,,,,,,,,,,,,,,,,",
        "{",
        "}",
        "\"message\":\"statement: select 1\"",
        "\"error_severity\":\"LOG\"",
        "\t",
        "prepare: ",
        ":",
        "3/7",
        "ü",
        "(",
        ")",
        "'",
        ";",
        "parameters: $1 = 'x'",
        "ERROR:  ",
        "values (1), (2), (3)",
        " in (1, 2, 3)",
        "set search_path to a, \"b",
    ];
    prop::collection::vec(
        prop_oneof![6 => proptest::sample::select(parts.to_vec()).prop_map(str::to_owned), 1 => any::<String>()],
        0..10,
    )
    .prop_map(|parts| parts.concat().replace('\n', " "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_lines_are_taken_without_a_panic_in_every_format(lines in prop::collection::vec(line(), 0..30), prefix in "[%a-zA-Z \\[\\]@-]{0,12}") {
        let prefix = Prefix::new(&prefix);
        let borrowed: Vec<&str> = lines.iter().map(String::as_str).collect();
        let formats = [Some(Format::Csv), Some(Format::Json), Some(Format::Stderr(prefix.clone())), Format::recognise(&borrowed, &[prefix])];
        for format in formats.into_iter().flatten() {
            let (mut reader, mut sessions) = (Reader::new(format), Sessions::default());
            let mut collector = Collector::new(Resolver::of_relations([], &[]), SearchPaths::default());
            for line in &lines {
                if let Some(entry) = reader.line(line) {
                    sessions.take(&entry, &mut collector);
                }
            }
            if let Some(entry) = reader.finish() {
                sessions.take(&entry, &mut collector);
            }
            sessions.finish(&mut collector);
            let seen = sessions.counts().0;
            let workload = collector.finish();
            let counted: u64 = workload.statements.iter().map(|s| s.calls).chain(workload.unread.iter().map(|(_, n)| *n)).sum();
            prop_assert!(counted <= seen);
        }
    }
}
