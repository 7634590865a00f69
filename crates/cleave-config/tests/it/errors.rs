//! Every error: its code, its place, and the text a person reads.

use cleave_config::{Config, Source, render};

/// A file with two databases in front of `rest`; returns the drawn errors or warnings.
fn check(rest: &str) -> String {
    let text = format!(
        "[databases]\nmonolith = {{ url = \"env:MONOLITH_URL\" }}\nproducts = {{ url = \"env:PRODUCTS_URL\" }}\n{rest}"
    );
    check_whole(&text)
}

fn check_whole(text: &str) -> String {
    let source = Source { file: "cleave.toml", text };
    match Config::parse(text, source.file) {
        Ok(config) => render(&config.warnings, &source),
        Err(errors) => render(errors.errors(), &source),
    }
}

#[test]
fn a_text_that_is_not_toml_shows_where_it_breaks() {
    insta::assert_snapshot!(check_whole("[databases]\nmonolith = { url = \"env:A\n"));
}

#[test]
fn an_unknown_key_is_an_error_with_the_nearest_known_key() {
    insta::assert_snapshot!(check(
        "[services.films]\nhome = \"products/films\"\ntable = [\"public.film\"]\nbrigde = \"forward\"\n\n[limit]\njobs = 1\n"
    ));
}

#[test]
fn an_empty_file_says_what_it_needs() {
    insta::assert_snapshot!(check_whole(""));
}

#[test]
fn values_of_the_wrong_type_are_all_shown_at_once() {
    insta::assert_snapshot!(check(
        "[services.films]\nhome = 3\ntables = \"public.film\"\n[limits]\njobs = \"many\"\nwrite_pause = 500\n"
    ));
}

#[test]
fn values_that_make_no_sense_say_what_would() {
    insta::assert_snapshot!(check(
        "[services.films]\nhome = \"films\"\ntables = [\"film\", \"public.\"]\nbridge = \"foward\"\n\
         identity = { \"public.*\" = \"full\", \"public.a\" = \"key\" }\nowner = \"pg_me\"\n\
         [limits]\njobs = 0\nwrite_pause = \"500\"\nmemory = \"2 giga\"\n"
    ));
}

#[test]
fn a_home_in_an_unknown_database_names_the_nearest_one() {
    insta::assert_snapshot!(check(
        "[services.films]\nhome = \"product/films\"\ntables = [\"public.film\"]\n"
    ));
}

#[test]
fn a_table_claimed_twice_names_both_services() {
    insta::assert_snapshot!(check(
        "[services.films]\nhome = \"products/films\"\ntables = [\"public.film\"]\n\
         [services.stores]\nhome = \"products/stores\"\ntables = [\"public.store\", \"public.film\"]\n"
    ));
}

#[test]
fn a_pooler_without_all_its_keys_says_which_are_missing() {
    insta::assert_snapshot!(check(
        "[services.films]\nhome = \"products/films\"\ntables = [\"public.film\"]\n\
         pgbouncer = { admin = \"env:POOL\", database = \"shop\", databases = [] }\n"
    ));
}

#[test]
fn a_bridge_that_reads_a_copy_needs_one() {
    insta::assert_snapshot!(check(
        "[services.films]\nhome = \"products/films\"\ntables = [\"public.film\"]\nbridge = \"local\"\n"
    ));
}

#[test]
fn a_lock_budget_shorter_than_one_attempt_is_a_contradiction() {
    insta::assert_snapshot!(check(
        "[services.films]\nhome = \"products/films\"\ntables = [\"public.film\"]\n[limits]\nlock_budget = \"50ms\"\n"
    ));
}

#[test]
fn keys_of_later_versions_are_known_but_not_available() {
    insta::assert_snapshot!(check(
        "[services.films]\nhome = \"products/films\"\ntables = [\"public.film\"]\n\
         [services.stores]\nhome = \"products/stores\"\ntables = [\"public.store\"]\ncopies = [\"products/x\"]\n"
    ));
}

const SERVICES: &str = "[services.people]\nhome = \"monolith/people\"\ntables = [\"public.person\"]\n\
    [services.shops]\nhome = \"monolith/shops\"\ntables = [\"public.shop\"]\n\
    [services.far]\nhome = \"products/far\"\ntables = [\"public.far\", \"public.spot\"]\n";

#[test]
fn what_is_wrong_with_a_split_is_said_where_it_stands() {
    insta::assert_snapshot!(check(&format!(
        "{SERVICES}[splits.people]\ntable = \"public.spot\"\ninto = []\n\
         [splits.spot]\ntable = \"public.spot*\"\nshared = \"both\"\norphans = \"far\"\ninto = [\n\
         {{ service = \"people\", reached_by = [\"public.person.spot_id\", \"spot_id\"] }},\n\
         {{ service = \"people\", reached_by = [\"public.person.spot_id\"], by = 1 }},\n\
         {{ service = \"far\", reached_by = [\"public.far.spot_id\"] }},\n\
         {{ service = \"shop\", reached_by = [] }},\n\
         {{ reached_by = [\"public.shop.spot_id\"] }},\n]\n\
         [splits.other]\ntable = \"public.spot\"\ninto = [\n\
         {{ service = \"people\", reached_by = [\"public.person.spot_id\"] }},\n\
         {{ service = \"shops\", reached_by = [\"public.shop.spot_id\"] }},\n]\n"
    )));
}

#[test]
fn keys_of_one_kind_of_move_are_refused_for_the_other() {
    insta::assert_snapshot!(check(
        "[services.films]\nhome = \"monolith/films\"\ntables = [\"public.film\"]\nbridge = \"forward\"\ncopies = [\"monolith/x\"]\n\
         [services.stores]\nhome = \"products/stores\"\ntables = [\"public.store\"]\nbridge = \"view\"\nreader = \"r\"\nguard = \"off\"\n\
         [services.staff]\nhome = \"monolith/staff\"\ntables = [\"public.staff\"]\nreader = \"pg_me\"\nguard = \"on\"\n"
    ));
}

#[test]
fn an_upgrade_names_two_databases_of_the_file_and_no_service() {
    insta::assert_snapshot!(check(
        "[services.films]\nhome = \"products/films\"\ntables = [\"public.film\"]\n\
         [upgrade]\nfrom = \"monolith\"\nto = \"elsewhere\"\nname = \"films\"\ntablespace = { a = \"b\" }\n"
    ));
    insta::assert_snapshot!(check("[upgrade]\nfrom = \"products\"\nto = \"products\"\n"));
}

#[test]
fn an_upgrade_stands_beside_services_or_alone() {
    let text = "[databases]\na = { url = \"env:A\" }\nb = { url = \"env:B\" }\n\
                [upgrade]\nfrom = \"a\"\nto = \"b\"\ntablespaces = { fast = \"pg_default\" }\n\
                identity = { \"public.log\" = \"full\" }\nclient_tools = \"/opt/pg18/bin\"\n";
    let config = Config::parse(text, "cleave.toml").unwrap();
    let upgrade = config.service("upgrade").unwrap();
    assert_eq!((upgrade.from.as_str(), upgrade.home.value.database.as_str()), ("a", "b"));
    assert_eq!(upgrade.identity.len(), 1);
    let whole = upgrade.whole.as_ref().unwrap();
    assert_eq!(whole.tablespaces.len(), 1);
    assert_eq!(whole.client_tools.as_deref(), Some(std::path::Path::new("/opt/pg18/bin")));
}

#[test]
fn a_password_in_the_file_warns_and_is_masked() {
    let text = "[databases]\na = { url = \"postgres://me:secret@db/shop\" }\nb = { url = \"env:B\" }\n\
                [services.s]\nhome = \"b/s\"\ntables = [\"public.t\"]\n";
    assert!(Config::parse(text, "cleave.toml").is_ok());
    insta::assert_snapshot!(check_whole(text));
}

#[test]
fn an_unreadable_url_is_never_repeated() {
    insta::assert_snapshot!(check_whole(
        "[databases]\na = { url = \"postgre://me:secret@db/shop\" }\n[services]\n"
    ));
}

#[test]
fn names_that_cannot_become_slot_names_are_refused() {
    insta::assert_snapshot!(check(
        "[services.Film-Store]\nhome = \"products/films\"\ntables = [\"public.film\"]\n"
    ));
}

#[test]
fn marks_stand_under_text_with_wide_characters_and_tabs() {
    insta::assert_snapshot!(check(
        "[services.films]\n\thome = \"prodücts/films\"\ntables = [\"public.film\"]\n"
    ));
}

#[test]
fn no_damage_to_a_file_makes_the_reader_panic() {
    let text = r#"[databases]
m = { url = "env:M" }
n = { url = "password=x", url_from = { m = "env:N" } }
[services.s]
home = "n/s"
tables = ["public.t", "a.b*"]
copies = ["m/c"]
identity = { "public.t" = "full" }
[limits]
jobs = 2
memory = "1MB"
[hooks]
after_switch = ["x"]
"#;
    assert_eq!(check_whole(text).matches("[C0010]").count(), 1);
    for at in 0..text.len() {
        let (before, after) = text.split_at(at);
        check_whole(before);
        for damage in ["\"", "[", "}", "=", "\n", "é", "0", "*", "'''"] {
            check_whole(&format!("{before}{damage}{after}"));
            check_whole(&format!("{before}{damage}{}", &after[1..]));
        }
    }
}
