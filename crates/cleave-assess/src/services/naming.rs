//! Names for services, from the words of their tables.

use crate::evidence::{Gathered, singular, tokens};
use cleave_model::ServiceName;
use std::collections::{BTreeMap, BTreeSet};

/// Leaves room for what Cleave adds, and for a number.
const NAME_BYTES_MAX: usize = 20;
/// Names that mean something else to PostgreSQL or to Cleave.
const TAKEN: [&str; 4] = ["public", "cleave", "information_schema", "pg_catalog"];

/// A name for each service: those of `decided` as they are, the others after the word that stands for most of their
/// tables and for few others; numbered where tables have no words.
pub(super) fn names(
    gathered: &Gathered<'_>,
    services: &[Vec<usize>],
    decided: &[Option<ServiceName>],
) -> Vec<ServiceName> {
    let words: Vec<BTreeSet<String>> = gathered
        .tables
        .nodes
        .iter()
        .map(|node| tokens(node.name.name.as_str()).into_iter().collect())
        .collect();
    let mut everywhere: BTreeMap<&str, usize> = BTreeMap::new();
    for word in words.iter().flatten() {
        *everywhere.entry(word).or_default() += 1;
    }
    let mut taken: BTreeSet<String> = decided.iter().flatten().map(ToString::to_string).collect();
    taken.extend(TAKEN.map(str::to_owned));
    let mut names = Vec::new();
    for (at, tables) in services.iter().enumerate() {
        if let Some(name) = decided.get(at).and_then(Option::as_ref) {
            names.push(name.clone());
            continue;
        }
        let candidates = ranked(gathered, tables, &words, &everywhere);
        let candidates = candidates.iter().map(|word| fitted(&plural(word)));
        let numbered = (1..).map(|number| format!("service_{number}"));
        let name = candidates
            .filter(|name| name.len() > 1)
            .chain(numbered)
            .filter(|name| !taken.contains(name))
            .find_map(|name| ServiceName::parse(&name).ok());
        // The numbered names never end, so one of them is free.
        if let Some(name) = name {
            taken.insert(name.to_string());
            names.push(name);
        }
    }
    names
}

/// The words of a service's tables, the best first.
fn ranked<'w>(
    gathered: &Gathered<'_>,
    tables: &[usize],
    words: &'w [BTreeSet<String>],
    everywhere: &BTreeMap<&str, usize>,
) -> Vec<&'w str> {
    let inside: BTreeSet<usize> = tables.iter().copied().collect();
    let mut referring: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for key in gathered.keys.iter().filter(|key| inside.contains(&key.child) && inside.contains(&key.parent))
    {
        referring.entry(key.parent).or_default().insert(key.child);
    }
    let mut scores: BTreeMap<&str, (f64, usize)> = BTreeMap::new();
    for table in tables {
        let central = 1.0 + referring.get(table).map_or(0, BTreeSet::len) as f64;
        for word in &words[*table] {
            let score = scores.entry(word).or_default();
            // A table of one word is what its service is about; in a longer name the word is one of several.
            score.0 += central / (words[*table].len() as f64).sqrt();
            score.1 += 1;
        }
    }
    let value = |(word, (sum, count)): &(&str, (f64, usize))| {
        sum * *count as f64 / everywhere.get(word).copied().unwrap_or(1).max(1) as f64
    };
    let mut ranked: Vec<(&str, (f64, usize))> = scores.into_iter().collect();
    ranked.sort_by(|a, b| value(b).total_cmp(&value(a)).then_with(|| a.0.cmp(b.0)));
    ranked.into_iter().map(|(word, _)| word).collect()
}

/// Letters that a service's name may have; others are left out.
fn fitted(word: &str) -> String {
    let letters = word.chars().filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_');
    letters.skip_while(|c| !c.is_ascii_lowercase()).take(NAME_BYTES_MAX).collect()
}

fn plural(word: &str) -> String {
    let consonant_before_y =
        word.ends_with('y') && !word.chars().rev().nth(1).is_some_and(|before| "aeiou".contains(before));
    if consonant_before_y && word.len() > 2 {
        format!("{}ies", &word[..word.len() - 1])
    } else if let Some(stem) = word.strip_suffix("is") {
        format!("{stem}es")
    } else if ["ss", "us", "sh", "ch", "x", "z"].iter().any(|end| word.ends_with(end)) {
        format!("{word}es")
    } else if word.ends_with('s') && singular(word) != word {
        word.to_owned()
    } else {
        format!("{word}s")
    }
}

#[cfg(test)]
mod tests {
    use super::{fitted, plural};

    #[test]
    fn services_are_called_by_the_plural_as_far_as_letters_allow() {
        for (word, expected) in [
            ("order", "orders"),
            ("category", "categories"),
            ("day", "days"),
            ("diagnosis", "diagnoses"),
            ("box", "boxes"),
        ] {
            assert_eq!(plural(word), expected);
        }
        assert_eq!(fitted("größen"), "gren");
        assert_eq!(fitted("a_very_long_name_of_a_table"), "a_very_long_name_of_");
    }
}
