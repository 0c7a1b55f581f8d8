//! libgcrypt's name of a key: SHA-1 over its parameters (libgcrypt 1.10, `cipher/ecc.c` and
//! `cipher/rsa.c`, `compute_keygrip`).

use std::fmt;

use super::curve::Curve;
use super::digest::sha1;
use crate::ParseError;

/// Names a key pair, whatever it is used for and whenever it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Keygrip(pub [u8; 20]);

/// 40 upper-case digits, as gpg writes it.
impl fmt::Display for Keygrip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

impl std::str::FromStr for Keygrip {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        unhex(text.as_bytes()).map(Self)
    }
}

/// Exactly `2 * N` digits in either case.
pub(super) fn unhex<const N: usize>(text: &[u8]) -> Result<[u8; N], ParseError> {
    let (pairs, []) = text.as_chunks::<2>() else {
        return Err(ParseError::Value);
    };
    if pairs.len() != N {
        return Err(ParseError::Value);
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Ok(bytes)
}

fn digit(digit: u8) -> Result<u8, ParseError> {
    let value = char::from(digit).to_digit(16).ok_or(ParseError::Value)?;
    u8::try_from(value).map_err(|_| ParseError::Value)
}

/// SHA-1 of the modulus as it stands in the S-expression.
pub(super) fn of_rsa(signed_modulus: &[u8]) -> Keygrip {
    Keygrip(sha1(&[signed_modulus]))
}

/// SHA-1 of `(1:p…)(1:a…)(1:b…)(1:g…)(1:n…)(1:q…)` without outer parentheses.
pub(super) fn of_curve(curve: Curve, point: &[u8]) -> Keygrip {
    let domain = Domain::of(curve);
    let base = [
        vec![UNCOMPRESSED_POINT],
        bytes_of(domain.gx),
        bytes_of(domain.gy),
    ]
    .concat();
    let mut hashed = Vec::new();
    for (name, value) in [
        ('p', bytes_of(domain.p)),
        ('a', bytes_of(domain.a)),
        ('b', bytes_of(domain.b)),
        ('g', base),
        ('n', bytes_of(domain.n)),
        ('q', point.to_vec()),
    ] {
        hashed.extend_from_slice(format!("(1:{name}{}:", value.len()).as_bytes());
        hashed.extend_from_slice(&value);
        hashed.push(b')');
    }
    Keygrip(sha1(&[&hashed]))
}

/// The bytes of a constant below.
fn bytes_of(hex: &'static str) -> Vec<u8> {
    let (pairs, _) = hex.as_bytes().as_chunks::<2>();
    let byte = |[high, low]: &[u8; 2]| Some(digit(*high).ok()? << 4 | digit(*low).ok()?);
    pairs.iter().filter_map(byte).collect()
}

/// What libgcrypt hashes of a curve, in hex: its parameters without leading zeros, but for the
/// base point.
struct Domain {
    p: &'static str,
    a: &'static str,
    b: &'static str,
    gx: &'static str,
    gy: &'static str,
    n: &'static str,
}

impl Domain {
    const fn of(curve: Curve) -> &'static Self {
        match curve {
            Curve::Ed25519 => &ED25519,
            Curve::Curve25519 => &CURVE25519,
            Curve::NistP256 => &NIST_P256,
            Curve::NistP384 => &NIST_P384,
            Curve::NistP521 => &NIST_P521,
            Curve::Secp256k1 => &SECP256K1,
        }
    }
}

/// SEC 1 §2.3.3.
const UNCOMPRESSED_POINT: u8 = 0x04;

/// RFC 8032 §5.1; libgcrypt's a is "minus one" of the twisted form, kept as 1.
const ED25519: Domain = Domain {
    p: "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed",
    a: "01",
    b: "2dfc9311d490018c7338bf8688861767ff8ff5b2bebe27548a14b235eca6874a",
    gx: "216936d3cd6e53fec0a4e231fdd6dc5c692cc7609525a7b2c9562d608f25d51a",
    gy: "6666666666666666666666666666666666666666666666666666666666666658",
    n: "1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed",
};

/// RFC 7748 §4.1; a is (A - 2) / 4.
const CURVE25519: Domain = Domain {
    p: "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed",
    a: "01db41",
    b: "01",
    gx: "0000000000000000000000000000000000000000000000000000000000000009",
    gy: "20ae19a1b8a086b4e01edd2c7748d14c923d4d7e6d7c61b229e9c5a27eced3d9",
    n: "1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed",
};

/// SEC 2 §2.4.2.
const NIST_P256: Domain = Domain {
    p: "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
    a: "ffffffff00000001000000000000000000000000fffffffffffffffffffffffc",
    b: "5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b",
    gx: "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296",
    gy: "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
    n: "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
};

/// SEC 2 §2.5.1.
const NIST_P384: Domain = Domain {
    p: "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff",
    a: "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000fffffffc",
    b: "b3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef",
    gx: "aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7",
    gy: "3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f",
    n: "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
};

/// SEC 2 §2.6.1.
const NIST_P521: Domain = Domain {
    p: "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    a: "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffc",
    b: "51953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00",
    gx: "00c6858e06b70404e9cd9e3ecb662395b4429c648139053fb521f828af606b4d3dbaa14b5e77efe75928fe1dc127a2ffa8de3348b3c1856a429bf97e7e31c2e5bd66",
    gy: "011839296a789a3bc0045c8a5fb42c7d1bd998f54449579b446817afbd17273e662c97ee72995ef42640c550b9013fad0761353c7086a272c24088be94769fd16650",
    n: "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
};

/// SEC 2 §2.4.1; libgcrypt writes zero as no byte.
const SECP256K1: Domain = Domain {
    p: "fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f",
    a: "",
    b: "07",
    gx: "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
    gy: "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8",
    n: "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
};
