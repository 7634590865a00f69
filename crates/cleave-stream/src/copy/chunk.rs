//! Dividing a table into ranges of blocks.

/// Blocks of a table's main file: from the first one up to, not including, the second. What is open has no end on that
/// side, so that the ranges of a table together are the whole of it, however it grew since it was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Blocks {
    from: Option<u64>,
    to: Option<u64>,
}

impl Blocks {
    /// The condition on a row's `ctid`. 14 and later scan only the range (`Tid Range Scan`).
    pub(super) fn condition(self) -> String {
        let from = self.from.map(|block| format!("ctid >= '({block},0)'::pg_catalog.tid"));
        let to = self.to.map(|block| format!("ctid < '({block},0)'::pg_catalog.tid"));
        from.into_iter().chain(to).collect::<Vec<_>>().join(" and ")
    }
}

/// Ranges of about `chunk_bytes` of a table that has `blocks` blocks and, with what is stored beside them, `bytes`. A
/// table of fewer than four chunks, or without a second block, is not divided: there are none.
pub(super) fn divide(blocks: u64, bytes: u64, chunk_bytes: u64) -> Vec<Blocks> {
    let count = (bytes / chunk_bytes.max(1)).min(blocks).min(CHUNKS_MAX);
    if bytes / chunk_bytes.max(1) < CHUNKS_MIN || count < 2 {
        return Vec::new();
    }
    let at = |number: u64| {
        let block = u128::from(blocks) * u128::from(number) / u128::from(count);
        u64::try_from(block).unwrap_or(blocks)
    };
    let end = |number: u64| (number > 0 && number < count).then(|| at(number));
    (0..count).map(|number| Blocks { from: end(number), to: end(number + 1) }).collect()
}

/// What copying a table and building its indexes takes, in bytes of rows that are copied.
pub(super) fn work(bytes: u64, indexes: usize) -> u64 {
    bytes.saturating_add((bytes / 5).saturating_mul(indexes as u64))
}

/// Whether a table of so many bytes is better read by several workers than by one, where everything that is to be done is
/// `all` work. Written whole it can be frozen, which spares a third of the work at the target. So it is divided only if
/// the other workers would be done, and wait, before the one that reads it.
pub(super) fn pays(bytes: u64, all: u64, jobs: usize) -> bool {
    u128::from(bytes) * jobs as u128 > u128::from(all) + u128::from(bytes / 3)
}

/// A smaller table is read by one worker, which can write it frozen.
const CHUNKS_MIN: u64 = 4;

/// Each chunk is a transaction, and a place in a list.
const CHUNKS_MAX: u64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_each_other_and_are_open_at_both_ends() {
        for (blocks, bytes, chunk) in
            [(100, 4000, 1000), (7, 1 << 40, 1), (2, 4, 1), (1 << 32, 1 << 45, 1 << 20)]
        {
            let ranges = divide(blocks, bytes, chunk);
            let count = ranges.len() as u64;
            assert!(count > 1 && count <= blocks && count <= CHUNKS_MAX, "{blocks} {bytes} {chunk}");
            assert_eq!((ranges[0].from, ranges.last().unwrap().to), (None, None));
            for pair in ranges.windows(2) {
                assert!(pair[0].to.is_some() && pair[0].to == pair[1].from, "{pair:?}");
                assert!(pair[0].from.unwrap_or(0) < pair[0].to.unwrap(), "{pair:?}");
            }
        }
    }

    #[test]
    fn a_table_of_few_chunks_or_blocks_stays_whole() {
        for (blocks, bytes) in [(100, 3999), (1, 1 << 40), (0, 0), (0, 1 << 30)] {
            assert_eq!(divide(blocks, bytes, 1000), []);
        }
    }

    #[test]
    fn a_table_is_divided_only_if_workers_would_wait_for_it() {
        let all =
            |tables: &[(u64, usize)]| tables.iter().map(|(bytes, indexes)| work(*bytes, *indexes)).sum();
        assert!(!pays(9 << 40, all(&[(9 << 40, 1)]), 1), "nobody waits");
        assert!(pays(1000, all(&[(1000, 3)]), 2), "one alone");
        assert!(!pays(1000, all(&[(1000, 1), (700, 4)]), 2), "its fellow has more indexes");
        assert!(pays(1000, all(&[(1000, 1), (100, 1)]), 2));
        assert!(pays(1000, all(&[(1000, 1), (1000, 1), (1000, 1)]), 8));
        assert!(!pays(1000, all(&[(1000, 1); 10]), 8));
    }

    #[test]
    fn the_condition_names_the_ends_there_are() {
        let ranges = divide(100, 4000, 1000);
        assert_eq!(ranges[0].condition(), "ctid < '(25,0)'::pg_catalog.tid");
        assert_eq!(
            ranges[1].condition(),
            "ctid >= '(25,0)'::pg_catalog.tid and ctid < '(50,0)'::pg_catalog.tid"
        );
        assert_eq!(ranges[3].condition(), "ctid >= '(75,0)'::pg_catalog.tid");
    }
}
