//! The rules that can be set, and the values that they take.
//!
//! **Invariant:** a value that a rule does not take is refused, by a command and in the file alike.

use keystead_core::{Purpose, is_unsafe_to_show};
use serde::{Deserialize, Serialize};

/// A rule that can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Which purposes: the words of [`Purpose`].
    Purposes,
    /// Which namespaces of SSHSIG, as patterns.
    Namespaces,
    /// Which users are logged in as, as patterns.
    Users,
    /// Which hosts are logged in to, as patterns of their proved names.
    Hosts,
    /// Logins whose host is not proved.
    Unbound,
    /// Logins and signatures through a forwarded agent.
    Forwarded,
    /// Programs without a terminal.
    Background,
    /// Bytes that nobody can read.
    Opaque,
}

impl Rule {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 8] = [
        Self::Purposes,
        Self::Namespaces,
        Self::Users,
        Self::Hosts,
        Self::Unbound,
        Self::Forwarded,
        Self::Background,
        Self::Opaque,
    ];

    /// As people type it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Purposes => "purposes",
            Self::Namespaces => "namespaces",
            Self::Users => "users",
            Self::Hosts => "hosts",
            Self::Unbound => "unbound",
            Self::Forwarded => "forwarded",
            Self::Background => "background",
            Self::Opaque => "opaque",
        }
    }

    /// What holds where nobody has set it.
    #[must_use]
    pub const fn default_value(self) -> &'static str {
        match self {
            Self::Purposes | Self::Namespaces | Self::Users | Self::Hosts => "any",
            Self::Unbound | Self::Forwarded | Self::Background => Answer::Ask.as_str(),
            Self::Opaque => Answer::Refuse.as_str(),
        }
    }
}

impl std::str::FromStr for Rule {
    type Err = PolicyError;

    fn from_str(name: &str) -> Result<Self, PolicyError> {
        Self::ALL
            .into_iter()
            .find(|rule| rule.as_str() == name)
            .ok_or_else(|| PolicyError::UnknownRule(name.escape_debug().to_string()))
    }
}

/// Why a policy cannot be read or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The file is not what it should be.
    #[error("the policy cannot be read: {}", .0.trim_end())]
    Text(String),
    /// There is no such rule.
    #[error("there is no rule called \"{0}\"")]
    UnknownRule(String),
    /// A rule does not take this value.
    #[error("the rule {rule} takes {takes}, not \"{value}\"")]
    Value {
        /// Which.
        rule: &'static str,
        /// What it takes.
        takes: &'static str,
        /// What it was given.
        value: String,
    },
    /// A pattern or a key's name is empty, too long, or not to be shown.
    #[error("\"{0}\" is neither a pattern nor a name")]
    Word(String),
    /// Too many patterns or keys.
    #[error("the policy has too many keys or patterns")]
    TooLong,
}

impl PolicyError {
    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Text(_) => "correct the file, or remove it: then nothing is forbidden here",
            Self::UnknownRule(_) => "`keystead policy show` lists the rules",
            Self::Value { .. } | Self::Word(_) => "see `keystead policy set --help`",
            Self::TooLong => "take some back with `keystead policy unset`",
        }
    }
}

/// The rules of all keys or of one; what is left out is not set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rules {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) purposes: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) namespaces: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) users: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hosts: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unbound: Option<Answer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) forwarded: Option<Answer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) background: Option<Answer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) opaque: Option<Answer>,
}

impl Rules {
    pub(super) fn over(self, general: Self) -> Self {
        Self {
            purposes: self.purposes.or(general.purposes),
            namespaces: self.namespaces.or(general.namespaces),
            users: self.users.or(general.users),
            hosts: self.hosts.or(general.hosts),
            unbound: self.unbound.or(general.unbound),
            forwarded: self.forwarded.or(general.forwarded),
            background: self.background.or(general.background),
            opaque: self.opaque.or(general.opaque),
        }
    }

    pub(super) fn check(&self) -> Result<(), PolicyError> {
        for rule in Rule::ALL {
            match self.clone().place(rule) {
                Place::List(Some(words)) => check_list(rule, words)?,
                Place::List(None) | Place::Answer(_) => {}
            }
        }
        Ok(())
    }

    pub(super) fn set(&mut self, rule: Rule, value: &str) -> Result<(), PolicyError> {
        match self.place(rule) {
            Place::List(list) => {
                let words = value.split(',').map(|word| word.trim().to_owned());
                let words: Vec<String> = words.collect();
                check_list(rule, &words)?;
                *list = Some(words);
            }
            Place::Answer(answer) => *answer = Some(Answer::parse(rule, value)?),
        }
        Ok(())
    }

    pub(super) fn unset(&mut self, rule: Rule) -> bool {
        match self.place(rule) {
            Place::List(list) => list.take().is_some(),
            Place::Answer(answer) => answer.take().is_some(),
        }
    }

    pub(super) fn value(&self, rule: Rule) -> Option<String> {
        match self.clone().place(rule) {
            Place::List(list) => list.as_ref().map(|words| words.join(",")),
            Place::Answer(answer) => answer.map(|answer| answer.as_str().to_owned()),
        }
    }

    const fn place(&mut self, rule: Rule) -> Place<'_> {
        match rule {
            Rule::Purposes => Place::List(&mut self.purposes),
            Rule::Namespaces => Place::List(&mut self.namespaces),
            Rule::Users => Place::List(&mut self.users),
            Rule::Hosts => Place::List(&mut self.hosts),
            Rule::Unbound => Place::Answer(&mut self.unbound),
            Rule::Forwarded => Place::Answer(&mut self.forwarded),
            Rule::Background => Place::Answer(&mut self.background),
            Rule::Opaque => Place::Answer(&mut self.opaque),
        }
    }
}

/// Where a rule's value is.
enum Place<'a> {
    List(&'a mut Option<Vec<String>>),
    Answer(&'a mut Option<Answer>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Answer {
    Ask,
    Refuse,
}

impl Answer {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::Refuse => "refuse",
        }
    }

    fn parse(rule: Rule, value: &str) -> Result<Self, PolicyError> {
        let both = [Self::Ask, Self::Refuse].into_iter();
        let mut fits = both.filter(|it| it.as_str() == value);
        fits.next().ok_or_else(|| PolicyError::Value {
            rule: rule.as_str(),
            takes: "`ask` or `refuse`",
            value: value.escape_debug().to_string(),
        })
    }
}

fn check_list(rule: Rule, words: &[String]) -> Result<(), PolicyError> {
    if words.len() > PATTERNS_MAX {
        return Err(PolicyError::TooLong);
    }
    let is_purpose = |word: &str| Purpose::ALL.iter().any(|it| it.as_str() == word);
    for word in words {
        check_word(word)?;
        if rule == Rule::Purposes && !is_purpose(word) {
            return Err(PolicyError::Value {
                rule: rule.as_str(),
                takes: "`ssh-login`, `git-commit`, `ssh-sig`, `ssh-certificate`, `openpgp`, \
                        `openpgp-decrypt`, `age-unwrap`, `signify`, with commas",
                value: word.clone(),
            });
        }
    }
    Ok(())
}

pub(super) fn check_word(word: &str) -> Result<(), PolicyError> {
    let is_word = !word.is_empty()
        && word.len() <= WORD_BYTES_MAX
        && !word.contains(',')
        && !word.chars().any(is_unsafe_to_show);
    if is_word {
        Ok(())
    } else {
        Err(PolicyError::Word(word.escape_debug().to_string()))
    }
}

/// Each is tried on every request.
const PATTERNS_MAX: usize = 64;

/// As long as a host name or a user can be (RFC 1035 §2.3.4).
const WORD_BYTES_MAX: usize = 255;
