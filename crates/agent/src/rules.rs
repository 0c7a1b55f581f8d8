//! The commands for policy and certificates, and their files.
//!
//! **Invariant:** what is in force is what lies on the disk: a change counts once its file is
//! written, and a file that a person edited counts from the next command that looks at it.

use std::io;

use keystead_core::is_unsafe_to_show;
use keystead_daemon::Disk;

use crate::agent::{Agent, LoadError, Turn};
use crate::certificates::{CertificateError, Certificates, Kept};
use crate::control::{Certificate, Failure, PolicyRule, Reply};
use crate::failures::{failure, usage};
use crate::key_files::{self, FOLDER};
use crate::log::Entry;
use crate::policy::{FILE_NAME, Policy, PolicyError, Rule};

impl Agent {
    /// Reads the policy; no file forbids nothing.
    pub(crate) fn read_policy(&mut self, disk: &mut dyn Disk) -> Result<(), LoadError> {
        let unreadable = |source| LoadError::Unreadable { source };
        let bytes = disk.read(FILE_NAME).map_err(unreadable)?;
        self.policy = match bytes {
            None => Policy::default(),
            Some(bytes) => {
                let not_text = |_| PolicyError::Text("it is not UTF-8".to_owned());
                Policy::parse(&String::from_utf8(bytes).map_err(not_text)?)?
            }
        };
        Ok(())
    }

    /// Reads the certificates; those that cannot be used are told of.
    pub(crate) fn read_certificates(&mut self, disk: &mut dyn Disk) -> io::Result<()> {
        let (certificates, notices) = Certificates::load(disk)?;
        self.certificates = certificates;
        notices.into_iter().for_each(|notice| self.notice(notice));
        Ok(())
    }

    pub(crate) fn show_policy(&mut self, turn: &mut Turn<'_, '_>) -> Result<Reply, Failure> {
        self.read_policy(turn.io.disk).map_err(not_read)?;
        Ok(self.policy_reply())
    }

    /// Sets a rule, or takes it back where there is no value.
    pub(crate) fn set_policy(
        &mut self,
        turn: &mut Turn<'_, '_>,
        key: Option<&str>,
        rule: &str,
        value: Option<&str>,
    ) -> Result<Reply, Failure> {
        let wrong = |error: PolicyError| usage(&error.to_string(), error.hint());
        self.read_policy(turn.io.disk).map_err(not_read)?;
        let rule: Rule = rule.parse().map_err(wrong)?;
        let mut policy = self.policy.clone();
        match value {
            Some(value) => policy.set(key, rule, value).map_err(wrong)?,
            None => {
                policy.unset(key, rule);
            }
        }
        if policy != self.policy {
            let text = policy.to_text();
            let written = turn.io.disk.replace(FILE_NAME, text.as_bytes());
            written.map_err(|error| not_written(&error))?;
            self.policy = policy;
            let entry = Entry {
                key: key.map(str::to_owned),
                reason: Some(format!("{}={}", rule.as_str(), value.unwrap_or("unset"))),
                ..turn.entry("policy", "approve")
            };
            self.record(turn, &entry);
        }
        Ok(self.policy_reply())
    }

    fn policy_reply(&self) -> Reply {
        let rule = |(key, rule, value, is_set): (Option<&str>, Rule, String, bool)| PolicyRule {
            key: key.map(str::to_owned),
            rule: rule.as_str().to_owned(),
            value,
            is_default: !is_set,
        };
        Reply::Policy {
            rules: self.policy.list().into_iter().map(rule).collect(),
            file: self.setup.state_folder.join(FILE_NAME),
        }
    }

    pub(crate) fn show_certificates(&mut self, turn: &mut Turn<'_, '_>) -> Result<Reply, Failure> {
        self.read_certificates(turn.io.disk).map_err(|error| {
            let message = format!("the certificates cannot be read: {error}");
            failure(&message, "see that the state folder is readable")
        })?;
        let kept = self.certificates.all().iter();
        let certificates = kept.map(|it| self.certificate_view(it, turn.now.unix_s));
        Ok(Reply::Certificates {
            certificates: certificates.collect(),
        })
    }

    pub(crate) fn add_certificate(
        &mut self,
        turn: &mut Turn<'_, '_>,
        line: &str,
    ) -> Result<Reply, Failure> {
        let keys = self.kept_keys();
        let names = key_files::names(&keys);
        let keys: Vec<_> = keys.into_iter().map(|it| it.key).zip(names).collect();
        let kept = self.certificates.add(line, &keys, turn.io.disk);
        let kept = kept.map_err(|error| certificate_failure(&error))?.clone();
        self.record_certificate(turn, &kept.file, "add-certificate");
        let certificate = self.certificate_view(&kept, turn.now.unix_s);
        Ok(Reply::Certificates {
            certificates: vec![certificate],
        })
    }

    pub(crate) fn remove_certificate(
        &mut self,
        turn: &mut Turn<'_, '_>,
        named: &str,
    ) -> Result<Reply, Failure> {
        let keys = self.kept_keys();
        let by_name = keys.iter().find(|it| it.name.as_str() == named);
        let found = by_name.map_or_else(|| named.to_owned(), |it| it.key.fingerprint());
        let removed = self.certificates.remove(&found, turn.io.disk);
        removed.map_err(|error| certificate_failure(&error))?;
        self.record_certificate(turn, named, "remove-certificate");
        Ok(Reply::Done {})
    }

    fn record_certificate(&mut self, turn: &mut Turn<'_, '_>, named: &str, kind: &str) {
        let is_shown = !named.chars().any(is_unsafe_to_show);
        let entry = Entry {
            key: is_shown.then(|| named.to_owned()),
            ..turn.entry(kind, "approve")
        };
        self.record(turn, &entry);
    }

    fn certificate_view(&self, kept: &Kept, now_unix_s: u64) -> Certificate {
        let keys = self.kept_keys();
        let key = keys.iter().find(|it| it.key.id() == kept.key());
        let terms = kept.terms();
        let valid_to_unix_s = terms.map_or(u64::MAX, |it| it.valid_before_unix_s);
        Certificate {
            key: kept.certificate.fingerprint(),
            key_name: key.map(|it| it.name.to_string()),
            key_id: terms.map_or_else(String::new, |it| it.key_id.clone()),
            serial: terms.map_or(0, |it| it.serial),
            principals: terms.map_or_else(Vec::new, |it| it.principals.clone()),
            valid_from_unix_s: terms.map_or(0, |it| it.valid_after_unix_s),
            valid_to_unix_s: (valid_to_unix_s != u64::MAX).then_some(valid_to_unix_s),
            authority: terms.map_or_else(String::new, |it| it.authority.fingerprint()),
            file: self.setup.state_folder.join(FOLDER).join(&kept.file),
            is_offered: key.is_some() && kept.is_valid(now_unix_s),
        }
    }
}

fn certificate_failure(error: &CertificateError) -> Failure {
    failure(&error.to_string(), error.hint())
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn not_read(error: LoadError) -> Failure {
    failure(&error.to_string(), error.hint())
}

fn not_written(error: &io::Error) -> Failure {
    let message = format!("the policy cannot be written: {error}");
    failure(&message, "see that the state folder can be written")
}
