//! What names say: two tables that share a rare word are likelier to belong together.

use super::tables::Tables;
use super::{Evidence, TieKind};
use std::collections::{BTreeMap, BTreeSet};

const NAMES: f64 = 0.4;
/// Names that share less than this of their words, rare words counting more, say nothing.
const SHARED_MIN: f64 = 0.2;
/// A word in more names than this share is a habit of the schema.
const COMMON: f64 = 0.5;
/// A word in more names than this would tie too many pairs to mean something.
const NAMES_MAX: usize = 60;

/// The words of a name in lower case and singular; numbers and single letters left out.
pub(crate) fn tokens(name: &str) -> Vec<String> {
    let mut words: Vec<String> = vec![String::new()];
    let mut before = ' ';
    let letters: Vec<char> = name.chars().collect();
    for (at, &letter) in letters.iter().enumerate() {
        let next_is_small = letters.get(at + 1).is_some_and(|next| next.is_lowercase());
        let new_word =
            letter.is_uppercase() && (before.is_lowercase() || before.is_uppercase() && next_is_small);
        if new_word || !letter.is_alphabetic() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| letter.is_alphabetic()) {
            word.extend(letter.to_lowercase());
        }
        before = letter;
    }
    words.retain(|word| word.chars().count() > 1);
    words.iter().map(|word| singular(word)).collect()
}

/// The singular of an English noun, as far as endings tell it; what is wrong is wrong for all names alike.
pub(crate) fn singular(word: &str) -> String {
    let ends = |end: &str| word.len() > end.len() + 1 && word.ends_with(end);
    if ends("ies") && word.len() > 4 {
        return format!("{}y", &word[..word.len() - 3]);
    }
    if ["sses", "shes", "ches", "xes", "zes"].iter().any(|end| ends(end)) {
        return word[..word.len() - 2].to_owned();
    }
    let plural = ends("s") && !["ss", "us", "is"].iter().any(|end| word.ends_with(end));
    if plural { word[..word.len() - 1].to_owned() } else { word.to_owned() }
}

/// Ties between tables whose names share words.
pub(super) fn weigh(tables: &Tables<'_>, into: &mut Evidence) {
    let words: Vec<BTreeSet<String>> =
        tables.nodes.iter().map(|node| tokens(node.name.name.as_str()).into_iter().collect()).collect();
    let mut holders: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (number, words) in words.iter().enumerate() {
        for word in words {
            holders.entry(word).or_default().push(number);
        }
    }
    let nodes = tables.nodes.len() as f64;
    holders.retain(|_, tables| (tables.len() as f64) <= nodes * COMMON || tables.len() < 3);
    let rarity = |word: &str| holders.get(word).map_or(0.0, |tables| (nodes / tables.len() as f64).ln());
    let total: Vec<f64> = words.iter().map(|words| words.iter().map(|word| rarity(word)).sum()).collect();
    let mut shared: BTreeMap<(usize, usize), (f64, Vec<&str>)> = BTreeMap::new();
    for (word, tables) in holders.iter().filter(|(_, tables)| tables.len() <= NAMES_MAX) {
        for (at, high) in tables.iter().enumerate() {
            for low in &tables[..at] {
                let entry = shared.entry((*low, *high)).or_default();
                entry.0 += rarity(word);
                entry.1.push(word);
            }
        }
    }
    for ((low, high), (sum, words)) in shared {
        let share = sum / (total[low] + total[high] - sum);
        if share >= SHARED_MIN {
            into.add(low, high, TieKind::Name, NAMES * share, format!("both say {}", words.join(" ")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::tokens;

    #[test]
    fn a_name_is_split_at_underscores_and_capitals_and_made_singular() {
        for (name, expected) in [
            ("order_lines", vec!["order", "line"]),
            ("PurchaseOrderLine", vec!["purchase", "order", "line"]),
            ("HTTPRequests", vec!["http", "request"]),
            ("categories", vec!["category"]),
            ("addresses", vec!["address"]),
            ("status", vec!["status"]),
            ("t_001", vec![]),
            ("boxes2", vec!["box"]),
        ] {
            assert_eq!(tokens(name), expected, "{name}");
        }
    }
}
