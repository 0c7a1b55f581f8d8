//! Which key means what, and the line that says so.
//!
//! **Invariant**: what is not offered by the question has no key.

use crate::question::{Answer, OfferForm, Question, Term};

/// A choice behind a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Menu {
    /// How long a grant by host lasts.
    Host,
    /// How long a grant by kind lasts.
    Kind,
    /// Whether to block.
    Block,
}

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pressed {
    Nothing,
    More,
    Open(Menu),
    Back,
    Answer(Answer),
}

/// A key at the question itself.
pub(super) fn pressed(key: u8, question: &Question) -> Pressed {
    let open = |menu: Menu| match menu.is_offered(question) {
        true => Pressed::Open(menu),
        false => Pressed::Nothing,
    };
    match key.to_ascii_lowercase() {
        b'y' => Pressed::Answer(Answer::Approve),
        b'n' => Pressed::Answer(Answer::Refuse),
        b'o' if question.announced().is_some() => Pressed::Answer(Answer::ApproveWaiting),
        b'h' => open(Menu::Host),
        b'k' => open(Menu::Kind),
        b'b' => open(Menu::Block),
        b'm' => Pressed::More,
        _ => Pressed::Nothing,
    }
}

/// The question, and its keys.
pub(super) fn prompt(question: &Question) -> (String, String) {
    let waiting = question.count();
    let strong = match question.announced() {
        Some(count) => format!("Approve all {count}? y/n"),
        None if waiting > 1 => format!("Approve all {waiting}? y/n"),
        None => "Approve? y/n".to_owned(),
    };
    let mut keys = Vec::new();
    if question.announced().is_some() {
        keys.push(match waiting {
            1 => "o only this".to_owned(),
            count => format!("o only {count}"),
        });
    }
    match question.choices.grant.as_ref().map(|it| it.form) {
        Some(OfferForm::Host) => keys.push("h hours".to_owned()),
        Some(OfferForm::Kind) => keys.push("k kind".to_owned()),
        None => {}
    }
    if question.choices.block.is_some() {
        keys.push("b block".to_owned());
    }
    let weak = keys.iter().map(|it| format!(", {it}")).collect();
    (strong, weak)
}

impl Menu {
    /// Whether the question has that choice.
    pub(super) fn is_offered(self, question: &Question) -> bool {
        let form = question.choices.grant.as_ref().map(|it| it.form);
        match self {
            Self::Host => form == Some(OfferForm::Host),
            Self::Kind => form == Some(OfferForm::Kind),
            Self::Block => question.choices.block.is_some(),
        }
    }

    /// A key at the choice.
    pub(super) fn pressed(self, key: u8) -> Pressed {
        let grant = |hours: u64, count_max: u32| {
            Pressed::Answer(Answer::Grant(Term {
                lasts_s: hours * 3_600,
                count_max,
            }))
        };
        match (self, key.to_ascii_lowercase()) {
            (Self::Host, b'1') => grant(1, LOGINS_MAX),
            (Self::Host, b'4') => grant(4, LOGINS_MAX),
            (Self::Host, b'8') => grant(8, LOGINS_MAX),
            (Self::Kind, b'1') => grant(1, SIGNATURES_MAX),
            (Self::Kind, b'4') => grant(4, SIGNATURES_MAX),
            (Self::Kind, b'8') => grant(8, SIGNATURES_MAX),
            (Self::Kind, b't') => grant(DAY_HOURS, 10),
            (Self::Kind, b'c') => grant(DAY_HOURS, 100),
            (Self::Block, b'y') => Pressed::Answer(Answer::Block),
            (_, b'n' | ESCAPE) => Pressed::Back,
            _ => Pressed::Nothing,
        }
    }

    /// The keys, and what is chosen.
    pub(super) fn prompt(self, question: &Question) -> (String, String) {
        let what = self.what(question);
        match self {
            Self::Host => ("1, 4 or 8 hours? n back".to_owned(), format!(", {what}")),
            Self::Kind => (
                "1, 4 or 8 hours, t next 10, c next 100? n back".to_owned(),
                format!(": {what}"),
            ),
            Self::Block => ("Refuse and block? y/n".to_owned(), format!(": {what}")),
        }
    }

    /// What is chosen.
    pub(super) fn what(self, question: &Question) -> String {
        let granted = question.choices.grant.as_ref();
        let granted = granted.map_or("", |it| it.what.as_str());
        match self {
            Self::Host => format!("{LOGINS_MAX} logins at most: {granted}"),
            Self::Kind => granted.to_owned(),
            Self::Block => question.choices.block.clone().unwrap_or_default(),
        }
    }
}

/// 100 logins of one account at one host: a day's work, and few for a thief.
const LOGINS_MAX: u32 = 100;

/// 200 commits in some hours: as above.
const SIGNATURES_MAX: u32 = 200;

/// A grant that is counted rather than timed ends with the day.
const DAY_HOURS: u64 = 24;

const ESCAPE: u8 = 0x1b;
