//! What a good file becomes.

use cleave_config::{Bridge, Config, IdentityChoice, Listen, UrlSource};
use cleave_model::{Ident, QualifiedName};
use std::time::Duration;

const FULL: &str = r#"
[databases]
monolith = { url = "env:MONOLITH_URL" }
products = { url = "file:products.url", url_from = { monolith = "cmd:pass show products" } }

[services.films]
home   = "products/films"
tables = ["public.film", "public.film_*"]
owner  = "films_svc"
copies = ["monolith/films_copy"]
bridge = "local"
on_ddl = "stop"
identity = { "public.film_log" = "full", "public.film_tag" = "index:film_tag_key" }
pgbouncer = { admin = "env:PGBOUNCER_URL", databases = ["shop"], config = "databases.ini" }

[limits]
write_pause = "250ms"
lock_budget = "1min"
jobs = 8
memory = "64MB"

[hooks]
before_switch = ["./drain.sh"]

[server]
listen = "[::1]:9000"
"#;

#[test]
fn every_key_of_a_live_move_is_read_into_a_typed_value() {
    let config = Config::parse(FULL, "cleave.toml").unwrap();
    let products = &config.databases[1];
    assert_eq!(products.url, UrlSource::File("products.url".into()));
    let from_monolith = products.url_from.get(&config.databases[0].name);
    assert_eq!(from_monolith, Some(&UrlSource::Command("pass show products".into())));

    let films = config.service("films").unwrap();
    assert_eq!(films.home.value.to_string(), "products/films");
    assert_eq!(films.from.as_str(), "monolith");
    assert_eq!(films.owner.as_ref().unwrap().value, Ident::new("films_svc"));
    assert_eq!(films.copy_schema(), Ident::new("films_copy"));
    assert_eq!(films.bridge.value, Bridge::Local);
    let identity = &films.identity[&QualifiedName::new("public", "film_tag")].value;
    assert_eq!(identity, &IdentityChoice::Index(Ident::new("film_tag_key")));
    assert_eq!(films.tables[1].value.to_string(), "public.film_*");
    assert_eq!(&FULL[films.tables[1].span.clone()], "\"public.film_*\"");

    let pooler = films.pooler.as_ref().unwrap();
    assert_eq!(pooler.admin, UrlSource::Env("PGBOUNCER_URL".to_owned()));
    assert_eq!(
        (&pooler.databases[..], pooler.config.to_str()),
        (&["shop".to_owned()][..], Some("databases.ini"))
    );

    assert_eq!(config.limits.write_pause, Duration::from_millis(250));
    assert_eq!(config.limits.lock_budget, Duration::from_secs(60));
    assert_eq!((config.limits.jobs, config.limits.memory_bytes), (8, 64 << 20));
    assert_eq!(config.hooks.before_switch, ["./drain.sh"]);
    assert_eq!(config.server.listen, Some(Listen::At("[::1]:9000".parse().unwrap())));
    assert!(config.warnings.is_empty());
}

#[test]
fn what_is_left_out_takes_the_documented_default() {
    let config = Config::parse(
        "[databases]\na = { url = \"env:A\" }\nb = { url = \"env:B\" }\n\
         [services.films]\nhome = \"b/films\"\ntables = [\"public.film\"]\n",
        "cleave.toml",
    )
    .unwrap();
    let films = config.service("films").unwrap();
    assert_eq!(films.bridge.value, Bridge::Forward);
    assert_eq!(films.copy_schema(), Ident::new("cleave_old_films"));
    assert_eq!(config.limits, cleave_config::Limits::default());
}

#[test]
fn the_source_is_the_database_in_from_where_it_is_not_the_first_one() {
    let config = Config::parse(
        "[databases]\nnew = { url = \"env:A\" }\nold = { url = \"env:B\" }\n\
         [services.films]\nhome = \"new/films\"\nfrom = \"old\"\ntables = [\"public.film\"]\n",
        "cleave.toml",
    )
    .unwrap();
    assert_eq!(config.service("films").unwrap().from.as_str(), "old");
}
