//! Adds what was being done to an error of the driver.

use super::{PgError, ServerError};
use std::{error::Error, io};

/// `client.query(..).await.during("reading the slots")?`: without it an error of the driver does not become ours, so
/// that none arrives without saying what was being done.
pub trait During<T> {
    /// Says what was being done, as it stands after "while": `creating the slot cleave_films_forward_1`.
    ///
    /// # Errors
    /// The same failure as a [`PgError`].
    fn during(self, what: impl AsRef<str>) -> Result<T, PgError>;
}

impl<T> During<T> for Result<T, tokio_postgres::Error> {
    fn during(self, what: impl AsRef<str>) -> Result<T, PgError> {
        self.map_err(|error| PgError::from_driver(what.as_ref(), &error))
    }
}

impl PgError {
    /// Sorts an error of the driver. The driver's own value is not kept as source: its `Debug` prints DETAIL.
    pub fn from_driver(what: &str, error: &tokio_postgres::Error) -> Self {
        if let Some(report) = error.as_db_error() {
            return Self::from_server(what, ServerError::from_db_error(report));
        }
        if error.is_closed() {
            return Self::lost(what, "the connection is closed");
        }
        match error.source() {
            Some(source) if source.is::<io::Error>() => Self::lost(what, source.to_string()),
            Some(source) => Self::protocol(what, format!("{error}: {source}")),
            None => Self::protocol(what, error.to_string()),
        }
    }
}
