//! Which part a text reads.

use super::joins::{Meeting, Repointed, repoint};
use cleave_model::{Ident, QualifiedName};

fn meetings() -> Vec<Meeting> {
    let one = |table: &str, column: &str, part: &str| Meeting {
        table: QualifiedName::new("public", table),
        column: column.into(),
        part: QualifiedName::new(part, "place"),
    };
    vec![
        one("person", "place_id", "people"),
        one("shop", "place_id", "shops"),
        one("shop", "billing_id", "shops"),
    ]
}

fn check(text: &str) -> String {
    let table = QualifiedName::new("public", "place");
    let (key, schema): (Ident, Ident) = ("place_id".into(), "public".into());
    match repoint(text, &table, &key, &schema, &meetings()) {
        Repointed::Untouched => "untouched".to_owned(),
        Repointed::To(text, _) => text,
        Repointed::Unclear(reason) => format!("unclear: {reason}"),
    }
}

#[test]
fn a_join_says_which_part_is_read() {
    for (text, wanted) in [
        (
            "SELECT p.name, a.street FROM person p JOIN place a ON p.place_id = a.place_id",
            r#"SELECT p.name, a.street FROM person p JOIN "people"."place" a ON p.place_id = a.place_id"#,
        ),
        (
            "SELECT 1 FROM (shop s JOIN public.place ON ((place.place_id = s.billing_id) AND s.open))",
            r#"SELECT 1 FROM (shop s JOIN "shops"."place" ON ((place.place_id = s.billing_id) AND s.open))"#,
        ),
        (
            "SELECT 1 FROM shop s LEFT JOIN place a USING (place_id) WHERE s.id > 3",
            r#"SELECT 1 FROM shop s LEFT JOIN "shops"."place" a USING (place_id) WHERE s.id > 3"#,
        ),
        (
            "SELECT 1 FROM person, place WHERE person.place_id = place.place_id",
            r#"SELECT 1 FROM person, "people"."place" WHERE person.place_id = place.place_id"#,
        ),
        (
            "SELECT 1 FROM person p JOIN place a ON a.place_id = p.place_id JOIN shop s ON true JOIN place b ON b.place_id = s.place_id",
            r#"SELECT 1 FROM person p JOIN "people"."place" a ON a.place_id = p.place_id JOIN shop s ON true JOIN "shops"."place" b ON b.place_id = s.place_id"#,
        ),
        (
            "SELECT (SELECT place.street FROM place WHERE place.place_id = x.y) FROM shop x",
            "unclear: where it reads public.place, no join says whose rows it wants",
        ),
    ] {
        assert_eq!(check(text), wanted, "{text}");
    }
}

#[test]
fn a_text_that_does_not_say_whose_rows_it_wants_is_left_to_a_person() {
    for text in [
        "SELECT street FROM place",
        "SELECT 1 FROM person p RIGHT JOIN place a ON p.place_id = a.place_id",
        "SELECT 1 FROM place a LEFT JOIN person p ON p.place_id = a.place_id",
        "SELECT 1 FROM person p JOIN place a ON p.place_id = a.place_id OR p.old = a.place_id",
        "SELECT 1 FROM person p JOIN place a ON NOT (p.place_id = a.place_id)",
        "SELECT 1 FROM person p JOIN place a ON p.id = a.place_id",
        "SELECT 1 FROM person p JOIN place a ON p.place_id = a.place_id; delete from place",
        "insert into place (street) values ('x')",
        "declare r place%rowtype; begin execute 'select 1'; end",
        "begin execute 'select * from place'; perform 1 from place; end",
    ] {
        assert!(check(text).starts_with("unclear"), "{text}: {}", check(text));
    }
}

#[test]
fn names_that_only_look_like_the_table_are_none() {
    for text in [
        "SELECT p.place FROM person p",
        "SELECT other.place.x FROM other.place",
        "SELECT extract(year from p.place) FROM person p",
        "SELECT 1 -- from place\n FROM person",
    ] {
        assert_eq!(check(text), "untouched", "{text}");
    }
}
