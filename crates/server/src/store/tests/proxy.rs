//! A connection to PostgreSQL that breaks at COMMIT.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Between a store and its database.
pub(super) struct Proxy {
    port: u16,
    cut: Arc<AtomicU8>,
}

/// What the next COMMIT loses.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cut {
    /// It arrives, its answer does not.
    Answer,
    /// It does not arrive.
    Commit,
}

impl Proxy {
    pub(super) fn to(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let cut = Arc::new(AtomicU8::new(NOTHING));
        let proxy = Self {
            port: listener.local_addr().unwrap().port(),
            cut: Arc::clone(&cut),
        };
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                // The database may be down: then the connection ends at once.
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else {
                    continue;
                };
                let (from, to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                let lost = Arc::new(AtomicU8::new(0));
                let (cut, lost_there) = (Arc::clone(&cut), Arc::clone(&lost));
                std::thread::spawn(move || forward(client, server, &cut, &lost_there));
                std::thread::spawn(move || back(from, to, &lost));
            }
        });
        proxy
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn cut_next(&self, cut: Cut) {
        let number = match cut {
            Cut::Answer => ANSWER,
            Cut::Commit => COMMIT,
        };
        self.cut.store(number, Ordering::SeqCst);
    }

    pub(super) fn has_cut(&self) -> bool {
        self.cut.load(Ordering::SeqCst) == NOTHING
    }
}

fn forward(mut client: TcpStream, mut server: TcpStream, cut: &AtomicU8, lost: &AtomicU8) {
    let mut bytes = [0; 65_536];
    while let Ok(len @ 1..) = client.read(&mut bytes) {
        let is_commit = bytes[..len].windows(6).any(|it| it == b"COMMIT");
        if is_commit {
            match cut.swap(NOTHING, Ordering::SeqCst) {
                ANSWER => {
                    // Nothing goes back any more, and then the connection ends.
                    lost.store(1, Ordering::SeqCst);
                    let _ = server.write_all(&bytes[..len]);
                    continue;
                }
                COMMIT => {
                    let _ = client.shutdown(Shutdown::Both);
                    break;
                }
                _ => {}
            }
        }
        if server.write_all(&bytes[..len]).is_err() {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Both);
}

/// The database gives a transaction up when it cannot answer: what is lost is swallowed
/// until COMMIT was carried out.
fn back(mut server: TcpStream, mut client: TcpStream, lost: &AtomicU8) {
    let mut bytes = [0; 65_536];
    while let Ok(len @ 1..) = server.read(&mut bytes) {
        if lost.load(Ordering::SeqCst) == 1 {
            if bytes[..len].windows(6).any(|it| it == b"COMMIT") {
                break;
            }
        } else if client.write_all(&bytes[..len]).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
}

const NOTHING: u8 = 0;
const ANSWER: u8 = 1;
const COMMIT: u8 = 2;
