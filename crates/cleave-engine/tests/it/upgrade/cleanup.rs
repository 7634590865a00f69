//! What moves have left goes; what is needed, or not Cleave's, stays.

use super::stage::Upgrade;
use cleave_api::{CleanupFate, CleanupReport};
use cleave_engine::{Events, Verb};
use cleave_sandbox::Version;

const SHOP: &str = "create table film (id int primary key); create table log (what text);
                    insert into film select generate_series(1, 100)";

impl Upgrade {
    async fn to_clean() -> Self {
        let mut upgrade = Self::between(Version::V14, Version::V18, "clean").await;
        upgrade.lines = "identity = { \"public.log\" = \"full\" }".to_owned();
        upgrade.on_old(SHOP).await;
        upgrade
    }

    async fn cleanup(&self, execute: bool) -> CleanupReport {
        cleave_engine::cleanup(&self.topology(), execute, &Events::silent()).await.unwrap()
    }

    /// The fate of an object of this upgrade, with `NAME` for the upgrade's name.
    fn fate(&self, report: &CleanupReport, database: &str, object: &str) -> Option<CleanupFate> {
        let object = object.replace("NAME", &self.name);
        let found = report.items.iter().find(|item| item.database == database && item.object == object);
        found.map(|item| item.fate)
    }

    /// Objects as moves make them, and some as others might.
    async fn leave_behind(&self, incarnation: i64) {
        let name = &self.name;
        let slots = [
            format!("cleave_{name}_forward_{incarnation}"),
            format!("cleave_reports_of_{name}"),
            format!("cleave_{name}x_back_1"),
        ];
        let client = self.on_old("").await;
        for slot in slots {
            client
                .query("select pg_create_logical_replication_slot($1, 'pgoutput')", &[&slot])
                .await
                .unwrap();
        }
        self.on_old(&format!(
            "create publication cleave_{name}_forward for table film; create publication cleave_mine for table film;
             select pg_replication_origin_create('cleave_{name}_back'); alter table log replica identity full"
        ))
        .await;
    }

    async fn forget_others(&self) {
        self.on_old(&format!(
            "select pg_drop_replication_slot('cleave_reports_of_{0}'), pg_drop_replication_slot('cleave_{0}x_back_1')",
            self.name
        ))
        .await;
    }
}

#[tokio::test]
async fn what_a_move_that_was_taken_back_has_left_goes_and_nothing_else() {
    let upgrade = Upgrade::to_clean().await;
    upgrade.apply().await;
    upgrade.end(Verb::Cancel).await;
    upgrade.leave_behind(1).await;
    let ours = [
        "slot cleave_NAME_forward_1",
        "publication cleave_NAME_forward",
        "replication origin cleave_NAME_back",
        "replica identity of public.log",
    ];
    let shown = upgrade.cleanup(false).await;
    for object in ours {
        assert_eq!(upgrade.fate(&shown, "old", object), Some(CleanupFate::Droppable), "{object}: {shown:#?}");
    }
    assert_eq!(upgrade.fate(&shown, "old", "slot cleave_NAMEx_back_1"), Some(CleanupFate::ForAPerson));
    for object in ["slot cleave_reports_of_NAME", "publication cleave_mine"] {
        assert_eq!(upgrade.fate(&shown, "old", object), None, "{object}");
    }
    let again = upgrade.cleanup(false).await;
    for object in ours {
        assert_eq!(
            upgrade.fate(&again, "old", object),
            Some(CleanupFate::Droppable),
            "a look changes nothing: {object}"
        );
    }
    let done = upgrade.cleanup(true).await;
    for object in ours {
        assert_eq!(upgrade.fate(&done, "old", object), Some(CleanupFate::Dropped), "{object}: {done:#?}");
    }
    let left = upgrade.cleanup(false).await;
    assert!(left.items.iter().all(|item| item.fate != CleanupFate::Droppable), "{left:#?}");
    assert_eq!(upgrade.fate(&left, "old", "schema cleave"), Some(CleanupFate::ForAPerson));
    let client = upgrade.on_old("").await;
    let stays: i64 = client
        .query_one(
            "select (select count(*) from pg_replication_slots where database = current_database())
                  + (select count(*) from pg_publication where pubname = 'cleave_mine')",
            &[],
        )
        .await
        .unwrap()
        .get(0);
    assert_eq!(stays, 3, "two slots and a publication of others");
    upgrade.forget_others().await;
}

#[tokio::test]
async fn what_an_open_upgrade_needs_is_left_alone_and_what_an_earlier_one_has_left_goes() {
    let upgrade = Upgrade::to_clean().await;
    upgrade.apply().await;
    upgrade.end(Verb::Cancel).await;
    upgrade.apply().await;
    let client = upgrade.on_old("").await;
    let orphan = format!("cleave_{}_forward_1", upgrade.name);
    client.query("select pg_create_logical_replication_slot($1, 'pgoutput')", &[&orphan]).await.unwrap();
    let done = upgrade.cleanup(true).await;
    assert_eq!(
        upgrade.fate(&done, "old", "slot cleave_NAME_forward_1"),
        Some(CleanupFate::Dropped),
        "{done:#?}"
    );
    for (database, object) in [
        ("old", "slot cleave_NAME_forward_2"),
        ("old", "publication cleave_NAME_forward"),
        ("new", "slot cleave_NAME_back_2"),
        ("new", "publication cleave_NAME_back"),
        ("new", "replication origin cleave_NAME_forward"),
        ("new", "fence of public.film"),
    ] {
        assert_eq!(upgrade.fate(&done, database, object), Some(CleanupFate::InUse), "{object}: {done:#?}");
    }
    upgrade.verify().await;
    upgrade.cutover().await;
    upgrade.end(Verb::Complete).await;
    let shown = upgrade.cleanup(false).await;
    assert!(shown.items.iter().all(|item| item.fate != CleanupFate::Droppable), "{shown:#?}");
    assert_eq!(upgrade.fate(&shown, "old", "fence of public.film"), Some(CleanupFate::ForAPerson));
    let refused = client.batch_execute("insert into film values (1000)").await;
    assert!(refused.is_err(), "the fence of the old database stands");
}

#[tokio::test]
async fn nothing_is_dropped_where_an_engine_works() {
    let upgrade = Upgrade::to_clean().await;
    upgrade.apply().await;
    upgrade.end(Verb::Cancel).await;
    upgrade.leave_behind(1).await;
    let held = "update cleave.lease set expires_at = clock_timestamp() + interval '1 hour', label = 'cleave on elsewhere'";
    upgrade.on_old(held).await;
    let done = upgrade.cleanup(true).await;
    assert_eq!(
        upgrade.fate(&done, "old", "slot cleave_NAME_forward_1"),
        Some(CleanupFate::InUse),
        "{done:#?}"
    );
    upgrade.on_old("update cleave.lease set expires_at = clock_timestamp() - interval '1 ms'").await;
    let done = upgrade.cleanup(true).await;
    assert_eq!(
        upgrade.fate(&done, "old", "slot cleave_NAME_forward_1"),
        Some(CleanupFate::Dropped),
        "{done:#?}"
    );
    upgrade.forget_others().await;
}
