//! SIGHUP: the end of the terminal.
//!
//! **Invariant:** where it is ignored when the program starts, it stays so.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGHUP, which stays ignored where it is: so nohup(1) starts what is to outlive its terminal.
#[derive(Debug)]
pub struct HangUp(Option<Signal>);

impl HangUp {
    /// Catches it from now on.
    ///
    /// # Errors
    /// The system's.
    pub fn catch() -> io::Result<Self> {
        let caught = match is_ignored() {
            true => None,
            false => Some(signal(SignalKind::hangup())?),
        };
        Ok(Self(caught))
    }

    /// Waits for it. May be dropped and called again.
    pub async fn recv(&mut self) {
        match &mut self.0 {
            Some(caught) => {
                caught.recv().await;
            }
            None => std::future::pending().await,
        }
    }
}

pub(crate) fn is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status");
    ignores(&status.unwrap_or_default(), SignalKind::hangup())
}

/// Whether a process ignores a signal, by its status (proc_pid_status(5)): hex of a set whose
/// lowest bit is signal 1.
fn ignores(status: &str, signal: SignalKind) -> bool {
    let set = status.lines().find_map(|it| it.strip_prefix("SigIgn:"));
    let set = set.and_then(|it| u64::from_str_radix(it.trim(), 16).ok());
    let bit = u32::try_from(signal.as_raw_value().saturating_sub(1)).ok();
    let bit = bit.and_then(|it| 1_u64.checked_shl(it));
    set.zip(bit).is_some_and(|(set, bit)| set & bit != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_ignores_stands_in_its_status() {
        let check = |set: &str, kind: SignalKind, expected: bool| {
            let status =
                format!("Name:\ta\nSigBlk:\tffffffffffffffff\nSigIgn:\t{set}\nSigCgt:\t0\n");
            assert_eq!(ignores(&status, kind), expected, "{set}");
        };
        check("0000000000000001", SignalKind::hangup(), true);
        check("0000000000000006", SignalKind::hangup(), false);
        check("0000000000000006", SignalKind::interrupt(), true);
        check("fffffffffffffffe", SignalKind::hangup(), false);
        check("", SignalKind::hangup(), false);
    }
}
