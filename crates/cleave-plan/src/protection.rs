//! Whether what is about to become the home is as well protected as what has been it: archive, standbys, durability.

use cleave_model::format_bytes;

/// How far behind the nearest standby may be at a cutover: what a failover in the first minutes could lose, or wait for.
const STANDBY_LAG_BYTES_MAX: u64 = 64_000_000;

/// What keeps a server's commits when the server is lost, as its settings and statistics show it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Protection {
    /// Its log is archived, or received by `pg_receivewal`.
    pub archives: bool,
    /// The file that the archiver failed at last, if it has archived nothing since.
    pub archiving_fails_at: Option<String>,
    /// Physical standbys that stream.
    pub standbys: u32,
    /// How far the nearest of them is behind; `None` where this role may not see it.
    pub standby_lag_bytes: Option<u64>,
    /// Commits wait for a standby.
    pub synchronous: bool,
    /// Neither `fsync` nor `full_page_writes` is off.
    pub survives_crashes: bool,
}

/// What the new home lacks that the old one has; each the end of a sentence about the new home.
pub fn protection_lacks(old: &Protection, new: &Protection) -> Vec<String> {
    let mut lacks = Vec::new();
    if old.survives_crashes && !new.survives_crashes {
        lacks.push("runs with fsync or full_page_writes off, and can lose everything in a crash".to_owned());
    }
    if let Some(file) = &new.archiving_fails_at {
        lacks.push(format!("fails to archive its log since {file}"));
    } else if old.archives && !new.archives {
        lacks.push(
            "archives no log, so it cannot be restored to a point in time as the old home can".to_owned(),
        );
    }
    if old.standbys > 0 && new.standbys == 0 {
        let old = if old.standbys == 1 { "1".to_owned() } else { old.standbys.to_string() };
        lacks.push(format!("has no standby, and the old home has {old}"));
    }
    if old.synchronous && !new.synchronous {
        lacks.push(
            "acknowledges commits that no standby has, as synchronous_standby_names is empty".to_owned(),
        );
    }
    if new.standbys > 0
        && let Some(lag) = new.standby_lag_bytes.filter(|lag| *lag > STANDBY_LAG_BYTES_MAX)
    {
        let (lag, most) = (format_bytes(lag), format_bytes(STANDBY_LAG_BYTES_MAX));
        lacks.push(format!("has its nearest standby {lag} behind, more than {most}"));
    }
    lacks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn well() -> Protection {
        Protection {
            archives: true,
            archiving_fails_at: None,
            standbys: 2,
            standby_lag_bytes: Some(1 << 20),
            synchronous: true,
            survives_crashes: true,
        }
    }

    fn check(change: impl FnOnce(&mut Protection), expected: &[&str]) {
        let mut new = well();
        change(&mut new);
        assert_eq!(protection_lacks(&well(), &new), expected);
        // A home that never had it does not ask for it.
        let bare = Protection { survives_crashes: true, ..Protection::default() };
        let asked = protection_lacks(&bare, &new);
        assert!(asked.iter().all(|lack| expected.contains(&lack.as_str())), "{asked:?}");
    }

    #[test]
    fn a_new_home_lacks_what_the_old_one_has_and_an_archive_or_standby_that_fails() {
        check(|_| {}, &[]);
        check(|new| new.standbys = 1, &[]);
        check(|new| new.standby_lag_bytes = None, &[]);
        check(
            |new| new.archives = false,
            &["archives no log, so it cannot be restored to a point in time as the old home can"],
        );
        check(
            |new| new.archiving_fails_at = Some("00000001000000000000000A".to_owned()),
            &["fails to archive its log since 00000001000000000000000A"],
        );
        check(
            |new| (new.standbys, new.standby_lag_bytes) = (0, None),
            &["has no standby, and the old home has 2"],
        );
        check(
            |new| new.synchronous = false,
            &["acknowledges commits that no standby has, as synchronous_standby_names is empty"],
        );
        check(
            |new| new.survives_crashes = false,
            &["runs with fsync or full_page_writes off, and can lose everything in a crash"],
        );
        check(
            |new| new.standby_lag_bytes = Some(65_000_000),
            &["has its nearest standby 65 MB behind, more than 64 MB"],
        );
    }

    #[test]
    fn a_bare_home_is_followed_by_a_bare_one() {
        let bare = Protection { survives_crashes: true, ..Protection::default() };
        assert!(protection_lacks(&bare, &bare).is_empty());
        assert!(protection_lacks(&bare, &well()).is_empty());
    }
}
