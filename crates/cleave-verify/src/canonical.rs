//! How a column's value enters a row's hash, so that equal values do on both sides, whatever version, encoding and
//! locale, and no others do. docs/design/verify.md says for each type why.

use crate::relation::Column;

/// The type OIDs that `pg_type.dat` fixes for ever.
pub(crate) mod oid {
    pub(crate) const BOOL: u32 = 16;
    pub(crate) const BYTEA: u32 = 17;
    pub(crate) const INT8: u32 = 20;
    pub(crate) const INT2: u32 = 21;
    pub(crate) const INT4: u32 = 23;
    pub(crate) const TEXT: u32 = 25;
    pub(crate) const OID: u32 = 26;
    pub(crate) const XML: u32 = 142;
    pub(crate) const CIDR: u32 = 650;
    pub(crate) const FLOAT4: u32 = 700;
    pub(crate) const FLOAT8: u32 = 701;
    pub(crate) const MACADDR8: u32 = 774;
    pub(crate) const MONEY: u32 = 790;
    pub(crate) const MACADDR: u32 = 829;
    pub(crate) const INET: u32 = 869;
    pub(crate) const BPCHAR: u32 = 1042;
    pub(crate) const VARCHAR: u32 = 1043;
    pub(crate) const DATE: u32 = 1082;
    pub(crate) const TIME: u32 = 1083;
    pub(crate) const TIMESTAMP: u32 = 1114;
    pub(crate) const TIMESTAMPTZ: u32 = 1184;
    pub(crate) const INTERVAL: u32 = 1186;
    pub(crate) const TIMETZ: u32 = 1266;
    pub(crate) const BIT: u32 = 1560;
    pub(crate) const VARBIT: u32 = 1562;
    pub(crate) const NUMERIC: u32 = 1700;
    pub(crate) const UUID: u32 = 2950;
    pub(crate) const PG_LSN: u32 = 3220;
    pub(crate) const JSONB: u32 = 3802;
}

/// What of a value is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Canonical {
    /// The value by its type's own hash, which sees all of it.
    Value,
    /// An integer of 64 bits by its own hash, which folds it into 32, and its upper half.
    Halves,
    /// A text by its bytes, whatever its collation calls equal.
    Characters,
    /// The bytes that this function sends to a client: where the type's own hash leaves part of the value out.
    Sent(&'static str),
    /// Its text.
    Text,
}

/// How the text of a value comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Textual {
    /// By a cast.
    Cast,
    /// Adding zero makes 0 of -0, which is the same value.
    AddZero,
    /// The cast of `character` strips blanks; the output function does not. That of `xml` keeps the declaration of an
    /// encoding, which the output function leaves out, and with it every way in which a value leaves its server.
    Output,
}

impl Canonical {
    /// For a column that the two sides have. Only a type that both have, and that PostgreSQL itself defines, is more
    /// than its text: other types' OIDs and hashes are each server's own.
    pub(crate) fn of(home: &Column, follower: &Column) -> Self {
        if home.type_oid != follower.type_oid {
            return Self::Text;
        }
        match home.type_oid {
            // Blanks at the end are left out by this hash; values of one length are all filled up to it.
            oid::BPCHAR if home.length.is_some() && home.length == follower.length => Self::Characters,
            known => Self::of_type(known),
        }
    }

    fn of_type(type_oid: u32) -> Self {
        match type_oid {
            oid::BOOL | oid::INT2 | oid::INT4 | oid::OID | oid::DATE | oid::UUID | oid::BYTEA => Self::Value,
            oid::INET | oid::CIDR | oid::MACADDR | oid::MACADDR8 => Self::Value,
            // -0 and 0 have one hash, and so have all ways to write NaN.
            oid::FLOAT4 | oid::FLOAT8 => Self::Value,
            oid::TEXT | oid::VARCHAR => Self::Characters,
            // Its hash folds 64 bits into 32: 1 and 4294967296 have the same, under every seed. With the upper half
            // beside it nothing is left out, and no bytes have to be made.
            oid::INT8 => Self::Halves,
            // The same, but nothing gives their halves.
            oid::TIME => Self::Sent("time_send"),
            oid::TIMESTAMP => Self::Sent("timestamp_send"),
            oid::TIMESTAMPTZ => Self::Sent("timestamptz_send"),
            oid::TIMETZ => Self::Sent("timetz_send"),
            oid::MONEY => Self::Sent("cash_send"),
            oid::PG_LSN => Self::Sent("pg_lsn_send"),
            // Its hash calls 1 month and 30 days the same.
            oid::INTERVAL => Self::Sent("interval_send"),
            // Its hash leaves out sign and scale, and does not tell NaN from infinity.
            oid::NUMERIC => Self::Sent("numeric_send"),
            // Its hash is made of those of its numbers.
            oid::JSONB => Self::Sent("jsonb_send"),
            // They have none.
            oid::BIT => Self::Sent("bit_send"),
            oid::VARBIT => Self::Sent("varbit_send"),
            // It has blanks at the end that count.
            oid::BPCHAR => Self::Sent("bpcharsend"),
            _ => Self::Text,
        }
    }
}

impl Textual {
    pub(crate) fn of(type_oid: u32) -> Self {
        match type_oid {
            oid::FLOAT4 | oid::FLOAT8 => Self::AddZero,
            oid::BPCHAR | oid::XML => Self::Output,
            _ => Self::Cast,
        }
    }
}
