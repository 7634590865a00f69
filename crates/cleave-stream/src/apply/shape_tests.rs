//! What the explanation of a change says of tables that were altered at random.

use super::*;

/// A table of the source as it is altered, and what each alteration was.
#[derive(Clone, Debug)]
struct Model {
    table: CatalogTable,
    /// Names are given once, so that what was called so before is not taken for it.
    names: u32,
}

impl Model {
    fn new() -> Self {
        let column = |number: i16| CatalogColumn {
            number,
            name: format!("c{number}"),
            type_oid: oid::INT4,
            modifier: -1,
            plain: true,
            ..CatalogColumn::default()
        };
        let table = CatalogTable {
            oid: Oid(1),
            last_number: 3,
            filenode: Oid(1),
            columns: (1..4).map(column).collect(),
        };
        Self { table, names: 10 }
    }

    fn alter(&mut self, random: &mut fastrand::Rng) {
        let at = random.usize(0..self.table.columns.len());
        self.names += 1;
        match random.u8(0..5) {
            0 if self.table.columns.len() > 1 => {
                self.table.columns.remove(at);
            }
            1 => self.table.columns[at].name = format!("n{}", self.names),
            2 if self.table.columns[at].type_oid == oid::INT4 => {
                self.table.columns[at].type_oid = oid::INT8;
                self.rewrite();
            }
            3 => {
                // Older rows get values that the catalog does not tell.
                self.add(None);
                self.rewrite();
            }
            _ => {
                let missing = random.bool().then(|| self.names.to_string());
                self.add(missing);
            }
        }
    }

    fn add(&mut self, missing: Option<String>) {
        self.table.last_number += 1;
        self.table.columns.push(CatalogColumn {
            number: self.table.last_number,
            name: format!("n{}", self.names),
            type_oid: oid::INT4,
            modifier: -1,
            plain: true,
            missing,
            ..CatalogColumn::default()
        });
    }

    fn rewrite(&mut self) {
        self.table.filenode = Oid(self.table.filenode.0 + 1);
        self.table.columns.iter_mut().for_each(|column| column.missing = None);
    }
}

/// What older rows have in a column that came between two states, by what was altered in between.
fn older(states: &[CatalogTable], number: i16) -> Option<Option<String>> {
    let first = states.iter().position(|table| live(table, number).is_some())?;
    let came = live(&states[first], number)?;
    let rewritten = first > 0 && states[first - 1].filenode != states[first].filenode;
    (!rewritten).then(|| came.missing.clone())
}

#[test]
fn an_explanation_is_the_truth_or_there_is_none() {
    let mut random = fastrand::Rng::with_seed(7);
    let (mut explained, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let mut model = Model::new();
        let mut states = vec![model.table.clone()];
        for _ in 0..random.usize(1..6) {
            model.alter(&mut random);
            states.push(model.table.clone());
        }
        // The stream goes through some of the states; at each it may look at the last.
        let mut known = states[0].shape();
        let mut done = 0;
        for place in 1..states.len() {
            if random.bool() {
                continue;
            }
            let truth = &states[place];
            let said = catalog_said(truth);
            if is_known(&known, &said) {
                continue;
            }
            let now = &states[random.usize(place..states.len())];
            let Ok(change) = explain(&known, &said, now) else {
                refused += 1;
                break;
            };
            explained += 1;
            let numbers: Vec<i16> = change.shape.columns.iter().map(|column| column.number).collect();
            let are: Vec<i16> = truth.columns.iter().map(|column| column.number).collect();
            assert_eq!(numbers, are, "{known:?} {said:?} {now:?}");
            for alteration in &change.alterations {
                if let Alteration::Add { name, missing, .. } = alteration {
                    let number = truth.columns.iter().find(|column| column.name == *name).unwrap().number;
                    assert_eq!(older(&states[done..], number), Some(missing.clone()), "{name} {states:?}");
                }
            }
            assert_eq!(
                replayed(&known, &change.alterations),
                names(&change.shape),
                "{:?}",
                change.alterations
            );
            known = change.shape;
            done = place;
        }
    }
    assert!(explained > 10_000 && refused > 1_000, "{explained} explained, {refused} refused");
}

fn names(shape: &Shape) -> BTreeSet<String> {
    shape.columns.iter().map(|column| column.name.clone()).collect()
}

/// The names that a table has after statements; each must be possible.
fn replayed(known: &Shape, alterations: &[Alteration]) -> BTreeSet<String> {
    let mut names = names(known);
    for alteration in alterations {
        match alteration {
            Alteration::Add { name, .. } => assert!(names.insert(name.clone()), "{name}"),
            Alteration::Drop { name } => assert!(names.remove(name), "{name}"),
            Alteration::Rename { from, to } => {
                assert!(names.remove(from), "{from}");
                assert!(names.insert(to.clone()), "{to}");
            }
            Alteration::Retype { name, .. } => assert!(names.contains(name), "{name}"),
        }
    }
    names
}

#[test]
fn names_that_change_places_go_by_another() {
    let known = Model::new().table;
    let mut now = known.clone();
    now.columns[0].name = "c2".to_owned();
    now.columns[1].name = "c1".to_owned();
    let change = explain(&known.shape(), &catalog_said(&now), &now).unwrap();
    assert_eq!(change.alterations.len(), 3);
    assert_eq!(replayed(&known.shape(), &change.alterations), names(&known.shape()));
}

#[test]
fn only_what_keeps_every_value_is_wider() {
    let numeric = |precision: i32, scale: i32| (oid::NUMERIC, (precision << 16 | scale) + 4);
    for (from, to) in [
        ((oid::INT2, -1), (oid::INT4, -1)),
        ((oid::INT4, -1), (oid::NUMERIC, -1)),
        ((oid::VARCHAR, 24), (oid::VARCHAR, 54)),
        ((oid::VARCHAR, 24), (oid::TEXT, -1)),
        (numeric(6, 2), numeric(8, 2)),
        (numeric(6, 2), (oid::NUMERIC, -1)),
        ((oid::TIMESTAMP, 0), (oid::TIMESTAMP, 3)),
    ] {
        assert!(widens(from, to), "{from:?} {to:?}");
        assert!(!widens(to, from), "{to:?} {from:?}");
    }
    for (from, to) in [
        (numeric(6, 2), numeric(8, 3)),
        ((oid::NUMERIC, -1), numeric(8, 2)),
        ((oid::TEXT, -1), (oid::VARCHAR, 24)),
        ((oid::INT4, -1), numeric(20, 0)),
        ((oid::FLOAT8, -1), (oid::NUMERIC, -1)),
        ((oid::VARCHAR, -1), (oid::VARCHAR, 24)),
    ] {
        assert!(!widens(from, to), "{from:?} {to:?}");
    }
}

#[test]
fn statements_quote_and_give_older_rows_their_value() {
    let add = Alteration::Add {
        name: "a \"b".to_owned(),
        type_oid: 25,
        modifier: -1,
        missing: Some("it's".to_owned()),
        default: None,
        not_null: true,
    };
    assert_eq!(
        add.sql("public.t", "text"),
        [
            r#"alter table public.t add column "a ""b" text default 'it''s'::text not null"#,
            r#"alter table public.t alter column "a ""b" drop default"#
        ]
    );
}
