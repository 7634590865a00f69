//! Connection URLs; manual, section 34.1.1.2, "Connection URIs".

use std::path::Path;

/// The URL of a database on 127.0.0.1.
pub(super) fn tcp(role: &str, password: Option<&str>, port: u16, database: &str) -> String {
    let password = password.map(|password| format!(":{}", encode(password))).unwrap_or_default();
    format!("postgres://{}{password}@127.0.0.1:{port}/{}", encode(role), encode(database))
}

/// The URL of a database behind a Unix-domain socket.
pub(super) fn socket(role: &str, folder: &Path, port: u16, database: &str) -> String {
    let folder = encode(&folder.display().to_string());
    format!("postgres://{}@{folder}:{port}/{}", encode(role), encode(database))
}

/// The URL as messages may show it.
pub(crate) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return "a database (its URL does not start with postgres://)".to_owned();
    };
    let rest = rest.split('?').next().unwrap_or_default();
    match rest.rsplit_once('@') {
        None => format!("{scheme}://{rest}"),
        Some((user, place)) => {
            let role = user.split(':').next().unwrap_or_default();
            format!("{scheme}://{role}@{place}")
        }
    }
}

/// Percent-encodes all that has a meaning of its own in a URL.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded += &format!("%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_special_characters_survive() {
        let url = tcp("a role", Some("p@ss:w/rd"), 5432, "films & more");
        assert_eq!(url, "postgres://a%20role:p%40ss%3Aw%2Frd@127.0.0.1:5432/films%20%26%20more");
        let config: tokio_postgres::Config = url.parse().unwrap();
        assert_eq!(config.get_user(), Some("a role"));
        assert_eq!(config.get_password(), Some(b"p@ss:w/rd".as_slice()));
        assert_eq!(config.get_dbname(), Some("films & more"));
    }

    #[test]
    fn a_shown_url_has_no_password() {
        let shown = without_password("postgres://u:secret@127.0.0.1:1/db?password=other");
        assert_eq!(shown, "postgres://u@127.0.0.1:1/db");
    }
}
