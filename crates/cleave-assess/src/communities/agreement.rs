//! How far two partitions agree.

use std::collections::BTreeMap;

/// The adjusted Rand index (Hubert and Arabie 1985): 1 for equal partitions, about 0 for partitions that agree no more
/// than chance would have it. Both name each item's group, in the same order of items.
pub fn adjusted_rand_index<A: Ord, B: Ord>(one: &[A], other: &[B]) -> f64 {
    let pairs = |count: usize| (count * count.saturating_sub(1)) as f64 / 2.0;
    let (mut both, mut ones, mut others) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for (a, b) in one.iter().zip(other) {
        *both.entry((a, b)).or_insert(0_usize) += 1;
        *ones.entry(a).or_insert(0_usize) += 1;
        *others.entry(b).or_insert(0_usize) += 1;
    }
    let together: f64 = both.values().map(|count| pairs(*count)).sum();
    let in_one: f64 = ones.values().map(|count| pairs(*count)).sum();
    let in_other: f64 = others.values().map(|count| pairs(*count)).sum();
    let all = pairs(one.len().min(other.len()));
    if all == 0.0 {
        return 1.0;
    }
    let expected = in_one * in_other / all;
    let most = f64::midpoint(in_one, in_other);
    if most - expected == 0.0 { 1.0 } else { (together - expected) / (most - expected) }
}

#[cfg(test)]
mod tests {
    use super::adjusted_rand_index;

    #[test]
    fn equal_partitions_agree_fully_and_the_textbook_case_has_its_value() {
        assert_eq!(adjusted_rand_index(&[1, 1, 2, 2], &["b", "b", "a", "a"]).to_bits(), 1.0_f64.to_bits());
        // One node of six in another group: 0.2424 by hand.
        let value = adjusted_rand_index(&[0, 0, 0, 1, 1, 1], &[0, 0, 1, 1, 2, 2]);
        assert!((value - 0.242_424).abs() < 1e-5, "{value}");
        assert!(adjusted_rand_index(&[0, 1, 0, 1], &[0, 0, 1, 1]) < 0.0);
    }
}
