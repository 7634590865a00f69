//! What stands against a plan, as `apply` says it. Nothing is changed then.

use super::stage::{House, Stage, on};
use cleave_engine::{Events, Until, Verb};
use cleave_sandbox::{Cluster, Options, Version};
use cleave_stream::cancellation;

async fn nothing_was_made(house: &House) {
    let slots = "select count(*) = 0 from pg_replication_slots where slot_name like 'cleave_SERVICE%'";
    house.stage.until(&house.stage.m, slots).await;
    let schema = "select count(*) = 0 from pg_namespace where nspname = 'films'";
    house.stage.until(&house.stage.n, schema).await;
}

#[tokio::test]
async fn a_table_that_is_not_there_is_named() {
    let house = House::new("no_table").await;
    let stage = house.stage.with(r#"["public.film"]"#, r#"["public.flim"]"#);
    assert_eq!(
        stage.said(stage.apply().await),
        "C0012 exit 2: error[C0012]: database `monolith` has no table `public.flim`\n  --> cleave.toml:7:11\n  |\n\
         7 | tables = [\"public.flim\"]\n  |           ^^^^^^^^^^^^^\n  = hint: did you mean `public.film`?\n"
    );
    nothing_was_made(&house).await;
}

#[tokio::test]
async fn a_table_that_two_services_claim_is_named_with_both() {
    let house = House::new("two_claims").await;
    let stage = house.stage.with(
        "[limits]\n",
        "[services.others]\nhome = \"products/others\"\ntables = [\"public.fil*\"]\n[limits]\n",
    );
    let said = stage.said(stage.apply().await);
    assert!(
        said.starts_with(
            "C0007 exit 2: error[C0007]: `public.film` is claimed by two services, `SERVICE` and `others`"
        ),
        "{said}"
    );
    assert!(said.contains("hint: a table has one owner: take it out of one of the two"), "{said}");
    nothing_was_made(&house).await;
}

#[tokio::test]
async fn a_table_without_a_key_is_refused_until_its_whole_row_may_identify_it() {
    let house = House::new("no_key").await;
    house.stage.on_m("create table note (body text); insert into note values ('a'), ('a'), ('b')").await;
    let stage = house.stage.with(r#"["public.film"]"#, r#"["public.film", "public.note"]"#);
    assert_eq!(
        stage.said(stage.apply().await),
        refused(
            "C0208 public.note: it has no key that identifies a row: updates and deletes could not be followed; \
             to settle it: alter table \"public\".\"note\" replica identity full; -- or add a primary key"
        )
    );
    nothing_was_made(&house).await;
    let allowed = stage.with("[limits]", "identity = { \"public.note\" = \"full\" }\n[limits]");
    allowed.apply().await.unwrap();
    let (mut engine, _canceller) = allowed.engine();
    engine.execute(&allowed.service(), Verb::Verify).await.unwrap();
    allowed.on_m("delete from note where ctid = (select min(ctid) from note where body = 'a')").await;
    allowed.until(&allowed.n, "select count(*) = 1 from films.note where body = 'a'").await;
    engine.close().await;
}

#[tokio::test]
async fn a_target_schema_that_is_not_empty_is_left_alone() {
    let house = House::new("not_empty").await;
    house.stage.on_n("create schema films; create table films.mine (id int)").await;
    assert_eq!(
        house.stage.said(house.stage.apply().await),
        refused("C0216 target schema films: it is not empty: table mine")
    );
    house.stage.on_n("table films.mine").await;
}

async fn check_unsupported(hint: &str, sql: &str, expected: &str) {
    let house = House::new(hint).await;
    house.stage.on_m(sql).await;
    assert_eq!(house.stage.said(house.stage.apply().await), refused(expected));
    nothing_was_made(&house).await;
}

/// What `apply` says when one finding stands against the plan.
fn refused(finding: &str) -> String {
    format!(
        "C0220 exit 4: the plan of service SERVICE is refused: 1 finding stands against it\n\
         cause: {finding}\nnext: cleave plan SERVICE"
    )
}

#[tokio::test]
async fn a_rule_is_refused_by_name() {
    check_unsupported(
        "rule",
        "create rule quiet as on delete to film do instead nothing",
        "C0206 public.film: it has rewrite rules, which cannot be carried",
    )
    .await;
}

#[tokio::test]
async fn inheritance_is_refused_by_name() {
    check_unsupported(
        "inherits",
        "create table base (note text); alter table film add note text; alter table film inherit base",
        "C0206 public.film: it inherits from another table (not as a partition)",
    )
    .await;
}

#[tokio::test]
async fn a_foreign_table_is_refused_by_name() {
    check_unsupported(
        "foreign",
        "drop table inventory, film; create extension postgres_fdw;
         create server s foreign data wrapper postgres_fdw;
         create foreign table film (id int) server s",
        "C0206 public.film: it is a foreign table: its rows are not in this database",
    )
    .await;
}

#[tokio::test]
async fn an_unlogged_table_is_refused_by_name() {
    check_unsupported(
        "unlogged",
        "alter table inventory set unlogged; alter table film set unlogged",
        "C0206 public.film: it is unlogged: its changes are not in the WAL and cannot be followed",
    )
    .await;
}

#[tokio::test]
async fn a_trigger_that_always_fires_is_refused_by_name() {
    check_unsupported(
        "always",
        "create function stamp() returns trigger language plpgsql as 'begin return new; end';
         create trigger stamp before insert on film for each row execute function stamp();
         alter table film enable always trigger stamp",
        "C0209 trigger stamp of public.film: it fires for replicated changes too (ENABLE ALWAYS or REPLICA), and would \
         run twice; to settle it: alter table \"public\".\"film\" enable trigger \"stamp\";",
    )
    .await;
}

#[tokio::test]
async fn a_native_subscription_is_refused_by_name() {
    let house = House::new("subscribed").await;
    house.stage.on_n("create table film (id int primary key); create publication films for table film").await;
    let name = format!("sub_{}", std::process::id());
    house
        .stage
        .on_m(&format!(
            "create subscription {name} connection '{}' publication films
             with (create_slot = false, enabled = false, copy_data = false)",
            house.n.url()
        ))
        .await;
    let said = house.stage.said(house.stage.apply().await);
    // A database that has one cannot be dropped.
    house.stage.on_m(&format!("alter subscription {name} set (slot_name = none)")).await;
    house.stage.on_m(&format!("drop subscription {name}")).await;
    assert_eq!(said, refused(&format!("C0211 public.film: native subscription {name} writes to it")));
    nothing_was_made(&house).await;
}

#[tokio::test]
async fn a_saved_plan_still_fits_when_the_tables_have_only_grown() {
    let house = House::new("grown").await;
    let stage = &house.stage;
    let (topology, service) = (stage.topology(), stage.service());
    stage
        .on_m(
            "create index film_token on film (token);
             insert into film (title) select 'a long title ' || n from generate_series(1, 3000) n",
        )
        .await;
    let saved = cleave_engine::plan(&topology, &service).await.unwrap();
    stage
        .on_m("insert into film (title, token) select 'x', n from generate_series(1, 30000) n; analyze film")
        .await;
    let fresh = cleave_engine::plan(&topology, &service).await.unwrap();
    // The order in which indexes are built is that of their sizes.
    assert_ne!(saved, fresh);
    assert!(saved.does_the_same_as(&fresh));
    let indexes = |plan: &cleave_plan::Plan| match plan {
        cleave_plan::Plan::Live(plan) => plan.script.tables.clone(),
        cleave_plan::Plan::Schema(_) => panic!("a live move was planned"),
    };
    assert_ne!(indexes(&saved), indexes(&fresh));
    let (_canceller, cancelled) = cancellation();
    let (saved, events) = (Some(Box::new(saved)), Events::silent());
    cleave_engine::apply(&topology, &service, saved, Until::Following, (&events, &cancelled)).await.unwrap();
}

#[tokio::test]
async fn a_saved_plan_that_no_longer_fits_is_drift() {
    let house = House::new("drift").await;
    let stage = &house.stage;
    let plan = cleave_engine::plan(&stage.topology(), &stage.service()).await.unwrap();
    stage.on_m("alter table film add column year int").await;
    let (_canceller, cancelled) = cancellation();
    let (topology, service, events) = (stage.topology(), stage.service(), Events::silent());
    let saved = Some(Box::new(plan));
    let result =
        cleave_engine::apply(&topology, &service, saved, Until::Following, (&events, &cancelled)).await;
    assert_eq!(
        stage.said(result),
        "C0223 exit 7: the plan no longer fits: the tables were altered since\n\
         hint: make the plan again, look at it, and apply that one\nnext: cleave plan SERVICE"
    );
    nothing_was_made(&house).await;
}

/// Two databases on clusters of their own.
async fn with_settings(m: &[(&str, &str)], n: &[(&str, &str)]) -> (Cluster, Cluster, Stage) {
    let options = |settings: &[(&str, &str)]| {
        settings.iter().fold(Options::new(), |options, (name, value)| options.setting(*name, *value))
    };
    let (m, n) = (options(m), options(n));
    let (m, n) =
        tokio::try_join!(Cluster::start(Version::V16, &m), Cluster::start(Version::V18, &n)).unwrap();
    m.create_database("shop").await.unwrap();
    n.create_database("goods").await.unwrap();
    let stage = Stage::new(&m.url("shop"), &n.url("goods"));
    stage.on_m(super::stage::SCHEMA).await;
    (m, n, stage)
}

#[tokio::test]
async fn a_source_that_does_not_write_logical_records_is_told_the_setting() {
    let (_m, _n, stage) = with_settings(&[("wal_level", "replica")], &[]).await;
    assert_eq!(
        stage.said(stage.apply().await),
        refused(
            "C0202 source database shop: wal_level is replica, and changes cannot be decoded; \
             to settle it: alter system set wal_level = logical; -- then restart the server"
        )
    );
}

#[tokio::test]
async fn servers_without_room_are_told_what_is_short() {
    let (_m, _n, stage) = with_settings(
        &[("max_replication_slots", "1"), ("max_wal_senders", "1"), ("max_connections", "12")],
        &[("max_active_replication_origins", "1")],
    )
    .await;
    let _idle = on(&stage.m, "").await;
    let said = stage.said(stage.apply().await);
    assert!(
        said.starts_with(
            "C0220 exit 4: the plan of service SERVICE is refused: 5 findings stand against it\n"
        ),
        "{said}"
    );
    for (database, setting) in [
        ("monolith", "max_replication_slots"),
        ("monolith", "max_wal_senders"),
        ("monolith", "max_connections"),
        ("products", "max_active_replication_origins"),
    ] {
        let line =
            said.lines().find(|line| line.contains(database) && line.contains(setting)).unwrap_or(&said);
        assert!(line.starts_with("cause: C0221 database "), "{line}");
        assert!(line.contains(&format!("to settle it: raise {setting} and restart the server")), "{line}");
    }
}

#[tokio::test]
async fn a_role_without_rights_is_told_which_it_lacks() {
    let house = House::new("no_rights").await;
    let role = format!("nobody_{}", std::process::id());
    let create = format!("create role {role} login password 'pass'");
    house.stage.on_m(&create).await;
    house.stage.on_n(&create).await;
    let m = house.m.url_as(&role, "pass");
    let n = house.n.url_as(&role, "pass");
    let on_source = house.stage.with(&format!("{:?}", house.m.url()), &format!("{m:?}"));
    let said = on_source.said(on_source.apply().await);
    let on_target = house.stage.with(&format!("{:?}", house.n.url()), &format!("{n:?}"));
    let said_too = on_target.said(on_target.apply().await);
    let expected = |database: &str| {
        format!(
            "C0405 exit 1: could not install schema cleave\ncause: permission denied for database {database} (SQLSTATE 42501)\n\
             hint: `cleave doctor` names the rights that are missing and prints the script that grants them\n\
             next: cleave doctor"
        )
    };
    assert_eq!(said, expected(house.m.name()));
    assert_eq!(said_too, expected(house.n.name()));
    let drop = format!("drop owned by {role}; drop role {role}");
    house.stage.on_m(&drop).await;
    house.stage.on_n(&drop).await;
}

#[tokio::test]
async fn a_wrong_password_is_named_with_role_and_server_and_not_shown() {
    let house = House::new("password").await;
    let role = format!("guest_{}", std::process::id());
    house.stage.on_n(&format!("create role {role} login password 'right'")).await;
    let url = house.n.url_as(&role, "hush");
    let stage = house.stage.with(&format!("{:?}", house.n.url()), &format!("{url:?}"));
    let said = stage.said(stage.apply().await);
    house.stage.on_n(&format!("drop role {role}")).await;
    assert_eq!(
        said.replace(&house.n.cluster().port().to_string(), "PORT").replace(&role, "guest"),
        "C0103 exit 1: database products: 127.0.0.1:PORT does not accept the password of role guest: password \
         authentication failed for user \"guest\"\n\
         hint: check this database's URL in cleave.toml; `cleave doctor` tries both sides\nnext: cleave doctor"
    );
}

#[tokio::test]
async fn a_target_that_does_not_answer_is_named() {
    let house = House::new("no_target").await;
    let stage = house.stage.with(&format!("{:?}", house.n.url()), "\"postgres://me:hush@127.0.0.1:1/goods\"");
    assert_eq!(
        stage.said(stage.apply().await),
        "C0101 exit 1: database products: cannot reach 127.0.0.1:1: Connection refused (os error 111)\n\
         hint: when the server answers again, run the same command: it goes on from here\nnext: cleave doctor"
    );
}
