//! Sends each line of standard input as one message, and prints each answer
//! as a line.
//!
//! ```text
//! echo_client --connect ADDRESS --secret-key-file F --peer-key-file F [--strict]
//! ```
//!
//! `--strict` is the base profile; without it `bind` and the other default
//! extensions are offered, and a server of the base profile is refused.

mod common;

use std::io::{BufRead, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;

use keystead_channel::curve::{
    Client, ClientHandshake, ClientSetup, CloseCode, Established, Opened, Timing,
};
use rand_core::OsRng;

use common::{Clock, Failure, Link, Options, exit};

fn main() -> ExitCode {
    exit("echo_client", run())
}

fn run() -> Result<(), Failure> {
    let options = Options::parse("--connect")?;
    let clock = Clock::start();
    let (mut link, mut end) = meet(&options, &clock)?;
    let outcome = echo_lines(&mut link, &mut end, &clock);
    let mut last = Vec::new();
    end.close(CloseCode::Done, clock.now_ms(), &mut last);
    match outcome {
        Ok(()) => link.send(&last),
        Err(failure) => {
            // The peer may be gone already; the failure says more.
            let _sent = link.send(&last);
            Err(failure)
        }
    }
}

fn meet(options: &Options, clock: &Clock) -> Result<(Link, Established<Client>), Failure> {
    let (keys, server) = options.read_keys()?;
    let (offer, floor) = options.profile();
    let setup = ClientSetup {
        keys,
        server,
        offer,
        floor,
        timing: Timing::STREAM,
    };
    let stream = TcpStream::connect(&options.address)
        .map_err(|error| Failure::Error(format!("{}: {error}", options.address)))?;
    let mut link = Link::new(stream);
    let (handshake, hello) = ClientHandshake::start(setup, clock.now_ms(), &mut OsRng)?;
    link.send(&hello)?;
    let cookie = link.frame(&handshake.accepts(), clock, Some(handshake.timeout_ms()))?;
    let (end, vouch) = handshake.receive(&cookie, clock.now_ms(), &mut OsRng)?;
    link.send(&vouch)?;
    Ok((link, end))
}

fn echo_lines(
    link: &mut Link,
    end: &mut Established<Client>,
    clock: &Clock,
) -> Result<(), Failure> {
    let accepts = end.accepts();
    let mut input = std::io::stdin().lock();
    let mut output = std::io::stdout().lock();
    let (mut line, mut sealed) = (Vec::new(), Vec::new());
    for number in 1_u64.. {
        line.clear();
        // One byte more than a line and its end: enough to see that it is too long.
        input
            .by_ref()
            .take(LINE_BYTES_MAX + 2)
            .read_until(b'\n', &mut line)?;
        if line.is_empty() {
            break;
        }
        let message = line.strip_suffix(b"\n").unwrap_or(&line);
        let message_bytes = u64::try_from(message.len()).unwrap_or(u64::MAX);
        if !(1..=LINE_BYTES_MAX).contains(&message_bytes) {
            return Err(Failure::Error(format!(
                "line {number} has not 1 to {LINE_BYTES_MAX} bytes"
            )));
        }
        sealed.clear();
        end.seal(message, clock.now_ms(), &mut sealed)
            .map_err(|error| Failure::Error(error.to_string()))?;
        link.send(&sealed)?;
        loop {
            let mut frame = link.frame(&accepts, clock, None)?;
            match end.open(&mut frame, clock.now_ms())? {
                Opened::Message(answer) => {
                    output.write_all(answer)?;
                    output.write_all(b"\n")?;
                    output.flush()?;
                    break;
                }
                Opened::KeepAlive => {}
                Opened::Close(code) => {
                    return Err(Failure::Error(format!("the server closed: {code}")));
                }
            }
        }
    }
    Ok(())
}

/// Longest line that is sent, as one message, in any profile.
const LINE_BYTES_MAX: u64 = 60_000;
