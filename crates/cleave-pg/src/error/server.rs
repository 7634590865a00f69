//! A report of the server, without what may hold row values.

use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::ErrorFields;
use std::fmt;

/// `ErrorResponse` (manual 55.8) without DETAIL, CONTEXT and internal queries, which quote rows and statements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerError {
    /// `ERROR`, `FATAL`, `PANIC`, never localized.
    pub severity: String,
    /// Five characters (manual, appendix A).
    pub sqlstate: String,
    /// The primary message; in data exceptions (class 22) with quoted values replaced by `"..."`.
    pub message: String,
    /// The server's advice.
    pub hint: Option<String>,
    /// Schema of the object concerned.
    pub schema: Option<String>,
    /// Table concerned.
    pub table: Option<String>,
    /// Column concerned.
    pub column: Option<String>,
    /// Constraint or index concerned.
    pub constraint: Option<String>,
}

impl ServerError {
    /// Reads the fields of an `ErrorResponse`; what cannot be read is left empty, as the error itself matters more.
    pub(crate) fn from_fields(mut fields: ErrorFields<'_>) -> Self {
        let (mut error, mut local_severity) = (Self::default(), String::new());
        while let Ok(Some(field)) = fields.next() {
            let value = String::from_utf8_lossy(field.value_bytes()).into_owned();
            match field.type_() {
                b'S' => local_severity = value,
                b'V' => error.severity = value,
                b'C' => error.sqlstate = value,
                b'M' => error.message = value,
                b'H' => error.hint = Some(value),
                b's' => error.schema = Some(value),
                b't' => error.table = Some(value),
                b'c' => error.column = Some(value),
                b'n' => error.constraint = Some(value),
                _ => {}
            }
        }
        if error.severity.is_empty() {
            error.severity = local_severity;
        }
        error.without_values()
    }

    pub(crate) fn from_db_error(error: &tokio_postgres::error::DbError) -> Self {
        let text = |value: Option<&str>| value.map(str::to_owned);
        Self {
            severity: error.severity().to_owned(),
            sqlstate: error.code().code().to_owned(),
            message: error.message().to_owned(),
            hint: text(error.hint()),
            schema: text(error.schema()),
            table: text(error.table()),
            column: text(error.column()),
            constraint: text(error.constraint()),
        }
        .without_values()
    }

    /// True if the server closes the connection after it: FATAL, PANIC.
    pub fn ends_session(&self) -> bool {
        matches!(self.severity.as_str(), "FATAL" | "PANIC")
    }

    /// Data exceptions name the value in quotes: `invalid input syntax for type integer: "..."`.
    fn without_values(mut self) -> Self {
        if self.sqlstate.starts_with("22")
            && let (Some(first), Some(last)) = (self.message.find('"'), self.message.rfind('"'))
            && first < last
        {
            self.message.replace_range(first..=last, "\"...\"");
        }
        self
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.message, self.sqlstate)
    }
}

impl std::error::Error for ServerError {}

#[cfg(test)]
mod tests {
    use super::ServerError;

    fn message(sqlstate: &str, message: &str) -> String {
        ServerError { sqlstate: sqlstate.into(), message: message.into(), ..ServerError::default() }
            .without_values()
            .message
    }

    #[test]
    fn a_data_exception_does_not_repeat_the_value() {
        let text = r#"invalid input syntax for type json: "{"card": "4111"}""#;
        assert_eq!(message("22P02", text), r#"invalid input syntax for type json: "...""#);
        assert_eq!(
            message("42P01", r#"relation "film" does not exist"#),
            r#"relation "film" does not exist"#
        );
    }
}
