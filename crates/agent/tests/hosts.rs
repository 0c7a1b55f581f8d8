//! Names of hosts, found beside a real `ssh` that logs in to a real `sshd`: the test is the agent
//! and looks at who asks, at the moment when a signature is wanted.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that does not work fails the test"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use keystead_agent::evidence::{Look, evidence};
use keystead_agent::peer::look;
use keystead_core::Evidence;
use keystead_formats::ssh::agent::{Identity, Request, Response};
use keystead_formats::ssh::{PublicKey, SessionBind, ToBeSigned};

/// A folder with host keys and an `sshd` that shows one of them.
struct Host {
    folder: PathBuf,
    port: u16,
    sshd: Child,
}

impl Host {
    /// `key_type` is as `ssh-keygen -t` takes it; a certificate is made for `db.test`.
    fn start(name: &str, key_type: &str, certified: bool) -> Self {
        let folder = std::env::temp_dir().join(format!("ks-host-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir(&folder).unwrap();
        for (file, key_type) in [("host", key_type), ("ca", "ed25519")] {
            let made = ["-q", "-t", key_type, "-N", "", "-C", "", "-f", file];
            run(&folder, "ssh-keygen", &made);
        }
        let mut lines = format!("HostKey {}\n", folder.join("host").display());
        if certified {
            let certify = [
                "-q", "-s", "ca", "-h", "-I", "x", "-n", "db.test", "host.pub",
            ];
            run(&folder, "ssh-keygen", &certify);
            lines += &format!(
                "HostCertificate {}\n",
                folder.join("host-cert.pub").display()
            );
        }
        // A free port; the listener is gone before sshd takes it.
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        lines += &format!("Port {port}\nListenAddress 127.0.0.1\nPidFile none\nStrictModes no\n");
        lines += &format!(
            "PermitRootLogin yes\nAuthorizedKeysFile {}\n",
            folder.join("authorized").display()
        );
        let authorized = PublicKey::ed25519(&KEY).line("");
        std::fs::write(folder.join("authorized"), authorized).unwrap();
        std::fs::write(folder.join("sshd_config"), lines).unwrap();
        // Root's sshd wants its folder; another user's does without.
        let _ = std::fs::create_dir("/run/sshd");
        let mut sshd = Command::new(sshd_program())
            .args(["-D", "-e", "-f"])
            .arg(folder.join("sshd_config"))
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(sshd.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("Server listening") {
            line.clear();
            assert_ne!(said.read_line(&mut line).unwrap(), 0, "sshd ended");
        }
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        Self { folder, port, sshd }
    }

    fn line(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder.join(file)).unwrap()
    }

    /// What the agent finds when `ssh -F cfg db` asks for a signature. In `files` {PORT},
    /// {FOLDER}, {HOST} and {CA} are replaced: the braces are in no key's base64.
    fn seen(&self, files: &[(&str, &str)]) -> Evidence {
        for (name, text) in files {
            let text = text
                .replace("{PORT}", &self.port.to_string())
                .replace("{FOLDER}", self.folder.to_str().unwrap())
                .replace("{HOST}", self.line("host.pub").trim())
                .replace("{CA}", self.line("ca.pub").trim());
            std::fs::write(self.folder.join(name), text).unwrap();
        }
        if self.folder.join("hash").exists() {
            run(&self.folder, "ssh-keygen", &["-q", "-H", "-f", "known"]);
        }
        let socket = self.folder.join("agent");
        let _ = std::fs::remove_file(&socket);
        let agent = UnixListener::bind(&socket).unwrap();
        let identity = format!("IdentityAgent={}", socket.display());
        let mut ssh = Command::new("ssh")
            .current_dir(&self.folder)
            .args([
                "-F",
                "cfg",
                "-o",
                "BatchMode=yes",
                "-o",
                &identity,
                "db",
                "true",
            ])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        agent.set_nonblocking(true).unwrap();
        let stream = loop {
            match agent.accept() {
                Ok((stream, _)) => break stream,
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
            }
            assert_eq!(ssh.try_wait().unwrap(), None, "ssh did not ask its agent");
            std::thread::sleep(std::time::Duration::from_millis(5));
        };
        stream.set_nonblocking(false).unwrap();
        let seen = serve(stream);
        ssh.wait().unwrap();
        seen
    }

    #[track_caller]
    fn check(&self, files: &[(&str, &str)], expected: &[&str]) {
        let seen = self.seen(files);
        let expected: Vec<String> = expected
            .iter()
            .map(|name| name.replace("{PORT}", &self.port.to_string()))
            .collect();
        assert_eq!(seen.host_names, expected);
        assert!(seen.process_path.is_some_and(|path| path.ends_with("/ssh")));
        assert!(seen.arguments.iter().any(|argument| argument == "db"));
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.sshd.kill();
        let _ = self.sshd.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// By its whole path, as sshd wants it; where there is no root it is unpacked, and in `PATH`.
fn sshd_program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed = PathBuf::from("/usr/sbin");
    let folders = std::env::split_paths(&path).chain([installed]);
    let mut programs = folders.map(|folder| folder.join("sshd"));
    programs.find(|program| program.exists()).unwrap()
}

fn run(folder: &Path, program: &str, arguments: &[&str]) {
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .args(arguments)
        .stderr(Stdio::null());
    assert!(command.status().unwrap().success(), "{arguments:?}");
}

/// Answers one connection until it wants a signature; refuses that.
fn serve(mut stream: UnixStream) -> Evidence {
    let peer = rustix::net::sockopt::socket_peercred(&stream).unwrap();
    let pid = peer.pid.as_raw_nonzero().get();
    let mut binds = Vec::new();
    loop {
        let message = read(&mut stream);
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "ssh asks an agent for these three alone"
        )]
        let answer = match Request::parse(&message).unwrap() {
            Request::Extension { contents, .. } => {
                let bind = SessionBind::parse(contents).unwrap();
                bind.verify().unwrap();
                binds.push(bind);
                Response::Success
            }
            Request::RequestIdentities => Response::Identities(vec![Identity {
                key: PublicKey::ed25519(&KEY).blob().to_vec(),
                comment: b"key".to_vec(),
            }]),
            Request::Sign { message, .. } => {
                let content = ToBeSigned::parse(message);
                let at = Look::at(&content, &binds);
                assert_eq!(at, Look::Hosts);
                return evidence(&content, &binds, look(pid, at, None));
            }
            other => unreachable!("ssh asks {other:?}"),
        };
        let answer = answer.encode();
        let len = u32::try_from(answer.len()).unwrap().to_be_bytes();
        stream.write_all(&[&len[..], &answer].concat()).unwrap();
    }
}

fn read(stream: &mut UnixStream) -> Vec<u8> {
    let mut len = [0; 4];
    stream.read_exact(&mut len).unwrap();
    let mut message = vec![0; u32::from_be_bytes(len).try_into().unwrap()];
    stream.read_exact(&mut message).unwrap();
    message
}

/// The base point of Ed25519: `sshd` asks for a signature by it, and none is ever made.
const KEY: [u8; 32] = {
    let mut point = [0x66; 32];
    point[0] = 0x58;
    point
};

/// All that a login needs but names.
const HERE: &str = "Host *\nHostName 127.0.0.1\nPort {PORT}\nUserKnownHostsFile {FOLDER}/known\n";

#[test]
fn hashed_names_behind_an_alias_and_another_port() {
    let host = Host::start("hashed", "ed25519", false);
    let cfg = ("cfg", HERE);
    host.check(
        &[cfg, ("known", "[127.0.0.1]:{PORT} {HOST}")],
        &["[127.0.0.1]:{PORT}"],
    );
    host.check(&[("hash", "")], &["[127.0.0.1]:{PORT}"]);
    let aliased = [HERE, "HostKeyAlias db.test\n"].concat();
    let known = ("known", "other,db.test {HOST}\n[127.0.0.1]:{PORT} {CA}\n");
    host.check(&[("cfg", &aliased), known], &["db.test"]);
}

#[test]
fn names_are_found_through_included_files() {
    let host = Host::start("include", "rsa", false);
    let cfg = (
        "cfg",
        "Include {FOLDER}/*.conf\nMatch exec false\nHostKeyAlias never\n",
    );
    let own = ("own.conf", HERE);
    host.check(
        &[cfg, own, ("known", "[127.0.0.1]:{PORT},name.test {HOST}")],
        &["[127.0.0.1]:{PORT}", "name.test"],
    );
}

#[test]
fn a_host_certificate_is_named_by_its_authority() {
    let host = Host::start("certified", "ed25519", true);
    let aliased = [HERE, "HostKeyAlias db.test\n"].concat();
    let cfg = ("cfg", aliased.as_str());
    host.check(
        &[cfg, ("known", "@cert-authority *.test {CA}")],
        &["db.test"],
    );
    let both = "@cert-authority *.test {CA}\nplain.test {HOST}";
    host.check(&[("known", both)], &["db.test", "plain.test"]);
    // ssh falls back to the plain key, and so do the names.
    host.check(&[("known", "db.test {HOST}")], &["db.test"]);
}

#[test]
fn an_authority_that_is_named_without_the_port_counts() {
    let host = Host::start("port", "ecdsa", true);
    let cfg = "Host db\nHostName db.test\nPort {PORT}\nUserKnownHostsFile {FOLDER}/known\n\
               ProxyCommand {FOLDER}/connect\n";
    let connect = "#!/bin/bash\nexec 3<>/dev/tcp/127.0.0.1/{PORT}; cat <&3 & exec cat >&3\n";
    std::fs::write(host.folder.join("connect"), "").unwrap();
    run(&host.folder, "chmod", &["700", "connect"]);
    let known = ("known", "@cert-authority db.test {CA}");
    host.check(&[("cfg", cfg), ("connect", connect), known], &["db.test"]);
}
