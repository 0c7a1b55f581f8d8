//! Sessions that can be resumed.
//!
//! **Invariant**: times, generation and counts stand open, for the sweeper, and are bound
//! to the seal of the two resumption secrets.

use keystead_channel::session::{BindingKind, SessionId, SessionRow, UserId};
use zeroize::Zeroizing;

use super::record::{account_no, flag, narrow};
use super::{AccountNo, Cell, PlainReader, PlainWriter, Record, Row, Table};

/// A session.
pub struct Session {
    /// What `channel::session` decides over.
    pub row: SessionRow,
    /// Whose.
    pub account: AccountNo,
    /// Whose, as clients know it.
    pub user: UserId,
    /// The account's at login.
    pub epoch: u32,
    /// What the client calls its machine.
    pub device: String,
    /// What it is bound to now.
    pub binding: BindingKind,
}

impl Record for Session {
    const TABLE: Table = Table::Session;
    type Key = SessionId;

    fn key(&self) -> SessionId {
        self.row.id
    }

    fn key_cells(key: &SessionId) -> Vec<Cell> {
        vec![Cell::bytes(&key.0)]
    }

    fn open_cells(&self) -> Vec<Cell> {
        vec![
            Cell::bytes(&self.row.id.0),
            Cell::Int(self.account.0),
            Cell::number(self.row.generation.into()),
            Cell::number(self.row.confirmed.into()),
            Cell::number(self.epoch.into()),
            Cell::number(self.row.login_ms),
            Cell::number(self.row.last_ms),
            Cell::number(self.row.requests.into()),
        ]
    }

    fn plain(&self) -> Zeroizing<Vec<u8>> {
        let mut out = PlainWriter::with_room(self.device.len().saturating_add(96));
        out.bytes(&self.user.0);
        out.bytes(self.row.secret.expose());
        let former = self.row.former.as_ref();
        out.maybe_bytes(former.map(|secret| secret.expose().as_slice()));
        out.text(&self.device);
        out.number(self.binding.number().into());
        out.finish()
    }

    fn read(row: &Row, plain: &mut PlainReader<'_>) -> Option<Self> {
        let user = UserId(plain.array()?);
        let session = SessionRow {
            id: SessionId(row.array(0)?),
            generation: narrow(row, 2)?,
            confirmed: flag(row, 3)?,
            secret: plain.secret()?,
            former: plain.maybe(PlainReader::secret)?,
            login_ms: row.number(5)?,
            last_ms: row.number(6)?,
            requests: narrow(row, 7)?,
        };
        Some(Self {
            row: session,
            account: account_no(row, 1)?,
            user,
            epoch: narrow(row, 4)?,
            device: plain.text()?.to_owned(),
            binding: BindingKind::from_number(plain.number()?)?,
        })
    }
}
