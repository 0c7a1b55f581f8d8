//! TLS to a key server: whom a client trusts, what it says when it does not, and what binds
//! a session to a connection.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says what it saw by failing"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use keystead_transport::{
    ALPN, Authorities, CertificateFault, SecureConnector, SecureError, SecureStream, Trust,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// An authority and what it signs.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self {
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    fn hash(&self) -> [u8; 32] {
        digest(&SHA256, &self.certificate)
            .as_ref()
            .try_into()
            .unwrap()
    }

    fn pinned(&self) -> Trust {
        Trust::Pinned(self.hash())
    }

    fn leaf(
        &self,
        name: &str,
        years: (i32, i32),
    ) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(years.0, 1, 1);
        params.not_after = date_time_ymd(years.1, 1, 1);
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        (leaf.der().clone(), key)
    }
}

/// A server with one certificate; it tells each client the exporter that it sees.
async fn serve(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    alpn: &[u8],
) -> SocketAddr {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![alpn.to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that trusts nobody hangs up.
                let Ok(mut tls) = acceptor.accept(tcp).await else {
                    return;
                };
                let (_, connection) = tls.get_ref();
                let label = b"EXPORTER-Channel-Binding";
                let exporter = connection.export_keying_material([0; 32], label, Some(&[]));
                tls.write_all(&exporter.unwrap()).await.unwrap();
                tls.shutdown().await.unwrap();
            });
        }
    });
    address
}

/// A listener that answers the first bytes with `answer`, which is no TLS 1.3.
async fn answer(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let mut hello = [0; 2_048];
        let count = tcp.read(&mut hello).await.unwrap();
        assert!(count > 0);
        tcp.write_all(answer).await.unwrap();
        // Until the client hangs up: an answer must not be lost by a reset.
        while tcp.read(&mut hello).await.is_ok_and(|count| count > 0) {}
    });
    address
}

async fn connect(address: SocketAddr, trust: &Trust) -> Result<SecureStream, SecureError> {
    let connector = SecureConnector::new(&address.to_string(), trust).unwrap();
    connector.connect().await
}

#[track_caller]
fn fault(end: Result<SecureStream, SecureError>) -> CertificateFault {
    match end {
        Err(SecureError::Certificate(fault)) => fault,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was trusted"),
    }
}

const NOW: (i32, i32) = (2020, 2060);

#[tokio::test]
async fn the_pinned_authority_is_found_in_the_chain_and_both_ends_have_one_exporter() {
    let authority = Authority::new();
    let (leaf, key) = authority.leaf("127.0.0.1", NOW);
    let chain = vec![leaf, authority.certificate.clone()];
    let address = serve(chain, key, ALPN).await;
    let mut exporters = Vec::new();
    for _ in 0..2 {
        let mut stream = connect(address, &authority.pinned()).await.unwrap();
        let mut theirs = Vec::new();
        stream.read_to_end(&mut theirs).await.unwrap();
        assert_eq!(theirs, stream.exporter());
        exporters.push(theirs);
    }
    assert_ne!(
        exporters[0], exporters[1],
        "another connection, another binding"
    );
}

#[tokio::test]
async fn an_authority_in_a_file_is_trusted_though_the_server_does_not_send_it() {
    let authority = Authority::new();
    let (leaf, key) = authority.leaf("127.0.0.1", NOW);
    let address = serve(vec![leaf], key, ALPN).await;
    let these = Authorities::these(vec![authority.certificate.to_vec()]);
    connect(address, &Trust::These(these)).await.unwrap();
    let end = connect(address, &authority.pinned()).await;
    assert_eq!(
        fault(end),
        CertificateFault::Authority,
        "pinned, and not sent"
    );
}

#[tokio::test]
async fn another_authority_is_not_trusted_whichever_way_it_is_chosen() {
    let ours = Authority::new();
    let theirs = Authority::new();
    let (leaf, key) = theirs.leaf("127.0.0.1", NOW);
    // It sends our authority's certificate along, which did not sign its own.
    let chain = vec![leaf, theirs.certificate.clone(), ours.certificate.clone()];
    let address = serve(chain, key, ALPN).await;
    let these = Authorities::these(vec![ours.certificate.to_vec()]);
    for trust in [ours.pinned(), Trust::These(these), Trust::System] {
        let end = connect(address, &trust).await;
        assert_eq!(fault(end), CertificateFault::Authority, "{trust:?}");
    }
}

#[tokio::test]
async fn the_leaf_itself_is_no_authority() {
    let authority = Authority::new();
    let (leaf, key) = authority.leaf("127.0.0.1", NOW);
    let hash = digest(&SHA256, &leaf).as_ref().try_into().unwrap();
    let chain = vec![leaf.clone(), authority.certificate.clone(), leaf];
    let address = serve(chain, key, ALPN).await;
    let end = connect(address, &Trust::Pinned(hash)).await;
    assert!(matches!(end, Err(SecureError::Certificate(_))));
}

#[tokio::test]
async fn expired_not_yet_valid_and_another_name_are_told_apart() {
    let authority = Authority::new();
    let cases = [
        ("127.0.0.1", (2020, 2021), CertificateFault::Expired),
        ("127.0.0.1", (2059, 2060), CertificateFault::NotYet),
        (
            "127.0.0.2",
            NOW,
            CertificateFault::Name("127.0.0.1".to_owned()),
        ),
    ];
    for (name, years, expected) in cases {
        let (leaf, key) = authority.leaf(name, years);
        let chain = vec![leaf, authority.certificate.clone()];
        let address = serve(chain, key, ALPN).await;
        let end = connect(address, &authority.pinned()).await;
        assert_eq!(fault(end), expected);
    }
}

#[tokio::test]
async fn an_older_tls_another_protocol_and_no_tls_are_refused() {
    let authority = Authority::new();
    let trust = authority.pinned();
    // RFC 8446 section 6: a fatal alert, protocol_version (70), is what a server of TLS 1.2 says.
    let old = answer(&[0x15, 0x03, 0x03, 0, 2, 2, 70]).await;
    let end = connect(old, &trust).await;
    assert!(matches!(end, Err(SecureError::Version)));
    // A ServerHello of TLS 1.2: no supported_versions in it.
    let hello = answer(&TLS12_SERVER_HELLO).await;
    let end = connect(hello, &trust).await;
    assert!(matches!(end, Err(SecureError::Version)), "{:?}", end.err());
    let http = answer(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let end = connect(http, &trust).await;
    assert!(matches!(end, Err(SecureError::Protocol)), "{:?}", end.err());
    let (leaf, key) = authority.leaf("127.0.0.1", NOW);
    let chain = vec![leaf, authority.certificate.clone()];
    let other = serve(chain, key, b"h2").await;
    let end = connect(other, &trust).await;
    assert!(matches!(end, Err(SecureError::Protocol)));
}

#[tokio::test]
async fn nobody_there_and_nobody_who_answers_are_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = listener.local_addr().unwrap();
    let trust = Authority::new().pinned();
    let connector = SecureConnector::new(&silent.to_string(), &trust).unwrap();
    let end = connector.waiting(Duration::from_millis(50)).connect().await;
    assert!(matches!(end, Err(SecureError::Late)));
    drop(listener);
    let end = connect(silent, &trust).await;
    assert!(matches!(end, Err(SecureError::Unreachable(_))));
}

/// A record with a ServerHello of TLS 1.2 (RFC 5246 section 7.4.1.3):
/// TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, no extensions.
const TLS12_SERVER_HELLO: [u8; 47] = {
    let mut bytes = [7; 47];
    let head = [0x16, 0x03, 0x03, 0, 42, 2, 0, 0, 38, 0x03, 0x03];
    let mut at = 0;
    while at < head.len() {
        bytes[at] = head[at];
        at += 1;
    }
    let tail = [0, 0xc0, 0x2b, 0];
    let mut at = 0;
    while at < tail.len() {
        bytes[43 + at] = tail[at];
        at += 1;
    }
    bytes
};
