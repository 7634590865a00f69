//! Tables without a key are compared as multisets.

use crate::sides::{Sides, table};
use cleave_sandbox::Version;

const VISITS: &str = "create table visit (page text, n int);
    insert into visit select 'p' || n % 50, n % 7 from generate_series(1, 3500) n;
    insert into visit values (null, null), (null, null), ('', 1)";

async fn check(hint: &str, sql: &str, key: usize, expected: &[&str]) {
    let sides = Sides::create(Version::V14, Version::V18, hint).await;
    sides.both(VISITS).await;
    sides.on_follower(sql).await;
    assert_eq!(sides.compare(table("visit", &["page", "n"], key)).await, expected);
}

#[tokio::test]
async fn duplicates_in_another_order_are_equal() {
    check(
        "order",
        "create temp table t as select * from visit order by n desc, page; truncate visit; \
         insert into visit select * from t",
        0,
        &["3503 rows: 3503 equal, 0 missing, 0 extra, 0 different, 0 unproven"],
    )
    .await;
}

#[tokio::test]
async fn a_duplicate_too_many_or_too_few_is_counted() {
    check(
        "counts",
        "delete from visit where ctid = (select min(ctid) from visit where page = 'p1' and n = 1); \
         insert into visit values (null, null), (null, null), ('new', null)",
        0,
        &[
            "3503 rows: 3502 equal, 1 missing, 3 extra, 0 different, 0 unproven",
            "extra 0 to 1",
            "extra 2 to 4",
            "missing 10 to 9",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_key_that_may_be_null_is_no_key() {
    check(
        "nulls",
        "update visit set n = 5 where ctid = (select min(ctid) from visit where page is null)",
        1,
        &[
            "3503 rows: 3502 equal, 1 missing, 1 extra, 0 different, 0 unproven",
            "extra 0 to 1",
            "missing 2 to 1",
        ],
    )
    .await;
}
