//! What TLS gives and refuses.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;

use keystead_tests::Postgres;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::server::{Folder, Server, client, connect};

const FRAMES: &[&str] = &["keystead/1"];

/// Frame 01 with a client's hello: version 1, suite 1, a nonce.
fn hello() -> Vec<u8> {
    let mut body = vec![0xa3, 0, 1, 1, 0x81, 1, 2, 0x50];
    body.extend_from_slice(&[7; 16]);
    let length = u32::try_from(5 + body.len()).unwrap().to_be_bytes();
    [&length[..], &[1, 0, 0, 0, 0], &body].concat()
}

#[tokio::test]
async fn the_version_and_the_key_exchange_are_the_newest() {
    let server = Server::start();
    let mut stream = server.connect(FRAMES).await.unwrap();
    let (_, connection) = stream.get_ref();
    assert_eq!(connection.alpn_protocol(), Some(&b"keystead/1"[..]));
    let version = connection.protocol_version().unwrap();
    assert_eq!(version, rustls::ProtocolVersion::TLSv1_3);
    let group = connection.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, rustls::NamedGroup::X25519MLKEM768);
    // The authority is sent along, for who knows only its hash.
    assert_eq!(connection.peer_certificates().unwrap().len(), 2);
    stream.write_all(&hello()).await.unwrap();
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(head[4..], [1, 0, 0, 0, 0]);
}

/// A ClientHello of TLS 1.2, by hand: no `supported_versions`.
fn old_client_hello() -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend_from_slice(&[9; 32]);
    // No session id; ECDHE-ECDSA-AES128-GCM-SHA256; no compression.
    body.extend_from_slice(&[0, 0, 2, 0xc0, 0x2b, 1, 0]);
    // supported_groups: secp256r1; signature_algorithms: ecdsa_secp256r1_sha256.
    let extensions = [0, 10, 0, 4, 0, 2, 0, 23, 0, 13, 0, 4, 0, 2, 4, 3];
    body.extend_from_slice(&[0, 16]);
    body.extend_from_slice(&extensions);
    let length = u8::try_from(body.len()).unwrap();
    let mut record = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
    record.extend_from_slice(&body);
    record
}

#[test]
fn an_older_version_is_refused() {
    refuses_an_older_version(&Server::start());
}

/// TLS is over before a row is read.
#[tokio::test]
async fn a_server_on_postgres_refuses_and_is_refused_alike() {
    let database = Postgres::start().unwrap();
    let folder = Folder::new();
    folder.configure(&format!("database = \"{}\"", database.address()));
    let server = folder.run();
    refuses_an_older_version(&server);
    is_refused_by_clients(&server).await;
    server.connect(FRAMES).await.unwrap();
}

fn refuses_an_older_version(server: &Server) {
    let mut stream = std::net::TcpStream::connect(server.address).unwrap();
    stream.write_all(&old_client_hello()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    // A fatal alert: protocol_version (RFC 8446 section 6.2).
    assert_eq!(answer, [21, 3, 3, 0, 2, 2, 70]);
}

#[tokio::test]
async fn other_protocols_are_refused() {
    let server = Server::start();
    for others in [&["h2"][..], &["keystead/2", "h3"]] {
        let error = server.connect(others).await.unwrap_err();
        let said = error.to_string();
        assert!(said.contains("NoApplicationProtocol"), "{said}");
    }
    // Who names none is hung up on.
    let mut stream = server.connect(&[]).await.unwrap();
    let _ = stream.write_all(&hello()).await;
    assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
    server.wait_for_metric("turned_away_total{reason=\"no protocol\"}", |it| it == 1.0);
}

#[tokio::test]
async fn clients_refuse_another_authority_and_another_name() {
    is_refused_by_clients(&Server::start()).await;
}

async fn is_refused_by_clients(server: &Server) {
    let other = Folder::new();
    let config = client(&other.file("ca.pem"), FRAMES);
    let error = connect(server.address, config, "keys.example.org").await;
    assert!(error.unwrap_err().to_string().contains("UnknownIssuer"));
    let config = client(&server.folder.file("ca.pem"), FRAMES);
    let error = connect(server.address, config, "other.example.org").await;
    let said = error.unwrap_err().to_string();
    assert!(said.contains("not valid for name"), "{said}");
}

#[tokio::test]
async fn a_new_certificate_is_taken_without_a_restart() {
    let server = Server::start();
    let leaf = |stream: &tokio_rustls::client::TlsStream<_>| {
        let chain = stream.get_ref().1.peer_certificates().unwrap();
        chain[0].to_vec()
    };
    let mut open = server.connect(FRAMES).await.unwrap();
    let before = leaf(&open);
    server.folder.must(&["renew-certificate"]);
    let after = leaf(&server.connect(FRAMES).await.unwrap());
    assert_ne!(after, before);
    // What is open stays open.
    open.write_all(&hello()).await.unwrap();
    open.read_exact(&mut [0; 9]).await.unwrap();
    // Files that do not belong together: the old ones stay, and it is said.
    let other = Folder::new();
    std::fs::write(server.folder.file("server.key"), other.read("server.key")).unwrap();
    server.signal(rustix::process::Signal::HUP);
    let until = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    while !server
        .folder
        .read("trace")
        .contains("do not belong together")
    {
        assert!(tokio::time::Instant::now() < until, "nothing was said");
        tokio::task::yield_now().await;
    }
    assert_eq!(leaf(&server.connect(FRAMES).await.unwrap()), after);
}

#[test]
fn an_expired_certificate_of_our_own_is_said() {
    // Without the authority's key nothing renews it.
    let folder = Folder::new();
    std::fs::remove_file(folder.file("ca.key")).unwrap();
    let pair = expired();
    std::fs::write(folder.file("server.pem"), pair.0).unwrap();
    std::fs::write(folder.file("server.key"), pair.1).unwrap();
    std::fs::set_permissions(folder.file("server.key"), PermissionsExt::from_mode(0o600)).unwrap();
    let (_, said) = folder.run().stop();
    assert!(said.contains("the certificate has expired"), "{said}");
}

#[tokio::test]
async fn an_expired_certificate_is_renewed_where_that_can_be() {
    let folder = Folder::new();
    let pair = expired();
    std::fs::write(folder.file("server.pem"), pair.0).unwrap();
    std::fs::write(folder.file("server.key"), pair.1).unwrap();
    let server = folder.run();
    server.connect(FRAMES).await.unwrap();
}

fn expired() -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["keys.example.org".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2020, 4, 1);
    let certificate = params.self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

#[tokio::test]
async fn client_certificates_are_asked_for_where_that_is_set() {
    let folder = Folder::new();
    // The server's own authority, to have one.
    let text = folder
        .read("config.toml")
        .replace("[tls]", "[tls]\nclient_authorities = \"ca.pem\"");
    std::fs::write(folder.file("config.toml"), text).unwrap();
    let server = folder.run();
    let mut stream = server.connect(FRAMES).await.unwrap();
    // In TLS 1.3 the refusal comes with the first read.
    let _ = stream.write_all(&hello()).await;
    let refused = stream.read_exact(&mut [0; 9]).await.unwrap_err();
    assert!(
        refused.to_string().contains("CertificateRequired"),
        "{refused}"
    );
}
