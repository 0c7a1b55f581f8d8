//! The front end for gpg: a conversation, and the map of keys it looks into.

use keystead_agent::gpg::{Action, Answer, Conversation, Event, Failure, KeyMap, Own};
use keystead_core::SecretBytes;
use keystead_formats::assuan::{ErrorCode, LineBuffer, ServerLine};

/// A conversation in which anything is said: each line's first byte tells who says it.
///
/// Nobody gets more answers than there were lines, and whatever was said, the next command is
/// answered once the ordinary agent is gone and no keeper is asked.
#[expect(clippy::expect_used, reason = "a fuzzer's own preparation cannot fail")]
pub(crate) fn conversation(bytes: &[u8]) {
    let mut keys = KeyMap::parse(MAP.as_bytes()).expect("the map below is one");
    let (flags, mut rest) = bytes.split_first().unwrap_or((&0, &[]));
    if flags & 2 != 0 {
        keys.set_custody(Some("phone".to_owned()));
    }
    let mut talk = Talk::begin(flags & 1 != 0, &keys);
    let mut lines = LineBuffer::new();
    while let Some(line) = lines.next_line(&mut rest) {
        match line.map(<[u8]>::split_first) {
            Ok(Some((b'>', line))) => talk.client(Ok(line)),
            Ok(Some((b'<', line))) => talk.step(Event::Behind(line)),
            Ok(Some((b's', bytes))) => talk.answered(Answer::Signed(bytes.to_vec())),
            Ok(Some((b'p', bytes))) => {
                talk.answered(Answer::Agreed(SecretBytes::take(&mut bytes.to_vec())));
            }
            Ok(Some((b'k', _))) => {
                let key = keys.keys().first().cloned().map(Box::new);
                talk.answered(key.map_or_else(refused, Answer::Brought));
            }
            Ok(Some((b'f', _))) => talk.answered(refused()),
            Ok(Some((b'x', _))) => talk.step(Event::ClientLeft),
            Ok(Some((b'd', _))) => talk.step(Event::BehindLeft),
            Err(too_long) => talk.client(Err(too_long)),
            Ok(_) => {}
        }
    }
    talk.end();
}

/// A map keeps what it says when it is written back.
#[expect(clippy::expect_used, reason = "this is how a fuzzer tells of a bug")]
pub(crate) fn key_map(bytes: &[u8]) {
    if let Ok(map) = KeyMap::parse(bytes) {
        let written = map.encode().expect("what was read");
        assert_eq!(KeyMap::parse(&written).ok().as_ref(), Some(&map));
        for key in map.keys() {
            assert_eq!(map.find(key.keygrip), Some(key));
        }
    }
}

struct Talk<'a> {
    keys: &'a KeyMap,
    conversation: Conversation,
    /// Lines of the client, and the greeting.
    owed_most: usize,
    answers: usize,
    is_asked: bool,
    is_over: bool,
}

impl<'a> Talk<'a> {
    fn begin(restricted: bool, keys: &'a KeyMap) -> Self {
        Self {
            keys,
            conversation: Conversation::new(Own {
                pid: 1,
                client_pid: None,
                socket: None,
                ssh_socket: None,
                restricted,
            }),
            owed_most: 1,
            answers: 0,
            is_asked: false,
            is_over: false,
        }
    }

    fn client(&mut self, line: Result<&[u8], keystead_formats::assuan::LineTooLong>) {
        self.owed_most += 1;
        self.step(Event::Client(line));
    }

    fn answered(&mut self, answer: Answer) {
        self.is_asked = false;
        self.step(Event::Answered(answer));
    }

    fn step(&mut self, event: Event<'_>) {
        for action in self.conversation.step(event, self.keys) {
            assert!(!self.is_over, "something after the end");
            match action {
                Action::ToClient(bytes) => {
                    assert_eq!(bytes.last(), Some(&b'\n'));
                    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
                    self.answers += lines.filter(|line| is_final(line)).count();
                }
                Action::ToBehind(bytes) => assert_eq!(bytes.last(), Some(&b'\n')),
                Action::Ask(_) | Action::Bring(_) => {
                    assert!(!self.is_asked, "two questions at once");
                    self.is_asked = true;
                }
                Action::Withdraw => {
                    assert!(self.is_asked, "nothing was asked");
                    self.is_asked = false;
                }
                Action::Say(_) | Action::KillAgent => {}
                Action::HangUp => self.is_over = true,
            }
        }
        assert!(self.answers <= self.owed_most, "too many answers");
    }

    /// Nobody behind answers any more: what waits is refused, and the next command is answered.
    fn end(mut self) {
        self.step(Event::BehindLeft);
        // What was inquired, if anything.
        self.client(Ok(b"CAN"));
        while self.is_asked && !self.is_over {
            self.answered(refused());
        }
        let before = self.answers;
        self.client(Ok(b"NOP"));
        if !self.is_over {
            assert_eq!(self.answers, before + 1, "no answer, or two");
        }
        self.step(Event::ClientLeft);
        assert!(self.is_over && !self.is_asked);
    }
}

/// Does this line end an answer (libassuan, "Server responses")?
fn is_final(line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    matches!(
        ServerLine::parse(line),
        Ok(ServerLine::Done(_) | ServerLine::Failed { .. })
    )
}

fn refused() -> Answer {
    Answer::Failed(Failure {
        code: ErrorCode::CANCELED,
        text: String::new(),
    })
}

/// A key that signs, and one that agrees; their points are the curves' base points.
const MAP: &str = include_str!("../../corpus/gpg_key_map/two");
