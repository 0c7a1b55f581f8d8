//! Parallel guesses at real processes: never a sixth is evaluated before the first wait.

use std::time::Instant;

use futures_util::future::join_all;
use keystead_channel::session::{
    AccountName, Binding, Credentials, Extras, Frame, FrameType, Greeting, LoginSent, Password, Pin,
};
use keystead_daemon::SystemRng;
use keystead_tests::Postgres;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::person::Person;
use crate::server::{Folder, Server};

/// A connection after hello, and the first frames of logins with a wrong password.
pub(crate) struct Guesses {
    stream: TlsStream<TcpStream>,
    frames: Vec<u8>,
}

impl Guesses {
    pub(crate) async fn new(server: &Server, name: &str) -> Self {
        let mut stream = server.connect(&["keystead/1"]).await.unwrap();
        let (_, connection) = stream.get_ref();
        let exporter = connection
            .export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(&[]))
            .unwrap();
        let (greeting, hello) = Greeting::start(&mut SystemRng);
        stream.write_all(&hello).await.unwrap();
        let answer = frame(&mut stream).await;
        let answer = Frame::decode(&answer).unwrap();
        let mut greeted = greeting.receive(&answer, Pin::Nothing).unwrap();
        let mut frames = Vec::new();
        for _ in 0..A_CONNECTION {
            let handle = greeted.handle().unwrap();
            let credentials = Credentials {
                name: AccountName::parse(name).unwrap(),
                password: Password::new("wrong").unwrap(),
            };
            let (binding, extras) = (Binding::Exporter(exporter), Extras::default());
            let started = LoginSent::start(handle, credentials, binding, extras, &mut SystemRng);
            frames.extend(started.unwrap().1);
        }
        Self { stream, frames }
    }

    /// All at once; how many were evaluated.
    pub(crate) async fn make(mut self) -> usize {
        self.stream.write_all(&self.frames).await.unwrap();
        // So many in one task use up its turn, and what TLS has sealed stays behind.
        self.stream.flush().await.unwrap();
        let mut evaluated = 0;
        for _ in 0..A_CONNECTION {
            let answer = frame(&mut self.stream).await;
            let kind = Frame::decode(&answer).unwrap().kind;
            if kind == FrameType::LoginResponse {
                evaluated += 1;
            } else {
                assert_eq!(kind, FrameType::Error);
            }
        }
        evaluated
    }
}

/// The next frame, without its length.
async fn frame(stream: &mut TlsStream<TcpStream>) -> Vec<u8> {
    let len = stream.read_u32().await.unwrap();
    let mut bytes = vec![0; usize::try_from(len).unwrap()];
    stream.read_exact(&mut bytes).await.unwrap();
    bytes
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long the guesses took decides how many may be looked at"
)]
async fn a_thousand_at_once(servers: &[&Server]) {
    for name in ["alex", "nobody"] {
        let mut guesses = Vec::new();
        for server in servers.iter().cycle().take(1_000 / A_CONNECTION) {
            guesses.push(Guesses::new(server, name).await);
        }
        let started = Instant::now();
        let made = join_all(guesses.into_iter().map(Guesses::make)).await;
        let evaluated: usize = made.iter().sum();
        // Five, and one at the end of each wait of 1, 2, 4 … s that is over by now.
        let elapsed_s = started.elapsed().as_secs();
        let waits = (1..13_u32)
            .take_while(|it| 2_u64.pow(*it) - 1 <= elapsed_s)
            .count();
        let told = format!("{name}: {evaluated} of 1,000 in {elapsed_s} s");
        assert!((5..=5 + waits).contains(&evaluated), "{told}");
    }
}

/// As many as may wait on a connection for their next frame.
pub(crate) const A_CONNECTION: usize = 4;

pub(crate) const NO_BUCKETS: &str = "[guesses]\nper_source_s = 0\nper_s = 0";

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_guesses_at_one_process_are_five() {
    let folder = Folder::new();
    folder.configure_tables(NO_BUCKETS);
    let server = folder.run();
    Person::register(&server, "alex").await;
    a_thousand_at_once(&[&server]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_guesses_at_two_processes_are_five() {
    let database = Postgres::start().unwrap();
    let first = crate::postgres::configured(&database.address());
    first.configure_tables(NO_BUCKETS);
    let second = crate::postgres::beside(&first);
    let (first, second) = (first.run(), second.run());
    Person::register(&first, "alex").await;
    a_thousand_at_once(&[&first, &second]).await;
}
