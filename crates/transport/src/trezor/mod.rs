//! The cable to a Trezor: USB, or the UDP port of its emulator. Reports of 64 bytes each way.
//!
//! **Invariant:** nothing is read of what passes; a link tells once that it is up, and once that
//! it is down; dropped it is closed, so that another program can have the device.
//!
//! UDP is always there. USB (Linux; the WebUSB interface of newer devices, HID of the first
//! ones) is behind the feature `usb`: releases have it.

mod udp;
#[cfg(feature = "usb")]
mod usb;

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use tokio::sync::mpsc;

/// 64 bytes.
pub const REPORT_BYTES: usize = 64;

/// One report.
pub type Report = [u8; REPORT_BYTES];

/// Where a device is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrezorPath {
    /// On USB: the one that is there, or that of this serial number.
    Usb(Option<String>),
    /// An emulator.
    Udp(SocketAddr),
}

/// A text that says no place of a device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no place of a Trezor: usb, usb:SERIAL or udp:127.0.0.1:21324")]
pub struct TrezorPathError(pub String);

impl FromStr for TrezorPath {
    type Err = TrezorPathError;

    fn from_str(text: &str) -> Result<Self, TrezorPathError> {
        let wrong = || TrezorPathError(text.to_owned());
        match text.split_once(':') {
            None if text == "usb" => Ok(Self::Usb(None)),
            None if text == "udp" => Ok(Self::Udp(SocketAddr::from(EMULATOR))),
            Some(("usb", serial)) if is_serial(serial) => Ok(Self::Usb(Some(serial.to_owned()))),
            Some(("udp", address)) => emulator(address).map(Self::Udp).ok_or_else(wrong),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for TrezorPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usb(None) => f.write_str("usb"),
            Self::Usb(Some(serial)) => write!(f, "usb:{serial}"),
            Self::Udp(address) => write!(f, "udp:{address}"),
        }
    }
}

/// What a link says.
#[derive(Clone, PartialEq, Eq)]
pub enum TrezorEvent {
    /// It is open.
    Up,
    /// A report, or what came in the place of one.
    Report(Vec<u8>),
    /// It is closed, and says nothing more.
    Down(TrezorDown),
}

/// Why a link is down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrezorDown {
    /// Nothing is there, or not any more.
    Away(String),
    /// Another program has it.
    Busy,
    /// This account may not open it.
    Forbidden(String),
}

/// A link to one device. Dropped it closes, once what was sent is out.
pub struct TrezorLink {
    reports: mpsc::UnboundedSender<Report>,
}

impl TrezorLink {
    /// Opens a link; what comes of it is told to `told`, at last [`TrezorEvent::Down`].
    #[must_use]
    pub fn open(path: TrezorPath, told: mpsc::Sender<TrezorEvent>) -> Self {
        let (reports, to_send) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let down = match path {
                TrezorPath::Udp(address) => udp::run(address, &told, to_send).await,
                #[cfg(feature = "usb")]
                TrezorPath::Usb(serial) => usb::run(serial, &told, to_send).await,
                #[cfg(not(feature = "usb"))]
                TrezorPath::Usb(_) => TrezorDown::Away(NO_USB.to_owned()),
            };
            let _ = told.send(TrezorEvent::Down(down)).await;
        });
        Self { reports }
    }

    /// Sends a report, behind all that were sent before.
    pub fn send(&self, report: &Report) {
        // A link that is down has said so.
        let _ = self.reports.send(*report);
    }
}

/// As Trezor's own programs name an emulator: `127.0.0.1:21324`, or without the port; and
/// `localhost`, which is no name to look up.
fn emulator(address: &str) -> Option<SocketAddr> {
    let numbers = match address.strip_prefix("localhost") {
        Some(port) => format!("127.0.0.1{port}"),
        None => address.to_owned(),
    };
    let host = || Some(SocketAddr::new(numbers.parse().ok()?, EMULATOR.1));
    numbers.parse().ok().or_else(host)
}

/// Letters and digits, as a Trezor's serial number is.
fn is_serial(serial: &str) -> bool {
    let is_short = (1..=SERIAL_BYTES_MAX).contains(&serial.len());
    is_short && serial.bytes().all(|it| it.is_ascii_alphanumeric())
}

/// The emulator's own port (trezor-firmware, `legacy/emulator/udp.c`).
const EMULATOR: ([u8; 4], u16) = ([127, 0, 0, 1], 21_324);

/// 64 bytes of a serial number; a Trezor's has 24.
const SERIAL_BYTES_MAX: usize = 64;

#[cfg(not(feature = "usb"))]
const NO_USB: &str = "this program has no USB: it was built without the feature usb";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        #[track_caller]
        fn check(text: &str, expected: Option<TrezorPath>) {
            assert_eq!(text.parse().ok(), expected, "{text}");
            if let Some(path) = expected {
                assert_eq!(path.to_string().parse(), Ok(path));
            }
        }
        let emulator = |address: &str| Some(TrezorPath::Udp(address.parse().unwrap()));
        check("udp:127.0.0.1:21324", emulator("127.0.0.1:21324"));
        check("udp", emulator("127.0.0.1:21324"));
        check("udp:[::1]:1", emulator("[::1]:1"));
        check("usb", Some(TrezorPath::Usb(None)));
        check(
            "usb:A1B2C3",
            Some(TrezorPath::Usb(Some("A1B2C3".to_owned()))),
        );
        check("usb:", None);
        check("usb:a b", None);
        check("udp:", None);
        check("udp:127.0.0.1", emulator("127.0.0.1:21324"));
        check("udp:::1", emulator("[::1]:21324"));
        check("udp:localhost", emulator("127.0.0.1:21324"));
        check("udp:localhost:21325", emulator("127.0.0.1:21325"));
        check("udp:localhostess:21324", None);
        check("udp:127.0.0.1:", None);
        check("udp:127.0.0.1:65536", None);
        check("udp:example.org:21324", None);
        check("hid", None);
        check("", None);
    }
}
