"""Registers, logs in, resumes, stores, retrieves, signs and verifies the audit at a key server.

Usage: client.py LINK CA_FILE < PASSWORD

Each step prints one line; the first that fails ends the program with status 1.
"""

import base64
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

import audit
import session as wire
from ristretto import open_sealed, random_bytes, seal

ARBITRARY, ED25519 = 1, 2
PURPOSE_LOGIN, PURPOSE_MESSAGE = 1, 4
SECRET = bytes(range(32))


def main(link, ca_file):
    password = sys.stdin.readline().rstrip("\n")
    host, port, server_id, token, name = read_link(link, ca_file)
    reach = lambda: wire.Connection(host, port, ca_file, server_id=server_id)

    user_id, key, _, _ = wire.register(reach(), name, password, token)
    say("registered", user_id.hex())

    connection = reach()
    expect_refusal("a wrong password", lambda: wire.log_in(reach(), name, password + "x"))
    session, export_key = wire.log_in(connection, name, password)
    assert session.result[0] == user_id
    assert wire.storage_key(session, user_id, export_key) == key
    say("logged in", session.id.hex())

    stored = store(session, user_id, key, SECRET)
    say("stored", stored.hex())

    connection.close()
    session = wire.resume(reach(), session)
    say("resumed on another connection, generation", session.generation)
    assert retrieve(session, user_id, key, stored) == SECRET
    say("retrieved", len(SECRET), "bytes")

    signer, public = make(session, user_id, [PURPOSE_MESSAGE])
    known, shown = check_message(session, signer, public)
    # Another client's entry stands between, so that our next login does not name them.
    wire.log_in(reach(), name, password)
    session.connection.close()
    session = wire.resume(reach(), session, [known["epoch"], known["size"]])
    confirm(session, known, shown)
    login_key, login_public = make(session, user_id, [PURPOSE_LOGIN])
    check_login(session, login_key, login_public)
    expect_refusal(
        "a message by a login key",
        lambda: session.ask(wire.SIGN, {1: login_key, 2: PURPOSE_MESSAGE, 3: {1: b"x"}, 4: 0}),
    )
    verify_audit(session, user_id, {stored, signer, login_key})
    session.ask(wire.LOG_OUT, {1: False})
    expect_refusal("a session that was left", lambda: wire.resume(reach(), session))
    say("all done")


def read_link(link, ca_file):
    """An invitation link (section 4): where, which server, whose certificate authority."""
    scheme, _, encoded = link.partition("#")
    assert scheme == "keystead:invite"
    said = wire.decode(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    with open(ca_file, "rb") as file:
        authority = x509.load_pem_x509_certificate(file.read())
    assert authority.fingerprint(hashes.SHA256()) == said[5]
    host, _, port = said[1].rpartition(":")
    return host, int(port), said[2], said[3], said[4]


def store(session, user_id, key, secret):
    """Sealed here: the server sees neither secret nor label (section 8, method 4)."""
    nonce = random_bytes(32)
    key_id = wire.key_id_of(user_id, nonce)
    plain = len(secret).to_bytes(4, "big") + secret + bytes([ARBITRARY])
    value = seal(key, user_id + key_id + b"stored", plain)
    label = seal(key, user_id + key_id + b"label" + bytes(4), b"from python")
    fields = {1: nonce, 2: 2, 3: ARBITRARY, 4: value, 5: label}
    result, _ = session.ask(wire.PUT, fields)
    assert result[0] == key_id
    return key_id


def retrieve(session, user_id, key, key_id):
    result, _ = session.ask(wire.RETRIEVE, {1: key_id, 2: 2, 3: ARBITRARY})
    plain = open_sealed(key, user_id + key_id + b"stored", result[1])
    length = int.from_bytes(plain[:4], "big")
    assert plain[4 + length :] == bytes([ARBITRARY])
    return plain[4 : 4 + length]


def make(session, user_id, purposes):
    nonce = random_bytes(32)
    fields = {1: nonce, 3: ED25519, 5: "made by python", 8: purposes}
    if PURPOSE_LOGIN in purposes:
        fields[9] = {4: 1}
    result, _ = session.ask(wire.MAKE, fields)
    assert result[0] == wire.key_id_of(user_id, nonce)
    return result[0], Ed25519PublicKey.from_public_bytes(result[1])


def check_message(session, key_id, public):
    """Ten signatures; the head before them, and the entries that their receipts showed."""
    known = checkpoint_of(session.connection, session.ask(wire.HEAD, {2: []})[0][0])
    shown = []
    for _ in range(10):
        message = random_bytes(100)
        fields = {1: key_id, 2: PURPOSE_MESSAGE, 3: {1: message}, 4: 0}
        result, receipt = session.ask(wire.SIGN, fields)
        public.verify(result[0], message)
        shown.append((receipt[0], audit.decode_leaf(receipt[1])["hash"]))
    say("ten messages of 100 bytes signed")
    return known, shown


def confirm(session, known, shown):
    """What a session opens with continues our head; what receipts showed since, it must hold."""
    page, _ = session.ask(wire.HEAD, {1: known["size"], 2: [index for index, _ in shown]})
    head = checkpoint_of(session.connection, page[0])
    audit.verify_consistency(known["size"], head["size"], known["root"], head["root"], page[1])
    for (index, leaf), proof in zip(shown, page[2], strict=True):
        assert proof[0] == index
        audit.verify_inclusion(index, head["size"], leaf, proof[1], head["root"])
    say(len(shown), "receipts confirmed at the next session")


def check_login(session, key_id, public):
    """The server builds the bytes of RFC 4252 section 7 from these fields; so do we."""
    blob = ssh_string(b"ssh-ed25519") + ssh_string(wire.raw(public))
    ssh_session = random_bytes(32)
    fields = {1: ssh_session, 2: "alex", 3: "ssh-ed25519", 4: blob}
    result, _ = session.ask(wire.SIGN, {1: key_id, 2: PURPOSE_LOGIN, 3: fields})
    signed = (
        ssh_string(ssh_session) + bytes([50]) + ssh_string(b"alex")
        + ssh_string(b"ssh-connection") + ssh_string(b"publickey") + bytes([1])
        + ssh_string(b"ssh-ed25519") + ssh_string(blob)
    )
    public.verify(result[0], signed)
    say("an SSH login signed")


def verify_audit(session, user_id, keys):
    """All pages with proofs: signed, in the tree, one chain, and what was made is listed."""
    connection, leaves, cursor = session.connection, [], None
    while True:
        fields = {1: 2, 6: True} if cursor is None else {1: 2, 5: cursor, 6: True}
        page, _ = session.ask(wire.AUDIT, fields)
        head = checkpoint_of(connection, page[3])
        for encoded, proof in zip(page[0], page[2], strict=True):
            leaf = audit.decode_leaf(encoded)
            audit.verify_inclusion(proof[0], head["size"], leaf["hash"], proof[1], head["root"])
            leaves.append(leaf)
        cursor = page.get(1)
        if cursor is None:
            break
    audit.verify_leaf_chain(leaves, audit.log_of(user_id))
    made = {leaf["key"] for leaf in leaves if leaf["action"] in (wire.PUT, wire.MAKE)}
    listed = {entry[0] for entry in session.ask(wire.LIST, {2: 100})[0][0]}
    assert made == listed == keys
    before, _ = session.ask(wire.HEAD, {1: head["size"], 2: [0]})
    after = checkpoint_of(connection, before[0])
    audit.verify_consistency(
        head["size"], after["size"], head["root"], after["root"], before.get(1, [])
    )
    actions = sorted({leaf["action"] for leaf in leaves})
    say("audit verified:", len(leaves), "entries, actions", *(f"{it:#x}" for it in actions))


def checkpoint_of(connection, note):
    return audit.parse_checkpoint(note, connection.log_key, connection.server_id)


def ssh_string(value):
    return len(value).to_bytes(4, "big") + value


def expect_refusal(what, attempt):
    try:
        attempt()
    except (wire.Refused, ValueError) as refusal:
        say(f"{what} is refused:", refusal)
        return
    raise AssertionError(f"{what} was taken")


def say(*words):
    print(*words, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
