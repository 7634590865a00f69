//! What crosses between services, on real servers.

use crate::places::{Places, run};
use cleave_api::BoundaryReport;
use cleave_engine::{boundary_of, plan};
use cleave_model::workload::{Statement, TableUse, Transaction, Workload};
use cleave_model::{QualifiedName, ServiceName};
use cleave_sandbox::Version;
use cleave_testkit::TestDatabase;
use std::collections::BTreeSet;

const SCHEMA: &str = "
create table customer (id int primary key, name text);
create table product (id int primary key, price numeric);
create sequence document_number;
create table orders (id serial primary key, customer_id int references customer on delete cascade, number bigint default nextval('document_number'));
create table line (order_id int references orders, product_id int references product, primary key (order_id, product_id));
create table letter (id int primary key, number bigint default nextval('document_number'));
create view order_list as select o.id, c.name from orders o join customer c on c.id = o.customer_id;
create view names as select name from order_list;
create materialized view turnover as select product_id, count(*) from line group by product_id;
create function reprice() returns trigger language plpgsql as $$ begin update product set price = price; return new; end $$;
create trigger reprice after insert on line for each row execute function reprice();
create function touch() returns trigger language plpgsql as $$ begin perform 1 from orders; return new; end $$;
create trigger touch before update on orders for each row execute function touch();
create function forget(gone int) returns void language sql as 'delete from line using orders where id = order_id and customer_id = gone';";

const SERVICES: &str = r#"
home = "products/films"
tables = ["public.product"]
copies = ["monolith/films_copy"]
[services.sales]
home = "products/sales"
tables = ["public.orders", "public.line"]
copies = ["monolith/sales_copy"]
"#;

fn lines(report: &BoundaryReport) -> Vec<String> {
    let line = |crossing: &cleave_api::BoundaryCrossing| {
        let parties = crossing.parties.iter().map(|party| party.service.as_deref().unwrap_or("-"));
        let parties = parties.collect::<Vec<_>>().join("+");
        format!("{} {} | {parties} | {}", crossing.kind.as_str(), crossing.object, crossing.evidence)
    };
    report.crossings.iter().map(line).collect()
}

async fn places(hint: &str) -> (TestDatabase, TestDatabase, Places) {
    let (m, n) = (
        TestDatabase::create(Version::V16, &format!("{hint}_m")).await.unwrap(),
        TestDatabase::create(Version::V17, &format!("{hint}_n")).await.unwrap(),
    );
    run(&m.url(), SCHEMA).await;
    let places = Places::new(&m.url(), &n.url(), SERVICES);
    (m, n, places)
}

#[tokio::test]
async fn everything_that_crosses_is_told_with_who_has_a_part_in_it() {
    let (_m, _n, places) = places("boundary").await;
    let report = boundary_of(&places.topology(), None, &Workload::default()).await.unwrap();
    assert_eq!(report.services, ["films", "sales"]);
    assert_eq!(
        lines(&report),
        [
            "foreign key public.line (product_id) → public.product [line_product_id_fkey] | films+sales | declared, on delete no action",
            "foreign key public.orders (customer_id) → public.customer [orders_customer_id_fkey] | sales+- | declared, on delete cascade",
            "view public.names | sales+- | reads sales, what stays",
            "view public.order_list | sales+- | reads sales, what stays",
            "materialized view public.turnover | sales+- | reads sales",
            "function public.forget(gone integer) | sales+- | its text names public.line, public.orders, writes public.line",
            "function public.reprice() | films+- | its text names public.product, writes public.product",
            "trigger trigger reprice of public.line | films+sales | its function's text names public.product",
            "sequence public.document_number | sales+- | read by public.letter, public.orders",
            "sequence public.orders_id_seq | sales+- | read by public.orders",
        ]
    );
    let only = ServiceName::parse("films").unwrap();
    let films = boundary_of(&places.topology(), Some(&only), &Workload::default()).await.unwrap();
    assert_eq!(films.services, ["films"]);
    assert_eq!(films.crossings.len(), 3, "{:#?}", lines(&films));
}

/// There is one source for what the plan and the report say.
#[tokio::test]
async fn a_plan_prints_the_outcomes_of_its_service() {
    let (_m, _n, places) = places("boundary_plan").await;
    let topology = places.topology();
    let report = boundary_of(&topology, None, &Workload::default()).await.unwrap();
    for service in ["films", "sales"] {
        let plan = plan(&topology, &ServiceName::parse(service).unwrap()).await.unwrap();
        let mut planned: Vec<(String, String)> = plan
            .crossings()
            .iter()
            .map(|crossing| (crossing.object.clone(), crossing.outcome.clone()))
            .collect();
        let mut told: Vec<(String, String)> = report
            .crossings
            .iter()
            .flat_map(|crossing| crossing.outcomes.iter().map(move |outcome| (crossing, outcome)))
            .filter(|(_, outcome)| outcome.service == service)
            .map(|(crossing, outcome)| (crossing.object.clone(), outcome.fate.clone()))
            .collect();
        planned.sort();
        told.sort();
        assert!(!told.is_empty());
        assert_eq!(planned, told);
    }
}

#[tokio::test]
async fn statements_and_transactions_that_span_services_are_told_by_how_often_they_were_seen() {
    let (_m, _n, places) = places("boundary_usage").await;
    let name = |table: &str| QualifiedName::new("public", table);
    let used =
        |table: &str, writes: bool| TableUse { table: name(table), qualified: false, reads: !writes, writes };
    let statement = |text: &str, calls, tables: &[TableUse]| Statement {
        text: text.to_owned(),
        calls,
        total_ms: 1500.0,
        tables: tables.to_vec(),
        ..Statement::default()
    };
    let set = |names: &[&str]| names.iter().map(|table| name(table)).collect::<BTreeSet<_>>();
    let transaction = |written: &[&str], read: &[&str], count| Transaction {
        written: set(written),
        read: set(read),
        count,
    };
    let workload = Workload {
        sources: vec!["a test".to_owned()],
        statements: vec![
            statement("select a join", 20, &[used("line", false), used("product", false)]),
            statement("select a view", 30, &[used("order_list", false)]),
            statement("select one", 99, &[used("product", false)]),
            statement("select what stays", 99, &[used("customer", false)]),
        ],
        transactions: vec![
            transaction(&["orders", "product"], &[], 7),
            transaction(&["line"], &["customer"], 9),
            transaction(&["orders", "line"], &[], 90),
            transaction(&["letter", "customer"], &[], 90),
        ],
        unread: vec![("who knows".to_owned(), 3)],
    };
    let report = boundary_of(&places.topology(), None, &workload).await.unwrap();
    let seen: Vec<String> = lines(&report)
        .into_iter()
        .filter(|line| line.starts_with("statement") || line.starts_with("transaction"))
        .collect();
    assert_eq!(
        seen,
        [
            "statement select a view | sales+- | touches sales, what stays; 30 calls, 1.5 s",
            "statement select a join | films+sales | touches films, sales; 20 calls, 1.5 s",
            "transaction writes public.line | sales+- | writes on sales and reads on what stays; seen 9 times",
            "transaction writes public.orders, public.product | films+sales | writes on films, sales; seen 7 times",
        ]
    );
    assert_eq!((report.statements, report.statements_unread, report.transactions), (4, 1, 196));
}
