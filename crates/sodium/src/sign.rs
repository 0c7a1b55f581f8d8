//! Signatures by aws-lc, with the private key read where it lies.
//!
//! The safe wrappers of aws-lc compute the public half again before each
//! signature, which takes longer than the signature itself.
//!
//! **Invariant:** what the library copies of a key it wipes when it frees it,
//! within the call; the stack is the caller's to wipe.

use std::ptr::NonNull;

use aws_lc_sys as lc;

/// Signs by Ed25519 (RFC 8032 section 5.1.6) into `out`.
///
/// `public` must be the public half of `seed`: signatures of one message under
/// two public halves give the seed away.
///
/// # Errors
/// [`Refused`] when the library gives no signature.
pub fn ed25519(
    seed: &[u8; 32],
    public: &[u8; 32],
    message: &[u8],
    out: &mut [u8; 64],
) -> Result<(), Refused> {
    let mut private = [0; 64];
    let (head, tail) = private.split_at_mut(seed.len());
    head.copy_from_slice(seed);
    tail.copy_from_slice(public);
    // SAFETY: `out` and `private` have the 64 bytes that aws-lc writes and
    // reads, `message` its length.
    let status = unsafe {
        lc::ED25519_sign(
            out.as_mut_ptr(),
            message.as_ptr(),
            message.len(),
            private.as_ptr(),
        )
    };
    crate::memory::wipe(&mut private);
    if status == 1 { Ok(()) } else { Err(Refused) }
}

/// A curve for ECDSA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// NIST P-256: numbers of 32 bytes.
    P256,
    /// NIST P-384: numbers of 48 bytes.
    P384,
    /// NIST P-521: numbers of 66 bytes.
    P521,
}

/// Signs a message's `digest` by ECDSA (FIPS 186-5 section 6.4.1) into `r` and
/// `s`, big-endian, as long as the curve's field. The nonce is the library's
/// own randomness, hardened by the private key.
///
/// # Errors
/// [`Refused`] when `scalar` is not in the curve's range, or `r` and `s` have
/// not the length of the field.
pub fn ecdsa(
    curve: Curve,
    scalar: &[u8],
    digest: &[u8],
    r: &mut [u8],
    s: &mut [u8],
) -> Result<(), Refused> {
    let key = EcKey::new(curve, scalar)?;
    // SAFETY: `digest` has the length that is passed; the key is whole.
    let signature = unsafe { lc::ECDSA_do_sign(digest.as_ptr(), digest.len(), key.0.as_ptr()) };
    let signature = Signature(NonNull::new(signature).ok_or(Refused)?);
    // SAFETY: the signature lives until the end of this function, and owns
    // both numbers; they are only read.
    unsafe {
        write_number(lc::ECDSA_SIG_get0_r(signature.0.as_ptr()), r)?;
        write_number(lc::ECDSA_SIG_get0_s(signature.0.as_ptr()), s)
    }
}

/// The hash that an RSA signature names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RsaHash {
    /// SHA-1, 20 bytes.
    Sha1,
    /// SHA-256, 32 bytes.
    Sha256,
    /// SHA-384, 48 bytes.
    Sha384,
    /// SHA-512, 64 bytes.
    Sha512,
}

/// An RSA key of two primes (RFC 8017 section 3.2), big-endian.
#[derive(Clone, Copy)]
pub struct RsaNumbers<'a> {
    /// Modulus.
    pub n: &'a [u8],
    /// Public exponent.
    pub e: &'a [u8],
    /// Private exponent.
    pub d: &'a [u8],
    /// First prime.
    pub p: &'a [u8],
    /// Second prime.
    pub q: &'a [u8],
    /// d mod (p − 1).
    pub dp: &'a [u8],
    /// d mod (q − 1).
    pub dq: &'a [u8],
    /// q⁻¹ mod p.
    pub q_inverse: &'a [u8],
}

/// Signs a message's `digest` by RSASSA-PKCS1-v1_5 (RFC 8017 section 8.2) into
/// `out`. The numbers are not checked with each other here; the library checks
/// the signature before it gives it, so that a fault gives no prime away.
///
/// # Errors
/// [`Refused`] when they are of no key, the digest has not the hash's length,
/// or `out` has not the modulus's.
pub fn rsa(
    numbers: &RsaNumbers<'_>,
    hash: RsaHash,
    digest: &[u8],
    out: &mut [u8],
) -> Result<(), Refused> {
    let key = RsaKey::new(numbers)?;
    let hash = match hash {
        RsaHash::Sha1 => lc::NID_sha1,
        RsaHash::Sha256 => lc::NID_sha256,
        RsaHash::Sha384 => lc::NID_sha384,
        RsaHash::Sha512 => lc::NID_sha512,
    };
    // SAFETY: the key is whole.
    let len = unsafe { lc::RSA_size(key.0.as_ptr()) };
    if usize::try_from(len) != Ok(out.len()) {
        return Err(Refused);
    }
    let mut written = 0;
    // SAFETY: `digest` has the length that is passed, which the library
    // compares with the hash's; `out` has the length of the modulus, which is
    // what the library writes.
    let status = unsafe {
        lc::RSA_sign(
            hash,
            digest.as_ptr(),
            digest.len(),
            out.as_mut_ptr(),
            &raw mut written,
            key.0.as_ptr(),
        )
    };
    let is_whole = usize::try_from(written) == Ok(out.len());
    if status == 1 && is_whole {
        Ok(())
    } else {
        Err(Refused)
    }
}

/// The library refused a key, or gave no signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

/// A private key of the library, without its public half; freed, and wiped by
/// that, on drop.
struct EcKey(NonNull<lc::EC_KEY>);

impl EcKey {
    fn new(curve: Curve, scalar: &[u8]) -> Result<Self, Refused> {
        // SAFETY: takes nothing; the key is owned from here on.
        let key = Self(NonNull::new(unsafe { lc::EC_KEY_new() }).ok_or(Refused)?);
        // SAFETY: gives a group that lives as long as the process.
        let group = unsafe {
            match curve {
                Curve::P256 => lc::EC_group_p256(),
                Curve::P384 => lc::EC_group_p384(),
                Curve::P521 => lc::EC_group_p521(),
            }
        };
        let number = Number::new(scalar)?;
        // SAFETY: all three are whole; the library copies group and number.
        let is_set = unsafe {
            lc::EC_KEY_set_group(key.0.as_ptr(), group) == 1
                && lc::EC_KEY_set_private_key(key.0.as_ptr(), number.0.as_ptr()) == 1
        };
        if is_set { Ok(key) } else { Err(Refused) }
    }
}

impl Drop for EcKey {
    fn drop(&mut self) {
        // SAFETY: owned by this value alone.
        unsafe { lc::EC_KEY_free(self.0.as_ptr()) }
    }
}

/// An RSA key of the library; freed, and wiped by that, on drop.
struct RsaKey(NonNull<lc::RSA>);

impl RsaKey {
    fn new(numbers: &RsaNumbers<'_>) -> Result<Self, Refused> {
        // SAFETY: takes nothing; the key is owned from here on.
        let key = Self(NonNull::new(unsafe { lc::RSA_new() }).ok_or(Refused)?);
        let rsa = key.0.as_ptr();
        let [n, e, d] = [
            Number::new(numbers.n)?,
            Number::new(numbers.e)?,
            Number::new(numbers.d)?,
        ];
        // SAFETY: all are whole; the key owns the three where it says 1.
        if unsafe { lc::RSA_set0_key(rsa, n.0.as_ptr(), e.0.as_ptr(), d.0.as_ptr()) } != 1 {
            return Err(Refused);
        }
        [n, e, d].into_iter().for_each(Number::give);
        let [p, q] = [Number::new(numbers.p)?, Number::new(numbers.q)?];
        // SAFETY: as above.
        if unsafe { lc::RSA_set0_factors(rsa, p.0.as_ptr(), q.0.as_ptr()) } != 1 {
            return Err(Refused);
        }
        [p, q].into_iter().for_each(Number::give);
        let [dp, dq, inverse] = [
            Number::new(numbers.dp)?,
            Number::new(numbers.dq)?,
            Number::new(numbers.q_inverse)?,
        ];
        let [first, second, third] = [&dp, &dq, &inverse].map(|it| it.0.as_ptr());
        // SAFETY: as above.
        if unsafe { lc::RSA_set0_crt_params(rsa, first, second, third) } != 1 {
            return Err(Refused);
        }
        [dp, dq, inverse].into_iter().for_each(Number::give);
        Ok(key)
    }
}

impl Drop for RsaKey {
    fn drop(&mut self) {
        // SAFETY: owned by this value alone.
        unsafe { lc::RSA_free(self.0.as_ptr()) }
    }
}

/// A number of the library; wiped and freed on drop.
struct Number(NonNull<lc::BIGNUM>);

impl Number {
    fn new(bytes: &[u8]) -> Result<Self, Refused> {
        // SAFETY: `bytes` has the length that is passed; a null target makes a
        // number that is owned from here on.
        let number = unsafe { lc::BN_bin2bn(bytes.as_ptr(), bytes.len(), std::ptr::null_mut()) };
        NonNull::new(number).map(Self).ok_or(Refused)
    }

    /// Gives the number away to a key of the library.
    fn give(self) {
        std::mem::forget(self);
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        // SAFETY: owned by this value alone.
        unsafe { lc::BN_clear_free(self.0.as_ptr()) }
    }
}

/// A signature of the library; freed on drop.
struct Signature(NonNull<lc::ECDSA_SIG>);

impl Drop for Signature {
    fn drop(&mut self) {
        // SAFETY: owned by this value alone.
        unsafe { lc::ECDSA_SIG_free(self.0.as_ptr()) }
    }
}

/// Writes a number with the zeros that it needs before it.
///
/// # Safety
/// `number` is null, or a whole number of the library.
unsafe fn write_number(number: *const lc::BIGNUM, out: &mut [u8]) -> Result<(), Refused> {
    if number.is_null() {
        return Err(Refused);
    }
    // SAFETY: `out` is writable for its length; a number that does not fit is
    // refused by the library.
    let status = unsafe { lc::BN_bn2bin_padded(out.as_mut_ptr(), out.len(), number) };
    if status == 1 { Ok(()) } else { Err(Refused) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        assert_eq!(hex.len(), 2 * N);
        std::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
    }

    /// RFC 8032 section 7.1, test 3.
    #[test]
    fn ed25519_as_rfc_8032_has_it() {
        let mut out = [0; 64];
        let signed = ed25519(
            &bytes("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7"),
            &bytes("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"),
            &[0xaf, 0x82],
            &mut out,
        );
        assert_eq!(signed, Ok(()));
        let expected = "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac\
                        18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a";
        assert_eq!(out, bytes(expected));
    }

    #[track_caller]
    fn check(curve: Curve, scalar: &[u8], len: usize, expected: Result<(), Refused>) {
        let (mut r, mut s) = (vec![0; len], vec![0; len]);
        assert_eq!(ecdsa(curve, scalar, &[7; 32], &mut r, &mut s), expected);
        assert_eq!(r.iter().any(|it| *it != 0), expected.is_ok());
    }

    #[test]
    fn scalars_out_of_range_and_short_places_are_refused() {
        for (curve, len) in [(Curve::P256, 32), (Curve::P384, 48), (Curve::P521, 66)] {
            check(curve, &[1], len, Ok(()));
            check(curve, &vec![0; len], len, Err(Refused));
            check(curve, &vec![0xff; len], len, Err(Refused));
            check(curve, &[], len, Err(Refused));
            check(curve, &[1], 8, Err(Refused));
        }
    }

    #[test]
    fn numbers_that_are_no_rsa_key_are_refused() {
        for byte in [0, 1, 2, 0xff] {
            let number = [byte; 256];
            let numbers = RsaNumbers {
                n: &number,
                e: &[1, 0, 1],
                d: &number,
                p: &number,
                q: &number,
                dp: &number,
                dq: &number,
                q_inverse: &number,
            };
            let mut out = [0; 256];
            let signed = rsa(&numbers, RsaHash::Sha256, &[7; 32], &mut out);
            assert_eq!(signed, Err(Refused), "{byte}");
        }
        let none = RsaNumbers {
            n: &[],
            e: &[],
            d: &[],
            p: &[],
            q: &[],
            dp: &[],
            dq: &[],
            q_inverse: &[],
        };
        let signed = rsa(&none, RsaHash::Sha256, &[7; 32], &mut []);
        assert_eq!(signed, Err(Refused));
    }

    #[test]
    fn two_signatures_of_one_message_differ() {
        let sign = || {
            let (mut r, mut s) = ([0; 32], [0; 32]);
            ecdsa(Curve::P256, &[7; 32], &[1; 32], &mut r, &mut s).unwrap();
            (r, s)
        };
        assert_ne!(sign(), sign());
    }
}
