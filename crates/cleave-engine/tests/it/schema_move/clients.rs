//! What clients do with the old names: prepared statements over a switch, upserts, row locks, COPY, cursors.

use super::shop::{CUTOVER, ROLLBACK, Shop, customers};
use crate::cinema::{number, text};
use cleave_engine::{Events, Until, Verb};
use cleave_sandbox::Version;
use cleave_testkit::TestDatabase;
use futures_util::SinkExt;
use std::io::Cursor;
use tokio_postgres::{Client, Statement};

/// A session that began before the move and keeps its statements, as a pool does.
struct Kept {
    client: Client,
    insert: Statement,
    change: Statement,
    upsert: Statement,
    lock: Statement,
    all: Statement,
}

impl Kept {
    async fn new(shop: &Shop, schema: &str) -> Self {
        let client = shop.client_as(&shop.app).await;
        let prepare = async |sql: &str| client.prepare(&sql.replace("$schema", schema)).await.unwrap();
        Self {
            insert: prepare("insert into $schemacustomer (name, mood) values ($1, default) returning id, words").await,
            change: prepare("update $schemacustomer set \"Weird \"\"Name\"\"\" = default, name = $2 where id = $1").await,
            upsert: prepare("insert into $schemaevent (id, at) values ($1, '2020-06-02') on conflict (id, at) do update set body = excluded.body || $2::text").await,
            lock: prepare("select name from $schemacustomer where id = $1 for update skip locked").await,
            all: prepare("select * from $schemacustomer where id = $1").await,
            client,
        }
    }

    async fn work(&self, round: i32) {
        let client = &self.client;
        let row = client.query_one(&self.insert, &[&format!(" round {round}")]).await.unwrap();
        let id: i64 = row.get(0);
        assert_eq!(row.get::<_, i32>(1), 7);
        assert_eq!(client.execute(&self.change, &[&id, &"changed"]).await.unwrap(), 1);
        assert_eq!(client.execute(&self.upsert, &[&1_i64, &"x"]).await.unwrap(), 1);
        client.batch_execute("begin").await.unwrap();
        assert_eq!(client.query(&self.lock, &[&id]).await.unwrap().len(), 1);
        client.batch_execute("commit").await.unwrap();
        let row = client.query_one(&self.all, &[&id]).await.unwrap();
        assert_eq!((row.columns().len(), row.get::<_, String>("Weird \"Name\"").as_str()), (9, "odd"));
    }
}

async fn prepared_statements_go_on(version: Version) {
    let shop = Shop::new(version, &customers("bridge = \"view\"")).await;
    let service = shop.first();
    let kept = [Kept::new(&shop, "").await, Kept::new(&shop, "public.").await];
    shop.apply(&service).await.unwrap();
    for (round, verb) in [CUTOVER, ROLLBACK, CUTOVER].into_iter().enumerate() {
        shop.switch(&service, verb).await;
        for session in &kept {
            session.work(i32::try_from(round).unwrap()).await;
        }
    }
}

/// By the search path alone, for sessions that began with it.
async fn prepared_statements_go_on_by_the_path(version: Version) {
    let shop = Shop::new(version, &customers("bridge = \"path\"")).await;
    let service = shop.first();
    shop.apply(&service).await.unwrap();
    shop.until_alone().await;
    let kept = Kept::new(&shop, "").await;
    for (round, verb) in [CUTOVER, ROLLBACK, CUTOVER].into_iter().enumerate() {
        shop.switch(&service, verb).await;
        kept.work(i32::try_from(round).unwrap()).await;
    }
}

#[tokio::test]
async fn statements_that_were_prepared_before_a_switch_by_the_path_go_on_after_it_on_15_and_18() {
    prepared_statements_go_on_by_the_path(Version::V15).await;
    prepared_statements_go_on_by_the_path(Version::V18).await;
}

#[tokio::test]
async fn statements_that_were_prepared_before_a_switch_go_on_after_it_on_15() {
    prepared_statements_go_on(Version::V15).await;
}

#[tokio::test]
async fn statements_that_were_prepared_before_a_switch_go_on_after_it_on_18() {
    prepared_statements_go_on(Version::V18).await;
}

/// What a view cannot do is done by the search path, for sessions that know it.
async fn copy_and_truncate(version: Version) {
    let shop = Shop::new(version, &customers("bridge = \"view\"")).await;
    let service = shop.first();
    shop.apply(&service).await.unwrap();
    shop.switch(&service, CUTOVER).await;
    let client = shop.client().await;
    let copy = async |client: &Client, table: &str| -> Result<u64, tokio_postgres::Error> {
        let sink = client.copy_in(&format!("copy {table} (name) from stdin")).await?;
        let mut sink = std::pin::pin!(sink);
        sink.send(Cursor::new(b"copied\n".to_vec())).await?;
        sink.finish().await
    };
    assert_eq!(copy(&client, "customer").await.unwrap(), 1);
    // The driver is of no use after an error in a COPY.
    assert!(copy(&shop.client().await, "public.customer").await.is_err(), "a view takes no COPY");
    assert_eq!(number(&client, "select count(*) from customer where name = 'copied'").await, 1);
    client
        .batch_execute(
            "begin; declare c cursor for select * from customer for update; fetch c;
             update customer set mood = 'sad' where current of c;
             lock table customer in share mode; truncate event;
             select xmin, ctid from customer limit 1; analyze customer; commit",
        )
        .await
        .unwrap();
    assert_eq!(number(&client, "select count(*) from public.event").await, 0);
    let failed = client.batch_execute("truncate public.event").await.unwrap_err();
    assert_eq!(failed.code().unwrap().code(), "42809");
}

#[tokio::test]
async fn what_a_view_cannot_do_the_search_path_does_on_15() {
    copy_and_truncate(Version::V15).await;
}

#[tokio::test]
async fn what_a_view_cannot_do_the_search_path_does_on_18() {
    copy_and_truncate(Version::V18).await;
}

#[tokio::test]
async fn tables_that_have_a_schema_of_their_own_can_go_to_a_database_of_their_own() {
    let shop = Shop::new(Version::V16, &customers("owner = \"OWNER\"")).await;
    let service = shop.first();
    shop.apply(&service).await.unwrap();
    shop.switch(&service, CUTOVER).await;
    shop.verb(&service, Verb::Complete).await.unwrap();
    let n = TestDatabase::create(Version::V16, "own").await.unwrap();
    let text = format!(
        "[databases]\nmonolith = {{ url = {:?} }}\nown = {{ url = {:?} }}\n\
         [services.customers]\nhome = \"own/customers\"\ntables = [\"customers.customer\", \"customers.note\"]\n\
         copies = [\"monolith/customers_copy\"]\nbridge = \"local\"\n",
        shop.database.url(),
        n.url()
    );
    let live = Shop { text, ..shop };
    assert_eq!(live.status(&service).await.home, "monolith/customers");
    let (_canceller, cancelled) = crate::cinema::quiet();
    let events = Events::silent();
    cleave_engine::apply(&live.topology(), &service, None, Until::Following, (&events, &cancelled))
        .await
        .unwrap();
    let there = n.connect().await.unwrap();
    assert_eq!(number(&there, "select count(*) from customers.customer").await, 200);
    live.verb(&service, Verb::Cancel).await.unwrap();
    assert_eq!(text_of(&live, "select count(*)::text from customers.customer").await, "200");
}

async fn text_of(shop: &Shop, sql: &str) -> String {
    text(&shop.client().await, sql).await
}
