//! What stands against a move, case by case, on small catalogs.

use super::check as readiness;
use crate::scope::sample::{
    Sample, foreign_key, keyless, owned_sequence, partition, partitioned, public, role, table, unique_index,
};
use crate::{Scope, Weight};
use cleave_config::Config;
use cleave_model::catalog::{
    Extension, Generated, Grant, Index, ObjectRef, Outside, OutsideNeed, Persistence, ReferentialAction,
    ReplicaIdentity, Rule, Subscription, Table, TableKind, TriggerFiring,
};
use cleave_model::{Ident, QualifiedName};

/// What a service says beside its home and tables.
const COPIES: &str = "copies = [\"shop/films_copy\"]";

/// Claims every table whose name starts with `film`, with more lines of cleave.toml, and compares what is found: one
/// line `CODE weight object: message`, and one `  fix: ...` where there is one.
#[track_caller]
fn check(sample: &Sample, config: &str, expected: &[&str]) {
    let text = format!(
        "[databases]\nshop = {{ url = \"env:SHOP\" }}\nproducts = {{ url = \"env:PRODUCTS\" }}\n\
         [services.films]\nhome = \"products/films\"\ntables = [\"public.film*\"]\n{config}\n"
    );
    let config = Config::parse(&text, "cleave.toml").unwrap();
    let claimed: Vec<QualifiedName> = sample
        .source
        .tables
        .iter()
        .map(|table| table.name.clone())
        .filter(|name| name.name.as_str().starts_with("film"))
        .collect();
    let (scope, missing) = Scope::new(&sample.source, &claimed);
    assert_eq!(missing, []);
    let mut lines = Vec::new();
    for finding in readiness(&scope, &sample.target, &config.services[0]) {
        let weight = match finding.weight {
            Weight::Refusal => "refusal",
            Weight::Warning => "warning",
            Weight::Note => "note",
        };
        lines.push(format!("{} {weight} {}: {}", finding.code, finding.object, finding.message));
        lines.extend(finding.fix.map(|fix| format!("  fix: {fix}")));
    }
    assert_eq!(lines, expected);
}

fn film() -> Sample {
    Sample::with([table("film"), table("inventory")])
}

fn keyless_film() -> Sample {
    Sample::with([keyless("film")])
}

#[test]
fn a_plain_table_and_an_empty_target_are_ready() {
    check(&film(), "", &[]);
}

#[test]
fn a_table_without_key_is_refused_with_the_sql_that_helps() {
    const MESSAGE: &str = "C0208 refusal public.film: it has no key that identifies a row: updates and deletes could not be followed";
    check(
        &keyless_film(),
        "",
        &[MESSAGE, r#"  fix: alter table "public"."film" replica identity full; -- or add a primary key"#],
    );
    check(
        &Sample::with([keyless("film").index(unique_index("film_name_key", "name"))]),
        "",
        &[MESSAGE, r#"  fix: alter table "public"."film" replica identity using index "film_name_key";"#],
    );
}

#[test]
fn an_identity_that_was_set_by_hand_is_enough() {
    check(&Sample::with([keyless("film").set(|t| t.replica_identity = ReplicaIdentity::Full)]), "", &[]);
    let indexed = keyless("film")
        .index(unique_index("film_name_key", "name"))
        .set(|t| t.replica_identity = ReplicaIdentity::Index("film_name_key".into()));
    check(&Sample::with([indexed]), "", &[]);
}

#[test]
fn a_table_whose_identity_was_taken_away_is_refused_in_spite_of_its_key() {
    check(
        &Sample::with([table("film").set(|t| t.replica_identity = ReplicaIdentity::Nothing)]),
        "",
        &[
            "C0208 refusal public.film: its replica identity is NOTHING: updates and deletes could not be followed",
            r#"  fix: alter table "public"."film" replica identity default;"#,
        ],
    );
}

#[test]
fn cleave_toml_may_allow_the_whole_row_as_identity() {
    check(
        &keyless_film(),
        r#"identity = { "public.film" = "full" }"#,
        &["C0208 note public.film: apply sets REPLICA IDENTITY FULL, as cleave.toml allows"],
    );
}

#[test]
fn cleave_toml_may_allow_an_index_that_identifies_rows() {
    const CHOICE: &str = r#"identity = { "public.film" = "index:film_name_key" }"#;
    check(
        &Sample::with([keyless("film").index(unique_index("film_name_key", "name"))]),
        CHOICE,
        &[
            r#"C0208 note public.film: apply sets REPLICA IDENTITY USING INDEX "film_name_key", as cleave.toml allows"#,
        ],
    );
    let partial = Index { identifies_rows: false, ..unique_index("film_name_key", "name") };
    check(
        &Sample::with([keyless("film").index(partial)]),
        CHOICE,
        &[
            "C0208 refusal public.film: index film_name_key cannot identify rows: it must be unique, complete, not deferrable, and its columns NOT NULL",
        ],
    );
    check(
        &keyless_film(),
        CHOICE,
        &[
            "C0208 refusal public.film: it has no index film_name_key, which cleave.toml names as its identity",
        ],
    );
}

#[test]
fn a_whole_row_allowed_for_a_partitioned_table_holds_for_its_partitions() {
    let sample = Sample::with([partitioned("film", "list (kind)"), keyless("film_new").under("film")]);
    check(
        &sample,
        r#"identity = { "public.film" = "full" }"#,
        &["C0208 note public.film_new: apply sets REPLICA IDENTITY FULL, as cleave.toml allows"],
    );
}

#[test]
fn a_partition_s_index_has_its_own_name() {
    let sample = Sample::with([
        partitioned("film", "list (kind)").index(unique_index("film_name_key", "name")),
        keyless("film_new").under("film").index(unique_index("film_new_name_idx", "name")),
    ]);
    check(
        &sample,
        r#"identity = { "public.film" = "index:film_name_key" }"#,
        &[
            "C0208 refusal public.film_new: it has no index film_name_key: name this partition and its own index in cleave.toml",
        ],
    );
    check(
        &sample,
        r#"identity = { "public.film_new" = "index:film_new_name_idx" }"#,
        &[
            r#"C0208 note public.film_new: apply sets REPLICA IDENTITY USING INDEX "film_new_name_idx", as cleave.toml allows"#,
        ],
    );
}

#[test]
fn kinds_of_table_that_cannot_be_followed_are_refused() {
    let one = |change: fn(&mut cleave_model::catalog::Table)| Sample::with([table("film").set(change)]);
    let rule = |t: &mut cleave_model::catalog::Table| {
        t.rules.push(Rule { name: "film_log".into(), definition: String::new() });
    };
    for (sample, message) in [
        (one(|t| t.kind = TableKind::Foreign), "it is a foreign table: its rows are not in this database"),
        (
            one(|t| t.persistence = Persistence::Unlogged),
            "it is unlogged: its changes are not in the WAL and cannot be followed",
        ),
        (one(|t| t.inherits.push(public("item"))), "it inherits from another table (not as a partition)"),
        (one(rule), "it has rewrite rules, which cannot be carried"),
    ] {
        check(&sample, "", &[&format!("C0206 refusal public.film: {message}")]);
    }
}

#[test]
fn a_partition_does_not_move_without_its_parent() {
    let sample = Sample::with([partitioned("stock", "list (kind)"), partition("film", "stock")]);
    check(
        &sample,
        "",
        &[
            "C0207 refusal public.film: it is a partition of public.stock, which stays; a partitioned table moves as a whole",
        ],
    );
}

#[test]
fn a_trigger_that_fires_for_replicated_changes_is_refused() {
    for firing in [TriggerFiring::Always, TriggerFiring::Replica] {
        let mut sample = film();
        sample.trigger("film", "film_stamp", "begin new.name := 1; return new; end").firing = firing;
        check(
            &sample,
            "",
            &[
                "C0209 refusal trigger film_stamp of public.film: it fires for replicated changes too (ENABLE ALWAYS or REPLICA), and would run twice",
                r#"  fix: alter table "public"."film" enable trigger "film_stamp";"#,
            ],
        );
    }
}

#[test]
fn a_partition_s_part_of_a_trigger_is_said_once() {
    let mut sample = Sample::with([partitioned("film", "list (kind)"), partition("film_new", "film")]);
    sample.trigger("film", "film_stamp", "begin return new; end").firing = TriggerFiring::Always;
    let mut part = sample.table_mut("film").triggers[0].clone();
    part.inherited = true;
    sample.table_mut("film_new").triggers.push(part);
    check(
        &sample,
        "",
        &[
            "C0209 refusal trigger film_stamp of public.film: it fires for replicated changes too (ENABLE ALWAYS or REPLICA), and would run twice",
            r#"  fix: alter table "public"."film" enable trigger "film_stamp";"#,
        ],
    );
}

#[test]
fn the_fence_of_an_earlier_round_is_no_trigger_of_the_table() {
    for ours in ["cleave_fence", "_cleave_fill"] {
        let mut sample = film();
        sample.trigger("film", ours, "begin insert into inventory values (1); end").firing =
            TriggerFiring::Always;
        check(&sample, "", &[]);
    }
}

#[test]
fn a_trigger_that_writes_to_a_table_that_stays_is_refused() {
    let mut sample = Sample::with([table("film"), table("film_log"), table("inventory")]);
    sample.trigger("film", "film_count", "begin update public.inventory set name = 1; return new; end");
    sample.trigger("film", "film_audit", "begin insert into film_log values (1); return new; end");
    check(
        &sample,
        "",
        &[
            "C0210 refusal trigger film_count of public.film: its function writes to public.inventory, which stays",
        ],
    );
    sample.table_mut("film").triggers[0].firing = TriggerFiring::Disabled;
    check(
        &sample,
        "",
        &[
            "C0210 warning trigger film_count of public.film: it is disabled; its function writes to public.inventory, which stays: enabled at the new home it would fail",
        ],
    );
}

#[test]
fn a_table_that_a_native_subscription_writes_is_refused() {
    let mut sample = film();
    let tables = vec![public("inventory"), public("film")];
    sample.source.subscriptions.push(Subscription { name: "catalogue".into(), tables });
    check(&sample, "", &["C0211 refusal public.film: native subscription catalogue writes to it"]);
}

#[test]
fn a_sequence_shared_with_a_table_that_stays_is_refused() {
    const MESSAGE: &str =
        "C0212 refusal sequence public.film_id_seq: it is shared with public.inventory, which stays";
    let mut read = film();
    owned_sequence(&mut read, "film_id_seq", "film");
    check(&read, "", &[]);
    let sequence = read.source.sequences[0].oid;
    read.table_mut("inventory").columns[0].default_sequence = Some(sequence);
    check(&read, "", &[MESSAGE]);

    let mut owned = film();
    owned_sequence(&mut owned, "film_id_seq", "inventory");
    let sequence = owned.source.sequences[0].oid;
    owned.table_mut("film").columns[0].default_sequence = Some(sequence);
    check(&owned, "", &[MESSAGE]);
}

#[test]
fn a_key_of_a_table_that_stays_needs_a_copy() {
    let sample = Sample::with([
        table("film"),
        table("inventory").key(foreign_key("inventory_film_fk", "film", ReferentialAction::NoAction)),
    ]);
    check(
        &sample,
        "",
        &[
            "C0213 refusal public.inventory: key inventory_film_fk refers to public.film, which moves: the check needs a read-only copy",
            "  fix: copies = [\"shop/films_copy\"]",
        ],
    );
    check(&sample, COPIES, &[]);
}

#[test]
fn a_materialized_view_over_moved_tables_needs_a_copy() {
    let mut sample = film();
    sample.view("film_totals", &["film"]).materialized = true;
    sample.view("stock_totals", &["inventory"]).materialized = true;
    let message = "C0213 refusal public.film_totals: it is a materialized view over moved tables: it needs a read-only copy";
    check(&sample, "", &[message, "  fix: copies = [\"shop/films_copy\"]"]);
    check(&sample, COPIES, &[]);
}

#[test]
fn a_view_that_stands_on_a_moved_table_s_key_cannot_be_forwarded() {
    let mut sample = film();
    let oid = sample.table_mut("film").oid;
    sample.view("film_list", &["film"]).keyed_by = vec![oid];
    check(
        &sample,
        "",
        &[
            "C0214 refusal public.film_list: it groups by a moved table's key and shows other columns, which no foreign table allows",
            "  fix: name every column in GROUP BY, or use bridge = \"local\"",
        ],
    );
    check(&sample, &format!("bridge = \"local\"\n{COPIES}"), &[]);
}

#[test]
fn a_local_bridge_needs_primary_keys() {
    let sample = Sample::with([keyless("film").set(|t| t.replica_identity = ReplicaIdentity::Full)]);
    check(
        &sample,
        &format!("bridge = \"local\"\n{COPIES}"),
        &["C0215 refusal public.film: bridge = \"local\" updates rows by primary key, and it has none"],
    );
    check(&sample, &format!("bridge = \"none\"\n{COPIES}"), &[]);
}

#[test]
fn a_target_schema_with_anything_in_it_is_refused() {
    let mut sample = film();
    let place = |name: &str| QualifiedName::new("films", name);
    for name in ["g", "f", "e", "d", "c", "b"] {
        let mut taken = table(name).0;
        taken.name = place(name);
        sample.target.tables.push(taken);
    }
    check(
        &sample,
        "",
        &[
            "C0216 refusal target schema films: it is not empty: table b, table c, table d, table e, table f and 1 more",
        ],
    );
    sample.target.tables.truncate(1);
    sample.target.tables[0].name = public("film");
    check(&sample, "", &[]);
}

#[test]
fn an_owner_role_that_is_not_there_is_refused() {
    let mut sample = film();
    check(
        &sample,
        "owner = \"films_svc\"",
        &[
            "C0217 refusal service films: owner role films_svc is missing in products",
            r#"  fix: create role "films_svc" login;"#,
        ],
    );
    sample.target.roles.push(role("films_svc"));
    check(&sample, "owner = \"films_svc\"", &[]);
}

#[test]
fn a_role_with_rights_that_is_not_there_is_warned_of_once() {
    let mut sample = Sample::with([table("film"), table("film_actor")]);
    let grant = |grantee: Option<&str>| Grant {
        grantee: grantee.map(Ident::from),
        privilege: "SELECT".into(),
        grantable: false,
    };
    for name in ["film", "film_actor"] {
        // PUBLIC and the owner are always there.
        sample.table_mut(name).grants = vec![grant(None), grant(Some("postgres")), grant(Some("reporting"))];
    }
    let warning = |role: &str| {
        [
            format!(
                "C0218 warning role {role}: it has rights on moved tables and is missing in products; its grants are left out"
            ),
            format!("  fix: create role \"{role}\";"),
        ]
    };
    let expected = warning("reporting");
    check(&sample, "", &expected.each_ref().map(String::as_str));

    sample.target.roles.push(role("reporting"));
    sample.table_mut("film").columns[1].grants = vec![grant(Some("marketing"))];
    let expected = warning("marketing");
    check(&sample, "", &expected.each_ref().map(String::as_str));
}

#[test]
fn an_extension_that_moved_tables_use_must_be_at_the_new_home() {
    let mut sample = film();
    let extension =
        |name: &str| Extension { name: name.into(), version: "1.6".into(), schema: "extensions".into() };
    sample.source.extensions = vec![extension("citext"), extension("hstore")];
    let (film, inventory) = (sample.source.tables[0].oid, sample.source.tables[1].oid);
    sample.source.outside_needs = vec![
        OutsideNeed { dependent: ObjectRef::Relation(film), what: Outside::Extension("citext".into()) },
        OutsideNeed { dependent: ObjectRef::Relation(inventory), what: Outside::Extension("hstore".into()) },
    ];
    check(
        &sample,
        "",
        &[
            "C0219 refusal extension citext: moved tables use it and it is missing in products",
            r#"  fix: create extension "citext" schema "extensions";"#,
        ],
    );
    sample.target.extensions.push(extension("citext"));
    check(&sample, "", &[]);
}

#[test]
fn servers_must_be_able_to_decode_and_to_write() {
    let mut sample = film();
    sample.source.facts.wal_level = "replica".into();
    sample.source.facts.version_num = 130_020;
    sample.target.facts.in_recovery = true;
    sample.target.facts.encoding = "LATIN1".into();
    sample.target.facts.collation = "en_US.UTF-8".into();
    check(
        &sample,
        "",
        &[
            "C0201 refusal source database shop: PostgreSQL 13 is not supported; 14 to 18 are",
            "C0202 refusal source database shop: wal_level is replica, and changes cannot be decoded",
            "  fix: alter system set wal_level = logical; -- then restart the server",
            "C0203 refusal target database products: it is a standby: Cleave writes its journal on both sides",
            "C0204 refusal database products: the encodings differ: UTF8 and LATIN1",
            "C0205 warning database products: collations differ (C.UTF-8 and en_US.UTF-8): text sorts differently at the new home",
        ],
    );
}

#[test]
fn a_generated_column_is_no_part_of_an_identity() {
    let generated = |table: &mut Table, at: usize| {
        table.columns[at].generated = Some(Generated::Stored("1".into()));
    };
    let message = "C0232 refusal public.film: column id of its identity is generated, and generated columns are not published: updates and deletes could not be followed";
    check(&Sample::with([table("film").set(|t| generated(t, 0))]), "", &[message]);
    check(&Sample::with([table("film").set(|t| generated(t, 1))]), "", &[]);
}

#[test]
fn a_whole_row_with_a_generated_column_is_refused_from_18_on() {
    let with = |source: u32, target: u32| {
        let mut sample = Sample::with([keyless("film").set(|t| {
            t.replica_identity = ReplicaIdentity::Full;
            t.columns[1].generated = Some(Generated::Stored("1".into()));
        })]);
        sample.source.facts.version_num = source * 10_000;
        sample.target.facts.version_num = target * 10_000;
        sample
    };
    let refused = [
        "C0232 refusal public.film: its replica identity is FULL and column name is generated: PostgreSQL 18 refuses updates and deletes of such a table once it is published",
        r#"  fix: alter table "public"."film" replica identity default; -- with a primary key"#,
    ];
    check(&with(14, 17), "", &[]);
    check(&with(14, 18), "", &refused);
    check(&with(18, 15), "", &refused);
}

#[test]
fn row_level_security_behind_a_bridge_is_told() {
    let guarded = Sample::with([table("film").set(|t| t.row_security = (true, false))]);
    let warning = "C0233 warning public.film: it has row level security: for all who come through the bridge its policies see the role cleave_bridge_films, and hide what they hide from it";
    check(&guarded, "", &[warning]);
    check(&guarded, &format!("bridge = \"none\"\n{COPIES}"), &[]);
}

#[test]
fn a_deferrable_key_identifies_no_row() {
    let deferrable = || {
        table("film").set(|t| {
            t.constraints[0].deferrable = true;
            t.indexes[0].identifies_rows = false;
        })
    };
    let message = "C0208 refusal public.film: its primary key is deferrable and identifies no row: updates and deletes could not be followed";
    let fix = r#"  fix: alter table "public"."film" replica identity full;"#;
    check(&Sample::with([deferrable()]), "", &[message, fix]);
    let other = deferrable().index(unique_index("film_name_key", "name"));
    let fix = r#"  fix: alter table "public"."film" replica identity using index "film_name_key";"#;
    check(&Sample::with([other]), "", &[message, fix]);
}
