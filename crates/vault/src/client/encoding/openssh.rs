//! `openssh-key-v1` (OpenSSH PROTOCOL.key), written without encryption.

use keystead_core::SecretBytes;
use rand_core::CryptoRngCore;

use super::rsa_numbers;
use crate::PublicKey;
use crate::client::Value;
use crate::client::seal::{joined, length};
use crate::held::Kind;
use crate::wire::put_string;

/// What stands between the PEM lines; `None` for a kind that OpenSSH does not know.
pub(super) fn write(
    key: &Value,
    comment: &str,
    rng: &mut dyn CryptoRngCore,
) -> Option<SecretBytes> {
    let private = key.bytes().expose();
    let (public, fields) = match key.kind() {
        Kind::Ed25519 => {
            let public: [u8; 32] = key.public_key()?.try_into().ok()?;
            let both = joined(&[private, &public]);
            let fields = joined(&[string(&public).expose(), string(both.expose()).expose()]);
            (PublicKey::Ed25519(public), fields)
        }
        Kind::P256 => {
            let public: [u8; 65] = key.public_key()?.try_into().ok()?;
            let parts = [string(b"nistp256"), string(&public), mpint(private)];
            (PublicKey::EcdsaP256(public), all(&parts))
        }
        Kind::Rsa => {
            let it = rsa_numbers(private)?;
            // PROTOCOL.key's order is that of ssh-add: n, e, d, q⁻¹ mod p, p, q.
            let parts = [it.n, it.e, it.d, it.q_inverse, it.p, it.q].map(mpint);
            let (e, n) = (it.e.to_vec(), it.n.to_vec());
            (PublicKey::Rsa { e, n }, all(&parts))
        }
        Kind::Arbitrary | Kind::Secp256k1 => return None,
    };
    let type_name = public.algorithm().as_str().as_bytes();
    // Two equal random numbers tell a wrong passphrase from a right one; here there is none.
    let mut check = [0; 4];
    rng.fill_bytes(&mut check);
    let bare = joined(&[
        &check,
        &check,
        string(type_name).expose(),
        fields.expose(),
        string(comment.as_bytes()).expose(),
    ]);
    let padding = (BLOCK_BYTES - bare.len() % BLOCK_BYTES) % BLOCK_BYTES;
    let private = joined(&[bare.expose(), PADDING.get(..padding)?]);
    let mut head = MAGIC.to_vec();
    for none in [b"none".as_slice(), b"none", b""] {
        put_string(&mut head, none);
    }
    head.extend(ONE_KEY);
    put_string(&mut head, &public.to_blob());
    Some(joined(&[&head, string(private.expose()).expose()]))
}

/// A `string` (RFC 4251 section 5).
fn string(bytes: &[u8]) -> SecretBytes {
    joined(&[&length(bytes), bytes])
}

/// The `mpint` of a magnitude above 0 (RFC 4251 section 5).
fn mpint(magnitude: &[u8]) -> SecretBytes {
    let zeros = magnitude.iter().take_while(|byte| **byte == 0).count();
    let bare = magnitude.get(zeros..).unwrap_or_default();
    match bare {
        [0x80..=0xff, ..] => string(joined(&[&[0], bare]).expose()),
        _ => string(bare),
    }
}

fn all(parts: &[SecretBytes]) -> SecretBytes {
    let parts: Vec<&[u8]> = parts.iter().map(SecretBytes::expose).collect();
    joined(&parts)
}

const MAGIC: &[u8] = b"openssh-key-v1\0";

/// How many keys the file holds, as u32.
const ONE_KEY: [u8; 4] = [0, 0, 0, 1];

/// The block of "none", to which the private part is padded.
const BLOCK_BYTES: usize = 8;

/// 1, 2, 3 … to the next whole block.
const PADDING: [u8; BLOCK_BYTES - 1] = [1, 2, 3, 4, 5, 6, 7];
