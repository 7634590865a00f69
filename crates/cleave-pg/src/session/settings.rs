//! What is pinned on every session: how values read as text, how names resolve, and no time limits but our own.

/// Settings that change how a value reads as text, in the order that both kinds of session set them.
const VALUES: [(&str, &str); 7] = [
    ("datestyle", "ISO"),
    ("intervalstyle", "postgres"),
    ("timezone", "UTC"),
    ("extra_float_digits", "3"),
    ("bytea_output", "hex"),
    ("lc_monetary", "C"),
    // With an empty path every name in a value (regclass, regproc) and in SQL of ours is qualified.
    ("search_path", ""),
];

/// Limits that an administrator may have set for the role or database and that would cut off long work.
const LIMITS: [&str; 4] =
    ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout"];

/// First version with `transaction_timeout`.
const TRANSACTION_TIMEOUT_SINCE: u32 = 170_000;

/// One batch of `set` for a SQL session.
pub(super) fn statements(server_version_num: u32) -> String {
    let mut sql = String::new();
    for name in LIMITS {
        sql.push_str(&format!("set {name} = 0;"));
    }
    sql.push_str("set client_encoding = 'UTF8'; set standard_conforming_strings = on;");
    for (name, value) in VALUES {
        sql.push_str(&format!("set {name} = '{value}';"));
    }
    if server_version_num >= TRANSACTION_TIMEOUT_SINCE {
        sql.push_str("set transaction_timeout = 0;");
    }
    sql
}

/// The same as startup `options` of a replication connection, after those of the connection string, so that ours win.
pub(crate) fn startup_options(given: Option<&str>) -> String {
    let mut options = given.map(|given| format!("{given} ")).unwrap_or_default();
    let values = VALUES.into_iter().chain(LIMITS.into_iter().map(|name| (name, "0")));
    for (name, value) in values {
        options.push_str(&format!("-c {name}={value} "));
    }
    options.truncate(options.trim_end().len());
    options
}

/// `17.10 (Debian 17.10-1)` is 170010.
pub(super) fn version_num(server_version: &str) -> Option<u32> {
    let mut parts = server_version.split(|c: char| !c.is_ascii_digit());
    let major: u32 = parts.next()?.parse().ok()?;
    let minor: u32 = parts.next().and_then(|minor| minor.parse().ok()).unwrap_or_default();
    Some(major * 10_000 + minor)
}

#[cfg(test)]
mod tests {
    use super::version_num;

    #[test]
    fn a_servers_version_is_read_with_and_without_a_vendors_addition() {
        assert_eq!(version_num("17.10 (Debian 17.10-1)"), Some(170_010));
        assert_eq!(version_num("18beta1"), Some(180_000));
        assert_eq!(version_num("14.23"), Some(140_023));
        assert_eq!(version_num(""), None);
    }
}
