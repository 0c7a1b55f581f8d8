use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::*;

const ABOUT: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon \
                     abandon abandon about";

#[track_caller]
fn check(typed: &str, expected: Result<(), WordsError>) {
    assert_eq!(
        Words::read(typed.as_bytes()).map(|_| ()),
        expected,
        "{typed}"
    );
}

fn seed(words: &Words, passphrase: &str) -> Vec<u8> {
    let passphrase = SecretBytes::take(&mut passphrase.as_bytes().to_vec());
    words.seed(&passphrase).unwrap().expose().to_vec()
}

#[test]
fn what_is_made_is_read() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut seen = Vec::new();
    for count in COUNTS {
        let words = Words::make(WordCount::new(count).unwrap(), &mut rng);
        assert_eq!(words.iter().count(), count);
        assert_eq!(words.count().get(), count);
        let again = Words::read(words.text().as_bytes()).unwrap();
        assert_eq!(again.text(), words.text());
        seen.push(words.text().to_owned());
    }
    seen.dedup();
    assert_eq!(seen.len(), COUNTS.len());
}

/// `spec/vectors/wallet.json`: the words of an entropy, in four lists.
#[test]
fn words_of_an_entropy() {
    let table: serde_json::Value =
        serde_json::from_str(include_str!("../../../../../spec/vectors/wallet.json")).unwrap();
    for row in table["words"].as_array().unwrap() {
        let text = |name: &str| row[name].as_str().unwrap();
        let hex = text("entropy");
        let mut entropy: Vec<u8> = (0..hex.len() / 2)
            .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        let list = Language::ALL
            .iter()
            .find(|it| name_of(**it).to_lowercase() == text("list"));
        let count = WordCount::new(entropy.len() / 4 * 3).unwrap();
        let made = Words::of_entropy(&SecretBytes::take(&mut entropy), count, *list.unwrap());
        let expected = Words::read(text("words").as_bytes()).unwrap();
        assert_eq!(made.text(), expected.text());
    }
}

#[test]
fn counts_are_those_of_bip_39() {
    let counts: Vec<usize> = (0..64).filter(|it| WordCount::new(*it).is_some()).collect();
    assert_eq!(counts, [12, 15, 18, 21, 24]);
}

#[test]
fn white_space_and_case_do_not_matter() {
    let plain = Words::read(ABOUT.as_bytes()).unwrap();
    let upper = ABOUT.to_uppercase();
    let spaced = format!("\n\t{}  \r\n", ABOUT.replace(' ', " \n "));
    let wide = ABOUT.replace(' ', "\u{3000}");
    for typed in [upper, spaced, wide] {
        let words = Words::read(typed.as_bytes()).unwrap();
        assert_eq!(words.text(), plain.text());
        assert_eq!(seed(&words, ""), seed(&plain, ""));
    }
}

/// Composed letters, as keyboards type them, and decomposed ones, as the lists have them.
#[test]
fn accents_are_taken_in_both_forms() {
    let word = Language::French
        .word_list()
        .iter()
        .find(|it| !it.is_ascii())
        .unwrap();
    let composed: String = word.nfc().collect();
    assert_ne!(composed, *word);
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    // Some twelve French words whose last one fits: all but the last are this one.
    let fitting = Language::French.word_list().iter().find_map(|last| {
        let typed = format!("{}{last}", format!("{composed} ").repeat(11));
        Words::read(typed.as_bytes()).ok()
    });
    let words = fitting.unwrap();
    assert_eq!(words.iter().next(), Some(*word));
    assert!(words.is_at(1, composed.as_bytes()));
    assert!(!words.is_at(1, b"x"));
    let _ = Words::make(WordCount(12), &mut rng);
}

#[test]
fn a_wrong_word_is_named_by_its_position() {
    let with = |at: usize, word: &str| {
        let mut words: Vec<&str> = ABOUT.split(' ').filter(|it| !it.is_empty()).collect();
        words[at] = word;
        words.join(" ")
    };
    for at in 0..12 {
        let expected = WordsError::Word {
            position: at + 1,
            list: "English",
        };
        check(&with(at, "abandom"), Err(expected));
        // Of another list than the others.
        check(&with(at, "ábaco"), Err(expected));
        check(&with(at, "\u{7}"), Err(expected));
    }
    let two = format!("zzz {}", with(5, "yyy").split_once(' ').unwrap().1);
    check(
        &two,
        Err(WordsError::Word {
            position: 1,
            list: "English",
        }),
    );
    let french = "abaisser ".repeat(11) + "zebra";
    check(
        &french,
        Err(WordsError::Word {
            position: 12,
            list: "French",
        }),
    );
}

#[test]
fn a_wrong_checksum_is_named() {
    let checksum = |last| Err(WordsError::Checksum { last });
    check(&"abandon ".repeat(12), checksum(12));
    check(&"zoo ".repeat(24), checksum(24));
    let swapped = "legal winner thank year wave sausage worth useful legal winner yellow thank";
    check(swapped, checksum(12));
}

#[test]
fn other_counts_and_other_bytes_are_refused() {
    for count in (0..30).filter(|it| !COUNTS.contains(it)) {
        check(&"abandon ".repeat(count), Err(WordsError::Count { count }));
    }
    let read = |bytes: &[u8]| Words::read(bytes).map(|_| ());
    assert_eq!(read(&[0xff; 12]), Err(WordsError::NotText));
    assert_eq!(read(&[b' '; 4_097]), Err(WordsError::Long));
    assert_eq!(read(&[b' '; 4_096]), Err(WordsError::Count { count: 0 }));
    // Some characters are 18 times as long in NFKD; nothing is cut off silently.
    let long = "\u{fdfa} ".repeat(1_000);
    assert_eq!(
        read(long.as_bytes()).err(),
        Some(WordsError::Count { count: 4_000 })
    );
}

#[test]
fn every_prefix_of_words_is_refused() {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let words = Words::make(WordCount(24), &mut rng);
    let text = words.text().to_owned();
    let whole: Vec<&str> = text.split(' ').collect();
    for len in 0..text.len() {
        // 21, 18 … words may have a checksum that fits, once in 128 … times; these have not.
        assert!(Words::read(&text.as_bytes()[..len]).is_err(), "{len}");
    }
    assert_eq!(whole.len(), 24);
}

#[test]
fn a_words_passphrase_is_another_wallet() {
    let words = Words::read(ABOUT.as_bytes()).unwrap();
    let seeds = ["", " ", "TREZOR", "trezor", "TREZOR "].map(|it| seed(&words, it));
    for (at, one) in seeds.iter().enumerate() {
        assert!(seeds[at + 1..].iter().all(|other| other != one));
    }
    // NFKD: both forms of one letter are one passphrase.
    assert_eq!(seed(&words, "\u{e9}"), seed(&words, "e\u{301}"));
    let no_text = SecretBytes::take(&mut [0xff]);
    assert_eq!(words.seed(&no_text).err(), Some(WordsError::NotText));
}

#[test]
fn a_word_is_asked_for_by_its_position() {
    let words = Words::read(ABOUT.as_bytes()).unwrap();
    assert!(words.is_at(1, b"abandon"));
    assert!(words.is_at(12, b" About\n"));
    for (position, typed) in [
        (0, "abandon"),
        (13, "about"),
        (12, "abandon"),
        (1, "abando"),
        (1, ""),
    ] {
        assert!(
            !words.is_at(position, typed.as_bytes()),
            "{position} {typed}"
        );
    }
}
