//! What was put together by people: schemas, owners, and words in front of comments.

use super::tables::Tables;
use super::{Evidence, TieKind};
use std::collections::BTreeMap;

const SCHEMA: f64 = 0.5;
const OWNER: f64 = 0.2;
const COMMENT: f64 = 0.2;
/// Members of a larger group are each tied to so many others; more would not say more.
const NEAR: usize = 12;
/// Groups up to this size are tied all with all.
const SMALL: usize = 2 * NEAR;
/// A group that holds more than this share of all tables says nothing.
const COMMON: f64 = 0.6;

pub(super) fn weigh(tables: &Tables<'_>, into: &mut Evidence) {
    let of = |text: &dyn Fn(usize) -> Option<String>| {
        let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for number in 0..tables.nodes.len() {
            if let Some(text) = text(number) {
                groups.entry(text).or_default().push(number);
            }
        }
        groups
    };
    let schema = |number: usize| Some(tables.nodes[number].name.schema.as_str().to_owned());
    let owner = |number: usize| Some(tables.roots[number].owner.as_str().to_owned());
    let comment = |number: usize| tables.roots[number].comment.as_deref().and_then(tag);
    tie(&of(&schema), tables, (TieKind::Schema, SCHEMA, "both in schema"), into);
    tie(&of(&owner), tables, (TieKind::Owner, OWNER, "both owned by"), into);
    tie(&of(&comment), tables, (TieKind::Comment, COMMENT, "both comments begin with"), into);
}

fn tie(
    groups: &BTreeMap<String, Vec<usize>>,
    tables: &Tables<'_>,
    (kind, weight, says): (TieKind, f64, &str),
    into: &mut Evidence,
) {
    for (text, members) in groups {
        let size = members.len();
        if size as f64 > tables.nodes.len() as f64 * COMMON {
            continue;
        }
        // The larger the group, the less it says about each pair.
        let share = weight * (SMALL as f64 / size as f64).min(1.0);
        for (at, one) in members.iter().enumerate() {
            let reach = if size <= SMALL { size } else { NEAR };
            for step in 1..=reach {
                let next = at + step;
                if size <= SMALL && next >= size {
                    break;
                }
                into.add(*one, members[next % size], kind, share, format!("{says} {text}"));
            }
        }
    }
}

/// `billing` of `billing: what is owed` or `[billing] what is owed`.
fn tag(comment: &str) -> Option<String> {
    let inside = comment.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(tag, _)| tag);
    let before =
        || comment.split_once(':').map(|(tag, _)| tag).filter(|tag| tag.split_whitespace().count() <= 2);
    inside.or_else(before).map(|tag| tag.trim().to_lowercase()).filter(|tag| !tag.is_empty())
}

#[cfg(test)]
mod tests {
    use super::tag;

    #[test]
    fn a_module_is_read_from_the_front_of_a_comment() {
        assert_eq!(tag("[Billing] what is owed").as_deref(), Some("billing"));
        assert_eq!(tag("billing: what is owed").as_deref(), Some("billing"));
        assert_eq!(tag("What is owed, and one more thing: interest"), None);
        assert_eq!(tag("What is owed"), None);
    }
}
