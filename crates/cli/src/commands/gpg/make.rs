//! A key's parts: fetched from their keepers, and signed by that of the primary.
//!
//! **Invariant:** what is put together is complete and verified, or nothing is.

use keystead_agent::gpg::{KeyMap, MappedKey};
use keystead_agent::key_control::{Act, Shown};
use keystead_core::SignForm;
use keystead_daemon::SystemRng;
use keystead_formats::openpgp::build::Signer;
use keystead_formats::openpgp::{Form, Signature, Transferable, Unsigned, Usage};
use rand_core::RngCore;
use tokio::task::JoinSet;

use crate::agent_link::unexpected;
use crate::failure::{Failure, Status};
use crate::key_link::{KeyLink, Talk, Use};

use super::part::{Fetched, Part};
use super::place::{Naming, Place, Role};

/// What is to be made.
pub(super) struct Plan<'a> {
    pub(super) naming: Naming<'a>,
    pub(super) place: Place,
    /// Who decrypts; none: nobody.
    pub(super) decrypts: Option<Place>,
    pub(super) time: Time,
    pub(super) form: Form,
    /// A separate subkey signs.
    pub(super) signs_apart: bool,
    pub(super) logs_in: bool,
}

/// When the key is made.
pub(super) struct Time {
    /// By the person's word.
    pub(super) said_unix_s: Option<u32>,
    /// Keys that gpg has: one that was begun is gone on with.
    pub(super) known: KeyMap,
    /// Else.
    pub(super) usual_unix_s: u32,
}

/// What was made.
pub(super) struct Made {
    pub(super) key: Transferable,
    pub(super) mapped: Vec<MappedKey>,
    pub(super) created_unix_s: u32,
}

impl Plan<'_> {
    /// Fetches the public halves, and has the keeper sign what belongs together: all at once, so
    /// that it is one question; a subkey that signs has to agree first. What cannot be is said
    /// before `tell` says whom it asks.
    pub(super) async fn make(&self, tell: impl Fn()) -> Result<Made, Failure> {
        let (primary, wanted) = self.parts()?;
        // A wallet tells public halves unasked; what is stored is made by them.
        if !self.place.is_wallet() {
            tell();
        }
        let mut link = KeyLink::open(Talk::Here).await?;
        let naming = &self.naming;
        let primary = primary.fetch(&mut link).await?;
        let time = &self.time;
        let mut known = time.known.keys().iter();
        let begun = known.find(|it| it.key_id == primary.key_id);
        let begun = begun.map(|it| it.created_unix_s);
        let created_unix_s = time.said_unix_s.or(begun).unwrap_or(time.usual_unix_s);
        let primary = primary.part_of(naming.user_id, created_unix_s);
        let mut subkeys = Vec::new();
        for (usage, part) in wanted {
            let part = part.fetch(&mut link).await?;
            subkeys.push((usage, part.part_of(naming.user_id, created_unix_s)));
        }
        drop(link);
        if self.place.is_wallet() {
            tell();
        }
        let key = self.put_together(&primary, &subkeys).await?;
        let mapped = std::iter::once(&primary)
            .chain(subkeys.iter().map(|(_, it)| it))
            .map(|it| it.mapped.clone())
            .collect();
        Ok(Made {
            key,
            mapped,
            created_unix_s,
        })
    }

    fn parts(&self) -> Result<(Part, Vec<(Usage, Part)>), Failure> {
        let naming = &self.naming;
        let primary = self.place.part(Role::Primary, naming)?;
        let mut subkeys = Vec::new();
        if let Some(decrypts) = &self.decrypts {
            subkeys.push((Usage::Encrypt, decrypts.part(Role::Encrypt, naming)?));
        }
        if self.logs_in {
            let part = self.place.part(Role::Authenticate, naming)?;
            subkeys.push((Usage::Authenticate, part));
        }
        if self.signs_apart {
            let index = naming.index.checked_add(1).ok_or_else(|| {
                Failure::new("the index is too high for a second key").status(Status::Usage)
            })?;
            let next = Naming { index, ..*naming };
            subkeys.push((Usage::Sign, self.place.part(Role::Sign, &next)?));
        }
        Ok((primary, subkeys))
    }

    async fn put_together(
        &self,
        primary: &Fetched,
        subkeys: &[(Usage, Fetched)],
    ) -> Result<Transferable, Failure> {
        let signer = Signer::new(&primary.packet).ok_or_else(unexpected)?;
        let now = primary.mapped.created_unix_s;
        let user_id = self.naming.user_id;
        let bind = |subkey: &Fetched, usage, back: Option<&Signature>| {
            signer.binding(&subkey.packet, usage, back, self.form, now)
        };
        let mut wanted = vec![(signer.user_id(user_id, self.form, now), primary)];
        for (usage, subkey) in subkeys {
            wanted.push(match usage {
                Usage::Sign => {
                    let agrees = Signer::new(&subkey.packet).ok_or_else(unexpected)?;
                    (agrees.back(&primary.packet, self.form, now), subkey)
                }
                Usage::Encrypt | Usage::Authenticate => (bind(subkey, *usage, None), primary),
            });
        }
        let mut act = [0; 16];
        SystemRng.fill_bytes(&mut act);
        let apart = subkeys.iter().filter(|(it, _)| *it == Usage::Sign).count();
        let signed = sign_all(wanted, user_id, (act, apart)).await?;
        let mut signed = signed.into_iter();
        let mut key = Transferable::new(primary.packet.clone());
        key.push_user_id(user_id, &signed.next().ok_or_else(unexpected)?);
        for ((usage, subkey), signature) in subkeys.iter().zip(signed) {
            let binding = if *usage == Usage::Sign {
                let unsigned = bind(subkey, *usage, Some(&signature));
                let second = sign_all(vec![(unsigned, primary)], user_id, (act, 0)).await?;
                second.into_iter().next().ok_or_else(unexpected)?
            } else {
                signature
            };
            key.push_subkey(subkey.packet.clone(), &binding);
        }
        Ok(key)
    }
}

/// Asks for all of them at once; so many more follow in the same act.
async fn sign_all(
    wanted: Vec<(Unsigned, &Fetched)>,
    user_id: &str,
    (act, more): ([u8; 16], usize),
) -> Result<Vec<Signature>, Failure> {
    let mut asked = JoinSet::new();
    let count = u32::try_from(wanted.len().saturating_add(more)).unwrap_or(u32::MAX);
    let act = Act::new(act, "gpg init", count);
    for (place, (unsigned, key)) in wanted.iter().enumerate() {
        let content = unsigned.digest().encode();
        let key = key.choice();
        let shown = Shown {
            user_id: Some(user_id.to_owned()),
            act: Some(act.clone()),
            ..Shown::default()
        };
        // One of them tells the person what is waited for.
        let talk = if place == 0 {
            Talk::Here
        } else {
            Talk::ByAgent
        };
        asked.spawn(async move {
            let mut link = KeyLink::open(talk).await?;
            let wanted = Use {
                key,
                content: &content,
                preimage: None,
                shown,
            };
            let signature = link.sign(SignForm::OpenPgp, wanted).await?;
            Ok::<_, Failure>((place, signature))
        });
    }
    let mut answers = Vec::new();
    while let Some(answer) = asked.join_next().await {
        answers.push(answer.map_err(|error| Failure::new(error.to_string()))??);
    }
    answers.sort_by_key(|(place, _)| *place);
    let pairs = wanted.into_iter().zip(answers);
    pairs
        .map(|((unsigned, _), (_, signature))| {
            let finished = unsigned.finish(&signature);
            finished.map_err(|_| Failure::new("a signature of the keeper does not fit"))
        })
        .collect()
}
