//! The process, and requests to it.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use keystead_channel::wire;
use keystead_core::{
    Constraints, Evidence, ImportRequest, KeyEntry, KeyForm, Kind, Name, Outcome, Request,
    RequestBody, RequestId, Response, ResponseBody, SecretBytes, SignForm, SignRequest,
};
use keystead_formats::ssh::PublicKey;

/// A running local authenticator.
pub(crate) struct Child {
    process: std::process::Child,
    pub(crate) socket: UnixStream,
    asked: Vec<(RequestId, Kind)>,
}

impl Child {
    /// With these variables in its environment, and no display.
    pub(crate) fn start(environment: &[(&str, &str)]) -> Self {
        Self::start_with(&[], environment)
    }

    pub(crate) fn start_with(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let (socket, theirs) = UnixStream::pair().unwrap();
        socket.set_read_timeout(Some(LONGEST)).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_keystead-authenticator"))
            .arg("local")
            .args(arguments)
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY")
            .env_remove("SSH_ASKPASS")
            .envs(environment.iter().copied())
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            process,
            socket,
            asked: Vec::new(),
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// A request behind its length.
    pub(crate) fn frame(&mut self, body: RequestBody) -> (RequestId, Vec<u8>) {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.asked.len().to_be_bytes());
        let id = RequestId(id);
        self.asked.push((id, body.kind()));
        let request = wire::encode_request(&Request {
            id,
            unix_s: 0,
            wait_s: 300,
            want_ack: false,
            body,
        });
        let len = u32::try_from(request.len()).unwrap();
        (id, [&len.to_be_bytes()[..], &request].concat())
    }

    pub(crate) fn send(&mut self, body: RequestBody) -> RequestId {
        let (id, frame) = self.frame(body);
        self.socket.write_all(&frame).unwrap();
        id
    }

    /// The next answer, to whatever.
    pub(crate) fn response(&mut self) -> Response {
        let mut len = [0; 4];
        self.socket.read_exact(&mut len).unwrap();
        let mut bytes = vec![0; usize::try_from(u32::from_be_bytes(len)).unwrap()];
        self.socket.read_exact(&mut bytes).unwrap();
        let kind = |id: &RequestId| self.asked.iter().find(|(own, _)| own == id).map(|it| it.1);
        wire::decode_local_response(&bytes, kind).unwrap()
    }

    pub(crate) fn ask(&mut self, body: RequestBody) -> Response {
        let id = self.send(body);
        let response = self.response();
        assert_eq!(response.id, id);
        response
    }

    pub(crate) fn outcome(&mut self, body: RequestBody) -> Outcome {
        self.ask(body).outcome
    }

    pub(crate) fn signature(&mut self, body: RequestBody) -> Vec<u8> {
        match self.ask(body) {
            Response {
                body: Some(ResponseBody::Signature(signature)),
                ..
            } => signature,
            response => panic!("{:?}", response.outcome),
        }
    }

    pub(crate) fn keys(&mut self, body: RequestBody) -> Vec<KeyEntry> {
        match self.ask(body) {
            Response {
                body: Some(ResponseBody::Keys(keys)),
                ..
            } => keys,
            response => panic!("{:?}", response.outcome),
        }
    }

    /// Adds a key file.
    pub(crate) fn add(&mut self, file: &[u8], constraints: Constraints) -> KeyEntry {
        self.keys(import(KeyForm::File, file, constraints))
            .remove(0)
    }

    /// Closes the socket, as an agent that ends.
    pub(crate) fn end(mut self) -> ExitStatus {
        self.socket.shutdown(std::net::Shutdown::Both).unwrap();
        self.process.wait().unwrap()
    }

    pub(crate) fn wait(mut self) -> ExitStatus {
        self.process.wait().unwrap()
    }
}

pub(crate) fn import(form: KeyForm, key: &[u8], constraints: Constraints) -> RequestBody {
    RequestBody::Import(ImportRequest {
        form,
        key: secret(key),
        passphrase: None,
        name: Some(Name::new("alex@laptop").unwrap()),
        constraints,
        purposes: Vec::new(),
    })
}

pub(crate) fn secret(bytes: &[u8]) -> SecretBytes {
    SecretBytes::take(&mut bytes.to_vec())
}

pub(crate) fn sign(key: &KeyEntry, content: &[u8], flags: u32) -> RequestBody {
    RequestBody::Sign(SignRequest {
        key: key.id,
        form: SignForm::Ssh,
        content: content.to_vec(),
        flags,
        evidence: Evidence::default(),
        identity: None,
    })
}

pub(crate) fn verifies(key: &KeyEntry, content: &[u8], signature: &[u8]) -> bool {
    let public = PublicKey::from_blob(&key.public_key).unwrap();
    public.verify(content, signature).is_ok()
}

/// A key file of the installed ssh-keygen.
pub(crate) fn made(arguments: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-N", "", "-C", "", "-f"])
        .arg(&file)
        .args(arguments)
        .status()
        .unwrap();
    assert!(made.success());
    std::fs::read(&file).unwrap()
}

/// 60 s: a test that waits longer has failed.
const LONGEST: Duration = Duration::from_secs(60);
