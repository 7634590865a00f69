//! Several services in one switch: all or none.

mod stage;
mod surroundings;

use self::stage::{AT_M, AT_N, LIMIT, Stage, aborted, switched};
use cleave_engine::Verb;
use cleave_failpoint::{Action, set_here};
use cleave_sandbox::{Cluster, Options, StopMode, Version};
use cleave_testkit::TestDatabase;
use std::time::Duration;

/// The keys between the services' tables, all of them proven.
fn keys_as_before() -> Vec<(String, bool)> {
    ["film film_store_id_fkey", "inventory inventory_film_id_fkey", "store store_flagship_fkey"]
        .map(|key| (key.to_owned(), true))
        .to_vec()
}

async fn there_and_back(stage: &Stage) {
    let writers = stage.writers().await;
    for round in 0..2 {
        let report = switched(stage.cutover().await);
        let homes = (report.home.as_str(), report.with[0].home.as_str());
        assert_eq!(
            (homes, report.epoch, report.with[0].epoch),
            (("cinema", "retail"), 2 * round + 1, 2 * round + 1)
        );
        assert_eq!(stage.who_accepts().await, AT_N);
        assert!(stage.keys().await.is_empty(), "{:?}", stage.keys().await);
        assert!(writers.wait_for(30, LIMIT).await);
        let report = switched(stage.rollback().await);
        assert_eq!((report.home.as_str(), report.with[0].home.as_str()), ("monolith", "monolith"));
        assert_eq!(stage.who_accepts().await, AT_M);
        assert_eq!(stage.keys().await, keys_as_before());
        assert!(writers.wait_for(30, LIMIT).await);
        stage.verify().await;
    }
    switched(stage.cutover().await);
    assert!(writers.wait_for(30, LIMIT).await);
    let record = writers.stop().await.unwrap();
    stage.check(&record, true).await;
    // The view over both follows the names.
    let copies: i64 =
        stage.on_m("").await.query_one("select sum(copies)::bigint from stock", &[]).await.unwrap().get(0);
    let retail = stage.n[1].connect().await.unwrap();
    let there: i64 = retail.query_one("select count(*) from stores.inventory", &[]).await.unwrap().get(0);
    assert_eq!(copies, there);
}

#[tokio::test]
async fn services_that_are_tied_by_keys_go_there_and_back_together_under_load() {
    let stage = Stage::verified("tied").await;
    there_and_back(&stage).await;
}

#[tokio::test]
async fn services_of_one_new_home_go_there_and_back_together_under_load() {
    let stage = Stage::new("one_home").await;
    let text = stage.text.replace("retail/stores", "cinema/stores");
    let stage = Stage { text, ..stage };
    stage.apply().await;
    stage.verify().await;
    let writers = stage.writers().await;
    let report = switched(stage.cutover().await);
    assert_eq!((report.home.as_str(), report.with[0].home.as_str()), ("cinema", "cinema"));
    assert!(writers.wait_for(30, LIMIT).await);
    switched(stage.rollback().await);
    assert_eq!(stage.keys().await, keys_as_before());
    assert!(writers.wait_for(30, LIMIT).await);
    let record = writers.stop().await.unwrap();
    stage.check(&record, false).await;
}

#[tokio::test]
async fn a_running_engine_switches_several_services_together() {
    let stage = Stage::verified("engine").await;
    let (canceller, task) = stage.run();
    let held = "select exists (select from cleave.lease where expires_at > clock_timestamp())";
    let m = stage.on_m("").await;
    while !m.query_one(held, &[]).await.unwrap().get::<_, bool>(0) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let answer = stage.cutover().await.unwrap();
    let cleave_engine::Answer::Elsewhere(exit, value) = answer else { panic!("{answer:?}") };
    assert_eq!((exit.code(), &value["switch"]["with"][0]["home"]), (0, &"retail".into()), "{value}");
    assert_eq!(stage.who_accepts().await, AT_N);
    canceller.cancel();
    task.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_rehearsal_of_several_services_changes_nothing_and_names_all() {
    let stage = Stage::verified("rehearsed").await;
    let before = stage.homes().await;
    let answer = stage.together(Verb::Cutover { dry_run: true }).await.unwrap();
    let cleave_engine::Answer::Switch(report) = answer else { panic!("{answer:?}") };
    assert_eq!(report.outcome, cleave_api::CutoverOutcome::Rehearsed);
    assert_eq!((report.with.len(), stage.homes().await), (1, before));
}

#[tokio::test]
async fn a_blocker_on_one_services_table_undoes_all() {
    let stage = Stage::verified("blocker").await;
    let stage =
        Stage { text: stage.text.replace("lock_budget = \"20s\"", "lock_budget = \"1500ms\""), ..stage };
    let writers = stage.writers().await;
    let reader = stage.on_m("set application_name = 'report'; begin; select count(*) from store").await;
    let reason = aborted(stage.cutover().await);
    assert!(reason.contains("application \"report\", idle in transaction"), "{reason}");
    assert_eq!(stage.homes().await, [("monolith".to_owned(), 0), ("monolith".to_owned(), 0)]);
    reader.batch_execute("commit").await.unwrap();
    assert_eq!(stage.who_accepts().await, AT_M);
    assert!(writers.wait_for(20, LIMIT).await);
    switched(stage.cutover().await);
    assert!(writers.wait_for(20, LIMIT).await);
    let record = writers.stop().await.unwrap();
    stage.check(&record, true).await;
}

#[tokio::test]
async fn a_pause_over_budget_undoes_all_services_in_either_direction() {
    let stage = Stage::verified("budget").await;
    let writers = stage.writers().await;
    // The first of the two is half open, the other is not, when the time is up.
    let late = set_here("switch.between_half_open", Action::Sleep(Duration::from_millis(3500)));
    let reason = aborted(stage.cutover().await);
    assert!(reason.contains("budget of 3000 ms"), "{reason}");
    drop(late);
    assert_eq!(stage.who_accepts().await, AT_M);
    assert!(writers.wait_for(20, LIMIT).await);
    switched(stage.cutover().await);
    let late = set_here("switch.between_close", Action::Sleep(Duration::from_millis(3500)));
    let undone = stage.rollback().await.unwrap();
    let cleave_engine::Answer::Switch(report) = undone else { panic!("{undone:?}") };
    assert_eq!(cleave_engine::exit_of_switch(report.outcome).code(), 6, "{report:?}");
    assert_eq!((report.home.as_str(), report.with[0].home.as_str()), ("cinema", "retail"));
    drop(late);
    assert_eq!(stage.who_accepts().await, AT_N);
    assert!(writers.wait_for(20, LIMIT).await);
    let record = writers.stop().await.unwrap();
    stage.check(&record, true).await;
}

/// What has a server of its own, which can die.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fragile {
    Source,
    HomeOfStores,
}

async fn fragile(hint: &str, fragile: Fragile) -> (Stage, &'static Cluster) {
    let cluster: &'static Cluster =
        Box::leak(Box::new(Cluster::start(Version::V18, &Options::new()).await.unwrap()));
    let database = async |part: Fragile, name: &str| {
        let name = format!("{hint}_{name}");
        if part == fragile {
            TestDatabase::create_on(cluster, &name).await.unwrap()
        } else {
            TestDatabase::create(Version::V16, &name).await.unwrap()
        }
    };
    let m = database(Fragile::Source, "m").await;
    let stores = database(Fragile::HomeOfStores, "stores").await;
    let films = TestDatabase::create(Version::V17, &format!("{hint}_films")).await.unwrap();
    let stage = Stage::of(m, [films, stores]).await;
    stage.apply().await;
    stage.verify().await;
    (stage, cluster)
}

/// A verb whose server dies, and comes back, while it stands at a point.
async fn dies_at(
    stage: &Stage,
    cluster: &Cluster,
    verb: Verb,
    point: &'static str,
) -> Result<cleave_engine::Answer, cleave_engine::EngineError> {
    let reached = std::env::temp_dir().join(format!("cleave_{}_{}", stage.names[0], point));
    let trigger = cleave_failpoint::Trigger { action: Action::Pause(reached.clone()), only_at: Some(1) };
    let armed = set_here(point, trigger);
    let kill = async {
        while !reached.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        cluster.stop(StopMode::Immediate).await.unwrap();
        cluster.restart().await.unwrap();
        std::fs::remove_file(&reached).unwrap();
    };
    let (result, ()) = tokio::join!(stage.together(verb), kill);
    drop(armed);
    result
}

#[tokio::test]
async fn a_dead_server_of_one_services_new_home_keeps_all_services_where_they_are() {
    let (stage, cluster) = fragile("dead", Fragile::HomeOfStores).await;
    let writers = stage.writers().await;
    for point in ["cutover.drain.before", "switch.between_half_open", "cutover.half_open.after"] {
        let result = dies_at(&stage, cluster, Verb::Cutover { dry_run: false }, point).await;
        // Half open is durable before the server dies: where nothing more is asked of it, the switch goes on.
        let away = matches!(&result, Ok(cleave_engine::Answer::Switch(report))
            if report.outcome == cleave_api::CutoverOutcome::Switched);
        assert_eq!(stage.who_accepts().await, if away { AT_N } else { AT_M }, "{point}: {result:?}");
        let homes = stage.homes().await;
        assert_eq!(homes[0].1, homes[1].1, "{point}: {homes:?}");
        if away {
            switched(stage.rollback().await);
            stage.verify().await;
        }
        assert!(writers.wait_for(10, LIMIT).await);
    }
    let record = writers.stop().await.unwrap();
    stage.check_rows(&record, false).await;
}

#[tokio::test]
async fn a_source_that_dies_leaves_several_services_at_one_side_and_the_same_command_ends_it() {
    let (stage, cluster) = fragile("source", Fragile::Source).await;
    let (there, back) = (Verb::Cutover { dry_run: false }, Verb::Rollback { dry_run: false });
    for (verb, point) in [
        (&there, "cutover.half_open.after"),
        (&there, "switch.commit.before"),
        (&there, "switch.between_open"),
        (&back, "switch.between_close"),
        (&back, "switch.commit.before"),
        (&back, "rollback.open.before"),
    ] {
        // However it ends: both of one side, and nobody writes both.
        let result = dies_at(&stage, cluster, verb.clone(), point).await;
        let homes = stage.homes().await;
        assert_eq!(homes[0].1, homes[1].1, "{point}: {homes:?} {result:?}");
        assert_eq!(homes[0].0 == "monolith", homes[1].0 == "monolith", "{point}: {homes:?}");
        for (on_m, on_n) in stage.who_accepts().await {
            assert!(!(on_m && on_n), "{point}: both sides accept writes");
        }
        switched(stage.together(verb.clone()).await);
        let expected = if *verb == there { AT_N } else { AT_M };
        assert_eq!(stage.who_accepts().await, expected, "{point}");
        if *verb == there {
            if point != "switch.between_open" {
                switched(stage.rollback().await);
                stage.verify().await;
            }
        } else if point != "rollback.open.before" {
            stage.verify().await;
            switched(stage.cutover().await);
        }
    }
    assert_eq!(stage.keys().await, keys_as_before());
}

#[tokio::test]
async fn what_stands_against_each_of_several_services_is_said_at_once() {
    let stage = Stage::new("gates").await;
    stage.apply().await;
    let error = stage.cutover().await.unwrap_err();
    let expected = "C0731 exit 4: gates of FILMS and STORES refuse, so no service is switched
cause: FILMS: C0710 service FILMS is not verified (cleave verify FILMS)
cause: STORES: C0710 service STORES is not verified (cleave verify STORES)
hint: none of them was touched; see to each, then run the command again";
    assert_eq!(stage.say(&error), expected);
    assert_eq!(stage.homes().await, [("monolith".to_owned(), 0), ("monolith".to_owned(), 0)]);
}

#[tokio::test]
async fn services_that_no_one_transaction_can_switch_are_refused_by_name() {
    let stage = Stage::verified("refused").await;
    let [films, stores] = &stage.services()[..] else { unreachable!() };
    let mut said = Vec::new();
    // Of different states.
    switched(stage.alone(films, Verb::Cutover { dry_run: false }).await);
    said.push(stage.say(&stage.cutover().await.unwrap_err()));
    // Tied, and switched one by one: back in the other order.
    stage.verify().await;
    switched(stage.alone(stores, Verb::Cutover { dry_run: false }).await);
    said.push(stage.say(&stage.rollback().await.unwrap_err()));
    said.push(stage.say(&stage.alone(films, Verb::Rollback { dry_run: false }).await.unwrap_err()));
    switched(stage.alone(stores, Verb::Rollback { dry_run: false }).await);
    switched(stage.alone(films, Verb::Rollback { dry_run: false }).await);
    // Switched together and tied: back together.
    stage.verify().await;
    switched(stage.cutover().await);
    said.push(stage.say(&stage.alone(stores, Verb::Rollback { dry_run: false }).await.unwrap_err()));
    switched(stage.rollback().await);
    // Another verb, a move inside the database, another source.
    said.push(stage.say(&stage.together(Verb::Verify).await.unwrap_err()));
    let (text, stores) = stage.text.split_at(stage.text.find(&format!("[services.{stores}]")).unwrap());
    let stores = stores.replace("retail/stores", "monolith/stores").replace("forward", "view");
    let inside = Stage {
        text: text.to_owned() + &stores.replace("copies = [\"monolith/stores_copy\"]\n", ""),
        ..stage
    };
    said.push(inside.say(&inside.cutover().await.unwrap_err()));
    let elsewhere = Stage {
        text: inside
            .text
            .replace("monolith/stores", "retail/stores")
            .replace("bridge = \"view\"", "from = \"cinema\""),
        ..inside
    };
    said.push(elsewhere.say(&elsewhere.cutover().await.unwrap_err()));
    let expected = "\
C0730 exit 4: FILMS and STORES cannot be switched in one transaction: FILMS is at cinema already
hint: switch them one after the other

C0730 exit 4: STORES was switched after FILMS and is tied to it by key inventory_film_id_fkey on public.inventory
next: cleave rollback STORES

C0730 exit 4: STORES was switched after FILMS and is tied to it by key inventory_film_id_fkey on public.inventory
next: cleave rollback STORES

C0730 exit 4: FILMS and STORES were switched together and are tied by key film_store_id_fkey on public.film
next: cleave rollback FILMS STORES

C0730 exit 4: verify works on one service at a time
hint: give the command for each

C0730 exit 4: FILMS and STORES cannot be switched in one transaction: STORES moves inside its database, by a switch of its own
hint: switch them one after the other

C0730 exit 4: FILMS and STORES cannot be switched in one transaction: STORES leaves cinema, and FILMS leaves monolith
hint: switch them one after the other";
    assert_eq!(said.join("\n\n"), expected);
}

#[tokio::test]
async fn a_key_between_services_that_no_longer_holds_comes_back_unproven() {
    let stage = Stage::verified("dangling").await;
    switched(stage.cutover().await);
    // Nobody watches it while both are away.
    stage.n[0].connect().await.unwrap().batch_execute("delete from films.film where id = 7").await.unwrap();
    switched(stage.rollback().await);
    let mut expected = keys_as_before();
    expected[1].1 = false;
    assert_eq!(stage.keys().await, expected);
    assert_eq!(stage.who_accepts().await, AT_M);
    let m = stage.on_m("").await;
    let refused =
        m.batch_execute("insert into inventory (film_id, store_id) values (7, 1)").await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "23503", "the key guards new rows");
}

#[tokio::test]
async fn a_service_goes_back_without_the_keys_to_one_that_has_stayed() {
    let stage = Stage::verified("stayed").await;
    let [films, stores] = &stage.services()[..] else { unreachable!() };
    switched(stage.cutover().await);
    stage.alone(stores, Verb::Complete).await.unwrap();
    let writers = stage.writers().await;
    let answer = stage.alone(films, Verb::Rollback { dry_run: false }).await;
    assert!(
        matches!(&answer, Ok(cleave_engine::Answer::Switch(report))
            if report.outcome == cleave_api::CutoverOutcome::Switched && report.home == "monolith"),
        "{answer:?}"
    );
    assert!(stage.keys().await.is_empty(), "{:?}", stage.keys().await);
    assert!(writers.wait_for(20, LIMIT).await);
    let record = writers.stop().await.unwrap();
    assert!(record.refused.is_empty(), "{:?}", record.errors);
    let m = stage.on_m("insert into film (title, store_id) values ('back', 1)").await;
    let sold: i64 = m.query_one("select sum(copies)::bigint from stock", &[]).await.unwrap().get(0);
    assert!(sold >= 100, "the view reads both: {sold}");
}

#[tokio::test]
async fn services_with_local_bridges_go_together_and_bridges_of_two_kinds_do_not() {
    let stage = Stage::new("local").await;
    let local = stage.text.replace("forward", "local");
    let mixed = stage.text.replacen("forward", "local", 1);
    let stage = Stage { text: local, ..stage };
    stage.apply().await;
    stage.verify().await;
    let writers = stage.writers().await;
    switched(stage.cutover().await);
    assert_eq!(stage.who_accepts().await, AT_N);
    assert!(writers.wait_for(20, LIMIT).await);
    switched(stage.rollback().await);
    assert_eq!((stage.who_accepts().await, stage.keys().await), (AT_M, keys_as_before()));
    assert!(writers.wait_for(20, LIMIT).await);
    let record = writers.stop().await.unwrap();
    stage.check(&record, false).await;
    let [_, stores] = &stage.services()[..] else { unreachable!() };
    stage.alone(stores, Verb::Cancel).await.unwrap();
    let stage = Stage { text: mixed, ..stage };
    stage.apply().await;
    stage.verify().await;
    assert_eq!(
        stage.say(&stage.cutover().await.unwrap_err()),
        "C0730 exit 4: FILMS and STORES cannot be switched in one transaction: STORES has another kind of bridge than FILMS\n\
         hint: switch them one after the other"
    );
}
