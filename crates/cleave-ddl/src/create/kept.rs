//! What a move makes outside its schema, taken away again: the schema itself is dropped as a whole.

use super::function::{routine, signature};
use super::target::{Script, Target};
use crate::carry::{Carried, Prelude};
use crate::text::dollar;
use cleave_model::catalog::TypeKind;
use cleave_model::{Ident, QualifiedName};

/// Drops the types, functions and sequences that [`first`](super::first) has put into other schemas than the tables',
/// and those schemas that are not among `existing` (the target's before the move) unless something is left in them.
/// Expects the tables to be gone; fails when others use a type or function.
pub fn drop_kept<'a>(
    carried: &Carried<'_>,
    target: &Target<'_>,
    existing: impl Iterator<Item = &'a Ident> + Clone,
) -> Vec<String> {
    let mut script = Script::new(target);
    let kept = |name: &QualifiedName| name.schema != *target.source_schema;
    for sequence in carried.free_sequences().filter(|sequence| kept(&sequence.name)) {
        let drop = format!("drop sequence if exists {}", script.place(&sequence.name));
        script.push(drop);
    }
    for prelude in carried.prelude.iter().rev() {
        match prelude {
            Prelude::Type(user_type) if kept(&user_type.name) => {
                let word = if matches!(user_type.kind, TypeKind::Domain { .. }) { "domain" } else { "type" };
                let drop = format!("drop {word} if exists {}", script.place(&user_type.name));
                script.push(drop);
            }
            Prelude::Function(function) if kept(&function.name) => {
                script.enter(&function.name.schema);
                let drop =
                    format!("drop {} if exists {}", routine(function.kind), signature(&script, function));
                script.push(drop);
            }
            Prelude::Type(_) | Prelude::Function(_) => {}
        }
    }
    for schema in target.kept_schemas(carried) {
        if !existing.clone().any(|there| *there == schema) {
            script.push(drop_if_empty(&schema));
        }
    }
    script.finish()
}

fn drop_if_empty(schema: &Ident) -> String {
    let body = format!(
        "\nbegin\n    drop schema if exists {};\nexception when dependent_objects_still_exist then\n    null;\nend\n",
        schema.quoted()
    );
    format!("do {}", dollar(&body))
}
