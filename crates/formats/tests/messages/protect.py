"""Prints `protected.txt`: one OpenPGP key under the passphrase `abc`, as gpg hands it to its agent
(GnuPG, `g10/import.c`, `transfer_secret_keys`), protected in each way that is read (RFC 4880 sections 3.7.1
and 5.5.3). Needs Python's `cryptography`."""

import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

try:
    from cryptography.hazmat.decrepit.ciphers.modes import CFB
except ImportError:
    from cryptography.hazmat.primitives.ciphers.modes import CFB

SEED = bytes.fromhex("d0fe2364689711146898d2ca11e3cb9b52f6a70b24cd83892cd99a62d76ee156")
PUBLIC = Ed25519PrivateKey.from_private_bytes(SEED).public_key().public_bytes_raw()
SALT, IV = b"saltsalt", bytes(range(16))
KEY_BYTES = {"AES": 16, "AES192": 24, "AES256": 32}

# Check, cipher, specifier, hash, count.
WAYS = [
    ("sha1", "AES", 3, "SHA1", 96),
    ("sha1", "AES192", 3, "SHA256", 0),
    ("sha1", "AES256", 3, "SHA1", 16),
    ("sha1", "AES256", 3, "SHA512", 255),
    ("sha1", "AES192", 1, "SHA1", 0),
    ("sha1", "AES256", 0, "SHA224", 0),
    ("sha1", "AES", 3, "SHA384", 96),
    ("sum", "AES256", 3, "SHA256", 96),
    ("sum", "AES", 1, "SHA1", 0),
]


def key_of(passphrase, mode, name, count, length):
    once = (SALT if mode else b"") + passphrase
    if mode == 3:
        total = max((16 + (count & 15)) << ((count >> 4) + 6), len(once))
        once = (once * (total // len(once) + 1))[:total]
    key = b""
    for zeros in range(3):
        key += hashlib.new(name, bytes(zeros) + once).digest()
    return key[:length]


def encrypted(passphrase, check, cipher, mode, name, count):
    number = int.from_bytes(SEED, "big")
    plain = number.bit_length().to_bytes(2, "big") + SEED
    if check == "sha1":
        plain += hashlib.sha1(plain).digest()
    else:
        plain += (sum(plain) & 0xFFFF).to_bytes(2, "big")
    key = key_of(passphrase, mode, name, count, KEY_BYTES[cipher])
    encryptor = Cipher(algorithms.AES(key), CFB(IV)).encryptor()
    return encryptor.update(plain) + encryptor.finalize()


def sexp(it):
    if isinstance(it, (list, tuple)):
        return b"(" + b"".join(map(sexp, it)) + b")"
    it = it if isinstance(it, bytes) else str(it).encode()
    return str(len(it)).encode() + b":" + it


def expression(check, cipher, mode, name, count):
    content = encrypted(b"abc", check, cipher, mode, name, count)
    return sexp([
        "openpgp-private-key",
        ["version", 4],
        ["algo", "EDDSA"],
        ["curve", "Ed25519"],
        ["skey", "_", b"@" + PUBLIC, "e", content],
        ["csum", 0],
        ["protection", check, cipher, IV, mode, name, SALT, count],
    ])


print("# What protect.py printed.")
for way in WAYS:
    print("-".join(map(str, way)), expression(*way).hex())
