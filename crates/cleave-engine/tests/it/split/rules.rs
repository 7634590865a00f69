//! Single rules of a split.

use super::stage::{Stage, configuration, switched};
use crate::cinema::{number, text};
use cleave_engine::Verb;
use cleave_plan::Weight;
use cleave_sandbox::Version;
use std::collections::BTreeSet;
use tokio_postgres::Client;

async fn places(client: &Client, stage: &Stage, id: i64) -> String {
    let query = format!(
        "select coalesce(string_agg(name, ', ' order by name), 'nowhere') from (
             select 'people' from people.spot where id = {id} union all
             select 'shops' from shops.spot where id = {id} union all
             select 'waiting' from cleave_split_{}.spot where id = {id}) p(name)",
        stage.split
    );
    text(client, &query).await
}

#[tokio::test]
async fn a_row_waits_for_its_first_reference_and_follows_each_to_its_service() {
    let stage = Stage::new(Version::V16).await;
    let client = stage.client().await;
    stage.apply().await.unwrap();
    for switched in [false, true] {
        if switched {
            stage.cutover().await;
        }
        let id = number(&client, "insert into spot (street, town_id) values ('new', 1) returning id").await;
        assert_eq!(places(&client, &stage, id).await, "waiting");
        let person =
            number(&client, &format!("insert into person (spot_id) values ({id}) returning id")).await;
        assert_eq!(places(&client, &stage, id).await, "people");
        client.batch_execute(&format!("insert into shop (spot_id) values ({id})")).await.unwrap();
        assert_eq!(places(&client, &stage, id).await, "people, shops");
        client.batch_execute(&format!("update person set spot_id = 1 where id = {person}")).await.unwrap();
        assert_eq!(places(&client, &stage, id).await, "shops");
        client.batch_execute(&format!("update shop set spot_id = 2 where spot_id = {id}")).await.unwrap();
        assert_eq!(places(&client, &stage, id).await, "shops", "the last owner keeps what nobody refers to");
        client.batch_execute(&format!("update person set spot_id = {id} where id = {person}")).await.unwrap();
        assert_eq!(places(&client, &stage, id).await, "people");
        client
            .batch_execute(&format!(
                "delete from person where id = {person}; delete from spot where id = {id}"
            ))
            .await
            .unwrap();
        assert_eq!(places(&client, &stage, id).await, "nowhere");
    }
    stage.rows_are_where_they_belong().await;
}

/// Sessions that change the references of a few rows in the same moment, at every isolation level.
#[tokio::test(flavor = "multi_thread")]
async fn rows_end_where_they_belong_whoever_changes_their_references_at_once() {
    let stage = Stage::new(Version::V17).await;
    stage.apply().await.unwrap();
    for switched in [false, true] {
        if switched {
            stage.verified().await;
            stage.cutover().await;
        }
        let levels = ["read committed", "repeatable read", "serializable", "read committed"];
        let workers: Vec<_> = levels
            .into_iter()
            .enumerate()
            .map(|(seed, level)| {
                let url = stage.database.url();
                tokio::spawn(async move { change_references(&url, level, seed as u64 + 7).await })
            })
            .collect();
        for worker in workers {
            worker.await.unwrap();
        }
        stage.rows_are_where_they_belong().await;
    }
    stage.verified().await;
}

/// Forty transactions on ten rows; what the server asks to be tried again is tried again.
async fn change_references(url: &str, level: &str, seed: u64) {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let mut state = seed;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for _ in 0..40 {
        let (spot, other, row) = (random(10) + 1, random(10) + 1, random(20) + 1);
        let change = match random(5) {
            0 => format!("insert into person (spot_id) values ({spot})"),
            1 => format!("update person set spot_id = {spot} where spot_id = {other}"),
            2 => format!(
                "delete from shop where spot_id = {spot}; insert into shop (spot_id) values ({other})"
            ),
            3 => format!("update shop set billing_id = {spot} where id = {row}"),
            _ => format!(
                "update spot set street = 's' || random() where id = {spot}; delete from person where spot_id = {other}"
            ),
        };
        let transaction = format!("begin isolation level {level}; {change}; commit");
        while let Err(error) = client.batch_execute(&transaction).await {
            let code = error.code().map(|code| code.code().to_owned()).unwrap_or_default();
            assert!(["40001", "40P01"].contains(&code.as_str()), "{error:?}");
            client.batch_execute("rollback").await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_part_takes_no_write_before_the_switch_and_after_the_way_back() {
    let stage = Stage::new(Version::V15).await;
    let client = stage.client().await;
    stage.apply().await.unwrap();
    let refused = async || {
        for change in [
            "insert into people.spot (street, town_id) values ('x', 1)",
            "update people.spot set street = 'x' where id = 5",
            "truncate shops.spot cascade",
        ] {
            let error = client.batch_execute(change).await.unwrap_err();
            assert!(error.as_db_error().unwrap().message().contains("part of"), "{error:?}");
        }
    };
    refused().await;
    stage.cutover().await;
    client.batch_execute("update people.spot set street = 'x' where id = 1").await.unwrap();
    stage.rollback().await;
    refused().await;
}

#[tokio::test]
async fn cleanup_leaves_an_open_split_alone_and_finds_nothing_of_one_that_has_ended() {
    let stage = Stage::new(Version::V18).await;
    let clean = async || {
        let report =
            cleave_engine::cleanup(&stage.topology(), true, &cleave_engine::Events::silent()).await.unwrap();
        let mut ours = report.items.iter().filter(|item| item.fate != cleave_api::CleanupFate::ForAPerson);
        assert!(ours.next().is_none() && report.unseen.is_empty(), "{report:?}");
    };
    stage.apply().await.unwrap();
    clean().await;
    stage.verified().await;
    stage.cutover().await;
    clean().await;
    stage.rollback().await;
    stage.verb(Verb::Cancel).await.unwrap();
    clean().await;
    let left = "select count(*) from pg_namespace where nspname ~ '^cleave_'";
    assert_eq!(crate::cinema::number(&stage.client().await, left).await, 0);
}

#[tokio::test]
async fn commands_run_around_the_switch_of_a_split_and_one_that_fails_undoes_it() {
    let mut stage = Stage::new(Version::V16).await;
    stage.apply().await.unwrap();
    stage.verified().await;
    let plain = stage.text.clone();
    let told = tempfile::NamedTempFile::new().unwrap();
    let tell = |when: &str| format!("echo {when} $CLEAVE_SWITCH $CLEAVE_EPOCH >> {}", told.path().display());
    let with = |pause: &str| {
        format!(
            "{plain}[hooks]\nbefore_switch = [{:?}]\nin_pause = [{pause:?}]\nafter_switch = [{:?}]\n",
            tell("before"),
            tell("after")
        )
    };
    stage.text = with("exit 3");
    let refused = stage.verb(Verb::Cutover { dry_run: false }).await.unwrap_err();
    assert_eq!((refused.code(), stage.state().await.as_str()), ("C0425", "following"), "{refused:?}");
    stage.text = with(&tell("pause"));
    stage.cutover().await;
    stage.rollback().await;
    let expected = "before cutover 1\nbefore cutover 1\npause cutover 1\nafter cutover 1\nbefore rollback 2\npause rollback 2\nafter rollback 2\n";
    assert_eq!(std::fs::read_to_string(told.path()).unwrap(), expected);
}

/// The table itself stays under its name, so nothing that works on a table fails on it.
#[tokio::test]
async fn what_a_view_could_not_carry_works_on_the_old_name_after_the_switch() {
    let stage = Stage::new(Version::V14).await;
    let client = stage.client().await;
    stage.apply().await.unwrap();
    stage.cutover().await;
    client
        .batch_execute(
            "insert into spot (street, town_id, token) values ('one', 1, -1)
                 on conflict (token) where token is not null do update set street = 'two';
             insert into spot (street, town_id, token) values ('one', 1, -1)
                 on conflict (token) where token is not null do update set street = 'two';
             insert into spot (street, town_id, token) values ('three', 1, -1) on conflict do nothing;
             update spot set street = default where id = 7;
             update spot set id = default where id = 8;
             begin; select from spot where id = 3 for update; lock table spot; end;
             begin; declare c cursor for select * from spot where id = 4 for update; fetch c;
             update spot set street = 'current' where current of c; end",
        )
        .await
        .unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(text(&client, "select street from spot where token = -1").await, "two");
    assert_eq!(text(&client, "select street from people.spot where id = 7").await, "nowhere");
    assert_eq!(
        number(
            &client,
            "select count(*) from person p join people.spot s on s.id = p.spot_id where p.id = 8"
        )
        .await,
        1
    );
    assert_eq!(text(&client, "select street from people.spot where id = 4").await, "current");
    // A key of the part cascades, and what that sets off finds its tables by the client's path.
    client
        .batch_execute("create trigger log after delete on shop for each row execute function logged(); delete from spot where id = 1850")
        .await
        .unwrap();
    assert_eq!(number(&client, "select count(*) from shop where spot_id = 1850").await, 0);
    assert_eq!(
        number(&client, "select count(*) from spot_log where what = 'DELETE' and schema = 'public'").await,
        2
    );
    assert_eq!(text(&client, "show search_path").await, "\"$user\", public");
    stage.rows_are_where_they_belong().await;
    let truncated = client.batch_execute("truncate spot").await.unwrap_err();
    assert!(truncated.code().is_some(), "{truncated:?}");
    client.batch_execute("truncate person").await.unwrap();
    stage.rows_are_where_they_belong().await;
}

#[tokio::test]
async fn views_and_functions_read_the_part_that_they_join_for_and_the_table_again_after_the_way_back() {
    let stage = Stage::new(Version::V18).await;
    let client = stage.client().await;
    let plan = stage.plan().await;
    let fates: BTreeSet<String> =
        plan.crossings.iter().map(|crossing| format!("{} {}", crossing.object, crossing.outcome)).collect();
    for wanted in [
        "public.person_spot reads people.spot from the switch on",
        "public.shop_spot reads shops.spot from the switch on",
        "public.street_of(wanted bigint) reads people.spot from the switch on",
    ] {
        assert!(fates.contains(wanted), "{wanted}: {fates:#?}");
    }
    let left: BTreeSet<&str> = plan
        .findings
        .iter()
        .filter(|finding| finding.code == "C1156")
        .map(|finding| finding.object.as_str())
        .collect();
    assert_eq!(left, ["view public.every_spot", "function public.spots()"].into());
    let reads = "select string_agg(distinct v.relname || ' ' || d.refobjid::regclass, ', ' order by v.relname || ' ' || d.refobjid::regclass)
        from pg_depend d join pg_rewrite r on r.oid = d.objid and d.classid = 'pg_rewrite'::regclass join pg_class v on v.oid = r.ev_class
        where v.relnamespace = 'public'::regnamespace and d.refobjid in ('public.spot'::regclass, to_regclass('people.spot'), to_regclass('shops.spot'))";
    let answers = "select md5(string_agg(x::text, '|' order by x::text)) from (select id, street, words::text from person_spot
        union all select id, street, billed from shop_spot union all select 0, street_of(5), spots()::text) x";
    let (before, first) = (text(&client, reads).await, text(&client, answers).await);
    stage.apply().await.unwrap();
    stage.cutover().await;
    assert_eq!(text(&client, reads).await, "every_spot spot, person_spot people.spot, shop_spot shops.spot");
    assert_eq!(text(&client, answers).await, first);
    stage.rollback().await;
    assert_eq!(text(&client, reads).await, before);
    assert_eq!(text(&client, answers).await, first);
}

#[tokio::test]
async fn a_row_belongs_to_one_service_where_none_may_be_shared() {
    let stage = Stage::with(Version::V18, "orphans = \"people\"").await;
    let client = stage.client().await;
    client.batch_execute("insert into shop (spot_id) values (1)").await.unwrap();
    let plan = stage.plan().await;
    let counts = plan.counts.unwrap();
    assert_eq!((counts.rows, counts.orphans, counts.parts), (2000, 100, vec![900, 1134]));
    // 133 billing addresses of shops are those of people.
    assert!(plan.findings.iter().any(|finding| finding.code == "C1147" && finding.weight == Weight::Refusal));
    let refused = stage.apply().await.unwrap_err();
    assert!(refused.problem().causes.iter().any(|cause| cause.contains("C1147")), "{refused:?}");
    client
        .batch_execute("update shop set billing_id = null; delete from shop where spot_id = 1")
        .await
        .unwrap();
    stage.apply().await.unwrap();
    assert_eq!(places(&client, &stage, 1950).await, "people", "it takes what nobody reaches");

    client.batch_execute("insert into shop (spot_id) values (1)").await.unwrap();
    let report = stage.verb(Verb::Verify).await.unwrap();
    assert!(format!("{report:?}").contains("Different"), "{report:?}");
    assert_eq!(stage.verb(Verb::Cutover { dry_run: false }).await.unwrap_err().code(), "C1158");
    client.batch_execute("delete from shop where spot_id = 1").await.unwrap();
    stage.verified().await;
    stage.cutover().await;
    let refused = client.batch_execute("insert into shop (spot_id) values (1)").await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "23503", "{refused:?}");
    client.batch_execute("insert into shop (spot_id) values (1950)").await.unwrap();
    assert_eq!(places(&client, &stage, 1950).await, "shops");
}

#[tokio::test]
async fn a_part_that_is_not_equal_to_the_table_stops_the_cutover() {
    let stage = Stage::new(Version::V14).await;
    let client = stage.client().await;
    stage.apply().await.unwrap();
    let harm = [
        (
            "update people.spot set street = 'harm' where id = 1",
            "update people.spot set street = 'street 1' where id = 1",
        ),
        (
            "delete from people.spot where id = 2",
            "update spot set street = 'street 2' where id = 2; update person set spot_id = null where spot_id = 2; update person set spot_id = 2 where id = 2",
        ),
        (
            "insert into shops.spot select * from people.spot where id = 3",
            "delete from shops.spot where id = 3",
        ),
    ];
    let unguarded = async |change: &str| {
        let columns = "id, street, \"Post \"\"Code\"\"\", town_id, changed_at, note, token";
        let change = change.replace("spot select *", &format!("spot ({columns}) select {columns}"));
        let off = format!(
            "alter table people.spot disable trigger \"_cleave_split_{0}\"; alter table shops.spot disable trigger \"_cleave_split_{0}\";
             alter table people.spot disable trigger touch;
             {change};
             alter table people.spot enable trigger touch;
             alter table people.spot enable always trigger \"_cleave_split_{0}\"; alter table shops.spot enable always trigger \"_cleave_split_{0}\"",
            stage.split
        );
        client.batch_execute("alter table person drop constraint if exists none").await.unwrap();
        client.batch_execute(&off).await.unwrap_or_else(|error| panic!("{error:?}"));
    };
    let key =
        format!("alter table person drop constraint if exists \"_cleave_split_{}_1_part\"", stage.split);
    client.batch_execute(&key).await.unwrap();
    for (change, mend) in harm {
        unguarded(change).await;
        let report = stage.verb(Verb::Verify).await.unwrap();
        assert!(format!("{report:?}").contains("differences: 1"), "{change}: {report:?}");
        let refused = stage.verb(Verb::Cutover { dry_run: true }).await.unwrap_err();
        assert_eq!(refused.code(), "C1158", "{refused}");
        unguarded(mend).await;
    }
    stage.verified().await;
    client.batch_execute("alter table spot add column since date").await.unwrap();
    let refused = stage.verb(Verb::Cutover { dry_run: false }).await.unwrap_err();
    assert_eq!(refused.code(), "C1159", "{refused}");
    client.batch_execute("alter table spot drop column since").await.unwrap();
    client.batch_execute("create table visitor (spot_id bigint references spot)").await.unwrap();
    let refused = stage.verb(Verb::Cutover { dry_run: false }).await.unwrap_err();
    assert_eq!(refused.code(), "C1145", "{refused}");
    client.batch_execute("drop table visitor").await.unwrap();
    switched(stage.verb(Verb::Cutover { dry_run: false }).await.unwrap());
}

/// What stands against it is found before anything is touched: by code, object and way out.
#[tokio::test]
async fn everything_that_stands_against_a_split_is_named_before_anything_is_touched() {
    let cases = [
        ("C1140", "public.spot", "alter table spot rename to elsewhere"),
        ("C1141", "public.spot", "create table special () inherits (spot)"),
        ("C1142", "public.spot", "alter table spot add code bigint unique; alter table shop drop constraint shop_billing_id_fkey, drop constraint shop_spot_id_fkey,
          add foreign key (billing_id) references spot (code) not valid, add foreign key (spot_id) references spot (code) not valid;
          alter table person drop constraint person_spot_id_fkey, add foreign key (spot_id) references spot (code) not valid"),
        ("C1143", "public.person.spot_id", "alter table person drop constraint person_spot_id_fkey"),
        ("C1143", "public.person.spot_id", "alter table person rename column spot_id to elsewhere"),
        ("C1144", "public.spot", "alter table spot add code bigint unique; alter table shop drop constraint shop_billing_id_fkey,
          add foreign key (billing_id) references spot (code) not valid"),
        ("C1144", "public.shop.billing_id", "drop view shop_spot; alter table shop alter billing_id type int"),
        ("C1144", "public.person.spot_id", "alter table spot add unique (id, town_id); alter table person add town_id int,
          drop constraint person_spot_id_fkey, add foreign key (spot_id, town_id) references spot (id, town_id)"),
        ("C1145", "visitor_spot_id_fkey on public.visitor", "create table visitor (spot_id bigint references spot)"),
        ("C1145", "spot_beside_fkey on public.spot", "alter table spot add beside bigint references spot"),
        ("C1146", "public.shop.billing_id", "drop index shop_billing_id_idx; insert into shop (spot_id) select 1 from generate_series(1, 11000); analyze shop"),
        ("C1148", "people.spot", "create schema people; create table people.spot ()"),
        ("C1148", "shops.spot_town", "create schema shops; create table shops.x (a int); create index spot_town on shops.x (a)"),
        ("C1148", "people.spot_id_seq", "create schema people; create sequence people.spot_id_seq"),
        ("C1150", "public.spot", "alter table spot enable row level security"),
        ("C1151", "public.spot", "create rule r as on delete to spot do instead nothing"),
        ("C1151", "public.spot", "create constraint trigger c after insert on spot for each row execute function logged()"),
        ("C1152", "public.spot", "create publication P for table spot"),
    ];
    for (code, object, change) in cases {
        let stage = Stage::new(Version::V17).await;
        let client = stage.client().await;
        client
            .batch_execute(&change.replace(" P ", &format!(" {} ", stage.split)))
            .await
            .unwrap_or_else(|error| panic!("{change}: {error:?}"));
        let plan = stage.plan().await;
        let found: Vec<_> =
            plan.findings.iter().filter(|finding| finding.code == code && finding.object == object).collect();
        let [finding] = found.as_slice() else { panic!("{code} {object}: {:#?}", plan.findings) };
        let warns = code == "C1152";
        assert_eq!(finding.weight == Weight::Warning, warns, "{finding:?}");
        assert!(finding.fix.is_some(), "{finding:?}");
        assert_eq!(plan.is_refused(), !warns, "{plan:?}");
        if code == "C1150" {
            let refused = stage.apply().await.unwrap_err();
            assert_eq!(refused.code(), "C0220", "{refused}");
            let made = "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace where nspname in ('people', 'shops')";
            assert_eq!(number(&client, made).await, 0);
        }
    }
}

#[tokio::test]
async fn rows_without_an_owner_are_refused_where_nobody_says_what_becomes_of_them() {
    let stage = Stage::with(Version::V16, "shared = \"copy\"").await;
    let client = stage.client().await;
    let refused = stage.apply().await.unwrap_err();
    assert!(refused.problem().causes.iter().any(|cause| cause.contains("C1149")), "{refused:?}");
    client.batch_execute("delete from spot where id > 1900").await.unwrap();
    stage.apply().await.unwrap();
    stage.cutover().await;
    client
        .batch_execute("drop view every_spot; insert into spot (street, town_id) values ('waits', 1)")
        .await
        .unwrap();
    let refused = stage.verb(Verb::Complete).await.unwrap_err();
    assert_eq!(refused.code(), "C1161", "{refused}");
    client.batch_execute("delete from spot where street = 'waits'").await.unwrap();
    stage.verb(Verb::Complete).await.unwrap();
    assert_eq!(
        number(&client, "select count(*) from pg_class where oid = to_regclass('public.spot')").await,
        0
    );
}

#[tokio::test]
async fn a_view_over_the_parts_takes_reads_and_writes_where_it_was_asked_for() {
    for version in [Version::V14, Version::V18] {
        let stage = Stage::with(version, "shared = \"copy\"\norphans = \"keep\"\nbridge = \"view\"").await;
        let client = stage.client().await;
        stage.apply().await.unwrap();
        stage.cutover().await;
        client.batch_execute("drop view every_spot").await.unwrap();
        let rows = "select md5(string_agg(s::text, '|' order by s.id)) from (select * from public.spot) s";
        let before = text(&client, rows).await;
        stage.verb(Verb::Complete).await.unwrap();
        assert_eq!(text(&client, rows).await, before);
        let id = number(&client, "insert into spot (town_id) values (1) returning id").await;
        assert!(id > 2000);
        assert_eq!(
            text(&client, &format!("select street || words from spot where id = {id}")).await,
            "nowhere7"
        );
        assert_eq!(places(&client, &stage, id).await, "waiting");
        client.batch_execute(&format!("insert into shop (spot_id) values ({id})")).await.unwrap();
        assert_eq!(places(&client, &stage, id).await, "shops");
        client.batch_execute(&format!("insert into person (spot_id) values ({id})")).await.unwrap();
        assert_eq!(places(&client, &stage, id).await, "people, shops");
        assert_eq!(
            number(&client, &format!("select count(*) from spot where id = {id}")).await,
            1,
            "shown once"
        );
        assert_eq!(
            client.execute(&format!("update spot set street = 'both' where id = {id}"), &[]).await.unwrap(),
            1
        );
        assert_eq!(text(&client, &format!("select p.street || s.street from people.spot p join shops.spot s using (id) where id = {id}")).await, "bothboth");
        let next =
            number(&client, "insert into people.spot (street, town_id) values ('direct', 1) returning id")
                .await;
        assert!(next > id, "one space of keys");
        assert_eq!(client.execute("delete from spot where id = 2000", &[]).await.unwrap(), 1);
        assert_eq!(client.execute("delete from spot where id = 2000", &[]).await.unwrap(), 0);
        let upsert = client.batch_execute(&format!("insert into spot (id, town_id) overriding system value values ({id}, 1) on conflict (id) do nothing")).await;
        assert!(upsert.is_err(), "a view over several tables carries no ON CONFLICT");
    }
}

#[tokio::test]
async fn tables_of_an_open_split_are_neither_split_again_nor_moved() {
    let mut stage = Stage::new(Version::V18).await;
    stage.apply().await.unwrap();
    let second = configuration(&stage.database, "again", "shared = \"copy\"");
    stage.text = second;
    let name = std::mem::replace(&mut stage.split, cleave_model::ServiceName::parse("again").unwrap());
    let plan = stage.plan().await;
    let found = plan.findings.iter().find(|finding| finding.code == "C1160").unwrap();
    assert!(found.message.contains(name.as_str()), "{found:?}");
}

#[tokio::test]
async fn a_search_path_that_finds_a_part_before_the_table_is_told_by_the_plan() {
    let stage = Stage::new(Version::V16).await;
    let told = async |path: &str| {
        let name = stage.database.name();
        let sql = format!("alter database {name} set search_path = {path}");
        stage.database.connect().await.unwrap().batch_execute(&sql).await.unwrap();
        let plan = stage.plan().await;
        plan.findings.into_iter().find(|finding| finding.code == "C1167").map(|finding| finding.message)
    };
    let message = told("people, public").await.unwrap();
    assert!(message.starts_with("the search_path of every role without its own has a part's schema first"));
    assert_eq!(told("public, people").await, None);
    assert_eq!(told("elsewhere, public").await, None);
    assert!(told("elsewhere, \"people\"").await.is_some());
}

#[tokio::test]
async fn known_statements_that_would_meet_a_part_by_a_bare_name_are_a_refusal() {
    let stage = Stage::new(Version::V16).await;
    let name = stage.database.name();
    let sql = format!("alter database {name} set search_path = people, public");
    stage.client().await.batch_execute(&sql).await.unwrap();
    let found = async |statement: &str| {
        let log = tempfile::NamedTempFile::new().unwrap();
        let line = format!("2026-11-27 06:24:06 UTC [1] LOG:  statement: {statement}\n");
        std::fs::write(log.path(), line).unwrap();
        let options = cleave_engine::WorkloadOptions {
            files: vec![log.path().to_owned()],
            log_line_prefix: Some("%m [%p] ".to_owned()),
            ..cleave_engine::WorkloadOptions::default()
        };
        let plan = cleave_engine::plan_split_for(&stage.topology(), &stage.split, &options).await.unwrap().0;
        let finding = plan.findings.into_iter().find(|finding| finding.code == "C1167").unwrap();
        (finding.weight, finding.message)
    };
    let (weight, message) = found("update spot set street = 'x' where id = 1").await;
    assert_eq!(weight, Weight::Refusal, "{message}");
    assert!(
        message.contains("1 known statements name it without its schema, first: update spot set"),
        "{message}"
    );
    assert_eq!(found("update public.spot set street = 'x' where id = 1").await.0, Weight::Warning);
    assert_eq!(found("select * from person").await.0, Weight::Warning);
}

#[tokio::test]
async fn statements_that_end_with_the_table_are_named_with_the_plan() {
    let stage = Stage::new(Version::V15).await;
    let folder = std::env::temp_dir().join(format!("cleave_{}", stage.split));
    std::fs::create_dir_all(&folder).unwrap();
    let log = folder.join("server.log");
    let lines = [
        "select * from spot where id = 1 for update",
        "insert into public.spot (town_id, token) values (1, 5) on conflict (token) where token is not null do nothing",
        "select * from person for update",
        "update spot set street = 'x' where id = 1",
    ];
    let lines: Vec<String> =
        lines.iter().map(|line| format!("2026-11-27 06:24:06 UTC [1] LOG:  statement: {line}\n")).collect();
    std::fs::write(&log, lines.concat()).unwrap();
    let options = cleave_engine::WorkloadOptions {
        files: vec![log],
        log_line_prefix: Some("%m [%p] ".to_owned()),
        ..cleave_engine::WorkloadOptions::default()
    };
    for open in [false, true] {
        if open {
            stage.apply().await.unwrap();
        }
        let plan = cleave_engine::plan_split_for(&stage.topology(), &stage.split, &options).await.unwrap().0;
        let found: Vec<&str> = plan
            .findings
            .iter()
            .filter(|finding| finding.code == "C1157")
            .map(|finding| finding.message.split(" on ").next().unwrap())
            .collect();
        assert_eq!(
            found.iter().copied().collect::<BTreeSet<_>>(),
            ["FOR UPDATE or FOR SHARE", "ON CONFLICT"].into(),
            "{plan:#?}"
        );
        assert_eq!(found.len(), 2);
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

/// The service's role owns its part, and whoever worked with the table by its old name goes on.
#[tokio::test]
async fn a_part_belongs_to_its_services_owner_and_old_clients_notice_nothing() {
    let mut stage = Stage::new(Version::V16).await;
    let client = stage.client().await;
    let (owner, old) = (format!("{}_owner", stage.split), format!("{}_old", stage.split));
    client
        .batch_execute(&format!(
            "create role {owner}; create role {old};
             grant create, usage on schema public to {old};
             alter table spot owner to {old}; alter table person owner to {old}; alter view person_spot owner to {old};
             grant select on town to {old}; grant insert on spot_log to {old}, {owner}; grant usage on schema public to {owner}"
        ))
        .await
        .unwrap();
    stage.text = stage
        .text
        .replace("home = \"monolith/people\"", &format!("home = \"monolith/people\"\nowner = \"{owner}\""));
    stage.apply().await.unwrap();
    stage.cutover().await;
    let owners = "select string_agg(tableowner, ',' order by schemaname) from pg_tables where schemaname in ('people', 'shops') and tablename = 'spot'";
    assert_eq!(text(&client, owners).await, format!("{owner},{old}"));
    let as_old = format!(
        "set role {old}; select * from person_spot; select street_of(1);
         with new as (insert into spot (street, town_id) values ('old', 1) returning id) insert into person (spot_id) select id from new;
         update spot set street = 'older' where street = 'old'; reset role"
    );
    client.batch_execute(&as_old).await.unwrap_or_else(|error| panic!("{error:?}"));
    let as_new = format!(
        "set role {owner}; update people.spot set street = 'newer' where street = 'older';
         insert into people.spot (street, town_id) values ('new', 2); reset role"
    );
    client.batch_execute(&as_new).await.unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(number(&client, "select count(*) from public.spot where street in ('newer', 'new')").await, 2);
    stage.rows_are_where_they_belong().await;
}

#[tokio::test]
async fn a_partitioned_table_reaches_rows_as_any_other() {
    for version in [Version::V14, Version::V18] {
        let mut stage = Stage::new(version).await;
        let client = stage.client().await;
        client
            .batch_execute(
                "create table visit (id bigint generated by default as identity, at date not null, spot_id bigint) partition by range (at);
                 create table visit_1 partition of visit for values from ('2026-01-01') to ('2026-07-01');
                 create table visit_2 partition of visit for values from ('2026-07-01') to ('2027-01-01');
                 alter table visit add foreign key (spot_id) references spot on delete cascade;
                 create index on visit (spot_id);
                 insert into visit (at, spot_id) select date '2026-01-01' + n::int, 1900 + n from generate_series(1, 90) n;
                 analyze",
            )
            .await
            .unwrap();
        stage.text = stage
            .text
            .replace("\"public.person.spot_id\"", "\"public.person.spot_id\", \"public.visit.spot_id\"");
        let leads = async || {
            text(
                &client,
                "select string_agg(conrelid::regclass || ' ' || conname || ' ' || confrelid::regclass || convalidated, ', ' order by 1)
                 from (select * from pg_constraint where contype = 'f' and conrelid in ('visit'::regclass, 'visit_1'::regclass, 'visit_2'::regclass)
                     and confrelid in ('public.spot'::regclass, to_regclass('people.spot')) order by conrelid::regclass::text) c",
            )
            .await
        };
        let before = leads().await;
        stage.apply().await.unwrap();
        assert_eq!(places(&client, &stage, 1950).await, "people");
        for _ in 0..2 {
            stage.verified().await;
            stage.cutover().await;
            assert_eq!(leads().await, before.replace(" spot", " people.spot"));
            let id = number(&client, "insert into spot (street, town_id) values ('visited', 1) returning id")
                .await;
            client
                .batch_execute(&format!("insert into visit (at, spot_id) values ('2026-08-01', {id})"))
                .await
                .unwrap();
            assert_eq!(places(&client, &stage, id).await, "people");
            client.batch_execute(&format!("delete from spot where id = {id}")).await.unwrap();
            assert_eq!(number(&client, &format!("select count(*) from visit where spot_id = {id}")).await, 0);
            stage.rollback().await;
            assert_eq!(leads().await, before);
        }
        stage.verb(Verb::Cancel).await.unwrap();
        assert_eq!(leads().await, before);
    }
}

#[tokio::test]
async fn a_move_does_not_take_a_table_of_an_open_split_along() {
    let mut stage = Stage::new(Version::V18).await;
    let products = cleave_testkit::TestDatabase::create(Version::V18, "split_n").await.unwrap();
    stage.apply().await.unwrap();
    let service = format!("{}_people", stage.split);
    stage.text += &format!(
        "[databases.products]\nurl = {:?}\n[services.{service}]\nhome = \"products/people\"\nfrom = \"monolith\"\ntables = [\"people.spot\"]\n",
        products.url()
    );
    stage.text = stage
        .text
        .replacen("[databases]\nmonolith = { url", "[databases.monolith]\nurl", 1)
        .replacen("\" }\n[services", "\"\n[services", 1);
    let name = cleave_model::ServiceName::parse(&service).unwrap();
    let plan = cleave_engine::plan(&stage.topology(), &name).await.unwrap();
    let found = plan.findings().iter().find(|finding| finding.code == "C1160").unwrap();
    assert_eq!((found.object.as_str(), found.weight), ("people.spot", Weight::Refusal));
}
