//! Both ends of a TLS 1.3 connection of rustls in one thread, each with a
//! certificate that the other checks.

use std::hint::black_box;
use std::io::{BufRead, Write};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{
    CipherSuite, ClientConfig, ClientConnection, ConnectionCommon, NamedGroup, RootCertStore,
    ServerConfig, ServerConnection, SideData,
};

use crate::Outcome;

/// Certificates and configurations, made once.
pub(crate) struct Meeting {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    name: ServerName<'static>,
}

impl Meeting {
    /// TLS 1.3 with one cipher suite and one key exchange, P-256
    /// certificates under one authority, no tickets: the least it can do.
    pub(crate) fn new(suite: CipherSuite, group: NamedGroup) -> Outcome<Self> {
        let mut provider: CryptoProvider = aws_lc_rs::default_provider();
        provider
            .cipher_suites
            .retain(|known| known.suite() == suite);
        provider.kx_groups.retain(|known| known.name() == group);
        let provider = Arc::new(provider);

        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone())?;
        let roots = Arc::new(roots);

        let (chain, key) = certified(&authority)?;
        let mut client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(Arc::clone(&roots))
            .with_client_auth_cert(chain, key)?;
        client.resumption = Resumption::disabled();

        let verifier =
            WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider)).build()?;
        let (chain, key) = certified(&authority)?;
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)?;
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        Ok(Self {
            client: Arc::new(client),
            server: Arc::new(server),
            name: ServerName::try_from(NAME)?,
        })
    }

    /// One whole handshake.
    pub(crate) fn meet(&self) -> Outcome<(ClientConnection, ServerConnection)> {
        let mut client = ClientConnection::new(Arc::clone(&self.client), self.name.clone())?;
        let mut server = ServerConnection::new(Arc::clone(&self.server))?;
        let mut pipe = Vec::new();
        while client.is_handshaking() || server.is_handshaking() {
            carry(&mut client, &mut server, &mut pipe)?;
            carry(&mut server, &mut client, &mut pipe)?;
        }
        Ok((client, server))
    }
}

/// Messages from the client to the server, one after the other.
pub(crate) struct Bulk {
    client: ClientConnection,
    server: ServerConnection,
    message: Vec<u8>,
    pipe: Vec<u8>,
}

impl Bulk {
    pub(crate) fn new(suite: CipherSuite, message_bytes: usize) -> Outcome<Self> {
        let (client, server) = Meeting::new(suite, NamedGroup::X25519)?.meet()?;
        Ok(Self {
            client,
            server,
            message: vec![0xa5; message_bytes],
            pipe: Vec::new(),
        })
    }

    pub(crate) fn pass(&mut self) -> Outcome<()> {
        self.client.writer().write_all(&self.message)?;
        self.pipe.clear();
        while self.client.wants_write() {
            self.client.write_tls(&mut self.pipe)?;
        }
        let mut rest = &self.pipe[..];
        let mut left = self.message.len();
        while !rest.is_empty() {
            self.server.read_tls(&mut rest)?;
            left = left
                .checked_sub(take_plain(&mut self.server)?)
                .ok_or("more than was sent")?;
        }
        if left == 0 {
            Ok(())
        } else {
            Err("less than was sent".into())
        }
    }
}

/// Opens the records that came; how many bytes they held.
fn take_plain(server: &mut ServerConnection) -> Outcome<usize> {
    let mut there = server.process_new_packets()?.plaintext_bytes_to_read();
    let bytes = there;
    while there > 0 {
        let mut reader = server.reader();
        // Borrowed, as ours is: no copy into a buffer of the caller's.
        let taken = black_box(reader.fill_buf()?).len();
        reader.consume(taken);
        there = there.saturating_sub(taken);
    }
    Ok(bytes)
}

/// All that `from` has to say, through the pipe, to `to`.
fn carry<F: SideData, T: SideData>(
    from: &mut ConnectionCommon<F>,
    to: &mut ConnectionCommon<T>,
    pipe: &mut Vec<u8>,
) -> Outcome<()> {
    pipe.clear();
    while from.wants_write() {
        from.write_tls(pipe)?;
    }
    let mut rest = &pipe[..];
    while !rest.is_empty() {
        to.read_tls(&mut rest)?;
        to.process_new_packets()?;
    }
    Ok(())
}

fn certified(
    authority: &CertifiedIssuer<'_, KeyPair>,
) -> Outcome<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let key = KeyPair::generate()?;
    let params = CertificateParams::new(vec![NAME.to_owned()])?;
    let certificate = params.signed_by(&key, authority)?;
    let key = PrivateKeyDer::try_from(key.serialize_der())?;
    Ok((vec![certificate.der().clone()], key))
}

const NAME: &str = "bench.invalid";
