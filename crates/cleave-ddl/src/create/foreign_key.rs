//! Foreign keys in two steps, so that no step holds a lock that stops writers for long.

use super::target::Target;
use crate::carry::Carried;
use cleave_model::QualifiedName;
use cleave_model::catalog::{ForeignKey, Table, TableKind};

/// The statements for one key or several, in three stages: every `add` is a change of the catalog only, every `validate`
/// reads the table, under a lock that lets writers pass, and `adopt` is a change of the catalog again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForeignKeySql {
    /// `add constraint ... not valid`.
    pub add: Vec<String>,
    /// `validate constraint`.
    pub validate: Vec<String>,
    /// For a partitioned table its own key, which takes over the partitions' keys unread.
    pub adopt: Vec<String>,
}

/// The keys between carried tables. Keys to tables that stay cannot be kept at the new home.
pub fn foreign_keys(carried: &Carried<'_>, target: &Target<'_>) -> ForeignKeySql {
    let mut sql = ForeignKeySql::default();
    for table in &carried.tables {
        for key in table.foreign_keys.iter().filter(|key| carried.has_table(&key.referenced)) {
            let leaves: Vec<QualifiedName> =
                leaves(table, &carried.tables).iter().map(|leaf| target.place(&leaf.name)).collect();
            let definition = definition(key, &target.place(&key.referenced));
            let key = foreign_key(&target.place(&table.name), &leaves, key, &definition);
            sql.add.extend(key.add);
            sql.validate.extend(key.validate);
            sql.adopt.extend(key.adopt);
        }
    }
    sql
}

/// One key, `definition` being what follows its name. `leaves`: the leaf partitions of a partitioned table, none
/// otherwise. 14 to 17 refuse a key that is not valid on a partitioned table, so it is put on the leaves first.
pub fn foreign_key(
    table: &QualifiedName,
    leaves: &[QualifiedName],
    key: &ForeignKey,
    definition: &str,
) -> ForeignKeySql {
    let definition = definition.trim_end().trim_end_matches("NOT VALID").trim_end();
    let unchecked = definition.ends_with("NOT ENFORCED");
    let tables = if leaves.is_empty() { std::slice::from_ref(table) } else { leaves };
    let (mut add, mut validate, mut adopt) = (Vec::new(), Vec::new(), Vec::new());
    for table in tables {
        let (table, name) = (table.quoted(), key.name.quoted());
        let not_valid = if unchecked { "" } else { " not valid" };
        add.push(format!("alter table {table} add constraint {name} {definition}{not_valid}"));
        if key.validated && !unchecked {
            validate.push(format!("alter table {table} validate constraint {name}"));
        }
    }
    if !leaves.is_empty() {
        adopt.push(format!(
            "alter table {} add constraint {} {definition}",
            table.quoted(),
            key.name.quoted()
        ));
    }
    ForeignKeySql { add, validate, adopt }
}

/// The definition with its table in place of the one that the text names: the text's name is found by
/// `search_path`, which statements in a transaction of others should not depend on.
pub(crate) fn definition(key: &ForeignKey, referenced: &QualifiedName) -> String {
    let Some((columns, rest)) = key.definition.split_once(" REFERENCES ") else {
        return key.definition.clone();
    };
    // The referenced columns follow in parentheses; a name may have one only between quotes.
    let mut quoted = false;
    let end = rest.char_indices().find_map(|(at, c)| {
        quoted ^= c == '"';
        (c == '(' && !quoted).then_some(at)
    });
    format!("{columns} REFERENCES {}{}", referenced.quoted(), end.map_or("", |at| &rest[at..]))
}

/// The leaf partitions below a partitioned table; none for an ordinary one.
pub(crate) fn leaves<'a>(table: &Table, tables: &[&'a Table]) -> Vec<&'a Table> {
    if !matches!(table.kind, TableKind::Partitioned(_)) {
        return Vec::new();
    }
    let below = tables.iter().filter(|t| t.partition_of.as_ref().is_some_and(|p| p.parent == table.name));
    below.flat_map(|part| if part.holds_rows() { vec![*part] } else { leaves(part, tables) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cleave_model::catalog::ReferentialAction;

    #[test]
    fn the_referenced_table_is_named_in_full() {
        let key = ForeignKey {
            name: "k".into(),
            columns: vec!["a".into()],
            referenced: QualifiedName::new("public", "Odd (one)"),
            referenced_columns: vec!["id".into()],
            on_delete: ReferentialAction::Cascade,
            on_update: ReferentialAction::NoAction,
            match_full: false,
            deferrable: (false, false),
            validated: true,
            definition: r#"FOREIGN KEY (a) REFERENCES "Odd (one)"(id) ON DELETE CASCADE"#.to_owned(),
            comment: None,
        };
        let text = definition(&key, &key.referenced);
        assert_eq!(text, r#"FOREIGN KEY (a) REFERENCES "public"."Odd (one)"(id) ON DELETE CASCADE"#);
        let sql = foreign_key(&QualifiedName::new("s", "t"), &[], &key, &text);
        assert_eq!(sql.validate, [r#"alter table "s"."t" validate constraint "k""#]);
        assert!(sql.add[0].ends_with("ON DELETE CASCADE not valid"), "{}", sql.add[0]);
    }
}
