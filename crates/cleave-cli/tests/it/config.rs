//! `cleave config`.

use crate::runner::Runner;

const GOOD: &str = r#"
[databases]
monolith = { url = "env:MONOLITH_URL" }
products = { url = "postgres://me:secret@db/products" }

[services.films]
home   = "products/films"
tables = ["public.film", "public.film_*"]
copies = ["monolith/films_copy"]
bridge = "local"
"#;

const BAD: &str = r#"
[databases]
monolith = { url = "env:MONOLITH_URL" }

[services.films]
home   = "product/films"
table  = ["public.film"]
"#;

#[test]
fn a_good_file_is_summed_up_and_its_warnings_are_shown() {
    insta::assert_snapshot!(Runner::with_config(GOOD).run(&["config", "check"]));
}

#[test]
fn a_good_file_as_json() {
    insta::assert_snapshot!(Runner::with_config(GOOD).run(&["config", "check", "--format", "json"]));
}

#[test]
fn a_bad_file_shows_every_error_and_exits_with_2() {
    insta::assert_snapshot!(Runner::with_config(BAD).run(&["config", "check"]));
}

#[test]
fn a_bad_file_as_a_json_line() {
    insta::assert_snapshot!(Runner::with_config(BAD).run(&["config", "check", "--format", "jsonl"]));
}

#[test]
fn a_missing_file_says_how_to_name_one() {
    insta::assert_snapshot!(Runner::new().run(&["-C", "other.toml", "config", "check"]));
}

#[test]
fn quiet_leaves_the_data_and_drops_warnings() {
    insta::assert_snapshot!(Runner::with_config(GOOD).run(&["config", "check", "-q"]));
}

#[test]
fn the_schema_is_json_on_standard_output() {
    let output = Runner::new().command(&["config", "schema"]).output().unwrap();
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema, cleave_config::schema());
    assert!(output.stderr.is_empty());
}

#[test]
fn colour_is_used_when_asked_for_and_never_with_no_color() {
    let runner = Runner::with_config(BAD);
    let coloured = |arguments: &[&str], no_color: bool| {
        let mut command = runner.command(arguments);
        if no_color {
            command.env("NO_COLOR", "1");
        }
        command.output().unwrap().stderr.contains(&0x1b)
    };
    assert!(coloured(&["config", "check", "--color", "always"], false));
    assert!(!coloured(&["config", "check"], false));
    assert!(!coloured(&["config", "check"], true));
    assert!(!coloured(&["config", "check", "--color", "never"], false));
}
