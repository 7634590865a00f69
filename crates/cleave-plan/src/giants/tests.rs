use super::*;
use crate::scope::sample::{NewTable, Sample, keyless, public, table, unique_index};
use crate::{PlannedIndex, plan_move};
use cleave_config::Config;
use cleave_model::{Oid, QualifiedName};

const GIANT: u64 = 8 << 30;

fn giant(name: &str) -> NewTable {
    table(name).set(|table| (table.heap_bytes, table.rows_estimated) = (GIANT, 1_000_000))
}

fn planned<const N: usize>(tables: [NewTable; N], correlation: Option<f64>) -> MovePlan {
    let sample = Sample::with(tables);
    let text = "[databases]\nshop = { url = \"env:SHOP\" }\nproducts = { url = \"env:PRODUCTS\" }\n\
                [services.films]\nhome = \"products/films\"\ntables = [\"public.film*\"]\n";
    let config = Config::parse(text, "cleave.toml").unwrap();
    let claimed: Vec<QualifiedName> = sample.source.tables.iter().map(|table| table.name.clone()).collect();
    let mut plan = plan_move(&config.services[0], &claimed, &sample.source, &sample.target);
    plan.findings.clear();
    let spread = correlation.map(|correlation| Spread { correlation, distinct: -1.0 });
    plan_giants(&mut plan, &sample.source, GIANT, |_| spread);
    plan
}

#[track_caller]
fn check(table: NewTable, correlation: Option<f64>, divided_by: Option<&str>, says: &str) {
    let plan = planned([table], correlation);
    let column = plan.tables[0].ranges.as_ref().map(|ranges| ranges.column.as_str());
    assert_eq!(column, divided_by);
    let code = if divided_by.is_some() { "C0550" } else { "C0551" };
    assert_eq!(plan.findings.len(), 1, "{:?}", plan.findings);
    assert_eq!(plan.findings[0].code, code);
    assert!(plan.findings[0].message.contains(says), "{}", plan.findings[0].message);
}

#[test]
fn a_giant_in_the_order_of_its_key_is_divided() {
    check(giant("film"), Some(1.0), Some("id"), "ranges of column id of about 1.1 GB each");
    check(giant("film"), Some(-0.7), Some("id"), "(correlation -0.70), so blocks are read more than once");
    let plan = planned([giant("film"), table("film_text")], Some(1.0));
    assert_eq!(plan.tables.iter().filter(|table| table.ranges.is_some()).count(), 1);
    assert_eq!(plan.findings.len(), 1);
}

#[test]
fn a_giant_that_cannot_be_divided_says_why() {
    check(giant("film"), Some(0.3), None, "do not stand in the order of column id (correlation 0.30)");
    check(giant("film"), None, None, "no statistics of column id");
    let keyless = keyless("film").set(|table| table.heap_bytes = GIANT);
    check(keyless, Some(1.0), None, NO_KEY);
    let full = giant("film").set(|table| table.replica_identity = ReplicaIdentity::Full);
    check(full, Some(1.0), None, NO_KEY);
    let by_index =
        giant("film").set(|table| table.replica_identity = ReplicaIdentity::Index("film_name".into()));
    check(by_index, Some(1.0), None, NO_KEY);
    let deferrable = giant("film").set(|table| table.constraints[0].deferrable = true);
    check(deferrable, Some(1.0), None, NO_KEY);
    let elsewhere = giant("film").set(|table| table.access_method = Some("columnar".into()));
    check(elsewhere, Some(1.0), None, "not in a heap");
}

fn of_type(oid: u32, name: &'static str) -> NewTable {
    giant("film").set(|table| {
        (table.columns[0].type_oid, table.columns[0].type_name) = (Oid(oid), name.into());
    })
}

#[test]
fn the_type_of_the_first_column_decides() {
    for (oid, name) in [
        (20, "bigint"),
        (21, "smallint"),
        (23, "integer"),
        (2950, "uuid"),
        (17, "bytea"),
        (1082, "date"),
        (1114, "timestamp"),
        (1184, "timestamptz"),
    ] {
        check(of_type(oid, name), Some(1.0), Some("id"), "ranges of column id");
    }
    check(of_type(25, "text"), Some(1.0), None, "order of column id, the first of its key (text)");
    check(of_type(1700, "numeric"), Some(1.0), None, "can be equal and look different");
    // A domain has an OID of its own.
    check(of_type(90_000, "code"), Some(1.0), None, "column id of its key (code)");
}

#[test]
fn other_columns_of_the_key_must_be_equal_only_if_they_look_equal() {
    let second = |oid: u32, collation: Option<&str>| {
        giant("film").set(|table| {
            (table.columns[1].type_oid, table.columns[1].collation) =
                (Oid(oid), collation.map(str::to_owned));
            table.constraints[0].columns = vec!["id".into(), "name".into()];
        })
    };
    check(second(25, None), Some(1.0), Some("id"), "ranges of column id");
    check(second(1043, Some("pg_catalog.\"C\"")), Some(1.0), Some("id"), "ranges of column id");
    check(second(25, Some("public.blind")), Some(1.0), None, "column name of its key");
    check(second(1042, None), Some(1.0), None, "column name of its key");
    let computed = second(25, None).set(|table| {
        table.columns[1].generated = Some(cleave_model::catalog::Generated::Stored("1".into()));
    });
    check(computed, Some(1.0), None, "column name of its key is computed");
}

#[test]
fn indexes_that_rows_of_different_ages_may_break_are_late() {
    let film = giant("film")
        .index(unique_index("film_name", "name"))
        .index(Index { columns: vec!["name".into(), "id".into()], ..unique_index("film_both", "name") })
        .index(Index { unique: false, ..unique_index("film_plain", "name") })
        .index(Index { columns: vec![], ..unique_index("film_lower", "name") });
    let plan = planned([film], Some(1.0));
    let late: Vec<&PlannedIndex> = plan.script.tables[0].indexes.iter().filter(|index| index.late).collect();
    let mut names: Vec<&str> = late.iter().map(|index| index.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["film_lower", "film_name"]);
}

#[test]
fn a_plan_does_the_same_whether_its_table_is_a_giant_yet_or_not() {
    let film = || giant("film").index(unique_index("film_name", "name"));
    let (one, other) = (planned([film()], Some(1.0)), planned([film()], Some(0.1)));
    assert!(one != other && one.does_the_same_as(&other));
    let stored: MovePlan = serde_json::from_value(serde_json::to_value(&one).unwrap()).unwrap();
    assert_eq!(stored, one);
    assert_eq!(stored.tables[0].source.qualified(), public("film"));
}

#[test]
fn a_column_of_few_values_divides_nothing() {
    let sample = Sample::with([giant("film")]);
    let table = &sample.source.tables[0];
    for (distinct, few) in [(15.0, true), (17.0, false), (-0.000_001, true), (-1.0, false)] {
        let spread = Spread { correlation: 1.0, distinct };
        assert_eq!(values(spread, table) < fewest_values(table, GIANT), few, "{distinct}");
    }
}
