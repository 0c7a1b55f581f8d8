//! Programs in the background that are not asked for again for a while.
//!
//! **Invariant**: only a no to a question about a program in the background, or nobody's answer
//! to it, makes that program quiet; a yes ends it.

use std::collections::BTreeMap;

use keystead_core::PairingId;

/// Whose background requests are refused without a question, and until when.
#[derive(Default)]
pub(super) struct Quiet {
    until: BTreeMap<(PairingId, String), Pause>,
}

struct Pause {
    until_ms: u64,
    /// Whether the person was told that something was refused in it.
    is_told: bool,
}

/// What a request in the background meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may be asked for.
    Ask,
    /// It is not; for the first time in this pause.
    RefuseAndSay {
        /// Until it may be asked for again.
        left_s: u64,
    },
    /// It is not, and the person knows.
    Refuse {
        /// As above.
        left_s: u64,
    },
}

impl Quiet {
    /// A question about it ended without a yes.
    pub(super) fn begin(&mut self, pairing: PairingId, program: Option<&str>, now_ms: u64) {
        self.until.retain(|_, pause| now_ms < pause.until_ms);
        if self.until.len() >= PROGRAMS_MAX {
            // Whoever changes its name with each request gets no more out of it than a question.
            let first = self.until.iter().min_by_key(|(_, pause)| pause.until_ms);
            if let Some(first) = first.map(|(key, _)| key.clone()) {
                self.until.remove(&first);
            }
        }
        let pause = Pause {
            until_ms: now_ms.saturating_add(PAUSE_MS),
            is_told: false,
        };
        self.until.insert(key(pairing, program), pause);
    }

    /// A question about it ended with a yes.
    pub(super) fn end(&mut self, pairing: PairingId, program: Option<&str>) {
        self.until.remove(&key(pairing, program));
    }

    /// Whether its next request may be asked for.
    pub(super) fn judge(
        &mut self,
        pairing: PairingId,
        program: Option<&str>,
        now_ms: u64,
    ) -> Verdict {
        let pause = self.until.get_mut(&key(pairing, program));
        let Some(pause) = pause.filter(|it| now_ms < it.until_ms) else {
            return Verdict::Ask;
        };
        let left_s = pause.until_ms.saturating_sub(now_ms).div_ceil(1_000);
        if std::mem::replace(&mut pause.is_told, true) {
            Verdict::Refuse { left_s }
        } else {
            Verdict::RefuseAndSay { left_s }
        }
    }
}

fn key(pairing: PairingId, program: Option<&str>) -> (PairingId, String) {
    (pairing, program.unwrap_or_default().to_owned())
}

/// 5 minutes: a timer that tries each minute asks a person once in that time, not five times.
const PAUSE_MS: u64 = 5 * 60 * 1_000;

/// 256 programs of all workstations.
const PROGRAMS_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const LAPTOP: PairingId = PairingId([1; 8]);
    const DESK: PairingId = PairingId([2; 8]);

    #[test]
    fn a_pause_is_for_one_program_of_one_workstation() {
        let mut quiet = Quiet::default();
        assert_eq!(quiet.judge(LAPTOP, Some("/bin/a"), 0), Verdict::Ask);
        quiet.begin(LAPTOP, Some("/bin/a"), 1_000);
        let first = Verdict::RefuseAndSay { left_s: 300 };
        assert_eq!(quiet.judge(LAPTOP, Some("/bin/a"), 1_000), first);
        let left_s = 1;
        assert_eq!(
            quiet.judge(LAPTOP, Some("/bin/a"), 300_999),
            Verdict::Refuse { left_s }
        );
        for (pairing, program) in [
            (LAPTOP, Some("/bin/b")),
            (LAPTOP, None),
            (DESK, Some("/bin/a")),
        ] {
            assert_eq!(quiet.judge(pairing, program, 1_000), Verdict::Ask);
        }
        assert_eq!(quiet.judge(LAPTOP, Some("/bin/a"), 301_000), Verdict::Ask);
    }

    #[test]
    fn a_yes_ends_it_and_many_names_fill_nothing() {
        let mut quiet = Quiet::default();
        quiet.begin(LAPTOP, None, 0);
        quiet.end(LAPTOP, None);
        assert_eq!(quiet.judge(LAPTOP, None, 1), Verdict::Ask);
        for name in 0..1_000_u64 {
            quiet.begin(LAPTOP, Some(&name.to_string()), name);
        }
        assert_eq!(quiet.until.len(), PROGRAMS_MAX);
        assert_eq!(
            quiet.judge(LAPTOP, Some("999"), 1_000),
            Verdict::RefuseAndSay { left_s: 300 }
        );
    }
}
