//! The schema and the reference page follow the key table.

use cleave_config::{reference_page, schema};
use std::path::Path;

#[test]
fn the_reference_page_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/config.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, reference_page()).unwrap();
    }
    let page = std::fs::read_to_string(&path).unwrap();
    assert!(page == reference_page(), "renew it with UPDATE=1 cargo test -p cleave-config reference");
}

#[test]
fn the_schema_names_every_section_and_refuses_unknown_keys() {
    let schema = schema();
    assert_eq!(schema["required"], serde_json::json!(["databases", "services"]));
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["properties"]["limits"]["properties"]["write_pause"]["default"], "500ms");
    let service = &schema["properties"]["services"]["additionalProperties"];
    assert_eq!(service["required"], serde_json::json!(["home", "tables"]));
    assert_eq!(service["properties"]["bridge"]["oneOf"][0]["const"], "forward");
}

#[test]
fn every_default_in_the_key_table_is_what_an_empty_section_gives() {
    let limits = cleave_config::Limits::default();
    let schema = schema();
    let default = |key: &str| schema["properties"]["limits"]["properties"][key]["default"].clone();
    for (key, value) in [
        ("write_pause", limits.write_pause),
        ("lock_timeout", limits.lock_timeout),
        ("lock_budget", limits.lock_budget),
        ("snapshot_age", limits.snapshot_age),
        ("verify_max_age", limits.verify_max_age),
    ] {
        let written = cleave_config::parse_duration(default(key).as_str().unwrap()).unwrap();
        assert_eq!(written, value, "{key}");
    }
    assert_eq!(default("jobs"), limits.jobs);
    assert_eq!(cleave_config::parse_size(default("memory").as_str().unwrap()), Ok(limits.memory_bytes));
}
