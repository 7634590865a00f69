//! How far two partitions agree.

/// The adjusted Rand index (Hubert and Arabie 1985): 1 for equal partitions, about 0 for partitions that agree no more
/// than chance would have it. Both name each item's group, in the same order of items.
pub fn adjusted_rand_index<A: Ord, B: Ord>(one: &[A], other: &[B]) -> f64 {
    let items = one.len().min(other.len());
    let mut both: Vec<(&A, &B)> = one.iter().zip(other).collect();
    both.sort_unstable();
    let together = pairs_of_equals(&both);
    let in_one = pairs_of_equals(&both.iter().map(|pair| pair.0).collect::<Vec<_>>());
    let mut others: Vec<&B> = both.into_iter().map(|pair| pair.1).collect();
    others.sort_unstable();
    let in_other = pairs_of_equals(&others);
    let all = pairs(items);
    if all == 0.0 {
        return 1.0;
    }
    let expected = in_one * in_other / all;
    let most = f64::midpoint(in_one, in_other);
    if most - expected == 0.0 { 1.0 } else { (together - expected) / (most - expected) }
}

fn pairs(count: usize) -> f64 {
    (count * count.saturating_sub(1)) as f64 / 2.0
}

/// Pairs of equal items in a sorted list.
fn pairs_of_equals<T: PartialEq>(sorted: &[T]) -> f64 {
    sorted.chunk_by(|a, b| a == b).map(|equal| pairs(equal.len())).sum()
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
