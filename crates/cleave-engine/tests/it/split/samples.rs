//! Databases that others made: Pagila's addresses in three parts, the storefront's suppliers in two.

use super::stage::switched;
use crate::cinema::{number, quiet, text};
use crate::pagila::{answers, source};
use cleave_config::Config;
use cleave_engine::{Events, Topology, Until, Verb};
use cleave_model::ServiceName;
use cleave_sandbox::Version;
use cleave_testkit::TestDatabase;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Verbs on one split of one file.
struct Sample {
    topology: Topology,
    split: ServiceName,
}

impl Sample {
    fn new(database: &TestDatabase, split: &str, services: &str) -> Self {
        let text = format!(
            "[databases]\nmonolith = {{ url = {:?} }}\n{services}\n[limits]\nwrite_pause = \"3s\"\n",
            database.url()
        );
        let config = Config::parse(&text, "cleave.toml").unwrap_or_else(|errors| panic!("{errors:?}"));
        Self {
            topology: Topology::new(config, &text, Path::new("/")),
            split: ServiceName::parse(split).unwrap(),
        }
    }

    async fn apply(&self) {
        let (_canceller, cancelled) = quiet();
        let events = Events::silent();
        cleave_engine::apply(&self.topology, &self.split, None, Until::Following, (&events, &cancelled))
            .await
            .unwrap();
    }

    async fn verb(&self, verb: Verb) -> cleave_engine::Answer {
        let (_canceller, cancelled) = quiet();
        cleave_engine::execute(&self.topology, &self.split, verb, &Events::silent(), &cancelled)
            .await
            .unwrap()
    }
}

/// Runs statements one after the other until told to stop; returns how often all of them ran.
fn keep_writing(
    url: &str,
    statements: &'static [&'static str],
) -> (Arc<AtomicBool>, tokio::task::JoinHandle<usize>) {
    let stop = Arc::new(AtomicBool::new(false));
    let (url, told) = (url.to_owned(), Arc::clone(&stop));
    let writer = tokio::spawn(async move {
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let mut rounds = 0;
        while !told.load(Ordering::Relaxed) {
            for statement in statements {
                client
                    .batch_execute(statement)
                    .await
                    .unwrap_or_else(|error| panic!("{statement}: {error:?}"));
            }
            rounds += 1;
        }
        rounds
    });
    (stop, writer)
}

const ADDRESSES: &str = r#"
[services.customers]
home = "monolith/customers"
tables = ["public.customer"]
[services.staff]
home = "monolith/staff"
tables = ["public.staff"]
[services.stores]
home = "monolith/stores"
tables = ["public.store", "public.inventory"]
[splits.address]
table = "public.address"
into = [
    { service = "customers", reached_by = ["public.customer.address_id"] },
    { service = "staff", reached_by = ["public.staff.address_id"] },
    { service = "stores", reached_by = ["public.store.address_id"] },
]
shared = "copy"
orphans = "keep"
"#;

async fn pagila(test: &str, version: Version) {
    let Some(database) = source::database(test, version).await else { return };
    let client = database.connect().await.unwrap();
    let asked = answers::answers(&client).await;
    let sample = Sample::new(&database, "address", ADDRESSES);
    // What no view shows is changed all the time, and addresses come and go.
    let (stop, writer) = keep_writing(
        &database.url(),
        &[
            "update public.address set address2 = 'x' || random() where address_id % 7 = 3",
            "insert into public.address (address, district, city_id, phone) values ('a', 'b', 1, 'c'), ('a', 'c', 1, 'c')",
            "delete from public.address where address = 'a' and district = 'c'",
        ],
    );
    sample.apply().await;
    answers::assert_same(&answers::answers(&client).await, &asked, "before the cutover");
    switched(sample.verb(Verb::Cutover { dry_run: false }).await);
    answers::assert_same(&answers::answers(&client).await, &asked, "after the cutover");
    let reads = "select string_agg(distinct v.relname || ' ' || d.refobjid::regclass, ', ' order by v.relname || ' ' || d.refobjid::regclass)
        from pg_depend d join pg_rewrite r on r.oid = d.objid and d.classid = 'pg_rewrite'::regclass join pg_class v on v.oid = r.ev_class
        join pg_class t on t.oid = d.refobjid where t.relname = 'address' and v.relnamespace = 'public'::regnamespace";
    let now = text(&client, reads).await;
    for wanted in ["customer_list customers.address", "staff_list staff.address"] {
        assert!(now.contains(wanted), "{now}");
    }
    assert!(!now.contains("list address") && !now.contains("public.address"), "{now}");
    switched(sample.verb(Verb::Rollback { dry_run: false }).await);
    answers::assert_same(&answers::answers(&client).await, &asked, "after the rollback");
    sample.verb(Verb::Verify).await;
    switched(sample.verb(Verb::Cutover { dry_run: false }).await);
    stop.store(true, Ordering::Relaxed);
    assert!(writer.await.unwrap() > 0);
    let exact = "select (select count(*) from customers.address) = (select count(distinct address_id) from customer)
        and (select array_agg(address_id order by address_id) from staff.address) = (select array_agg(distinct address_id) from staff)
        and (select array_agg(address_id order by address_id) from stores.address) = (select array_agg(distinct address_id) from store)";
    assert!(client.query_one(exact, &[]).await.unwrap().get::<_, bool>(0));
    sample.verb(Verb::Complete).await;
    answers::assert_same(&answers::answers(&client).await, &asked, "after complete");
    let layout =
        "select string_agg(schemaname, ', ' order by schemaname) from pg_tables where tablename = 'address'";
    assert_eq!(
        text(&client, layout).await,
        "customers, public, staff, stores",
        "rows that nobody reaches stay in public"
    );
    let reached = "select count(*) from public.address a where exists (select from customer c where c.address_id = a.address_id)";
    assert_eq!(number(&client, reached).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn pagilas_addresses_become_three_tables_on_14() {
    pagila("pagilas_addresses_become_three_tables_on_14", Version::V14).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pagilas_addresses_become_three_tables_on_18() {
    pagila("pagilas_addresses_become_three_tables_on_18", Version::V18).await;
}

const SUPPLIERS: &str = r#"
[services.catalog]
home = "monolith/catalog"
tables = ["public.brand"]
[services.stock]
home = "monolith/stock"
tables = ["public.purchase_order"]
[splits.supplier]
table = "public.supplier"
into = [
    { service = "catalog", reached_by = ["public.brand.supplier_id"] },
    { service = "stock", reached_by = ["public.purchase_order.supplier_id"] },
]
shared = "copy"
orphans = "stock"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_storefronts_suppliers_become_two_tables_with_sequences_of_their_own() {
    let database = TestDatabase::create(Version::V17, "storefront").await.unwrap();
    let client = database.connect().await.unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/storefront");
    for file in ["schema.sql", "data.sql"] {
        client.batch_execute(&std::fs::read_to_string(folder.join(file)).unwrap()).await.unwrap();
    }
    let sample = Sample::new(&database, "supplier", SUPPLIERS);
    let plan = cleave_engine::plan_split(&sample.topology, &sample.split).await.unwrap();
    let counts = plan.counts.clone().unwrap();
    assert!(counts.shared > 0, "{counts:?}");
    let (stop, writer) = keep_writing(
        &database.url(),
        &[
            "update public.supplier set rating = random() where id % 3 = 1",
            "with new as (insert into public.supplier (name, country) values ('new', 'NL') returning id)
             insert into public.brand (name, slug, supplier_id) select 'b' || id, 'b' || id, id from new",
        ],
    );
    sample.apply().await;
    switched(sample.verb(Verb::Cutover { dry_run: false }).await);
    sample.verb(Verb::Verify).await;
    stop.store(true, Ordering::Relaxed);
    assert!(writer.await.unwrap() > 0);
    let last = number(&client, "select max(id)::bigint from public.supplier").await;
    sample.verb(Verb::Complete).await;
    for part in ["catalog", "stock"] {
        let next =
            format!("insert into {part}.supplier (name, country) values ('own', 'NL') returning id::bigint");
        assert_eq!(number(&client, &next).await, last + 1, "{part} goes on by itself");
        let owned = format!("select pg_get_serial_sequence('{part}.supplier', 'id')");
        assert_eq!(text(&client, &owned).await, format!("{part}.supplier_id_seq"));
    }
    assert_eq!(
        number(&client, "select count(*) from pg_class where oid = to_regclass('public.supplier')").await,
        0
    );
}
