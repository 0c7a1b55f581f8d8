//! A Trezor that is none: for tests, on the UDP port of an emulator.
//!
//! Written from the public definitions alone (trezor-firmware `common/protob`, SLIP-0010, 0013,
//! 0017, BIP-39), with a wire and a derivation of its own: nothing of the project is in it, so
//! that both do not err alike.
//!
//! `simulated-trezor [--listen ADDR:PORT] [--words WORDS] [--model 1|T] [--version A.B.C]
//! [--pin DIGITS] [--passphrase] [--passphrase-on-device]
//! [--decide yes|no|never|unplug|garbage|false|other]
//! [--state ready|empty|loader|new-protocol|busy]` prints `ready udp:ADDR:PORT`, then a line for
//! each thing that its screen shows.

mod answers;
mod derive;
mod device;
mod numbers;
mod setup;
mod wire;

use std::io::{self, Write};
use std::net::{SocketAddr, UdpSocket};

use device::{Device, Out};
use setup::{Decide, Setup, State};
use wire::Assembler;

fn main() -> io::Result<()> {
    let (listen, setup) = arguments(std::env::args().skip(1))?;
    let socket = UdpSocket::bind(listen)?;
    show(&format!("ready udp:{}", socket.local_addr()?))?;
    serve(&socket, Device::new(setup))
}

/// As the emulators do: whoever spoke last is answered.
fn serve(socket: &UdpSocket, mut device: Device) -> io::Result<()> {
    let mut assembler = Assembler::default();
    let mut buffer = [0; 256];
    loop {
        let (length, from) = socket.recv_from(&mut buffer)?;
        let bytes = buffer.get(..length).unwrap_or_default();
        if bytes == b"PINGPING" {
            socket.send_to(b"PONGPONG", from)?;
            continue;
        }
        let Some((number, body)) = assembler.take(bytes) else {
            continue;
        };
        for out in device.take(number, &body) {
            match out {
                Out::Screen(text) => show(&format!("screen: {text}"))?,
                Out::Message(number, body) => {
                    for report in wire::reports(number, &body) {
                        socket.send_to(&report, from)?;
                    }
                }
                Out::Garbage => {
                    socket.send_to(&[0x3f; 64], from)?;
                }
                Out::Unplug => return Ok(()),
            }
        }
    }
}

fn arguments(mut words: impl Iterator<Item = String>) -> io::Result<(SocketAddr, Setup)> {
    let wrong = |what: String| io::Error::new(io::ErrorKind::InvalidInput, what);
    let mut listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut setup = Setup::default();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| wrong(format!("{word} what?")));
        match word.as_str() {
            "--listen" => listen = value()?.parse().map_err(|_| wrong("--listen".to_owned()))?,
            "--words" => setup.words = value()?,
            "--model" => setup.model = value()?,
            "--version" => {
                let text = value()?;
                let mut numbers = text.split('.').map(str::parse);
                let mut next = || numbers.next().and_then(Result::ok);
                let version = next().zip(next()).zip(next()).map(|((a, b), c)| [a, b, c]);
                setup.version = version.ok_or_else(|| wrong(format!("no version: {text}")))?;
            }
            "--pin" => setup.pin = Some(value()?),
            "--passphrase" => setup.has_passphrase = true,
            "--decide" => {
                let text = value()?;
                setup.decide = Decide::of(&text).ok_or_else(|| wrong(format!("decide {text}?")))?;
            }
            "--passphrase-on-device" => {
                setup.has_passphrase = true;
                setup.is_passphrase_on_device = true;
            }
            "--state" => {
                let text = value()?;
                setup.state = State::of(&text).ok_or_else(|| wrong(format!("state {text}?")))?;
            }
            other => return Err(wrong(format!("{other}?"))),
        }
    }
    Ok((listen, setup))
}

fn show(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
