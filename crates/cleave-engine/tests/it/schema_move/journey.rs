//! There and back, and there for good.

use super::shop::{CUTOVER, ROLLBACK, Shop, customers};
use crate::cinema::{number, text};
use cleave_api::ServiceState;
use cleave_engine::Verb;
use cleave_sandbox::Version;
use std::collections::BTreeSet;
use std::time::Duration;

const LOAD_LIMIT: Duration = Duration::from_secs(60);

/// Everything of the database that a rollback and a cancel must bring back, as text.
const LAYOUT: &str = "
    select string_agg(line, E'\\n' order by line) from (
        select concat_ws('|', 'relation', c.oid::regclass, c.relkind, r.rolname, c.reloptions) as line
        from pg_class c join pg_roles r on r.oid = c.relowner join pg_namespace n on n.oid = c.relnamespace
        where n.nspname not like 'pg\\_%' and n.nspname not in ('information_schema', 'cleave')
        union all
        select concat_ws('|', 'privilege', c.oid::regclass, coalesce(g.rolname, 'public'), a.privilege_type, a.is_grantable)
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        cross join aclexplode(coalesce(c.relacl, acldefault(case c.relkind when 'S' then 's'::\"char\" else 'r' end, c.relowner))) a
        left join pg_roles g on g.oid = a.grantee
        where n.nspname not like 'pg\\_%' and n.nspname not in ('information_schema', 'cleave')
        union all
        select concat_ws('|', 'function', p.oid::regprocedure, md5(p.prosrc), p.proconfig)
        from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname not in ('pg_catalog', 'information_schema', 'cleave')
        union all
        select concat_ws('|', 'statistics', s.stxname, n.nspname) from pg_statistic_ext s join pg_namespace n on n.oid = s.stxnamespace
        union all
        select concat_ws('|', 'default', d.adrelid::regclass, d.adnum, pg_get_expr(d.adbin, d.adrelid)) from pg_attrdef d
        where not exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = d.adrelid and n.nspname = 'cleave')
        union all
        select concat_ws('|', 'schema', n.nspname, n.nspacl) from pg_namespace n where n.nspname not like 'pg\\_%' and n.nspname <> 'cleave'
        union all
        select concat_ws('|', 'setting', s.setrole::regrole, s.setconfig) from pg_db_role_setting s
        where s.setdatabase = (select oid from pg_database where datname = current_database())
        union all
        select concat_ws('|', 'event trigger', evtname) from pg_event_trigger
    ) lines";

async fn layout(shop: &Shop) -> String {
    let client = shop.client().await;
    client.batch_execute("set search_path = ''").await.unwrap();
    text(&client, LAYOUT).await
}

/// Compares line by line, so that a failure names what differs.
fn assert_same(now: &str, before: &str, when: &str) {
    let (now, before): (BTreeSet<&str>, BTreeSet<&str>) = (now.lines().collect(), before.lines().collect());
    let more: Vec<_> = now.difference(&before).collect();
    let less: Vec<_> = before.difference(&now).collect();
    assert!(more.is_empty() && less.is_empty(), "{when}: more {more:#?}, less {less:#?}");
}

/// The harness of a step: start, check, undo, check, start, finish, check, while a writer runs.
async fn there_and_back_and_there(version: Version, keys: &str) {
    let shop = Shop::new(version, &customers(keys)).await;
    let service = shop.first();
    let before = layout(&shop).await;
    shop.apply(&service).await.unwrap();
    shop.verb(&service, Verb::Cancel).await.unwrap();
    assert_same(&layout(&shop).await, &before, "cancel takes back what apply made");

    shop.apply(&service).await.unwrap();
    let prepared = layout(&shop).await;
    // Writers come after the search paths: with `path` older sessions would hold the cutover up.
    let old_names = if keys.contains("path") { "" } else { "public." };
    let workload = shop.writers(old_names).await;
    for round in 1..=2 {
        let report = shop.switch(&service, CUTOVER).await;
        assert_eq!((report.home.as_str(), report.epoch), ("monolith/customers", round * 2 - 1));
        assert!(workload.wait_for(30, LOAD_LIMIT).await, "writers stand still after a cutover");
        let status = shop.status(&service).await;
        assert_eq!((status.state, status.problems.as_slice()), (ServiceState::Switched, [].as_slice()));
        old_and_new_names_answer(&shop).await;
        functions_answer(&shop).await;
        let report = shop.switch(&service, ROLLBACK).await;
        assert_eq!((report.home.as_str(), report.epoch), ("monolith", round * 2));
        assert!(workload.wait_for(30, LOAD_LIMIT).await, "writers stand still after a rollback");
        assert_same(&layout(&shop).await, &prepared, "a rollback takes back what the cutover did");
    }
    shop.switch(&service, CUTOVER).await;
    assert!(workload.wait_for(30, LOAD_LIMIT).await);
    let record = workload.stop().await.unwrap();
    assert!(record.refused.is_empty(), "{:?}", record.errors);
    shop.verb(&service, Verb::Complete).await.unwrap();
    only_new_names_answer(&shop).await;
    functions_answer(&shop).await;
    let status = shop.status(&service).await;
    assert_eq!((status.state, status.home.as_str()), (ServiceState::Done, "monolith/customers"));
}

async fn old_and_new_names_answer(shop: &Shop) {
    let client = shop.client_as(&shop.app).await;
    let inserted = number(
        &client,
        "insert into customer (name, \"Weird \"\"Name\"\"\") values (' x ', default) returning words::bigint",
    )
    .await;
    assert_eq!(inserted, 1, "trigger and generated column are there under the bare name");
    assert_eq!(
        text(&client, "select \"Weird \"\"Name\"\"\" from customers.customer order by id desc limit 1").await,
        "odd"
    );
    assert_eq!(number(&client, "select count(*) from customers.event_old").await, 213);
    assert_eq!(
        text(&client, "select 'customers.note_id_seq'::regclass::oid::text").await,
        text(&client, "select pg_get_serial_sequence('customers.note', 'id')::regclass::oid::text").await
    );
    let admin = shop.client().await;
    assert_eq!(
        text(&admin, "select name_of(1)").await,
        text(&admin, "select name from customers.customer where id = 1").await
    );
    assert_eq!(
        text(&admin, "select n.nspname::text from pg_statistic_ext s join pg_namespace n on n.oid = s.stxnamespace where stxname = 'customer_words'").await,
        "customers"
    );
}

/// Functions answer whatever the caller's path is, though nothing may stand under the old names.
async fn functions_answer(shop: &Shop) {
    let client = shop.client().await;
    for path in ["public", "customers, public", ""] {
        client
            .batch_execute(&format!("set search_path = {}", if path.is_empty() { "''" } else { path }))
            .await
            .unwrap();
        client
            .batch_execute("select public.rename_customer(1, 'renamed'); call public.forget(1)")
            .await
            .unwrap();
        assert_eq!(text(&client, "select public.name_of(1)").await, "renamed");
        assert!(number(&client, "select public.fixed_path()").await >= 200);
        assert!(number(&client, "select count(*) from public.all_customers()").await >= 200);
        assert!(number(&client, "select public.put_together('customers.customer')").await >= 200);
        assert!(number(&client, "select count(*) from public.customer_city").await >= 200);
    }
}

async fn only_new_names_answer(shop: &Shop) {
    let client = shop.client_as(&shop.app).await;
    // Unqualified names go on by the search path.
    client
        .batch_execute(
            "insert into customer (name) values ('at home'); insert into note (customer_id) values (1)",
        )
        .await
        .unwrap();
    let gone = client.batch_execute("select from public.customer").await.unwrap_err();
    assert_eq!(gone.code().unwrap().code(), "42P01");
    assert!(
        number(&client, "select nextval('customers.free_code_seq')").await > 100,
        "the free sequence came last"
    );
}

macro_rules! versions {
    ($($name:ident: $version:ident, $keys:expr;)+) => {
        $(#[tokio::test]
        async fn $name() {
            there_and_back_and_there(Version::$version, $keys).await;
        })+
    };
}

versions! {
    tables_go_to_a_schema_of_their_own_and_back_behind_views_on_14: V14, "bridge = \"view\"";
    tables_go_to_a_schema_of_their_own_and_back_behind_views_on_15: V15, "bridge = \"view\"\nowner = \"OWNER\"";
    tables_go_to_a_schema_of_their_own_and_back_by_the_search_path_on_16: V16, "bridge = \"path\"";
    tables_go_to_a_schema_of_their_own_and_back_by_the_search_path_on_17: V17, "bridge = \"path\"\nowner = \"OWNER\"\nreader = \"READER\"";
    tables_go_to_a_schema_of_their_own_and_back_behind_views_on_18: V18, "bridge = \"view\"\nowner = \"OWNER\"\nreader = \"READER\"";
}
