//! The statements of a split, list by list.

use super::{KeyScript, OldName, ReferenceScript, SplitScript};
use crate::Name;
use cleave_ddl::split::{self as ddl, Ending, Leads, Reference, Split};
use cleave_model::catalog::{Catalog, Sequence};
use cleave_model::{Ident, QualifiedName, labels, quote_literal};

pub(super) fn script(split: &Split<'_>, catalog: &Catalog, old_name: OldName) -> SplitScript {
    let owned: Vec<&Sequence> = catalog
        .sequences
        .iter()
        .filter(|sequence| sequence.owner_column.as_ref().is_some_and(|owner| owner.table == split.table.oid))
        .collect();
    let sequence_of = |column: &Ident| {
        let owner =
            |sequence: &&&Sequence| sequence.owner_column.as_ref().is_some_and(|o| o.column == *column);
        owned.iter().find(owner).map(|sequence| sequence.name.clone())
    };
    let own = |function: &str| {
        QualifiedName { schema: labels::split_schema(split.name), name: function.into() }.quoted()
    };
    let mut prepare = ddl::create_parts(split, sequence_of, &catalog.roles);
    prepare.extend(ddl::keep_in_step(split));
    let mut table_triggers = ddl::guard_user_triggers(split);
    table_triggers.extend(ddl::table_triggers(split));
    let mut release = ddl::drop_table_triggers(split);
    release.extend(ddl::restore_user_triggers(split));
    let ending = match old_name {
        OldName::Removed => Ending::Removed,
        OldName::Rest => Ending::Rest,
        OldName::View => Ending::View,
    };
    SplitScript {
        prepare,
        table_triggers,
        references: split
            .references()
            .map(|(part, reference)| reference_script(split, part, reference))
            .collect(),
        fill: format!("select {}($1)", own("cleave_fill")),
        check: format!(
            "select last, rows, missing, different, misplaced, lost, shared, waiting from {}($1, $2)",
            own("cleave_check")
        ),
        columns: columns(split),
        open: ddl::open_parts(split),
        close: ddl::close_parts(split),
        repoint: Vec::new(),
        restore: Vec::new(),
        release,
        drop: ddl::drop_parts(split),
        complete: ddl::complete(split, &owned, ending),
    }
}

fn reference_script(split: &Split<'_>, part: usize, reference: &Reference<'_>) -> ReferenceScript {
    let key = |leads: Leads| {
        let sql = ddl::prepare_reference(split, part, reference, leads);
        KeyScript {
            add: sql.add,
            validate: sql.validate,
            adopt: sql.adopt,
            switch: ddl::switch_reference(split, reference, leads),
            drop: ddl::drop_prepared(split, reference, leads),
        }
    };
    ReferenceScript {
        table: Name::from(reference.table),
        key: reference.key.name.as_str().to_owned(),
        triggers: ddl::reference_triggers(split, reference),
        to_part: key(Leads::ToPart),
        to_table: key(Leads::ToTable),
        drop_triggers: ddl::drop_triggers(split, reference),
    }
}

/// Columns by name and type that one of table and parts has and another has not.
fn columns(split: &Split<'_>) -> String {
    let place = |name: &QualifiedName| {
        format!(
            "select {} as place, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod) as type, a.attnotnull
             from pg_catalog.pg_attribute a
             where a.attrelid = pg_catalog.to_regclass({}) and a.attnum > 0 and not a.attisdropped",
            quote_literal(&name.to_string()),
            quote_literal(&name.quoted())
        )
    };
    let places: Vec<QualifiedName> = split.places().into_iter().chain([split.table.name.clone()]).collect();
    let all: Vec<String> = places.iter().map(place).collect();
    format!(
        "select min(place), attname::text from ({}) a group by attname, type, attnotnull having count(*) <> {}",
        all.join(" union all "),
        places.len()
    )
}
