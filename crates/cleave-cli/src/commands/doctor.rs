//! `cleave doctor`: is everything ready for a move.

/// Check servers, rights and tables, and show how to mend what is not ready
///
/// Looks at settings, free slots, senders, origins and connections, rights on both sides, keys and replica identity of
/// the chosen tables, long and prepared transactions, versions and standbys, and tries a real replication connection.
/// Each finding says what was seen, why it matters, and the SQL or setting that fixes it. Changes nothing. Exits with 4
/// if a move could not be begun.
#[derive(Debug, clap::Args)]
pub struct DoctorArgs {
    /// Look at these services only
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
}
