//! A question as it travels between what decides and what shows, and its answer.
//!
//! **Invariant**: an answer covers only parts of its question that were counted on
//! the screen when the key was pressed: it names the last of them.

use keystead_core::{Decision, Name};

use crate::words::Asked;

/// Names a question as long as the authenticator runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QuestionId(pub u64);

/// Numbers the requests that are asked about, rising, as long as the authenticator runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartId(pub u64);

impl PartId {
    /// Above all of them: an answer to whatever waits.
    pub const LAST: Self = Self(u64::MAX);
}

/// A question that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Its id.
    pub id: QuestionId,
    /// Who asks.
    pub workstation: Name,
    /// The first request that waits.
    pub first: Part,
    /// The others that are one question with it, the oldest first.
    pub others: Vec<Part>,
    /// The act that they are part of.
    pub act: Option<Act>,
    /// What may be answered beside yes and no.
    pub choices: Choices,
}

/// One request of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its number.
    pub id: PartId,
    /// What is asked.
    pub asked: Asked,
    /// When nobody waits for it any more, on the clock that does not jump.
    pub deadline_ms: u64,
}

/// One act that makes several requests, by the workstation's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// For example `git rebase`.
    pub what: String,
    /// How many requests it makes.
    pub makes: Makes,
}

impl Act {
    /// How many requests it makes, where a yes covers them all.
    #[must_use]
    pub const fn announced(&self) -> Option<u32> {
        match self.makes {
            Makes::Announced(count) => Some(count),
            Makes::Unknown | Makes::Told(_) | Makes::Beyond => None,
        }
    }
}

/// How many requests an act makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Makes {
    /// Nobody says: a yes covers what waits.
    Unknown,
    /// So many in all; a yes covers those that wait.
    Told(u32),
    /// A yes covers so many: those that wait and those that follow.
    Announced(u32),
    /// What it announced was approved and made: this is beyond.
    Beyond,
}

/// What may be answered beside yes and no, in words; empty where nothing may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choices {
    /// What a grant would cover.
    pub grant: Option<Offer>,
    /// What a block would cover.
    pub block: Option<String>,
}

/// A grant that may be made from a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// By host, or by kind.
    pub form: OfferForm,
    /// What it covers.
    pub what: String,
}

/// Which key makes a grant, and what it is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfferForm {
    /// `h`: logins of one user at one host key.
    Host,
    /// `k`: one kind of signature.
    Kind,
}

/// What a person answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Yes: to what waits, and to what an announced act is still to make.
    Approve,
    /// Yes, to what waits alone.
    ApproveWaiting,
    /// Yes, and to the same for a while.
    Grant(Term),
    /// No.
    Refuse,
    /// No, and no question like this again until the block is revoked.
    Block,
}

/// How long a grant lasts, and how often it may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// Seconds.
    pub lasts_s: u64,
    /// Signatures.
    pub count_max: u32,
}

impl Question {
    /// What the first request asks.
    #[must_use]
    pub fn asked(&self) -> &Asked {
        &self.first.asked
    }

    /// All its requests, the oldest first.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// How many requests an announced act makes, where a yes covers them all.
    #[must_use]
    pub fn announced(&self) -> Option<u32> {
        self.act.as_ref()?.announced()
    }

    /// How many requests wait.
    #[must_use]
    pub fn count(&self) -> usize {
        self.others.len().saturating_add(1)
    }

    /// When the first of its requests expires.
    #[must_use]
    pub fn deadline_ms(&self) -> u64 {
        let all = self.parts().map(|it| it.deadline_ms);
        all.min().unwrap_or(self.first.deadline_ms)
    }
}

impl From<Decision<()>> for Answer {
    fn from(decision: Decision<()>) -> Self {
        match decision {
            Decision::Approve(()) => Self::Approve,
            Decision::Refuse => Self::Refuse,
        }
    }
}
