//! Requests as bytes.

use cleave_config::Config;
use cleave_engine::{Pulse, Topology};
use cleave_server::{CONNECTIONS_MAX, Server};
use cleave_stream::{Canceller, cancellation};
use std::net::SocketAddr;
use std::path::Path;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const FILE: &str = "[databases]\nmonolith = { url = \"env:NO_SUCH_VARIABLE_ANYWHERE\" }\nproducts = { url = \"env:NEITHER\" }\n\
                    [services.films]\nhome = \"products/films\"\ntables = [\"public.film\"]\n";

/// A server whose databases cannot be reached; it ends with the canceller's word.
async fn server() -> (SocketAddr, Canceller, tokio::task::JoinHandle<()>) {
    let topology = Topology::new(Config::parse(FILE, "cleave.toml").unwrap(), FILE, Path::new("."));
    let address = "127.0.0.1:0".parse().unwrap();
    let server = Server::bind(address, topology, Pulse::default(), "1.2.3").await.unwrap();
    let (canceller, cancelled) = cancellation();
    let address = server.address().unwrap();
    let task = tokio::spawn(async move { server.serve(&cancelled).await });
    (address, canceller, task)
}

/// Sends bytes and reads until the other side closes.
async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The answer may come, and the connection go, before all is sent.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

async fn get(address: SocketAddr, path: &str) -> String {
    exchange(address, &format!("GET {path} HTTP/1.1\r\nhost: here\r\n\r\n")).await
}

#[tokio::test]
async fn each_path_has_its_answer_and_the_connection_ends_with_it() {
    let (address, ..) = server().await;
    let health = get(address, "/healthz").await;
    assert!(health.starts_with("HTTP/1.1 200 OK\r\n") && health.ends_with("\r\n\r\nok\n"), "{health}");
    let ready = get(address, "/readyz").await;
    assert!(ready.starts_with("HTTP/1.1 503 ") && ready.ends_with("the engine starts\n"), "{ready}");
    let metrics = get(address, "/metrics").await;
    assert!(metrics.contains("content-type: text/plain; version=0.0.4"), "{metrics}");
    assert!(metrics.contains("\ncleave_build_info{version=\"1.2.3\"} 1\n"), "{metrics}");
    assert!(
        metrics.contains("\ncleave_status_readable 0\n"),
        "a database that cannot be asked is said, not an error: {metrics}"
    );
    assert!(get(address, "/elsewhere").await.starts_with("HTTP/1.1 404 "));
    let posted = exchange(address, "POST /healthz HTTP/1.1\r\nhost: here\r\ncontent-length: 0\r\n\r\n").await;
    assert!(posted.starts_with("HTTP/1.1 405 "), "{posted}");
}

#[tokio::test]
async fn a_request_that_is_too_large_or_none_at_all_ends_its_connection_only() {
    let (address, ..) = server().await;
    let many: String = (0..200).map(|n| format!("x-{n}: y\r\n")).collect();
    let refused = exchange(address, &format!("GET /healthz HTTP/1.1\r\nhost: here\r\n{many}\r\n")).await;
    assert!(refused.starts_with("HTTP/1.1 431 "), "{refused}");
    let long = "a".repeat(100_000);
    let refused = exchange(address, &format!("GET /{long} HTTP/1.1\r\nhost: here\r\n\r\n")).await;
    assert!(!refused.starts_with("HTTP/1.1 200 "), "{refused}");
    assert!(!exchange(address, "\u{1}\u{2}\u{3} no request\r\n\r\n").await.starts_with("HTTP/1.1 200 "));
    assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn peers_that_say_nothing_do_not_keep_others_away_for_ever() {
    let (address, ..) = server().await;
    let mut silent = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    // Answered once the silent ones have been sent away.
    assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn told_to_stop_it_stops_listening() {
    let (address, canceller, task) = server().await;
    assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200 "));
    canceller.cancel();
    task.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}
