//! The curve channel beside rustls' TLS 1.3 on the same machine in one run:
//! processor time of both ends, over the same kind of memory pipe.
//!
//! ```text
//! NAME ours theirs ratio target
//! figure NAME RATIO × at-least TARGET
//! ```
//!
//! The second form is what `cargo xtask bench` reads, of the promised figures alone.
//! Bulk is in MiB of message a second of processor time, 63 KiB a message;
//! handshakes are in handshakes a second. Rounds of ours and theirs
//! alternate and the best of each counts: what disturbs a round, another
//! process or the clock's frequency, only ever makes it slower.
//!
//! Both ends do all that a real connection does but the system calls: records
//! are sealed into the pipe, taken from it,
//! opened, and the plaintext is read where the library leaves it.

mod ours;
mod theirs;

use std::error::Error;
use std::io::Write;
use std::time::Duration;

use keystead_channel::curve::{Aead, Extension, ExtensionSet, Offer};
use rustix::time::{ClockId, clock_gettime};
use rustls::CipherSuite;
use rustls::NamedGroup;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "NAME ours theirs ratio target")?;
    let chacha = CipherSuite::TLS13_CHACHA20_POLY1305_SHA256;
    let aes = CipherSuite::TLS13_AES_256_GCM_SHA384;
    for (name, offer, suite, weight) in [
        ("bulk-base", Offer::Strict, chacha, Weight::Promised),
        (
            "bulk-aead-aes256gcm",
            with_aead(Aead::Aes256Gcm),
            aes,
            Weight::Promised,
        ),
        (
            "bulk-aead-chacha20poly1305",
            with_aead(Aead::ChaCha20Poly1305),
            chacha,
            Weight::Shown,
        ),
    ] {
        let mut ours = ours::Bulk::new(&offer, MESSAGE_BYTES)?;
        let mut theirs = theirs::Bulk::new(suite, MESSAGE_BYTES)?;
        let rates = compare(
            BULK_PER_ROUND,
            MIB_PER_MESSAGE,
            || ours.pass(),
            || theirs.pass(),
        )?;
        rates.write(&mut output, name, BULK_TARGET, weight)?;
    }
    for (name, group, weight) in [
        ("handshake-bind", NamedGroup::X25519, Weight::Promised),
        (
            "handshake-bind-over-postquantum-tls",
            NamedGroup::X25519MLKEM768,
            Weight::Shown,
        ),
    ] {
        let ours = ours::Meeting::new(&with_aead(Aead::Aes256Gcm))?;
        let theirs = theirs::Meeting::new(aes, group)?;
        let rates = compare(
            HANDSHAKES_PER_ROUND,
            1.0,
            || ours.meet().map(drop),
            || theirs.meet().map(drop),
        )?;
        rates.write(&mut output, name, HANDSHAKE_TARGET, weight)?;
    }
    Ok(())
}

/// Whether a figure is one that must be reached.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weight {
    Promised,
    Shown,
}

/// The default extensions, by one algorithm.
fn with_aead(aead: Aead) -> Offer {
    Offer::Listed {
        extensions: ExtensionSet::NONE
            .with(Extension::Bind)
            .with(Extension::Rekey)
            .with(Extension::Aead),
        aeads: vec![aead],
    }
}

/// Units a second of processor time, of ours and of theirs.
struct Rates {
    ours: f64,
    theirs: f64,
}

impl Rates {
    fn write(
        &self,
        output: &mut impl Write,
        name: &str,
        target: f64,
        weight: Weight,
    ) -> Outcome<()> {
        let Self { ours, theirs } = self;
        let ratio = ours / theirs;
        writeln!(
            output,
            "{name} {ours:.0} {theirs:.0} {ratio:.2} {target:.1}"
        )?;
        if weight == Weight::Promised {
            writeln!(
                output,
                "figure {name} / TLS {ratio:.2} × at-least {target:.1}"
            )?;
        }
        Ok(())
    }
}

/// Runs both, in turns; `unit` is what one run counts for.
fn compare(
    runs: u32,
    unit: f64,
    mut ours: impl FnMut() -> Outcome<()>,
    mut theirs: impl FnMut() -> Outcome<()>,
) -> Outcome<Rates> {
    let mut best = [Duration::MAX; 2];
    for _ in 0..ROUNDS {
        let [of_ours, of_theirs] = &mut best;
        *of_ours = time(runs, &mut ours)?.min(*of_ours);
        *of_theirs = time(runs, &mut theirs)?.min(*of_theirs);
    }
    let [ours, theirs] = best.map(|time| unit * f64::from(runs) / time.as_secs_f64());
    Ok(Rates { ours, theirs })
}

fn time(runs: u32, run: &mut impl FnMut() -> Outcome<()>) -> Outcome<Duration> {
    let before = processor_time()?;
    for _ in 0..runs {
        run()?;
    }
    Ok(processor_time()?.saturating_sub(before))
}

fn processor_time() -> Outcome<Duration> {
    Ok(Duration::try_from(clock_gettime(ClockId::ProcessCPUTime))?)
}

/// The message of the target: just below rustls' default buffer of 64 KiB,
/// and below the greatest of one frame.
const MESSAGE_BYTES: usize = 63 * 1024;
const MIB_PER_MESSAGE: f64 = 63.0 / 1024.0;

const ROUNDS: u32 = 40;
/// About 10 ms a round.
const BULK_PER_ROUND: u32 = 200;
const HANDSHAKES_PER_ROUND: u32 = 50;

/// Ours at least as fast as TLS with the same class of cipher.
const BULK_TARGET: f64 = 1.0;
/// Ours at least half as fast again as mutual TLS.
const HANDSHAKE_TARGET: f64 = 1.5;
