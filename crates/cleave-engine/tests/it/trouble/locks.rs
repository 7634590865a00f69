//! Locks that cannot be had and pauses that last too long: the cutover undoes itself and no writer is told of it.

use super::servers::verified;
use super::stage::{House, LIMIT, Stage, aborted, on, switched};
use cleave_api::Event;
use cleave_engine::{EngineError, Events, Verb, Wishes};
use cleave_failpoint::{Action, set_here};
use cleave_stream::cancellation;
use std::time::Duration;

/// A cutover under load that does not get through: what it says, while the writers see nothing of it. Afterwards
/// `free` lets go, and the same command switches.
async fn check_blocked(
    house: &House,
    stage: &Stage,
    free: impl Future<Output = ()>,
) -> Result<String, EngineError> {
    let workload = stage.writers().await;
    let result = stage.cutover().await;
    assert!(workload.wait_for(20, LIMIT).await);
    assert_eq!(stage.home().await, "monolith");
    let said = match result {
        Err(error) => stage.say(&error.problem()),
        Ok(_) => aborted(result),
    };
    free.await;
    switched(stage.cutover().await);
    assert!(workload.wait_for(20, LIMIT).await);
    let record = workload.stop().await.unwrap();
    assert!(record.refused.is_empty(), "{:?}", record.errors);
    house.stage.check(&record, true).await;
    Ok(said)
}

#[tokio::test]
async fn a_reader_that_does_not_end_is_named_and_no_writer_is_refused() {
    let house = House::verified("reader").await;
    let stage = house.stage.with("lock_budget = \"20s\"", "lock_budget = \"1500ms\"");
    let reader = on(&stage.m, "set application_name = 'report'; begin; select count(*) from film").await;
    let free = async { reader.batch_execute("commit").await.unwrap() };
    let said = check_blocked(&house, &stage, free).await.unwrap();
    assert!(
        said.contains("(user postgres, application \"report\", idle in transaction, transaction "),
        "{said}"
    );
    assert!(
        said.starts_with(
            "the locks could not be had within lock_budget: public.film, public.inventory in monolith: pid "
        ),
        "{said}"
    );
}

#[tokio::test]
async fn a_ladder_that_gets_long_is_told_with_who_is_in_the_way() {
    let house = House::verified("told").await;
    let reader =
        on(&house.stage.m, "set application_name = 'report'; begin; select count(*) from film").await;
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let events = Events::new(move |event| {
        if let Event::Note { message, .. } = event {
            // Nobody listens any more once the first attempts were heard.
            let _ = told.send(message);
        }
    });
    let (_canceller, cancelled) = cancellation();
    let (topology, service) = (house.stage.topology(), house.stage.service());
    let verb = Verb::Cutover { dry_run: false };
    let cutover = cleave_engine::execute(&topology, &service, verb, &events, &cancelled);
    let listen = async {
        let told = heard.recv().await.unwrap();
        let expected = "attempt 16 did not get its locks; writers go on, the next one follows in ";
        assert!(told.starts_with(expected) && told.contains(" ms; in the way: in monolith pid "), "{told}");
        assert!(told.contains("application \"report\""), "{told}");
        reader.batch_execute("commit").await.unwrap();
    };
    let (result, ()) = tokio::join!(cutover, listen);
    switched(result);
}

#[tokio::test]
async fn a_new_home_without_room_for_the_sessions_of_the_old_one_is_refused() {
    let house = House::verified("no_room").await;
    let stage = &house.stage;
    let _application = on(&stage.m, "select 1").await;
    let limit =
        "do $$ begin execute format('alter database %I connection limit LIMIT', current_database()); end $$";
    stage.on_n(&limit.replace("LIMIT", "0")).await;
    let said = stage.said(stage.cutover().await);
    assert!(said.starts_with("C0716 exit 4: products has 0 connections free, but monolith has "), "{said}");
    assert!(said.contains("hint: raise max_connections there"), "{said}");
    assert_eq!(stage.home().await, "monolith");
    stage.on_n(&limit.replace("LIMIT", "-1")).await;
    switched(stage.cutover().await);
}

/// A cutover whose operator wishes blockers to be ended after a second: what was told of it.
async fn cutover_that_ends_blockers(
    stage: &Stage,
) -> (Result<cleave_engine::Answer, EngineError>, Vec<String>) {
    let told: std::sync::Arc<std::sync::Mutex<Vec<String>>> = std::sync::Arc::default();
    let heard = std::sync::Arc::clone(&told);
    let events = Events::new(move |event| {
        if let Event::Note { message, .. } = event {
            heard.lock().unwrap().push(message);
        }
    });
    let (_canceller, cancelled) = cancellation();
    let wishes = Wishes { terminate_blockers_after: Some(Duration::from_secs(1)), ..Wishes::default() };
    let topology = stage.topology().wishing(wishes);
    let verb = Verb::Cutover { dry_run: false };
    let result = cleave_engine::execute(&topology, &stage.service(), verb, &events, &cancelled).await;
    let told = told.lock().unwrap().clone();
    (result, told)
}

#[tokio::test]
async fn who_keeps_a_switch_from_its_locks_is_ended_where_the_operator_wishes_it() {
    for (hint, sql) in [
        ("ends_reader", "begin; select count(*) from film"),
        ("ends_idle", "begin; update inventory set film_id = film_id where id = 1"),
        ("ends_vacuum", "begin; lock table film in share update exclusive mode"),
    ] {
        let house = House::verified(hint).await;
        let workload = house.stage.writers().await;
        let blocker = on(&house.stage.m, &format!("set application_name = 'report'; {sql}")).await;
        let (result, told) = cutover_that_ends_blockers(&house.stage).await;
        switched(result);
        let ended: Vec<&String> = told.iter().filter(|line| line.starts_with("ended a session")).collect();
        assert_eq!(ended.len(), 1, "{hint}: {told:?}");
        assert!(
            ended[0].contains("in monolith pid ") && ended[0].contains("application \"report\""),
            "{ended:?}"
        );
        assert!(blocker.batch_execute("commit").await.is_err(), "{hint}: the blocker lives");
        let record = workload.stop().await.unwrap();
        assert!(record.refused.is_empty(), "{hint}: {:?}", record.errors);
        let journaled = "select count(*) = 1 from cleave.journal
                         where service = 'SERVICE' and detail->>'blocker' like 'ended a session%'";
        house.stage.until(&house.stage.m, journaled).await;
    }
}

#[tokio::test]
async fn a_table_that_somebody_maintains_is_named_and_no_writer_is_refused() {
    let house = House::verified("vacuum").await;
    let stage = house.stage.with("lock_budget = \"20s\"", "lock_budget = \"1500ms\"");
    // VACUUM's own lock, held for as long as the test likes.
    let vacuum = on(
        &stage.m,
        "set application_name = 'nightly'; begin; lock table film in share update exclusive mode",
    )
    .await;
    let free = async { vacuum.batch_execute("commit").await.unwrap() };
    let said = check_blocked(&house, &stage, free).await.unwrap();
    let expected = "C0703 exit 4: public.film is locked and does not become free: pid ";
    assert!(said.starts_with(expected) && said.contains("application \"nightly\""), "{said}");
    assert!(said.contains("hint: wait for it to end, or end it"), "{said}");
}

#[tokio::test]
async fn a_prepared_transaction_is_named_before_anybody_waits() {
    let house = House::verified("prepared").await;
    let name = format!("forgotten {}", std::process::id());
    let prepare = format!("begin; insert into film (title) values ('p'); prepare transaction '{name}'");
    house.stage.on_m(&prepare).await;
    let stage = house.stage.clone();
    let free = async {
        stage.on_m(&format!("commit prepared '{name}'")).await;
    };
    let said = check_blocked(&house, &house.stage, free).await.unwrap();
    assert_eq!(
        said,
        format!(
            "C0703 exit 4: prepared transaction \"{name}\" in monolith holds locks on the tables\n\
             hint: commit or roll it back: `commit prepared '...'`"
        )
    );
}

#[tokio::test]
async fn a_pause_over_budget_is_undone_with_its_own_exit_code_and_no_writer_is_refused() {
    let house = House::verified("budget").await;
    let stage = house.stage.with("write_pause = \"3s\"", "write_pause = \"2s\"");
    let workload = stage.writers().await;
    for point in ["cutover.fence.after", "cutover.half_open.after", "switch.commit.before"] {
        let armed = set_here(point, Action::Sleep(Duration::from_secs(5)));
        let said = aborted(stage.cutover().await);
        drop(armed);
        assert!(said.contains("2000 ms") || said.contains("write_pause"), "{point}: {said}");
        assert!(workload.wait_for(20, LIMIT).await);
        assert_eq!(stage.home().await, "monolith");
    }
    switched(house.stage.cutover().await);
    assert!(workload.wait_for(20, LIMIT).await);
    for point in ["rollback.fence.after", "rollback.close.after", "switch.commit.before"] {
        let armed = set_here(point, Action::Sleep(Duration::from_secs(5)));
        let result = stage.rollback().await;
        drop(armed);
        let Ok(cleave_engine::Answer::Switch(report)) = result else { panic!("{point}: {result:?}") };
        assert_eq!(cleave_engine::exit_of_switch(report.outcome).code(), 6, "{point}: {report:?}");
        assert_eq!(report.home, "products", "{point}");
        assert!(workload.wait_for(20, LIMIT).await);
    }
    switched(house.stage.rollback().await);
    let record = workload.stop().await.unwrap();
    assert!(record.refused.is_empty(), "{:?}", record.errors);
    house.stage.check(&record, false).await;
    verified(&house.stage).await;
}
