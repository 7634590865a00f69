//! `cleave upgrade` from a configuration that it writes itself to the end of the old server's time as the home.

use crate::runner::Runner;
use cleave_sandbox::{Cluster, Options, Version};
use std::process::Output;

struct Shop {
    old: Cluster,
    new: Cluster,
    runner: Runner,
}

const SCHEMA: &str = "
create role shop_app login;
create table film (id bigint generated always as identity primary key, title text not null);
create table inventory (id int primary key, film_id bigint references film);
create index on inventory (film_id);
grant select on film to shop_app;
insert into film (title) select 'film ' || n from generate_series(1, 500) n;
insert into inventory select n, n from generate_series(1, 500) n;
";

impl Shop {
    async fn new() -> Self {
        let options = Options::new();
        let clusters =
            tokio::try_join!(Cluster::start(Version::V14, &options), Cluster::start(Version::V16, &options));
        let (old, new) = clusters.unwrap();
        for cluster in [&old, &new] {
            cluster.create_database("shop").await.unwrap();
        }
        let shop = Self { old, new, runner: Runner::new() };
        shop.on(&shop.old, SCHEMA).await;
        shop
    }

    async fn on(&self, cluster: &Cluster, sql: &str) {
        cleave_sandbox::connect(&cluster.url("shop")).await.unwrap().batch_execute(sql).await.unwrap();
    }

    async fn output(&self, arguments: &[&str]) -> Output {
        let mut command = self.runner.command(arguments);
        command.env("OLD_URL", self.old.url("shop")).env("NEW_URL", self.new.url("shop"));
        command.env("PATH", format!("{}:/usr/bin:/bin", cleave_sandbox::client_tools().unwrap().display()));
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    async fn expect(&self, exit: i32, arguments: &[&str]) -> String {
        let output = self.output(arguments).await;
        let shown = self.runner.show(&output);
        assert_eq!(output.status.code(), Some(exit), "{arguments:?}\n{shown}");
        shown
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_command_brings_a_database_to_the_point_where_a_person_decides() {
    let shop = Shop::new().await;
    let begin = ["upgrade", "--from", "env:OLD_URL", "--to", "env:NEW_URL", "--until", "verified"];
    let said = shop.expect(0, &begin).await;
    for expected in ["cleave cutover upgrade", "cleave cancel upgrade", "following"] {
        assert!(said.contains(expected), "{expected} is not in\n{said}");
    }
    let again = shop.expect(2, &begin).await;
    assert!(again.contains("C1211"), "{again}");
    shop.expect(0, &["upgrade", "--until", "verified"]).await;
    let said = shop.expect(0, &["cutover", "upgrade", "--yes"]).await;
    assert!(said.contains("cleave rollback upgrade"), "{said}");
    shop.on(&shop.new, "insert into film (title) values ('at the new home')").await;
    shop.expect(0, &["rollback", "--yes"]).await;
    shop.on(&shop.old, "do $$ begin assert (select count(*) from film) = 501; end $$").await;
    shop.expect(0, &["verify"]).await;
    shop.expect(0, &["cutover", "--yes"]).await;
    let said = shop.expect(0, &["complete", "--dry-run"]).await;
    assert!(said.contains("leaves old as it is, fenced"), "{said}");
    shop.expect(0, &["complete", "--yes"]).await;
    shop.on(&shop.new, "insert into film (title) values ('for good')").await;
    let client = cleave_sandbox::connect(&shop.old.url("shop")).await.unwrap();
    let refused = client.batch_execute("insert into film (title) values ('too late')").await.unwrap_err();
    assert_eq!(refused.as_db_error().unwrap().code().code(), "25006");
    let left = shop.expect(0, &["cleanup", "--yes"]).await;
    for expected in ["by hand old fence of public.film", "drop schema cleave cascade;", "wal_level = replica"]
    {
        assert!(left.replace("  ", " ").contains(expected), "{expected} is not in\n{left}");
    }
    assert!(!left.contains("to drop"), "{left}");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_plan_and_upgrade_say_the_same_before_anything_is_made() {
    let shop = Shop::new().await;
    let config = "[databases]\nold = { url = \"env:OLD_URL\" }\nnew = { url = \"env:NEW_URL\" }\n[upgrade]\nfrom = \"old\"\nto = \"new\"\n";
    std::fs::write(shop.runner.path().join("cleave.toml"), config).unwrap();
    let said = shop.expect(0, &["upgrade", "--dry-run"]).await;
    assert!(said.contains("public.film"), "{said}");
    let sql = shop.expect(0, &["plan", "--sql"]).await;
    for expected in [
        "CREATE TABLE public.film",
        "ADD CONSTRAINT film_pkey PRIMARY KEY",
        "NOT VALID",
        "GRANT SELECT ON TABLE public.film TO shop_app",
    ] {
        assert!(sql.contains(expected), "{expected} is not in\n{sql}");
    }
    shop.on(&shop.old, "create table keyless (what text)").await;
    shop.on(&shop.new, "create table taken (id int)").await;
    for arguments in [["doctor", "upgrade"].as_slice(), &["plan"], &["upgrade"]] {
        let said = shop.expect(4, arguments).await;
        assert!(said.contains("C0208") && said.contains("C0216"), "{arguments:?}\n{said}");
    }
    let client = cleave_sandbox::connect(&shop.new.url("shop")).await.unwrap();
    let made: i64 = client
        .query_one("select count(*) from pg_roles where rolname = 'shop_app'", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(made, 0, "nothing is made before the plan holds");
}
