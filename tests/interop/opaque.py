"""OPAQUE-3DH of RFC 9807 with ristretto255 and SHA-512, the client's half.

Written from RFC 9807, RFC 9497 and RFC 9380; libsodium does the group, argon2-cffi
the stretching. Nothing of Keystead's own is used, so that two readings of the documents meet.
"""

import hashlib
import hmac
import json
import sys

from argon2.low_level import Type, hash_secret_raw

from ristretto import from_hash, invert, public, random_bytes, random_scalar, times

HASH_BYTES = 64
CONTEXT_OPRF = b"OPRFV1-\x00-ristretto255-SHA512"  # RFC 9497 section 3.1, mode 0
ORDER = 2**252 + 27742317777372353535851937790883648493

# spec/session.md section 5: memory in KiB and passes; four lanes each.
PROFILES = {1: (65_536, 3), 2: (262_144, 3), 3: (2_097_152, 1)}


def number(value, length):
    return value.to_bytes(length, "big")


def sized(value):
    return number(len(value), 2) + value


def mac(key, message):
    return hmac.new(key, message, hashlib.sha512).digest()


def extract(ikm, salt=b""):
    return mac(salt or bytes(HASH_BYTES), ikm)


def expand(key, info, length):
    """RFC 5869 section 2.3."""
    out, block, count = b"", b"", 0
    while len(out) < length:
        count += 1
        block = mac(key, block + info + number(count, 1))
        out += block
    return out[:length]


def expand_message(message, tag, length):
    """expand_message_xmd of RFC 9380 section 5.3.1 with SHA-512."""
    tag += number(len(tag), 1)
    first = hashlib.sha512(bytes(128) + message + number(length, 2) + b"\x00" + tag).digest()
    block = hashlib.sha512(first + b"\x01" + tag).digest()
    out, count = block, 1
    while len(out) < length:
        count += 1
        mixed = bytes(a ^ b for a, b in zip(first, block))
        block = hashlib.sha512(mixed + number(count, 1) + tag).digest()
        out += block
    return out[:length]


def hash_to_scalar(message, tag):
    wide = expand_message(message, tag, 64)
    return (int.from_bytes(wide, "little") % ORDER).to_bytes(32, "little")


def derive_pair(seed):
    """RFC 9497 section 3.2.1, with RFC 9807's info."""
    info = b"OPAQUE-DeriveDiffieHellmanKeyPair"
    for count in range(256):
        scalar = hash_to_scalar(
            seed + sized(info) + number(count, 1), b"DeriveKeyPair" + CONTEXT_OPRF
        )
        if any(scalar):
            return scalar, public(scalar)
    raise ValueError("no key pair")


def blind(password, scalar=None):
    scalar = scalar or random_scalar()
    wide = expand_message(password, b"HashToGroup-" + CONTEXT_OPRF, 64)
    return scalar, times(scalar, from_hash(wide))


def finalize(password, scalar, evaluated):
    point = times(invert(scalar), evaluated)
    return hashlib.sha512(sized(password) + sized(point) + b"Finalize").digest()


def argon2id(profile):
    """The stretching of suite 1; a profile that is not listed is refused."""
    memory, passes = PROFILES[profile]

    def stretch(value):
        return hash_secret_raw(
            value, bytes(16), time_cost=passes, memory_cost=memory, parallelism=4,
            hash_len=64, type=Type.ID, version=19,
        )

    return stretch


def randomized(password, scalar, evaluated, stretch):
    output = finalize(password, scalar, evaluated)
    return extract(output + stretch(output))


class Envelope:
    """What both stages derive from the randomized password and the nonce."""

    def __init__(self, secret, nonce, server_key, server, client):
        self.masking_key = expand(secret, b"MaskingKey", HASH_BYTES)
        self.export_key = expand(secret, nonce + b"ExportKey", HASH_BYTES)
        self.private, self.public = derive_pair(expand(secret, nonce + b"PrivateKey", 32))
        key = expand(secret, nonce + b"AuthKey", HASH_BYTES)
        self.tag = mac(key, nonce + server_key + sized(server) + sized(client))


class Registration:
    """RFC 9807 section 5."""

    def __init__(self, password, scalar=None):
        self.password = password
        self.scalar, self.request = blind(password, scalar)

    def finish(self, response, server, client, stretch, nonce=None):
        """The record and the export key."""
        nonce = nonce or random_bytes(32)
        evaluated, server_key = response[:32], response[32:]
        secret = randomized(self.password, self.scalar, evaluated, stretch)
        envelope = Envelope(secret, nonce, server_key, server, client)
        record = envelope.public + envelope.masking_key + nonce + envelope.tag
        return record, envelope.export_key


class Login:
    """RFC 9807 section 6, with 3DH."""

    def __init__(self, password, scalar=None, nonce=None, share_seed=None):
        self.password = password
        self.scalar, request = blind(password, scalar)
        seed = share_seed or random_bytes(32)
        self.ephemeral, share = derive_pair(seed)
        self.ke1 = request + (nonce or random_bytes(32)) + share

    def finish(self, ke2, context, server, client, stretch, server_key):
        """KE3, the session key and the export key; ValueError for a wrong password."""
        evaluated, masking_nonce, masked = ke2[:32], ke2[32:64], ke2[64:192]
        server_nonce, server_share, server_mac = ke2[192:224], ke2[224:256], ke2[256:]
        secret = randomized(self.password, self.scalar, evaluated, stretch)
        pad_key = expand(secret, b"MaskingKey", HASH_BYTES)
        pad = expand(pad_key, masking_nonce + b"CredentialResponsePad", 128)
        plain = bytes(a ^ b for a, b in zip(masked, pad))
        found_key, nonce, tag = plain[:32], plain[32:64], plain[64:]
        envelope = Envelope(secret, nonce, found_key, server, client)
        if not hmac.compare_digest(tag, envelope.tag):
            raise ValueError("wrong password, or not this server")
        if server_key is not None and found_key != server_key:
            raise ValueError("another server's key")
        ikm = (
            times(self.ephemeral, server_share)
            + times(self.ephemeral, found_key)
            + times(envelope.private, server_share)
        )
        preamble = hashlib.sha512(
            b"OPAQUEv1-" + sized(context) + sized(client) + self.ke1 + sized(server)
            + ke2[:192] + server_nonce + server_share
        )
        prk = extract(ikm)
        handshake = derive(prk, b"HandshakeSecret", preamble.digest())
        session_key = derive(prk, b"SessionKey", preamble.digest())
        expected = mac(derive(handshake, b"ServerMAC", b""), preamble.digest())
        if not hmac.compare_digest(server_mac, expected):
            raise ValueError("the server's proof is wrong")
        preamble.update(expected)
        ke3 = mac(derive(handshake, b"ClientMAC", b""), preamble.digest())
        return ke3, session_key, envelope.export_key


def derive(secret, label, transcript):
    """Derive-Secret of RFC 9807 section 6.4.2.1."""
    label = b"OPAQUE-" + label
    info = number(HASH_BYTES, 2) + number(len(label), 1) + label
    return expand(secret, info + number(len(transcript), 1) + transcript, HASH_BYTES)


def check_against(path):
    """The vectors of RFC 9807 appendix C, where no stretching is done."""
    with open(path, encoding="utf-8") as file:
        vectors = json.load(file)["vectors"]
    checked = 0
    for vector in vectors:
        if not vector["fake"]:
            check_vector(vector)
            checked += 1
    print(f"{checked} vectors of RFC 9807 hold")


def check_vector(vector):
    hexed = {**vector["inputs"], **vector["outputs"]}
    value = {name: bytes.fromhex(text) for name, text in hexed.items()}
    context = bytes.fromhex(vector["context"])
    server = value.get("server_identity", value["server_public_key"])
    registration = Registration(value["password"], value["blind_registration"])
    assert registration.request == value["registration_request"]
    client = value.get("client_identity")
    response = value["registration_response"]
    stretch = lambda secret: secret
    if client is None:
        secret = randomized(value["password"], registration.scalar, response[:32], stretch)
        seed = expand(secret, value["envelope_nonce"] + b"PrivateKey", 32)
        client = derive_pair(seed)[1]
    record, export_key = registration.finish(
        response, server, client, stretch, value["envelope_nonce"]
    )
    assert record == value["registration_upload"]
    assert export_key == value["export_key"]
    login = Login(
        value["password"], value["blind_login"], value["client_nonce"],
        value["client_keyshare_seed"],
    )
    assert login.ke1 == value["KE1"]
    ke3, session_key, again = login.finish(
        value["KE2"], context, server, client, stretch, value["server_public_key"]
    )
    assert (ke3, session_key, again) == (value["KE3"], value["session_key"], export_key)


if __name__ == "__main__":
    check_against(sys.argv[1])
