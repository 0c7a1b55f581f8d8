//! A key's parts: fetched from the wallet, and signed by it.
//!
//! **Invariant:** what is put together is complete and verified, or nothing is.

use keystead_agent::gpg::MappedKey;
use keystead_agent::key_control::{HeldKey, IdentitySpec, KeyChoice, Shown};
use keystead_core::{Algorithm, Curve, Derivation, Identity, KeyId, Protocol, SignForm};
use keystead_formats::openpgp::build::Signer;
use keystead_formats::openpgp::{
    Form, KeyPacket, PublicKey, Signature, Transferable, Unsigned, Usage,
};
use tokio::task::JoinSet;

use crate::agent_link::unexpected;
use crate::failure::{Failure, Status};
use crate::key_link::{KeyLink, Talk, Use};

/// What is to be made.
pub(super) struct Plan {
    pub(super) user_id: String,
    /// What keys are derived from.
    pub(super) text: String,
    pub(super) curve: Curve,
    pub(super) index: u32,
    pub(super) keeper: Option<String>,
    pub(super) created_unix_s: u32,
    pub(super) form: Form,
    /// A separate subkey signs.
    pub(super) signs_apart: bool,
    pub(super) logs_in: bool,
}

/// What was made.
pub(super) struct Made {
    pub(super) key: Transferable,
    pub(super) mapped: Vec<MappedKey>,
}

impl Plan {
    /// Fetches the public halves, and has the wallet sign what belongs together: all at once, so
    /// that it is one question; a subkey that signs has to agree first.
    pub(super) async fn make(&self) -> Result<Made, Failure> {
        let mut link = KeyLink::open(Talk::Here).await?;
        let gpg = |index| {
            Part::new(
                Protocol::Gpg,
                &self.text,
                self.curve,
                index,
                Derivation::Sign,
            )
        };
        let primary = gpg(self.index)?.fetch(&mut link, self).await?;
        let encrypt = Part::new(
            Protocol::Gpg,
            &self.text,
            encryption_curve(self.curve),
            self.index,
            Derivation::Agree,
        )?;
        let mut subkeys = vec![(Usage::Encrypt, encrypt.fetch(&mut link, self).await?)];
        if self.logs_in {
            let part = Part::new(
                Protocol::Ssh,
                &self.text,
                self.curve,
                self.index,
                Derivation::Sign,
            )?;
            subkeys.push((Usage::Authenticate, part.fetch(&mut link, self).await?));
        }
        if self.signs_apart {
            let index = self.index.checked_add(1).ok_or_else(|| {
                Failure::new("the index is too high for a second key").status(Status::Usage)
            })?;
            subkeys.push((Usage::Sign, gpg(index)?.fetch(&mut link, self).await?));
        }
        drop(link);
        let key = self.put_together(&primary, &subkeys).await?;
        let mapped = std::iter::once(&primary)
            .chain(subkeys.iter().map(|(_, it)| it))
            .map(|it| it.mapped.clone())
            .collect();
        Ok(Made { key, mapped })
    }

    async fn put_together(
        &self,
        primary: &Fetched,
        subkeys: &[(Usage, Fetched)],
    ) -> Result<Transferable, Failure> {
        let signer = Signer::new(&primary.packet).ok_or_else(unexpected)?;
        let now = self.created_unix_s;
        let bind = |subkey: &Fetched, usage, back: Option<&Signature>| {
            signer.binding(&subkey.packet, usage, back, self.form, now)
        };
        let mut wanted = vec![(signer.user_id(&self.user_id, self.form, now), primary)];
        for (usage, subkey) in subkeys {
            wanted.push(match usage {
                Usage::Sign => {
                    let agrees = Signer::new(&subkey.packet).ok_or_else(unexpected)?;
                    (agrees.back(&primary.packet, self.form, now), subkey)
                }
                Usage::Encrypt | Usage::Authenticate => (bind(subkey, *usage, None), primary),
            });
        }
        let signed = sign_all(wanted, &self.user_id).await?;
        let mut signed = signed.into_iter();
        let mut key = Transferable::new(primary.packet.clone());
        key.push_user_id(&self.user_id, &signed.next().ok_or_else(unexpected)?);
        for ((usage, subkey), signature) in subkeys.iter().zip(signed) {
            let binding = if *usage == Usage::Sign {
                let unsigned = bind(subkey, *usage, Some(&signature));
                let second = sign_all(vec![(unsigned, primary)], &self.user_id).await?;
                second.into_iter().next().ok_or_else(unexpected)?
            } else {
                signature
            };
            key.push_subkey(subkey.packet.clone(), &binding);
        }
        Ok(key)
    }
}

/// A key that a wallet derives.
pub(super) struct Part(Identity);

impl Part {
    pub(super) fn new(
        protocol: Protocol,
        text: &str,
        curve: Curve,
        index: u32,
        derivation: Derivation,
    ) -> Result<Self, Failure> {
        Identity::new(protocol.uri_of(text), curve, index, derivation)
            .map(Self)
            .map_err(|error| Failure::of(&error).hint(error.hint()).status(Status::Usage))
    }

    async fn fetch(self, link: &mut KeyLink, plan: &Plan) -> Result<Fetched, Failure> {
        let whole = Whole {
            user_id: &plan.user_id,
            created_unix_s: plan.created_unix_s,
            keeper: plan.keeper.clone(),
        };
        self.fetch_for(link, &whole).await
    }

    pub(super) async fn fetch_for(
        self,
        link: &mut KeyLink,
        whole: &Whole<'_>,
    ) -> Result<Fetched, Failure> {
        let spec = IdentitySpec::of(&self.0);
        let held = link.identity_key(spec, whole.keeper.clone()).await?;
        Fetched::of(held, self.0, whole)
    }
}

/// What a part is told of the whole.
pub(super) struct Whole<'a> {
    pub(super) user_id: &'a str,
    pub(super) created_unix_s: u32,
    pub(super) keeper: Option<String>,
}

/// A key whose public half is here.
pub(super) struct Fetched {
    packet: KeyPacket,
    pub(super) mapped: MappedKey,
}

impl Fetched {
    fn of(held: HeldKey, identity: Identity, whole: &Whole<'_>) -> Result<Self, Failure> {
        let algorithm: Algorithm = held.algorithm.parse().map_err(|_| unexpected())?;
        let public_key = held.public_key_bytes().ok_or_else(unexpected)?;
        let key_id: KeyId = held.id.parse().map_err(|_| unexpected())?;
        let key = PublicKey::of_keeper(algorithm, &public_key).map_err(|_| unexpected())?;
        let keygrip = key.keygrip();
        let packet = KeyPacket::new(key, whole.created_unix_s);
        Ok(Self {
            mapped: MappedKey {
                keygrip,
                algorithm,
                public_key,
                key_id,
                identity: Some(identity),
                keeper: Some(held.keeper),
                user_id: whole.user_id.to_owned(),
                created_unix_s: whole.created_unix_s,
                fingerprint: packet.fingerprint(),
            },
            packet,
        })
    }

    fn choice(&self) -> KeyChoice {
        KeyChoice {
            id: Some(self.mapped.key_id.to_string()),
            identity: self.mapped.identity.as_ref().map(IdentitySpec::of),
            keeper: self.mapped.keeper.clone(),
        }
    }
}

/// Asks for all of them at once.
async fn sign_all(
    wanted: Vec<(Unsigned, &Fetched)>,
    user_id: &str,
) -> Result<Vec<Signature>, Failure> {
    let mut asked = JoinSet::new();
    for (place, (unsigned, key)) in wanted.iter().enumerate() {
        let content = unsigned.digest().encode();
        let key = key.choice();
        let shown = Shown {
            user_id: Some(user_id.to_owned()),
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

/// Where a key on `curve` has its encryption.
pub(super) const fn encryption_curve(curve: Curve) -> Curve {
    match curve {
        Curve::Ed25519 | Curve::Curve25519 => Curve::Curve25519,
        Curve::Nist256p1 => Curve::Nist256p1,
        Curve::Secp256k1 => Curve::Secp256k1,
    }
}
