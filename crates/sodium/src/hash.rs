//! BLAKE2b (RFC 7693) with any output length and any key.
//!
//! **Invariant:** the output length is a type parameter, and one that RFC 7693
//! section 2.1 does not allow fails to compile.

use crate::{ffi, memory, start, wide};

/// Hashes the concatenation of `parts` to `N` bytes (1 to 64).
///
/// An empty `key` is the unkeyed hash.
///
/// # Panics
/// When `key` is longer than [`KEY_BYTES_MAX`].
#[must_use]
pub fn blake2b<const N: usize>(key: &[u8], parts: &[&[u8]]) -> [u8; N] {
    // On the stack and never moved, so that wiping it leaves no copy.
    let mut state = EMPTY;
    start_keyed::<N>(&mut state, key);
    for part in parts {
        take(&mut state, part);
    }
    let output = finish(&mut state);
    memory::wipe(&mut state.opaque);
    output
}

/// A BLAKE2b computation under way, whose output has `N` bytes (1 to 64).
///
/// Its state is wiped on drop, for it holds the key; it is boxed because a
/// moved value would leave a copy behind.
pub struct Blake2b<const N: usize> {
    state: Box<State>,
}

impl<const N: usize> Blake2b<N> {
    /// Starts a hash; an empty `key` is the unkeyed one.
    ///
    /// # Panics
    /// When `key` is longer than [`KEY_BYTES_MAX`].
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        let mut state = Box::new(EMPTY);
        start_keyed::<N>(&mut state, key);
        Self { state }
    }

    /// Takes in more of the message.
    pub fn update(&mut self, part: &[u8]) {
        take(&mut self.state, part);
    }

    /// The hash of all that was taken in.
    #[must_use]
    pub fn finish(mut self) -> [u8; N] {
        finish(&mut self.state)
    }
}

impl<const N: usize> Drop for Blake2b<N> {
    fn drop(&mut self) {
        memory::wipe(&mut self.state.opaque);
    }
}

fn start_keyed<const N: usize>(state: &mut State, key: &[u8]) {
    const { assert!(N >= 1 && N <= OUTPUT_BYTES_MAX, "RFC 7693 section 2.1") };
    assert!(key.len() <= KEY_BYTES_MAX, "RFC 7693 section 2.1");
    start();
    // SAFETY: `state` is writable and aligned as its type asks; `key` points
    // to `key.len()` readable bytes, at most 64, and N is in range, so the
    // call cannot fail.
    unsafe {
        ffi::crypto_generichash_blake2b_init(state, key.as_ptr(), key.len(), N);
    }
}

fn take(state: &mut State, part: &[u8]) {
    // SAFETY: every state of this module went through `start_keyed`; `part`
    // points to `part.len()` readable bytes.
    unsafe {
        ffi::crypto_generichash_blake2b_update(state, part.as_ptr(), wide(part.len()));
    }
}

fn finish<const N: usize>(state: &mut State) -> [u8; N] {
    let mut output = [0; N];
    // SAFETY: the state went through `start_keyed` with the same N, and is not
    // used again; `output` has N writable bytes.
    unsafe {
        ffi::crypto_generichash_blake2b_final(state, output.as_mut_ptr(), N);
    }
    output
}

type State = ffi::crypto_generichash_blake2b_state;

const EMPTY: State = State { opaque: [0; 384] };

/// Longest key (RFC 7693 section 2.1).
pub const KEY_BYTES_MAX: usize = 64;

/// Longest output (RFC 7693 section 2.1).
pub const OUTPUT_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[track_caller]
    fn check<const N: usize>(key: &[u8], message: &[u8], expected: &str) {
        assert_eq!(hex(&blake2b::<N>(key, &[message])), expected);
        for cut in 0..=message.len() {
            let (head, tail) = message.split_at(cut);
            assert_eq!(hex(&blake2b::<N>(key, &[head, tail])), expected);
        }
    }

    #[test]
    fn rfc_7693_appendix_a() {
        check::<64>(
            b"",
            b"abc",
            "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1\
             7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923",
        );
    }

    /// The reference implementation's `blake2-kat.json`: key 00…3f.
    #[test]
    fn keyed_vectors_of_the_reference_implementation() {
        let key: Vec<u8> = (0..64).collect();
        check::<64>(
            &key,
            b"",
            "10ebb67700b1868efb4417987acf4690ae9d972fb7a590c2f02871799aaa4786\
             b5e996e8f0f4eb981fc214b005f42d2ff4233499391653df7aefcbc13fc51568",
        );
        check::<64>(
            &key,
            &[0],
            "961f6dd1e4dd30f63901690c512e78e4b45e4742ed197c3c5e45c549fd25f2e4\
             187b0bc9fe30492b16b0d0bc4ef9b0f34c7003fac09a5ef1532e69430234cebd",
        );
    }

    #[test]
    fn short_outputs_are_hashes_of_their_own() {
        check::<32>(
            b"",
            b"abc",
            "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319",
        );
        check::<8>(b"", b"abc", "d8bb14d833d59559");
        check::<1>(b"", b"abc", "6b");
        check::<64>(
            b"",
            b"",
            "786a02f742015903c6c6fd852552d272912f4740e15847618a86e217f71f5419\
             d25e1031afee585313896444934eb04b903a685b1448b755d56f701afe9be2ce",
        );
    }

    #[test]
    #[should_panic(expected = "RFC 7693")]
    fn a_key_of_65_bytes_is_a_mistake() {
        let _hash = blake2b::<32>(&[0; 65], &[]);
    }
}
