//! The words of a wallet: made and shown once, or typed; and the check that they were written
//! down.
//!
//! **Invariant**: words stand in locked memory and on the controlling terminal, nowhere else;
//! nothing is written before the wallet's fingerprint was shown.

use keystead_core::SecretBytes;
use keystead_daemon::SystemRng;
use keystead_vault::wallet::{Wallet, WordCount, Words};
use rand_core::RngCore;

use crate::program::arguments::WordsOptions;
use crate::program::failure::Failure;
use crate::program::passphrase::{Source, type_secret};
use crate::program::print;
use crate::program::terminal::{Keys, Terminal, yes_or_no};

/// Words, and what makes another wallet of them.
pub(super) struct Given {
    pub(super) words: Words,
    pub(super) passphrase: SecretBytes,
    pub(super) wallet: Wallet,
}

impl Given {
    /// Makes or reads words, as the options say; shows the wallet's fingerprint, and asks at a
    /// terminal whether it is the one that was meant. None without options.
    ///
    /// `other_keys` are named where words are shown: the words do not bring them back.
    pub(super) fn of(
        options: &WordsOptions,
        other_keys: &[String],
    ) -> Result<Option<Self>, Failure> {
        let (words, is_made) = match (options.words, options.words_fd) {
            (Some(count), _) => (make(count)?, true),
            (None, Some(fd)) => (read(Source { fd: Some(fd) })?, false),
            (None, None) => return Ok(None),
        };
        let passphrase = match options.words_passphrase_fd {
            None => SecretBytes::fill(0, |_| ()),
            Some(fd) => {
                let source = Source { fd: Some(fd) };
                read_words_passphrase(source, is_made)?
            }
        };
        let seed = words.seed(&passphrase).map_err(words_failure)?;
        let wallet = Wallet::new(seed).map_err(|error| Failure::new(error.to_string(), ""))?;
        if is_made {
            show(&words, &passphrase, &wallet, other_keys)?;
        }
        let with_passphrase = match passphrase.is_empty() {
            true => "",
            false => ", with their passphrase,",
        };
        print::talk(format_args!(
            "These words{with_passphrase} make the wallet {}.",
            wallet.fingerprint()
        ));
        let is_typed = !is_made
            && options
                .words_fd
                .is_some_and(|fd| Source { fd: Some(fd) }.is_terminal());
        if is_typed {
            confirm()?;
        }
        Ok(Some(Self {
            words,
            passphrase,
            wallet,
        }))
    }

    /// The words as one line.
    pub(super) fn line(&self) -> SecretBytes {
        let len = self.words.iter().map(|it| it.len() + 1).sum::<usize>();
        SecretBytes::fill(len, |mut place| {
            for word in self.words.iter() {
                let Some((head, rest)) = place.split_at_mut_checked(word.len() + 1) else {
                    return;
                };
                if let Some((space, letters)) = head.split_last_mut() {
                    letters.copy_from_slice(word.as_bytes());
                    *space = b' ';
                }
                place = rest;
            }
        })
    }
}

fn make(count: usize) -> Result<Words, Failure> {
    let count = WordCount::new(count)
        .ok_or_else(|| Failure::new("a wallet has 12, 15, 18, 21 or 24 words", "--words 24"))?;
    Ok(Words::make(count, &mut SystemRng))
}

/// Typed ones may be mistyped a few times.
fn read(source: Source) -> Result<Words, Failure> {
    let mut tries_left = TRIES;
    loop {
        let line = source.read_or_type("Words of the wallet, in one line (not shown): ")?;
        tries_left -= 1;
        match Words::read(line.expose()) {
            Ok(words) => return Ok(words),
            Err(error) if tries_left > 0 && source.is_terminal() => {
                print::talk(format_args!("{error}; {}", error.hint()));
            }
            Err(error) => return Err(words_failure(error)),
        }
    }
}

/// Typed twice for words that are new: a slip is another wallet.
fn read_words_passphrase(source: Source, is_new: bool) -> Result<SecretBytes, Failure> {
    let question = "Words' passphrase (another one is another wallet; empty for none): ";
    let first = source.read_or_type(question)?;
    if !is_new || !source.is_terminal() {
        return Ok(first);
    }
    let second = source.read_or_type("The same again: ")?;
    match first.ct_eq(&second) {
        true => Ok(first),
        false => Err(Failure::new(
            "the two words' passphrases are not the same",
            "try again",
        )),
    }
}

/// Shows the words on a screen of their own, which is gone behind it, and asks for three.
fn show(
    words: &Words,
    passphrase: &SecretBytes,
    wallet: &Wallet,
    other_keys: &[String],
) -> Result<(), Failure> {
    let mut terminal = Terminal::open(Keys::Secret).map_err(|error| {
        Failure::new(
            format!("no terminal to show the words at: {error}"),
            "run it in a terminal; words made elsewhere come by --words-fd N",
        )
    })?;
    let mut tries_left = TRIES;
    loop {
        terminal.enter_other_screen();
        terminal.write(&about(passphrase, wallet, other_keys));
        write_words(&mut terminal, words);
        let read = wait_for_enter(&mut terminal);
        terminal.leave_other_screen();
        read?;
        tries_left -= 1;
        match ask_for_three(&mut terminal, words)? {
            Check::Right => return Ok(()),
            Check::Wrong { position } if tries_left > 0 => {
                terminal.write(&format!(
                    "Word {position} is another one. The words are shown again: compare.\n"
                ));
                terminal.write("Press Enter. ");
                let read = wait_for_enter(&mut terminal);
                terminal.write("\n");
                read?;
            }
            Check::Wrong { .. } => {
                return Err(Failure::new(
                    "the words were not written down; nothing was made",
                    "begin again with paper and a pen: new words are made",
                ));
            }
        }
    }
}

/// They come last: this screen cannot be scrolled back, and on a small one it is what is said
/// above them that leaves it.
fn write_words(terminal: &mut Terminal, words: &Words) {
    let count = words.count().get();
    terminal.write(&format!(
        "Write these {count} words down, on paper, in this order. They are shown once.\n\n"
    ));
    let columns = columns(terminal.look().columns);
    for (at, word) in words.iter().enumerate() {
        // Written piece by piece: a whole screen of them would be a copy of them all.
        terminal.write(&format!("{:>4}. ", at + 1));
        terminal.write(word);
        let is_last_of_row = (at + 1) % columns == 0 || at + 1 == count;
        match is_last_of_row {
            true => terminal.write("\n"),
            false => terminal.write(&" ".repeat(WORD_WIDTH.saturating_sub(word.len()))),
        }
    }
    terminal.write("\nThree of them are asked for next. Press Enter when they are written down. ");
}

/// How many words stand in a row of a terminal that is so wide.
fn columns(width: usize) -> usize {
    let behind_last = WORD_WIDTH - WORD_BYTES_MAX;
    ((width + behind_last) / (NUMBER_WIDTH + WORD_WIDTH)).clamp(1, COLUMNS_MAX)
}

/// What stands above the words.
fn about(passphrase: &SecretBytes, wallet: &Wallet, other_keys: &[String]) -> String {
    let and_passphrase = match passphrase.is_empty() {
        true => "",
        false => " The words' passphrase belongs to it:\nwrite it down elsewhere.",
    };
    format!(
        "Wallet {}.{and_passphrase}\n\
         Whoever has its words has every key of it.\n\n{}\n",
        wallet.fingerprint(),
        not_brought_back(other_keys)
    )
}

/// What the words are not for; never so much that a screen of 24 lines has no room for both.
fn not_brought_back(other_keys: &[String]) -> String {
    if other_keys.is_empty() {
        return "The words bring back what is derived from them. Keys that you make or import\n\
                here beside the wallet (key new, key import) do not come back with them.\n"
            .to_owned();
    }
    let (shown, more) = match other_keys.split_at_checked(OTHER_KEYS_SHOWN_MAX) {
        Some((shown, more)) => (shown, more),
        None => (other_keys, [].as_slice()),
    };
    let mut text =
        "The words do not bring back these keys, which are not derived from them:\n".to_owned();
    for name in shown {
        text.push_str(&format!("  {name}\n"));
    }
    if !more.is_empty() {
        text.push_str(&format!(
            "  and {} more, which keystead-authenticator key list names\n",
            more.len()
        ));
    }
    text
}

enum Check {
    Right,
    Wrong { position: usize },
}

fn ask_for_three(terminal: &mut Terminal, words: &Words) -> Result<Check, Failure> {
    for position in three_of(words.count().get()) {
        let typed = type_secret(terminal, &format!("Word {position}: "))?;
        if !words.is_at(position, typed.expose()) {
            return Ok(Check::Wrong { position });
        }
    }
    Ok(Check::Right)
}

/// Three positions, rising, one in each third: nobody learns which before the words are shown.
fn three_of(count: usize) -> [usize; 3] {
    let third = count / 3;
    let mut drawn = [0; 3];
    for (at, position) in drawn.iter_mut().enumerate() {
        let offset = SystemRng.next_u32() % u32::try_from(third.max(1)).unwrap_or(1);
        *position = at * third + usize::try_from(offset).unwrap_or(0) + 1;
    }
    drawn
}

fn wait_for_enter(terminal: &mut Terminal) -> Result<(), Failure> {
    loop {
        match terminal.key()? {
            Some(b'\r' | b'\n') => return Ok(()),
            Some(CTRL_C) | None => {
                return Err(Failure::interrupted("ended by ^C: nothing was made"));
            }
            Some(_) => {}
        }
    }
}

fn confirm() -> Result<(), Failure> {
    let is_over = std::sync::atomic::AtomicBool::new(false);
    match yes_or_no(
        "Is that the wallet that you mean?",
        CONFIRM_WAIT_S,
        &is_over,
    )? {
        Some(true) => Ok(()),
        Some(false) | None => Err(Failure::refused("nothing was made")),
    }
}

fn words_failure(error: keystead_vault::wallet::WordsError) -> Failure {
    Failure::new(error.to_string(), error.hint())
}

const CTRL_C: u8 = 0x03;

/// 4 words a row: 24 of them in six rows of 68 columns.
const COLUMNS_MAX: usize = 4;

/// The longest English word of BIP-39 has 8 letters.
const WORD_BYTES_MAX: usize = 8;

/// A word and the gap behind it.
const WORD_WIDTH: usize = WORD_BYTES_MAX + 4;

/// Two digits with what stands around them.
const NUMBER_WIDTH: usize = 6;

/// 6 names and a line for the others: with 24 words and all that is said of them 23 lines.
const OTHER_KEYS_SHOWN_MAX: usize = 6;

/// How often words may be mistyped, or missed.
const TRIES: u32 = 3;

/// 5 minutes to compare a fingerprint.
const CONFIRM_WAIT_S: u64 = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_other_keys_do_not_push_the_words_away() {
        let names =
            |count: usize| -> Vec<String> { (0..count).map(|it| format!("k{it}")).collect() };
        let check = |count, lines, last: &str| {
            let text = not_brought_back(&names(count));
            assert_eq!(text.lines().count(), lines, "{text}");
            assert!(text.lines().last().unwrap().contains(last), "{text}");
        };
        check(0, 2, "do not come back");
        check(1, 2, "k0");
        check(6, 7, "k5");
        check(7, 8, "and 1 more");
        check(256, 8, "and 250 more");
    }

    #[test]
    fn words_stand_whole_in_their_rows() {
        for (width, expected) in [(80, 4), (68, 4), (67, 3), (60, 3), (40, 2), (31, 1), (0, 1)] {
            assert_eq!(columns(width), expected, "{width}");
        }
    }

    #[test]
    fn three_words_are_asked_for_one_of_each_third() {
        for count in [12, 15, 18, 21, 24] {
            for _ in 0..100 {
                let [first, second, third] = three_of(count);
                let each = count / 3;
                assert!((1..=each).contains(&first));
                assert!((each + 1..=2 * each).contains(&second));
                assert!((2 * each + 1..=count).contains(&third));
            }
        }
    }
}
