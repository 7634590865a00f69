use crate::sample::{catalog, function, public, resolver};
use crate::{Moved, Names, Rewritten, rewrite, rewrite_function};
use cleave_model::QualifiedName;
use proptest::prelude::*;

fn moved() -> Moved {
    let to = |name: &str| QualifiedName::new("films", name);
    Moved {
        relations: [
            (public("film"), to("film")),
            (public("Odd Name"), to("Odd Name")),
            (public("film_id_seq"), to("film_id_seq")),
            (public("actor"), to("order")),
        ]
        .into(),
        types: [(public("mood"), to("mood"))].into(),
        functions: [(public("rate"), to("rate"))].into(),
    }
}

fn all(text: &str) -> Rewritten {
    rewrite(text, &moved(), Names::All, &resolver())
}

#[test]
fn exactly_the_names_of_moved_objects_change() {
    for (before, after) in [
        (
            "select * from film -- film\nwhere a = 'film'",
            "select * from films.film -- film\nwhere a = 'film'",
        ),
        ("SELECT Film.a FROM Public . FILM", "SELECT Film.a FROM films.film"),
        (
            "select public.film.a, public.film.* from public.film",
            "select films.film.a, films.film.* from films.film",
        ),
        ("select 1 from \"Odd Name\"", "select 1 from films.\"Odd Name\""),
        (
            "select nextval('film_id_seq'), 'public.film'::regclass",
            "select nextval('films.film_id_seq'), 'films.film'::regclass",
        ),
        (
            "select 'good'::public.mood, null::film[], rate(1)",
            "select 'good'::films.mood, null::films.film[], films.rate(1)",
        ),
        (
            "with film as (select 1 from public.film) select 1 from film",
            "with film as (select 1 from films.film) select 1 from film",
        ),
        ("select film from pay as film", "select film from pay as film"),
        (
            "select pg_get_serial_sequence('public.film', 'film')",
            "select pg_get_serial_sequence('films.film', 'film')",
        ),
        ("select a from actor where actor.a = 1", "select a from films.\"order\" AS actor where actor.a = 1"),
        ("update actor a set b = 1", "update films.\"order\" a set b = 1"),
        ("truncate actor", "truncate films.\"order\""),
        (
            "do $$ begin update public.film set a = 1; end $$",
            "do $$ begin update films.film set a = 1; end $$",
        ),
        ("select 1 from shop.public.film", "select 1 from shop.films.film"),
    ] {
        let rewritten = all(before);
        assert_eq!(rewritten.text, after);
        assert!(rewritten.unresolved.is_empty(), "{before}");
    }
}

#[test]
fn names_without_a_schema_may_be_left_to_the_search_path() {
    let rewritten = rewrite("select 1 from film, public.film", &moved(), Names::Qualified, &resolver());
    assert_eq!(rewritten.text, "select 1 from film, films.film");
    assert_eq!(rewritten.edits.len(), 1);
    assert_eq!((&rewritten.edits[0].old, rewritten.edits[0].range.clone()), (&public("film"), 20..31));
}

#[test]
fn a_function_changes_in_its_head_and_its_body() {
    let body = "\ndeclare f film%ROWTYPE; t public.film.title%TYPE; -- film\nbegin\n  select * into f from film;\n  execute 'delete from film';\n  return next f;\nend";
    let rewritten =
        rewrite_function(&function("g", "plpgsql", body), &catalog(), &moved(), Names::All, &resolver());
    let expected = "CREATE OR REPLACE FUNCTION public.g(a films.film)\n RETURNS SETOF films.film\n LANGUAGE plpgsql\nAS $function$\ndeclare f films.film%ROWTYPE; t films.film.title%TYPE; -- film\nbegin\n  select * into f from films.film;\n  execute 'delete from films.film';\n  return next f;\nend$function$\n";
    assert_eq!(rewritten.text, expected);
    assert!(rewritten.unresolved.is_empty());
}

#[test]
fn what_is_made_at_run_time_is_left_and_named() {
    let body = "begin execute 'delete from film where a = ' || x; end";
    let rewritten =
        rewrite_function(&function("g", "plpgsql", body), &catalog(), &moved(), Names::All, &resolver());
    assert!(rewritten.text.contains("'delete from film where a = ' || x"));
    assert_eq!(rewritten.unresolved.len(), 1);
    assert!(rewritten.unresolved[0].names.contains(&public("film")));
}

#[test]
fn a_text_that_cannot_be_read_stays_as_it_is_and_is_named() {
    let rewritten = all("selec 1 from film");
    assert_eq!((rewritten.text.as_str(), rewritten.unresolved.len()), ("selec 1 from film", 1));
}

/// Pieces of which statements and nonsense are made.
fn piece() -> impl Strategy<Value = String> {
    let words = [
        "select",
        "from",
        "film",
        "public.film",
        "actor",
        "where",
        "insert into",
        "values",
        "(",
        ")",
        ",",
        ";",
        "'film'",
        "nextval('film_id_seq')",
        "with",
        "as",
        "update",
        "set",
        "a = 1",
        "join",
        "on",
        "true",
        "::",
        "mood",
        "--\n",
        "/* film */",
        "\"Odd Name\"",
        "begin",
        "end",
        "loop",
        "if",
        "then",
        "execute",
        "$$",
        "into",
        "x",
        "not",
        "-",
        "[",
        "]",
        ".",
        "*",
        "case",
        "when",
        "%rowtype",
        "declare",
        "returning",
        "E'\\'",
        "ü",
        "$1",
        "$x$",
        "delete",
        "'",
    ];
    prop_oneof![
        8 => proptest::sample::select(words.to_vec()).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_is_rewritten_in_places_that_do_not_overlap_and_only_once(pieces in prop::collection::vec(piece(), 0..24)) {
        let text = pieces.join(" ");
        prop_assert_eq!(&rewrite(&text, &Moved::default(), Names::All, &resolver()).text, &text);
        let once = all(&text);
        let mut end = 0;
        for edit in &once.edits {
            prop_assert!(edit.range.start >= end && edit.range.end <= text.len());
            end = edit.range.end;
        }
        prop_assert_eq!(&all(&once.text).text, &once.text);
    }

    #[test]
    fn any_body_is_read_and_rewritten_without_a_panic(pieces in prop::collection::vec(piece(), 0..40)) {
        let body = pieces.join(" ");
        for language in ["plpgsql", "sql"] {
            let made = function("g", language, &body);
            crate::read_function(&made, &catalog(), &resolver());
            let empty = rewrite_function(&made, &catalog(), &Moved::default(), Names::All, &resolver());
            prop_assert_eq!(empty.text, made.definition);
        }
    }
}

#[test]
fn a_text_that_nests_for_ever_is_refused_before_the_stack_ends() {
    let pieces = [
        "(",
        "[",
        "case when ",
        "not ",
        "- ",
        "a join ",
        "select (",
        "array[",
        "with a as (",
        "begin ",
        "if x then ",
        "exists (",
        "~",
        "a.",
        "::x",
        "a = ",
        "union select ",
        "'a' || ",
        "(a).",
        "a[1].",
        "explain ",
        "1 is ",
        "a in ",
        "select * from a natural join ",
        "(a = ",
        "(not - a || ",
        "case when (a = ",
        "(select 1 where a in (",
        "f(a => (",
        "begin if (a) then loop ",
        "select * from (a join (",
        "a between ",
        "like ",
        "x at time zone ",
        "<<a>> ",
        "declare a int; begin ",
        "prepare p as ",
        "cast(a as b(",
        "row(",
        "grouping sets (",
        "interval ",
        "a collate ",
        "values (",
        "create schema a create table b (a int default (",
        "for x in select (",
        "else if ",
    ];
    for piece in pieces {
        for times in [20, 45, 130, 395, 20_000] {
            let text = piece.repeat(times);
            all(&text);
            all(&format!("select {text}"));
            crate::read_function(
                &function("g", "plpgsql", &format!("begin {text}")),
                &catalog(),
                &resolver(),
            );
        }
    }
}
