//! Which tables travel in binary: those whose every value has the same bytes on both sides.
//!
//! A value's bytes come from its type's send function. They are not portable where they hold an OID that each database
//! gives out by itself: arrays of users' types carry their element's, composite types their columns', `regclass` and its
//! kin are nothing else. Enums travel as their label, domains as what they are made of. Types of extensions promise
//! nothing from one version to the next. What is not known to be stable travels as text, which is always right.

use cleave_model::catalog::{Catalog, Column, Facts, Table, TypeKind};

/// Built-in types with the same binary form on 14 to 18, as far as [`is_stable_between`] has nothing against it: name,
/// OID, OID of the array (OIDs of built-in types never change, so arrays of them are stable too). Left out are `xml`
/// (its bytes depend on the encoding that a document names), `tsquery` (no version takes the empty one in binary), `regclass`
/// and its kin, and what no table holds.
pub const STABLE_TYPES: [(&str, u32, u32); 53] = [
    ("bool", 16, 1000),
    ("bytea", 17, 1001),
    ("char", 18, 1002),
    ("name", 19, 1003),
    ("int8", 20, 1016),
    ("int2", 21, 1005),
    ("int4", 23, 1007),
    ("text", 25, 1009),
    ("oid", 26, 1028),
    ("json", 114, 199),
    ("point", 600, 1017),
    ("lseg", 601, 1018),
    ("path", 602, 1019),
    ("box", 603, 1020),
    ("polygon", 604, 1027),
    ("line", 628, 629),
    ("cidr", 650, 651),
    ("float4", 700, 1021),
    ("float8", 701, 1022),
    ("circle", 718, 719),
    ("macaddr8", 774, 775),
    ("money", 790, 791),
    ("macaddr", 829, 1040),
    ("inet", 869, 1041),
    ("bpchar", 1042, 1014),
    ("varchar", 1043, 1015),
    ("date", 1082, 1182),
    ("time", 1083, 1183),
    ("timestamp", 1114, 1115),
    ("timestamptz", 1184, 1185),
    ("interval", INTERVAL, INTERVAL_ARRAY),
    ("timetz", 1266, 1270),
    ("bit", 1560, 1561),
    ("varbit", 1562, 1563),
    ("numeric", 1700, 1231),
    ("uuid", 2950, 2951),
    ("pg_lsn", 3220, 3221),
    ("tsvector", 3614, 3643),
    ("jsonb", 3802, 3807),
    ("int4range", 3904, 3905),
    ("numrange", 3906, 3907),
    ("tsrange", 3908, 3909),
    ("tstzrange", 3910, 3911),
    ("daterange", 3912, 3913),
    ("int8range", 3926, 3927),
    ("jsonpath", 4072, 4073),
    ("int4multirange", 4451, 6150),
    ("nummultirange", 4532, 6151),
    ("tsmultirange", 4533, 6152),
    ("tstzmultirange", 4534, 6153),
    ("datemultirange", 4535, 6155),
    ("int8multirange", 4536, 6157),
    ("xid8", 5069, 271),
];

const INTERVAL: u32 = 1186;
const INTERVAL_ARRAY: u32 = 1187;

/// First version with infinite intervals. They take the bytes that stood for the longest finite ones before: as text an
/// older server refuses what it does not know, in binary it would take it for something else.
const INFINITE_INTERVALS_SINCE: u32 = 17;

/// Domains' bases as `format_type` names them, without a modifier, and the type's OID.
const BASES: [(&str, u32); 22] = [
    ("boolean", 16),
    ("bytea", 17),
    ("bigint", 20),
    ("smallint", 21),
    ("integer", 23),
    ("text", 25),
    ("json", 114),
    ("real", 700),
    ("double precision", 701),
    ("inet", 869),
    ("character", 1042),
    ("character varying", 1043),
    ("date", 1082),
    ("time without time zone", 1083),
    ("timestamp without time zone", 1114),
    ("timestamp with time zone", 1184),
    ("interval", INTERVAL),
    ("time with time zone", 1266),
    ("numeric", 1700),
    ("uuid", 2950),
    ("jsonb", 3802),
    ("cidr", 650),
];

/// True if every column that travels has the same binary form on both sides.
pub(crate) fn is_binary(table: &Table, source: &Catalog, target: &Facts) -> bool {
    let versions = (source.facts.major(), target.major());
    table.columns.iter().filter(|column| column.is_written()).all(|column| match column.user_type {
        None => is_stable_between(versions, column.type_oid.0),
        Some(_) => is_stable_user_type(column, source, versions),
    })
}

fn is_stable_between((source, target): (u32, u32), oid: u32) -> bool {
    let known = STABLE_TYPES.iter().any(|(_, scalar, array)| oid == *scalar || oid == *array);
    let meaning = |version: u32| version >= INFINITE_INTERVALS_SINCE;
    known && (!matches!(oid, INTERVAL | INTERVAL_ARRAY) || meaning(source) == meaning(target))
}

/// An array of a user's type has the type as `user_type`, but an OID of its own.
fn is_stable_user_type(column: &Column, source: &Catalog, versions: (u32, u32)) -> bool {
    let Some(user_type) = source.type_by_oid(column.type_oid) else { return false };
    match &user_type.kind {
        TypeKind::Enum(_) => true,
        TypeKind::Domain { base, .. } => {
            let name = base.split_once('(').map_or(base.clone(), |(before, after)| {
                let behind = after.split_once(')').map_or("", |(_, behind)| behind);
                format!("{before}{behind}")
            });
            let base = BASES.iter().find(|(known, _)| *known == name);
            base.is_some_and(|(_, oid)| is_stable_between(versions, *oid))
        }
        TypeKind::Composite(_) | TypeKind::Range(_) | TypeKind::Other(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::sample::{Sample, table};
    use cleave_model::Oid;
    use cleave_model::catalog::{Generated, UserType};

    /// A table with a column of a user's type, or of an array of it.
    fn check_user_type(kind: TypeKind, is_array: bool, expected: bool) {
        let mut sample = Sample::with([table("film")]);
        let own = UserType {
            oid: Oid(16_400),
            name: cleave_model::QualifiedName::new("public", "own"),
            kind,
            owner: "postgres".into(),
            grants: vec![],
            comment: None,
        };
        let column = &mut sample.table_mut("film").columns[1];
        (column.user_type, column.type_oid) = (Some(own.oid), if is_array { Oid(16_399) } else { own.oid });
        let what = format!("{own:?} {is_array}");
        sample.source.types.push(own);
        let table = &sample.source.tables[0];
        assert_eq!(is_binary(table, &sample.source, &sample.target.facts), expected, "{what}");
    }

    fn domain(base: &str) -> TypeKind {
        TypeKind::Domain {
            base: base.into(),
            not_null: false,
            default: None,
            collation: None,
            checks: vec![],
        }
    }

    #[test]
    fn enums_and_domains_over_stable_types_travel_in_binary() {
        check_user_type(TypeKind::Enum(vec!["a".into()]), false, true);
        for base in ["integer", "numeric(10,2)", "character varying(5)", "timestamp(3) with time zone"] {
            check_user_type(domain(base), false, true);
        }
    }

    #[test]
    fn what_carries_oids_of_its_own_database_travels_as_text() {
        check_user_type(TypeKind::Enum(vec!["a".into()]), true, false);
        check_user_type(domain("integer"), true, false);
        check_user_type(TypeKind::Composite(vec![("a".into(), "integer".into(), None)]), false, false);
        check_user_type(TypeKind::Range("subtype = integer".into()), false, false);
        check_user_type(TypeKind::Other("base type".into()), false, false);
        // Over another domain, an array, and something that changes its meaning between 14 and 18.
        for base in ["public.other", "integer[]", "regclass", "interval"] {
            check_user_type(domain(base), false, false);
        }
    }

    #[test]
    fn a_generated_column_does_not_travel() {
        let mut sample = Sample::with([table("film")]);
        let column = &mut sample.table_mut("film").columns[1];
        (column.type_oid, column.generated) = (Oid(142), Some(Generated::Stored("'<a/>'".into())));
        assert!(is_binary(&sample.source.tables[0], &sample.source, &sample.target.facts));
    }

    fn check(versions: (u32, u32), oid: u32, expected: bool) {
        assert_eq!(is_stable_between(versions, oid), expected, "{oid} {versions:?}");
    }

    #[test]
    fn built_in_types_and_their_arrays_travel_in_binary() {
        for (_, scalar, array) in STABLE_TYPES {
            check((15, 15), scalar, true);
            check((15, 15), array, true);
        }
    }

    #[test]
    fn types_that_are_oids_and_unknown_ones_travel_as_text() {
        // regproc, regclass and its array, xml, tsquery, record, one of a user or an extension.
        for oid in [24, 2205, 2210, 142, 3615, 2249, 16_400] {
            check((15, 15), oid, false);
        }
    }

    #[test]
    fn intervals_travel_as_text_to_where_their_bytes_mean_something_else() {
        for (versions, stable) in [((14, 16), true), ((17, 18), true), ((16, 17), false), ((18, 14), false)] {
            check(versions, 1186, stable);
            check(versions, 1187, stable);
        }
    }
}
