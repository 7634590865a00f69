//! How far the recommendation agrees with people, schema by schema: the table in docs/design/services.md is what is
//! measured here, also where that is little.

use crate::known_answers::{agreement, found, masked, nearest, without_workload};
use crate::notation::Sample;
use std::fs;
use std::path::Path;

/// No answer may be luck.
const SEEDS: u64 = 3;

/// The schemas and what is said of them.
const SCHEMAS: [(&str, &str); 7] = [
    ("hospital", include_str!("schemas/hospital.txt")),
    ("many tenants", include_str!("schemas/tenants.txt")),
    ("legacy, no keys, no names", include_str!("schemas/legacy.txt")),
    ("university", include_str!("schemas/university.txt")),
    ("freight", include_str!("schemas/freight.txt")),
    ("insurance", include_str!("schemas/insurance.txt")),
    ("newsroom", include_str!("schemas/newsroom.txt")),
];

/// Median, and the least and the most where they differ.
fn over_seeds(sample: &Sample) -> String {
    let mut scores: Vec<f64> = (0..SEEDS).map(|seed| agreement(sample, &found(sample, seed))).collect();
    scores.sort_by(f64::total_cmp);
    let (least, median, most) = (scores[0], scores[scores.len() / 2], scores[scores.len() - 1]);
    if most - least < 0.005 {
        format!("{median:.2}")
    } else {
        format!("{median:.2} ({least:.2} to {most:.2})")
    }
}

fn line(name: &str, text: &str) -> String {
    let sample = Sample::parse(text);
    let silent = without_workload(text);
    let tables = found(&sample, 1).tables.len();
    let nameless = masked(&sample, 7);
    let busy = !sample.workload.statements.is_empty() || !sample.workload.transactions.is_empty();
    let with = if busy { over_seeds(&sample) } else { "none written".to_owned() };
    let best = nearest(&sample, &found(&sample, 1));
    format!(
        "| {name} | {tables} | {} | {with} | {} | {} | {best:.2} |\n",
        number_of_services(&sample),
        over_seeds(&silent),
        over_seeds(&nameless)
    )
}

fn number_of_services(sample: &Sample) -> usize {
    sample.services.values().collect::<std::collections::BTreeSet<_>>().len()
}

#[test]
fn the_scores_in_the_page_are_those_that_are_measured() {
    const BEGIN: &str = "<!-- scores: UPDATE=1 cargo test -p cleave-assess --test it -- scores -->\n";
    const END: &str = "<!-- end of scores -->";
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/design/services.md");
    let text = fs::read_to_string(&page).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the page has a place for the scores");
    let (shown, after) = rest.split_once(END).expect("the scores end");
    let mut table =
        "| schema | tables | services | with workload | without | names masked | nearest of three |\n\
                     | --- | --- | --- | --- | --- | --- | --- |\n"
            .to_owned();
    SCHEMAS.iter().for_each(|(name, text)| table.push_str(&line(name, text)));
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&page, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    } else {
        assert_eq!(shown, table, "run with UPDATE=1");
    }
}
