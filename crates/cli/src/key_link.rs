//! Keys that are held elsewhere, for programs that are front ends of the agent: gpg-agent, age's
//! plugin, `signify`, `ssh connect`.
//!
//! **Invariant:** what is signed and what comes of a decryption go over the agent's own socket
//! alone; ^C or a process that ends takes back what was asked.

use keystead_agent::key_control::{
    Command, HeldKey, IdentitySpec, KeyChoice, NewKey, Reply, Shown,
};
use keystead_agent::peer;
use keystead_core::{DecryptForm, SecretBytes, SignForm};

use crate::agent_link::{AgentLink, unexpected};
use crate::failure::Failure;
use crate::terminal::{harmless, say};

/// A conversation with the running agent about keys.
pub(crate) struct KeyLink {
    agent: AgentLink,
    talk: Talk,
}

/// Whether this process tells its person what is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Talk {
    /// On its standard error.
    Here,
    /// The agent does, at the terminal of the process that is named to it.
    ByAgent,
    /// At the terminal of this process.
    At(i32),
}

/// What is asked for with a key.
pub(crate) struct Use<'a> {
    /// By which key.
    pub(crate) key: KeyChoice,
    /// What is signed or decrypted.
    pub(crate) content: &'a [u8],
    /// The bytes whose hash is signed.
    pub(crate) preimage: Option<&'a [u8]>,
    /// What is shown with it; `preimage_bytes` is set here.
    pub(crate) shown: Shown,
}

impl KeyLink {
    /// Connects, and starts the agent if none runs.
    pub(crate) async fn open(talk: Talk) -> Result<Self, Failure> {
        Ok(Self::over(AgentLink::open().await?, talk))
    }

    /// Over a connection that is there.
    pub(crate) const fn over(agent: AgentLink, talk: Talk) -> Self {
        Self { agent, talk }
    }

    /// Whether it can be used again: the agent is there, and has said all.
    pub(crate) fn is_quiet(&self) -> bool {
        self.agent.is_quiet()
    }

    /// The public key of an identity.
    pub(crate) async fn identity_key(
        &mut self,
        identity: IdentitySpec,
        keeper: Option<String>,
    ) -> Result<HeldKey, Failure> {
        let command = Command::IdentityKey { identity, keeper };
        match self.ask(&command, &[]).await? {
            (Reply::Key(key), _) => Ok(key),
            _ => Err(unexpected()),
        }
    }

    /// Has a keeper make a key of a [`keystead_core::KeyType`].
    pub(crate) async fn make_key(
        &mut self,
        wanted: NewKey,
        algorithm: &str,
    ) -> Result<HeldKey, Failure> {
        let command = Command::MakeKey {
            wanted,
            algorithm: algorithm.to_owned(),
        };
        match self.ask(&command, &[]).await? {
            (Reply::Key(key), _) => Ok(key),
            _ => Err(unexpected()),
        }
    }

    /// Gives a private key into a keeper's custody: PKCS#8, as PEM.
    pub(crate) async fn take_key(
        &mut self,
        wanted: NewKey,
        key: &SecretBytes,
    ) -> Result<HeldKey, Failure> {
        let command = Command::TakeKey {
            wanted,
            key_bytes: key.len(),
        };
        match self.ask(&command, &[key.expose()]).await? {
            (Reply::Key(key), _) => Ok(key),
            _ => Err(unexpected()),
        }
    }

    /// All keys, with their purposes.
    pub(crate) async fn keys(&mut self) -> Result<Vec<HeldKey>, Failure> {
        match self.ask(&Command::Keys {}, &[]).await? {
            (Reply::Keys { keys }, _) => Ok(keys),
            _ => Err(unexpected()),
        }
    }

    /// A signature, in the form's own encoding.
    pub(crate) async fn sign(
        &mut self,
        form: SignForm,
        wanted: Use<'_>,
    ) -> Result<Vec<u8>, Failure> {
        let behind = wanted.behind();
        let command = Command::KeySign {
            content_bytes: wanted.content.len(),
            form: form.number(),
            flags: 0,
            shown: wanted.shown(),
            key: wanted.key,
        };
        match self.ask(&command, &behind).await? {
            (Reply::Signature { .. }, Some(signature)) => Ok(signature.expose().to_vec()),
            _ => Err(unexpected()),
        }
    }

    /// What comes of a decryption.
    pub(crate) async fn decrypt(
        &mut self,
        form: DecryptForm,
        wanted: Use<'_>,
    ) -> Result<SecretBytes, Failure> {
        let behind = wanted.behind();
        let command = Command::KeyDecrypt {
            content_bytes: wanted.content.len(),
            form: form.number(),
            shown: wanted.shown(),
            key: wanted.key,
        };
        match self.ask(&command, &behind).await? {
            (Reply::Plaintext { .. }, Some(plaintext)) => Ok(plaintext),
            _ => Err(unexpected()),
        }
    }

    async fn ask(
        &mut self,
        command: &Command,
        behind: &[&[u8]],
    ) -> Result<(Reply, Option<SecretBytes>), Failure> {
        self.agent.send_with(command, behind).await?;
        loop {
            let (reply, behind) = self.agent.next_of_key().await?;
            if reply.is_last() {
                return Ok((reply, behind));
            }
            if let Some(line) = said(&reply) {
                match self.talk {
                    Talk::Here => say(line),
                    Talk::ByAgent => {}
                    Talk::At(pid) => say_at(pid, &line),
                }
            }
        }
    }
}

/// What is waited for, for a person.
fn said(reply: &Reply) -> Option<String> {
    if let Reply::Reaching { keeper, left_s } = reply {
        let keeper = harmless(keeper);
        Some(format!("no answer from {keeper} yet ({left_s} s left)…"))
    } else if let Reply::Waiting { keeper, left_s } = reply {
        let keeper = harmless(keeper);
        Some(format!("waiting for approval on {keeper} ({left_s} s)…"))
    } else if let Reply::Notice { text } = reply {
        Some(harmless(text))
    } else {
        None
    }
}

/// Says something at the terminal of another process, if it has one.
pub(crate) fn say_at(pid: i32, text: &str) {
    let _ = peer::say(pid, &format!("keystead: {}", harmless(text)));
}

impl<'a> Use<'a> {
    fn behind(&self) -> Vec<&'a [u8]> {
        std::iter::once(self.content).chain(self.preimage).collect()
    }

    fn shown(&self) -> Shown {
        Shown {
            preimage_bytes: self.preimage.map(<[u8]>::len),
            ..self.shown.clone()
        }
    }
}
