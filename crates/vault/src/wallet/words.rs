//! The words that a wallet is written down as (BIP-39).
//!
//! **Invariant**: a [`Words`] is a sentence of one list whose checksum fits: NFKD, one space
//! between two words. It lies in locked memory, and an error names a word by its position,
//! never by its letters.

use aws_lc_rs::{digest, pbkdf2};
use bip39::Language;
use keystead_core::{Secret, SecretBytes};
use keystead_sodium::memory;
use rand_core::CryptoRngCore;
use unicode_normalization::UnicodeNormalization;

use super::Seed;

/// A wallet's words.
///
/// ```compile_fail
/// fn needs<T: std::fmt::Debug>() {}
/// needs::<keystead_vault::wallet::Words>();
/// ```
/// ```compile_fail
/// fn needs<T: Clone>() {}
/// needs::<keystead_vault::wallet::Words>();
/// ```
pub struct Words {
    sentence: SecretBytes,
    count: WordCount,
}

impl Words {
    /// Makes new ones, of the English list.
    #[must_use]
    pub fn make(count: WordCount, rng: &mut dyn CryptoRngCore) -> Self {
        let mut entropy = SecretBytes::fill(ENTROPY_BYTES_MAX, |bytes| rng.fill_bytes(bytes));
        entropy.truncate(count.entropy_bytes());
        Self::of_entropy(&entropy, count, Language::English)
    }

    fn of_entropy(entropy: &SecretBytes, count: WordCount, list: Language) -> Self {
        let mut sentence = Sentence::new();
        memory::with_wiped_stack(|| {
            let bits = entropy_and_checksum(entropy.expose());
            for at in 0..count.get() {
                let word = list.word_list().get(eleven_bits(bits.expose(), at));
                sentence.push(word.copied().unwrap_or_default());
            }
        });
        Self {
            sentence: sentence.finish(),
            count,
        }
    }

    /// Reads words that a person typed or keeps: of any list of BIP-39, in upper or lower case,
    /// with any white space between them.
    ///
    /// # Errors
    /// [`WordsError`] names the first word that is wrong by its position.
    pub fn read(typed: &[u8]) -> Result<Self, WordsError> {
        memory::with_wiped_stack(|| Self::read_in_place(typed))
    }

    fn read_in_place(typed: &[u8]) -> Result<Self, WordsError> {
        if typed.len() > TYPED_BYTES_MAX {
            return Err(WordsError::Long);
        }
        let typed = str::from_utf8(typed).map_err(|_| WordsError::NotText)?;
        let typed = normalized(|| typed.nfkd().flat_map(char::to_lowercase));
        let typed = str::from_utf8(typed.expose()).map_err(|_| WordsError::NotText)?;
        let count = typed.split_whitespace().count();
        let count = WordCount::new(count).ok_or(WordsError::Count { count })?;

        let lists = Language::ALL.iter().copied();
        let fitting: Vec<Language> = lists
            .filter(|list| first_unknown(*list, typed).is_none())
            .collect();
        if fitting.is_empty() {
            return Err(first_wrong(typed));
        }
        // The two Chinese lists share words, and so do the English and the French one.
        if !fitting.iter().any(|list| checksum_fits(*list, typed)) {
            return Err(WordsError::Checksum { last: count.get() });
        }
        let mut sentence = Sentence::new();
        typed
            .split_whitespace()
            .for_each(|word| sentence.push(word));
        Ok(Self {
            sentence: sentence.finish(),
            count,
        })
    }

    /// How many they are.
    #[must_use]
    pub const fn count(&self) -> WordCount {
        self.count
    }

    /// The words, to be shown once.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.text().split(' ')
    }

    /// Whether the word at a position, from 1 on, is this one, as a person typed it.
    #[must_use]
    pub fn is_at(&self, position: usize, typed: &[u8]) -> bool {
        let Ok(typed) = str::from_utf8(typed) else {
            return false;
        };
        let typed = normalized(|| typed.trim().nfkd().flat_map(char::to_lowercase));
        let own = position.checked_sub(1).and_then(|at| self.iter().nth(at));
        own.is_some_and(|own| memory::equal(own.as_bytes(), typed.expose()))
    }

    /// The seed of these words and the words' passphrase, which is empty where there is none:
    /// each passphrase is another wallet.
    ///
    /// # Errors
    /// [`WordsError::NotText`] or [`WordsError::Long`] for the passphrase.
    pub fn seed(&self, passphrase: &SecretBytes) -> Result<Seed, WordsError> {
        if passphrase.len() > TYPED_BYTES_MAX {
            return Err(WordsError::Long);
        }
        memory::with_wiped_stack(|| {
            let passphrase =
                str::from_utf8(passphrase.expose()).map_err(|_| WordsError::NotText)?;
            let salt = normalized(|| SALT.chars().chain(passphrase.nfkd()));
            Ok(Seed::new(Secret::fill(|seed| {
                pbkdf2::derive(
                    pbkdf2::PBKDF2_HMAC_SHA512,
                    ROUNDS,
                    salt.expose(),
                    self.sentence.expose(),
                    seed,
                );
            })))
        })
    }

    fn text(&self) -> &str {
        // Made of words of a list alone.
        str::from_utf8(self.sentence.expose()).unwrap_or_default()
    }
}

/// How many words: 12, 15, 18, 21 or 24.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WordCount(usize);

impl WordCount {
    /// A number that BIP-39 has.
    #[must_use]
    pub fn new(count: usize) -> Option<Self> {
        COUNTS.contains(&count).then_some(Self(count))
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0
    }

    /// 11 bits a word, of which one in 33 is the checksum's.
    const fn entropy_bytes(self) -> usize {
        self.0.saturating_mul(4) / 3
    }
}

/// Why words are no wallet's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WordsError {
    /// Not UTF-8.
    #[error("the words are no text")]
    NotText,
    /// More than [`TYPED_BYTES_MAX`].
    #[error("the words have more than {TYPED_BYTES_MAX} bytes")]
    Long,
    /// A number that BIP-39 has not.
    #[error("{count} words; a wallet has 12, 15, 18, 21 or 24")]
    Count {
        /// How many came.
        count: usize,
    },
    /// In no list, or in another than the others.
    #[error("word {position} is not in the {list} list")]
    Word {
        /// From 1 on.
        position: usize,
        /// The list that has most of the words.
        list: &'static str,
    },
    /// All are words of a list, but not these in this order.
    #[error("the checksum in word {last} does not fit: a word is another one, or out of its place")]
    Checksum {
        /// The position of the last word, which holds the checksum.
        last: usize,
    },
}

impl WordsError {
    /// What a person can do.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::NotText | Self::Long => "type the words with spaces between them",
            Self::Count { .. } => "type all of them, in their order",
            Self::Word { .. } => "compare it with what was written down",
            Self::Checksum { .. } => "compare each word and the order with what was written down",
        }
    }
}

/// A sentence that is being put together.
struct Sentence {
    bytes: SecretBytes,
    len: usize,
}

impl Sentence {
    fn new() -> Self {
        Self {
            bytes: SecretBytes::fill(SENTENCE_BYTES_MAX, |_| ()),
            len: 0,
        }
    }

    /// A word, behind a space if it is not the first; one that finds no place ends the
    /// sentence, which no words of a list do.
    fn push(&mut self, word: &str) {
        let space = if self.len == 0 { "" } else { " " };
        for part in [space, word] {
            let end = self.len.saturating_add(part.len());
            if let Some(place) = self.bytes.expose_mut().get_mut(self.len..end) {
                place.copy_from_slice(part.as_bytes());
                self.len = end;
            }
        }
    }

    fn finish(mut self) -> SecretBytes {
        self.bytes.truncate(self.len);
        self.bytes
    }
}

/// The characters as UTF-8, in locked memory. They are made twice, for the length first.
fn normalized<I: Iterator<Item = char>>(chars: impl Fn() -> I) -> SecretBytes {
    let len = chars().map(char::len_utf8).sum();
    SecretBytes::fill(len, |mut place| {
        for one in chars() {
            let (head, rest) = place.split_at_mut(one.len_utf8().min(place.len()));
            if head.len() == one.len_utf8() {
                one.encode_utf8(head);
            }
            place = rest;
        }
    })
}

fn index_of(list: Language, word: &str) -> Option<usize> {
    list.word_list().iter().position(|it| *it == word)
}

/// The position of the first word that is not in the list, from 1 on.
fn first_unknown(list: Language, typed: &str) -> Option<usize> {
    let unknown = typed
        .split_whitespace()
        .position(|word| index_of(list, word).is_none());
    unknown.map(|at| at.saturating_add(1))
}

/// The error of words that are in no one list: judged by the list that has most of them.
fn first_wrong(typed: &str) -> WordsError {
    let known = |list: &Language| {
        let words = typed.split_whitespace();
        words.filter(|word| index_of(*list, word).is_some()).count()
    };
    let mut best = Language::English;
    for list in Language::ALL.iter().copied() {
        if known(&list) > known(&best) {
            best = list;
        }
    }
    WordsError::Word {
        position: first_unknown(best, typed).unwrap_or(1),
        list: name_of(best),
    }
}

fn checksum_fits(list: Language, typed: &str) -> bool {
    let mut bits = Secret::<BITS_BYTES>::fill(|_| ());
    let count = typed.split_whitespace().count();
    bits = Secret::fill(|out: &mut [u8; BITS_BYTES]| {
        out.copy_from_slice(bits.expose());
        for (at, word) in typed.split_whitespace().enumerate() {
            put_eleven_bits(out, at, index_of(list, word).unwrap_or_default());
        }
    });
    let Some(count) = WordCount::new(count) else {
        return false;
    };
    let entropy = bits.expose().get(..count.entropy_bytes());
    let whole = entropy_and_checksum(entropy.unwrap_or_default());
    // The checksum has a bit for three words, at most 8.
    let same = |at: usize| bit(bits.expose(), at) == bit(whole.expose(), at);
    (0..count.get().saturating_mul(BITS_A_WORD)).all(same)
}

/// The entropy, with its SHA-256 behind it, of which as many bits count as are needed.
fn entropy_and_checksum(entropy: &[u8]) -> Secret<BITS_BYTES> {
    Secret::fill(|bits| {
        let checksum = digest::digest(&digest::SHA256, entropy);
        let parts = entropy.iter().chain(checksum.as_ref().first());
        bits.iter_mut()
            .zip(parts)
            .for_each(|(place, byte)| *place = *byte);
    })
}

fn bit(bits: &[u8], at: usize) -> bool {
    let byte = bits.get(at / 8).copied().unwrap_or_default();
    byte & (0x80 >> (at % 8)) != 0
}

fn eleven_bits(bits: &[u8], at: usize) -> usize {
    let first = at.saturating_mul(BITS_A_WORD);
    (0..BITS_A_WORD).fold(0, |index, offset| {
        index << 1 | usize::from(bit(bits, first.saturating_add(offset)))
    })
}

fn put_eleven_bits(bits: &mut [u8], at: usize, index: usize) {
    let first = at.saturating_mul(BITS_A_WORD);
    for offset in 0..BITS_A_WORD {
        let place = first.saturating_add(offset);
        let is_set = index >> (BITS_A_WORD - 1 - offset) & 1 == 1;
        if let Some(byte) = bits.get_mut(place / 8).filter(|_| is_set) {
            *byte |= 0x80 >> (place % 8);
        }
    }
}

const fn name_of(list: Language) -> &'static str {
    match list {
        Language::English => "English",
        Language::SimplifiedChinese => "simplified Chinese",
        Language::TraditionalChinese => "traditional Chinese",
        Language::Czech => "Czech",
        Language::French => "French",
        Language::Italian => "Italian",
        Language::Japanese => "Japanese",
        Language::Korean => "Korean",
        Language::Portuguese => "Portuguese",
        Language::Spanish => "Spanish",
    }
}

/// BIP-39, "Generating the mnemonic".
const COUNTS: [usize; 5] = [12, 15, 18, 21, 24];

/// 2,048 words in a list.
const BITS_A_WORD: usize = 11;

/// 256 bits: 24 words.
const ENTROPY_BYTES_MAX: usize = 32;

/// Entropy and one byte of checksum.
const BITS_BYTES: usize = ENTROPY_BYTES_MAX + 1;

/// BIP-39, "From mnemonic to seed".
const SALT: &str = "mnemonic";

/// BIP-39, "From mnemonic to seed".
const ROUNDS: std::num::NonZeroU32 = match std::num::NonZeroU32::new(2_048) {
    Some(rounds) => rounds,
    None => unreachable!(),
};

/// 1,024 bytes: 24 Korean words have 33 each.
const SENTENCE_BYTES_MAX: usize = 1_024;

/// 4,096 bytes: as any passphrase that is typed, and far more than 24 words.
pub const TYPED_BYTES_MAX: usize = 4_096;

#[cfg(test)]
#[path = "words/tests.rs"]
mod tests;
