//! Pagila goes to the six schemas that are known from elsewhere, with its addresses divided among three of them: schema moves
//! and a split of one cleave.toml.

use super::pagila::{LAYOUT, asked};
use super::shop::{CUTOVER, ROLLBACK, Shop};
use crate::cinema::{number, quiet, text};
use crate::pagila::answers::{Answers, assert_all_are_asked, assert_same};
use crate::pagila::source;
use cleave_engine::{EngineError, Events, Until, Verb};
use cleave_model::ServiceName;
use cleave_sandbox::{Endpoint, Kind, Pace, SqlScript, Version, Workload};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);

/// The file names every table as it was called in the monolith.
const SERVICES: [(&str, &str); 6] = [
    ("common", r#"tables = ["public.city", "public.country"]"#),
    ("customers", r#"tables = ["public.customer"]"#),
    (
        "films",
        r#"tables = ["public.actor", "public.category", "public.film", "public.film_*", "public.language"]"#,
    ),
    ("sales", r#"tables = ["public.payment", "public.rental"]"#),
    ("staff", r#"tables = ["public.staff"]"#),
    ("stores", r#"tables = ["public.inventory", "public.store"]"#),
];

const SPLIT: &str = r#"
[splits.address]
table = "public.address"
into = [
    { service = "customers", reached_by = ["public.customer.address_id"] },
    { service = "staff", reached_by = ["public.staff.address_id"] },
    { service = "stores", reached_by = ["public.store.address_id"] },
]
shared = "copy"
orphans = "customers"
bridge = "view"
"#;

const MONOLITH: &str = "public: actor, address, category, city, country, customer, film, film_actor, film_category, \
                        inventory, language, payment, rental, staff, store";
const DIVIDED: &str = "common: city, country; customers: address, customer; films: actor, category, film, film_actor, \
                       film_category, language; ";
const REST: &str = "sales: payment, rental; staff: address, staff; stores: address, inventory, store";
const NEW_PATH: &str = "common, customers, films, sales, staff, stores, public";

/// The whole project: six services and the split.
struct Project {
    shop: Shop,
    split: ServiceName,
    before: Answers,
}

impl Project {
    async fn new(test: &str, version: Version, layer: &str) -> Option<Self> {
        let database = source::database(test, version).await?;
        let keys = SERVICES.map(|(service, tables)| (service, format!("{tables}\nbridge = \"{layer}\"")));
        let services: Vec<(&str, &str)> =
            keys.iter().map(|(service, keys)| (*service, keys.as_str())).collect();
        let mut shop = Shop::over(database, &services);
        shop.text += SPLIT;
        assert_all_are_asked(&shop.client().await).await;
        let before = asked(&shop, Some("public")).await;
        Some(Self { shop, split: ServiceName::parse("address").unwrap(), before })
    }

    /// Moves first, then the split.
    async fn forward(&self) {
        for service in &self.shop.services {
            self.shop.apply(service).await.unwrap();
            self.shop.switch(service, CUTOVER).await;
        }
        self.divide().await;
    }

    async fn divide(&self) {
        let (_canceller, cancelled) = quiet();
        let events = Events::silent();
        let topology = self.shop.topology();
        cleave_engine::apply(&topology, &self.split, None, Until::Following, (&events, &cancelled))
            .await
            .unwrap();
        self.shop.switch(&self.split, CUTOVER).await;
    }

    async fn unite(&self) {
        self.shop.switch(&self.split, ROLLBACK).await;
        self.shop.verb(&self.split, Verb::Cancel).await.unwrap();
    }

    async fn back(&self) {
        self.unite().await;
        for service in self.shop.services.iter().rev() {
            self.shop.switch(service, ROLLBACK).await;
            self.shop.verb(service, Verb::Cancel).await.unwrap();
        }
    }

    async fn layout(&self) -> String {
        text(&self.shop.client().await, LAYOUT).await
    }

    /// Under the old names and the new ones, by sessions of each path.
    async fn answers_as_before(&self, paths: &[Option<&str>], when: &str) {
        for path in paths {
            assert_same(&asked(&self.shop, *path).await, &self.before, &format!("{when}, path {path:?}"));
        }
    }

    async fn statuses_are_clean(&self) {
        for service in &self.shop.services {
            assert_eq!(self.shop.status(service).await.problems, [], "{service}");
        }
    }

    /// Changes every table, and nothing that a view or function shows, with the old schema's name before most names, or
    /// only before that of the table that is split: a bare one means the part that the search path finds first.
    async fn writer(&self, bare: bool) -> Workload {
        let named = |sql: &str| {
            let split = sql.split("public.address").map(|part| part.replace("public.", ""));
            let bare = bare.then(|| split.collect::<Vec<_>>().join("public.address"));
            bare.unwrap_or_else(|| sql.to_owned())
        };
        let of = |statements: &[&'static str]| statements.iter().map(|sql| named(sql)).collect::<Vec<_>>();
        let address = of(&[
            "update public.address set address2 = $token::text where address_id = $random(1,600)",
            "insert into public.address (address, district, city_id, phone) values ('moved in', $token::text, 1, '1')",
            "delete from public.address where address = 'moved in' and district = $token::text",
        ]);
        let people = of(&[
            "update public.customer set email = $token::text, address_id = address_id where customer_id = $random(11,599)",
            "update customer set email = default where customer_id = $random(11,599)",
            "update public.staff set address_id = address_id where staff_id = $random(1,2)",
            "update public.store set address_id = address_id where store_id = $random(1,2)",
        ]);
        let sales = of(&[
            "update public.rental set return_date = return_date where rental_id = $random(1,9000)",
            "update payment set amount = amount where payment_id = $random(16050,20000)",
            "update public.inventory set store_id = store_id where inventory_id = $random(1,4000)",
            "update public.film set rental_rate = rental_rate where film_id = $random(1,1000)",
            "update public.city set city = city where city_id = $random(1,600)",
            "select count(*) from public.customer_list where id < 10",
        ]);
        let mut script = SqlScript::new();
        for (name, statements) in [("address", address), ("people", people), ("sales", sales)] {
            let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
            script = script.transaction(3, Kind::new(name), &statements).unwrap();
        }
        let pace = Pace { connections: 3, rate: Some(40), ..Pace::default() };
        Workload::start(&Endpoint::new("monolith", self.shop.database.url()), script, &pace).await.unwrap()
    }
}

async fn a_move_under_an_open_split_cannot_go_back(project: &Project) {
    let customers = ServiceName::parse("customers").unwrap();
    let refused = project.shop.verb(&customers, ROLLBACK).await.unwrap_err();
    assert!(matches!(&refused, EngineError::Gate { code: "C1160", .. }), "{refused:?}");
    assert!(refused.to_string().contains("split address"), "{refused}");
}

/// A customer of a new address, both by their old names: the address is the customers' at once.
async fn a_new_customer_has_an_address_of_the_customers(project: &Project) {
    let client = project.shop.client().await;
    let made = "with new as (insert into public.address (address, district, city_id, phone) values ('n', 'e', 1, 'w') returning address_id)
                insert into public.customer (store_id, first_name, last_name, address_id)
                select 1, 'N', 'W', address_id from new returning address_id::bigint";
    let id = number(&client, made).await;
    assert_eq!(
        number(&client, &format!("select count(*) from customers.address where address_id = {id}")).await,
        1
    );
    client
        .batch_execute(&format!(
            "delete from public.customer where address_id = {id}; delete from public.address where address_id = {id}"
        ))
        .await
        .unwrap();
}

async fn goes_to_the_known_layout_and_back(test: &str, version: Version) {
    let Some(project) = Project::new(test, version, "view").await else { return };
    assert_eq!(project.layout().await, MONOLITH);
    let workload = project.writer(false).await;
    let everywhere = [Some(NEW_PATH), None, Some("public")];
    for round in 1..=2 {
        project.forward().await;
        // The table stands by until `complete`, and holds every row for the way back.
        assert_eq!(project.layout().await, format!("{DIVIDED}public: address; {REST}"));
        project.answers_as_before(&everywhere, "switched").await;
        project.statuses_are_clean().await;
        a_move_under_an_open_split_cannot_go_back(&project).await;
        a_new_customer_has_an_address_of_the_customers(&project).await;
        assert!(workload.wait_for(50, LIMIT).await, "writers stand still");
        if round == 1 {
            project.back().await;
            assert!(workload.wait_for(50, LIMIT).await, "writers stand still");
            assert_eq!(project.layout().await, MONOLITH);
            project.answers_as_before(&[None, Some("public")], "undone").await;
        }
    }
    project.shop.verb(&project.split, Verb::Complete).await.unwrap();
    assert!(workload.wait_for(50, LIMIT).await, "writers stand still");
    assert_eq!(project.layout().await, format!("{DIVIDED}{REST}"));
    project.answers_as_before(&everywhere, "the split is complete").await;
    let record = workload.stop().await.unwrap();
    assert!(record.errors.is_empty() && record.refused.is_empty(), "{:?}", record.errors);
    for service in &project.shop.services {
        project.shop.verb(service, Verb::Complete).await.unwrap();
    }
    assert_eq!(project.layout().await, format!("{DIVIDED}{REST}"));
    project.answers_as_before(&[Some(NEW_PATH), None], "all is complete").await;
}

/// By the search path alone: sessions that began with it write bare names, and the table that is split by its own schema.
#[tokio::test]
async fn pagila_goes_to_the_known_layout_by_the_search_path_with_its_addresses_in_three_and_back() {
    let test = "Pagila to the known layout by the search path";
    let Some(project) = Project::new(test, Version::V16, "path").await else { return };
    for service in &project.shop.services {
        project.shop.apply(service).await.unwrap();
    }
    project.shop.until_alone().await;
    let workload = project.writer(true).await;
    for round in 1..=2 {
        for service in &project.shop.services {
            project.shop.switch(service, CUTOVER).await;
        }
        project.divide().await;
        assert_eq!(project.layout().await, format!("{DIVIDED}public: address; {REST}"));
        project.answers_as_before(&[Some(NEW_PATH), None], "switched").await;
        assert!(workload.wait_for(50, LIMIT).await, "writers stand still");
        if round == 1 {
            project.unite().await;
            for service in project.shop.services.iter().rev() {
                project.shop.switch(service, ROLLBACK).await;
            }
            assert_eq!(project.layout().await, MONOLITH);
            project.answers_as_before(&[None, Some("public")], "undone").await;
        }
    }
    for service in project.shop.services.iter().chain([&project.split]) {
        project.shop.verb(service, Verb::Complete).await.unwrap();
    }
    assert!(workload.wait_for(50, LIMIT).await, "writers stand still");
    let record = workload.stop().await.unwrap();
    assert!(record.errors.is_empty() && record.refused.is_empty(), "{:?}", record.errors);
    assert_eq!(project.layout().await, format!("{DIVIDED}{REST}"));
    project.answers_as_before(&[Some(NEW_PATH), None], "all is complete").await;
}

#[tokio::test]
async fn pagila_goes_to_the_known_layout_with_its_addresses_in_three_and_back_on_14() {
    goes_to_the_known_layout_and_back("Pagila to the known layout on 14", Version::V14).await;
}

#[tokio::test]
async fn pagila_goes_to_the_known_layout_with_its_addresses_in_three_and_back_on_18() {
    goes_to_the_known_layout_and_back("Pagila to the known layout on 18", Version::V18).await;
}
