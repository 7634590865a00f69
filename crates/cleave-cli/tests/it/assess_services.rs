//! `cleave assess services` and `cleave assess table`, as a user runs them.

use crate::store::Store;

/// A small shop: three services by nature, one of them in cleave.toml already.
const SHOP: &str = "
    create table customer (id bigint primary key, name text);
    create table address (id bigint primary key, customer_id bigint not null references customer on delete cascade);
    create table login (id bigint primary key, customer_id bigint not null references customer on delete cascade);
    create table orders (id bigint primary key, customer_id bigint not null references customer);
    create table order_line (order_id bigint references orders on delete cascade, line_no int, product_id bigint not null,
        primary key (order_id, line_no));
    create table order_payment (id bigint primary key, order_id bigint not null references orders on delete cascade);
    create table product (id bigint primary key, name text);
    create table product_image (id bigint primary key, product_id bigint not null references product on delete cascade);
    create table product_price (id bigint primary key, product_id bigint not null references product on delete cascade);
    create table schema_migrations (version text primary key);
    alter table order_line add foreign key (product_id) references product;
    create view order_list as select o.id, c.name from orders o join customer c on c.id = o.customer_id;";

const PRODUCTS: &str = "[services.products]\nhome = \"products/items\"\ntables = [\"public.product\", \"public.product_image\"]\n";

async fn shop() -> Store {
    let store = Store::with(PRODUCTS).await;
    store.on_m(SHOP).await;
    store
}

#[tokio::test]
async fn services_are_proposed_around_those_that_are_decided() {
    let store = shop().await;
    let document = store.json(0, &["assess", "services"]).await;
    let data = &document["data"];
    assert_eq!((&document["kind"], &data["tables"]), (&"assess-services".into(), &9.into()));
    let shown =
        data["alternatives"].as_array().unwrap().iter().find(|way| way["grain"] == data["shown"]).unwrap();
    let decided: Vec<&serde_json::Value> =
        shown["services"].as_array().unwrap().iter().filter(|service| service["decided"] == true).collect();
    let tables: Vec<&str> = decided[0]["tables"]
        .as_array()
        .unwrap()
        .iter()
        .map(|table| table["table"].as_str().unwrap())
        .collect();
    assert_eq!(decided.len(), 1);
    assert_eq!(decided[0]["name"], "products");
    assert_eq!(tables, ["public.product", "public.product_image", "public.product_price"]);
    assert_eq!(data["aside"][0]["table"], "public.schema_migrations");
    let human = String::from_utf8(store.expect(0, &["assess", "services"]).await.stdout).unwrap();
    assert!(human.contains("products  3 tables  decided") && human.contains("public.order_list"), "{human}");
}

#[tokio::test]
async fn what_is_printed_as_toml_can_be_planned() {
    let store = shop().await;
    let arguments = ["assess", "services", "--afresh", "--format", "toml"];
    let toml = String::from_utf8(store.expect(0, &arguments).await.stdout).unwrap();
    let whole = format!(
        "[databases]\nmonolith = {{ url = \"env:MONOLITH_URL\" }}\nproducts = {{ url = \"env:PRODUCTS_URL\" }}\n\n{toml}"
    );
    let config = cleave_config::Config::parse(&whole, "cleave.toml").unwrap();
    assert!(
        config.services.len() > 1
            && config.services.iter().all(|s| s.home.value.database.as_str() == "products")
    );
    // Those that are decided keep their home.
    let kept =
        String::from_utf8(store.expect(0, &["assess", "services", "--format", "toml"]).await.stdout).unwrap();
    assert!(kept.contains("home   = \"products/items\""), "{kept}");
}

#[tokio::test]
async fn a_tables_place_is_explained_by_its_ties() {
    let store = shop().await;
    let document = store.json(0, &["assess", "table", "order_line"]).await;
    let data = &document["data"];
    assert_eq!(
        (&data["table"], &data["neighbours"][0]["table"]),
        (&"public.order_line".into(), &"public.orders".into())
    );
    assert_eq!(data["neighbours"][0]["ties"][0]["seen"], "order_line.order_id");
    store.expect(2, &["assess", "table", "schema_migrations"]).await;
}

#[tokio::test]
async fn wishes_that_cannot_be_are_refused_by_name() {
    let store = shop().await;
    for (arguments, code) in [
        (vec!["--must-link", "orders,nothing"], "C1020"),
        (vec!["--must-link", "orders,login", "--cannot-link", "login,orders"], "C1022"),
        (vec!["--services", "50"], "C1023"),
        (vec!["--schema", "elsewhere"], "C1024"),
        (vec!["--must-link", "orders"], "C1025"),
        (vec!["--seed-service", "No-Name=orders"], "C1025"),
    ] {
        let arguments: Vec<&str> = ["assess", "services", "--afresh"].into_iter().chain(arguments).collect();
        assert_eq!(store.json(2, &arguments).await["problems"][0]["code"], code, "{arguments:?}");
    }
    let output = store.expect(2, &["status", "--format", "toml"]).await;
    assert!(output.stdout.is_empty() && String::from_utf8(output.stderr).unwrap().contains("C1026"));
}
