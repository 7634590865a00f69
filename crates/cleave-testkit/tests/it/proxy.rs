//! What connections through the proxy experience.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use cleave_sandbox::{Version, connect};
use cleave_testkit::{Proxy, server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const SOON: Duration = Duration::from_millis(200);

/// A server that sends back whatever it gets.
async fn echo_server() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (mut from, mut to) = stream.into_split();
                drop(tokio::io::copy(&mut from, &mut to).await);
            });
        }
    });
    address
}

async fn start() -> (Proxy, TcpStream) {
    let proxy = Proxy::start(echo_server().await).await.unwrap();
    let stream = TcpStream::connect(proxy.address()).await.unwrap();
    (proxy, stream)
}

async fn echo(stream: &mut TcpStream, text: &[u8]) -> std::io::Result<()> {
    stream.write_all(text).await?;
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer).await?;
    assert_eq!(answer, text);
    Ok(())
}

#[tokio::test]
async fn bytes_pass_unchanged_and_the_end_of_a_stream_is_passed_on() {
    let (_proxy, stream) = start().await;
    let (mut from, mut to) = stream.into_split();
    let sent: Vec<u8> = (0..5_000_000_u32).map(|n| n.to_le_bytes()[n as usize % 3]).collect();
    let expected = sent.clone();
    let writing = tokio::spawn(async move {
        to.write_all(&sent).await.unwrap();
        to.shutdown().await.unwrap();
    });
    let mut received = Vec::new();
    from.read_to_end(&mut received).await.unwrap();
    writing.await.unwrap();
    assert!(received == expected, "{} bytes instead of {}", received.len(), expected.len());
}

#[tokio::test]
async fn a_delay_is_latency_in_both_directions_and_not_per_chunk() {
    let (proxy, mut stream) = start().await;
    proxy.delay(Duration::from_millis(50));
    let begun = Instant::now();
    echo(&mut stream, &vec![7; 500_000]).await.unwrap();
    let elapsed = begun.elapsed();
    // 31 chunks each way: were they delayed one after another, it would be 3 s.
    assert!(elapsed >= Duration::from_millis(100), "{elapsed:?}");
    assert!(elapsed < Duration::from_millis(1500), "{elapsed:?}");
}

#[tokio::test]
async fn a_cut_ends_connections_old_and_new_until_healed() {
    let (proxy, mut stream) = start().await;
    echo(&mut stream, b"before").await.unwrap();
    proxy.cut();
    let mut rest = Vec::new();
    let end = timeout(SOON * 50, stream.read_to_end(&mut rest)).await.expect("the connection was not ended");
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    if let Ok(mut refused) = TcpStream::connect(proxy.address()).await {
        timeout(SOON * 50, echo(&mut refused, b"during")).await.unwrap().unwrap_err();
    }
    proxy.heal();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    echo(&mut stream, b"after").await.unwrap();
}

#[tokio::test]
async fn a_black_hole_holds_connections_old_and_new_and_what_was_sent_arrives_after_healing() {
    let (proxy, mut old) = start().await;
    echo(&mut old, b"before").await.unwrap();
    proxy.black_hole();
    let mut new = TcpStream::connect(proxy.address()).await.unwrap();
    for stream in [&mut old, &mut new] {
        stream.write_all(b"during").await.unwrap();
        let mut byte = [0];
        assert!(timeout(SOON, stream.read(&mut byte)).await.is_err(), "a black hole answered");
    }
    proxy.heal();
    for stream in [&mut old, &mut new] {
        let mut answer = [0; 6];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"during");
    }
}

#[tokio::test]
async fn a_dropped_proxy_ends_its_connections() {
    let (proxy, mut stream) = start().await;
    echo(&mut stream, b"before").await.unwrap();
    drop(proxy);
    let mut rest = Vec::new();
    timeout(SOON * 50, stream.read_to_end(&mut rest)).await.unwrap().unwrap_err();
}

#[tokio::test]
async fn a_database_is_reached_through_the_proxy_by_url() {
    let cluster = server(Version::V16).await.unwrap();
    let proxy = Proxy::start(SocketAddr::from((Ipv4Addr::LOCALHOST, cluster.port()))).await.unwrap();
    let url = proxy.url(&cluster.url("postgres")).unwrap();
    let client = connect(&url).await.unwrap();
    client.query_one("select 1", &[]).await.unwrap();
    proxy.cut();
    client.query_one("select 1", &[]).await.unwrap_err();
    assert_eq!(proxy.url("postgres://h:1?a=b").unwrap(), format!("postgres://{}?a=b", proxy.address()));
}
