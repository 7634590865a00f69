//! What the plan says of what leaves the boundary.

use super::list;
use crate::Scope;
use crate::scope::sample::{Sample, foreign_key, owned_sequence, public, table};
use cleave_config::Bridge;
use cleave_model::catalog::ReferentialAction;

/// Moves table `film` and compares the crossings, one line `kind object: outcome` each.
#[track_caller]
fn check(sample: &Sample, bridge: Bridge, expected: &[&str]) {
    let (scope, findings) = Scope::new(&sample.source, &[public("film")]);
    assert_eq!(findings, []);
    let lines: Vec<String> = list(&scope, bridge)
        .into_iter()
        .map(|crossing| format!("{} {}: {}", crossing.kind, crossing.object, crossing.outcome))
        .collect();
    assert_eq!(lines, expected);
}

#[test]
fn a_key_from_a_staying_table_says_what_deletes_at_the_new_home_do() {
    for (on_delete, deleted) in [
        (ReferentialAction::NoAction, "a delete at the new home that leaves it dangling is reported"),
        (ReferentialAction::Restrict, "a delete at the new home that leaves it dangling is reported"),
        (ReferentialAction::Cascade, "deletes at the new home are cascaded"),
        (ReferentialAction::SetNull, "deletes at the new home set it null"),
        (ReferentialAction::SetDefault, "deletes at the new home set its default"),
    ] {
        let inventory = table("inventory").key(foreign_key("inventory_film_fk", "film", on_delete));
        let line = format!(
            "foreign key in public.inventory (id) → public.film [inventory_film_fk]: becomes a watched reference: \
             checked in the copy, then at the new home; {deleted}"
        );
        check(&Sample::with([table("film"), inventory]), Bridge::Forward, &[&line]);
    }
}

#[test]
fn a_key_into_a_staying_table_stays_on_the_copy_only_where_it_does_nothing_on_delete() {
    const STAYS: &str = "stays on the copy, where it stops deletes; new rows at the new home are not checked";
    const DROPPED: &str = "its action on delete cannot reach the new home: it is dropped at the switch and the rows are left as they are";
    for (on_delete, outcome) in [
        (ReferentialAction::NoAction, STAYS),
        (ReferentialAction::Restrict, STAYS),
        (ReferentialAction::Cascade, DROPPED),
        (ReferentialAction::SetNull, DROPPED),
        (ReferentialAction::SetDefault, DROPPED),
    ] {
        let film = table("film").key(foreign_key("film_language_fk", "language", on_delete));
        let line =
            format!("foreign key out public.film (id) → public.language [film_language_fk]: {outcome}");
        check(&Sample::with([film, table("language")]), Bridge::Forward, &[&line]);
    }
}

#[test]
fn a_key_inside_the_set_is_no_crossing() {
    let film = table("film").key(foreign_key("film_sequel_fk", "film", ReferentialAction::Cascade));
    check(&Sample::with([film]), Bridge::Forward, &[]);
}

#[test]
fn a_view_follows_a_forward_bridge_and_stays_on_the_copy_otherwise() {
    let mut sample = Sample::with([table("film"), table("inventory")]);
    sample.view("film_list", &["film", "inventory"]);
    sample.view("stock", &["inventory"]);
    sample.view("film_totals", &["film"]).materialized = true;
    let totals = "materialized view public.film_totals: reads the copy";
    let forward = "view public.film_list: is re-created at the switch and reads the new home";
    check(&sample, Bridge::Forward, &[forward, totals]);
    for bridge in [Bridge::Local, Bridge::None] {
        check(&sample, bridge, &["view public.film_list: reads the copy", totals]);
    }
}

#[test]
fn a_function_that_names_a_moved_table_is_told_by_what_it_does() {
    let mut sample = Sample::with([table("film"), table("inventory")]);
    sample.function("count_films", "select count(*) from film");
    sample.function("add_film", "insert into film values (1)");
    sample.function("count_stock", "select count(*) from inventory");
    let line = |name: &str, outcome: &str| format!("function public.{name}(): {outcome}");
    let through = "goes on through the bridge (its text names a moved table)";
    let reads = "reads the copy (its text names a moved table)";
    let writes = "reads the copy and writes through the bridge (its text names a moved table)";
    let fails = "its writes to a moved table will fail with an error that names the new home";
    for (bridge, count, add) in
        [(Bridge::Forward, through, through), (Bridge::Local, reads, writes), (Bridge::None, reads, fails)]
    {
        let lines = [line("count_films", count), line("add_film", add)];
        check(&sample, bridge, &lines.each_ref().map(String::as_str));
    }
}

#[test]
fn a_trigger_function_of_moved_tables_alone_is_carried_and_crosses_nothing() {
    let mut sample = Sample::with([table("film"), table("inventory")]);
    sample.trigger("film", "film_check", "begin perform 1 from film; return new; end");
    check(&sample, Bridge::Forward, &[]);

    sample.trigger("inventory", "stock_check", "begin perform 1 from film; return new; end");
    let line = "function public.stock_check(): goes on through the bridge (its text names a moved table)";
    check(&sample, Bridge::Forward, &[line]);
}

#[test]
fn a_sequence_that_leaves_is_told_because_no_bridge_leads_to_its_old_name() {
    let mut sample = Sample::with([table("film"), table("inventory")]);
    owned_sequence(&mut sample, "film_id_seq", "film");
    owned_sequence(&mut sample, "inventory_id_seq", "inventory");
    let code = sample.sequence("film_code_seq");
    sample.table_mut("film").columns[1].default_sequence = Some(code);
    let line = |name: &str| {
        format!(
            "sequence public.{name}: leaves with its tables: nextval and currval of its old name fail after the \
             switch; leave the column out and read the number with RETURNING"
        )
    };
    let lines = [line("film_id_seq"), line("film_code_seq")];
    check(&sample, Bridge::Forward, &lines.each_ref().map(String::as_str));

    let identity = |sample: &mut Sample| {
        let owners = sample.source.sequences.iter_mut().filter_map(|sequence| sequence.owner_column.as_mut());
        owners.for_each(|owner| owner.identity = true);
    };
    identity(&mut sample);
    check(&sample, Bridge::Forward, &[&line("film_code_seq")]);
}
