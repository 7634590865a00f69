//! Values whose order is the same in every database and here: what a table can be divided by.

use crate::Oid;

/// A type whose values two servers, whatever their version, collation or platform, and this program put in the same
/// order. Two of its values are equal only if their bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RangeType {
    /// `smallint`.
    Int2,
    /// `integer`.
    Int4,
    /// `bigint`.
    Int8,
    /// `uuid`.
    Uuid,
    /// `bytea`.
    Bytea,
    /// `date`.
    Date,
    /// `timestamp without time zone`.
    Timestamp,
    /// `timestamp with time zone`.
    TimestampTz,
}

/// A value, in that order; to be compared with values of the same type only.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum RangeValue {
    /// The number that stands for it in its binary form: days or microseconds since 2000 of dates and times.
    Number(i64),
    /// Compared byte by byte.
    Bytes(Vec<u8>),
}

/// Shows no value: it is one of a row.
impl std::fmt::Debug for RangeValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Number(_) => "Number",
            Self::Bytes(_) => "Bytes",
        })
    }
}

/// Types, their OIDs (`pg_type.dat`, the same in every version), and names.
const TYPES: [(RangeType, u32, &str); 8] = [
    (RangeType::Int2, 21, "int2"),
    (RangeType::Int4, 23, "int4"),
    (RangeType::Int8, 20, "int8"),
    (RangeType::Uuid, 2950, "uuid"),
    (RangeType::Bytea, 17, "bytea"),
    (RangeType::Date, 1082, "date"),
    (RangeType::Timestamp, 1114, "timestamp"),
    (RangeType::TimestampTz, 1184, "timestamptz"),
];

impl RangeType {
    /// By the type's OID; none for every other type, domains over these included.
    pub fn from_oid(oid: Oid) -> Option<Self> {
        TYPES.iter().find(|(_, known, _)| *known == oid.0).map(|(kind, _, _)| *kind)
    }

    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        TYPES.iter().find(|(kind, _, _)| *kind == self).map_or("", |(_, _, name)| *name)
    }

    /// What [`as_str`](Self::as_str) gave.
    pub fn parse(name: &str) -> Option<Self> {
        TYPES.iter().find(|(_, _, known)| *known == name).map(|(kind, _, _)| *kind)
    }

    /// A value in the type's binary form; none if it cannot be one.
    pub fn from_binary(self, bytes: &[u8]) -> Option<RangeValue> {
        let number = match self {
            Self::Int2 => i64::from(i16::from_be_bytes(bytes.try_into().ok()?)),
            Self::Int4 => i64::from(i32::from_be_bytes(bytes.try_into().ok()?)),
            Self::Date => date(i32::from_be_bytes(bytes.try_into().ok()?)),
            Self::Int8 | Self::Timestamp | Self::TimestampTz => i64::from_be_bytes(bytes.try_into().ok()?),
            Self::Uuid if bytes.len() != UUID_BYTES => return None,
            Self::Uuid | Self::Bytea => return Some(RangeValue::Bytes(bytes.to_vec())),
        };
        Some(RangeValue::Number(number))
    }

    /// A value as a session with `DateStyle` ISO, `TimeZone` UTC and `bytea_output` hex prints it.
    pub fn from_text(self, text: &str) -> Option<RangeValue> {
        let number = match self {
            Self::Int2 => i64::from(text.parse::<i16>().ok()?),
            Self::Int4 => i64::from(text.parse::<i32>().ok()?),
            Self::Int8 => text.parse().ok()?,
            Self::Date => match text {
                "infinity" => i64::MAX,
                "-infinity" => i64::MIN,
                day => days(day)?,
            },
            Self::Timestamp | Self::TimestampTz => match text {
                "infinity" => i64::MAX,
                "-infinity" => i64::MIN,
                moment => microseconds(moment)?,
            },
            Self::Uuid => {
                let bytes = hex(&text.replace('-', ""))?;
                return (bytes.len() == UUID_BYTES).then_some(RangeValue::Bytes(bytes));
            }
            Self::Bytea => return hex(text.strip_prefix("\\x")?).map(RangeValue::Bytes),
        };
        Some(RangeValue::Number(number))
    }
}

const UUID_BYTES: usize = 16;

/// The ends of a date's numbers stand for the infinities.
fn date(days: i32) -> i64 {
    match days {
        i32::MAX => i64::MAX,
        i32::MIN => i64::MIN,
        days => i64::from(days),
    }
}

fn hex(digits: &str) -> Option<Vec<u8>> {
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let byte = |pair: &[u8]| match pair {
        [high, low] => u8::try_from(digit(high)? * 16 + digit(low)?).ok(),
        _ => None,
    };
    digits.as_bytes().chunks(2).map(byte).collect()
}

/// `2026-11-27`, `0044-03-15 BC`: days since 2000-01-01.
fn days(text: &str) -> Option<i64> {
    let (text, before) = match text.strip_suffix(" BC") {
        Some(text) => (text, true),
        None => (text, false),
    };
    let mut parts = text.split('-').map(|part| part.parse::<u32>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // The year before 1 is 1 BC.
    let year = if before { 1 - i64::from(year) } else { i64::from(year) };
    // Years begin in March, so that the leap day is the last of one.
    let (year, month) =
        if month > 2 { (year, i64::from(month) - 3) } else { (year - 1, i64::from(month) + 9) };
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let in_year = (153 * month + 2) / 5 + i64::from(day) - 1;
    Some(365 * year + leaps + in_year - DAYS_TO_2000)
}

/// From the first of March of the year 0 to 2000-01-01.
const DAYS_TO_2000: i64 = 730_425;

/// `2026-11-27 15:48:43.5+00`, `0044-03-15 12:00:00 BC`: microseconds since 2000.
fn microseconds(text: &str) -> Option<i64> {
    let (text, before) = match text.strip_suffix(" BC") {
        Some(text) => (text, " BC"),
        None => (text, ""),
    };
    let (day, time) = text.split_once(' ')?;
    let time = time.strip_suffix("+00").unwrap_or(time);
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    if fraction.len() > 6 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction: i64 = format!("{fraction:0<6}").parse().ok()?;
    let mut parts = time.split(':').map(|part| part.parse::<u32>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() || hours > 24 || minutes > 59 || seconds > 60 {
        return None;
    }
    let of_day = i64::from(hours * 3600 + minutes * 60 + seconds);
    (days(&format!("{day}{before}"))? * 86_400 + of_day).checked_mul(1_000_000)?.checked_add(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(kind: RangeType, text: &str) -> i64 {
        match kind.from_text(text) {
            Some(RangeValue::Number(number)) => number,
            other => panic!("{text}: {other:?}"),
        }
    }

    /// What PostgreSQL says of `date - '2000-01-01'` and of `extract(epoch from ...)`.
    #[test]
    fn dates_and_times_are_the_numbers_of_their_binary_form() {
        for (text, expected) in [
            ("2000-01-01", 0),
            ("2000-02-29", 59),
            ("2000-03-01", 60),
            ("1999-12-31", -1),
            ("1970-01-01", -10_957),
            ("2026-11-27", 9_827),
            ("0001-01-01", -730_119),
            ("0001-12-31 BC", -730_120),
            ("4713-01-01 BC", -2_451_507),
            ("5874897-12-31", 2_145_031_948),
        ] {
            assert_eq!(number(RangeType::Date, text), expected, "{text}");
        }
        for (text, expected) in [
            ("2000-01-01 00:00:00", 0),
            ("2000-01-01 00:00:00.000001", 1),
            ("1999-12-31 23:59:59.5", -500_000),
            ("2026-11-27 15:48:43.25+00", 849_109_723_250_000),
        ] {
            assert_eq!(number(RangeType::TimestampTz, text), expected, "{text}");
        }
        let noon = number(RangeType::Date, "0044-03-15 BC") * 86_400_000_000 + 43_200_000_000;
        assert_eq!(number(RangeType::Timestamp, "0044-03-15 12:00:00 BC"), noon);
    }

    #[test]
    fn text_and_binary_forms_are_the_same_value() {
        let date = |days: i32| RangeType::Date.from_binary(&days.to_be_bytes());
        assert_eq!(date(9_827), RangeType::Date.from_text("2026-11-27"));
        assert_eq!(date(i32::MAX), RangeType::Date.from_text("infinity"));
        assert_eq!(date(i32::MIN), RangeType::Date.from_text("-infinity"));
        let moment = RangeType::Timestamp.from_binary(&i64::MAX.to_be_bytes());
        assert_eq!(moment, RangeType::Timestamp.from_text("infinity"));
        assert_eq!(RangeType::Int2.from_binary(&(-7_i16).to_be_bytes()), RangeType::Int2.from_text("-7"));
        assert_eq!(RangeType::Int4.from_binary(&7_i32.to_be_bytes()), RangeType::Int4.from_text("7"));
        assert_eq!(RangeType::Int8.from_binary(&(1_i64 << 40).to_be_bytes()), {
            RangeType::Int8.from_text("1099511627776")
        });
        let uuid = "01890a5d-ac96-774b-bcce-b302099a8057";
        let bytes = hex(&uuid.replace('-', "")).unwrap();
        assert_eq!(RangeType::Uuid.from_binary(&bytes), RangeType::Uuid.from_text(uuid));
        assert_eq!(RangeType::Bytea.from_binary(&[0, 255]), RangeType::Bytea.from_text("\\x00ff"));
        assert_eq!(RangeType::Bytea.from_binary(&[]), RangeType::Bytea.from_text("\\x"));
    }

    #[test]
    fn order_is_that_of_the_server() {
        let order = |kind: RangeType, texts: &[&str]| {
            for pair in texts.windows(2) {
                assert!(kind.from_text(pair[0]) < kind.from_text(pair[1]), "{pair:?}");
            }
        };
        order(RangeType::Bytea, &["\\x", "\\x00", "\\x0000", "\\x01", "\\xff"]);
        order(
            RangeType::Uuid,
            &["00000000-0000-0000-0000-000000000001", "7fffffff-ffff-ffff-ffff-ffffffffffff", {
                "80000000-0000-0000-0000-000000000000"
            }],
        );
        order(RangeType::Date, &["-infinity", "0002-01-01 BC", "0001-12-31 BC", "0001-01-01", "infinity"]);
        order(RangeType::Int8, &["-9223372036854775808", "-1", "0", "9223372036854775807"]);
    }

    #[test]
    fn what_is_no_value_is_none() {
        for (kind, text) in [
            (RangeType::Int2, "32768"),
            (RangeType::Int4, ""),
            (RangeType::Uuid, "01890a5d"),
            (RangeType::Bytea, "00"),
            (RangeType::Bytea, "\\x0"),
            (RangeType::Date, "2026-13-01"),
            (RangeType::Timestamp, "2026-11-27"),
            (RangeType::TimestampTz, "2026-11-27 15:48:43+05:30"),
        ] {
            assert_eq!(kind.from_text(text), None, "{text}");
        }
        assert_eq!(RangeType::Int4.from_binary(&[1]), None);
        assert_eq!(RangeType::Uuid.from_binary(&[1; 15]), None);
        assert!(TYPES.iter().all(|(kind, oid, name)| {
            RangeType::parse(name) == Some(*kind) && RangeType::from_oid(Oid(*oid)) == Some(*kind)
        }));
    }
}
