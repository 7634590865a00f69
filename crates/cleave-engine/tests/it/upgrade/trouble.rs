//! What is refused, by name, and what the way out is.

use super::stage::{Upgrade, said};
use cleave_engine::Verb;
use cleave_plan::Weight;
use cleave_sandbox::Version;

const SHOP: &str = "
create table film (id int primary key, title text not null);
create table log (at timestamptz not null, what text) partition by range (at);
create table log_1 partition of log (primary key (at)) for values from ('2020-01-01') to ('2030-01-01');
insert into film select n, 'film ' || n from generate_series(1, 100) n;
";

const CUTOVER: Verb = Verb::Cutover { dry_run: false };

async fn following() -> Upgrade {
    let upgrade = Upgrade::between(Version::V14, Version::V18, "trouble").await;
    upgrade.on_old(SHOP).await;
    upgrade.apply().await;
    upgrade.verify().await;
    upgrade
}

#[tokio::test]
async fn a_table_or_partition_that_came_after_the_plan_stops_the_cutover_by_its_name() {
    let upgrade = following().await;
    upgrade.on_old("create table late (id int primary key)").await;
    let refused = upgrade.refused(CUTOVER).await;
    assert!(
        refused.starts_with("C1210 exit 4: table public.late was made in old after the plan"),
        "{refused}"
    );
    upgrade
        .on_old("drop table late; create table log_2 partition of log for values from ('2030-01-01') to ('2040-01-01')")
        .await;
    let refused = upgrade.refused(CUTOVER).await;
    assert!(refused.contains("log_2"), "{refused}");
    upgrade.on_old("drop table log_2").await;
    upgrade.verify().await;
    upgrade.cutover().await;
    // The way back asks the new home the same, and the end both.
    upgrade.on_new("create table late (id int primary key)").await;
    let refused = upgrade.refused(Verb::Rollback { dry_run: false }).await;
    assert!(refused.starts_with("C1210 exit 4: table public.late was made in new"), "{refused}");
    upgrade.on_old("create table lost (id int primary key)").await;
    let refused = upgrade.refused(Verb::Complete).await;
    assert!(refused.starts_with("C1210 exit 4: table public.lost was made in old"), "{refused}");
    upgrade.on_old("drop table lost").await;
    upgrade.end(Verb::Complete).await;
}

#[tokio::test]
async fn a_changed_column_is_named_with_what_differs_and_taking_it_back_goes_on() {
    let upgrade = following().await;
    upgrade.on_old("alter table film add rating int").await;
    let refused = upgrade.refused(CUTOVER).await;
    assert!(refused.contains("public.film"), "{refused}");
    upgrade.on_old("alter table film drop rating").await;
    upgrade.verify().await;
    upgrade.cutover().await;
    upgrade.end(Verb::Complete).await;
}

#[tokio::test]
async fn what_stands_against_an_upgrade_is_told_before_anything_is_made() {
    let upgrade = Upgrade::between(Version::V14, Version::V18, "refused").await;
    upgrade
        .on_old(
            "create table film (id int primary key); create table keyless (id int);
             create unlogged table scratch (id int primary key);
             create function f() returns trigger language plpgsql as $$ begin return new; end $$;
             create trigger t after insert on film for each row execute function f();
             alter table film enable always trigger t;
             create subscription outside connection 'host=127.0.0.1 dbname=nowhere' publication p
                 with (connect = false, slot_name = none);",
        )
        .await;
    upgrade.on_new("create table taken (id int primary key)").await;
    let plan = cleave_engine::plan(&upgrade.topology(), &upgrade.service()).await.unwrap();
    let found: Vec<(&str, &str)> = plan
        .findings()
        .iter()
        .filter(|finding| finding.weight != Weight::Note)
        .map(|finding| (finding.code.as_str(), finding.object.as_str()))
        .collect();
    for expected in [
        ("C0208", "public.keyless"),
        ("C0209", "trigger t of public.film"),
        ("C0216", &*format!("database {}", upgrade.new.name())),
        ("C1200", "subscription \"outside\""),
        ("C1208", "public.scratch"),
    ] {
        assert!(found.contains(&expected), "{expected:?} is not among {found:?}");
    }
    let error = upgrade.try_apply().await.unwrap_err();
    assert!(said(&error).starts_with("C0220 exit 4"), "{}", said(&error));
    let made = "select to_regclass('cleave.move') is not null and exists (select from cleave.move)";
    let client = upgrade.on_old("").await;
    assert!(
        client.query_one(made, &[]).await.is_err()
            || !client.query_one(made, &[]).await.unwrap().get::<_, bool>(0)
    );
    upgrade.on_old("drop subscription outside").await;
}

#[tokio::test]
async fn an_older_target_is_refused_and_rows_go_back_to_an_older_source_nevertheless() {
    let upgrade = Upgrade::between(Version::V18, Version::V14, "older").await;
    upgrade.on_old("create table film (id int primary key)").await;
    let plan = cleave_engine::plan(&upgrade.topology(), &upgrade.service()).await.unwrap();
    assert!(plan.findings().iter().any(|finding| finding.code == "C1220"), "{:?}", plan.findings());
}

#[tokio::test]
async fn without_a_pg_dump_that_fits_the_package_is_named() {
    let upgrade = Upgrade::between(Version::V14, Version::V18, "tools").await;
    upgrade.on_old("create table film (id int primary key)").await;
    let topology = upgrade.topology();
    let tools = cleave_sandbox::client_tools().unwrap().display().to_string();
    let text = topology.text().replace(&tools, "/nowhere/bin");
    let config = cleave_config::Config::parse(&text, "cleave.toml").unwrap();
    let topology = cleave_engine::Topology::new(config, &text, std::path::Path::new("/"));
    let error = cleave_engine::plan(&topology, &upgrade.service()).await.unwrap_err();
    let said = said(&error);
    assert!(said.starts_with("C1201 exit 4") && said.contains("postgresql-client-18"), "{said}");
}

#[tokio::test]
async fn a_statement_that_the_target_refuses_is_named_and_the_upgrade_can_be_taken_back() {
    let upgrade = Upgrade::between(Version::V14, Version::V18, "statement").await;
    // Gone since 17.
    upgrade
        .on_old("create table film (id int primary key); create view old_snapshot as select oid, datname, datlastsysoid from pg_database")
        .await;
    let error = said(&upgrade.try_apply().await.unwrap_err());
    assert!(
        error.starts_with("C1221 exit 4") && error.contains("CREATE VIEW public.old_snapshot"),
        "{error}"
    );
    assert!(error.contains("datlastsysoid"), "{error}");
    upgrade.end(Verb::Cancel).await;
    upgrade.on_old("drop view old_snapshot").await;
    upgrade.apply().await;
    upgrade.end(Verb::Cancel).await;
}
