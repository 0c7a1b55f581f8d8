//! `ssh-add`: keys and tokens come and go (RFC 9987 §3.2 to §3.4).
//!
//! **Invariant:** what comes goes where the person has set it, whole and with all its constraints,
//! or nowhere; nothing of a key is read but its lengths. What was brought here can be removed; what
//! lives elsewhere is hidden, and never destroyed.

use keystead_core::{
    Constraints, ImportRequest, KeyEntry, KeyForm, KeyId, Name, Outcome, RequestBody, ResponseBody,
};
use keystead_formats::ssh::agent::{AddIdentity, Constrains, Constraint, Response, collect};
use keystead_formats::ssh::constraint::Destinations;
use keystead_formats::ssh::key::fingerprint;
use keystead_formats::ssh::wire::Writer;

use crate::added::{AddedKey, Limits};
use crate::added::{Bringing, Change};
use crate::agent::{Agent, Turn};
use crate::ask::End;
use crate::ask::{Ask, Asker, Whom};
use crate::frame::Frame;
use crate::frame::secret;
use crate::ids::ConnectionId;
use crate::log::Entry;
use crate::settings::AddTo;
use crate::upstream::Errand;
use crate::words::Words;

impl Agent {
    /// `ssh-add FILE`.
    pub(crate) fn add(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: ConnectionId,
        added: &AddIdentity<'_>,
        frame: &Frame,
    ) {
        let Some(constraints) = self.constraints(added.constraints.as_deref(), Constrains::Key)
        else {
            return self.refuse(turn, id, CONSTRAINT);
        };
        let provider = constraints.sk_provider.as_deref();
        if provider.is_some_and(|it| it != INTERNAL_PROVIDER) && self.is_remote(id) {
            return self.refuse(turn, id, REMOTE_TOKEN);
        }
        let Some(whom) = self.where_to(turn, id, frame) else {
            return;
        };
        let key_type = Writer::new().string(added.key_type.as_bytes()).into_bytes();
        let import = ImportRequest {
            form: KeyForm::Agent,
            key: secret(&[&key_type, added.private]),
            passphrase: None,
            name: Name::of_text(added.comment),
            constraints,
            purposes: Vec::new(),
        };
        self.bring(turn, id, whom, import, added.comment, None);
    }

    /// `ssh-add -s`.
    pub(crate) fn add_token(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: ConnectionId,
        (token, pin): (&[u8], &[u8]),
        constraints: Option<&[Constraint<'_>]>,
        frame: &Frame,
    ) {
        let Some(constraints) = self.constraints(constraints, Constrains::Token) else {
            return self.refuse(turn, id, CONSTRAINT);
        };
        if self.is_remote(id) {
            return self.refuse(turn, id, REMOTE_TOKEN);
        }
        let Some(whom) = self.where_to(turn, id, frame) else {
            return;
        };
        if whom.pairing != Whom::local().pairing {
            let why = "a token's keys cannot leave it: set add_to to \"local\" or \"upstream\"";
            return self.refuse(turn, id, why);
        }
        let import = ImportRequest {
            form: KeyForm::Token,
            key: secret(&[token]),
            passphrase: Some(secret(&[pin])),
            name: None,
            constraints,
            purposes: Vec::new(),
        };
        self.bring(turn, id, whom, import, token, Some(token));
    }

    /// All of them, with the lifetime that holds where none was named; none if one cannot be kept.
    fn constraints(
        &self,
        constraints: Option<&[Constraint<'_>]>,
        what: Constrains,
    ) -> Option<Constraints> {
        let mut all = collect(constraints, what).ok()?;
        all.lifetime_s = all.lifetime_s.or(self.setup.here.lifetime_s);
        match &all.destinations {
            Some(destinations) => Destinations::parse(destinations).is_ok().then_some(all),
            None => Some(all),
        }
    }

    /// A program at another machine, through a forwarded agent or not (OpenSSH 9.3p2 refuses
    /// libraries of its choice).
    fn is_remote(&self, id: ConnectionId) -> bool {
        let path = self.connections.get(&id).map(|it| it.path());
        let has_tried = path.is_some_and(|it| !it.binds.is_empty() || it.has_refused_bind);
        has_tried && !self.setup.here.allow_remote_tokens
    }

    fn is_forwarded(&self, id: ConnectionId) -> bool {
        let binds = self.connections.get(&id).map(|it| it.binds());
        binds.is_some_and(|it| it.iter().any(|bind| bind.forwarding))
    }

    /// Who takes what is brought. None when it is passed on or refused already.
    fn where_to(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: ConnectionId,
        frame: &Frame,
    ) -> Option<Whom> {
        match self.setup.settings.add_to.clone() {
            AddTo::Local => return Some(Whom::local()),
            AddTo::Upstream if self.has_upstream() => {
                self.send_errand(turn, id, frame.clone(), Errand::Pass);
            }
            AddTo::Upstream => self.refuse(turn, id, NOWHERE),
            // It would stay there, and its maker has it as well.
            AddTo::Keeper(_) if self.is_forwarded(id) => self.refuse(turn, id, FORWARDED_KEY),
            AddTo::Keeper(name) => {
                let mut views = self.keepers.pairings().into_iter();
                if let Some(view) = views.find(|it| it.name == name && !it.is_unpairing) {
                    return Some(Whom {
                        pairing: view.pairing,
                        name,
                    });
                }
                let why = format!("no keeper is called {name} (add_to in config.toml)");
                self.refuse(turn, id, &why);
            }
        }
        None
    }

    fn bring(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: ConnectionId,
        whom: Whom,
        import: ImportRequest,
        comment: &[u8],
        token: Option<&[u8]>,
    ) {
        let limits = import.constraints.destinations.as_deref();
        let lifetime_ms = import
            .constraints
            .lifetime_s
            .map(|it| u64::from(it) * 1_000);
        let bringing = Box::new(Bringing {
            limits: Limits {
                comment: comment.to_vec(),
                ends_at_ms: lifetime_ms.map(|it| turn.now.mono_ms.saturating_add(it)),
                destinations: limits.and_then(|it| Destinations::parse(it).ok()),
                token: token.map(<[u8]>::to_vec),
            },
        });
        let asker = Asker::Import {
            connection: id,
            bringing,
        };
        let entry = Entry {
            key: Name::of_text(comment).map(|it| it.to_string()),
            ..self.entry_by(turn, id, "import")
        };
        self.ask(turn, asker, whom, RequestBody::Import(import), entry);
    }

    /// It is there, or it is not.
    pub(crate) fn finish_import(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: ConnectionId,
        bringing: Bringing,
        open: &Ask,
        end: Result<End, String>,
    ) {
        self.say_end(turn, id, open, &end);
        let keys = match end {
            Ok(Ok(answer)) if answer.outcome == Outcome::Approve => match answer.body {
                Some(ResponseBody::Keys(keys)) => keys,
                _ => Vec::new(),
            },
            _ => Vec::new(),
        };
        if keys.is_empty() {
            return self.answer(turn, id, &Response::Failure);
        }
        for key in keys {
            self.hidden.remove(&key.public_key);
            if open.pairing == Whom::local().pairing {
                self.added.put(added_key(key, &bringing.limits));
            } else {
                self.custody.insert(key.public_key, open.pairing);
            }
        }
        self.answer(turn, id, &Response::Success);
    }

    /// `ssh-add -d`: what a connection may not see it may not remove.
    pub(crate) fn remove(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: ConnectionId,
        key: &[u8],
        frame: &Frame,
    ) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        if let Some(added) = self.added.find(key, turn.now.mono_ms) {
            if !added.may_be_seen(connection.path(), turn.now.unix_s) {
                return self.answer(turn, id, &Response::Failure);
            }
            let (ids, fingerprint) = (vec![added.id], added.fingerprint.clone());
            return self.forget(turn, id, ids, Some(fingerprint));
        }
        if self.is_hidden(key) {
            return self.answer(turn, id, &Response::Success);
        }
        let kept = self.keepers_of(key);
        let Some(kept) = kept.first() else {
            return self.send_errand(turn, id, frame.clone(), Errand::Pass);
        };
        if let Some(pairing) = self
            .custody
            .get(key)
            .copied()
            .filter(|it| *it == kept.pairing)
        {
            let whom = Whom {
                pairing,
                name: kept.keeper.clone(),
            };
            let body = RequestBody::Remove {
                keys: vec![kept.key.id()],
            };
            let asker = Asker::Change {
                connection: id,
                change: Change::LeaveCustody(key.to_vec()),
            };
            let entry = Entry {
                key: Some(kept.name.to_string()),
                fingerprint: Some(kept.key.fingerprint()),
                ..self.entry_by(turn, id, "remove")
            };
            return self.ask(turn, asker, whom, body, entry);
        }
        let why = format!(
            "{} lives elsewhere and is only hidden, {SHOW}",
            kept.comment()
        );
        // With its certificates, which stand for it.
        self.hidden.insert(kept.key.blob().to_vec());
        self.say(turn, id, &Words::RefusedHere { why: &why });
        self.answer(turn, id, &Response::Success);
    }

    /// `ssh-add -D`.
    pub(crate) fn remove_all(&mut self, turn: &mut Turn<'_, '_>, id: ConnectionId, frame: &Frame) {
        let kept = self.kept_keys();
        let blobs = kept.iter().map(|it| it.key.blob().to_vec());
        let before = self.hidden.len();
        self.hidden.extend(blobs);
        let count = self.hidden.len() - before;
        if count > 0 {
            let keys = match count {
                1 => "1 key lives elsewhere and is".to_owned(),
                _ => format!("{count} keys live elsewhere and are"),
            };
            let why = format!("{keys} only hidden, {SHOW}");
            self.say(turn, id, &Words::RefusedHere { why: &why });
        }
        if !self.local.is_up() {
            return self.send_errand(turn, id, frame.clone(), Errand::Also(Response::Success));
        }
        let asker = Asker::Change {
            connection: id,
            change: Change::ForgetAll(frame.clone()),
        };
        let entry = self.entry_by(turn, id, "remove");
        self.ask(turn, asker, Whom::local(), FORGET_ALL, entry);
    }

    /// `ssh-add -e`.
    pub(crate) fn remove_token(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: ConnectionId,
        token: &[u8],
        frame: &Frame,
    ) {
        let ids = self.added.of_token(token);
        if ids.is_empty() {
            return self.send_errand(turn, id, frame.clone(), Errand::Pass);
        }
        self.forget(turn, id, ids, None);
    }

    fn forget(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: ConnectionId,
        keys: Vec<KeyId>,
        fingerprint: Option<String>,
    ) {
        let asker = Asker::Change {
            connection: id,
            change: Change::Forget(keys.clone()),
        };
        let entry = Entry {
            fingerprint,
            ..self.entry_by(turn, id, "remove")
        };
        self.ask(
            turn,
            asker,
            Whom::local(),
            RequestBody::Remove { keys },
            entry,
        );
    }

    /// `SIGUSR1`, as OpenSSH's agent takes it.
    pub(crate) fn forget_added(&mut self, turn: &mut Turn<'_, '_>) {
        self.added.forget_all();
        if self.local.is_up() {
            let entry = turn.entry("remove", "");
            self.ask(turn, Asker::Nobody, Whom::local(), FORGET_ALL, entry);
        }
    }

    /// The log's entry of a change that a program asks for.
    pub(crate) fn entry_by(&self, turn: &Turn<'_, '_>, id: ConnectionId, kind: &str) -> Entry {
        let connection = self.connections.get(&id);
        Entry {
            process: connection.and_then(|it| it.process.clone().flatten()),
            pid: connection.and_then(|it| it.pid),
            ..turn.entry(kind, "")
        }
    }

    /// It is changed, or it is not.
    pub(crate) fn finish_change(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: ConnectionId,
        change: Change,
        open: &Ask,
        end: Result<End, String>,
    ) {
        let is_done = matches!(&end, Ok(Ok(answer)) if answer.outcome == Outcome::Approve);
        let answer = if is_done {
            Response::Success
        } else {
            self.say_end(turn, id, open, &end);
            Response::Failure
        };
        match change {
            Change::Forget(ids) if is_done => self.added.forget(&ids),
            Change::LeaveCustody(key) if is_done => {
                self.custody.remove(&key);
            }
            Change::Forget(_) | Change::LeaveCustody(_) => {}
            Change::ForgetAll(frame) => {
                if is_done {
                    self.added.forget_all();
                }
                return self.send_errand(turn, id, frame, Errand::Also(answer));
            }
            // It is locked or open here; what the others say does not change that.
            Change::Lock(frame) => {
                return self.send_errand(turn, id, frame, Errand::Also(Response::Success));
            }
        }
        self.answer(turn, id, &answer);
    }
}

fn added_key(key: KeyEntry, limits: &Limits) -> AddedKey {
    let mut limits = limits.clone();
    if limits.token.is_some() {
        // A token may name its keys; `ssh-add -l` shows that, else the token.
        limits.comment = key.name.as_str().as_bytes().to_vec();
    }
    AddedKey {
        fingerprint: fingerprint(&key.public_key),
        blob: key.public_key,
        id: key.id,
        limits,
    }
}

/// What was brought by this agent goes, all of it.
const FORGET_ALL: RequestBody = RequestBody::Remove { keys: Vec::new() };

/// `sk-provider@openssh.com`: no library, but what OpenSSH has built in.
const INTERNAL_PROVIDER: &str = "internal";

const CONSTRAINT: &str = "a constraint that cannot be kept, so the key is not taken";

const REMOTE_TOKEN: &str = "a token's library is not loaded for a program on another machine";

const FORWARDED_KEY: &str = "a key of a program on another machine is not taken into custody";

const NOWHERE: &str = "there is no other agent to take the key: set add_to in config.toml to \
    \"local\", or to a keeper's name";

/// How hidden keys come back.
const SHOW: &str = "until the agent is started again";
