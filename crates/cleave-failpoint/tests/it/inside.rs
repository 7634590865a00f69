//! Points told by the process itself. Each test has points of its own, because they belong to the whole process.

use std::time::{Duration, Instant};

use cleave_failpoint::{Action, FailpointError, Trigger, hit, hit_async, hits, set, set_here, try_hit};

#[tokio::test]
async fn a_point_that_was_told_nothing_only_counts() {
    hit("inside.quiet");
    hit_async("inside.quiet").await;
    assert_eq!(try_hit("inside.quiet").await, Ok(()));
    assert!(hits().contains(&("inside.quiet", 3)));
}

#[tokio::test]
async fn a_point_fails_until_its_guard_is_dropped() {
    let armed = set("inside.error", Action::Error);
    let error = try_hit("inside.error").await;
    assert_eq!(error, Err(FailpointError { name: "inside.error" }));
    drop(armed);
    assert_eq!(try_hit("inside.error").await, Ok(()));
}

#[tokio::test]
async fn a_count_means_that_passing_only() {
    let _armed = set("inside.third", "3*error".parse::<Trigger>().unwrap());
    let mut outcomes = Vec::new();
    for _ in 0..5 {
        outcomes.push(try_hit("inside.third").await.is_err());
    }
    assert_eq!(outcomes, [false, false, true, false, false]);
}

#[tokio::test]
async fn an_old_guard_does_not_clear_what_was_told_later() {
    let old = set("inside.replaced", Action::Sleep(Duration::ZERO));
    let _new = set("inside.replaced", Action::Error);
    drop(old);
    assert!(try_hit("inside.replaced").await.is_err());
}

#[tokio::test]
async fn a_sleeping_point_lets_other_tasks_run() {
    let _armed = set("inside.sleep", Action::Sleep(Duration::from_millis(50)));
    let start = Instant::now();
    tokio::join!(hit_async("inside.sleep"), hit_async("inside.sleep"));
    assert!(start.elapsed() >= Duration::from_millis(50));
    hit("inside.sleep");
    assert!(start.elapsed() >= Duration::from_millis(100));
}

#[tokio::test]
async fn a_paused_point_shows_its_file_and_goes_on_when_the_file_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("reached");
    let _armed = set("inside.pause", Action::Pause(file.clone()));
    let paused = tokio::spawn(try_hit("inside.pause"));
    while !file.exists() {
        tokio::task::yield_now().await;
    }
    assert!(!paused.is_finished());
    std::fs::remove_file(&file).unwrap();
    assert_eq!(paused.await.unwrap(), Ok(()));
}

#[test]
#[should_panic(expected = "failpoint inside.infallible was told to return an error")]
fn an_error_where_none_can_be_returned_is_a_mistake() {
    let _armed = set("inside.infallible", Action::Error);
    hit("inside.infallible");
}

#[tokio::test]
async fn a_point_told_here_acts_on_this_thread_only_and_goes_before_the_process() {
    const POINT: &str = "inside.here";
    let _everywhere = set(POINT, Action::Error);
    let here = set_here(POINT, Action::Sleep(Duration::ZERO));
    assert_eq!(try_hit(POINT).await, Ok(()));
    let elsewhere = std::thread::spawn(|| {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(try_hit(POINT))
    });
    assert_eq!(elsewhere.join().unwrap(), Err(FailpointError { name: POINT }));
    drop(here);
    assert!(try_hit(POINT).await.is_err());
}
