//! Services that share a database are kept apart by their roles, and `doctor isolation` finds every way across.

use super::shop::{CUTOVER, ROLLBACK, Shop};
use crate::cinema::number;
use cleave_api::Severity;
use cleave_engine::{Events, Verb};
use cleave_sandbox::Version;
use cleave_testkit::TestDatabase;

const SCHEMA: &str = "
    create table customer (id int generated always as identity primary key, name text default 'n');
    create table invoice (id serial primary key, customer_id int references customer, total numeric);
    create function total(wanted int) returns numeric language sql as 'select sum(total) from invoice where customer_id = wanted';
    insert into customer (name) select 'c' from generate_series(1, 10);
    insert into invoice (customer_id, total) select id, 1 from customer;
    grant select on customer to public;";

async fn two_services(version: Version) -> Shop {
    let database = TestDatabase::create(version, "isolated").await.unwrap();
    database.connect().await.unwrap().batch_execute(SCHEMA).await.unwrap();
    let roles = "owner = \"OWNER\"\nreader = \"READER\"";
    let (customers, sales) = (
        format!("tables = [\"public.customer\"]\n{roles}"),
        format!("tables = [\"public.invoice\"]\n{roles}"),
    );
    Shop::over(database, &[("customers", &customers), ("sales", &sales)])
}

/// Code, object and what was seen, roles by their part.
async fn found(shop: &Shop) -> Vec<String> {
    let report = cleave_engine::isolation(&shop.topology(), None, &Events::silent()).await.unwrap();
    let findings = report.findings.iter().filter(|finding| finding.severity == Severity::Error);
    findings
        .map(|finding| {
            let line =
                format!("{} {}: {}", finding.code, finding.object.as_deref().unwrap_or(""), finding.seen);
            line.replace(&shop.owner, "own").replace(&shop.reader, "ro")
        })
        .collect()
}

#[tokio::test]
async fn every_way_from_one_service_to_another_is_found() {
    let shop = two_services(Version::V16).await;
    for service in &shop.services {
        shop.apply(service).await.unwrap();
        shop.switch(service, CUTOVER).await;
        shop.verb(service, Verb::Complete).await.unwrap();
    }
    assert_eq!(found(&shop).await, Vec::<String>::new(), "what PUBLIC had is taken away by complete");
    let client = shop.client().await;
    let (sales, reader) = (format!("{}_sales", shop.owner), format!("{}_sales", shop.reader));
    client.batch_execute(&format!("set role {sales}")).await.unwrap();
    let closed = client.batch_execute("select from customers.customer").await.unwrap_err();
    assert_eq!(closed.code().unwrap().code(), "42501");
    client
        .batch_execute(&format!(
            "insert into sales.invoice (customer_id) values (1); reset role; set role {reader}"
        ))
        .await
        .unwrap();
    assert_eq!(number(&client, "select count(*) from sales.invoice").await, 11);
    assert!(client.batch_execute("delete from sales.invoice").await.is_err(), "a reader reads");
    client.batch_execute("reset role").await.unwrap();

    let cases = [
        (
            format!("grant usage on schema customers to {reader}; grant select (name) on customers.customer to {reader}"),
            format!("revoke usage on schema customers from {reader}"),
            "C1130 role ro_sales: it may SELECT customers.customer",
        ),
        (
            "grant usage on schema sales to public; grant update on sales.invoice_id_seq to public".to_owned(),
            "revoke usage on schema sales from public".to_owned(),
            "C1130 role own_customers: it may UPDATE sales.invoice_id_seq",
        ),
        (
            format!("grant {}_customers to {sales}", shop.owner),
            format!("revoke {}_customers from {sales}", shop.owner),
            "C1130 role own_sales: it can become own_customers",
        ),
        (
            "create view public.below as select * from customers.customer; create view public.names as select name from public.below; grant select on public.names to public".to_owned(),
            "drop view public.names, public.below".to_owned(),
            "C1131 role own_sales: through view public.names it may SELECT customers.customer",
        ),
        (
            "create function public.name_of(wanted int) returns text language plpgsql security definer as
             $f$ begin return (select name from customers.customer where id = wanted); end $f$".to_owned(),
            "drop function public.name_of".to_owned(),
            "C1132 role own_sales: through public.name_of(wanted integer) it reaches customers.customer",
        ),
    ];
    for (open, close, expected) in cases {
        client.batch_execute(&open).await.unwrap();
        let said = found(&shop).await;
        assert!(said.iter().any(|line| line == expected), "{open}: {said:#?}");
        client.batch_execute(&close).await.unwrap();
        assert_eq!(found(&shop).await, Vec::<String>::new(), "after {close}");
    }
}

#[tokio::test]
async fn a_plain_role_moves_what_it_may_and_gives_it_to_a_role_that_it_makes_on_14() {
    by_a_plain_role(Version::V14).await;
}

#[tokio::test]
async fn a_plain_role_moves_what_it_may_and_gives_it_to_a_role_that_it_makes_on_18() {
    by_a_plain_role(Version::V18).await;
}

async fn by_a_plain_role(version: Version) {
    let shop = two_services(version).await;
    let plain = format!("plain_{}", shop.owner);
    let client = shop.client().await;
    let database = crate::cinema::text(&client, "select current_database()").await;
    client
        .batch_execute(&format!(
            "create role {plain} login createrole password 'plain';
             create role app_{plain};
             grant app_{plain}, pg_monitor to {plain};
             alter database {database} owner to {plain};
             grant usage, create on schema public to app_{plain};
             alter table customer owner to app_{plain}; alter table invoice owner to app_{plain};
             alter function total owner to app_{plain}"
        ))
        .await
        .unwrap();
    let url = shop.database.url_as(&plain, "plain");
    let text = shop.text.replace(&format!("{:?}", shop.database.url()), &format!("{url:?}"));
    let shop = Shop { text, ..shop };
    for service in &shop.services {
        shop.apply(service).await.unwrap();
        shop.switch(service, CUTOVER).await;
        assert_eq!(shop.status(service).await.problems, []);
    }
    // The application goes on as the role that owned the tables.
    let app = shop.client_as(&format!("app_{plain}")).await;
    app.batch_execute(
        "insert into customer default values; insert into public.customer (name) values (default);
         insert into public.invoice (customer_id) values (1)",
    )
    .await
    .unwrap();
    assert_eq!(number(&app, "select total(1)::bigint").await, 1);
    for service in &shop.services {
        shop.switch(service, ROLLBACK).await;
        shop.verb(service, Verb::Cancel).await.unwrap();
    }
    assert_eq!(
        number(
            &client,
            "select count(*) from pg_tables where schemaname = 'public' and tableowner like 'app_plain%'"
        )
        .await,
        2
    );
    assert_eq!(
        number(&client, &format!("select count(*) from pg_roles where rolname like '{}\\_%'", shop.owner))
            .await,
        0
    );
}
