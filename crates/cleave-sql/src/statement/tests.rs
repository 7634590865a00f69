use crate::sample::resolver;
use crate::{Control, StatementUse, read_statement};
use cleave_model::workload::StatementTrait::{self, *};
use std::collections::BTreeSet;

fn read(text: &str) -> StatementUse {
    read_statement(text, &resolver()).unwrap_or_else(|unread| panic!("{text}: {unread:?}"))
}

/// `film:r`, `public.film:rw`: schema if it was written, then access.
fn tables(text: &str) -> Vec<String> {
    let uses = read(text).tables;
    uses.iter()
        .map(|used| {
            let name = if used.qualified { used.table.to_string() } else { used.table.name.to_string() };
            format!("{name}:{}{}", if used.reads { "r" } else { "" }, if used.writes { "w" } else { "" })
        })
        .collect()
}

fn traits(text: &str) -> BTreeSet<StatementTrait> {
    read(text).traits
}

#[test]
fn what_a_statement_does_to_each_table_is_told() {
    for (text, expected) in [
        ("select * from film f join only public.actor using (a)", vec!["public.actor:r", "film:r"]),
        ("insert into film (a) select a from actor returning a", vec!["actor:r", "film:w"]),
        ("update film set a = (select 1 from actor) where b = $1", vec!["actor:r", "film:rw"]),
        ("delete from only film using actor where film.a = actor.a", vec!["actor:r", "film:rw"]),
        ("merge into film t using actor s on t.a = s.a when matched then delete", vec!["actor:r", "film:rw"]),
        ("truncate film, actor", vec!["actor:w", "film:w"]),
        ("copy film (a, b) from stdin", vec!["film:w"]),
        ("copy (select 1 from film) to stdout", vec!["film:r"]),
        ("table film", vec!["film:r"]),
        ("alter table film add constraint c foreign key (a) references actor (a)", vec!["actor:", "film:"]),
        ("select 1 from \"Odd Name\" where a in ($1 /*, ... */)", vec!["\"Odd Name\":r"]),
        ("select title from titles", vec!["titles:r"]),
        ("select * from (select 1 from film) x, lateral (select 2 from actor) y", vec!["actor:r", "film:r"]),
        ("explain analyze delete from film", vec!["film:rw"]),
        ("declare c cursor for select 1 from film", vec!["film:r"]),
        ("prepare p as select 1 from film where a = $1", vec!["film:r"]),
        ("create view v as select 1 from film union all select 2 from actor", vec!["actor:r", "film:r"]),
        ("select 1 from FILM, Public.Film", vec!["public.film:r", "film:r"]),
        ("select 1 from shop.public.film", vec!["public.film:r"]),
        ("do $$ begin update film set a = 1; end $$", vec!["film:rw"]),
    ] {
        let mut found = tables(text);
        let mut expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn a_partition_counts_as_the_root_of_its_tree() {
    assert_eq!(tables("insert into pay_1 values (1)"), ["pay:w"]);
}

#[test]
fn several_statements_in_a_text_are_read_together() {
    let read = read("begin; insert into film values (1); select 1 from film; commit; rollback;");
    assert_eq!(read.controls, [Control::Begin, Control::Commit, Control::Rollback]);
    assert_eq!((read.tables.len(), read.tables[0].reads, read.tables[0].writes), (1, true, true));
}

#[test]
fn names_of_with_queries_hide_tables_only_where_they_can_be_seen() {
    for (text, expected) in [
        ("with film as (select 1) select * from film", vec![]),
        ("with film as (select 1 from film) select * from film", vec!["film:r"]),
        ("with recursive film as (select 1 from film) select * from film", vec![]),
        ("with a as (select 1 from actor), actor as (select 2) select * from a, actor", vec!["actor:r"]),
        ("with film as (select 1) select * from public.film", vec!["public.film:r"]),
        ("select (with film as (select 1) select 1 from film) from film", vec!["film:r"]),
        ("with x as (insert into film values (1) returning *) select * from x", vec!["film:w"]),
        ("insert into film with actor as (select 1) select * from actor", vec!["film:w"]),
    ] {
        assert_eq!(tables(text), expected, "{text}");
    }
}

#[test]
fn a_temporary_table_hides_a_table_from_the_next_statement_on() {
    let text =
        "create temp table film as select * from film; insert into film values (1); select 1 from pg_temp.x";
    assert_eq!(tables(text), ["film:r"]);
    assert_eq!(read(text).temporary.len(), 1);
    assert!(read(text).unknown.is_empty());
    assert!(!read(text).traits.contains(&Ddl));
}

#[test]
fn features_that_a_bridge_may_not_carry_are_named() {
    for (text, expected) in [
        ("insert into film values (1) on conflict (a) do nothing", vec![OnConflictColumns]),
        ("insert into film values (1) on conflict on constraint k do nothing", vec![OnConflictConstraint]),
        ("insert into film values (1) on conflict do nothing", vec![OnConflictWithoutTarget]),
        ("merge into film using actor on true when matched then delete", vec![Merge]),
        ("select 1 from film for no key update", vec![RowLock]),
        ("select 1 from film for update of film skip locked", vec![RowLock, SkipLocked]),
        ("truncate film", vec![Truncate]),
        ("copy film from stdin", vec![CopyFrom]),
        ("copy film to stdout", vec![CopyTo]),
        ("copy (select 1 from film) to stdout", vec![]),
        ("lock table film in share mode", vec![LockTable]),
        ("delete from film returning a", vec![Returning]),
        ("update film set a = 1 where current of c", vec![CurrentOf]),
        ("select f.xmin from film f", vec![SystemColumn]),
        ("select 1 from film where ctid = $1", vec![SystemColumn]),
        ("create index on film (a)", vec![Ddl]),
        ("comment on column film.a is 'x'", vec![Ddl]),
        ("grant select on film to public", vec![Ddl]),
        ("vacuum film", vec![Maintenance]),
        ("reindex table film", vec![Maintenance]),
    ] {
        assert_eq!(traits(text), expected.into_iter().collect(), "{text}");
    }
}

#[test]
fn functions_sequences_and_types_are_named() {
    let read = read(
        "select rate(1), public.rate(2), lower('x'), nextval('film_id_seq'), currval(('public.free_seq'::text)::regclass), 'good'::mood, null::film",
    );
    let shown = |names: &BTreeSet<cleave_model::QualifiedName>| {
        names.iter().map(|name| name.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(shown(&read.functions), ["rate"]);
    assert_eq!(shown(&read.sequences), ["film_id_seq", "free_seq"]);
    assert_eq!(shown(&read.types), ["film", "mood"]);
    assert!(read.tables.is_empty());
}

#[test]
fn a_relation_that_the_database_does_not_have_is_handed_back() {
    let read = read("select 1 from nowhere, other.nothing, pg_class, information_schema.tables");
    assert_eq!(read.unknown, BTreeSet::from(["nowhere".to_owned(), "other.nothing".to_owned()]));
}

#[test]
fn a_search_path_that_is_set_is_told() {
    for (text, expected) in [
        ("set search_path to films, public", Some(("films, public", false))),
        ("SET LOCAL search_path = 'a'", Some(("'a'", true))),
        ("reset search_path", Some(("", false))),
        ("set search_path to default;", Some(("", false))),
        ("set work_mem to '1MB'", None),
    ] {
        assert_eq!(read(text).search_path, expected.map(|(path, local)| (path.to_owned(), local)), "{text}");
    }
}

#[test]
fn parameters_may_stand_where_the_grammar_wants_a_constant() {
    assert_eq!(tables("select interval $1, date $12 from film"), ["film:r"]);
    assert_eq!(tables("set work_mem = $1; select 1 from film"), ["film:r"]);
}

#[test]
fn a_text_that_was_cut_off_or_is_no_sql_is_not_read() {
    for text in [
        "select * from film where",
        "insert into film values (",
        "select 'abc from film",
        "selec 1 from film",
        "select * from U&\"f\\0069lm\"",
        "do $$ begin execute x; end $$",
        "do $$ begin selec 1; end $$",
        &format!("select {}1{}", "(".repeat(60), ")".repeat(60)),
    ] {
        assert!(read_statement(text, &resolver()).is_err(), "{text}");
    }
}

#[test]
fn statements_as_applications_send_them_are_read() {
    for text in [
        r#"SELECT "film"."a" AS "a_0", COUNT("film"."b") OVER (PARTITION BY "film"."c" ORDER BY "film"."d" DESC NULLS LAST ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) FROM "film" WHERE ("film"."a" = ANY($1) AND NOT ("film"."b" IS NULL)) ORDER BY 1 ASC LIMIT 21 OFFSET 3"#,
        r#"INSERT INTO "film" ("a", "b") VALUES ($1, $2), ($3, $4) ON CONFLICT ("a") WHERE b > 1 DO UPDATE SET "b" = EXCLUDED."b" WHERE film.a < 3 RETURNING "film"."a""#,
        "SELECT f.data->>'x', f.data #> '{a,b}', f.data @> '{}'::jsonb, f.data ? 'k', f.tags && ARRAY['a']::text[] FROM film f",
        "SELECT * FROM film WHERE a ILIKE $1 ESCAPE '!' AND b SIMILAR TO 'x' AND c !~* 'y' AND d IS DISTINCT FROM e",
        "SELECT EXTRACT(EPOCH FROM a), a AT TIME ZONE 'utc', a::timestamptz(3), CURRENT_DATE - INTERVAL '1 day', date_trunc('day', a) FROM film",
        "SELECT x.* FROM film CROSS JOIN LATERAL jsonb_to_recordset(film.j) AS x(a int, b text) NATURAL LEFT JOIN actor",
        "SELECT a FROM film TABLESAMPLE BERNOULLI (10) REPEATABLE (1) FETCH FIRST 3 ROWS WITH TIES",
        "SELECT DISTINCT ON (a, b) a, (SELECT 1 FROM actor WHERE actor.x = film.y) FROM film WINDOW w AS (ORDER BY a) FOR NO KEY UPDATE OF film NOWAIT",
        "WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 5) SEARCH DEPTH FIRST BY n SET o CYCLE n SET c USING p SELECT * FROM t, film",
        "WITH a AS MATERIALIZED (SELECT 1 FROM film), b AS NOT MATERIALIZED (SELECT 2) DELETE FROM film USING a WHERE EXISTS (SELECT 1 FROM b) RETURNING film.*",
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY a), string_agg(DISTINCT b, ',' ORDER BY b) FROM film GROUP BY CUBE (a, b), ROLLUP (c)",
        "MERGE INTO film t USING (SELECT $1 AS a) s ON t.a = s.a WHEN MATCHED AND t.b > 1 THEN UPDATE SET b = DEFAULT WHEN NOT MATCHED BY SOURCE THEN DELETE WHEN NOT MATCHED THEN INSERT (a) VALUES (s.a) RETURNING merge_action(), t.*",
        "INSERT INTO film DEFAULT VALUES RETURNING WITH (OLD AS o, NEW AS n) n.a",
        "INSERT INTO film OVERRIDING SYSTEM VALUE SELECT * FROM actor",
        "UPDATE film f SET a = $1, b[2] = 3, c.d = 4, (e, g) = ROW(1, 2) FROM actor WHERE f.x = actor.y",
        "SELECT a[1:2], (row(a, b)).f1, ARRAY(SELECT 1 FROM film), a IN (SELECT 2 FROM film), (a, b) OVERLAPS (c, d), -a ^ 2 FROM film",
        "SELECT JSON_VALUE(j, '$.a' RETURNING int DEFAULT 1 ON EMPTY), JSON_QUERY(j, '$'), j IS JSON OBJECT, JSON_OBJECT('a': 1), JSON_ARRAYAGG(a) FROM film",
        "SELECT * FROM JSON_TABLE('{}'::jsonb, '$[*]' COLUMNS (id FOR ORDINALITY, a int PATH '$.a', NESTED PATH '$.b' COLUMNS (c text))) jt, film",
        "SELECT xmlelement(name a, xmlattributes(b AS c)), xmlforest(d), f.* FROM film f, XMLTABLE('/r' PASSING x COLUMNS a int PATH 'a') xt",
        "SELECT COALESCE(NULLIF(TRIM(BOTH 'x' FROM a), ''), SUBSTRING(b FROM 2 FOR 3), OVERLAY(c PLACING 'y' FROM 1), POSITION('z' IN d)) FROM film",
        "COPY film (a, b) FROM STDIN WITH (FORMAT csv, HEADER true, DELIMITER ';', NULL '')",
        "COPY film FROM STDIN BINARY",
        "SELECT * FROM ONLY (film) WHERE a OPERATOR(pg_catalog.=) b COLLATE \"C\"",
        "SELECT a FROM film WHERE b = $1 -- it's\n AND c = $2 /* nested /* comment */ */",
        "SELECT 1_000, 0xFF, 1e3, .5, U&'d\\0061', B'01', N'x', e'\\n' FROM film",
        "VALUES (1, (SELECT a FROM film)), (2, 3) ORDER BY 1",
        "(SELECT a FROM film ORDER BY a LIMIT 1) UNION ALL (SELECT b FROM film) EXCEPT SELECT 3 INTERSECT SELECT 4",
        "EXPLAIN (ANALYZE, BUFFERS, FORMAT json) SELECT 1 FROM film",
        "CREATE MATERIALIZED VIEW m AS SELECT * FROM film WITH NO DATA",
        "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON film USING gin (lower(a) gin_trgm_ops DESC NULLS LAST) INCLUDE (b) WHERE c > 1",
        "ALTER TABLE film ADD COLUMN x int GENERATED ALWAYS AS (a * 2) STORED, ALTER COLUMN y TYPE bigint USING y::bigint, VALIDATE CONSTRAINT z",
        "VACUUM (ANALYZE, VERBOSE) film (a)",
        "FETCH FORWARD 100 FROM c; SELECT 1 FROM film",
        "SELECT set_config('app.user', $1, true), pg_try_advisory_xact_lock(1) FROM film",
        "CREATE TABLE p PARTITION OF film FOR VALUES FROM ('2026-01-01') TO (MAXVALUE)",
        "SELECT a FROM film GROUP BY DISTINCT a HAVING count(*) > $1::bigint",
        "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE; SELECT 1 FROM film; COMMIT AND NO CHAIN",
    ] {
        let read = read_statement(text, &resolver());
        let film =
            read.as_ref().is_ok_and(|read| read.tables.iter().any(|used| used.table.name.as_str() == "film"));
        assert!(film, "{text}: {read:?}");
    }
}
