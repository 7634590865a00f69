//! The whole journey as roles that are no superusers: Cleave's own with the rights of docs/privileges.md, an owner of
//! the monolith's tables, applications that may do what they were granted, and the service's role at the new home.

use crate::cinema::{Cinema, number, text};
use crate::places::run;
use cleave_api::{ExitCode, Severity};
use cleave_engine::{Answer, Events, Verb, doctor, privilege_scripts};
use cleave_sandbox::{Version, connect};
use cleave_stream::Canceller;
use cleave_testkit::TestDatabase;
use std::time::{Duration, Instant};
use tokio_postgres::Client;

/// Password of all roles of a test.
const PASSWORD: &str = "secret";
/// Only a hang waits this long.
const LIMIT: Duration = Duration::from_secs(120);

/// A cinema whose objects belong to a plain role, and who may do what in it.
struct House {
    cinema: Cinema,
    prefix: String,
}

impl House {
    /// The superuser's part: roles, owners, the applications' rights, then the printed script, once per database.
    async fn open(from: Version, to: Version, bridge: &str) -> Self {
        let cinema = Cinema::new(from, to, bridge).await;
        let prefix = cinema.m.name().to_owned();
        let mut house = Self { cinema, prefix };
        let (cleave, svc) = (house.role("cleave"), house.role("svc"));
        run(&house.cinema.m.url(), &house.roles()).await;
        let products_roles =
            [&cleave, &svc].map(|role| format!("create role {role} login password '{PASSWORD}'"));
        run(&house.cinema.n.url(), &products_roles.join(";")).await;
        let cinema = &mut house.cinema;
        cinema.text = cinema.text.replace("bridge = ", &format!("owner = \"{svc}\"\nbridge = "));
        let role = cleave.as_str().into();
        let scripts = privilege_scripts(&cinema.topology(), None, Some(&role)).await.unwrap();
        for (database, script) in scripts {
            let side = if database.as_str() == "monolith" { &cinema.m } else { &cinema.n };
            run(&side.url(), &script).await;
        }
        for side in [&cinema.m, &cinema.n] {
            cinema.text = cinema.text.replace(&side.url(), &side.url_as(&cleave, PASSWORD));
        }
        house
    }

    /// Roles belong to clusters, which tests share.
    fn role(&self, name: &str) -> String {
        format!("{}_{name}", self.prefix)
    }

    /// `owner` has all objects; `studios` the table that a moved one refers to; `app` writes all tables; `clerk` only
    /// those that stay; `guest` reads two columns of a moved one.
    fn roles(&self) -> String {
        let [cleave, owner, studios, app, clerk, guest] =
            ["cleave", "owner", "studios", "app", "clerk", "guest"].map(|name| self.role(name));
        let tables = ["film", "film_part", "inventory", "wish", "poster"];
        let owners: String =
            tables.iter().map(|table| format!("alter table {table} owner to {owner};")).collect();
        format!(
            "create role {cleave} login password '{PASSWORD}';
             create role {owner} login password '{PASSWORD}';
             create role {studios} login password '{PASSWORD}';
             create role {app} login password '{PASSWORD}';
             create role {clerk} login password '{PASSWORD}';
             create role {guest} login password '{PASSWORD}';
             {owners}
             alter table studio owner to {studios};
             alter sequence film_code_seq owner to {owner};
             alter view film_stock owner to {owner};
             alter type rating owner to {owner};
             alter function title_of(bigint) owner to {owner};
             revoke create on schema public from public;
             create schema kinds;
             grant usage on schema kinds to public;
             create domain kinds.label as text check (length(value) < 1000);
             alter domain kinds.label owner to {owner};
             alter table film_part alter label type kinds.label;
             grant references on studio to {owner};
             alter table film drop constraint film_studio_id_fkey, add constraint film_studio_id_fkey
                 foreign key (studio_id) references studio on delete set null;
             grant select, insert, update, delete on film, film_part, inventory, wish, poster to {app};
             grant usage on sequence film_code_seq to {app};
             grant select on film_stock to {app};
             grant select, insert, delete on inventory, wish to {clerk};
             grant select (id, title) on film to {guest}"
        )
    }

    async fn log_in(&self, database: &TestDatabase, role: &str) -> Client {
        connect(&database.url_as(&self.role(role), PASSWORD)).await.unwrap()
    }

    /// Asks the running engine.
    async fn verb(&self, verb: Verb) {
        let name = format!("{verb:?}");
        let answer = self.cinema.verb(verb).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let Answer::Elsewhere(code, shown) = answer else { panic!("{name} was not executed by the engine") };
        assert_eq!(code, ExitCode::Done, "{name}: {shown:#}");
    }

    /// `cleave run`: keeps the streams and settles references until the test ends.
    async fn run_engine(&self) -> Canceller {
        let (mut engine, canceller) = self.cinema.engine();
        engine.take_open().await.unwrap();
        tokio::spawn(async move {
            engine.run().await.unwrap();
            engine.close().await;
        });
        canceller
    }

    /// Nothing is missing, and nothing is too much: none of the roles is a superuser.
    async fn nothing_is_missing(&self) {
        let report = doctor(&self.cinema.topology(), None, &Events::silent()).await.unwrap();
        // Servers of tests run with fsync off, which is a finding of its own.
        let loud = report.findings.iter().filter(|f| f.severity > Severity::Note && f.code != "C0880");
        let missing: Vec<_> = loud.collect();
        assert!(missing.is_empty(), "{missing:#?}");
        for client in [self.cinema.on_m().await, self.cinema.on_n().await] {
            let sql = format!(
                "select count(*) from pg_roles where rolname like '{}\\_%' and (rolsuper or rolbypassrls)",
                self.prefix
            );
            assert_eq!(number(&client, &sql).await, 0);
        }
    }

    /// The bridge's role, as the new home's server knows it.
    async fn bridge_roles(&self) -> i64 {
        let sql = format!(
            "select count(*) from pg_roles where rolname = 'cleave_bridge_{}' and rolcanlogin and not rolsuper",
            self.cinema.films()
        );
        number(&self.cinema.on_n().await, &sql).await
    }

    /// Applications do under the old names what they could do before, and no more. Who reads the copy waits for it.
    /// `round` makes ids and titles unique.
    async fn applications_work(&self, round: i64) {
        let m = &self.cinema.m;
        let app = self.log_in(m, "app").await;
        let sql = format!("insert into film (title) values ('round {round}') returning id");
        let id = number(&app, &sql).await;
        holds(&app, &format!("exists (select from film where id = {id})")).await;
        execute(&app, &format!("update film set title = title || ', again' where id = {id}")).await;
        execute(&app, &format!("insert into film_part values ({id}, 1, 'first')")).await;
        let own = 9000 + round;
        execute(
            &app,
            &format!(
                "begin;
                 insert into film (id, title) values ({own}, 'referenced at once');
                 insert into inventory (film_id) values ({own}), ({id});
                 commit"
            ),
        )
        .await;
        holds(&app, &format!("'round {round}, again' = (select title from film where id = {id})")).await;
        holds(&app, &format!("1 = (select copies from film_stock where id = {own})")).await;
        assert_eq!(text(&app, &format!("select title_of({own})")).await, "referenced at once");
        self.clerk_works(own).await;
        holds(&app, &format!("exists (select from film_part where film_id = {id})")).await;
        for table in ["inventory where film_id", "film_part where film_id", "film where id"] {
            execute(&app, &format!("delete from {table} = {id}")).await;
        }
        holds(&app, &format!("not exists (select from film where id = {id})")).await;
        let guest = self.log_in(m, "guest").await;
        let sql = format!("select title from film where id = {own}");
        assert_eq!(text(&guest, &sql).await, "referenced at once");
        for refused in ["select rating from film", "delete from film", "select * from inventory"] {
            assert_eq!(state(&guest, refused).await, "42501", "{refused}");
        }
    }

    /// A row that its service deletes at the new home takes with it what refers to it, as the key said.
    async fn references_are_settled(&self) {
        let app = self.log_in(&self.cinema.m, "app").await;
        execute(&app, "insert into film (id, title) values (8000, 'deleted at home')").await;
        execute(&app, "insert into poster (film_id) values (8000); insert into wish (film_id) values (8000)")
            .await;
        let wishes = number(&app, "select count(*) from wish where film_id is null").await;
        // The guard on the copy sees only rows that the copy has had.
        holds(&self.cinema.on_m().await, "exists (select from films_copy.film where id = 8000)").await;
        let svc = self.log_in(&self.cinema.n, "svc").await;
        execute(&svc, "delete from films.film where id = 8000").await;
        holds(&app, "not exists (select from poster where film_id = 8000)").await;
        holds(&app, &format!("{wishes} + 1 = (select count(*) from wish where film_id is null)")).await;
    }

    /// Who may write tables that stay needs no rights on those that moved, nor on what watches the references.
    async fn clerk_works(&self, film: i64) {
        let clerk = self.log_in(&self.cinema.m, "clerk").await;
        execute(&clerk, &format!("insert into inventory (film_id) values ({film}), (7)")).await;
        execute(&clerk, &format!("insert into wish (film_id) values ({film}), (null)")).await;
        assert_eq!(state(&clerk, "insert into inventory (film_id) values (123456)").await, "23503");
        assert_eq!(state(&clerk, "select * from film").await, "42501");
    }

    /// What the switch left behind and what it made is closed to everybody but their owners.
    async fn nothing_else_is_open(&self) {
        let app = self.log_in(&self.cinema.m, "app").await;
        for closed in
            ["select * from films_copy.film", "select * from cleave.work", "select cleave_admin.x()"]
        {
            assert!(matches!(state(&app, closed).await.as_str(), "42501" | "3F000"), "{closed}");
        }
        let owner = self.log_in(&self.cinema.m, "owner").await;
        let error = owner.batch_execute("delete from public.inventory; delete from films_copy.film").await;
        assert!(error.is_err(), "the owner of the old tables cannot write to the copy");
        let svc = self.log_in(&self.cinema.n, "svc").await;
        execute(&svc, "update films.film set title = 'by its own service' where id = 1").await;
        assert_eq!(
            text(&svc, "select tableowner::text from pg_tables where tablename = 'film'").await,
            self.role("svc")
        );
    }
}

async fn execute(client: &Client, sql: &str) {
    if let Err(error) = client.batch_execute(sql).await {
        panic!("{error:?}\n{sql}");
    }
}

/// The SQLSTATE of a refusal.
async fn state(client: &Client, sql: &str) -> String {
    let error = client.batch_execute(sql).await.expect_err(sql);
    error.code().map(|code| code.code().to_owned()).unwrap_or_default()
}

/// Waits until a condition holds. Streams and the engine's looks take their time.
async fn holds(client: &Client, condition: &str) {
    let began = Instant::now();
    let sql = format!("select coalesce({condition}, false)::int::bigint");
    while number(client, &sql).await != 1 {
        assert!(began.elapsed() < LIMIT, "never holds: {condition}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

const CUTOVER: Verb = Verb::Cutover { dry_run: false };
const ROLLBACK: Verb = Verb::Rollback { dry_run: false };

async fn check_journey(from: Version, to: Version, bridge: &str) {
    let house = House::open(from, to, bridge).await;
    house.nothing_is_missing().await;
    house.cinema.apply().await.unwrap();
    let engine = house.run_engine().await;
    house.verb(Verb::Verify).await;
    house.verb(CUTOVER).await;
    house.applications_work(1).await;
    house.references_are_settled().await;
    house.nothing_else_is_open().await;
    house.verb(ROLLBACK).await;
    house.applications_work(2).await;
    house.verb(Verb::Verify).await;
    house.verb(CUTOVER).await;
    house.applications_work(3).await;
    house.verb(Verb::Complete).await;
    house.applications_work(4).await;
    assert_eq!(house.bridge_roles().await, 1, "the old names still lead to the new home");
    engine.cancel();
}

/// A journey that is taken back leaves nothing of Cleave at the new home, the bridge's role included.
async fn check_way_out(from: Version, to: Version) {
    let house = House::open(from, to, "forward").await;
    house.cinema.apply().await.unwrap();
    let engine = house.run_engine().await;
    house.verb(Verb::Verify).await;
    house.verb(CUTOVER).await;
    house.verb(ROLLBACK).await;
    assert_eq!(house.bridge_roles().await, 1);
    house.verb(Verb::Cancel).await;
    assert_eq!(house.bridge_roles().await, 0);
    house.applications_work(1).await;
    let (m, n) = (house.cinema.on_m().await, house.cinema.on_n().await);
    let bridges = "select count(*) from pg_namespace where nspname like 'cleave\\_bridge%'";
    assert_eq!(number(&m, bridges).await, 0);
    let made = "select count(*) from pg_namespace where nspname in ('films', 'kinds')";
    assert_eq!(number(&n, made).await, 0);
    let functions = "select count(*) from pg_proc where pronamespace = 'cleave'::regnamespace";
    assert_eq!(number(&n, functions).await, 0);
    house.verb(Verb::Apply(None)).await;
    assert_eq!(number(&n, made).await, 2);
    engine.cancel();
}

/// All pairs in which every version is once where tables come from and once where they go to, in the full run.
fn pairs(quick: &[(Version, Version)]) -> Vec<(Version, Version)> {
    use Version::{V14, V15, V16, V17, V18};
    if std::env::var_os("CLEAVE_TEST_FULL").is_some_and(|full| full == "1") {
        return vec![(V14, V18), (V15, V16), (V16, V17), (V17, V15), (V18, V14)];
    }
    quick.to_vec()
}

#[tokio::test]
async fn plain_roles_make_the_whole_journey_with_a_bridge_to_the_new_home() {
    for (from, to) in pairs(&[(Version::V14, Version::V18), (Version::V18, Version::V14)]) {
        Box::pin(check_journey(from, to, "forward")).await;
    }
}

#[tokio::test]
async fn plain_roles_make_the_whole_journey_with_a_bridge_that_reads_the_copy() {
    for (from, to) in pairs(&[(Version::V18, Version::V14)]) {
        Box::pin(check_journey(from, to, "local")).await;
    }
}

#[tokio::test]
async fn plain_roles_take_a_move_back() {
    for (from, to) in pairs(&[(Version::V14, Version::V18), (Version::V18, Version::V14)]) {
        Box::pin(check_way_out(from, to)).await;
    }
}
