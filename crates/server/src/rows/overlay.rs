//! What the acts of one transaction see and change, over what was read.
//!
//! **Invariant**: a change is seen by every later act of the batch; what was not asked for
//! is an error, never a row that does not exist; account and chain name each other's
//! version, and so do chain and guesses, so none can be put back or removed alone; an act
//! that cannot be logged is undone whole.

use keystead_channel::session::{KeyId, SessionId, UserId};

use crate::sealing::Sealing;
use crate::store::{Loaded, Now, Wanted, Writes};

use super::slots::Slots;
use super::{
    Account, AccountNo, AccountState, Chain, Gone, Guess, Head, HeldSecret, Invitation, NameTag,
    Pass, Record, RowFault, Session, System, Table,
};

/// The rows of a transaction, opened.
pub struct Rows<'a> {
    /// The transaction's time.
    pub now: Now,
    head: Head,
    pub(super) sealing: &'a Sealing,
    pub(super) wanted: Wanted,
    next_account: i64,
    took_account: bool,
    /// The last two as they were before the act that is being decided.
    accounts_before: (i64, bool),
    pub(super) system: Slots<System>,
    pub(super) accounts: Slots<Account>,
    pub(super) chains: Slots<Chain>,
    pub(super) secrets: Slots<HeldSecret>,
    pub(super) sessions: Slots<Session>,
    pub(super) guesses: Slots<Guess>,
    pub(super) passes: Slots<Pass>,
    pub(super) invitations: Slots<Invitation>,
    pub(super) gone: Slots<Gone>,
}

impl<'a> Rows<'a> {
    /// Opens what was read. What belongs to the log is the ledger's to take out before.
    #[must_use]
    pub fn new(loaded: Loaded, sealing: &'a Sealing) -> Self {
        let mut rows = Self {
            now: loaded.now,
            head: loaded.head,
            sealing,
            wanted: loaded.wanted,
            next_account: loaded.next_account.max(FIRST_ACCOUNT),
            took_account: false,
            accounts_before: (FIRST_ACCOUNT, false),
            system: Slots::new(),
            accounts: Slots::new(),
            chains: Slots::new(),
            secrets: Slots::new(),
            sessions: Slots::new(),
            guesses: Slots::new(),
            passes: Slots::new(),
            invitations: Slots::new(),
            gone: Slots::new(),
        };
        for (place, row) in &loaded.rows {
            rows.load(place.0, &place.1, Some(row));
        }
        // What was looked for and is not there is known to be absent.
        let looked_for = rows.wanted.keys.iter().chain(&loaded.also);
        let absent = looked_for.filter(|place| !loaded.rows.contains_key(place));
        for (table, key) in absent.cloned().collect::<Vec<_>>() {
            rows.load(table, &key, None);
        }
        rows.check_ends(&loaded.ends);
        rows
    }

    /// An act begins: until [`Rows::keep`] what it changes can be undone.
    pub(crate) fn begin(&mut self) {
        self.accounts_before = (self.next_account, self.took_account);
        self.system.begin();
        self.accounts.begin();
        self.chains.begin();
        self.secrets.begin();
        self.sessions.begin();
        self.guesses.begin();
        self.passes.begin();
        self.invitations.begin();
        self.gone.begin();
    }

    /// The act's changes stay.
    pub(crate) fn keep(&mut self) {
        self.system.keep();
        self.accounts.keep();
        self.chains.keep();
        self.secrets.keep();
        self.sessions.keep();
        self.guesses.keep();
        self.passes.keep();
        self.invitations.keep();
        self.gone.keep();
    }

    /// The act changed nothing.
    pub(crate) fn undo(&mut self) {
        (self.next_account, self.took_account) = self.accounts_before;
        self.system.undo();
        self.accounts.undo();
        self.chains.undo();
        self.secrets.undo();
        self.sessions.undo();
        self.guesses.undo();
        self.passes.undo();
        self.invitations.undo();
        self.gone.undo();
    }

    /// Where the log stood when the transaction began.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The server's own keys.
    ///
    /// # Errors
    /// [`RowFault`], as all look-ups.
    pub fn system(&self) -> Result<Option<&System>, RowFault> {
        self.system.find(&())
    }

    /// The server's own keys, to be changed.
    ///
    /// # Errors
    /// [`RowFault`].
    pub fn system_mut(&mut self) -> Result<Option<&mut System>, RowFault> {
        self.system.find_mut(&())
    }

    /// Puts the server's own keys.
    pub fn put_system(&mut self, system: System) {
        self.system.put(system);
    }

    /// An account.
    ///
    /// # Errors
    /// [`RowFault`]; also when its chain is of another version of it.
    pub fn account(&self, no: AccountNo) -> Result<Option<&Account>, RowFault> {
        let account = self.accounts.find(&no)?;
        account
            .map(|account| self.is_its_chain(account).map(|()| account))
            .transpose()
    }

    /// An account that is not pending, by name.
    ///
    /// # Errors
    /// [`RowFault`].
    pub fn account_by_tag(&self, tag: NameTag) -> Result<Option<&Account>, RowFault> {
        let is_wanted = self.wanted.tags.contains(&tag);
        self.account_where(is_wanted, |account| {
            account.tag == tag && account.state != AccountState::Pending
        })
    }

    /// An account by its id.
    ///
    /// # Errors
    /// [`RowFault`].
    pub fn account_by_user(&self, user: UserId) -> Result<Option<&Account>, RowFault> {
        let is_wanted = self.wanted.users.contains(&user);
        self.account_where(is_wanted, |account| account.user == user)
    }

    /// An account, to be changed; its version and its chain's follow.
    ///
    /// # Errors
    /// [`RowFault`].
    pub fn account_mut(&mut self, no: AccountNo) -> Result<Option<&mut Account>, RowFault> {
        if self.account(no)?.is_none() {
            return Ok(None);
        }
        if let Some(chain) = self.chains.find_mut(&no)? {
            chain.account_version = chain.account_version.wrapping_add(1);
        }
        let Some(account) = self.accounts.find_mut(&no)? else {
            return Ok(None);
        };
        account.version = account.version.wrapping_add(1);
        Ok(Some(account))
    }

    /// Puts a new account; [`Rows::new_chain`] gives it a chain.
    pub fn put_account(&mut self, account: Account) {
        self.accounts.put(account);
    }

    /// Deletes an account's row. Its chain stays until its leaves are erased: the deletion
    /// is its last entry. It names another version and epoch from now on, so that neither the
    /// row nor a session's is good for who puts it back.
    pub fn delete_account(&mut self, no: AccountNo) {
        if let Ok(Some(chain)) = self.chains.find_mut(&no) {
            chain.account_version = chain.account_version.wrapping_add(1);
            chain.epoch = chain.epoch.wrapping_add(1);
            chain.secrets = 0;
        }
        self.accounts.delete(no);
    }

    /// Deletes where an account's chain stands.
    pub fn delete_chain(&mut self, no: AccountNo) {
        self.chains.delete(no);
    }

    /// A number that no account has had.
    pub fn new_account_no(&mut self) -> AccountNo {
        let no = AccountNo(self.next_account);
        self.next_account = self.next_account.saturating_add(1);
        self.took_account = true;
        no
    }

    /// Where an account's chain stands.
    ///
    /// # Errors
    /// [`RowFault`].
    pub fn chain(&self, no: AccountNo) -> Result<Option<&Chain>, RowFault> {
        self.chains.find(&no)
    }

    /// Where an account's chain stands, to be changed.
    ///
    /// # Errors
    /// [`RowFault`].
    pub fn chain_mut(&mut self, no: AccountNo) -> Result<Option<&mut Chain>, RowFault> {
        self.chains.find_mut(&no)
    }

    /// Begins a chain.
    pub fn new_chain(&mut self, no: AccountNo) {
        let account = self.accounts.find(&no).ok().flatten();
        let version = account.map_or(0, |account| account.version);
        self.chains.put(Chain {
            account_version: version,
            ..Chain::new(no)
        });
    }

    /// A secret or key.
    ///
    /// # Errors
    /// [`RowFault`].
    pub fn secret(&self, no: AccountNo, key: KeyId) -> Result<Option<&HeldSecret>, RowFault> {
        self.secrets.find(&(no, key))
    }

    /// A secret or key, to be changed; its version follows.
    ///
    /// # Errors
    /// [`RowFault`].
    pub fn secret_mut(
        &mut self,
        no: AccountNo,
        key: KeyId,
    ) -> Result<Option<&mut HeldSecret>, RowFault> {
        let Some(secret) = self.secrets.find_mut(&(no, key))? else {
            return Ok(None);
        };
        secret.version = secret.version.wrapping_add(1);
        Ok(Some(secret))
    }

    /// Puts a secret or key, and counts it in the chain if that is here.
    pub fn put_secret(&mut self, secret: HeldSecret) {
        let is_new = !matches!(self.secrets.find(&secret.key()), Ok(Some(_)));
        if is_new && let Ok(Some(chain)) = self.chains.find_mut(&secret.account) {
            chain.secrets = chain.secrets.saturating_add(1);
        }
        self.secrets.put(secret);
    }

    /// Deletes a secret or key; outside the database it is remembered that it was deleted.
    pub fn delete_secret(&mut self, no: AccountNo, key: KeyId) {
        let was_there = matches!(self.secrets.find(&(no, key)), Ok(Some(_)));
        if was_there && let Ok(Some(chain)) = self.chains.find_mut(&no) {
            chain.secrets = chain.secrets.saturating_sub(1);
        }
        self.secrets.delete((no, key));
    }

    /// A session. One whose last frame lies in the future is of before the clock went back,
    /// and is none any more.
    ///
    /// # Errors
    /// [`RowFault`].
    pub fn session(&self, id: SessionId) -> Result<Option<&Session>, RowFault> {
        let latest_ms = self.now.ms.saturating_add(FUTURE_MS_MAX);
        let session = self.sessions.find(&id)?;
        Ok(session.filter(|session| session.row.last_ms <= latest_ms))
    }

    /// A session, to be changed.
    ///
    /// # Errors
    /// [`RowFault`].
    pub fn session_mut(&mut self, id: SessionId) -> Result<Option<&mut Session>, RowFault> {
        if self.session(id)?.is_none() {
            return Ok(None);
        }
        self.sessions.find_mut(&id)
    }

    /// Every session of an account.
    ///
    /// # Errors
    /// [`RowFault`].
    pub fn sessions_of(&self, no: AccountNo) -> Result<Vec<&Session>, RowFault> {
        if !self.wanted.sessions_of.contains(&no) {
            return Err(RowFault::NotWanted(Table::Session));
        }
        of_account(self.sessions.iter(), |session| session.account == no)
    }

    /// Puts a session.
    pub fn put_session(&mut self, session: Session) {
        self.sessions.put(session);
    }

    /// Deletes a session.
    pub fn delete_session(&mut self, id: SessionId) {
        self.sessions.delete(id);
    }

    /// The guesses at a name.
    ///
    /// # Errors
    /// [`RowFault`]; also when the chain of the account of that name names others.
    pub fn guess(&self, tag: NameTag) -> Result<Option<&Guess>, RowFault> {
        let guess = self.guesses.find(&tag)?;
        let Some(no) = self.owner(tag) else {
            return Ok(guess);
        };
        let corrupt = RowFault::Corrupt(Table::Guess);
        let chain = self.chains.find(&no)?.ok_or(corrupt)?;
        let is_its = match guess {
            Some(guess) => chain.has_guess && chain.guess_version == guess.version,
            None => !chain.has_guess,
        };
        if is_its {
            return Ok(guess);
        }
        tracing::error!(
            account = no.0,
            "the guesses at a name are not those of its account"
        );
        Err(corrupt)
    }

    /// Puts the guesses at a name; the chain of its account names them.
    pub fn put_guess(&mut self, mut guess: Guess) {
        if let Some(version) = self.name_guess(guess.tag, true) {
            guess.version = version;
        }
        self.guesses.put(guess);
    }

    /// Forgets the guesses at a name.
    pub fn delete_guess(&mut self, tag: NameTag) {
        self.name_guess(tag, false);
        self.guesses.delete(tag);
    }

    /// Has the chain of a name's account name other guesses, or none; their version.
    fn name_guess(&mut self, tag: NameTag, has_guess: bool) -> Option<u32> {
        let no = self.owner(tag)?;
        let chain = self.chains.find_mut(&no).ok().flatten()?;
        chain.guess_version = chain.guess_version.wrapping_add(1);
        chain.has_guess = has_guess;
        Some(chain.guess_version)
    }

    /// The account in use that has a name, of those that were read.
    fn owner(&self, tag: NameTag) -> Option<AccountNo> {
        let mut accounts = self.accounts.iter().flatten();
        accounts
            .find(|it| it.tag == tag && it.state != AccountState::Pending)
            .map(|it| it.no)
    }

    /// A device pass.
    ///
    /// # Errors
    /// [`RowFault`].
    pub fn pass(&self, hash: [u8; 32]) -> Result<Option<&Pass>, RowFault> {
        self.passes.find(&hash)
    }

    /// Every device pass of an account.
    ///
    /// # Errors
    /// [`RowFault`].
    pub fn passes_of(&self, no: AccountNo) -> Result<Vec<&Pass>, RowFault> {
        if !self.wanted.passes_of.contains(&no) {
            return Err(RowFault::NotWanted(Table::Pass));
        }
        of_account(self.passes.iter(), |pass| pass.account == no)
    }

    /// Puts a device pass.
    pub fn put_pass(&mut self, pass: Pass) {
        self.passes.put(pass);
    }

    /// Deletes a device pass.
    pub fn delete_pass(&mut self, hash: [u8; 32]) {
        self.passes.delete(hash);
    }

    /// An invitation.
    ///
    /// # Errors
    /// [`RowFault`].
    pub fn invitation(&self, hash: [u8; 32]) -> Result<Option<&Invitation>, RowFault> {
        self.invitations.find(&hash)
    }

    /// Puts an invitation.
    pub fn put_invitation(&mut self, invitation: Invitation) {
        self.invitations.put(invitation);
    }

    /// Deletes an invitation.
    pub fn delete_invitation(&mut self, hash: [u8; 32]) {
        self.invitations.delete(hash);
    }

    /// The signatures of a key in an hour, as far as policies count them.
    ///
    /// # Errors
    /// [`RowFault`]; also when the account has no chain, for that counts them.
    pub fn count(&self, no: AccountNo, key: KeyId, hour: u32) -> Result<u32, RowFault> {
        let chain = self.chains.find(&no)?;
        let chain = chain.ok_or(RowFault::Corrupt(Table::Chain))?;
        Ok(chain.count(key, hour))
    }

    /// Counts one signature more of a key in an hour.
    ///
    /// # Errors
    /// [`RowFault`], as [`Rows::count`].
    pub fn count_one(&mut self, no: AccountNo, key: KeyId, hour: u32) -> Result<(), RowFault> {
        let chain = self.chains.find_mut(&no)?;
        let chain = chain.ok_or(RowFault::Corrupt(Table::Chain))?;
        chain.count_one(key, hour);
        Ok(())
    }

    /// An account that was deleted.
    ///
    /// # Errors
    /// [`RowFault`].
    pub fn gone(&self, no: AccountNo) -> Result<Option<&Gone>, RowFault> {
        self.gone.find(&no)
    }

    /// Remembers that an account was deleted, and when.
    pub fn put_gone(&mut self, gone: Gone) {
        self.gone.put(gone);
    }

    /// Its leaves are erased.
    pub fn delete_gone(&mut self, no: AccountNo) {
        self.gone.delete(no);
    }

    /// What is to be written.
    #[must_use]
    pub fn into_writes(self) -> Writes {
        let mut writes = Writes {
            next_account: self.took_account.then_some(self.next_account),
            unknown_guesses: self.guesses.new_ones(|guess| !guess.is_known),
            ..Writes::default()
        };
        let sealing = self.sealing;
        self.system.write(sealing, &mut writes);
        self.accounts.write(sealing, &mut writes);
        self.chains.write(sealing, &mut writes);
        self.secrets.write(sealing, &mut writes);
        self.sessions.write(sealing, &mut writes);
        self.guesses.write(sealing, &mut writes);
        self.passes.write(sealing, &mut writes);
        self.invitations.write(sealing, &mut writes);
        self.gone.write(sealing, &mut writes);
        writes
    }

    fn account_where(
        &self,
        is_wanted: bool,
        is: impl Fn(&Account) -> bool,
    ) -> Result<Option<&Account>, RowFault> {
        if !is_wanted {
            return Err(RowFault::NotWanted(Table::Account));
        }
        for account in self.accounts.iter() {
            let account = account?;
            if is(account) {
                self.is_its_chain(account)?;
                return Ok(Some(account));
            }
        }
        Ok(None)
    }

    /// Whether the chain that was read beside `account` is of this version of it.
    fn is_its_chain(&self, account: &Account) -> Result<(), RowFault> {
        let chain = self.chains.find(&account.no)?;
        let is_of_it = match chain {
            Some(chain) => chain.account_version == account.version,
            None => account.state == AccountState::Pending,
        };
        if is_of_it {
            Ok(())
        } else {
            Err(RowFault::Corrupt(Table::Account))
        }
    }
}

/// Those of one account.
fn of_account<'r, R>(
    rows: impl Iterator<Item = Result<&'r R, RowFault>>,
    is_of_it: impl Fn(&R) -> bool,
) -> Result<Vec<&'r R>, RowFault> {
    rows.filter(|row| row.as_ref().map_or(true, |row| is_of_it(row)))
        .collect()
}

/// 0 is the system log's.
const FIRST_ACCOUNT: i64 = 1;

/// 60 s: processes of one deployment go by one clock, so no more is needed.
const FUTURE_MS_MAX: u64 = 60_000;
