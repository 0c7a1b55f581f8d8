"""Derives a wallet's keys, signs and agrees, from the public documents alone.

Usage: identity.py check FILE    recomputes a table of vectors (spec/vectors/wallet.json)
       identity.py answer        one JSON request a line on stdin, one answer a line on stdout

Written from BIP-39, SLIP-0010, SLIP-0013, SLIP-0017, RFC 6979, RFC 7748, RFC 8032, RFC 5869 and
SEC 1 with Python's standard library. Nothing of Keystead's own is used, so that two readings of
the documents meet. Slow, and careless of timing: for tests.
"""

import hashlib
import hmac
import json
import sys
import unicodedata

HARDENED = 1 << 31


# --- BIP-39 and SLIP-0010 ---------------------------------------------------------------------

def seed_of(words, passphrase):
    nfkd = lambda text: unicodedata.normalize("NFKD", text).encode()
    return hashlib.pbkdf2_hmac("sha512", nfkd(words), nfkd("mnemonic" + passphrase), 2048)


def mac(key, *parts):
    return hmac.digest(key, b"".join(parts), "sha512")


LABELS = {
    "secp256k1": b"Bitcoin seed",
    "nist256p1": b"Nist256p1 seed",
    "ed25519": b"ed25519 seed",
    "curve25519": b"curve25519 seed",
}


def derive(curve, seed, path):
    """Key and chain code at the end of a path."""
    order = CURVES[curve].n if curve in CURVES else None
    both = mac(LABELS[curve], seed)
    while order and not 0 < int.from_bytes(both[:32], "big") < order:
        both = mac(LABELS[curve], both)
    key, chain = both[:32], both[32:]
    for step in path:
        key, chain = child(curve, order, key, chain, step)
    return key, chain


def child(curve, order, key, chain, step):
    number = step.to_bytes(4, "big")
    if step >= HARDENED:
        both = mac(chain, b"\0", key, number)
    else:
        assert order, "these curves have hardened children alone"
        both = mac(chain, compressed(CURVES[curve].public(key)), number)
    while order:
        left = int.from_bytes(both[:32], "big")
        total = (left + int.from_bytes(key, "big")) % order
        if left < order and total:
            return total.to_bytes(32, "big"), both[32:]
        both = mac(chain, b"\1", both[32:], number)
    return both[:32], both[32:]


# --- SLIP-0013 and SLIP-0017 ------------------------------------------------------------------

def path_of(uri, index, purpose):
    digest = hashlib.sha256(index.to_bytes(4, "little") + uri.encode()).digest()
    words = [int.from_bytes(digest[at : at + 4], "little") for at in range(0, 16, 4)]
    return [step | HARDENED for step in [purpose, *words]]


def fingerprint_of(seed):
    key, _ = derive("nist256p1", seed, path_of("keystead://wallet", 0, 13))
    return hashlib.sha256(compressed(CURVES["nist256p1"].public(key))).digest()[:4]


def record_key_of(seed):
    """HKDF-SHA-512 (RFC 5869), empty salt, one block."""
    extracted = hmac.digest(bytes(64), seed, "sha512")
    return hmac.digest(extracted, b"keystead/1 wallet record\1", "sha512")[:32]


# --- SEC 1 and RFC 6979 -----------------------------------------------------------------------

class Weierstrass:
    def __init__(self, p, a, b, n, x, y):
        self.p, self.a, self.b, self.n, self.base = p, a, b, n, (x, y)

    def add(self, one, other):
        if one is None or other is None:
            return one or other
        (x1, y1), (x2, y2) = one, other
        if x1 == x2:
            if (y1 + y2) % self.p == 0:
                return None
            slope = (3 * x1 * x1 + self.a) * pow(2 * y1, -1, self.p)
        else:
            slope = (y2 - y1) * pow(x2 - x1, -1, self.p)
        x = (slope * slope - x1 - x2) % self.p
        return x, (slope * (x1 - x) - y1) % self.p

    def times(self, scalar, point):
        result = None
        while scalar:
            if scalar & 1:
                result = self.add(result, point)
            point = self.add(point, point)
            scalar >>= 1
        return result

    def public(self, key):
        return self.times(int.from_bytes(key, "big"), self.base)

    def point(self, encoded):
        assert len(encoded) == 65 and encoded[0] == 4
        x, y = int.from_bytes(encoded[1:33], "big"), int.from_bytes(encoded[33:], "big")
        assert (y * y - x * x * x - self.a * x - self.b) % self.p == 0, "not on the curve"
        return x, y

    def sign(self, key, digest):
        """r || s with the nonce of RFC 6979 (HMAC-SHA-256) and the lower s."""
        secret = int.from_bytes(key, "big")
        number = int.from_bytes(digest, "big") % self.n
        for nonce in self.nonces(key, number.to_bytes(32, "big")):
            r = self.times(nonce, self.base)[0] % self.n
            s = pow(nonce, -1, self.n) * (number + r * secret) % self.n
            if r and s:
                return r.to_bytes(32, "big") + min(s, self.n - s).to_bytes(32, "big")

    def nonces(self, key, digest):
        h256 = lambda k, *parts: hmac.digest(k, b"".join(parts), "sha256")
        v, k = b"\1" * 32, bytes(32)
        for mark in (b"\0", b"\1"):
            k = h256(k, v, mark, key, digest)
            v = h256(k, v)
        while True:
            v = h256(k, v)
            nonce = int.from_bytes(v, "big")
            if 0 < nonce < self.n:
                yield nonce
            k = h256(k, v, b"\0")
            v = h256(k, v)


CURVES = {
    "nist256p1": Weierstrass(
        0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF,
        -3,
        0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
        0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
        0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
        0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
    ),
    "secp256k1": Weierstrass(
        2**256 - 2**32 - 977,
        0,
        7,
        0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141,
        0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
        0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
    ),
}


def compressed(point):
    return bytes([2 + point[1] % 2]) + point[0].to_bytes(32, "big")


def uncompressed(point):
    return b"\4" + point[0].to_bytes(32, "big") + point[1].to_bytes(32, "big")


# --- RFC 8032 and RFC 7748 --------------------------------------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def edwards_add(one, other):
    (x1, y1), (x2, y2) = one, other
    product = D * x1 * x2 * y1 * y2
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, P)
    y = (y1 * y2 + x1 * x2) * pow(1 - product, -1, P)
    return x % P, y % P


def edwards_times(scalar, point):
    result = (0, 1)
    while scalar:
        if scalar & 1:
            result = edwards_add(result, point)
        point = edwards_add(point, point)
        scalar >>= 1
    return result


def edwards_base():
    y = 4 * pow(5, -1, P) % P
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    return (P - x if x % 2 else x), y


BASE = edwards_base()


def edwards_encoded(point):
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def clamped(key):
    number = int.from_bytes(key, "little")
    return (number & ((1 << 254) - 8)) | 1 << 254


def ed25519_halves(key):
    digest = hashlib.sha512(key).digest()
    return clamped(digest[:32]), digest[32:]


def ed25519_public(key):
    return edwards_encoded(edwards_times(ed25519_halves(key)[0], BASE))


def ed25519_sign(key, message):
    h512 = lambda *parts: int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little")
    scalar, prefix = ed25519_halves(key)
    nonce = h512(prefix, message) % L
    commitment = edwards_encoded(edwards_times(nonce, BASE))
    challenge = h512(commitment, ed25519_public(key), message)
    return commitment + ((nonce + challenge * scalar) % L).to_bytes(32, "little")


def x25519(key, peer):
    scalar = clamped(key)
    x1 = int.from_bytes(peer, "little") & ((1 << 255) - 1)
    x2, z2, x3, z3, swap = 1, 0, x1, 1, 0
    for at in reversed(range(255)):
        bit = scalar >> at & 1
        if swap ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        da, cb = d * a % P, c * b % P
        x3, z3 = (da + cb) ** 2 % P, x1 * (da - cb) ** 2 % P
        aa, bb = a * a % P, b * b % P
        x2, z2 = aa * bb % P, (aa - bb) * (aa + 121665 * (aa - bb)) % P
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, -1, P) % P).to_bytes(32, "little")


# --- What is asked ----------------------------------------------------------------------------

def public_of(curve, key):
    """As in a `key` of spec/pairing.md section 5.1, before SSH wraps it."""
    if curve == "ed25519":
        return ed25519_public(key)
    if curve == "curve25519":
        return x25519(key, (9).to_bytes(32, "little"))
    return uncompressed(CURVES[curve].public(key))


def sign(curve, key, message):
    """`message` is what Ed25519 takes whole, and a digest of at least 32 bytes to ECDSA."""
    if curve == "ed25519":
        return ed25519_sign(key, message)
    return CURVES[curve].sign(key, message[:32])


def agree(curve, key, peer):
    if curve == "curve25519":
        return x25519(key, peer)
    weierstrass = CURVES[curve]
    return uncompressed(weierstrass.times(int.from_bytes(key, "big"), weierstrass.point(peer)))


def answer(asked):
    seed = seed_of(asked["words"], asked["passphrase"])
    curve, purpose = asked["curve"], asked["purpose"]
    path = path_of(asked["uri"], asked["index"], purpose)
    key, _ = derive(curve, seed, path)
    said = {
        "fingerprint": fingerprint_of(seed).hex(),
        "public": public_of(curve, key).hex(),
    }
    if purpose == 13:
        said["signature"] = sign(curve, key, bytes.fromhex(asked["message"])).hex()
    else:
        peer_key, _ = derive(curve, bytes.fromhex(asked["peer_seed"]), [])
        said["peer"] = public_of(curve, peer_key).hex()
        said["shared"] = agree(curve, key, bytes.fromhex(said["peer"])).hex()
    return said


def check(table):
    count = 0

    def same(row, name, value):
        nonlocal count
        count += 1
        value = value.hex() if isinstance(value, bytes) else value
        assert row[name] == value, f"{row}: {name} is {value} here"

    for row in table["words"]:
        seed = seed_of(row["words"], row["passphrase"])
        same(row, "seed", seed)
        key, chain = derive("secp256k1", seed, [])
        same(row, "master", key)
        same(row, "master_chain", chain)
    for row in table["nodes"]:
        key, chain = derive(row["curve"], bytes.fromhex(row["seed"]), row["path"])
        same(row, "private", key)
        same(row, "chain", chain)
        same(row, "public", public_of(row["curve"], key))
    for row in table["paths"]:
        same(row, "path", path_of(row["uri"], row["index"], row["purpose"]))
    for row in table["wallets"]:
        seed = seed_of(row["words"], row["passphrase"])
        same(row, "fingerprint", fingerprint_of(seed))
        same(row, "record_key", record_key_of(seed))
    for row in table["keys"]:
        path = path_of(row["uri"], row["index"], row["purpose"])
        key, _ = derive(row["curve"], seed_of(row["words"], row["passphrase"]), path)
        same(row, "private", key)
        same(row, "public", public_of(row["curve"], key))
        if "message" in row:
            same(row, "signature", sign(row["curve"], key, bytes.fromhex(row["message"])))
        if "peer" in row:
            same(row, "shared", agree(row["curve"], key, bytes.fromhex(row["peer"])))
    print(f"{count} values agree")


if __name__ == "__main__":
    if sys.argv[1] == "check":
        with open(sys.argv[2], encoding="utf-8") as file:
            check(json.load(file))
    else:
        for line in sys.stdin:
            print(json.dumps(answer(json.loads(line))), flush=True)
