//! The proxy: it ends TLS on both sides, reads every frame, and does what it is told.

use std::sync::{Arc, Mutex};

use keystead_channel::session::{Deframer, Frame, FrameType, Handle};
use keystead_keeper::server::Trust;
use keystead_transport::{ALPN, SecureConnector, SecureStream};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// What it does to the next frame that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    /// Nothing.
    Honest,
    /// Changes one bit at the end of a sealed frame to the server.
    AlterRequest,
    /// The same, to the client.
    AlterAnswer,
    /// Sends a sealed frame to the server twice.
    Repeat,
    /// Sends a frame of its own before a sealed one to the server.
    Inject,
    /// Sends a sealed frame to the server back to the client.
    Reflect,
}

/// A proxy that serves until its test ends.
pub(crate) struct Proxy {
    /// `https://…`.
    pub(crate) address: String,
    /// Its certificate's authority, DER.
    pub(crate) authority: Vec<u8>,
    shared: Arc<Shared>,
    server: SecureConnector,
}

struct Shared {
    lie: Mutex<Lie>,
    told: Mutex<u32>,
    /// All frames that clients sent, whole.
    from_clients: Mutex<Vec<Vec<u8>>>,
}

impl Proxy {
    pub(crate) async fn start(server: &str, authority: [u8; 32]) -> Self {
        let (acceptor, authority_der) = acceptor();
        let server = SecureConnector::new(server, &Trust::Pinned(authority)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("https://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            lie: Mutex::new(Lie::Honest),
            told: Mutex::new(0),
            from_clients: Mutex::new(Vec::new()),
        });
        let (task, upstream) = (Arc::clone(&shared), server.clone());
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let carried = carry(acceptor.clone(), tcp, upstream.clone(), Arc::clone(&task));
                tokio::spawn(carried);
            }
        });
        Self {
            address,
            authority: authority_der,
            shared,
            server,
        }
    }

    /// From the next frame on that fits, once.
    pub(crate) fn tell(&self, lie: Lie) {
        *self.shared.lie.lock().unwrap() = lie;
    }

    /// How often it has lied.
    pub(crate) fn lies(&self) -> u32 {
        *self.shared.told.lock().unwrap()
    }

    /// The frames of one type that clients sent through it, as they were.
    pub(crate) fn recorded(&self, kind: FrameType) -> Vec<Vec<u8>> {
        let frames = self.shared.from_clients.lock().unwrap();
        let of_kind = frames.iter().filter(|frame| kind_of(frame) == kind);
        of_kind.cloned().collect()
    }

    /// A connection of its own to the server.
    pub(crate) async fn dial(&self) -> SecureStream {
        self.server.connect().await.unwrap()
    }
}

fn acceptor() -> (TlsAcceptor, Vec<u8>) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap().der().clone();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap().der().clone();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf, authority.clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = vec![ALPN.to_vec()];
    (TlsAcceptor::from(Arc::new(config)), authority.to_vec())
}

async fn carry(
    acceptor: TlsAcceptor,
    tcp: TcpStream,
    server: SecureConnector,
    shared: Arc<Shared>,
) {
    let client = acceptor.accept(tcp).await.unwrap();
    let server = server.connect().await.unwrap();
    let (from_client, to_client) = tokio::io::split(client);
    let (from_server, to_server) = tokio::io::split(server);
    let to_client = Arc::new(tokio::sync::Mutex::new(to_client));
    let to_server = Arc::new(tokio::sync::Mutex::new(to_server));
    let back = Arc::clone(&to_client);
    let (up, down) = (Arc::clone(&shared), shared);
    tokio::select! {
        () = to_the_server(from_client, to_server, back, up) => {}
        () = to_the_client(from_server, to_client, down) => {}
    }
}

type Side<W> = Arc<tokio::sync::Mutex<W>>;

async fn to_the_server<W: AsyncWrite + Unpin, B: AsyncWrite + Unpin>(
    mut from: impl AsyncRead + Unpin,
    to: Side<W>,
    back: Side<B>,
    shared: Arc<Shared>,
) {
    let mut frames = Frames::default();
    while let Some(mut frame) = frames.next(&mut from).await {
        shared.from_clients.lock().unwrap().push(frame.clone());
        let lie = *shared.lie.lock().unwrap();
        let mut out = Vec::new();
        if kind_of(&frame) == FrameType::Sealed && lie != Lie::Honest && lie != Lie::AlterAnswer {
            *shared.lie.lock().unwrap() = Lie::Honest;
            *shared.told.lock().unwrap() += 1;
            match lie {
                Lie::AlterRequest => *frame.last_mut().unwrap() ^= 1,
                Lie::Repeat => out.push(frame.clone()),
                Lie::Inject => out.push(invented(&frame)),
                Lie::Reflect => back.lock().await.write_all(&frame).await.unwrap(),
                Lie::Honest | Lie::AlterAnswer => {}
            }
        }
        out.push(frame);
        let mut to = to.lock().await;
        for frame in out {
            if to.write_all(&frame).await.is_err() {
                return;
            }
        }
        let _ = to.flush().await;
    }
}

async fn to_the_client<W: AsyncWrite + Unpin>(
    mut from: impl AsyncRead + Unpin,
    to: Side<W>,
    shared: Arc<Shared>,
) {
    let mut frames = Frames::default();
    while let Some(mut frame) = frames.next(&mut from).await {
        let is_it = *shared.lie.lock().unwrap() == Lie::AlterAnswer;
        if is_it && kind_of(&frame) == FrameType::Sealed {
            *shared.lie.lock().unwrap() = Lie::Honest;
            *shared.told.lock().unwrap() += 1;
            *frame.last_mut().unwrap() ^= 1;
        }
        let mut to = to.lock().await;
        if to.write_all(&frame).await.is_err() || to.flush().await.is_err() {
            return;
        }
    }
}

/// A sealed frame with the right handle, number and method, and no key behind it.
fn invented(like: &[u8]) -> Vec<u8> {
    let mut frame = like.to_vec();
    let tag = frame.len() - 16;
    frame[tag..].fill(0x5a);
    frame
}

/// Whole frames of a stream, each with its length.
struct Frames {
    deframer: Deframer,
    room: Vec<u8>,
}

impl Default for Frames {
    fn default() -> Self {
        let mut deframer = Deframer::new();
        deframer.admit_long_frames();
        Self {
            deframer,
            room: vec![0; 16_384],
        }
    }
}

impl Frames {
    async fn next(&mut self, from: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
        loop {
            if let Some(rest) = self.deframer.next_rest().ok()? {
                return Some(Frame::decode(&rest).ok()?.encode());
            }
            let count = from.read(&mut self.room).await.ok()?;
            if count == 0 {
                return None;
            }
            self.deframer.push(&self.room[..count]);
        }
    }
}

/// What a whole frame is.
fn kind_of(frame: &[u8]) -> FrameType {
    Frame::decode(&frame[4..]).unwrap().kind
}

/// The first frame with this handle that comes.
pub(crate) async fn answer_to(stream: &mut SecureStream, handle: Handle) -> (FrameType, Vec<u8>) {
    let mut frames = Frames::default();
    loop {
        let frame = frames.next(stream).await.expect("the server hung up");
        let frame = Frame::decode(&frame[4..]).unwrap();
        if frame.handle == handle {
            return (frame.kind, frame.body.to_vec());
        }
    }
}
