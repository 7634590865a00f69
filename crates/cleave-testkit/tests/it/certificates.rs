//! A cluster that speaks TLS with a certificate of our own authority.

use cleave_sandbox::{Cluster, Options, Version, connect};
use cleave_testkit::Certificates;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The client's request to speak TLS; manual, section 53.7, "SSLRequest".
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

async fn answer_to_ssl_request(cluster: &Cluster) -> u8 {
    let mut stream = TcpStream::connect(("127.0.0.1", cluster.port())).await.unwrap();
    stream.write_all(&SSL_REQUEST).await.unwrap();
    stream.read_u8().await.unwrap()
}

#[tokio::test]
async fn a_cluster_offers_tls_with_a_given_certificate() {
    for version in Version::ALL {
        let certificates = Certificates::for_hosts(&["localhost", "127.0.0.1"]).unwrap();
        let options = Options::new().tls(&certificates.certificate, &certificates.key);
        let cluster = Cluster::start(version, &options).await.unwrap();
        assert_eq!(answer_to_ssl_request(&cluster).await, b'S');
        // The certificate on disk is the one that was given, and connections without TLS still work.
        connect(&cluster.url("postgres")).await.unwrap();
        let served = std::fs::read_to_string(cluster.data_dir().join("server.crt")).unwrap();
        assert_eq!(served, certificates.certificate);
    }
}

#[tokio::test]
async fn a_cluster_without_a_certificate_declines_tls() {
    let cluster = Cluster::start(Version::V16, &Options::new()).await.unwrap();
    assert_eq!(answer_to_ssl_request(&cluster).await, b'N');
}
