//! `cleave explain`.

use crate::runner::Runner;
use cleave_cli::pages::{PAGES, page, title};
use std::path::Path;

#[test]
fn every_page_is_embedded_and_has_its_sections() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/explain");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let code = path.file_stem().unwrap().to_str().unwrap();
        let (_, embedded) = page(code).unwrap_or_else(|| panic!("{code} is not embedded"));
        assert_eq!(embedded, std::fs::read_to_string(&path).unwrap(), "{code}");
    }
    for (code, text) in PAGES {
        assert!(text.starts_with(&format!("# {code}: ")) && !title(text).is_empty(), "{code}: first line");
        for section in ["\n## Cause\n", "\n## Example\n", "\n## Fix\n"] {
            assert!(text.contains(section), "{code}: {section:?}");
        }
    }
}

#[test]
fn every_code_of_the_configuration_has_a_page() {
    for code in cleave_config::ErrorCode::ALL {
        assert!(page(code.as_str()).is_some(), "{code}");
    }
}

#[test]
fn a_code_is_explained_in_any_case() {
    insta::assert_snapshot!(Runner::new().run(&["explain", "c0007"]));
}

#[test]
fn a_code_that_does_not_exist_is_refused() {
    insta::assert_snapshot!(Runner::new().run(&["explain", "C9999"]));
}

#[test]
fn without_a_code_all_are_listed() {
    let output = Runner::new().command(&["explain"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), PAGES.len());
    assert!(text.contains("C0007  two services claim one table\n"));
}

#[test]
fn an_explanation_as_json_carries_the_page() {
    let output = Runner::new().command(&["explain", "C0007", "--format", "json"]).output().unwrap();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["kind"], "explanation");
    assert_eq!(document["data"]["text"], page("C0007").unwrap().1);
}
