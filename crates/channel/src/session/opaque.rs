//! Suite 1: OPAQUE-3DH over ristretto255 with SHA-512 (RFC 9807), passwords
//! stretched by Argon2id.
//!
//! **Invariant**: a client stretches with a listed profile or not at all; a server
//! does the same work for a name without an account as for one with it.

use std::sync::{Arc, Mutex, PoisonError};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use keystead_core::{Secret, SecretBytes};
use keystead_sodium::memory;
use opaque_ke::errors::{InternalError, ProtocolError};
use opaque_ke::generic_array::{ArrayLength, GenericArray};
use opaque_ke::{
    CipherSuite, ClientLogin, ClientLoginFinishParameters, ClientRegistration,
    ClientRegistrationFinishParameters, CredentialFinalization, CredentialRequest,
    CredentialResponse, Identifiers, RegistrationRequest, RegistrationResponse, RegistrationUpload,
    Ristretto255, ServerLogin, ServerLoginParameters, ServerRegistration, ServerSetup, TripleDh,
};
use rand_core::CryptoRngCore;
use sha2::Sha512;
use zeroize::Zeroize;

use super::fields::numbers;
use super::ids::ServerId;
use super::name::{AccountName, Password};

/// The server's OPRF seed and key pair, made once.
pub struct ServerKeys {
    setup: ServerSetup<Suite1>,
    /// A record that nobody has, so that a name without an account costs a decoding too.
    decoy: [u8; RECORD_BYTES],
}

impl ServerKeys {
    /// Draws new ones.
    pub fn generate(rng: &mut dyn CryptoRngCore) -> Self {
        Self::with(ServerSetup::new(&mut { rng }))
    }

    /// Reads what [`ServerKeys::to_bytes`] gave.
    #[must_use]
    pub fn from_bytes(bytes: &SecretBytes) -> Option<Self> {
        ServerSetup::deserialize(bytes.expose())
            .ok()
            .map(Self::with)
    }

    /// To be stored, sealed.
    #[must_use]
    pub fn to_bytes(&self) -> SecretBytes {
        SecretBytes::take(&mut self.setup.serialize())
    }

    /// What the server's hello tells and [`ServerId`] is made of.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.setup.keypair().public().serialize().into()
    }

    fn with(setup: ServerSetup<Suite1>) -> Self {
        let mut decoy = [0; RECORD_BYTES];
        let public: [u8; 32] = setup.keypair().public().serialize().into();
        if let Some(place) = decoy.first_chunk_mut() {
            *place = public;
        }
        Self { setup, decoy }
    }

    /// Evaluates a password that is to be registered under `seed`.
    pub(super) fn register(
        &self,
        request: &[u8; 32],
        seed: &[u8; 32],
    ) -> Result<[u8; 64], OpaqueError> {
        let request = RegistrationRequest::deserialize(request)?;
        let started = ServerRegistration::start(&self.setup, request, seed)?;
        Ok(started.message.serialize().into())
    }

    /// Answers KE1 with KE2; without a record, with one that opens for no password.
    pub(super) fn answer(
        &self,
        ke1: &[u8; KE1_BYTES],
        record: Option<&[u8; RECORD_BYTES]>,
        seed: &[u8; 32],
        bound: &Bound<'_>,
        mut rng: &mut dyn CryptoRngCore,
    ) -> Result<(ServerLogin<Suite1>, [u8; KE2_BYTES]), OpaqueError> {
        let ke1 = CredentialRequest::deserialize(ke1)?;
        let is_known = record.is_some();
        let read = ServerRegistration::deserialize(record.unwrap_or(&self.decoy))?;
        let record = is_known.then_some(read);
        let started = ServerLogin::start(&mut rng, &self.setup, record, ke1, seed, bound.server())?;
        let message = started.message.serialize();
        let ke2 = <[u8; KE2_BYTES]>::try_from(message.as_slice()).map_err(|_| OpaqueError)?;
        Ok((started.state, ke2))
    }
}

/// Checks KE3; the session key.
pub(super) fn finish_server(
    state: ServerLogin<Suite1>,
    ke3: &[u8; KE3_BYTES],
    bound: &Bound<'_>,
) -> Result<Secret<64>, OpaqueError> {
    let finished = state.finish(CredentialFinalization::deserialize(ke3)?, bound.server())?;
    Ok(Secret::take(&mut finished.session_key.into()))
}

/// Whether bytes are a record that [`ServerKeys`] can answer with.
pub(super) fn is_record(bytes: &[u8; RECORD_BYTES]) -> bool {
    RegistrationUpload::<Suite1>::deserialize(bytes).is_ok()
}

/// A client that has blinded a password to register it.
pub(super) struct Registering(ClientRegistration<Suite1>);

impl Registering {
    pub(super) fn start(
        password: &Password,
        mut rng: &mut dyn CryptoRngCore,
    ) -> Result<(Self, [u8; 32]), OpaqueError> {
        let started = ClientRegistration::start(&mut rng, password.expose())?;
        Ok((Self(started.state), started.message.serialize().into()))
    }

    /// The record for the server, and `export_key`.
    pub(super) fn finish(
        self,
        response: &[u8; 64],
        password: &Password,
        owner: &Owner<'_>,
        opaque_key: &[u8; 32],
        mut rng: &mut dyn CryptoRngCore,
    ) -> Result<([u8; RECORD_BYTES], Secret<64>), OpaqueError> {
        let stretch = owner.stretch();
        let parameters =
            ClientRegistrationFinishParameters::new(owner.identifiers(), Some(&stretch));
        let response = RegistrationResponse::deserialize(response)?;
        let finished = self
            .0
            .finish(&mut rng, password.expose(), response, parameters)?;
        let found: [u8; 32] = finished.server_s_pk.serialize().into();
        if found != *opaque_key {
            return Err(OpaqueError);
        }
        let message = finished.message.serialize();
        let record = <[u8; RECORD_BYTES]>::try_from(message.as_slice()).map_err(|_| OpaqueError)?;
        Ok((record, Secret::take(&mut finished.export_key.into())))
    }
}

/// A client that has sent KE1.
pub(super) struct LoggingIn(ClientLogin<Suite1>);

impl LoggingIn {
    pub(super) fn start(
        password: &Password,
        mut rng: &mut dyn CryptoRngCore,
    ) -> Result<(Self, [u8; KE1_BYTES]), OpaqueError> {
        let started = ClientLogin::start(&mut rng, password.expose())?;
        let message = started.message.serialize();
        let ke1 = <[u8; KE1_BYTES]>::try_from(message.as_slice()).map_err(|_| OpaqueError)?;
        Ok((Self(started.state), ke1))
    }

    /// Checks KE2 and its server; KE3 and what both ends now know.
    pub(super) fn finish(
        self,
        ke2: &[u8; KE2_BYTES],
        password: &Password,
        owner: &Owner<'_>,
        context: &[u8],
        opaque_key: &[u8; 32],
        mut rng: &mut dyn CryptoRngCore,
    ) -> Result<LoggedIn, OpaqueError> {
        let stretch = owner.stretch();
        let identifiers = owner.identifiers();
        let parameters =
            ClientLoginFinishParameters::new(Some(context), identifiers, Some(&stretch));
        let ke2 = CredentialResponse::deserialize(ke2)?;
        let finished = self
            .0
            .finish(&mut rng, password.expose(), ke2, parameters)?;
        let found: [u8; 32] = finished.server_s_pk.serialize().into();
        if found != *opaque_key {
            return Err(OpaqueError);
        }
        Ok(LoggedIn {
            ke3: finished.message.serialize().into(),
            session_key: Secret::take(&mut finished.session_key.into()),
            export_key: Secret::take(&mut finished.export_key.into()),
        })
    }
}

/// What a client has after KE2.
pub(super) struct LoggedIn {
    pub(super) ke3: [u8; KE3_BYTES],
    pub(super) session_key: Secret<64>,
    pub(super) export_key: Secret<64>,
}

/// Whose record it is and how the password is stretched.
pub(super) struct Owner<'a> {
    pub(super) name: &'a AccountName,
    pub(super) server: &'a ServerId,
    pub(super) profile: Profile,
    pub(super) kept: Option<&'a Arc<Stretched>>,
}

impl Owner<'_> {
    fn stretch(&self) -> Stretch {
        Stretch {
            profile: self.profile,
            kept: self.kept.map(Arc::clone),
        }
    }

    fn identifiers(&self) -> Identifiers<'_> {
        Identifiers {
            client: Some(self.name.as_str().as_bytes()),
            server: Some(&self.server.0),
        }
    }
}

/// What the server's side of a login is bound to.
pub(super) struct Bound<'a> {
    pub(super) context: &'a [u8],
    pub(super) name: &'a AccountName,
    pub(super) server: &'a ServerId,
}

impl Bound<'_> {
    fn server(&self) -> ServerLoginParameters<'_, '_> {
        ServerLoginParameters {
            context: Some(self.context),
            identifiers: Identifiers {
                client: Some(self.name.as_str().as_bytes()),
                server: Some(&self.server.0),
            },
        }
    }
}

numbers! {
    /// How a password is stretched: Argon2id (RFC 9106), version 1.3, four lanes.
    Profile {
        /// 64 MiB, three passes: the default and the least.
        Standard = 1,
        /// 256 MiB, three passes.
        Strong = 2,
        /// 2 GiB, one pass.
        Strongest = 3,
    }
}

impl Profile {
    /// Its byte in a login response.
    #[must_use]
    pub fn byte(self) -> u8 {
        u8::try_from(self.number()).unwrap_or_default()
    }

    /// Memory in KiB, and passes.
    fn costs(self) -> (u32, u32) {
        match self {
            Self::Standard => (64 * 1_024, 3),
            Self::Strong => (256 * 1_024, 3),
            Self::Strongest => (2 * 1_024 * 1_024, 1),
        }
    }
}

/// The cipher suite as `opaque-ke` wants it named.
pub(super) struct Suite1;

impl CipherSuite for Suite1 {
    type OprfCs = Ristretto255;
    type KeyExchange = TripleDh<Ristretto255, Sha512>;
    type Ksf = Stretch;
}

/// Stretches the OPRF's output.
pub(super) struct Stretch {
    profile: Profile,
    kept: Option<Arc<Stretched>>,
}

impl Default for Stretch {
    fn default() -> Self {
        Self {
            profile: Profile::Standard,
            kept: None,
        }
    }
}

impl opaque_ke::ksf::Ksf for Stretch {
    fn hash<L: ArrayLength<u8>>(
        &self,
        mut input: GenericArray<u8, L>,
    ) -> Result<GenericArray<u8, L>, InternalError> {
        let mut out = GenericArray::default();
        let found = self
            .kept
            .as_ref()
            .is_some_and(|it| it.find(self.profile, &input, &mut out));
        let done = match found {
            true => Ok(()),
            false => argon2id(self.profile, &input, &mut out),
        };
        if let (Ok(()), Some(kept), false) = (&done, &self.kept, found) {
            kept.keep(self.profile, &input, &out);
        }
        input.as_mut_slice().zeroize();
        done.map(|()| out)
    }
}

fn argon2id(profile: Profile, input: &[u8], out: &mut [u8]) -> Result<(), InternalError> {
    let (memory_kib, passes) = profile.costs();
    let params = Params::new(memory_kib, passes, LANES, Some(out.len()));
    let params = params.map_err(|_| InternalError::KsfError)?;
    let mut blocks = Vec::new();
    let count = params.block_count();
    let room = blocks.try_reserve_exact(count);
    room.map_err(|_| InternalError::KsfError)?;
    blocks.resize(count, Block::default());
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let done = argon.hash_password_into_with_memory(input, &SALT, out, &mut blocks);
    blocks.iter_mut().for_each(Zeroize::zeroize);
    done.map_err(|_| InternalError::KsfError)
}

/// The last stretching of one account's password, kept so that its next login need not
/// stretch again.
///
/// It is worth as much as the password: who has it guesses nothing any more. It is for a
/// program that logs in over and over with a password that it holds anyway, as a load
/// generator does. Another input or profile than the kept one is stretched as ever.
#[derive(Default)]
pub struct Stretched(Mutex<Option<Kept>>);

struct Kept {
    profile: Profile,
    input: SecretBytes,
    output: SecretBytes,
}

impl Stretched {
    fn find(&self, profile: Profile, input: &[u8], out: &mut [u8]) -> bool {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = kept.as_ref().filter(|it| {
            it.profile == profile
                && memory::equal(it.input.expose(), input)
                && it.output.len() == out.len()
        });
        kept.map(|it| out.copy_from_slice(it.output.expose()))
            .is_some()
    }

    fn keep(&self, profile: Profile, input: &[u8], output: &[u8]) {
        let copy = |from: &[u8]| SecretBytes::fill(from.len(), |to| to.copy_from_slice(from));
        let kept = Kept {
            profile,
            input: copy(input),
            output: copy(output),
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
    }
}

/// OPAQUE went no further: a point that is none, a MAC that does not fit, a wrong
/// password. One value for every cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OpaqueError;

impl From<ProtocolError> for OpaqueError {
    fn from(_: ProtocolError) -> Self {
        Self
    }
}

/// Lanes of every profile (RFC 9106 section 4).
const LANES: u32 = 4;

/// 16 zero bytes: the OPRF's output is salted already (RFC 9807 section 6.1).
const SALT: [u8; 16] = [0; 16];

/// 192 bytes: RegistrationUpload, kept as the record (RFC 9807 section 5.1).
pub const RECORD_BYTES: usize = 192;

/// 96 bytes: KE1 (RFC 9807 section 6.1).
pub const KE1_BYTES: usize = 96;

/// 320 bytes: KE2.
pub const KE2_BYTES: usize = 320;

/// 64 bytes: KE3.
pub const KE3_BYTES: usize = 64;
