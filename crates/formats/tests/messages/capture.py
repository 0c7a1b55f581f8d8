#!/usr/bin/env python3
"""Captures what the OpenSSH installed here says to an agent, and what its agent answers.

Writes messages to standard output, one a line: NAME, `>` (to the agent) or `<`, hex without the
length in front. Every key is made for this run alone and thrown away. Needs root (its own sshd).

    python3 capture.py >openssh-VERSION.txt
"""
import os, pathlib, shutil, socket, struct, subprocess, sys, tempfile, threading, time

DIR = pathlib.Path(tempfile.mkdtemp(prefix="capture-"))
LISTEN, REAL = DIR / "agent.sock", DIR / "real.sock"
PORT = 22022
KEYS = [("ed25519", "ed25519", "256"), ("p256", "ecdsa", "256"), ("p384", "ecdsa", "384"),
        ("p521", "ecdsa", "521"), ("rsa", "rsa", "3072")]
NAMES = [name for name, _, _ in KEYS]
messages, step = [], "start"


def read_exactly(sock, count):
    taken = b""
    while len(taken) < count:
        more = sock.recv(count - len(taken))
        if not more:
            return None
        taken += more
    return taken


def serve(client):
    real = socket.socket(socket.AF_UNIX)
    real.connect(str(REAL))
    with client, real:
        while head := read_exactly(client, 4):
            asked = read_exactly(client, struct.unpack(">I", head)[0])
            real.sendall(head + asked)
            head = read_exactly(real, 4)
            answer = read_exactly(real, struct.unpack(">I", head)[0])
            messages.append((step, ">", asked))
            messages.append((step, "<", answer))
            client.sendall(head + answer)


def accept(listener):
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client,), daemon=True).start()


def run(name, *command, agent=LISTEN, text=None, check=True):
    global step
    step = name
    env = {"PATH": os.environ["PATH"], "HOME": str(DIR), "SSH_AUTH_SOCK": str(agent)}
    env |= {"SSH_ASKPASS": str(DIR / "askpass"), "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": ":0"}
    done = subprocess.run(command, env=env, input=text or b"", capture_output=True, cwd=DIR)
    if check and done.returncode != 0:
        sys.exit(f"{name}: {command}: {done.stderr.decode()}")
    return done.stdout + done.stderr


def keys():
    for name, kind, bits in KEYS:
        run("keys", "ssh-keygen", "-q", "-t", kind, "-b", bits, "-N", "", "-C", f"{name}@test", "-f", name)
    for kind in ["ed25519", "ecdsa", "rsa"]:
        run("keys", "ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "host", "-f", f"host_{kind}")
    run("keys", "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ca", "-f", "ca")
    run("keys", "ssh-keygen", "-q", "-s", "ca", "-I", "bastion", "-V", "20200101:20980101", "-h", "-n", "bastion.test,localhost",
        "host_ed25519.pub")
    run("keys", "ssh-keygen", "-q", "-s", "ca", "-I", "alex", "-n", "alex,root", "-O",
        "force-command=true", "p256.pub")
    (DIR / "p256-cert.pub").rename(DIR / "user-cert.pub")


def sshd():
    pathlib.Path("/run/sshd").mkdir(exist_ok=True)
    (DIR / "authorized").write_text("".join((DIR / f"{n}.pub").read_text() for n in NAMES))
    (DIR / "sshd_config").write_text(
        f"Port {PORT}\nListenAddress 127.0.0.1\nPidFile none\nStrictModes no\nPermitRootLogin yes\n"
        f"AuthorizedKeysFile {DIR}/authorized\nAllowAgentForwarding yes\n"
        + "".join(f"HostKey {DIR}/host_{kind}\n" for kind in ["ed25519", "ecdsa", "rsa"])
        + f"HostCertificate {DIR}/host_ed25519-cert.pub\nTrustedUserCAKeys {DIR}/ca.pub\n")
    daemon = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", str(DIR / "sshd_config")], stderr=subprocess.DEVNULL)
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", PORT)).close()
            return daemon
        except OSError:
            time.sleep(0.05)
    sys.exit("sshd did not come up")


def login(name, *options, command="true"):
    run(name, "ssh", "-F", "none", "-p", str(PORT), "-o", "StrictHostKeyChecking=no", "-o",
        "UserKnownHostsFile=/dev/null", *options, "root@127.0.0.1", command)


def capture():
    run("list-empty", "ssh-add", "-L", check=False)
    for name in NAMES:
        run(f"add-{name}", "ssh-add", "-q", name)
    run("list", "ssh-add", "-L")
    only = lambda name: ["-o", "IdentitiesOnly=yes", "-i", f"{name}.pub"]
    for name in NAMES:
        login(f"login-{name}", *only(name), "-o", "HostKeyAlgorithms=ssh-ed25519")
    login("login-unbound", *only("ed25519"), "-o", "PubkeyAuthentication=unbound")
    login("login-host-p256", *only("ed25519"), "-o", "HostKeyAlgorithms=ecdsa-sha2-nistp256")
    login("login-host-rsa", *only("ed25519"), "-o", "HostKeyAlgorithms=rsa-sha2-512")
    login("login-host-certificate", *only("ed25519"), "-o",
          "HostKeyAlgorithms=ssh-ed25519-cert-v01@openssh.com")
    hop = f"ssh -F none -p {PORT} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null root@127.0.0.1 true"
    login("login-two-hops", "-A", *only("ed25519"), command=hop)
    (DIR / "text").write_bytes(b"what is signed\n")
    for space in ["file", "git"]:
        run(f"sshsig-{space}", "ssh-keygen", "-q", "-Y", "sign", "-n", space, "-f", "ed25519.pub", "text")
        (DIR / "text.sig").rename(DIR / f"{space}.sig")
    for name in ["p521", "rsa"]:
        run(f"sshsig-{name}", "ssh-keygen", "-q", "-Y", "sign", "-n", "file", "-f", f"{name}.pub", "text")
        (DIR / "text.sig").unlink()
    run("add-ca", "ssh-add", "-q", "ca")
    certify = ["ssh-keygen", "-q", "-U", "-s", "ca.pub", "-V", "20200101:20980101"]
    run("certify-user", *certify, "-I", "alex@work", "-z", "7", "-n", "alex,root", "-O", "clear", "-O", "permit-pty",
        "-O", "source-address=192.0.2.0/24", "rsa.pub")
    run("certify-host", *certify, "-I", "db1", "-h", "-n", "db1.test,*.db.test", "host_ecdsa.pub")
    run("remove-ca", "ssh-add", "-q", "-d", "ca.pub")
    run("test", "ssh-add", "-T", "ed25519.pub")
    run("remove", "ssh-add", "-q", "-d", "ed25519.pub")
    run("remove-all", "ssh-add", "-q", "-D")
    run("lock", "ssh-add", "-x")
    run("unlock", "ssh-add", "-X")
    run("add-constrained", "ssh-add", "-q", "-c", "-t", "60", "ed25519")
    known = b"".join(b"bastion.test " + (DIR / f"host_{k}.pub").read_bytes() for k in ["ed25519", "rsa"])
    (DIR / "known").write_bytes(known)
    run("add-destination", "ssh-add", "-q", "-H", "known", "-h", "alex@bastion.test", "ed25519")
    authority = b"@cert-authority *.inner.test " + (DIR / "ca.pub").read_bytes()
    (DIR / "known-path").write_bytes(known + authority)
    run("add-destination-path", "ssh-add", "-q", "-H", "known-path", "-h", "bastion.test", "-h",
        "bastion.test>alex@db.inner.test", "ed25519")
    (DIR / "p256-cert.pub").write_bytes((DIR / "user-cert.pub").read_bytes())
    run("add-certificate", "ssh-add", "-q", "p256")
    login("login-certificate", "-o", "IdentitiesOnly=yes", "-i", "p256-cert.pub")
    run("smartcard", "ssh-add", "-s", "/usr/lib/none.so", check=False)
    run("smartcard-constrained", "ssh-add", "-t", "60", "-s", "/usr/lib/none.so", check=False)
    run("smartcard-remove", "ssh-add", "-e", "/usr/lib/none.so", check=False)
    hashed = DIR / "known_hosts"
    hashed.write_bytes(known.replace(b"bastion.test", b"bastion.test,[bastion.test]:2222", 1))
    run("keys", "ssh-keygen", "-q", "-H", "-f", "known_hosts")


def main():
    askpass = DIR / "askpass"
    askpass.write_text("#!/bin/sh\necho passphrase\n")
    askpass.chmod(0o700)
    keys()
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(REAL)], stdout=subprocess.DEVNULL)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(LISTEN))
    listener.listen()
    threading.Thread(target=accept, args=(listener,), daemon=True).start()
    while not REAL.exists():
        time.sleep(0.02)
    daemon = sshd()
    try:
        capture()
    finally:
        daemon.terminate()
        agent.terminate()
    version = subprocess.run(["ssh", "-V"], capture_output=True).stderr.decode().strip()
    print(f"# {version}")
    for name in [*NAMES, "user-cert", "host_ed25519", "host_ecdsa", "host_rsa", "host_ed25519-cert", "ca"]:
        print(f"# {name}: {(DIR / f'{name}.pub').read_text().strip()}")
    for line in (DIR / "known_hosts").read_text().splitlines():
        print(f"# known_hosts: {line}")
    for name in ["file", "git"]:
        print(f"# {name}.sig: {(DIR / f'{name}.sig').read_text().strip()!r}")
    for name, way, message in messages:
        print(name, way, message.hex())
    shutil.rmtree(DIR)


main()
