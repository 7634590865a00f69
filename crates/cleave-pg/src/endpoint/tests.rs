//! Parsing of endpoints.

use super::{Endpoint, RootCertificates, SslMode};

fn endpoint(text: &str) -> Endpoint {
    Endpoint::parse(text).unwrap()
}

fn refused(text: &str) -> String {
    let error = Endpoint::parse(text).unwrap_err();
    assert_eq!(error.code(), "C0109");
    error.to_string()
}

#[test]
fn a_url_is_shown_without_its_password() {
    let endpoint =
        endpoint("postgres://films:s3cret@db1:6432/products?sslmode=verify-full&sslrootcert=/ca.pem");
    assert_eq!(endpoint.display(), "postgres://films@db1:6432/products");
    assert_eq!(endpoint.tls().mode, SslMode::VerifyFull);
    assert_eq!(endpoint.tls().roots, RootCertificates::File("/ca.pem".into()));
    assert!(!format!("{endpoint:?} {endpoint}").contains("s3cret"));
    assert_eq!((endpoint.host().as_str(), endpoint.port()), ("db1", 6432));
}

#[test]
fn pairs_sockets_and_several_hosts_are_understood() {
    let socket = endpoint("host=/var/run/postgresql user=me");
    assert_eq!(socket.display(), "postgres://me@/var/run/postgresql/.s.PGSQL.5432/me");
    assert_eq!(socket.host(), "/var/run/postgresql");
    let several = endpoint("postgres://me@a:1,b:2/d");
    assert_eq!(several.display(), "postgres://me@a:1,b:2/d");
    assert_eq!(endpoint("postgres://me@[::1]:5433/d").display(), "postgres://me@[::1]:5433/d");
}

#[test]
fn a_refusal_says_what_is_wrong_and_never_repeats_a_secret() {
    for (text, part) in [
        ("postgres://h/d", "names no user"),
        ("postgres:///d?user=me", "names no host"),
        ("postgres://u:p@secret@h/d", "%40"),
        ("host=h user=u password=my secret=1", "blank that is not quoted"),
        ("postgres://u@h/d?sslmode=maybe", "sslmode is none of"),
        ("postgres://u@h/d?sslrootcert=system&sslmode=require", "needs sslmode=verify-full"),
        ("postgres://u@h/d?passfile=secret", "the option passfile is not supported"),
        ("postgres://u@h/d?load_balance_hosts=random", "load_balance_hosts"),
        ("postgres://u@a,b:1,c:x/d", "port"),
    ] {
        let message = refused(text);
        assert!(message.contains(part), "{text}: {message}");
        assert!(!message.contains("secret"), "{message}");
    }
}

#[test]
fn the_systems_trust_store_means_verify_full() {
    assert_eq!(endpoint("postgres://u@h/d?sslrootcert=system").tls().mode, SslMode::VerifyFull);
    assert_eq!(endpoint("postgres://u@h/d").tls().mode, SslMode::Prefer);
}
