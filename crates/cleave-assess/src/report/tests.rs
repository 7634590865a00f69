use super::*;
use crate::picture::Survey;
use crate::picture::fixture::{catalog, town};
use cleave_model::QualifiedName;
use roxmltree::{Document, Node, ParsingOptions};

const HOSTILE: &str =
    "Weird \"<&Name' </script><script>alert(1)</script> --> ]]> <img src=x onerror=alert(1)> \u{1}";

fn hostile_page() -> Page {
    let name = QualifiedName::new(HOSTILE, HOSTILE);
    let plain = QualifiedName::new("public", "film");
    let mut catalog = catalog(&[(name.clone(), vec![1]), (plain.clone(), vec![])]);
    catalog.facts.database = HOSTILE.to_owned();
    let services = [(HOSTILE.to_owned(), vec![name]), ("films".to_owned(), vec![plain])];
    let text = || HOSTILE.to_owned();
    Page {
        made: text(),
        server: text(),
        findings: vec![
            FindingCard {
                code: "C0802".to_owned(),
                weight: Weight::Note,
                database: text(),
                object: Some(text()),
                seen: text(),
                why: text(),
                fix: Some(format!("{HOSTILE}\n{HOSTILE}")),
            },
            FindingCard {
                code: "C0801".to_owned(),
                weight: Weight::Blocker,
                database: "monolith".to_owned(),
                object: None,
                seen: "wal_level is replica".to_owned(),
                why: "changes cannot be decoded".to_owned(),
                fix: Some("alter system set wal_level = logical;".to_owned()),
            },
        ],
        checks: 12,
        unread: vec![text()],
        alternatives: vec![Alternative {
            name: text(),
            summary: text(),
            prices: vec![(3, text())],
            services: vec![ProposedService {
                name: text(),
                tables: vec![ProposedTable {
                    name: text(),
                    confidence_percent: Some(55),
                    note: Some(text()),
                }],
            }],
            notes: vec![text()],
        }],
        boundary: vec![BoundaryLine {
            kind: "key".to_owned(),
            object: text(),
            between: vec![text(), "films".to_owned()],
            evidence: text(),
            remedy: text(),
        }],
        survey: Survey::new(&catalog, &services),
    }
}

fn read(html: &str) -> Document<'_> {
    Document::parse_with_options(html, ParsingOptions { allow_dtd: true, ..ParsingOptions::default() })
        .unwrap()
}

fn text_of(node: Node<'_, '_>) -> String {
    node.descendants().filter(Node::is_text).filter_map(|node| node.text()).collect()
}

fn element<'d>(document: &'d Document<'_>, id: &str) -> Node<'d, 'd> {
    document.descendants().find(|node| node.attribute("id") == Some(id)).unwrap()
}

#[test]
fn hostile_texts_stay_texts_everywhere_on_the_page() {
    let html = html(&hostile_page());
    let document = read(&html);
    let tags = |name: &str| document.descendants().filter(|node| node.tag_name().name() == name).count();
    assert_eq!((tags("script"), tags("img")), (1, 0));
    assert!(
        document
            .descendants()
            .flat_map(|node| node.attributes())
            .all(|attribute| !attribute.name().starts_with("on"))
    );
    for id in ["findings", "services", "pictures", "boundary", "tables"] {
        assert!(
            text_of(element(&document, id)).contains("<img src=x onerror"),
            "{id} does not show the name"
        );
    }
}

#[test]
fn the_page_asks_nothing_of_anybody() {
    let page = html(&hostile_page());
    let document = read(&page);
    let links = ["src", "href", "action", "data", "srcset", "poster", "background"];
    for node in document.descendants() {
        for attribute in node.attributes().filter(|attribute| links.contains(&attribute.name())) {
            assert!(
                attribute.value().starts_with('#'),
                "{} leads to {}",
                attribute.name(),
                attribute.value()
            );
        }
    }
    let style = document.descendants().find(|node| node.tag_name().name() == "style").map(text_of).unwrap();
    assert!(!style.contains("@import") && !style.contains("url("), "the style fetches something");
    let policy = document.descendants().find(|node| node.attribute("http-equiv").is_some());
    assert!(policy.unwrap().attribute("content").unwrap().starts_with("default-src 'none'"));
}

#[test]
fn what_the_contents_name_is_there_and_findings_stand_worst_first() {
    let page = hostile_page();
    let html = html(&page);
    let document = read(&html);
    let mut ids: Vec<&str> = document.descendants().filter_map(|node| node.attribute("id")).collect();
    for link in document.descendants().filter_map(|node| node.attribute("href")) {
        assert!(ids.contains(&link.trim_start_matches('#')), "{link} leads nowhere");
    }
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "an id is there twice");
    let codes: Vec<String> = element(&document, "findings")
        .descendants()
        .filter(|node| node.tag_name().name() == "article")
        .map(|article| text_of(article.descendants().find(|node| node.tag_name().name() == "code").unwrap()))
        .collect();
    assert_eq!(codes, ["C0801", "C0802"]);
}

#[test]
fn a_page_without_findings_or_alternatives_leaves_their_sections_out() {
    let page = Page { findings: vec![], checks: 0, alternatives: vec![], boundary: vec![], ..hostile_page() };
    let html = html(&page);
    let document = read(&html);
    let sections: Vec<&str> = document
        .descendants()
        .filter(|node| node.tag_name().name() == "section")
        .filter_map(|node| node.attribute("id"))
        .collect();
    assert_eq!(sections, ["pictures", "boundary", "tables"]);
    assert!(text_of(element(&document, "boundary")).contains("Nothing crosses."));
}

#[test]
fn every_table_of_a_large_database_is_on_the_page() {
    let survey = Survey::new(&catalog(&town(1000)), &[]);
    let page = Page { survey, ..hostile_page() };
    let html = html(&page);
    let document = read(&html);
    let rows =
        element(&document, "tables").descendants().filter(|node| node.has_attribute("data-find")).count();
    assert_eq!(rows, 1000);
    assert!(html.len() < 8_000_000, "{} bytes are too many to send around", html.len());
}
