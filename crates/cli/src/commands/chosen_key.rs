//! Which key a name means for age and for signify: one that a keeper stores, or one that a wallet
//! derives.
//!
//! **Invariant:** a name is taken in one way alone: where a stored key has it, no wallet is asked
//! for another.

use keystead_agent::key_control::{HeldKey, IdentitySpec};
use keystead_core::{Curve, Derivation, Identity, Protocol, Purpose};

use crate::failure::{Failure, Status};
use crate::key_link::KeyLink;
use crate::terminal::harmless;

/// What a person said of the key.
pub(crate) struct Wanted<'a> {
    pub(crate) name: Option<&'a str>,
    pub(crate) keeper: Option<&'a str>,
    /// Only wallets have numbered keys.
    pub(crate) index: Option<u32>,
    /// May a wallet derive a key that nobody has seen yet? Not where a slip of the pen would be used.
    pub(crate) may_be_new: bool,
}

/// What the key is for.
#[derive(Clone, Copy)]
pub(crate) struct Service {
    /// As people call it.
    pub(crate) word: &'static str,
    /// How a wallet comes to have a first key for it.
    first: &'static str,
    pub(crate) purpose: Purpose,
    pub(crate) protocol: Protocol,
    pub(crate) curve: Curve,
    pub(crate) derivation: Derivation,
}

impl Service {
    pub(crate) const AGE: Self = Self {
        word: "age",
        first: "`keystead age recipient NAME` has a wallet derive one, for any NAME",
        purpose: Purpose::AgeUnwrap,
        protocol: Protocol::Age,
        curve: Curve::Curve25519,
        derivation: Derivation::Agree,
    };
    pub(crate) const SIGNIFY: Self = Self {
        word: "signify",
        first: "`keystead signify pubkey NAME` has a wallet derive one, for any NAME",
        purpose: Purpose::Signify,
        protocol: Protocol::Signify,
        curve: Curve::Ed25519,
        derivation: Derivation::Sign,
    };

    /// Whether a key does this.
    pub(crate) fn has(self, key: &HeldKey) -> bool {
        match &key.identity {
            Some(spec) => spec
                .identity()
                .is_ok_and(|identity| identity.protocol() == self.protocol),
            None => key.purposes.iter().any(|it| it == self.purpose.as_str()),
        }
    }

    fn identity(self, name: &str, index: u32) -> Result<Identity, Failure> {
        // A name of spaces cannot be told from none.
        let uri = self.protocol.uri_of(match name.trim().is_empty() {
            true => "",
            false => name,
        });
        Identity::new(uri, self.curve, index, self.derivation)
            .map_err(|error| Failure::of(&error).hint(error.hint()).status(Status::Usage))
    }
}

/// Finds the key; a wallet that has not told it yet is asked.
pub(crate) async fn choose(
    link: &mut KeyLink,
    service: Service,
    wanted: &Wanted<'_>,
) -> Result<HeldKey, Failure> {
    let keys = link.keys().await?;
    let at_keeper = |key: &HeldKey| {
        let is_its = |named| key.keeper == named || key.wallet.as_deref() == Some(named);
        wanted.keeper.is_none_or(is_its)
    };
    let fits = |key: &HeldKey| at_keeper(key) && service.has(key);
    let fitting: Vec<HeldKey> = keys.into_iter().filter(fits).collect();
    let Some(name) = wanted.name else {
        return only(fitting, service);
    };
    let is_stored = |key: &HeldKey| key.identity.is_none() && key.name == name;
    if wanted.index.is_none() && fitting.iter().any(is_stored) {
        return only(fitting.into_iter().filter(is_stored).collect(), service);
    }
    let identity = service.identity(name, wanted.index.unwrap_or(0))?;
    let is_it = |spec: &IdentitySpec| spec.identity().is_ok_and(|it| it == identity);
    let is_told = |key: &HeldKey| key.identity.as_ref().is_some_and(is_it);
    if !wanted.may_be_new && !fitting.iter().any(is_told) {
        return Err(unseen(service, &identity));
    }
    let keeper = wanted.keeper.map(str::to_owned);
    link.identity_key(IdentitySpec::of(&identity), keeper).await
}

/// Nobody could check by its public key what it does.
fn unseen(service: Service, identity: &Identity) -> Failure {
    let index = match identity.index() {
        0 => String::new(),
        index => format!(" --index {index}"),
    };
    let (word, name) = (service.word, identity.rest());
    Failure::new(format!("no key for {word} is called {name:?}{index} here"))
        .hint(format!(
            "`keystead key list` names the keys; where a wallet is to derive this one, \
             `keystead {word} pubkey{index} {name:?}` does, and prints its public key"
        ))
        .status(Status::Usage)
}

fn only(keys: Vec<HeldKey>, service: Service) -> Result<HeldKey, Failure> {
    let word = service.word;
    let mut keys = keys.into_iter();
    let (first, second) = (keys.next(), keys.next());
    match (first, second) {
        (Some(key), None) => Ok(key),
        (None, _) => Err(Failure::new(format!("no keeper has a key for {word}"))
            .hint(service.first)
            .status(Status::Usage)),
        (Some(first), Some(second)) => {
            let all = [first, second].into_iter().chain(keys);
            let all: Vec<String> = all.map(|key| shown(&key)).collect();
            Err(Failure::new(format!(
                "there are several keys for {word}: {}",
                all.join(", ")
            ))
            .hint("say which by its NAME, and --keeper where two have one of that name")
            .status(Status::Usage))
        }
    }
}

/// A key in words.
pub(crate) fn shown(key: &HeldKey) -> String {
    let name = match &key.identity {
        Some(spec) if spec.index != 0 => format!("{} index {}", spec.uri, spec.index),
        Some(spec) => spec.uri.clone(),
        None => key.name.clone(),
    };
    format!("{} on {}", harmless(&name), harmless(&key.keeper))
}
