//! Patterns against the tables that a database has.

use cleave_config::{Config, Source, match_tables, render};
use cleave_model::QualifiedName;

fn check(services: &str, tables: &[&str]) -> String {
    let text = format!("[databases]\nm = {{ url = \"env:M\" }}\nn = {{ url = \"env:N\" }}\n{services}");
    let config = Config::parse(&text, "cleave.toml").unwrap();
    let tables: Vec<QualifiedName> = tables.iter().map(|name| QualifiedName::new("public", *name)).collect();
    match match_tables(&config, &config.databases[0].name, &tables, &text) {
        Ok(assignments) => {
            let lines = assignments.iter().map(|(service, tables)| {
                let names: Vec<String> = tables.iter().map(ToString::to_string).collect();
                format!("{service}: {}", names.join(" "))
            });
            lines.collect::<Vec<_>>().join("\n")
        }
        Err(errors) => render(errors.errors(), &Source { file: "cleave.toml", text: &text }),
    }
}

#[test]
fn patterns_take_every_table_they_fit_once() {
    insta::assert_snapshot!(check(
        "[services.films]\nhome = \"n/films\"\ntables = [\"public.film_*\", \"public.film_actor\", \"public.film\"]\n\
         [services.stores]\nhome = \"n/stores\"\ntables = [\"public.store\"]\n",
        &["store", "film_actor", "film", "film_category", "payment"],
    ));
}

#[test]
fn a_pattern_that_reaches_into_another_service_is_refused() {
    insta::assert_snapshot!(check(
        "[services.films]\nhome = \"n/films\"\ntables = [\"public.film\"]\n\
         [services.media]\nhome = \"n/media\"\ntables = [\"public.fi*\"]\n",
        &["film", "file"],
    ));
}

#[test]
fn a_table_that_does_not_exist_names_the_nearest_one() {
    insta::assert_snapshot!(check(
        "[services.films]\nhome = \"n/films\"\ntables = [\"public.flim\", \"public.zz_*\"]\n",
        &["film", "payment"],
    ));
}
