//! Commands that bring keys to keepers for other front ends than ssh: made there, or given into
//! their custody.
//!
//! **Invariant:** a private key passes as bytes in locked memory, and nothing here reads it. What
//! a keeper says that it has made or taken counts only as a key of a kind that is known, for just
//! the purposes that were asked for.

use keystead_core::{
    Constraints, ImportRequest, KeyForm, KeyType, MakeKeyRequest, Name, Outcome, Purpose,
    RequestBody, SecretBytes,
};

use crate::agent::{Agent, Turn};
use crate::ask::End;
use crate::ask::{Ask, Asker, Whom};
use crate::checks::one_key;
use crate::control::Failure;
use crate::ends::why_not_done;
use crate::failures::usage;
use crate::ids::ClientId;
use crate::key_commands::held;
use crate::key_control::{NewKey, Reply};
use crate::log::Entry;

impl Agent {
    /// Has a key made.
    pub(crate) fn make_held_key(
        &mut self,
        turn: &mut Turn<'_, '_>,
        client: ClientId,
        wanted: NewKey,
        algorithm: &str,
    ) -> Result<(), Failure> {
        let key_type: KeyType = algorithm
            .parse()
            .map_err(|error| usage(&format!("{error}"), "choose one of these"))?;
        let made = MakeKeyRequest {
            name: name_of(wanted.name)?,
            algorithm: key_type.as_str().to_owned(),
            purposes: purposes_of(&wanted.purposes)?,
        };
        let entry = Entry {
            key: Some(made.name.to_string()),
            ..turn.entry("make-key", "")
        };
        let purposes = made.purposes.clone();
        let body = RequestBody::MakeKey(made);
        self.ask_for_key(
            turn,
            (client, purposes),
            wanted.keeper.as_deref(),
            body,
            entry,
        )
    }

    /// Gives a key into custody: PKCS#8, as PEM.
    pub(crate) fn take_key(
        &mut self,
        turn: &mut Turn<'_, '_>,
        client: ClientId,
        wanted: NewKey,
        key: SecretBytes,
    ) -> Result<(), Failure> {
        let name = name_of(wanted.name)?;
        let entry = Entry {
            key: Some(name.to_string()),
            ..turn.entry("import", "")
        };
        let purposes = purposes_of(&wanted.purposes)?;
        let body = RequestBody::Import(ImportRequest {
            form: KeyForm::File,
            key,
            passphrase: None,
            name: Some(name),
            constraints: Constraints::default(),
            purposes: purposes.clone(),
        });
        self.ask_for_key(
            turn,
            (client, purposes),
            wanted.keeper.as_deref(),
            body,
            entry,
        )
    }

    fn ask_for_key(
        &mut self,
        turn: &mut Turn<'_, '_>,
        (client, purposes): (ClientId, Vec<Purpose>),
        keeper: Option<&str>,
        body: RequestBody,
        entry: Entry,
    ) -> Result<(), Failure> {
        let found = self.find_keeper(keeper)?;
        let whom = Whom {
            pairing: found.pairing,
            name: found.name,
        };
        let asker = Asker::KeyBrought { client, purposes };
        self.ask(turn, asker, whom, body, entry);
        Ok(())
    }

    /// A key was made or taken, or not.
    pub(crate) fn finish_brought(
        &mut self,
        turn: &mut Turn<'_, '_>,
        client: ClientId,
        open: &Ask,
        end: Result<End, String>,
    ) {
        self.write_key_files(turn);
        let key = match &end {
            Ok(Ok(answer)) if answer.outcome == Outcome::Approve => one_key(answer.body.as_ref()),
            _ => None,
        };
        let is_unknown = matches!(&end, Ok(Ok(it)) if it.outcome == Outcome::Unsupported);
        let reply = match key {
            Some(key) => Reply::Key(held(key, &open.keeper, None)),
            None if is_unknown => {
                let message = format!("{} has no keys of this type for that", open.keeper);
                Reply::Failed(usage(&message, "choose another type, or leave it away"))
            }
            None => Reply::Failed(why_not_done(open, end)),
        };
        turn.key_reply(client, reply, None);
    }
}

fn name_of(text: String) -> Result<Name, Failure> {
    Name::new(text).map_err(|error| usage(&error.to_string(), "choose another name"))
}

fn purposes_of(words: &[String]) -> Result<Vec<Purpose>, Failure> {
    let purpose = |word: &String| {
        let mut all = Purpose::ALL.into_iter();
        all.find(|it| it.as_str() == word)
            .ok_or_else(|| usage(&format!("{word:?} is no purpose"), "openpgp, for example"))
    };
    let mut purposes: Vec<Purpose> = words.iter().map(purpose).collect::<Result<_, _>>()?;
    purposes.sort_unstable();
    purposes.dedup();
    Ok(purposes)
}
