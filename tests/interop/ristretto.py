"""The group of suite 1, ristretto255 (RFC 9496), and XChaCha20-Poly1305, by libsodium itself.

Debian's pysodium is older than these functions, so they are called by ctypes.
"""

import ctypes
import ctypes.util

_sodium = ctypes.CDLL(ctypes.util.find_library("sodium") or "libsodium.so.23")
if _sodium.sodium_init() < 0:
    raise OSError("libsodium does not start")


def _made(length, name, *parts):
    """Calls a function of libsodium that fills its first argument."""
    out = ctypes.create_string_buffer(length)
    function = getattr(_sodium, name)
    function.restype = ctypes.c_int
    if function(out, *parts) != 0:
        raise ValueError(f"{name}: not a valid element")
    return out.raw


def random_bytes(length):
    out = ctypes.create_string_buffer(length)
    _sodium.randombytes_buf(out, ctypes.c_size_t(length))
    return out.raw


def random_scalar():
    out = ctypes.create_string_buffer(32)
    _sodium.crypto_core_ristretto255_scalar_random(out)
    return out.raw


def invert(scalar):
    return _made(32, "crypto_core_ristretto255_scalar_invert", scalar)


def from_hash(wide):
    """The one-way map of RFC 9496 section 4.3.4, from 64 bytes."""
    return _made(32, "crypto_core_ristretto255_from_hash", wide)


def times(scalar, point):
    return _made(32, "crypto_scalarmult_ristretto255", scalar, point)


def public(scalar):
    return _made(32, "crypto_scalarmult_ristretto255_base", scalar)


def seal(key, label, plain):
    """24 random bytes, then XChaCha20-Poly1305 (spec/session.md section 1)."""
    nonce = random_bytes(24)
    size = ctypes.c_ulonglong
    sealed = _made(
        len(plain) + 16, "crypto_aead_xchacha20poly1305_ietf_encrypt", None,
        plain, size(len(plain)), label, size(len(label)), None, nonce, key,
    )
    return nonce + sealed


def open_sealed(key, label, sealed):
    nonce, boxed = sealed[:24], sealed[24:]
    size = ctypes.c_ulonglong
    return _made(
        len(boxed) - 16, "crypto_aead_xchacha20poly1305_ietf_decrypt", None,
        None, boxed, size(len(boxed)), label, size(len(label)), nonce, key,
    )
