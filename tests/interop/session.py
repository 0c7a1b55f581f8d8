"""A client of a key server, from spec/session.md alone: frames, set-up, sealed frames, resumption."""

import hashlib
import hmac
import ipaddress
import socket
import unicodedata

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from OpenSSL import SSL

import opaque
from ristretto import open_sealed, random_bytes, seal

VERSION, SUITE = 1, 1
HELLO, REGISTER_START, REGISTER_RESPONSE, REGISTER_UPLOAD = 0x01, 0x10, 0x11, 0x12
LOGIN_START, LOGIN_RESPONSE, LOGIN_FINISH = 0x20, 0x21, 0x22
RESUME, RESUMED, SEALED, ERROR = 0x30, 0x31, 0x40, 0x7F
OPEN, PING, COMPLETE, STORAGE_KEY, PUT, MAKE, RETRIEVE, LIST = 0, 1, 2, 3, 4, 5, 7, 8
DELETE, SIGN, AUDIT, HEAD, LOG_OUT = 11, 12, 16, 17, 19
KIND_REGISTRATION, KIND_REQUEST = 1, 2


class Refused(Exception):
    """The server said no, by a code of section 9."""

    def __init__(self, code, wait_s=None):
        super().__init__(f"code {code}" + (f", wait {wait_s} s" if wait_s else ""))
        self.code, self.wait_s = code, wait_s


def encode(value):
    return cbor2.dumps(value, canonical=True)


def decode(encoded):
    """One deterministic item and nothing behind it."""
    value = cbor2.loads(encoded)
    if encode(value) != encoded:
        raise ValueError("not deterministic CBOR")
    return value


def cut(*parts):
    return hashlib.sha256(b"".join(parts)).digest()[:16]


def sized(value):
    return len(value).to_bytes(2, "big") + value


def number(value, length):
    return value.to_bytes(length, "big")


def kdf(key, info, length):
    """HKDF-SHA-512 with an empty salt."""
    return opaque.expand(opaque.extract(key), info, length)


def key_id_of(user_id, nonce):
    return cut(b"keystead/1 key id", sized(user_id), sized(nonce))


class Connection:
    """TLS 1.3 with the binding, both hellos, and frames by handle."""

    def __init__(self, host, port, ca_file, bound=True, server_id=None):
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_min_proto_version(SSL.TLS1_3_VERSION)
        context.load_verify_locations(ca_file)
        context.set_verify(SSL.VERIFY_PEER, lambda *arguments: bool(arguments[4]))
        context.set_alpn_protos([b"keystead/1"])
        plain = socket.create_connection((host, port), timeout=30)
        plain.settimeout(None)
        self.tls = SSL.Connection(context, plain)
        self.tls.set_connect_state()
        self.tls.do_handshake()
        check_name(self.tls.get_peer_certificate().to_cryptography(), host)
        if self.tls.get_alpn_proto_negotiated() != b"keystead/1":
            raise ValueError("the server speaks another protocol")
        exporter = self.tls.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")
        self.binding, self.exporter = (1, exporter) if bound else (0, b"")
        self.next_handle = 1
        self.buffer = b""
        self.greet()
        if server_id not in (None, self.server_id):
            raise ValueError("another server than the link names")

    def greet(self):
        hello = encode({0: VERSION, 1: [SUITE], 2: random_bytes(16)})
        self.send(HELLO, 0, hello)
        answer = self.receive(HELLO, 0)
        said = decode(answer)
        if (said[0], said[1]) != (VERSION, SUITE):
            raise ValueError("another version or suite")
        self.client_hello = hashlib.sha256(hello).digest()
        self.server_hello = hashlib.sha256(answer).digest()
        self.server_key, self.log_key = said[3], said[4]
        self.server_id = cut(b"keystead/1 server", self.server_key)

    def handle(self):
        self.next_handle += 1
        return self.next_handle - 1

    def send(self, kind, handle, body):
        rest = number(kind, 1) + number(handle, 4) + body
        self.tls.sendall(number(len(rest), 4) + rest)

    def receive(self, kind, handle):
        length = int.from_bytes(self.take(4), "big")
        rest = self.take(length)
        found, where, body = rest[0], int.from_bytes(rest[1:5], "big"), rest[5:]
        if found == ERROR and where in (handle, 0):
            said = decode(body)
            raise Refused(said[0], said.get(1))
        if (found, where) != (kind, handle):
            raise ValueError(f"frame {found:#x} of handle {where} out of turn")
        return body

    def take(self, length):
        while len(self.buffer) < length:
            self.buffer += self.tls.recv(65_536)
        taken, self.buffer = self.buffer[:length], self.buffer[length:]
        return taken

    def context(self, kind, handle):
        return (
            b"keystead/1" + number(SUITE, 1) + number(kind, 1) + number(self.binding, 1)
            + sized(self.exporter) + self.server_id + self.client_hello + self.server_hello
            + number(handle, 4)
        )

    def close(self):
        self.tls.shutdown()
        self.tls.close()


def check_name(certificate, host):
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    try:
        wanted = ipaddress.ip_address(host)
        known = names.get_values_for_type(x509.IPAddress)
    except ValueError:
        wanted, known = host, names.get_values_for_type(x509.DNSName)
    if wanted not in known:
        raise ValueError("the certificate is another host's")


class Session:
    """Sealed frames of one generation (sections 6 and 7)."""

    def __init__(self, connection, handle, session_id, generation, keys, first=0):
        self.connection, self.handle = connection, handle
        self.id, self.generation = session_id, generation
        self.to_server, self.to_client, self.resume_secret = keys
        self.sent, self.received = first, 0
        self.result = None

    def label(self, direction, n, sub, method):
        return (
            b"keystead/1" + number(SUITE, 1) + number(direction, 1) + self.id
            + number(self.generation, 4) + number(n, 8) + number(sub, 8) + number(method, 2)
        )

    def seal(self, method, plain):
        n = self.sent
        self.sent += 1
        label = self.label(0, n, n, method)
        boxed = ChaCha20Poly1305(self.to_server).encrypt(bytes(4) + number(n, 8), plain, label)
        return number(n, 8) + number(n, 8) + number(method, 2) + boxed

    def open(self, body, sub, method):
        n = int.from_bytes(body[:8], "big")
        found_sub, found_method = int.from_bytes(body[8:16], "big"), int.from_bytes(body[16:18], "big")
        if (n, found_sub, found_method) != (self.received, sub, method):
            raise ValueError("an answer out of turn")
        self.received += 1
        label = self.label(1, n, found_sub, found_method)
        plain = ChaCha20Poly1305(self.to_client).decrypt(bytes(4) + number(n, 8), body[18:], label)
        answer = decode(plain)
        if answer[0] != 0:
            raise Refused(answer[0])
        return answer

    def ask(self, method, fields=None):
        """The result, and the receipt where the method has one."""
        sub = self.sent
        plain = encode({0: random_bytes(16), **(fields or {})})
        self.connection.send(SEALED, self.handle, self.seal(method, plain))
        answer = self.open(self.connection.receive(SEALED, self.handle), sub, method)
        return answer.get(1), answer.get(2)


def open_session(connection, handle, login, ke2_frame, kind, account, known=None):
    """From frame 21 to `opened`: proves the password, then says `open`."""
    profile, ke2 = ke2_frame[0], ke2_frame[1:]
    ke3, session_key, export_key = login.finish(
        ke2, connection.context(kind, handle), connection.server_id, account,
        opaque.argon2id(profile), connection.server_key,
    )
    session_id = kdf(session_key, b"keystead/1 id", 16)
    keys = tuple(
        kdf(session_key, b"keystead/1 " + name, 32) for name in (b"c2s", b"s2c", b"resume")
    )
    session = Session(connection, handle, session_id, 0, keys)
    body = session.seal(OPEN, encode({0: random_bytes(16), 1: known, 2: "interop", 3: False}))
    connection.send(LOGIN_FINISH, handle, ke3 + body)
    opened = session.open(connection.receive(SEALED, handle), 0, OPEN)
    session.result = opened[1]
    return session, export_key


def account_name(text):
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def prepared(password):
    return unicodedata.normalize("NFC", password).encode()


def register(connection, name, password, invitation=None):
    """Section 5; returns user_id, storage key and recovery code."""
    handle, name = connection.handle(), account_name(name)
    registration = opaque.Registration(prepared(password))
    start = {0: name, 1: registration.request}
    if invitation is not None:
        start[2] = invitation
    connection.send(REGISTER_START, handle, encode(start))
    response = connection.receive(REGISTER_RESPONSE, handle)
    if response[32:] != connection.server_key:
        raise ValueError("another server's key")
    account = name.encode()
    record, export_key = registration.finish(
        response, connection.server_id, account, opaque.argon2id(1)
    )
    login = opaque.Login(prepared(password))
    connection.send(REGISTER_UPLOAD, handle, encode({0: record, 1: 1, 2: login.ke1}))
    answer = connection.receive(LOGIN_RESPONSE, handle)
    session, again = open_session(connection, handle, login, answer, KIND_REGISTRATION, account)
    assert hmac.compare_digest(export_key, again)
    user_id = session.result[0]
    storage_key, code = random_bytes(32), random_bytes(16)
    sealed = seal(master_key(export_key), user_id + b"storage key", storage_key)
    fields = {1: sealed, 2: user_id, 3: hashlib.sha256(code).digest()}
    _, receipt = session.ask(COMPLETE, fields)
    return user_id, storage_key, code, receipt


def log_in(connection, name, password, known=None):
    handle, name = connection.handle(), account_name(name)
    login = opaque.Login(prepared(password))
    start = {0: name, 1: login.ke1, 2: connection.binding}
    connection.send(LOGIN_START, handle, encode(start))
    answer = connection.receive(LOGIN_RESPONSE, handle)
    return open_session(connection, handle, login, answer, KIND_REQUEST, name.encode(), known)


def resume(connection, session, known=None):
    """Section 7: the session goes on here, under the next generation."""
    handle, private = connection.handle(), X25519PrivateKey.generate()
    point = raw(private.public_key())
    claim = {
        0: session.id, 1: session.generation, 2: random_bytes(32), 3: point,
        4: connection.binding, 5: known,
    }
    transcript = hashlib.sha256(
        b"keystead/1 resume" + connection.client_hello + connection.server_hello
        + connection.server_id + sized(connection.exporter) + encode(claim)
    ).digest()
    proof = hmac.new(session.resume_secret, transcript, hashlib.sha256).digest()
    connection.send(RESUME, handle, encode({**claim, 6: proof}))
    body = connection.receive(RESUMED, handle)
    drawn, sealed = body[:64], body[64:]
    shared = private.exchange(X25519PublicKey.from_public_bytes(drawn[32:]))
    keys = kdf(
        session.resume_secret + shared, b"keystead/1 resumed" + transcript + drawn, 96
    )
    parts = keys[:32], keys[32:64], keys[64:]
    going_on = Session(connection, handle, session.id, session.generation + 1, parts, first=1)
    going_on.result = going_on.open(sealed, 0, OPEN)[1]
    return going_on


def raw(public_key):
    return public_key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def master_key(export_key):
    return kdf(export_key, b"OPAQUE-derived Lock Keeper master key", 32)


def storage_key(session, user_id, export_key):
    result, _ = session.ask(STORAGE_KEY)
    return open_sealed(master_key(export_key), user_id + b"storage key", result[0])
