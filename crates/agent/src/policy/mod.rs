//! The rules of this machine: what no keeper is even asked for (`keystead policy`).
//!
//! **Invariant:** a rule only ever takes away. Nothing here permits what a holder refuses, and no
//! rule makes a grant: [`Policy::judge`] says no, or that a keeper may be asked.

mod rule;

use std::collections::BTreeMap;

use keystead_core::{Evidence, Purpose};
use keystead_formats::ssh::pattern::matches;
use keystead_formats::ssh::userauth::UserAuth;
use keystead_formats::ssh::{PublicKey, SessionBind, ToBeSigned};
use serde::{Deserialize, Serialize};

use rule::{Answer, Rules, check_word};

pub use rule::{PolicyError, Rule};

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

/// A use of a key that is not SSH's, as far as rules look at it.
#[derive(Clone, Copy)]
pub struct UseCase<'a> {
    /// The key's name at its keeper.
    pub key_name: &'a str,
    /// `SHA256:…`.
    pub fingerprint: &'a str,
    /// What for.
    pub purpose: Purpose,
    /// Nobody sits at a terminal of who asks.
    pub is_background: bool,
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
        let rules = self.rules_of(case.key_name, &case.key.fingerprint());
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
        let is_forwarded = case.binds.iter().any(|bind| bind.forwarding);
        if is_forwarded && rules.forwarded == Some(Answer::Refuse) {
            let what = match case.content {
                ToBeSigned::UserAuth(_) => "logins through a forwarded agent",
                ToBeSigned::SshSig(_) | ToBeSigned::Certificate(_) | ToBeSigned::Opaque => {
                    "signatures through a forwarded agent"
                }
            };
            return Err(refusal(Rule::Forwarded, what));
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

    /// As [`Policy::judge`], of what is no SSH request.
    ///
    /// # Errors
    /// [`Refusal`] says which rule is against it.
    pub fn judge_use(&self, case: &UseCase<'_>) -> Result<(), Refusal> {
        let rules = self.rules_of(case.key_name, case.fingerprint);
        let purpose = case.purpose.as_str();
        if let Some(purposes) = &rules.purposes
            && !purposes.iter().any(|it| it == purpose)
        {
            return Err(refusal(Rule::Purposes, &format!("a use for {purpose}")));
        }
        if case.purpose == Purpose::Opaque && rules.opaque != Some(Answer::Ask) {
            return Err(refusal(Rule::Opaque, "bytes that nobody can read"));
        }
        if case.is_background && rules.background == Some(Answer::Refuse) {
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
            Rule::ALL.into_iter().filter_map(move |rule| {
                let value = rules.value(rule)?;
                Some((Some(key.as_str()), rule, value, true))
            })
        });
        general.chain(keys).collect()
    }

    /// The general rules, each replaced by the key's own where it has one. The fingerprint goes
    /// before the name: a keeper can give another key that name.
    fn rules_of(&self, key_name: &str, fingerprint: &str) -> Rules {
        let by_name = self.key.get(key_name);
        let by_fingerprint = self.key.get(fingerprint);
        let own = [by_name, by_fingerprint].into_iter().flatten();
        own.fold(self.all.clone(), |rules, own| own.clone().over(rules))
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

/// Does one of `words` fit, and none a pattern with `!` in front? A host has several names, and is
/// meant by each. Where nothing is set, all do.
fn permits(patterns: Option<&Vec<String>>, words: &[&str]) -> bool {
    patterns.is_none_or(|patterns| {
        let fits = |pattern: &str| words.iter().any(|word| matches(pattern, word));
        let mut negated = patterns.iter().filter_map(|it| it.strip_prefix('!'));
        !negated.any(fits) && patterns.iter().any(|it| fits(it))
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

/// In the state folder: the agent writes it, so it does not stand beside the file that a person
/// edits and perhaps keeps elsewhere.
pub const FILE_NAME: &str = "policy.toml";

const HEADER: &str =
    "# Written by `keystead policy`. It only narrows what keepers are asked for.\n";

/// A person has some dozens.
const KEYS_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use keystead_core::Evidence;
    use keystead_formats::ssh::sshsig::{HashAlgorithm, SshSig};

    use super::*;

    const KEY: [u8; 32] = [1; 32];

    fn bind(forwarding: bool, session: u8) -> SessionBind {
        SessionBind {
            host_key: PublicKey::ed25519(&[2; 32]),
            session_id: vec![session; 32],
            signature: Vec::new(),
            forwarding,
        }
    }

    fn login(user: &str) -> ToBeSigned {
        ToBeSigned::UserAuth(Box::new(UserAuth {
            session_id: vec![7; 32],
            user: user.to_owned(),
            algorithm: "ssh-ed25519".to_owned(),
            key: PublicKey::ed25519(&KEY),
            host_key: None,
        }))
    }

    /// Judges a login as `alex` to `[db1.test]:2222`, and to `db1.test` by its other name.
    #[track_caller]
    fn check(text: &str, binds: &[SessionBind], expected: Result<(), Rule>) {
        check_of(&login("alex"), text, binds, expected);
    }

    #[track_caller]
    fn check_of(
        content: &ToBeSigned,
        text: &str,
        binds: &[SessionBind],
        expected: Result<(), Rule>,
    ) {
        let policy = Policy::parse(text).unwrap();
        assert_eq!(Policy::parse(&policy.to_text()), Ok(policy.clone()));
        let evidence = Evidence {
            host_names: ["[db1.test]:2222", "db2"].map(str::to_owned).to_vec(),
            ..Evidence::default()
        };
        let case = Case {
            key_name: "work",
            key: &PublicKey::ed25519(&KEY),
            content,
            binds,
            evidence: &evidence,
        };
        let judged = policy.judge(&case).map_err(|refusal| refusal.rule);
        assert_eq!(judged, expected, "{text}");
    }

    #[test]
    fn hosts_by_their_proved_names() {
        let proved = [bind(false, 7)];
        check("", &proved, Ok(()));
        check("[all]\nhosts = [\"*.test\"]", &proved, Ok(()));
        check("[all]\nhosts = [\"db2\"]", &proved, Ok(()));
        check("[all]\nhosts = [\"[db1.test]:2222\"]", &proved, Ok(()));
        check("[all]\nhosts = [\"*.org\"]", &proved, Err(Rule::Hosts));
        check(
            "[all]\nhosts = [\"*\", \"!db*\"]",
            &proved,
            Err(Rule::Hosts),
        );
        let any = "[all]\nhosts = [\"*\"]";
        check(any, &[], Err(Rule::Hosts));
        check(any, &[bind(true, 7)], Err(Rule::Hosts));
        check(any, &[bind(false, 8)], Err(Rule::Hosts));
    }

    #[test]
    fn ways_that_are_not_proved_or_forwarded() {
        let (unbound, forwarded) = (
            "[all]\nunbound = \"refuse\"",
            "[all]\nforwarded = \"refuse\"",
        );
        check(unbound, &[], Err(Rule::Unbound));
        check(unbound, &[bind(true, 7)], Err(Rule::Unbound));
        check(unbound, &[bind(true, 1), bind(false, 7)], Ok(()));
        check(
            forwarded,
            &[bind(true, 1), bind(false, 7)],
            Err(Rule::Forwarded),
        );
        check(forwarded, &[bind(false, 7)], Ok(()));
        check(forwarded, &[], Ok(()));
        let signed = SshSig::of("git", HashAlgorithm::Sha512, b"x");
        let signed = ToBeSigned::SshSig(signed);
        check_of(&signed, forwarded, &[bind(true, 1)], Err(Rule::Forwarded));
        check_of(&signed, forwarded, &[bind(false, 7)], Ok(()));
    }

    #[test]
    fn a_key_has_rules_of_its_own_and_its_fingerprint_goes_before_its_name() {
        let all = "[all]\nusers = [\"root\"]\n";
        check(all, &[], Err(Rule::Users));
        check(&format!("{all}[key.work]\nusers = [\"al*\"]"), &[], Ok(()));
        check(
            &format!("{all}[key.other]\nusers = [\"al*\"]"),
            &[],
            Err(Rule::Users),
        );
        check(
            &format!("{all}[key.work]\nunbound = \"ask\""),
            &[],
            Err(Rule::Users),
        );
        let fingerprint = PublicKey::ed25519(&KEY).fingerprint();
        let own =
            format!("[key.work]\nusers = [\"x\"]\n[key.\"{fingerprint}\"]\nusers = [\"alex\"]");
        check(&own, &[], Ok(()));
    }

    #[test]
    fn uses_that_are_not_of_ssh() {
        let check = |text: &str, purpose, is_background, expected| {
            let case = UseCase {
                key_name: "work",
                fingerprint: "SHA256:x",
                purpose,
                is_background,
            };
            let judged = Policy::parse(text).unwrap().judge_use(&case);
            assert_eq!(judged.map_err(|refusal| refusal.rule), expected, "{text}");
        };
        let signs = "[all]\npurposes = [\"openpgp\", \"signify\"]";
        check("", Purpose::OpenPgp, false, Ok(()));
        check(signs, Purpose::Signify, false, Ok(()));
        check(signs, Purpose::OpenPgpDecrypt, false, Err(Rule::Purposes));
        check(signs, Purpose::AgeUnwrap, false, Err(Rule::Purposes));
        let own = format!("{signs}\n[key.\"SHA256:x\"]\npurposes = [\"age-unwrap\"]");
        check(&own, Purpose::AgeUnwrap, false, Ok(()));
        check(&own, Purpose::OpenPgp, false, Err(Rule::Purposes));
        let seen = "[all]\nbackground = \"refuse\"";
        check(seen, Purpose::AgeUnwrap, false, Ok(()));
        check(seen, Purpose::AgeUnwrap, true, Err(Rule::Background));
        check("", Purpose::Opaque, false, Err(Rule::Opaque));
    }

    #[test]
    fn texts_that_are_no_policy() {
        let check = |text: &str, part: &str| {
            let error = Policy::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        };
        check("users = [\"a\"]", "unknown field `users`");
        check("[all]\nunbound = \"perhaps\"", "unknown variant `perhaps`");
        check("[all]\nusers = [\"\"]", "neither a pattern nor a name");
        check("[all]\npurposes = [\"login\"]", "takes `ssh-login`");
        check("[key.\"a,b\"]\n", "neither a pattern nor a name");
        check("[all", "cannot be read");
    }
}
