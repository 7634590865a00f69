//! What a verification is worth over time: rows that never hold still, comparisons behind the verbs' back, and rounds in
//! which the home changes.

use crate::cinema::{Cinema, number, text};
use crate::repair::{Vandal, told};
use cleave_api::{CutoverOutcome, VerificationState};
use cleave_engine::{Answer, Engine, EngineError, Verb};
use cleave_sandbox::{Version, connect};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::task::JoinSet;

/// Enough for one of them to be unproven also where the machine is busy.
const TRIES: usize = 10;

/// Writers that change a few rows all the time, through the old name.
struct Restless {
    stop: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

impl Restless {
    async fn start(cinema: &Cinema) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for id in 1..=3 {
            let (client, stop) = (connect(&cinema.m.url()).await.unwrap(), Arc::clone(&stop));
            tasks.spawn(async move {
                let sql = format!("update film set title = 'restless ' || clock_timestamp() where id = {id}");
                while !stop.load(Ordering::Relaxed) {
                    client.batch_execute(&sql).await.unwrap();
                }
            });
        }
        Self { stop, tasks }
    }

    async fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(done) = self.tasks.join_next().await {
            done.unwrap();
        }
    }
}

async fn cut_over(engine: &mut Engine, cinema: &Cinema) -> Result<Answer, EngineError> {
    engine.execute(&cinema.films(), Verb::Cutover { dry_run: false }).await
}

fn outcome(answer: Result<Answer, EngineError>) -> (CutoverOutcome, Option<String>) {
    match answer.unwrap() {
        Answer::Switch(report) => (report.outcome, report.reason),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_never_hold_still_are_listed_and_compared_while_writers_wait() {
    let cinema = Cinema::new(Version::V14, Version::V18, "forward").await;
    let (mut engine, _canceller) = cinema.engine();
    engine.execute(&cinema.films(), Verb::Apply(None)).await.unwrap();
    let restless = Restless::start(&cinema).await;
    let mut unproven = None;
    for _ in 0..TRIES {
        let report = told(&mut engine, &cinema, Verb::Verify).await;
        assert_ne!(report.state, VerificationState::Different, "{report:?}");
        if report.state == VerificationState::Unproven {
            unproven = Some(report);
            break;
        }
    }
    let report = unproven.expect("a row that changes all the time was compared again and again");
    let listed: Vec<&str> = report.differences.iter().map(|row| row.key[0].1.as_str()).collect();
    assert!(listed.iter().all(|id| ["1", "2", "3"].contains(id)), "{report:?}");
    assert_eq!(outcome(cut_over(&mut engine, &cinema).await).0, CutoverOutcome::Switched);
    restless.stop().await;
    engine.close().await;
}

/// The last verification as if it had left these films unproven.
async fn left_unproven(cinema: &Cinema, ids: &str) {
    let sql = format!(
        "update cleave.move set verification = verification || jsonb_build_object('outcome', 'unproven', 'unproven', \
         (select jsonb_agg(jsonb_build_array('public.film', jsonb_build_array(id::text))) from public.film where {ids}))"
    );
    cinema.on_m().await.batch_execute(&sql).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unproven_row_that_differs_undoes_the_cutover_and_too_many_of_them_refuse_it() {
    let cinema = Cinema::new(Version::V15, Version::V17, "forward").await;
    let (mut engine, _canceller) = cinema.engine();
    engine.execute(&cinema.films(), Verb::Apply(None)).await.unwrap();
    assert_eq!(told(&mut engine, &cinema, Verb::Verify).await.state, VerificationState::Clean);
    cinema
        .on_m()
        .await
        .batch_execute("insert into film (title) select 'more' from generate_series(1, 600)")
        .await
        .unwrap();
    left_unproven(&cinema, "true").await;
    let many = cut_over(&mut engine, &cinema).await.unwrap_err();
    assert_eq!(many.code(), "C0710", "{many}");
    left_unproven(&cinema, "id <= 2").await;
    let vandal = Vandal::enter(cinema.on_n().await, &cinema).await;
    vandal.breaks("update films.film set title = 'broken' where id = 2").await;
    let (undone, reason) = outcome(cut_over(&mut engine, &cinema).await);
    assert_eq!(undone, CutoverOutcome::Aborted);
    assert!(reason.unwrap().contains("1 rows that the verification had left unproven differ"));
    let m = cinema.on_m().await;
    assert_eq!(text(&m, "select verification->>'outcome' from cleave.move").await, "different");
    m.batch_execute("update film set title = 'goes on' where id = 5").await.unwrap();
    assert_eq!(cut_over(&mut engine, &cinema).await.unwrap_err().code(), "C0710");
    let repaired = told(&mut engine, &cinema, Verb::Repair { dry_run: false }).await;
    assert_eq!(repaired.state, VerificationState::Clean);
    left_unproven(&cinema, "id <= 1000").await;
    assert_eq!(outcome(cut_over(&mut engine, &cinema).await).0, CutoverOutcome::Switched);
    engine.close().await;
    vandal.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_is_of_one_home_and_a_known_difference_keeps_it_from_going_back() {
    let cinema = Cinema::new(Version::V14, Version::V18, "forward").await;
    let (mut engine, _canceller) = cinema.engine();
    let films = cinema.films();
    engine.execute(&films, Verb::Apply(None)).await.unwrap();
    told(&mut engine, &cinema, Verb::Verify).await;
    assert_eq!(outcome(cut_over(&mut engine, &cinema).await).0, CutoverOutcome::Switched);
    let status = cleave_engine::status(&cinema.topology(), Some(&films)).await.unwrap();
    assert_eq!(status.services[0].verification.state, VerificationState::Stale);

    // As the way back itself would write it, if it were broken.
    engine.execute(&films, Verb::Pause).await.unwrap();
    let broken = format!(
        "select pg_replication_origin_session_setup('cleave_{films}_back'); set session_replication_role = replica; \
         update films_copy.film set title = 'broken' where id = 10"
    );
    let m = cinema.on_m().await;
    m.batch_execute(&broken).await.unwrap();
    m.batch_execute("select pg_replication_origin_session_reset()").await.unwrap();
    engine.execute(&films, Verb::Resume).await.unwrap();
    assert_eq!(told(&mut engine, &cinema, Verb::Verify).await.state, VerificationState::Different);
    let refused = engine.execute(&films, Verb::Rollback { dry_run: false }).await.unwrap_err();
    assert_eq!(refused.code(), "C0710", "{refused}");
    told(&mut engine, &cinema, Verb::Repair { dry_run: false }).await;
    let back = engine.execute(&films, Verb::Rollback { dry_run: false }).await;
    assert_eq!(outcome(back).0, CutoverOutcome::Switched);

    // What was clean for the other direction is no reason to go there again.
    let refused = cut_over(&mut engine, &cinema).await.unwrap_err();
    assert!(refused.code() == "C0710" && refused.to_string().contains("since its home changed"), "{refused}");
    told(&mut engine, &cinema, Verb::Verify).await;
    assert_eq!(outcome(cut_over(&mut engine, &cinema).await).0, CutoverOutcome::Switched);
    engine.close().await;
}

/// Looks until a condition on M holds.
async fn until(cinema: &Cinema, condition: &str) {
    let m = cinema.on_m().await;
    while number(&m, &format!("select count(*) from cleave.move where {condition}")).await == 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_compares_again_by_itself_and_withdraws_the_gate_when_rows_differ() {
    let mut cinema = Cinema::new(Version::V16, Version::V18, "forward").await;
    cinema.text.push_str("verify_every = \"1s\"\n");
    cinema.apply().await.unwrap();
    let (canceller, cancelled) = cleave_stream::cancellation();
    let topology = cinema.topology();
    let running = tokio::spawn(async move {
        cleave_engine::run(&topology, &cleave_engine::Events::silent(), &cancelled).await
    });
    let m = cinema.on_m().await;
    let lease = "select count(*) from cleave.lease where expires_at > clock_timestamp()";
    while number(&m, lease).await == 0 {
        tokio::task::yield_now().await;
    }
    // Not before somebody has verified once.
    cinema.verb(Verb::Verify).await.unwrap();
    let compared = "select count(*) from cleave.journal where step = 'verify' and event = 'done'";
    while number(&m, compared).await < 3 {
        tokio::task::yield_now().await;
    }
    let vandal = Vandal::enter(cinema.on_n().await, &cinema).await;
    vandal.breaks("delete from films.film_part where film_id = 3").await;
    until(&cinema, "verification->>'outcome' = 'different'").await;
    let elsewhere = |answer: Result<Answer, EngineError>| match answer.unwrap() {
        Answer::Elsewhere(exit, value) => (exit.code(), value),
        other => panic!("{other:?}"),
    };
    let (exit, said) = elsewhere(cinema.verb(Verb::Cutover { dry_run: false }).await);
    assert_eq!((exit, &said["problem"]["code"]), (4, &"C0710".into()), "{said}");
    let (exit, said) = elsewhere(cinema.verb(Verb::Repair { dry_run: false }).await);
    assert_eq!((exit, &said["verification"]["state"]), (0, &"clean".into()), "{said}");
    let (exit, said) = elsewhere(cinema.verb(Verb::Cutover { dry_run: false }).await);
    assert_eq!(exit, 0, "{said}");
    // The home has changed: the way back is compared at once, and nobody has to ask for it.
    until(&cinema, "verification->>'outcome' = 'clean' and verification->>'epoch' = '1'").await;
    let status = cleave_engine::status(&cinema.topology(), None).await.unwrap();
    assert_eq!(status.services[0].verification.state, VerificationState::Clean);
    canceller.cancel();
    running.await.unwrap().unwrap();
    vandal.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_table_without_a_key_are_repaired_in_a_move() {
    let mut cinema = Cinema::new(Version::V14, Version::V18, "forward").await;
    let m = cinema.on_m().await;
    m.batch_execute("create table visit (page text, n int); insert into visit select 'p' || n % 9, n % 4 from generate_series(1, 900) n")
        .await
        .unwrap();
    cinema.text = cinema
        .text
        .replace("\"public.film\"", "\"public.film\", \"public.visit\"")
        .replace("bridge = ", "identity = { \"public.visit\" = \"full\" }\nbridge = ");
    let (mut engine, _canceller) = cinema.engine();
    engine.execute(&cinema.films(), Verb::Apply(None)).await.unwrap();
    let vandal = Vandal::enter(cinema.on_n().await, &cinema).await;
    vandal
        .breaks(
            "delete from films.visit where ctid in (select ctid from films.visit where page = 'p1' and n = 1 limit 4);
             insert into films.visit values ('p1', 2), ('p1', 2), ('none', 7)",
        )
        .await;
    let found = told(&mut engine, &cinema, Verb::Verify).await;
    assert_eq!(found.tables.iter().map(|table| table.differences).sum::<u64>(), 7, "{found:?}");
    let repaired = told(&mut engine, &cinema, Verb::Repair { dry_run: false }).await;
    let summary = repaired.repaired.unwrap();
    assert_eq!((summary.written, summary.removed, repaired.state), (4, 3, VerificationState::Clean));
    m.batch_execute("delete from visit where page = 'p1' and n = 1").await.unwrap();
    assert_eq!(told(&mut engine, &cinema, Verb::Verify).await.state, VerificationState::Clean);
    engine.close().await;
    vandal.leave().await;
}
