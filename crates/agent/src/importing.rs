//! `keystead key import`: a key file goes into custody.
//!
//! **Invariant:** the file is passed on as it is; its kind, and whether the passphrase opens it,
//! the keeper finds out.

use keystead_core::{Constraints, ImportRequest, KeyForm, Name, RequestBody};

use crate::agent::{Agent, Turn};
use crate::ask::{Asker, Whom};
use crate::control::{Command, Failure};
use crate::event::Attached;
use crate::failures::usage;
use crate::frame::secret;
use crate::ids::ClientId;

impl Agent {
    /// A command came with a file behind it.
    pub(crate) fn import_file(
        &mut self,
        turn: &mut Turn<'_, '_>,
        client: ClientId,
        line: &[u8],
        attached: Attached,
    ) {
        if let Err(failure) = self.try_import_file(turn, client, line, attached) {
            turn.fail(client, failure);
        }
    }

    fn try_import_file(
        &mut self,
        turn: &mut Turn<'_, '_>,
        client: ClientId,
        line: &[u8],
        attached: Attached,
    ) -> Result<(), Failure> {
        let Ok(Command::ImportKey {
            keeper,
            name,
            lifetime_s,
            confirm,
            ..
        }) = serde_json::from_slice(line)
        else {
            return Err(usage("the command is not understood", "restart the agent"));
        };
        let found = self.find_keeper(keeper.as_deref())?;
        let name = name.map(Name::new).transpose();
        let name = name.map_err(|why| usage(&why.to_string(), "choose another name"))?;
        let import = ImportRequest {
            form: KeyForm::File,
            key: secret(&[&attached.key]),
            passphrase: attached.passphrase.map(|it| secret(&[&it])),
            name,
            constraints: Constraints {
                lifetime_s,
                confirm,
                ..Constraints::default()
            },
            purposes: Vec::new(),
        };
        let whom = Whom {
            pairing: found.pairing,
            name: found.name,
        };
        let asker = Asker::Command { client };
        let entry = turn.entry("import", "");
        self.ask(turn, asker, whom, RequestBody::Import(import), entry);
        Ok(())
    }
}
