//! The rules of this machine: what no keeper is even asked for (`keystead policy`).
//!
//! **Invariant:** a rule only ever takes away. Nothing here permits what a holder refuses, and no
//! rule makes a grant: [`Policy::judge`] says no, or that a keeper may be asked.

use std::collections::BTreeMap;

use keystead_core::{Evidence, Purpose, is_unsafe_to_show};
use keystead_formats::ssh::pattern::list_matches;
use keystead_formats::ssh::userauth::UserAuth;
use keystead_formats::ssh::{PublicKey, SessionBind, ToBeSigned};
use serde::{Deserialize, Serialize};

/// The general rules, and those of single keys.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    all: Rules,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    key: BTreeMap<String, Rules>,
}

/// What somebody wants signed, as far as rules look at it.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    /// The key's name at its keeper.
    pub key_name: &'a str,
    /// The key.
    pub key: &'a PublicKey,
    /// What.
    pub content: &'a ToBeSigned,
    /// The hosts that have proved themselves on the connection.
    pub binds: &'a [SessionBind],
    /// Names of the last one, and who asks.
    pub evidence: &'a Evidence,
}

impl Policy {
    /// Reads the file's text.
    ///
    /// # Errors
    /// [`PolicyError`]. A policy that is not understood must stop the agent, or what it forbids
    /// would be permitted.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let policy: Self =
            toml::from_str(text).map_err(|source| PolicyError::Text(source.to_string()))?;
        if policy.key.len() > KEYS_MAX {
            return Err(PolicyError::TooLong);
        }
        policy.key.keys().try_for_each(|key| check_word(key))?;
        for rules in policy.key.values().chain([&policy.all]) {
            rules.check()?;
        }
        Ok(policy)
    }

    /// The file's text.
    #[must_use]
    pub fn to_text(&self) -> String {
        // Serialising lists of words into TOML has no way to fail.
        let rules = toml::to_string(self).unwrap_or_default();
        format!("{HEADER}{rules}")
    }

    /// May a keeper be asked?
    ///
    /// # Errors
    /// [`Refusal`] says which rule is against it.
    pub fn judge(&self, case: &Case<'_>) -> Result<(), Refusal> {
        let rules = self.rules_of(case);
        let is_opaque = matches!(case.content, ToBeSigned::Opaque);
        if is_opaque && rules.opaque != Some(Answer::Ask) {
            return Err(refusal(Rule::Opaque, "bytes that nobody can read"));
        }
        let purpose = case.content.purpose();
        if let Some(purposes) = &rules.purposes
            && !is_opaque
            && !purposes.iter().any(|it| it == purpose.as_str())
        {
            return Err(refusal(Rule::Purposes, &format!("a {}", purpose.as_str())));
        }
        match case.content {
            ToBeSigned::UserAuth(login) => judge_login(&rules, login, case)?,
            ToBeSigned::SshSig(signed) => {
                if !permits(rules.namespaces.as_ref(), &[&signed.namespace]) {
                    let what = format!("signatures in the namespace {:?}", signed.namespace);
                    return Err(refusal(Rule::Namespaces, &what));
                }
            }
            ToBeSigned::Certificate(_) | ToBeSigned::Opaque => {}
        }
        if case.evidence.is_background && rules.background == Some(Answer::Refuse) {
            return Err(refusal(Rule::Background, "programs without a terminal"));
        }
        Ok(())
    }

    /// Sets a rule, of one key or the general one.
    ///
    /// # Errors
    /// [`PolicyError`]: the value does not fit the rule.
    pub fn set(&mut self, key: Option<&str>, rule: Rule, value: &str) -> Result<(), PolicyError> {
        let rules = match key {
            None => &mut self.all,
            Some(key) => {
                check_word(key)?;
                if self.key.len() == KEYS_MAX && !self.key.contains_key(key) {
                    return Err(PolicyError::TooLong);
                }
                self.key.entry(key.to_owned()).or_default()
            }
        };
        let set = rules.set(rule, value);
        self.key.retain(|_, rules| *rules != Rules::default());
        set
    }

    /// Takes a rule back. False when it was not set.
    pub fn unset(&mut self, key: Option<&str>, rule: Rule) -> bool {
        let rules = match key {
            None => Some(&mut self.all),
            Some(key) => self.key.get_mut(key),
        };
        let was_set = rules.is_some_and(|rules| rules.unset(rule));
        self.key.retain(|_, rules| *rules != Rules::default());
        was_set
    }

    /// Every general rule, then those of keys: key, rule, value, and whether somebody set it.
    #[must_use]
    pub fn list(&self) -> Vec<(Option<&str>, Rule, String, bool)> {
        let general = Rule::ALL.into_iter().map(|rule| {
            let value = self.all.value(rule);
            let is_set = value.is_some();
            let value = value.unwrap_or_else(|| rule.default_value().to_owned());
            (None, rule, value, is_set)
        });
        let keys = self.key.iter().flat_map(|(key, rules)| {
            let set = Rule::ALL.into_iter().filter_map(|rule| {
                let value = rules.value(rule)?;
                Some((Some(key.as_str()), rule, value, true))
            });
            set
        });
        general.chain(keys).collect()
    }

    /// The general rules, each replaced by the key's own where it has one. The fingerprint goes
    /// before the name: a keeper can give another key that name.
    fn rules_of(&self, case: &Case<'_>) -> Rules {
        let by_name = self.key.get(case.key_name);
        let by_fingerprint = self.key.get(&case.key.fingerprint());
        let own = [by_name, by_fingerprint].into_iter().flatten();
        own.fold(self.all.clone(), |rules, own| own.clone().over(rules))
    }
}

/// A rule that can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Which purposes: `ssh-login`, `git-commit`, `ssh-sig`, `ssh-certificate`.
    Purposes,
    /// Which namespaces of SSHSIG, as patterns.
    Namespaces,
    /// Which users are logged in as, as patterns.
    Users,
    /// Which hosts are logged in to, as patterns of their proved names.
    Hosts,
    /// Logins whose host is not proved.
    Unbound,
    /// Logins through a forwarded agent.
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

/// What no keeper is asked for, and by which rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the policy of this machine is against {what} (rule `{}`)", .rule.as_str())]
pub struct Refusal {
    /// The rule.
    pub rule: Rule,
    /// What it is against.
    pub what: String,
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
struct Rules {
    #[serde(skip_serializing_if = "Option::is_none")]
    purposes: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespaces: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    users: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hosts: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unbound: Option<Answer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    forwarded: Option<Answer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    background: Option<Answer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    opaque: Option<Answer>,
}

impl Rules {
    fn over(self, general: Self) -> Self {
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

    fn check(&self) -> Result<(), PolicyError> {
        for rule in Rule::ALL {
            match self.clone().place(rule) {
                Place::List(Some(words)) => check_list(rule, words)?,
                Place::List(None) | Place::Answer(_) => {}
            }
        }
        Ok(())
    }

    fn set(&mut self, rule: Rule, value: &str) -> Result<(), PolicyError> {
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

    fn unset(&mut self, rule: Rule) -> bool {
        match self.place(rule) {
            Place::List(list) => list.take().is_some(),
            Place::Answer(answer) => answer.take().is_some(),
        }
    }

    fn value(&self, rule: Rule) -> Option<String> {
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
enum Answer {
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

fn judge_login(rules: &Rules, login: &UserAuth, case: &Case<'_>) -> Result<(), Refusal> {
    if !permits(rules.users.as_ref(), &[&login.user]) {
        let what = format!("logins as {:?}", login.user);
        return Err(refusal(Rule::Users, &what));
    }
    let last = case.binds.last();
    let is_proved = last.is_some_and(|it| !it.forwarding && it.session_id == login.session_id);
    if !is_proved && rules.unbound == Some(Answer::Refuse) {
        let what = "logins whose host is not proved";
        return Err(refusal(Rule::Unbound, what));
    }
    if rules.hosts.is_some() {
        let names: &[String] = if is_proved {
            &case.evidence.host_names
        } else {
            &[]
        };
        let bare = names.iter().map(|name| bare_host(name));
        let names: Vec<&str> = names.iter().map(String::as_str).chain(bare).collect();
        if !permits(rules.hosts.as_ref(), &names) {
            let what = match names.first() {
                Some(name) => format!("logins to {name:?}"),
                None => "logins to a host without a proved name".to_owned(),
            };
            return Err(refusal(Rule::Hosts, &what));
        }
    }
    let is_forwarded = case.binds.iter().any(|bind| bind.forwarding);
    if is_forwarded && rules.forwarded == Some(Answer::Refuse) {
        return Err(refusal(Rule::Forwarded, "logins through a forwarded agent"));
    }
    Ok(())
}

/// Does one of `words` fit? Where nothing is set, all do.
fn permits(patterns: Option<&Vec<String>>, words: &[&str]) -> bool {
    patterns.is_none_or(|patterns| {
        let fits = |word: &&str| list_matches(patterns.iter().map(String::as_str), word);
        words.iter().any(fits)
    })
}

/// `host` of `[host]:port`.
fn bare_host(name: &str) -> &str {
    let bracketed = name.strip_prefix('[').and_then(|it| it.split_once("]:"));
    bracketed.map_or(name, |(host, _port)| host)
}

fn refusal(rule: Rule, what: &str) -> Refusal {
    Refusal {
        rule,
        what: what.to_owned(),
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
                takes: "`ssh-login`, `git-commit`, `ssh-sig`, `ssh-certificate`, with commas",
                value: word.clone(),
            });
        }
    }
    Ok(())
}

fn check_word(word: &str) -> Result<(), PolicyError> {
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

/// In the state folder: the agent writes it, so it does not stand beside the file that a person
/// edits and perhaps keeps elsewhere.
pub const FILE_NAME: &str = "policy.toml";

const HEADER: &str =
    "# Written by `keystead policy`. It only narrows what keepers are asked for.\n";

/// A person has some dozens.
const KEYS_MAX: usize = 256;

/// Each is tried on every request.
const PATTERNS_MAX: usize = 64;

/// As long as a host name or a user can be (RFC 1035 §2.3.4).
const WORD_BYTES_MAX: usize = 255;
