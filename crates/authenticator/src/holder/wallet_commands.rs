//! What the holder does about wallets at this machine.
//!
//! **Invariant**: a wallet comes and goes by the holder's command alone, and that is in the log
//! before it is done. The words pass through here once and are not kept.

use keystead_core::{Curve, Identity, KeyId, Outcome, SecretBytes, WalletFingerprint, hex};
use keystead_vault::wallet::{Wallet, Words};

use super::replies::{DISK_HINT, key_line, log_failed};
use super::{Holder, Step};
use crate::control::{IdentityLine, JSON_VERSION, Reply, WalletDeed, WalletLine, WalletLines};
use crate::entry::Entry;
use crate::identities::{IdentitiesError, Noted, Record, Used, file_name};
use crate::keyring::derived_entry;

/// What came behind the line of a wallet's command: one or two secrets, and the store's
/// passphrase where it is locked.
struct Attached {
    secret: Option<SecretBytes>,
    first_bytes: usize,
    second_bytes: usize,
}

struct Parts {
    first: SecretBytes,
    second: SecretBytes,
    passphrase: Option<SecretBytes>,
}

impl Attached {
    /// None where the lengths are not those of what came.
    fn parts(&self) -> Option<Parts> {
        let all = self.secret.as_ref().map_or(&[][..], SecretBytes::expose);
        let (first, rest) = all.split_at_checked(self.first_bytes)?;
        let (second, rest) = rest.split_at_checked(self.second_bytes)?;
        let own = |bytes: &[u8]| SecretBytes::fill(bytes.len(), |it| it.copy_from_slice(bytes));
        Some(Parts {
            first: own(first),
            second: own(second),
            passphrase: (!rest.is_empty()).then(|| own(rest)),
        })
    }
}

/// What is looked for.
struct Search<'a> {
    uris: &'a [String],
    index_max: u32,
    /// Hex of key ids; none looks for nothing and shows all.
    keys: &'a [String],
}

impl Holder {
    /// A command about wallets, with the secrets that followed its line.
    pub(super) fn on_wallet(
        &mut self,
        deed: WalletDeed,
        secret: Option<SecretBytes>,
        step: &mut Step<'_, '_>,
    ) -> Reply {
        let attached = |first_bytes, second_bytes| Attached {
            secret,
            first_bytes,
            second_bytes,
        };
        match deed {
            WalletDeed::Add {
                words_bytes,
                words_passphrase_bytes,
            } => self.wallet_add(&attached(words_bytes, words_passphrase_bytes), step),
            WalletDeed::Import { record_bytes } => {
                self.wallet_import(&attached(record_bytes, 0), step)
            }
            WalletDeed::Remove { fingerprint } => self.wallet_remove(&fingerprint, step),
            WalletDeed::Find {
                uris,
                index_max,
                keys,
            } => {
                let search = Search {
                    uris: &uris,
                    index_max,
                    keys: &keys,
                };
                self.wallet_find(&search, &attached(0, 0), step)
            }
            WalletDeed::Show => self.wallet_show(&attached(0, 0), step),
        }
    }

    /// Adds the wallet of words that follow the line, with their passphrase.
    fn wallet_add(&mut self, attached: &Attached, step: &mut Step<'_, '_>) -> Reply {
        self.while_open(attached, step, |holder, parts, step| {
            let wallet = match wallet_of(&parts.first, &parts.second) {
                Ok(wallet) => wallet,
                Err(reply) => return reply,
            };
            let fingerprint = wallet.fingerprint();
            if let Err(reply) = holder.log_wallet("wallet-add", fingerprint, None, step) {
                return reply;
            }
            let added = holder.keys.add_wallet(wallet, step.io.rng, step.io.disk);
            match added {
                Ok(()) => Reply::done(format!("wallet {fingerprint} is here")),
                Err(error) => Reply::failed(error.to_string(), error.hint()),
            }
        })
    }

    /// Forgets a wallet, and its record with it.
    fn wallet_remove(&mut self, fingerprint: &str, step: &mut Step<'_, '_>) -> Reply {
        let named = self.keys.wallets().find(|it| it.to_string() == fingerprint);
        let Some(fingerprint) = named else {
            return no_wallet();
        };
        if let Err(reply) = self.log_wallet("wallet-remove", fingerprint, None, step) {
            return reply;
        }
        self.records.clear();
        let removed = self.keys.remove_wallet(fingerprint, step.io.disk);
        // Whose of the derived keys a grant is for, nobody knows now: all of them are asked for.
        let keys = &self.keys;
        self.grants
            .forget_keys(|key| keys.entry(key).is_none(), step.io.disk);
        if let Err(error) = removed {
            let message = format!("the wallet could not be taken out of the file: {error}");
            return Reply::failed(message, DISK_HINT);
        }
        // The record opens by the words alone: it may lie there, but helps nobody here.
        let record = file_name(fingerprint);
        match step.io.disk.remove(&record) {
            Ok(()) => Reply::done(format!(
                "wallet {fingerprint} is gone from here; its words bring it back"
            )),
            Err(error) => Reply::failed(
                format!(
                    "wallet {fingerprint} is gone from here, its record {record} is not: {error}"
                ),
                DISK_HINT,
            ),
        }
    }

    /// The wallets, and where the keys are open what they were used for.
    fn wallet_show(&mut self, attached: &Attached, step: &mut Step<'_, '_>) -> Reply {
        if self.keys.is_locked() && attached.secret.is_none() {
            let wallets = self.keys.wallets().map(|it| WalletLine {
                fingerprint: it.to_string(),
                identities: None,
            });
            return Reply::Wallets(WalletLines {
                version: JSON_VERSION,
                wallets: wallets.collect(),
            });
        }
        self.while_open(attached, step, |holder, _, step| {
            let fingerprints: Vec<WalletFingerprint> = holder.keys.wallets().collect();
            let mut wallets = Vec::with_capacity(fingerprints.len());
            for fingerprint in fingerprints {
                match holder.wallet_line(fingerprint, step) {
                    Ok(line) => wallets.push(line),
                    Err(error) => return failed(&error),
                }
            }
            Reply::Wallets(WalletLines {
                version: JSON_VERSION,
                wallets,
            })
        })
    }

    /// Takes in a record that was kept elsewhere.
    fn wallet_import(&mut self, attached: &Attached, step: &mut Step<'_, '_>) -> Reply {
        self.while_open(attached, step, |holder, parts, step| {
            let sealed = parts.first.expose();
            let all: Vec<WalletFingerprint> = holder.keys.wallets().collect();
            let mut refused = None;
            for fingerprint in all {
                let opened = match holder.keys.wallet(Some(fingerprint)) {
                    Some(wallet) => Record::open(wallet, sealed),
                    None => continue,
                };
                match opened {
                    Ok(record) => return holder.merge_record(fingerprint, &record, step),
                    Err(error) => refused = Some(error),
                }
            }
            refused.map_or_else(no_wallet, |error| failed(&error))
        })
    }

    /// Derives the keys of many identities, and shows those that somebody has.
    fn wallet_find(
        &mut self,
        search: &Search<'_>,
        attached: &Attached,
        step: &mut Step<'_, '_>,
    ) -> Reply {
        let identities = match search.identities() {
            Ok(identities) => identities,
            Err(reply) => return reply,
        };
        self.while_open(attached, step, |holder, _, step| {
            let wallets: Vec<WalletFingerprint> = holder.keys.wallets().collect();
            if wallets.is_empty() {
                return no_wallet();
            }
            let mut found = Vec::new();
            for fingerprint in wallets {
                let Some(wallet) = holder.keys.wallet(Some(fingerprint)) else {
                    continue;
                };
                let matching: Vec<(Identity, KeyId)> = identities
                    .iter()
                    .filter_map(|it| {
                        let entry = derived_entry(wallet, it).ok()?;
                        search.has(&entry.id).then(|| (it.clone(), entry.id))
                    })
                    .collect();
                for (identity, _) in matching {
                    if let Some(line) = holder.identity_line(fingerprint, &identity, 0) {
                        found.push(line);
                    }
                    if !search.keys.is_empty() {
                        holder.note_identity(fingerprint, &identity, Noted::Used, step);
                    }
                }
            }
            Reply::Identities { identities: found }
        })
    }

    fn merge_record(
        &mut self,
        fingerprint: WalletFingerprint,
        record: &Record,
        step: &mut Step<'_, '_>,
    ) -> Reply {
        if let Err(reply) = self.log_wallet("wallet-import", fingerprint, None, step) {
            return reply;
        }
        let Some(wallet) = self.keys.wallet(Some(fingerprint)) else {
            return no_wallet();
        };
        let merged = self.records.of(wallet, step.io.disk).map(|own| {
            let new = own.merge(record);
            (new, own.used().len(), own.save(wallet, step.io))
        });
        match merged {
            Ok((new, all, Ok(()))) => Reply::done(format!(
                "wallet {fingerprint}: {new} new of {} identities, {all} in all",
                record.used().len()
            )),
            Ok((_, _, Err(error))) | Err(error) => failed(&error),
        }
    }

    fn wallet_line(
        &mut self,
        fingerprint: WalletFingerprint,
        step: &mut Step<'_, '_>,
    ) -> Result<WalletLine, IdentitiesError> {
        let used: Vec<Used> = match self.keys.wallet(Some(fingerprint)) {
            Some(wallet) => self.records.of(wallet, step.io.disk)?.used().to_vec(),
            None => Vec::new(),
        };
        let lines = used
            .iter()
            .filter_map(|it| self.identity_line(fingerprint, &it.identity, it.first_unix_s));
        Ok(WalletLine {
            fingerprint: fingerprint.to_string(),
            identities: Some(lines.collect()),
        })
    }

    fn identity_line(
        &self,
        wallet: WalletFingerprint,
        identity: &Identity,
        first_unix_s: u64,
    ) -> Option<IdentityLine> {
        let entry = derived_entry(self.keys.wallet(Some(wallet))?, identity).ok()?;
        Some(IdentityLine {
            identity: identity.uri().to_owned(),
            curve: identity.curve().to_string(),
            index: identity.index(),
            derivation: identity.derivation().number(),
            wallet: wallet.to_string(),
            first_unix_s: Some(first_unix_s).filter(|it| *it > 0),
            key: key_line(&entry)?,
        })
    }

    fn log_wallet(
        &mut self,
        kind: &str,
        fingerprint: WalletFingerprint,
        words: Option<String>,
        step: &mut Step<'_, '_>,
    ) -> Result<(), Reply> {
        let mut entry = Entry::own(step.now.unix_s, kind, Outcome::Approve);
        entry.wallet = Some(fingerprint.to_string());
        entry.words = words;
        self.log_own(&entry, step).map_err(|it| log_failed(&it))
    }

    /// Opens the keys for one command, where they are locked and their passphrase came along.
    fn while_open(
        &mut self,
        attached: &Attached,
        step: &mut Step<'_, '_>,
        work: impl FnOnce(&mut Self, &Parts, &mut Step<'_, '_>) -> Reply,
    ) -> Reply {
        let Some(parts) = attached.parts() else {
            return Reply::failed("what follows the line did not come whole", "");
        };
        let was_locked = self.keys.is_locked();
        if was_locked {
            let Some(passphrase) = &parts.passphrase else {
                return Reply::failed(
                    "the authenticator is locked",
                    "keystead-authenticator unlock, or give --passphrase-fd N",
                );
            };
            if let Err(error) = self.keys.unlock(passphrase) {
                return Reply::failed(error.to_string(), error.hint());
            }
        }
        let reply = work(self, &parts, step);
        if was_locked {
            self.keys.lock();
            self.records.clear();
        }
        reply
    }
}

impl Search<'_> {
    /// Every identity that is looked for.
    fn identities(&self) -> Result<Vec<Identity>, Reply> {
        let mut all = Vec::new();
        for uri in self.uris {
            for index in 0..=self.index_max {
                let identities = Identity::all_of(uri, Curve::ALL, index)
                    .map_err(|error| Reply::failed(error.to_string(), error.hint()))?;
                all.extend(identities);
                if all.len() > SEARCHED_MAX {
                    return Err(Reply::failed(
                        format!("more than {SEARCHED_MAX} keys would be derived"),
                        "name fewer hosts, users or indexes at once",
                    ));
                }
            }
        }
        Ok(all)
    }

    fn has(&self, key: &KeyId) -> bool {
        self.keys.is_empty() || self.keys.contains(&hex::encode(&key.0))
    }
}

/// The wallet of words and their passphrase.
fn wallet_of(words: &SecretBytes, passphrase: &SecretBytes) -> Result<Wallet, Reply> {
    let failed =
        |error: keystead_vault::wallet::WordsError| Reply::failed(error.to_string(), error.hint());
    let words = Words::read(words.expose()).map_err(failed)?;
    let seed = words.seed(passphrase).map_err(failed)?;
    Wallet::new(seed).map_err(|error| Reply::failed(error.to_string(), ""))
}

fn failed(error: &IdentitiesError) -> Reply {
    Reply::failed(error.to_string(), error.hint())
}

fn no_wallet() -> Reply {
    Reply::failed(
        "there is no such wallet here",
        "keystead-authenticator wallet show lists them",
    )
}

/// 10,000 keys: some two seconds.
const SEARCHED_MAX: usize = 10_000;
