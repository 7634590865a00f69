//! Which types have one binary form wherever they are sent.

/// By `pg_type.oid`, which never changes for a built-in type: bool, bytea, char, name, int8, int2, int4, text, oid,
/// json, cidr, float4, float8, inet, bpchar, varchar, date, time, timestamp, timestamptz, interval, timetz, bit,
/// varbit, numeric, uuid, jsonb; the arrays of bool, bytea, int2, int4, text, bpchar, varchar, int8, float4, float8,
/// timestamp, date, time, timestamptz, interval, numeric, uuid, jsonb; int4range, numrange, tsrange, tstzrange,
/// daterange, int8range.
const STABLE: [u32; 51] = [
    16, 17, 18, 19, 20, 21, 23, 25, 26, 114, 650, 700, 701, 869, 1042, 1043, 1082, 1083, 1114, 1184, 1186,
    1266, 1560, 1562, 1700, 2950, 3802, 1000, 1001, 1005, 1007, 1009, 1014, 1015, 1016, 1021, 1022, 1115,
    1182, 1183, 1185, 1187, 1231, 2951, 3807, 3904, 3906, 3908, 3910, 3912, 3926,
];

/// True if a built-in type's binary form is the same on 14 to 18 and holds nothing that belongs to one database. The
/// form of a `regclass` is an OID, that of an array of an enum has its type's OID in it: such types are not listed.
pub fn has_stable_binary_form(type_oid: u32) -> bool {
    STABLE.contains(&type_oid)
}
