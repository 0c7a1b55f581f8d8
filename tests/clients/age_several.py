"""Speaks age's plugin protocol (C2SP age-plugin, identity-v1) as age would with several files.

Usage: age_several.py IDENTITIES FILE…

Starts `age-plugin-keystead` once with every identity of a file of identities and every stanza of
all the files, and checks each file key that comes against the header's MAC. Prints a line for
each file, and for each error that the plugin tells.
"""

import base64
import hashlib
import hmac
import subprocess
import sys


def header(path):
    """The stanzas of an age file, and what its MAC covers (C2SP age, "The header")."""
    lines = open(path, "rb").read().split(b"\n")
    assert lines[0] == b"age-encryption.org/v1", path
    stanzas, covered = [], lines[:1]
    for line in lines[1:]:
        if line.startswith(b"---"):
            mac = line[4:]
            return stanzas, b"\n".join(covered + [b"---"]), mac
        covered.append(line)
        if line.startswith(b"-> "):
            stanzas.append([line[3:], []])
        else:
            stanzas[-1][1].append(line)


def mac_of(file_key, covered):
    """HKDF-SHA-256 with no salt, one block (RFC 5869)."""
    extracted = hmac.digest(bytes(32), file_key, "sha256")
    key = hmac.digest(extracted, b"header\1", "sha256")
    return base64.b64encode(hmac.digest(key, covered, "sha256")).rstrip(b"=")


def main(identities, paths):
    headers = [header(path) for path in paths]
    plugin = subprocess.Popen(
        ["age-plugin-keystead", "--age-plugin=identity-v1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    say, hear = plugin.stdin, plugin.stdout
    for line in open(identities, "rb"):
        if line.startswith(b"AGE-PLUGIN-"):
            say.write(b"-> add-identity " + line.strip() + b"\n\n")
    for index, (stanzas, _, _) in enumerate(headers):
        for words, body in stanzas:
            lines = [b"-> recipient-stanza %d " % index + words, *body]
            say.write(b"\n".join(lines) + b"\n")
    say.write(b"-> done\n\n")
    say.flush()
    while True:
        words = hear.readline().split()[1:]
        body = b"".join(body_of(hear))
        if words[0] == b"done":
            break
        if words[0] == b"file-key":
            index = int(words[1])
            _, covered, mac = headers[index]
            assert mac_of(base64.b64decode(body + b"=="), covered) == mac, paths[index]
            print(f"{paths[index]} opens")
        elif words[0] == b"error":
            text = base64.b64decode(body + b"===").decode()
            print(" ".join(word.decode() for word in words) + ": " + text)
        say.write(b"-> ok\n\n")
        say.flush()
    say.close()
    sys.exit(plugin.wait())


def body_of(hear):
    """Lines of 64 characters; the last one is shorter."""
    while True:
        line = hear.readline().rstrip(b"\n")
        yield line
        if len(line) < 64:
            return


main(sys.argv[1], sys.argv[2:])
