#!/usr/bin/env python3
"""Checks an export of a key server's log by spec/audit.md, with no code of Keystead.

    audit.py FILE [--server HEX] [--key BASE64]

Prints what it found and ends with 0, or names the first bad line and ends with 1; 2 where there is
nothing to check.
Needs Python's standard library, and `cryptography` or PyNaCl for Ed25519.

The functions below are also for programs that talk to a server: parse_checkpoint,
verify_inclusion, verify_consistency, decode_leaf, verify_leaf_chain.
"""

import base64
import binascii
import hashlib
import sys

ZEROS = bytes(32)
SYSTEM_LOG = bytes(16)
PUT, MAKE, IMPORT, LABEL, DELETE = 4, 5, 6, 10, 11
DONE = 0


class Bad(Exception):
    """Something does not hold."""


# Ed25519 ---------------------------------------------------------------------


def verify_ed25519(key, message, signature):
    """Raises Bad unless `signature` over `message` is by `key`."""
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
        except (InvalidSignature, ValueError):
            raise Bad("a signature is not good") from None
    except ImportError:
        from nacl.exceptions import BadSignatureError
        from nacl.signing import VerifyKey

        try:
            VerifyKey(key).verify(message, signature)
        except (BadSignatureError, ValueError):
            raise Bad("a signature is not good") from None


# Tree: RFC 6962 section 2.1, RFC 9162 sections 2.1.3.2 and 2.1.4.2 -------------


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def leaf_hash(leaf):
    return sha256(b"\x00", leaf)


def node_hash(left, right):
    return sha256(b"\x01", left, right)


def verify_inclusion(index, size, leaf, path, root):
    """Raises Bad unless the leaf with the hash `leaf` is at `index` of the tree."""
    if not 0 <= index < size:
        raise Bad(f"leaf {index} is not in a tree of {size}")
    at, last, result = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise Bad("a path is too long")
        if at & 1 or at == last:
            result = node_hash(sibling, result)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            result = node_hash(result, sibling)
        at, last = at >> 1, last >> 1
    if last != 0:
        raise Bad("a path is too short")
    if result != root:
        raise Bad("a path leads to another root")


def verify_consistency(old, size, old_root, root, proof):
    """Raises Bad unless the tree of `size` begins with the tree of `old` leaves."""
    if old > size:
        raise Bad("the log went back")
    if old == 0 or old == size:
        expected = old_root == root if old == size else old_root == sha256()
        if proof or not expected:
            raise Bad("the trees are not one log")
        return
    proof = list(proof)
    if old & (old - 1) == 0:
        proof.insert(0, old_root)
    if not proof:
        raise Bad("a consistency proof is too short")
    at, last = old - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    first = second = proof[0]
    for node in proof[1:]:
        if last == 0:
            raise Bad("a consistency proof is too long")
        if at & 1 or at == last:
            first, second = node_hash(node, first), node_hash(node, second)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            second = node_hash(second, node)
        at, last = at >> 1, last >> 1
    if last != 0:
        raise Bad("a consistency proof is too short")
    if first != old_root or second != root:
        raise Bad("the trees are not one log")


class Tree:
    """A tree that grows: complete subtrees from left to right."""

    def __init__(self):
        self.size = 0
        self.edge = []

    def push(self, leaf):
        self.size += 1
        self.edge.append(leaf)
        for _ in range(((self.size & -self.size).bit_length()) - 1):
            right, left = self.edge.pop(), self.edge.pop()
            self.edge.append(node_hash(left, right))

    def root(self):
        if not self.edge:
            return sha256()
        result = self.edge[-1]
        for left in reversed(self.edge[:-1]):
            result = node_hash(left, result)
        return result


# Checkpoints ------------------------------------------------------------------


def unbase64(text):
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Bad("base64 is broken") from None
    if base64.b64encode(data).decode() != text:
        raise Bad("base64 has another form")
    return data


def decimal(text):
    if not (text.isascii() and text.isdigit()) or (text[0] == "0" and text != "0"):
        raise Bad("a number has another form")
    number = int(text)
    if number >= 1 << 64:
        raise Bad("a number is too great")
    return number


def unhex(text, length):
    if len(text) != 2 * length or any(digit not in "0123456789abcdef" for digit in text):
        raise Bad("hex has another form")
    return bytes.fromhex(text)


def parse_checkpoint(note, log_key, server=None):
    """A signed note as {"server", "size", "root", "epoch"}; raises Bad."""
    try:
        text = note.decode("utf-8")
    except UnicodeDecodeError:
        raise Bad("a checkpoint is not UTF-8") from None
    if any((it < " " or it == "\x7f") and it != "\n" for it in text):
        raise Bad("a checkpoint holds control characters")
    body, gap, tail = text.rpartition("\n\n")
    if not gap or not tail.endswith("\n"):
        raise Bad("a checkpoint is no signed note")
    body += "\n"
    lines = body.split("\n")
    if len(lines) != 5 or not lines[0].startswith("keystead/") or not lines[3].startswith("epoch "):
        raise Bad("a checkpoint has other lines")
    found = {
        "server": unhex(lines[0][len("keystead/"):], 16),
        "size": decimal(lines[1]),
        "root": unbase64(lines[2]),
        "epoch": decimal(lines[3][len("epoch "):]),
    }
    if len(found["root"]) != 32:
        raise Bad("a root has not 32 bytes")
    if server is not None and found["server"] != server:
        raise Bad("a checkpoint is of another server")
    signatures = tail[:-1].split("\n")
    if len(signatures) > 16:
        raise Bad("a checkpoint has too many signatures")
    key_hash = sha256(lines[0].encode(), b"\n\x01", log_key)[:4]
    ours = []
    for line in signatures:
        words = line.split(" ")
        if len(words) != 3 or words[0] != "\u2014" or not words[1] or "+" in words[1]:
            raise Bad("a signature line has another form")
        data = unbase64(words[2])
        if len(data) < 5:
            raise Bad("a signature is too short")
        if words[1] == lines[0] and data[:4] == key_hash:
            ours.append(data[4:])
    if len(ours) != 1:
        raise Bad("a checkpoint is not signed by the log's key")
    verify_ed25519(log_key, body.encode(), ours[0])
    return found


# Leaves -----------------------------------------------------------------------


def log_of(user):
    """Whose log an account's entries are in."""
    return sha256(b"keystead/1 log", user)[:16]


def decode_leaf(data):
    """A leaf as a dictionary; raises Bad."""
    if len(data) < 127:
        raise Bad("an entry is cut off")
    if data[0] != 1:
        raise Bad("an entry has another version")
    length = int.from_bytes(data[125:127], "big")
    if length > 512 or len(data) != 127 + length:
        raise Bad("an entry has another length")
    number = lambda start, end: int.from_bytes(data[start:end], "big")
    return {
        "log": data[1:17],
        "seq": number(17, 25),
        "before": data[25:57],
        "time_ms": number(57, 65),
        "action": number(65, 67),
        "outcome": number(67, 69),
        "actor": data[69:77],
        "key": data[77:93],
        "request": data[93:125],
        "detail": data[127:],
        "hash": leaf_hash(data),
    }


def detail_of(leaf):
    """The detail's numbers and bytes by key; texts are passed over."""
    data, found = leaf["detail"], {}
    if not data or data[0] >> 5 != 5:
        raise Bad("a detail is no map")
    at, pairs = head(data, 0)
    for _ in range(pairs):
        if data[at:at + 1] and data[at] >> 5 != 0:
            raise Bad("a detail's key is no number")
        at, key = head(data, at)
        kind = data[at] >> 5 if at < len(data) else None
        at, value = head(data, at)
        if kind == 0:
            found[key] = value
        elif kind == 2:
            found[key] = data[at:at + value]
            at += value
        elif kind == 3:
            at += value
        else:
            raise Bad("a detail has another form")
    if at != len(data):
        raise Bad("a detail has another length")
    policy = found.get(20)
    if policy is not None and (not isinstance(policy, bytes) or len(policy) != 32):
        raise Bad("a policy's hash has another form")
    return found


def head(data, at):
    """The argument of a CBOR head, and where it ends."""
    if at >= len(data):
        raise Bad("a detail is cut off")
    low = data[at] & 31
    if low < 24:
        return at + 1, low
    length = {24: 1, 25: 2, 26: 4, 27: 8}.get(low)
    if length is None or at + 1 + length > len(data):
        raise Bad("a detail is cut off")
    return at + 1 + length, int.from_bytes(data[at + 1:at + 1 + length], "big")


def verify_leaf_chain(leaves, log=None):
    """Raises Bad unless the decoded leaves of one log follow each other from the first."""
    last = None
    for number, leaf in enumerate(leaves):
        if log is not None and leaf["log"] != log:
            raise Bad(f"entry {number}: it is of another log")
        if leaf["seq"] != number:
            raise Bad(f"entry {number}: the log goes on with entry {leaf['seq']}")
        if leaf["before"] != (last["hash"] if last else ZEROS):
            raise Bad(f"entry {number}: it does not follow the entry before")
        last = leaf


# Exports ----------------------------------------------------------------------


class Audit:
    """Takes the lines of an export, one after the other."""

    def __init__(self):
        self.server = self.key = self.user = None
        self.checkpoints = []
        self.tree = Tree()
        self.last_index = -1
        self.leaf = None
        self.needs_path = False
        self.chains = {}
        self.erased = set()
        self.keys = {}
        self.listed = None
        self.leaves = 0

    def server_line(self, server):
        self.server = unhex(server, 16)

    def key_line(self, key):
        self.key = unbase64(key)
        if len(self.key) != 32:
            raise Bad("a key has not 32 bytes")

    def user_line(self, user):
        if self.checkpoints or self.user:
            raise Bad("a user does not stand here")
        self.user = unhex(user, 32)

    def checkpoint(self, note):
        found = parse_checkpoint(unbase64(note), self.key, self.server)
        for other in self.checkpoints:
            smaller, greater = sorted((other, found), key=lambda it: it["size"])
            same = other["size"] == found["size"] and other["epoch"] == found["epoch"]
            if smaller["epoch"] > greater["epoch"] or (same and other["root"] != found["root"]):
                raise Bad("two checkpoints contradict each other")
        self.checkpoints.append(found)

    def leaf_line(self, index, data):
        data = unbase64(data)
        self.next_index(index)
        self.leaf = decode_leaf(data)
        self.leaves += 1
        self.needs_path = self.user is not None
        self.follow(self.leaf)
        self.tell(self.leaf)
        self.tree.push(self.leaf["hash"])

    def erased_line(self, index, data):
        if self.user is not None:
            raise Bad("an account's export has no erased entries")
        data = unbase64(data)
        if len(data) != 32:
            raise Bad("a hash has not 32 bytes")
        self.next_index(index)
        self.erased.add(data)
        self.tree.push(data)

    def path(self, checkpoint, hashes):
        if self.leaf is None:
            raise Bad("a path belongs to no entry")
        head = self.head(checkpoint)
        path = self.hashes(hashes)
        verify_inclusion(self.last_index, head["size"], self.leaf["hash"], path, head["root"])
        self.leaf = None
        self.needs_path = False

    def consistency(self, old, new, hashes):
        old, new, proof = self.head(old), self.head(new), self.hashes(hashes)
        verify_consistency(old["size"], new["size"], old["root"], new["root"], proof)

    def listed_line(self, key, kind, revision):
        if self.listed is None:
            self.listed = set()
        key, kind, revision = unhex(key, 16), decimal(kind), decimal(revision)
        if key in self.listed:
            raise Bad("a key is listed twice")
        self.listed.add(key)
        made = self.keys.get(key)
        if made is None:
            raise Bad(f"key {key.hex()} is listed, but the log does not say that it was made")
        if made["revision"] != revision:
            raise Bad(f"key {key.hex()} has revision {revision}, the log says {made['revision']}")
        if made["type"] not in (None, kind):
            raise Bad(f"key {key.hex()} is of type {kind}, the log says {made['type']}")

    def end(self):
        if not self.checkpoints:
            raise Bad("there is no checkpoint")
        if self.user is None:
            head = self.checkpoints[-1]
            if self.tree.size != head["size"] or self.tree.root() != head["root"]:
                raise Bad("the entries are not those of the checkpoint")
        missing = set(self.keys) - self.listed if self.listed is not None else set()
        if missing:
            raise Bad(f"key {min(missing).hex()} was made and never deleted, but is not listed")

    def head(self, number):
        number = decimal(number)
        if number >= len(self.checkpoints):
            raise Bad("there is no such checkpoint")
        return self.checkpoints[number]

    def hashes(self, text):
        data = b"" if text == "-" else unbase64(text)
        if len(data) % 32 or (not data and text != "-"):
            raise Bad("hashes have another length")
        return [data[at:at + 32] for at in range(0, len(data), 32)]

    def next_index(self, index):
        index = decimal(index)
        if index <= self.last_index or (self.user is None and index != self.last_index + 1):
            raise Bad(f"leaf {index} does not come next")
        self.last_index = index

    def follow(self, leaf):
        """The entry is the next one of its log."""
        log = leaf["log"]
        if self.user is not None and log != log_of(self.user):
            raise Bad("an entry is of another account")
        seq, last = self.chains.get(log, (0, ZEROS))
        follows = leaf["seq"] == seq and leaf["before"] == last
        # Behind entries that were erased a chain may begin or go on.
        behind = leaf["seq"] > seq and leaf["before"] in self.erased
        if not (follows or behind):
            raise Bad(f"entry {leaf['seq']} of log {log.hex()} does not follow the entry before")
        self.chains[log] = (leaf["seq"] + 1, leaf["hash"])

    def tell(self, leaf):
        """What the entry says of keys."""
        if self.user is None or leaf["outcome"] != DONE:
            return
        key = leaf["key"]
        if leaf["action"] in (PUT, MAKE, IMPORT):
            made = {"revision": 0, "type": detail_of(leaf).get(5)}
            self.keys.setdefault(key, made)
        elif leaf["action"] == LABEL and key in self.keys:
            was = self.keys[key]["revision"]
            self.keys[key]["revision"] = detail_of(leaf).get(4, was + 1)
        elif leaf["action"] == DELETE:
            self.keys.pop(key, None)


WORDS = {
    "user": (Audit.user_line, 1),
    "checkpoint": (Audit.checkpoint, 1),
    "leaf": (Audit.leaf_line, 2),
    "path": (Audit.path, 2),
    "erased": (Audit.erased_line, 2),
    "consistency": (Audit.consistency, 3),
    "listed": (Audit.listed_line, 3),
}


def check_export(lines, server=None, key=None):
    """Checks an export line by line. Returns the Audit; raises Bad with the line's number."""
    audit, number, ended = Audit(), 0, False
    try:
        for number, line in enumerate(lines, 1):
            if ended or not line.endswith("\n"):
                raise Bad("the file does not end with its last line")
            words = line[:-1].split(" ")
            if number == 1:
                if words != ["keystead", "audit", "1"]:
                    raise Bad("this is no export of version 1")
            elif number == 2:
                if words[0] != "server" or len(words) != 2:
                    raise Bad("the server is missing")
                audit.server_line(words[1])
                if server is not None and audit.server != server:
                    raise Bad("it is another server")
            elif number == 3:
                if words[0] != "key" or len(words) != 2:
                    raise Bad("the log's key is missing")
                audit.key_line(words[1])
                if key is not None and audit.key != key:
                    raise Bad("it is another key")
            elif words[0] == "end" and len(words) == 2:
                if decimal(words[1]) != number - 1:
                    raise Bad("lines are missing")
                if audit.needs_path:
                    raise Bad("an entry has no path")
                audit.end()
                ended = True
            else:
                take, count = WORDS.get(words[0], (None, 0))
                if take is None or len(words) != 1 + count:
                    raise Bad("the line has another form")
                if audit.needs_path and words[0] != "path":
                    raise Bad("the entry before has no path")
                take(audit, *words[1:])
        if not ended:
            number += 1
            raise Bad("the file is cut off")
    except Bad as fault:
        raise Bad(f"line {number}: {fault}") from None
    return audit


def main(arguments):
    server = key = None
    names = []
    arguments = iter(arguments)
    for argument in arguments:
        if argument in ("-h", "--help"):
            print(__doc__.strip())
            return 0
        if argument == "--server":
            server = unhex(next(arguments, ""), 16)
        elif argument == "--key":
            key = unbase64(next(arguments, ""))
        else:
            names.append(argument)
    if len(names) != 1 or names[0].startswith("-"):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    try:
        with open(names[0], encoding="utf-8", newline="\n") as file:
            audit = check_export(file, server, key)
    except OSError as error:
        print(f"{names[0]} cannot be read: {error.strerror}", file=sys.stderr)
        return 2
    except (Bad, UnicodeDecodeError) as fault:
        print(f"bad: {fault}")
        return 1
    head = audit.checkpoints[-1]
    print(f"good: {audit.leaves} entries, {len(audit.erased)} erased, tree of {head['size']}, epoch {head['epoch']}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
