//! Device passes: a machine that has logged in before is not kept out by strangers who
//! guess at its owner's name (`spec/session.md` section 5.2).
//!
//! **Invariant**: a pass is kept as its hash, belongs to one account, and is worth a few
//! wrong passwords; with it alone nobody logs in.

use aws_lc_rs::digest::{SHA256, digest};
use keystead_core::Secret;

use crate::rows::Pass;
use crate::settings::Guesses;

/// What it is found by. It has 256 drawn bits, so its hash tells nothing of it.
pub(super) fn hash(pass: &Secret<32>) -> [u8; 32] {
    let hash = digest(&SHA256, pass.expose());
    hash.as_ref().first_chunk().copied().unwrap_or_default()
}

/// Whether it still skips waits and locks.
pub(super) fn is_good(pass: &Pass, now_ms: u64, rules: &Guesses) -> bool {
    let life_ms = u64::from(rules.pass_days).saturating_mul(DAY_MS);
    // One of the future is of before the clock went back.
    let is_young = now_ms
        .saturating_add(BACK_MS_MAX)
        .checked_sub(pass.made_ms)
        .is_some_and(|age_ms| age_ms < life_ms.saturating_add(BACK_MS_MAX));
    is_young && pass.count < rules.pass_wrong_max
}

const DAY_MS: u64 = 86_400_000;

/// 60,000 ms: what clocks are set by without a jump.
const BACK_MS_MAX: u64 = 60_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{AccountNo, NameTag};

    #[test]
    fn a_pass_ends_by_age_and_by_wrong_passwords() {
        let made_ms = 1_800_000_000_000;
        let check = |count, now_ms, expected| {
            let pass = Pass {
                hash: [1; 32],
                account: AccountNo(1),
                made_ms,
                count,
                tag: NameTag([2; 16]),
            };
            let is_good = is_good(&pass, now_ms, &Guesses::default());
            assert_eq!(is_good, expected, "{count} wrong at {now_ms}");
        };
        check(0, made_ms, true);
        check(9, made_ms, true);
        check(10, made_ms, false);
        check(0, made_ms + 90 * DAY_MS - 1, true);
        check(0, made_ms + 90 * DAY_MS, false);
        check(0, made_ms - BACK_MS_MAX, true);
        check(0, made_ms - BACK_MS_MAX - 1, false);
        check(0, 0, false);
    }
}
