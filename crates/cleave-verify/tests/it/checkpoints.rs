//! A comparison that was ended goes on where it was.

use crate::sides::{Sides, described, table};
use cleave_sandbox::Version;
use cleave_verify::{
    Checkpoints, Reached, VerifyLimits, VerifyOutcome, VerifyProgress, VerifySpec, VerifyTable, verify,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

type Kept = Arc<Mutex<BTreeMap<String, Reached>>>;

fn checkpoints(kept: &Kept) -> Checkpoints {
    let keeper = Arc::clone(kept);
    Checkpoints {
        reached: kept.lock().unwrap().clone(),
        keep: Some(Arc::new(move |table, reached| {
            keeper.lock().unwrap().insert(table.title(), reached);
            Box::pin(async { Ok(()) })
        })),
    }
}

fn tables() -> Vec<VerifyTable> {
    vec![table("film", &["a", "b", "v"], 2), table("note", &["v"], 0)]
}

fn spec(sides: &Sides, kept: &Kept) -> VerifySpec {
    let limits = VerifyLimits { scan_bytes: 64 << 10, ..VerifyLimits::default() };
    VerifySpec { limits, jobs: 1, checkpoints: checkpoints(kept), ..sides.spec(tables()) }
}

/// Compares until so many parts have been read, then drops everything, as a kill does.
async fn killed_after(sides: &Sides, kept: &Kept, parts: u64) {
    let (read, mut reading) = tokio::sync::watch::channel(0_u64);
    let comparison = verify(spec(sides, kept), move |event| {
        if matches!(event, VerifyProgress::Scanned { .. }) {
            read.send_modify(|parts| *parts += 1);
        }
    });
    tokio::select! {
        biased;
        _ = reading.wait_for(|read| *read >= parts) => {}
        done = comparison => panic!("it ended before it was killed: {done:?}"),
    }
}

/// The outcome and the rows that were read.
async fn ended(sides: &Sides, kept: &Kept) -> (VerifyOutcome, u64) {
    let read = Mutex::new(0);
    let outcome = verify(spec(sides, kept), |event| {
        if let VerifyProgress::Scanned { rows, .. } = event {
            *read.lock().unwrap() += rows;
        }
    });
    let outcome = outcome.await.unwrap();
    (outcome, read.into_inner().unwrap())
}

async fn sides(hint: &str) -> Sides {
    let sides = Sides::create(Version::V14, Version::V18, hint).await;
    sides
        .both(
            "create table film (a text, b int, v text, primary key (a, b)); \
             insert into film select 'k' || n / 7, n, repeat('v', 30) from generate_series(1, 6000) n; \
             create table note (v text); insert into note select 'n' || n from generate_series(1, 50) n; analyze",
        )
        .await;
    sides
}

#[tokio::test]
async fn a_comparison_that_was_killed_goes_on_at_the_part_where_it_was() {
    let sides = sides("resume").await;
    let kept = Kept::default();
    killed_after(&sides, &kept, 3).await;
    let before = kept.lock().unwrap()["public.film"].clone();
    assert!(before.rows > 0 && before.rows < 6000 && !before.done, "{before:?}");
    // What is broken behind that place is found by the next one.
    sides
        .on_follower(
            "update film set v = 'x' where (a, b) = (select a, b from film order by a desc, b desc limit 1)",
        )
        .await;
    let (outcome, read) = ended(&sides, &kept).await;
    assert_eq!(outcome.tables[0].resumed, before.rows);
    assert_eq!(read, 6050 - before.rows);
    assert_eq!(
        described(&outcome.tables[0])[0],
        "6000 rows: 5999 equal, 0 missing, 0 extra, 1 different, 0 unproven"
    );
    // Tables that were done are not read again; the part with the difference is.
    let (outcome, read) = ended(&sides, &kept).await;
    assert_eq!((outcome.tables[1].resumed, outcome.tables[0].different), (50, 1));
    assert!(read < 6000 - before.rows + 1, "{read}");
}

#[tokio::test]
async fn a_table_that_is_read_in_another_order_now_is_begun_anew() {
    let sides = sides("reorder").await;
    let kept = Kept::default();
    killed_after(&sides, &kept, 3).await;
    kept.lock().unwrap().get_mut("public.film").unwrap().order = vec!["b".to_owned()];
    let (outcome, read) = ended(&sides, &kept).await;
    assert_eq!((outcome.tables[0].resumed, read), (0, 6050));
    assert!(outcome.is_clean());
}
