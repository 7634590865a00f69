//! The switch and its way back between two servers, with bridge, fence, fill and watched references; the data is
//! already on both sides.

use crate::ddl::carrying::{read, replay, zoo_roots};
use crate::ddl::normal::Rename;
use crate::ddl::servers::Database;
use cleave_ddl::bridge::{self, Mode};
use cleave_ddl::fence::{self, Fence, Notice};
use cleave_ddl::switch::{LockOrder, Switch, stays_bound};
use cleave_ddl::{Carried, Target, carry, fill};
use cleave_model::catalog::{Catalog, Table};
use cleave_model::{Ident, ServiceName, labels};
use cleave_sandbox::Version;

const ROWS: &str = "
    insert into \"Order\" (id, code, price, note) overriding system value
        values (1, 'one', 1, 'first'), (2, 'two', 2, null);
    insert into line (order_id, number, what) values (1, 1, 'a'), (2, 1, 'b')";

struct Pair {
    old: Database,
    new: Database,
    service: ServiceName,
    shop: Ident,
    home: Ident,
    copy: Ident,
}

impl Pair {
    async fn new(from: Version, to: Version) -> Self {
        let (old, new) = (Database::zoo(from).await, Database::new(to).await);
        old.run(&format!(
            "set search_path = shop; {ROWS}; insert into invoice values (10, 1); reset search_path"
        ))
        .await;
        for side in [&old, &new] {
            side.run(
                "create schema cleave;
                 create table cleave.work (id bigint generated always as identity, service text, reference text,
                     kind text, keys jsonb)",
            )
            .await;
        }
        old.run("create schema shop_copy; create extension postgres_fdw").await;
        // Databases of one cluster share roles, so each pair is a service of its own.
        let service = ServiceName::parse(&new.name).unwrap();
        Self { old, new, service, shop: "shop".into(), home: "home".into(), copy: "shop_copy".into() }
    }

    fn target(&self) -> Target<'_> {
        Target { source_schema: &self.shop, schema: &self.home, extra_path: &[] }
    }

    async fn prepare(&self, carried: &Carried<'_>, mode: Mode) {
        let (target, service) = (self.target(), &self.service);
        replay(carried, &self.new, &target, &"postgres".into()).await;
        self.new
            .run(&format!("set search_path = home; {ROWS}; select setval('\"Order numbers\"', 5000)"))
            .await;
        self.new.run(&bridge::create_role(service, "secret")).await;
        self.new.all(&bridge::role_grants(service, carried, &target)).await;
        self.new.all(&fill::create(service, carried, &target, &labels::bridge_role(service))).await;
        let (port, name) = (self.new.port.to_string(), &self.new.name);
        let options = [("host", "127.0.0.1"), ("port", port.as_str()), ("dbname", name.as_str())];
        self.old.run(&bridge::server(service, &options)).await;
        self.old.run(&bridge::user_mapping(service, "secret")).await;
        self.old.all(&bridge::prepare(service, mode, "products", carried, &target)).await;
        self.old.run("set search_path = ''").await;
    }

    fn closed(&self) -> Fence {
        Fence::Closed(Notice {
            home: "products".into(),
            since: "2026-01-01 12:00 UTC".into(),
            applier_role: "postgres".into(),
            way: fence::Way::Bridge,
        })
    }

    async fn forward(&self, switch: &Switch<'_>) {
        self.old.all(&switch.reference_functions()).await;
        self.old.run(&fence::function(&self.service, &self.closed())).await;
        self.old.run("begin").await;
        self.old.all(&switch.lock(LockOrder::MovedFirst)).await;
        self.old.all(&switch.forward()).await;
        self.old.all(&fence::triggers(&self.service, &switch.copies())).await;
        self.old.run("commit").await;
    }

    async fn back(&self, switch: &Switch<'_>) {
        self.old.run("begin").await;
        self.old.all(&switch.lock_bridge(LockOrder::MovedFirst)).await;
        self.old.all(&switch.lock_copies()).await;
        self.old.all(&switch.back()).await;
        self.old.run(&fence::function(&self.service, &Fence::Open)).await;
        self.old.run("commit").await;
        self.old.all(&switch.validate()).await;
    }
}

/// The users' tables, without what Cleave hung on them.
fn own_tables(catalog: &Catalog) -> Vec<Table> {
    let same = Rename { from: "shop", to: "shop" };
    let shop = catalog.tables.iter().filter(|table| table.name.schema.as_str() == "shop");
    let own = shop.map(|table| {
        let mut table = same.table(table);
        table.triggers.retain(|t| !t.name.as_str().contains("cleave"));
        table.constraints.retain(|c| !c.name.as_str().contains("cleave"));
        table
    });
    own.collect()
}

async fn forward_and_back(from: Version, to: Version) {
    let pair = Pair::new(from, to).await;
    let catalog = read(&pair.old).await;
    let carried = carry(&catalog, &zoo_roots());
    pair.prepare(&carried, Mode::Forward).await;
    let switch = Switch {
        service: &pair.service,
        catalog: &catalog,
        carried: &carried,
        copy_schema: &pair.copy,
        mode: Mode::Forward,
    };
    let oids: Vec<u32> = carried.tables.iter().map(|table| table.oid.0).collect();
    let fingerprint = cleave_pg::fingerprint(&pair.old.client, &oids).await.unwrap();
    for _ in 0..2 {
        pair.forward(&switch).await;
        check_forward(&pair).await;
        pair.old
            .run("delete from shop.invoice where order_id > 1000; delete from shop.invoice where id = 12")
            .await;
        pair.back(&switch).await;
        pair.old.run("insert into shop.\"Order\" (price, code) values (9, gen_random_uuid())").await;
        assert!(
            pair.old
                .fails("delete from shop.\"Order\" where id = 77; insert into shop.invoice values (13, 77)")
                .await
                .starts_with("23503")
        );
        assert_eq!(
            cleave_pg::fingerprint(&pair.old.client, &oids).await.unwrap(),
            fingerprint,
            "{from:?} {to:?}"
        );
    }
    assert_eq!(own_tables(&read(&pair.old).await), own_tables(&catalog), "{from:?} {to:?}");
    let bound: Vec<String> = stays_bound(&switch).into_iter().map(|bound| bound.object).collect();
    assert_eq!(bound, ["view shop.order_keyed", "materialized view shop.order_totals"]);
    pair.old.all(&bridge::drop(&pair.service, Mode::Forward, &carried)).await;
}

async fn check_forward(pair: &Pair) {
    let old = &pair.old;
    let id = old.text("insert into shop.\"Order\" (price) values (5) returning id::text").await;
    assert!(id.parse::<i64>().unwrap() > 5000, "{id}");
    let filled = "select (serial_no is not null and countdown is not null and label = 'x' and slugged like 'o-%')::text
                  from shop.\"Order\" where id = ";
    assert_eq!(old.text(&format!("{filled}{id}")).await, "true");
    assert_eq!(
        old.text(&format!("select count(*)::text from shop.order_list_list where id = {id}")).await,
        "1"
    );
    assert_eq!(
        old.text(&format!("select count(*)::text from shop_copy.\"Order\" where id = {id}")).await,
        "0"
    );

    old.run(&format!("begin; insert into shop.invoice values ({id}, {id}); commit")).await;
    let dangling = old.fails("insert into shop.invoice values (11, 77)").await;
    assert!(dangling.starts_with("23503") && dangling.contains("invoice_order"), "{dangling}");
    old.run("insert into shop.invoice values (12, 2, 1, 1)").await;
    assert!(old.fails("update shop.invoice set line_number = 9 where id = 12").await.starts_with("23503"));
    old.run("update shop.invoice set line_number = null where id = 12").await;

    let refused = old.fails("delete from shop_copy.line where order_id = 2").await;
    assert!(refused.starts_with("25006") && refused.contains("home is products since"), "{refused}");
    let refused = old.fails("truncate shop_copy.payment_2025").await;
    assert!(refused.starts_with("25006"), "{refused}");

    let origin = format!("cleave_{}_back", pair.service);
    old.run(&format!(
        "select pg_replication_origin_create('{origin}')
             where not exists (select from pg_replication_origin where roname = '{origin}');
         select pg_replication_origin_session_setup('{origin}');
         begin; set local session_replication_role = replica; delete from shop_copy.\"Order\" where id in (1, 2);
         commit"
    ))
    .await;
    let work = "select string_agg(concat_ws('|', reference, kind, keys), ' ' order by keys) from cleave.work";
    assert_eq!(
        old.text(work).await,
        r#"invoice_order on shop.invoice|cascade|{"id": 1} invoice_order on shop.invoice|cascade|{"id": 2}"#
    );
    old.run(
        "begin; set local session_replication_role = replica;
         insert into shop_copy.\"Order\" (id, code, price, note) overriding system value
             values (1, 'one', 1, 'first'), (2, 'two', 2, null); commit;
         select pg_replication_origin_session_reset(); truncate cleave.work",
    )
    .await;
}

#[tokio::test]
async fn a_forwarding_bridge_writes_at_the_home_and_the_way_back_restores_everything_14_to_18() {
    forward_and_back(Version::V14, Version::V18).await;
}

#[tokio::test]
async fn a_forwarding_bridge_writes_at_the_home_and_the_way_back_restores_everything_on_other_pairs() {
    for (from, to) in
        [(Version::V18, Version::V14), (Version::V16, Version::V17), (Version::V17, Version::V15)]
    {
        forward_and_back(from, to).await;
    }
}

#[tokio::test]
async fn a_local_bridge_reads_the_copy_and_writes_only_changed_columns_at_the_home() {
    let pair = Pair::new(Version::V14, Version::V18).await;
    let catalog = read(&pair.old).await;
    let carried = carry(&catalog, &zoo_roots());
    pair.prepare(&carried, Mode::Local).await;
    let switch = Switch {
        service: &pair.service,
        catalog: &catalog,
        carried: &carried,
        copy_schema: &pair.copy,
        mode: Mode::Local,
    };
    pair.forward(&switch).await;
    let id = pair.old.text("insert into shop.\"Order\" (price) values (5) returning id::text").await;
    assert_eq!(
        pair.old.text(&format!("select count(*)::text from shop.\"Order\" where id = {id}")).await,
        "0"
    );
    assert_eq!(
        pair.new.text(&format!("select count(*)::text from home.\"Order\" where id = {id}")).await,
        "1"
    );
    pair.old.run(&format!("insert into shop.invoice values (11, {id})")).await;

    pair.new.run("update home.\"Order\" set note = 'changed at home' where id = 1").await;
    pair.old.run("update shop.\"Order\" set price = 7 where id = 1").await;
    let row = "select concat_ws('|', note, price) from home.\"Order\" where id = 1";
    assert_eq!(pair.new.text(row).await, "changed at home|7.00");
    pair.old.run("delete from shop.line where order_id = 2").await;
    assert_eq!(pair.new.text("select count(*)::text from home.line").await, "1");

    pair.old.run("delete from shop.invoice where id = 11").await;
    pair.back(&switch).await;
    assert_eq!(own_tables(&read(&pair.old).await), own_tables(&catalog));
    pair.old.all(&bridge::drop(&pair.service, Mode::Local, &carried)).await;
}

#[tokio::test]
async fn a_bridge_to_nowhere_refuses_writes_and_names_the_new_home() {
    let pair = Pair::new(Version::V15, Version::V16).await;
    let catalog = read(&pair.old).await;
    let carried = carry(&catalog, &zoo_roots());
    pair.prepare(&carried, Mode::None).await;
    let switch = Switch {
        service: &pair.service,
        catalog: &catalog,
        carried: &carried,
        copy_schema: &pair.copy,
        mode: Mode::None,
    };
    pair.forward(&switch).await;
    assert_eq!(pair.old.text("select count(*)::text from shop.\"Order\"").await, "2");
    let refused = pair.old.fails("update shop.\"Order\" set price = 7 where id = 1").await;
    assert!(refused.starts_with("25006") && refused.contains("whose home is products"), "{refused}");
    pair.back(&switch).await;
    pair.old.run("update shop.\"Order\" set price = 7 where id = 1").await;
}

#[tokio::test]
async fn a_half_open_fence_lets_only_the_bridge_and_the_applier_through() {
    let pair = Pair::new(Version::V14, Version::V18).await;
    let (service, notice) = (
        &pair.service,
        Notice {
            home: "monolith".into(),
            since: "2026-01-01 12:00 UTC".into(),
            applier_role: "zoo_app".into(),
            way: fence::Way::Bridge,
        },
    );
    pair.new.run("create table public.t (a int); grant all on public.t to zoo_app, zoo_reader").await;
    let half = Fence::HalfOpen { bridge_role: "zoo_reader".into(), notice };
    pair.new.run(&fence::function(service, &half)).await;
    let table = cleave_model::QualifiedName::new("public", "t");
    pair.new.all(&fence::triggers(service, std::slice::from_ref(&table))).await;
    let insert = "insert into public.t values (1)";
    let as_role = |role: &str| format!("begin; set local session authorization {role}; {insert}; commit");
    assert!(pair.new.fails(insert).await.starts_with("25006"));
    pair.new.run(&as_role("zoo_reader")).await;
    // The applier's role alone is not enough, and without the right to ask for the origin it is refused.
    assert!(pair.new.fails(&as_role("zoo_app")).await.starts_with("42501"));
    pair.new.run("rollback").await;
    pair.new.run("grant execute on function pg_replication_origin_session_is_setup() to zoo_app").await;
    assert!(pair.new.fails(&as_role("zoo_app")).await.starts_with("25006"));
    pair.new.run("rollback").await;
    pair.new.run(&fence::function(service, &Fence::Open)).await;
    pair.new.run(insert).await;
    pair.new.all(&fence::drop_triggers(&[table])).await;
    pair.new.run(&fence::drop_function(service)).await;
}
