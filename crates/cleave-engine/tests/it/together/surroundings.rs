//! What stands around a switch of several services: hooks, and one PgBouncer before both.

use super::stage::{AT_M, Stage, aborted, switched};
use crate::trouble::pooler::{Clients, answer, name_of, settings_of, skipped};
use cleave_engine::Verb;
use cleave_sandbox::Pooler;
use cleave_testkit::TestDatabase;

async fn on(database: &TestDatabase, sql: &str) {
    database.connect().await.unwrap().batch_execute(sql).await.unwrap();
}

#[tokio::test]
async fn hooks_run_for_each_of_several_services_and_one_that_fails_in_the_pause_undoes_all() {
    let stage = Stage::verified("hooks").await;
    let [films, stores] = stage.names.clone();
    let file = std::env::temp_dir().join(format!("cleave_hooks_{films}"));
    let say = "echo $CLEAVE_SERVICE to $CLEAVE_HOME_TO of $CLEAVE_SERVICES";
    let hooks = |pause: &str| {
        format!(
            "\n[hooks]\nbefore_switch = [\"{say} before >> {file}\"]\nin_pause = [\"{pause}\"]\nafter_switch = [\"{say} after >> {file}\"]\n",
            file = file.display()
        )
    };
    // The first service's passes, the second one's does not.
    let failing = Stage {
        text: format!("{}{}", stage.text, hooks(&format!("test $CLEAVE_SERVICE = {films}"))),
        ..stage
    };
    let reason = aborted(failing.cutover().await);
    assert!(reason.starts_with("step hooks failed: hook `test $CLEAVE_SERVICE = "), "{reason}");
    assert_eq!(failing.who_accepts().await, AT_M);
    let stage = Stage { text: failing.text.replace("test $CLEAVE_SERVICE = ", "true "), ..failing };
    switched(stage.cutover().await);
    let said = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let line =
        |service: &str, home: &str, when: &str| format!("{service} to {home} of {films} {stores} {when}\n");
    let before = line(&films, "cinema", "before") + &line(&stores, "retail", "before");
    let after = line(&films, "cinema", "after") + &line(&stores, "retail", "after");
    assert_eq!(said, format!("{before}{before}{after}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_one_pool_of_two_services_are_held_once_and_follow_both() {
    if !Pooler::is_there() {
        skipped("clients_of_one_pool_of_two_services_are_held_once_and_follow_both");
        return;
    }
    let stage = Stage::new("pooled").await;
    for database in [&stage.m, &stage.n[0]] {
        let path = "do $$ begin execute format('alter database %I set search_path = films, stores, public', current_database()); end $$";
        on(database, path).await;
    }
    let line = format!("our-shop = {} pool_size=4", settings_of(&stage.m.url()));
    let pooler = Pooler::start(&[line], "transaction").await.unwrap();
    let key = format!(
        "bridge = \"forward\"\npgbouncer = {{ admin = {:?}, databases = [\"our-shop\"], config = {:?} }}",
        pooler.console_url(),
        pooler.databases_file()
    );
    let text = stage.text.replace("bridge = \"forward\"", &key).replace("retail/stores", "cinema/stores");
    let stage = Stage { text, ..stage };
    stage.apply().await;
    stage.verify().await;
    let clients = Clients::start(&pooler.url("our-shop"), 4).await;
    clients.go_on(&pooler).await;
    switched(stage.cutover().await);
    let leads_to = async || answer(&pooler.url("our-shop"), "select current_database()").await;
    assert_eq!(leads_to().await, name_of(&stage.n[0].url()));
    clients.go_on(&pooler).await;
    switched(stage.rollback().await);
    assert_eq!(leads_to().await, name_of(&stage.m.url()));
    clients.go_on(&pooler).await;
    stage.verify().await;
    switched(stage.cutover().await);
    clients.go_on(&pooler).await;
    clients.stop(&stage.n[0].url(), "films.film").await;
}

#[tokio::test]
async fn one_pool_of_two_services_with_two_homes_is_refused() {
    if !Pooler::is_there() {
        skipped("one_pool_of_two_services_with_two_homes_is_refused");
        return;
    }
    let stage = Stage::verified("two_pools").await;
    let pooler =
        Pooler::start(&[format!("our-shop = {}", settings_of(&stage.m.url()))], "transaction").await.unwrap();
    let key = format!(
        "bridge = \"forward\"\npgbouncer = {{ admin = {:?}, databases = [\"our-shop\"], config = {:?} }}",
        pooler.console_url(),
        pooler.databases_file()
    );
    let stage = Stage { text: stage.text.replace("bridge = \"forward\"", &key), ..stage };
    let error = stage.together(Verb::Cutover { dry_run: true }).await.unwrap_err();
    assert_eq!(
        stage.say(&error),
        "C0730 exit 4: FILMS and STORES cannot be switched in one transaction: PgBouncer's database our-shop is of FILMS and of \
         STORES, whose homes differ\nhint: switch them one after the other"
    );
}
