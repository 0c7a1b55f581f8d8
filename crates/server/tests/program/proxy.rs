//! PROXY headers: read from named proxies, from nobody else.

use std::io::{Read, Write};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::server::{Folder, Server, client};

const HEADER: &[u8] = b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n";

/// A connection that begins with `first`; whether TLS comes up behind it.
async fn comes_up(server: &Server, first: &[u8]) -> bool {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(first).await.unwrap();
    let config = client(&server.folder.file("ca.pem"), &["keystead/1"]);
    let name = ServerName::try_from("keys.example.org").unwrap();
    let connected = TlsConnector::from(Arc::new(config)).connect(name, stream);
    connected.await.is_ok()
}

#[tokio::test]
async fn a_named_proxy_must_say_for_whom_it_speaks() {
    let folder = Folder::new();
    folder.configure_tables("[proxy]\nfrom = [\"127.0.0.1\"]");
    let server = folder.run();
    assert!(comes_up(&server, HEADER).await);
    let mut second = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    second.extend_from_slice(&[192, 0, 2, 1, 192, 0, 2, 2, 1, 2, 3, 4]);
    assert!(comes_up(&server, &second).await);
    assert!(!comes_up(&server, b"").await);
    assert!(!comes_up(&server, b"PROXY TCP4 nobody\r\n").await);
    server.wait_for_metric("turned_away_total{reason=\"no PROXY header\"}", |it| {
        it == 2.0
    });
}

#[tokio::test]
async fn anybody_elses_header_is_no_tls() {
    let server = Server::start();
    assert!(comes_up(&server, b"").await);
    assert!(!comes_up(&server, HEADER).await);
    server.wait_for_metric("turned_away_total{reason=\"no TLS\"}", |it| it == 1.0);
}

#[test]
fn a_source_behind_a_proxy_has_its_own_places() {
    let folder = Folder::new();
    folder.configure_tables("[proxy]\nfrom = [\"127.0.0.1\"]\n[connections]\nper_source_max = 2");
    let server = folder.run();
    let open = |last: u8| {
        let mut stream = std::net::TcpStream::connect(server.address).unwrap();
        write!(stream, "PROXY TCP4 192.0.2.{last} 192.0.2.2 5 443\r\n").unwrap();
        stream
    };
    let mut of_one: Vec<_> = (0..3).map(|_| open(1)).collect();
    let of_other = open(2);
    // The third of one source made the first go; the other source lost nothing.
    let mut byte = [0];
    assert_eq!(of_one[0].read(&mut byte).unwrap_or(0), 0);
    server.wait_for_metric("connections", |it| it == 3.0);
    drop(of_other);
}
