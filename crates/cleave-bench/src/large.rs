//! A schema of 2,000 tables with 3,000 keys and 500 functions: 80 areas of 25 tables, most keys within an area.

use std::fmt::Write as _;

const AREAS: usize = 80;
const TABLES: usize = 25;
/// A second key of a table, for half of the tables.
const SECOND_KEYS: usize = 1000;
const FUNCTIONS: usize = 500;

/// The statements, in parts of a size that one message carries well.
pub(crate) fn schema() -> Vec<String> {
    let mut parts = Vec::new();
    let mut random = Sequence(1);
    for area in 0..AREAS {
        let mut part = String::new();
        for table in 0..TABLES {
            // The first table of an area refers to another area, the others to an earlier one of theirs.
            let refers = match (area, table) {
                (0, 0) => None,
                (_, 0) => Some((random.below(area), 0)),
                _ => Some((area, random.below(table))),
            };
            let key = refers.map_or_else(String::new, |(area, table)| {
                format!(", parent_id bigint not null references area_{area}_t{table} (id)")
            });
            // Writing to a String cannot fail.
            let _ = writeln!(
                part,
                "create table area_{area}_t{table} (id bigint primary key, name text, made_at timestamptz not null default now(){key});"
            );
        }
        parts.push(part);
    }
    let mut part = String::new();
    for number in 0..SECOND_KEYS + 1 {
        let (area, table) = (number % AREAS, 1 + number / AREAS);
        // One key in five leaves the area.
        let (other, there) =
            if number % 5 == 0 { (random.below(AREAS), 0) } else { (area, random.below(TABLES)) };
        let _ = writeln!(
            part,
            "alter table area_{area}_t{table} add other_id bigint references area_{other}_t{there} (id);"
        );
    }
    parts.push(part);
    let mut part = String::new();
    for number in 0..FUNCTIONS {
        let area = number % AREAS;
        let (one, two) = (random.below(TABLES), random.below(TABLES));
        let _ = writeln!(
            part,
            "create function f_{number}(wanted bigint) returns bigint language plpgsql as $$ declare n bigint; begin \
             select count(*) into n from area_{area}_t{one} a join area_{area}_t{two} b on b.id = a.id where a.id = wanted; \
             update area_{area}_t{one} set name = 'x' where id = wanted; return n; end $$;"
        );
    }
    parts.push(part);
    parts
}

/// Numbers that are the same each time (Knuth's multiplier).
struct Sequence(u64);

impl Sequence {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % limit.max(1)
    }
}
