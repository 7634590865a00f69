//! What a connection string says about TLS (manual 34.19, "SSL Support").

use crate::PgError;
use std::path::PathBuf;

/// `sslmode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SslMode {
    /// Never.
    Disable,
    /// If the server offers it; `allow` means the same to us.
    Prefer,
    /// Always, whoever the server is; with root certificates given, as `VerifyCa`.
    Require,
    /// Always, and the certificate must come from a trusted authority.
    VerifyCa,
    /// As `VerifyCa`, and the certificate must carry the host's name.
    VerifyFull,
}

/// `sslrootcert`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootCertificates {
    /// Not given: `~/.postgresql/root.crt`, as libpq has it.
    Default,
    /// `system`: the operating system's trust store.
    System,
    /// A PEM file.
    File(PathBuf),
}

/// All TLS options of a connection string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// `sslmode`.
    pub mode: SslMode,
    /// `sslrootcert`.
    pub roots: RootCertificates,
    /// `sslcert` and `sslkey`, PEM files: a certificate to show to the server.
    pub client: Option<(PathBuf, PathBuf)>,
}

impl TlsSettings {
    pub(super) fn from_options(options: &[(&'static str, String)]) -> Result<Self, PgError> {
        let invalid = |reason: String| Err(PgError::InvalidEndpoint { reason });
        let (mut mode, mut roots) = (None, RootCertificates::Default);
        let (mut certificate, mut key) = (None, None);
        for (name, value) in options {
            match (*name, value.as_str()) {
                ("sslmode", "disable") => mode = Some(SslMode::Disable),
                ("sslmode", "allow" | "prefer") => mode = Some(SslMode::Prefer),
                ("sslmode", "require") | ("ssl", "true") => mode = Some(SslMode::Require),
                ("sslmode", "verify-ca") => mode = Some(SslMode::VerifyCa),
                ("sslmode", "verify-full") => mode = Some(SslMode::VerifyFull),
                ("sslrootcert", "system") => roots = RootCertificates::System,
                ("sslrootcert", file) => roots = RootCertificates::File(file.into()),
                ("sslcert", file) => certificate = Some(PathBuf::from(file)),
                ("sslkey", file) => key = Some(PathBuf::from(file)),
                ("gssencmode", "disable" | "prefer") => {}
                ("sslmode", _) => {
                    let known = "disable, allow, prefer, require, verify-ca and verify-full";
                    return invalid(format!("sslmode is none of {known}"));
                }
                (other, _) => {
                    return invalid(format!("the option {other} has a value that is not supported"));
                }
            }
        }
        let client = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return invalid("sslcert and sslkey go together".into()),
        };
        let system = roots == RootCertificates::System;
        let mode = match mode {
            Some(mode) if system && mode != SslMode::VerifyFull => {
                // Anybody can have a certificate from a public authority, so only the name means something.
                return invalid("sslrootcert=system needs sslmode=verify-full".into());
            }
            Some(mode) => mode,
            None if system => SslMode::VerifyFull,
            None => SslMode::Prefer,
        };
        Ok(Self { mode, roots, client })
    }
}
