use crate::sample::{catalog, function, public, resolver, trigger};
use crate::{FunctionUse, read_function};
use cleave_model::Ident;
use cleave_model::catalog::Function;

fn read(function: &Function) -> FunctionUse {
    read_function(function, &catalog(), &resolver())
}

fn plpgsql(body: &str) -> FunctionUse {
    read(&function("f", "plpgsql", body))
}

/// `film:rw`.
fn tables(read: &FunctionUse) -> Vec<String> {
    let uses = &read.read.tables;
    uses.iter()
        .map(|used| {
            format!(
                "{}:{}{}",
                used.table.name,
                if used.reads { "r" } else { "" },
                if used.writes { "w" } else { "" }
            )
        })
        .collect()
}

#[test]
fn every_place_of_plpgsql_that_holds_a_query_is_read() {
    for body in [
        "begin select a into strict x from film; end",
        "declare x film%rowtype; y film.a%type := (select 1 from film); begin end",
        "declare c cursor (k int) for select * from film where a = k; begin open c(1); end",
        "begin perform f(1) from film; end",
        "begin for r in select * from film loop null; end loop; end",
        "begin <<l>> for r in select * from film where a loop continue l when b; end loop l; end",
        "begin return query select * from film; end",
        "begin return next (select 1 from film); end",
        "begin x := (select a from film); end",
        "begin new.a = (select a from film); return new; end",
        "begin if exists (select 1 from film) then null; elsif a then null; else null; end if; end",
        "begin while (select a from film) loop exit; end loop; end",
        "begin case (select a from film) when 1 then null; else null; end case; end",
        "begin raise exception 'x %', (select a from film) using errcode = '22000'; end",
        "begin open c for select * from film; end",
        "begin execute 'select * from film where a = $1' using 1; end",
        "begin for r in execute $q$select * from film$q$ loop end loop; end",
        "begin foreach x in array (select a from film) loop end loop; end",
        "begin begin null; exception when others then perform 1 from film; end; end",
        "begin for i in 1..(select a from film) loop end loop; end",
        "begin with x as (select a from film) select a, b into y, z.q from x; end",
        "#variable_conflict use_column\nbegin select 1 into x from film; end",
        "begin return (select 1 from film); end",
        "begin assert (select a from film), 'x'; end",
    ] {
        let read = plpgsql(body);
        assert_eq!(tables(&read), ["film:r"], "{body}");
        assert!(read.is_certain(), "{body}: {read:?}");
    }
}

#[test]
fn writes_of_a_body_are_told_from_reads() {
    let read = plpgsql(
        "begin insert into film values (1) returning a into x; update actor set a = 1; \
         if found then delete from pay_1; end if; call p(nextval('free_seq')); commit; end",
    );
    assert_eq!(tables(&read), ["actor:rw", "film:w", "pay:rw"]);
    assert!(read.is_certain(), "{read:?}");
    assert_eq!(read.read.sequences.len(), 1);
}

#[test]
fn a_body_in_sql_is_read_and_one_in_c_is_said_to_be_closed() {
    let sql = read(&function("f", "sql", "insert into film values ($1); select * from actor"));
    assert_eq!(tables(&sql), ["actor:r", "film:w"]);
    let c = read(&function("f", "c", "symbol"));
    assert_eq!((c.opaque.as_deref(), c.is_certain()), (Some("it is written in c"), false));
}

#[test]
fn a_body_of_the_standard_is_read_from_the_definition() {
    let mut atomic = function("f", "sql", "");
    atomic.body = None;
    atomic.definition =
        "CREATE OR REPLACE FUNCTION public.f() RETURNS void LANGUAGE sql BEGIN ATOMIC INSERT INTO film VALUES (1); END"
            .into();
    let read = read(&atomic);
    assert_eq!(tables(&read), ["film:w"]);
    assert!(read.is_certain() && read.read.traits.is_empty());
}

#[test]
fn the_search_path_of_a_function_comes_before_the_callers() {
    let mut own = function("f", "plpgsql", "begin perform 1 from film; end");
    own.settings = vec!["work_mem=1MB".into(), "search_path=other, \"$user\"".into()];
    let read = read(&own);
    assert_eq!(read.path, Some(vec![Ident::new("other")]));
    assert_eq!(read.read.tables[0].table.schema, Ident::new("other"));
}

#[test]
fn a_statement_made_at_run_time_needs_a_person_and_says_what_looks_like_a_table() {
    let read = plpgsql(
        "declare q text := 'select 1 from actor'; begin execute 'delete from film where a = ' || x; \
         execute format('truncate %I', 'pay'); raise notice 'film'; return query execute q; end",
    );
    assert_eq!(read.dynamic.len(), 3);
    assert_eq!(read.dynamic[0].names.iter().collect::<Vec<_>>(), [&public("film")]);
    assert_eq!(read.dynamic[1].names.iter().collect::<Vec<_>>(), [&public("pay")]);
    assert_eq!(read.dynamic[1].expression, "format('truncate %I', 'pay')");
    assert!(read.dynamic[2].names.is_empty());
    assert!(read.names_in_constants.contains(&public("actor")));
    assert!(!read.is_certain());
}

#[test]
fn names_of_transition_tables_and_temporary_tables_are_no_tables() {
    let mut changed =
        function("f", "plpgsql", "begin insert into actor select 1 from film; return null; end");
    changed.result = "trigger".into();
    let mut catalog = catalog();
    let definition = "CREATE TRIGGER t AFTER INSERT ON pay REFERENCING NEW TABLE AS film FOR EACH STATEMENT EXECUTE FUNCTION f()";
    catalog.tables[3].triggers.push(trigger(&changed, definition));
    assert_eq!(tables(&read_function(&changed, &catalog, &resolver())), ["actor:w"]);

    let temporary = plpgsql("begin create temp table film (a int); insert into film values (1); end");
    assert!(tables(&temporary).is_empty() && temporary.is_certain());
}

#[test]
fn what_is_no_plpgsql_is_handed_back_and_the_rest_is_read() {
    let read = plpgsql("begin perform 1 from film; selec nonsense here; update actor set a = 1; end");
    assert_eq!(tables(&read), ["actor:rw", "film:r"]);
    assert_eq!(read.unread.len(), 1, "{read:?}");
    assert!(!read.is_certain());
}

#[test]
fn the_language_is_read_in_all_its_parts() {
    let body = r#"
#print_strict_params on
<<outer_block>>
DECLARE
    x CONSTANT integer NOT NULL := 1;
    y actor.a%TYPE;
    names text[] DEFAULT '{}';
    r RECORD;
    c REFCURSOR;
    k NO SCROLL CURSOR (low integer, high integer) FOR SELECT * FROM actor WHERE a BETWEEN low AND high;
    first_one ALIAS FOR $1;
BEGIN
    names[1] := 'a'; names := names || 'b'::text;
    r.a := 1; r.b.c = 2;
    GET DIAGNOSTICS x = ROW_COUNT;
    IF NOT FOUND THEN RAISE NOTICE USING MESSAGE = 'none'; END IF;
    FOR i IN REVERSE 10..1 BY 2 LOOP CONTINUE WHEN i = 3; EXIT outer_block WHEN i > 5; END LOOP;
    FOREACH y SLICE 1 IN ARRAY names LOOP NULL; END LOOP;
    OPEN c FOR EXECUTE 'select 1 from actor' ; FETCH NEXT FROM c INTO x, y; MOVE FORWARD 2 FROM c; CLOSE c;
    OPEN k(low := 1, high := 2); FETCH k INTO r; CLOSE k;
    FOR r IN k(1, 2) LOOP NULL; END LOOP;
    INSERT INTO film AS f (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET a = EXCLUDED.a RETURNING f.a INTO STRICT x;
    UPDATE film SET (a, b) = (SELECT a, b FROM actor LIMIT 1) WHERE CURRENT OF c;
    WITH gone AS (DELETE FROM film RETURNING *) INSERT INTO pay SELECT * FROM gone RETURNING 1 INTO x;
    MERGE INTO film USING actor ON true WHEN MATCHED THEN DO NOTHING;
    CREATE TEMP TABLE made ON COMMIT DROP AS SELECT * FROM film;
    TRUNCATE made; LOCK TABLE film IN SHARE MODE;
    PERFORM pg_notify('c', 'x'), set_config('a.b', 'c', true);
    CALL rate(1);
    SELECT count(*) FILTER (WHERE a > 1), array_agg(b ORDER BY a) INTO x, names FROM film GROUP BY GROUPING SETS ((a), ());
    SELECT CASE WHEN a THEN 1 ELSE 2 END INTO x FROM film;
    CASE x WHEN 1, 2 THEN x := 3; WHEN 4 THEN NULL; ELSE RAISE division_by_zero; END CASE;
    WHILE x < 3 LOOP x := x + 1; END LOOP;
    ASSERT x > 0, 'no';
    RETURN QUERY SELECT * FROM film; RETURN QUERY EXECUTE 'select * from film' USING x;
    RETURN NEXT r; RETURN NEXT;
    BEGIN
        SELECT a INTO x FROM film;
    EXCEPTION WHEN unique_violation OR SQLSTATE '22012' THEN
        GET STACKED DIAGNOSTICS y = MESSAGE_TEXT;
        RAISE;
    WHEN OTHERS THEN RAISE EXCEPTION 'x %', x USING ERRCODE = 'P0001', HINT = y;
    END;
    COMMIT AND CHAIN; ROLLBACK;
    RETURN;
END outer_block;
"#;
    let read = plpgsql(body);
    assert!(read.is_certain(), "{:#?} {:#?}", read.unread, read.dynamic);
    assert_eq!(tables(&read), ["actor:r", "film:rw", "pay:w"]);
}

#[test]
fn a_function_that_asks_where_it_is_is_told() {
    let read = plpgsql(
        "begin if TG_TABLE_SCHEMA = 'public' then perform current_schema(); end if; -- current_schemas\nend",
    );
    assert_eq!(read.asks_for_schema.iter().collect::<Vec<_>>(), ["current_schema", "tg_table_schema"]);
}
