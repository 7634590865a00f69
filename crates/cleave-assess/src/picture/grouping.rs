//! Tables that can be drawn together: by schema, and by the keys between them.

use super::survey::{DrawnTable, Group, GroupKind, Key};
use std::collections::{BTreeMap, BTreeSet};

/// Groups of at most `most` tables. A schema is a group if it fits; a larger one is parted along its keys.
pub(super) fn by_schema_and_keys(tables: &[DrawnTable], keys: &[Key], most: usize) -> Vec<Group> {
    let mut schemas: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, table) in tables.iter().enumerate() {
        schemas.entry(table.name.schema.as_str()).or_default().push(place);
    }
    let mut groups = Vec::new();
    let several = schemas.len() > 1;
    for (schema, members) in schemas {
        if members.len() <= most {
            groups.push(Group { name: schema.to_owned(), kind: GroupKind::Schema, tables: members });
            continue;
        }
        for part in parts(&members, keys, most) {
            let centre = centre(&part, keys).map_or("empty", |table| tables[table].name.name.as_str());
            let name = if several { format!("{schema}.{centre}") } else { centre.to_owned() };
            groups.push(Group { name, kind: GroupKind::Connected, tables: part });
        }
    }
    let mut names = BTreeSet::new();
    for group in &mut groups {
        let wanted = group.name.clone();
        let mut number = 2;
        while !names.insert(group.name.clone()) {
            group.name = format!("{wanted} {number}");
            number += 1;
        }
    }
    groups
}

/// The table with most keys inside the part, then the first.
fn centre(part: &[usize], keys: &[Key]) -> Option<usize> {
    let inside: BTreeSet<usize> = part.iter().copied().collect();
    let mut degree: BTreeMap<usize, usize> = part.iter().map(|&table| (table, 0)).collect();
    for key in keys.iter().filter(|key| inside.contains(&key.from) && inside.contains(&key.to)) {
        *degree.entry(key.to).or_default() += 2;
        *degree.entry(key.from).or_default() += 1;
    }
    part.iter().copied().max_by_key(|table| (degree.get(table), std::cmp::Reverse(*table)))
}

/// Parts of at most `most` members, joined pair by pair where keys tie them most for their size. Members without a
/// tie, and parts of one, are put together at the end, so that there are few drawings.
pub(super) fn parts(members: &[usize], keys: &[Key], most: usize) -> Vec<Vec<usize>> {
    let at: BTreeMap<usize, usize> = members.iter().enumerate().map(|(at, &table)| (table, at)).collect();
    let mut parts: Vec<Vec<usize>> = members.iter().map(|&table| vec![table]).collect();
    let mut ties: Vec<BTreeMap<usize, f64>> = vec![BTreeMap::new(); members.len()];
    let inside: Vec<(usize, usize)> = keys
        .iter()
        .filter_map(|key| Some((*at.get(&key.from)?, *at.get(&key.to)?)))
        .filter(|(from, to)| from != to)
        .collect();
    let mut degree = vec![0.0_f64; members.len()];
    for &(from, to) in &inside {
        degree[from] += 1.0;
        degree[to] += 1.0;
    }
    for &(from, to) in &inside {
        // A key to a table that everybody refers to says little.
        let weight = 1.0 / (degree[from] * degree[to]).sqrt();
        *ties[from].entry(to).or_default() += weight;
        *ties[to].entry(from).or_default() += weight;
    }
    while let Some((one, other)) = closest(&parts, &ties, most) {
        let moved = std::mem::take(&mut parts[other]);
        parts[one].extend(moved);
        for (third, weight) in std::mem::take(&mut ties[other]) {
            ties[third].remove(&other);
            if third != one {
                *ties[one].entry(third).or_default() += weight;
                *ties[third].entry(one).or_default() += weight;
            }
        }
    }
    gather(parts, most)
}

fn closest(parts: &[Vec<usize>], ties: &[BTreeMap<usize, f64>], most: usize) -> Option<(usize, usize)> {
    let mut best: Option<(f64, usize, usize)> = None;
    for (one, near) in ties.iter().enumerate() {
        for (&other, weight) in near.range(one + 1..) {
            let size = parts[one].len() + parts[other].len();
            let score = weight / (size as f64).sqrt();
            if size <= most && best.is_none_or(|best| score > best.0) {
                best = Some((score, one, other));
            }
        }
    }
    best.map(|(_, one, other)| (one, other))
}

/// Parts with their members in order, the largest first; small ones share a drawing.
fn gather(parts: Vec<Vec<usize>>, most: usize) -> Vec<Vec<usize>> {
    let small = most / 8;
    let (mut small, mut large): (Vec<_>, Vec<_>) =
        parts.into_iter().filter(|part| !part.is_empty()).partition(|part| part.len() <= small);
    small.sort_by_key(|part| (std::cmp::Reverse(part.len()), part.first().copied()));
    let mut gathered: Vec<usize> = Vec::new();
    for part in small {
        if gathered.len() + part.len() > most {
            large.push(std::mem::take(&mut gathered));
        }
        gathered.extend(part);
    }
    if !gathered.is_empty() {
        large.push(gathered);
    }
    large.iter_mut().for_each(|part| part.sort_unstable());
    large.sort_by_key(|part| (std::cmp::Reverse(part.len()), part.first().copied()));
    large
}
