//! Numbers for people: every one carries its unit.

/// `1.4 GB`, `31 MB`, `12 bytes` (powers of 1,000).
pub fn format_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1000 {
        return format!("{bytes} bytes");
    }
    let mut value = bytes as f64;
    let mut unit = "";
    for next in UNITS {
        if value < 999.95 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    if value < 9.95 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

/// `12,345,678`.
pub fn format_count(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `340 ms`, `12.3 s`, `4 min 5 s`, `3 h 20 min`.
pub fn format_duration_ms(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0 => format!("{ms} ms"),
        1..60 => format!("{:.1} s", ms as f64 / 1000.0),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_carry_their_unit() {
        assert_eq!(format_bytes(12), "12 bytes");
        assert_eq!(format_bytes(1_400_000_000), "1.4 GB");
        assert_eq!(format_bytes(999_990), "1.0 MB");
        assert_eq!(format_bytes(31_000_000), "31 MB");
        assert_eq!(format_count(12_345_678), "12,345,678");
        assert_eq!(format_duration_ms(340), "340 ms");
        assert_eq!(format_duration_ms(12_340), "12.3 s");
        assert_eq!(format_duration_ms(245_000), "4 min 5 s");
    }
}
