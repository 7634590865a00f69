//! Types.

use super::target::Script;
use cleave_model::catalog::{TypeKind, UserType};
use cleave_model::quote_literal;

pub(super) fn create(script: &mut Script<'_>, user_type: &UserType) {
    script.enter(&user_type.name.schema);
    let name = script.place(&user_type.name);
    match &user_type.kind {
        TypeKind::Enum(labels) => {
            let labels: Vec<String> = labels.iter().map(|label| quote_literal(label)).collect();
            script.push(format!("create type {name} as enum ({})", labels.join(", ")));
        }
        TypeKind::Composite(attributes) => {
            let attribute = |(name, type_name, collation): &(cleave_model::Ident, String, Option<String>)| {
                let collate = collation.as_ref().map(|c| format!(" collate {c}")).unwrap_or_default();
                format!("{} {type_name}{collate}", name.quoted())
            };
            let attributes: Vec<String> = attributes.iter().map(attribute).collect();
            script.push(format!("create type {name} as ({})", attributes.join(", ")));
        }
        TypeKind::Range(options) => script.push(format!("create type {name} as range ({options})")),
        TypeKind::Domain { base, not_null, default, collation, checks } => {
            let mut sql = format!("create domain {name} as {base}");
            if let Some(collation) = collation {
                sql += &format!(" collate {collation}");
            }
            if let Some(default) = default {
                sql += &format!(" default {default}");
            }
            if *not_null {
                sql += " not null";
            }
            script.push(sql);
            for (check, definition) in checks {
                // A check that is not valid may be broken by rows that are still to be copied.
                if !definition.ends_with("NOT VALID") {
                    script
                        .push(format!("alter domain {name} add constraint {} {definition}", check.quoted()));
                }
            }
        }
        // Refused before: it cannot be written.
        TypeKind::Other(_) => {}
    }
}
