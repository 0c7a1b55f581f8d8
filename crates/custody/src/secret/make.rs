//! `secret generate`, `import`, `store`: a secret that was not there before.
//!
//! **Invariant:** it is sealed for an id that both ends compute from a nonce drawn here, before
//! anything is sent; a server that answers with another id is told on.

use keystead_channel::session::requests::{
    self, Context, Generate as Make, Label, NewKey, Put, Request,
};
use keystead_channel::session::{KeyId, List, Octets, SecretOctets, Text};
use keystead_core::SecretBytes;
use keystead_daemon::{Clock, SystemClock, SystemRng};
use keystead_vault::ImportError;
use keystead_vault::client::{Brought, EncodingError, LocalKey, Place, Portable, Value};
use keystead_vault::held::{Kind, New, RsaSize};
use rand_core::RngCore;

use super::catalogue::{check_free, check_new, find_there};
use super::kind_of;
use crate::access::{self, Access, Need, result};
use crate::arguments::{Generate, Import, Store};
use crate::failure::Failure;
use crate::input;
use crate::local::LocalStore;
use crate::names::{Home, Known, Names};
use crate::prompt::Given;
use crate::servers::Server;
use crate::talk::{harmless, print, say};

/// Draws one: here with a sealed backup, or at the server.
pub(crate) fn generate(wanted: &Generate) -> Result<(), Failure> {
    let mut given = Given::read(wanted.at.answers, None)?;
    let plan = Plan::new(
        wanted.at.server.as_deref(),
        &wanted.name,
        wanted.replaces.as_deref(),
    )?;
    if wanted.remote {
        let request = |nonce, replaces| {
            Request::Make(Make {
                nonce,
                kind: requests::KeyType::Arbitrary,
                label: plan.open_label(),
                replaces,
                size: Some(wanted.bytes),
                purposes: List(Vec::new()),
                policy: None,
            })
        };
        return plan.hand_over(&mut given, Kind::Arbitrary, request);
    }
    let value =
        Value::generate(new_of(wanted), &mut SystemRng).map_err(|error| Failure::of(&error))?;
    plan.seal(
        &mut given,
        Context::Generated,
        &value,
        wanted.keep.local_copy,
    )
}

/// Brings a key from elsewhere.
pub(crate) fn import(wanted: &Import) -> Result<(), Failure> {
    let mut given = Given::read(wanted.at.answers, None)?;
    let plan = Plan::new(
        wanted.at.server.as_deref(),
        &wanted.name,
        wanted.replaces.as_deref(),
    )?;
    let bytes = input::read(&wanted.input, &mut given, None)?;
    let kind = wanted.kind.map(kind_of);
    let value = match wanted.portable {
        true => of_portable(&bytes, kind)?,
        false => brought(&bytes, kind, &mut given)?,
    };
    drop(bytes);
    if !wanted.server_only {
        return plan.seal(
            &mut given,
            Context::Imported,
            &value,
            wanted.keep.local_copy,
        );
    }
    let kind = value.kind();
    let request = |nonce, replaces| {
        Request::Import(requests::Import {
            nonce,
            kind: type_of(kind),
            label: plan.open_label(),
            replaces,
            value: SecretOctets(copy(value.bytes())),
            purposes: List(Vec::new()),
            policy: None,
        })
    };
    plan.hand_over(&mut given, kind, request)
}

/// Keeps bytes that exist: sealed at the server, or on this machine alone.
pub(crate) fn store(wanted: &Store) -> Result<(), Failure> {
    let mut given = Given::read(wanted.at.answers, None)?;
    if wanted.local_only {
        let names = Names::open()?;
        check_free(&names, None, &wanted.name)?;
        let value = arbitrary(input::read(&wanted.input, &mut given, Some("secret"))?)?;
        return keep_here_alone(&names, &mut given, &wanted.name, &value);
    }
    let plan = Plan::new(
        wanted.at.server.as_deref(),
        &wanted.name,
        wanted.replaces.as_deref(),
    )?;
    let value = arbitrary(input::read(&wanted.input, &mut given, Some("secret"))?)?;
    plan.seal(&mut given, Context::Stored, &value, wanted.keep.local_copy)
}

/// A new secret of an account: where, and under which name.
struct Plan {
    server: Server,
    names: Names,
    name: String,
    replaces: Option<String>,
}

impl Plan {
    fn new(server: Option<&str>, name: &str, replaces: Option<&str>) -> Result<Self, Failure> {
        let server = Server::find(server)?;
        let names = Names::open()?;
        check_new(&names, server.home(), name, replaces)?;
        Ok(Self {
            server,
            names,
            name: name.to_owned(),
            replaces: replaces.map(str::to_owned),
        })
    }

    fn open_label(&self) -> Label {
        Label::Open(Text(self.name.clone()))
    }

    /// Seals it for the account, and keeps a copy if that is wanted.
    fn seal(
        self,
        given: &mut Given,
        context: Context,
        value: &Value,
        local_copy: bool,
    ) -> Result<(), Failure> {
        let store = LocalStore::open()?;
        let local: Option<LocalKey> = match local_copy {
            true => Some(store.unlock(given)?),
            false => None,
        };
        let Self {
            server,
            names,
            name,
            replaces,
        } = self;
        let known = access::with(server, Need::MasterKey, given, async |access| {
            let storage = access.storage_key().await?;
            let replaces = match &replaces {
                Some(old) => Some(find_there(access, Some(&storage), &names, old).await?.key),
                None => None,
            };
            let (nonce, key) = draw(access);
            let user = access.user();
            let place = Place {
                user: &user.0,
                key: &key.0,
            };
            let rng = &mut SystemRng;
            let request = Request::Put(Put {
                nonce,
                context,
                kind: type_of(value.kind()),
                value: Octets(storage.seal_value(place, context.text(), value, rng)),
                label: Octets(storage.seal_label(place, 0, &name, rng)),
                replaces,
            });
            put(access, &request, key).await?;
            let known = Known {
                context: Some(context.text().to_owned()),
                replaces,
                ..new_entry(Some(access.server().home()), key, &name, value.kind())
            };
            names.put(known.clone())?;
            Ok(known)
        })?;
        if let Some(local) = &local {
            store.put(local, &known, value)?;
        }
        told(&known)
    }

    /// Lets the server make it, or gives it away: the server knows it.
    fn hand_over(
        &self,
        given: &mut Given,
        kind: Kind,
        request: impl FnOnce([u8; 32], Option<KeyId>) -> Request,
    ) -> Result<(), Failure> {
        let server = Server::find(Some(self.server.name()))?;
        let known = access::with(server, Need::Session, given, async |access| {
            let replaces = match &self.replaces {
                Some(old) => Some(find_there(access, None, &self.names, old).await?.key),
                None => None,
            };
            let (nonce, key) = draw(access);
            put(access, &request(nonce, replaces), key).await?;
            let home = Some(access.server().home());
            let known = Known {
                replaces,
                ..new_entry(home, key, &self.name, kind)
            };
            self.names.put(known.clone())?;
            Ok(known)
        })?;
        told(&known)
    }
}

/// A nonce, and the id that it gives.
fn draw(access: &Access) -> ([u8; 32], KeyId) {
    let mut nonce = [0; 32];
    SystemRng.fill_bytes(&mut nonce);
    (nonce, KeyId::of(&access.user(), &nonce))
}

/// Asks, and checks that it is stored under the id that it was sealed for.
pub(crate) async fn put(access: &Access, request: &Request, key: KeyId) -> Result<(), Failure> {
    let answer = access.ask(request).await?;
    let stored = result(&answer, NewKey::decode)?;
    match stored.key == key {
        true => Ok(()),
        false => Err(Failure::new("the server stored it under another id")
            .hint("do not use this server until you know why; see `keystead audit verify`")),
    }
}

/// What this machine knows of a secret that has just come to be.
pub(crate) fn new_entry(home: Option<Home>, key: KeyId, name: &str, kind: Kind) -> Known {
    Known {
        home,
        key,
        name: name.to_owned(),
        kind,
        context: None,
        revision: 0,
        created_unix_ms: SystemClock.now().unix_s.saturating_mul(MS_PER_S),
        replaces: None,
        signs: false,
    }
}

/// A secret that no server learns of.
fn keep_here_alone(
    names: &Names,
    given: &mut Given,
    name: &str,
    value: &Value,
) -> Result<(), Failure> {
    let store = LocalStore::open()?;
    let local = store.unlock(given)?;
    let mut key = [0; 16];
    SystemRng.fill_bytes(&mut key);
    let known = Known {
        context: Some(Context::Stored.text().to_owned()),
        ..new_entry(None, KeyId(key), name, value.kind())
    };
    store.put(&local, &known, value)?;
    names.put(known.clone())?;
    told(&known)
}

/// Its id on standard output.
fn told(known: &Known) -> Result<(), Failure> {
    say(format_args!("{} is kept", harmless(&known.name)));
    print(known.key)
}

/// A key file, whose passphrase is asked for if it has one.
pub(crate) fn brought(
    bytes: &SecretBytes,
    kind: Option<Kind>,
    given: &mut Given,
) -> Result<Value, Failure> {
    let read = match Brought::read(bytes.expose(), kind, None) {
        Err(EncodingError::Import(ImportError::NoPassphrase)) => {
            let passphrase = given.passphrase("the key file")?;
            Brought::read(bytes.expose(), kind, Some(&passphrase))
        }
        read => read,
    };
    read.map(|it| it.value).map_err(|error| of_encoding(&error))
}

fn of_portable(bytes: &SecretBytes, kind: Option<Kind>) -> Result<Value, Failure> {
    let read = Portable::read(bytes.expose()).ok_or_else(|| {
        Failure::usage("this is not the portable form of a secret")
            .hint("`keystead secret export --form portable` writes it")
    })?;
    if kind.is_none() {
        say("note: the portable form does not say what the bytes are; --type does");
    }
    let value = Value::of(kind.unwrap_or(Kind::Arbitrary), read.key);
    value.map_err(|error| of_encoding(&error.into()))
}

fn arbitrary(bytes: SecretBytes) -> Result<Value, Failure> {
    Value::of(Kind::Arbitrary, bytes).map_err(|error| of_encoding(&error.into()))
}

/// A failure of a form.
pub(crate) fn of_encoding(error: &EncodingError) -> Failure {
    Failure::of(error).hint(error.hint())
}

fn new_of(wanted: &Generate) -> New {
    match kind_of(wanted.kind) {
        Kind::Arbitrary => New::Arbitrary {
            bytes: usize::try_from(wanted.bytes).unwrap_or(usize::MAX),
        },
        Kind::Ed25519 => New::Ed25519,
        Kind::P256 => New::P256,
        Kind::Secp256k1 => New::Secp256k1,
        Kind::Rsa if wanted.bits == RSA_LONG_BITS => New::Rsa(RsaSize::Bits4096),
        Kind::Rsa => New::Rsa(RsaSize::Bits3072),
    }
}

/// The protocol's word for a kind.
pub(crate) const fn type_of(kind: Kind) -> requests::KeyType {
    match kind {
        Kind::Arbitrary => requests::KeyType::Arbitrary,
        Kind::Ed25519 => requests::KeyType::Ed25519,
        Kind::P256 => requests::KeyType::P256,
        Kind::Secp256k1 => requests::KeyType::Secp256k1,
        Kind::Rsa => requests::KeyType::Rsa,
    }
}

/// For a request, which owns what it carries.
pub(crate) fn copy(bytes: &SecretBytes) -> SecretBytes {
    SecretBytes::fill(bytes.len(), |out| out.copy_from_slice(bytes.expose()))
}

const MS_PER_S: u64 = 1_000;

/// The longer of the two that are made.
const RSA_LONG_BITS: u32 = 4_096;
