//! `cleave verify`: are both sides the same.

/// Compare both sides row by row while both are in use
///
/// Rows that look different are looked at again by key before they are called different, so that changes on their way
/// raise no alarm. Exits with 5 if the sides differ. A clean and fresh result is a gate of `cleave cutover`.
#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// The service
    #[arg(value_name = "SERVICE")]
    pub service: String,
}
