//! The emulator's port: a report is a datagram.
//!
//! While a person decides no report passes, and the end of an emulator shows only when something
//! is sent: so it is asked now and then whether it is there (`PINGPING`, trezor-firmware
//! `legacy/emulator/udp.c`).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::{REPORT_BYTES, Report, TrezorDown, TrezorEvent};

pub(super) async fn run(
    address: SocketAddr,
    told: &mpsc::Sender<TrezorEvent>,
    mut to_send: mpsc::UnboundedReceiver<Report>,
) -> TrezorDown {
    let away = |error: &io::Error| TrezorDown::Away(words(address, error));
    let socket = match open(address).await {
        Ok(socket) => socket,
        Err(error) => return away(&error),
    };
    if told.send(TrezorEvent::Up).await.is_err() {
        return closed();
    }
    let mut ping = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // One byte more than a report shows those that are longer.
    let mut buffer = [0; REPORT_BYTES + 1];
    loop {
        let done = tokio::select! {
            report = to_send.recv() => match report {
                Some(report) => socket.send(&report).await.map(|_| ()),
                None => return closed(),
            },
            _ = ping.tick() => socket.send(PING).await.map(|_| ()),
            read = socket.recv(&mut buffer) => match read {
                Ok(length) => {
                    let bytes = buffer.get(..length).unwrap_or_default();
                    if bytes != PONG {
                        let report = TrezorEvent::Report(bytes.to_vec());
                        if told.send(report).await.is_err() {
                            return closed();
                        }
                    }
                    buffer.fill(0);
                    Ok(())
                }
                Err(error) => Err(error),
            },
        };
        if let Err(error) = done {
            return away(&error);
        }
    }
}

async fn open(address: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = if address.is_ipv4() {
        ([0, 0, 0, 0], 0).into()
    } else {
        ([0; 16], 0).into()
    };
    let socket = UdpSocket::bind(any).await?;
    // Datagrams of others do not arrive then, and a port where nobody listens is an error.
    socket.connect(address).await?;
    Ok(socket)
}

fn words(address: SocketAddr, error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::ConnectionRefused {
        format!("no emulator at {address}")
    } else {
        format!("{address}: {error}")
    }
}

fn closed() -> TrezorDown {
    TrezorDown::Away("closed".to_owned())
}

const PING: &[u8] = b"PINGPING";
const PONG: &[u8] = b"PONGPONG";

/// 1 s: an emulator that has ended is noticed before a person wonders.
const PING_EVERY: Duration = Duration::from_secs(1);
