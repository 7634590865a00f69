//! One of everything that a database holds beside ordinary tables.

use super::stage::Upgrade;
use cleave_engine::Verb;
use cleave_sandbox::Version;
use tokio_postgres::Client;

/// Schemas, inheritance, rules, identity columns, every kind of routine, policies, statistics, publications, foreign
/// objects, event triggers. `ROLE` is the test's own, as roles belong to the server.
const SCHEMA: &str = r#"
create role ROLE_owner nologin;
create role ROLE_app login password 'secret' connection limit 7 valid until '2031-01-01';
grant ROLE_owner to ROLE_app with admin option;
alter role ROLE_app set work_mem = '7MB';
alter role ROLE_app in database DATABASE set search_path = "Odd Place", public;
alter database DATABASE set app.mode = 'it''s on';
revoke connect on database DATABASE from public;
grant connect, temporary on database DATABASE to ROLE_app;
create extension hstore;
create schema "Odd Place" authorization ROLE_owner;
create type "Odd Place".mood as enum ('fine', 'so; so');
create domain public.code as text check (value ~ '^[a-z]+$');
create table "Odd Place"."The;Table" (
    id bigint generated always as identity primary key, mood "Odd Place".mood not null default 'fine',
    tags hstore, twice int generated always as (2 * length(note)) stored, note text not null default 'a; "b"'
);
alter table "Odd Place"."The;Table" owner to ROLE_owner;
create table public.animal (id int primary key, name text);
create table public.cat (lives int default 9, primary key (id)) inherits (public.animal);
create table public.log (at timestamptz primary key default now(), what text) with (fillfactor = 70);
create rule animal_deleted as on delete to public.animal
    do also (insert into public.log (what) values (old.name); notify animals);
create table public.part (k int, v text, primary key (k)) partition by range (k);
create table public.part_low partition of public.part for values from (0) to (100);
create table public.part_high partition of public.part for values from (100) to (200);
create index part_v on public.part (v);
create table public.refers (id int primary key, k int references public.part (k), animal int references public.animal
    deferrable initially deferred);
create unlogged table public.scratch (id int primary key, v text);
create statistics public.log_stats (dependencies) on at, what from public.log;
create function public.add(a int, b int) returns int language sql immutable begin atomic select a + b; end;
create procedure public.note(t text) language plpgsql as $body$ begin insert into public.log (what) values (t); end; $body$;
create function public.touch() returns trigger language plpgsql as $$ begin new.note := new.note || '!'; return new; end $$;
create trigger touch before update on "Odd Place"."The;Table" for each row execute function public.touch();
create aggregate public.longest(text) (sfunc = textcat, stype = text);
alter table public.log enable row level security;
create policy all_of_it on public.log to ROLE_app using (true);
create view public.totals with (security_barrier) as select id, name, count(*) from public.animal group by id;
create materialized view public.names as select name from public.animal order by name;
create materialized view public.more_names as select name || '+' as name from public.names;
create unique index names_name on public.names (name);
create materialized view public.empty as select 1 as one with no data;
create publication outside for table public.animal, public.log;
create extension postgres_fdw;
create server elsewhere foreign data wrapper postgres_fdw options (host '127.0.0.1', dbname 'nowhere');
create user mapping for ROLE_app server elsewhere options (user 'me', password 'not in any plan');
create foreign table public.far (id int) server elsewhere;
create sequence public.free as smallint increment by -3 start with 30 minvalue -300 maxvalue 300;
create function public.seen() returns event_trigger language plpgsql as $$ begin perform 1; end $$;
create event trigger seen on ddl_command_end when tag in ('CREATE VIEW') execute function public.seen();
comment on table public.animal is 'Line one
--
-- Name: not; Type: TABLE; Schema: a; Owner: heading
--
line two';
alter default privileges in schema "Odd Place" grant select on tables to ROLE_app;
grant select (name), update (name) on public.animal to ROLE_app;
insert into public.animal values (1, 'dog'), (2, 'owl');
insert into public.cat (id, name) values (3, 'tom');
insert into "Odd Place"."The;Table" (note, tags) values ('x', 'a=>1');
insert into public.part select n, n::text from generate_series(0, 199) n;
insert into public.refers values (1, 7, 1);
insert into public.scratch values (1, 'not carried');
refresh materialized view public.names;
refresh materialized view public.more_names;
select nextval('public.free'), nextval('public.free');
"#;

/// Large objects: one of several pages with a hole, one that is empty, one of somebody else's.
const OBJECTS: &str = r"
select lo_from_bytea(90001, convert_to(repeat('large ', 2000), 'UTF8')), lo_put(90001, 40000, '\x00ff00');
select lo_create(90002);
select lo_from_bytea(90003, '\x01');
alter large object 90003 owner to ROLE_owner;
grant select on large object 90003 to ROLE_app;
comment on large object 90001 is 'letters';
";

impl Upgrade {
    fn own(&self, sql: &str) -> String {
        sql.replace("ROLE", &self.name).replace("DATABASE", self.old.name())
    }

    async fn with_everything() -> Self {
        let upgrade = Self::alone(Version::V14, Version::V18, "zoo").await;
        for sql in [SCHEMA, OBJECTS] {
            upgrade.on_old(&upgrade.own(sql)).await;
        }
        upgrade
    }
}

async fn texts(client: &Client, sql: &str) -> Vec<String> {
    client
        .query(sql, &[])
        .await
        .unwrap_or_else(|error| panic!("{error:?}\n{sql}"))
        .iter()
        .map(|row| row.get(0))
        .collect()
}

const LARGE: &str = "
    select concat_ws(' ', m.oid, lomowner::regrole, lomacl::text, md5(lo_get(m.oid)), obj_description(m.oid, 'pg_largeobject'))
    from pg_largeobject_metadata m order by m.oid";

#[tokio::test]
async fn everything_that_a_database_holds_is_there_again_on_the_new_server() {
    let upgrade = Upgrade::with_everything().await;
    upgrade.apply().await;
    upgrade.verify().await;
    upgrade.same_schema();
    let (old, new) = (upgrade.on_old("").await, upgrade.on_new("").await);
    let (_, own) = (&old, |sql: &str| upgrade.own(sql));
    for sql in [
        LARGE.to_owned(),
        own("select concat_ws(' ', rolname, rolcanlogin, rolconnlimit, extract(epoch from rolvaliduntil), rolpassword)
             from pg_authid where rolname ~ '^ROLE_' order by 1"),
        own("select concat_ws(' ', g.rolname, u.rolname, admin_option) from pg_auth_members m
             join pg_roles g on g.oid = roleid join pg_roles u on u.oid = member where g.rolname ~ '^ROLE_'
               and u.rolname ~ '^ROLE_' order by 1"),
        own("select concat_ws(' ', r.rolname, setdatabase <> 0, setconfig::text) from pg_db_role_setting s
             left join pg_roles r on r.oid = setrole left join pg_database d on d.oid = setdatabase
             where r.rolname ~ '^ROLE_' or datname = current_database() order by 1"),
        own("select concat_ws(' ', r.rolname, privilege_type) from pg_database, aclexplode(datacl)
             join pg_roles r on r.oid = grantee where datname = current_database() and r.rolname ~ '^ROLE_' order by 1"),
        "select umoptions::text from pg_user_mappings order by 1".to_owned(),
        "select name from public.more_names order by 1".to_owned(),
        "select pubname || ' ' || tablename from pg_publication_tables where pubname = 'outside' order by 1".to_owned(),
    ] {
        let (there, here) = (texts(&old, &sql).await, texts(&new, &sql).await);
        assert!(!there.is_empty(), "{sql}");
        assert_eq!(there, here, "{sql}");
    }
    assert_eq!(
        texts(&new, "select v from public.scratch").await,
        Vec::<String>::new(),
        "unlogged rows are not carried"
    );
    let filled = "select relname::text from pg_class where relkind = 'm' and not relispopulated";
    assert_eq!(texts(&new, filled).await, ["empty"]);
    let stored = texts(&old, "select plan::text from cleave.move").await;
    assert!(!stored[0].contains("not in any plan"), "a user mapping's password is stored");
    upgrade.end(Verb::Cancel).await;
}

#[tokio::test]
async fn large_objects_views_and_sequences_follow_over_and_back() {
    let upgrade = Upgrade::with_everything().await;
    upgrade.apply().await;
    upgrade.verify().await;
    let (old, new) = (upgrade.on_old("").await, upgrade.on_new("").await);
    let change = upgrade.own(
        "select lo_unlink(90002), lo_put(90001, 3, '\\xaa'), lo_from_bytea(90004, '\\x04');
         insert into public.animal values (10, 'cow'); select nextval('public.free');
         insert into \"Odd Place\".\"The;Table\" (note) values ('y')",
    );
    old.batch_execute(&change).await.unwrap();
    let large = texts(&old, LARGE).await;
    upgrade.cutover().await;
    assert_eq!(texts(&new, LARGE).await, large);
    let names = "select name from public.more_names order by 1";
    assert_eq!(texts(&new, names).await, ["cow+", "dog+", "owl+", "tom+"], "refreshed before the cutover");
    let next =
        "select nextval('public.free')::text || ' ' || nextval('\"Odd Place\".\"The;Table_id_seq\"')::text";
    assert_eq!(texts(&new, next).await, ["21 3"]);
    for table in ["public.animal", "public.scratch", "public.part_low", "\"Odd Place\".\"The;Table\""] {
        for statement in [format!("delete from {table}"), format!("truncate {table} cascade")] {
            let refused = old.batch_execute(&statement).await.unwrap_err();
            let error = refused.as_db_error().unwrap();
            assert_eq!(error.code().code(), "25006", "{statement}: {error:?}");
            assert!(error.message().contains("the home of this database is new"), "{error:?}");
            assert_eq!(error.hint(), Some("Connect to new to write."));
        }
    }
    new.batch_execute("select lo_unlink(90001); insert into public.animal values (11, 'ant'); insert into public.scratch values (1)")
        .await
        .unwrap();
    upgrade.rollback().await;
    assert_eq!(texts(&old, LARGE).await, texts(&new, LARGE).await);
    assert_eq!(
        texts(&old, names).await,
        ["ant+", "cow+", "dog+", "owl+", "tom+"],
        "refreshed before the rollback"
    );
    assert_eq!(texts(&old, next).await, ["18 4"]);
    old.batch_execute("insert into public.animal values (12, 'bee')").await.unwrap();
    assert!(
        new.batch_execute("insert into public.animal values (13, 'fly')").await.is_err(),
        "the fence is closed again"
    );
    upgrade.verify().await;
    upgrade.end(Verb::Cancel).await;
}

/// Kinds of objects, counted, outside the catalogs and Cleave's own schema.
const COUNTS: &str = "
    select concat_ws(' ', 'relations', count(*)) from pg_class c join pg_namespace n on n.oid = relnamespace
    where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'cleave')
    union all select concat_ws(' ', 'routines', count(*)) from pg_proc p join pg_namespace n on n.oid = pronamespace
    where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'cleave')
    union all select concat_ws(' ', 'types', count(*)) from pg_type t join pg_namespace n on n.oid = typnamespace
    where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'cleave')
    union all select concat_ws(' ', 'schemas', string_agg(nspname, ',' order by nspname)) from pg_namespace where nspname !~ '^pg_' and nspname <> 'cleave'
    union all select concat_ws(' ', 'extensions', string_agg(extname, ',')) from pg_extension
    union all select concat_ws(' ', 'servers', count(*)) from pg_foreign_server
    union all select concat_ws(' ', 'event triggers', count(*)) from pg_event_trigger
    union all select concat_ws(' ', 'publications', count(*)) from pg_publication
    union all select concat_ws(' ', 'large objects', count(*)) from pg_largeobject_metadata";

#[tokio::test]
async fn what_is_taken_back_leaves_an_empty_database_and_the_old_one_as_it_was() {
    let upgrade = Upgrade::with_everything().await;
    let new = upgrade.on_new("").await;
    let empty = texts(&new, COUNTS).await;
    upgrade.apply().await;
    upgrade.verify().await;
    assert_ne!(texts(&new, COUNTS).await, empty);
    upgrade.cutover().await;
    upgrade.rollback().await;
    upgrade.end(Verb::Cancel).await;
    assert_eq!(texts(&new, COUNTS).await, empty);
    let roles = upgrade.own("select rolname::text from pg_roles where rolname ~ '^ROLE_'");
    assert_eq!(texts(&new, &roles).await, Vec::<String>::new(), "roles that the upgrade has made");
    let left = "select tgname::text from pg_trigger where tgname = 'cleave_fence'
                union all select proname::text from pg_proc where proname ~ '^fence_'";
    assert_eq!(texts(&upgrade.on_old("").await, left).await, Vec::<String>::new());
    // Nothing stands in the way of beginning again.
    upgrade.apply().await;
    upgrade.verify().await;
    upgrade.end(Verb::Cancel).await;
}
