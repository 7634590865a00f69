//! TLS as libpq understands `sslmode` and `sslrootcert` (manual 34.19).

use super::{Stream, binding};
use crate::{RootCertificates, SslMode, TlsSettings};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor, verify_server_name,
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    server::ParsedCertificate,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::{net::TcpStream, task::spawn_blocking};
use tokio_rustls::TlsConnector;

/// Encrypts a stream, or says why not.
pub(super) async fn handshake(tcp: TcpStream, name: &str, settings: &TlsSettings) -> Result<Stream, String> {
    let server_name = ServerName::try_from(name.to_owned())
        .map_err(|_| "the host's name cannot stand in a certificate".to_owned())?;
    let settings = settings.clone();
    // Reading certificates is file access.
    let config =
        spawn_blocking(move || client_config(&settings)).await.map_err(|error| error.to_string())??;
    let stream = TlsConnector::from(Arc::new(config))
        .connect(server_name, tcp)
        .await
        .map_err(|error| explain(&error, name))?;
    let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let channel_binding =
        certificates.first().and_then(|certificate| binding::tls_server_end_point(certificate));
    Ok(Stream::tls(stream, channel_binding))
}

fn client_config(settings: &TlsSettings) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let trust = match (settings.mode, &settings.roots) {
        // A root certificate that was given is used (manual 34.19.3, the note on `require`).
        (SslMode::Disable | SslMode::Prefer | SslMode::Require, RootCertificates::Default) => None,
        (SslMode::Disable | SslMode::Prefer, _) => None,
        (_, roots) => Some(Trust::load(roots)?),
    };
    let check_name = settings.mode == SslMode::VerifyFull;
    let verifier = Arc::new(Verifier { trust, check_name, provider: Arc::clone(&provider) });
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match &settings.client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let key = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, &error))?;
            builder
                .with_client_auth_cert(read_certificates(certificate)?, key)
                .map_err(|error| format!("sslcert and sslkey cannot be used: {error}"))?
        }
    };
    // Needed for sslnegotiation=direct, and sent by libpq 17 in any case.
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(config)
}

fn explain(error: &std::io::Error, name: &str) -> String {
    let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return format!("the TLS handshake broke off: {error}");
    };
    match tls {
        // A bad signature: the authority has the right name and another key.
        Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "the server's certificate does not come from an authority in sslrootcert".into()
        }
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => format!("the server's certificate does not carry the name {name}"),
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "the server's certificate has expired".into()
        }
        other => other.to_string(),
    }
}

fn unreadable(file: &Path, error: &dyn std::fmt::Display) -> String {
    format!("cannot read {}: {error}", file.display())
}

fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = certificates.map_err(|error| unreadable(file, &error))?;
    if certificates.is_empty() {
        return Err(unreadable(file, &"it has no certificate in PEM form"));
    }
    Ok(certificates)
}

/// The certificates that we trust.
#[derive(Debug)]
struct Trust {
    anchors: RootCertStore,
    /// The same, whole: a server that shows one of them itself (self-signed) is trusted, as OpenSSL does.
    certificates: Vec<CertificateDer<'static>>,
}

impl Trust {
    fn load(roots: &RootCertificates) -> Result<Self, String> {
        let certificates = match roots {
            RootCertificates::File(file) => read_certificates(file)?,
            RootCertificates::Default => {
                let home = std::env::var_os("HOME").map(PathBuf::from);
                let file = home.map(|home| home.join(".postgresql/root.crt"));
                let file = file.filter(|file| file.exists()).ok_or(
                    "sslmode verifies the server, but no sslrootcert is given and ~/.postgresql/root.crt is not there",
                )?;
                read_certificates(&file)?
            }
            RootCertificates::System => {
                let found = rustls_native_certs::load_native_certs();
                if found.certs.is_empty() {
                    return Err("the system has no trusted certificates".into());
                }
                found.certs
            }
        };
        let mut anchors = RootCertStore::empty();
        anchors.add_parsable_certificates(certificates.iter().cloned());
        Ok(Self { anchors, certificates })
    }
}

/// `None` as trust: encryption only, as `sslmode=require` promises no more.
#[derive(Debug)]
struct Verifier {
    trust: Option<Trust>,
    check_name: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(trust) = &self.trust else {
            return Ok(ServerCertVerified::assertion());
        };
        let certificate = ParsedCertificate::try_from(end_entity)?;
        if !trust.certificates.iter().any(|trusted| trusted.as_ref() == end_entity.as_ref()) {
            let algorithms = self.provider.signature_verification_algorithms.all;
            let anchors = &trust.anchors;
            verify_server_cert_signed_by_trust_anchor(&certificate, anchors, intermediates, now, algorithms)?;
        }
        if self.check_name {
            verify_server_name(&certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
