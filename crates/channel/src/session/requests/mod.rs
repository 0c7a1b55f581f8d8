//! What is asked inside a session: one type a method, and [`Request`] over all.
//!
//! **Invariant**: a request's plaintext is `{0: request_id, 1…: the method's fields}`;
//! which method it is stands in the frame's head and is authenticated there.

mod audit;
mod entries;
mod label;
mod policy;
mod secrets;
mod sessions;
mod sign;

pub use audit::{
    Audit, AuditPage, CHECKPOINT_BYTES_MAX, Head, HeadPage, INDICES_MAX, LEAF_BYTES_MAX, PATH_MAX,
    Proof, Receipt, Scope,
};
pub use entries::{
    Entries, Entry, LabelChange, List, NewKey, PAGE_MAX, PUBLIC_KEY_BYTES_MAX, Retrieved, Show,
    Unread,
};
pub use label::{LABEL_BYTES_MAX, Label, SEALED_LABEL_BYTES_MAX};
pub use policy::{
    APPROVERS_MAX, Approver, ApproverChange, Approvers, CONDITIONS_MAX, Hours, Policy,
    PolicyChange, Quorum, RecoveryStep, UnprovedDestination,
};
pub use secrets::{
    Complete, Context, Generate, Import, Intent, KeyPurpose, KeyType, Put, Retrieve,
    SEALED_STORAGE_KEY_BYTES, SEALED_VALUE_BYTES_MAX, StorageKey, VALUE_BYTES_MAX,
};
pub use sessions::{
    Known, LogOut, Open, OpenedResult, PasswordFinish, PasswordResponse, PasswordStart,
    RecoveryCode, SeenLog, SessionEntry, SessionList, Sessions,
};
pub use sign::{
    Approve, Bytes, DigestName, OpenPgp, Sign, SignFields, SignPurpose, Signed, SshLogin, SshSig,
};

use keystead_core::{Secret, SecretBytes};

use super::fields::{Message, Value, numbers};
use super::ids::RequestId;
use super::status::Status;
use crate::wire::{Fault, Fields, Reader, Writer};

numbers! {
    /// What is asked (`spec/session.md` section 8). 0x0060 to 0x007f are kept for groups.
    Method {
        /// Opens the session; inside frame 22 alone.
        Open = 0,
        /// Nothing; keeps the session alive.
        Ping = 1,
        /// Ends a registration.
        Complete = 2,
        /// The sealed storage key.
        StorageKey = 3,
        /// Keeps what the client sealed.
        Put = 4,
        /// Makes a secret or key at the server.
        Make = 5,
        /// Gives a secret or key to the server.
        Import = 6,
        /// Reads a value.
        Retrieve = 7,
        /// Lists what there is.
        List = 8,
        /// Shows one.
        Show = 9,
        /// Changes a label.
        Label = 10,
        /// Deletes one.
        Delete = 11,
        /// Signs.
        Sign = 12,
        /// Brings an approval.
        Approve = 13,
        /// Changes a policy.
        Policy = 14,
        /// Adds, lists, removes approvers.
        Approvers = 15,
        /// Reads the log.
        Audit = 16,
        /// The log's head and paths.
        Head = 17,
        /// Lists sessions or closes one.
        Sessions = 18,
        /// Ends this session or all.
        LogOut = 19,
        /// Begins a change of password.
        PasswordStart = 20,
        /// Ends it.
        PasswordFinish = 21,
        /// Replaces the recovery code.
        RecoveryCode = 22,
        /// Deletes the account.
        DeleteAccount = 23,
    }
}

/// A method with its fields.
pub enum Request {
    /// See [`Method::Open`].
    Open(Open),
    /// See [`Method::Ping`].
    Ping,
    /// See [`Method::Complete`].
    Complete(Complete),
    /// See [`Method::StorageKey`].
    StorageKey,
    /// See [`Method::Put`].
    Put(Put),
    /// See [`Method::Make`].
    Make(Generate),
    /// See [`Method::Import`].
    Import(Import),
    /// See [`Method::Retrieve`].
    Retrieve(Retrieve),
    /// See [`Method::List`].
    List(List),
    /// See [`Method::Show`].
    Show(Show),
    /// See [`Method::Label`].
    Label(LabelChange),
    /// See [`Method::Delete`].
    Delete(Show),
    /// See [`Method::Sign`].
    Sign(Sign),
    /// See [`Method::Approve`].
    Approve(Approve),
    /// See [`Method::Policy`].
    Policy(PolicyChange),
    /// See [`Method::Approvers`].
    Approvers(ApproverChange),
    /// See [`Method::Audit`].
    Audit(Audit),
    /// See [`Method::Head`].
    Head(Head),
    /// See [`Method::Sessions`].
    Sessions(Sessions),
    /// See [`Method::LogOut`].
    LogOut(LogOut),
    /// See [`Method::PasswordStart`].
    PasswordStart(PasswordStart),
    /// See [`Method::PasswordFinish`].
    PasswordFinish(PasswordFinish),
    /// See [`Method::RecoveryCode`].
    RecoveryCode(RecoveryCode),
    /// See [`Method::DeleteAccount`].
    DeleteAccount,
}

/// One arm a method: [`Request::method`], its fields if it has any, and how they are read.
macro_rules! methods {
    ($($variant:ident($type:ty),)* ; $($bare:ident,)*) => {
        impl Request {
            /// Which method it is.
            #[must_use]
            pub fn method(&self) -> Method {
                match self {
                    $(Self::$variant(_) => Method::$variant,)*
                    $(Self::$bare => Method::$bare,)*
                }
            }

            /// The plaintext of the frame.
            #[must_use]
            pub fn encode(&self, id: RequestId) -> Vec<u8> {
                match self {
                    $(Self::$variant(fields) => encode(id, Some(fields)),)*
                    $(Self::$bare => encode(id, None::<&StorageKey>),)*
                }
            }

            fn read(
                method: Method,
                fields: &mut Fields,
                reader: &mut Reader<'_>,
            ) -> Result<Self, Fault> {
                Ok(match method {
                    $(Method::$variant => {
                        Self::$variant(<$type>::read_fields(fields, reader)?)
                    })*
                    $(Method::$bare => Self::$bare,)*
                })
            }
        }
    };
}

methods! {
    Open(Open), Complete(Complete), Put(Put), Make(Generate), Import(Import), Retrieve(Retrieve),
    List(List), Show(Show), Label(LabelChange), Delete(Show), Sign(Sign), Approve(Approve),
    Policy(PolicyChange), Approvers(ApproverChange), Audit(Audit), Head(Head), Sessions(Sessions),
    LogOut(LogOut), PasswordStart(PasswordStart), PasswordFinish(PasswordFinish),
    RecoveryCode(RecoveryCode),
    ;
    Ping, StorageKey, DeleteAccount,
}

impl Request {
    /// Reads the plaintext of a frame whose head says `method`.
    ///
    /// # Errors
    /// The first rule that the bytes break.
    pub fn decode(method: Method, plain: &[u8]) -> Result<(RequestId, Self), Fault> {
        let mut reader = Reader::new(plain);
        let mut fields = reader.fields()?;
        let id = RequestId::take(&mut fields, &mut reader, 0)?;
        let request = Self::read(method, &mut fields, &mut reader)?;
        fields.end(&mut reader)?;
        reader.end()?;
        Ok((id, request))
    }
}

/// What a request gave; its result may be a secret.
pub struct Answer {
    /// How it went.
    pub status: Status,
    /// The method's result, encoded: `T::decode` of the type that its table names.
    pub result: Option<SecretBytes>,
    /// The log entry's receipt, encoded.
    pub receipt: Option<Receipt>,
}

impl Answer {
    /// A status and nothing else.
    #[must_use]
    pub fn of(status: Status) -> Self {
        Self {
            status,
            result: None,
            receipt: None,
        }
    }

    /// Done, with this result; the place where it was is wiped.
    #[must_use]
    pub fn done(mut result: Vec<u8>) -> Self {
        Self {
            result: Some(SecretBytes::take(&mut result)),
            ..Self::of(Status::Done)
        }
    }

    /// The plaintext of the frame.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let room = self.result.as_ref().map_or(0, SecretBytes::len)
            + self.receipt.as_ref().map_or(0, Value::room);
        let mut writer = Writer::with_room(room);
        let optional = [self.result.is_some(), self.receipt.is_some()];
        writer.map(1 + optional.iter().filter(|there| **there).count());
        self.status.write(writer.key(0));
        if let Some(result) = &self.result {
            writer.key(1).encoded(result.expose());
        }
        if let Some(receipt) = &self.receipt {
            receipt.write(writer.key(2));
        }
        writer.finish()
    }

    /// Reads the answer to a request of `method`; its result is checked whole.
    ///
    /// # Errors
    /// The first rule that the bytes break.
    pub fn decode(method: Method, plain: &[u8]) -> Result<Self, Fault> {
        let mut reader = Reader::new(plain);
        let mut fields = reader.fields()?;
        let status = Status::take(&mut fields, &mut reader, 0)?;
        let mut result = None;
        if fields.optional(&mut reader, 1)? {
            let start = reader.position();
            check_result(status, method, &mut reader)?;
            let read = reader.since(start);
            let copy = |place: &mut [u8]| place.copy_from_slice(read);
            result = Some(SecretBytes::fill(read.len(), copy));
        }
        let receipt = <Option<Receipt> as Value>::take(&mut fields, &mut reader, 2)?;
        fields.end(&mut reader)?;
        reader.end()?;
        Ok(Self {
            status,
            result,
            receipt,
        })
    }
}

/// Reads the result that `method` has; with status *waiting*, the text to be approved, and of
/// a list that is *corrupt*, which entry is.
fn check_result(status: Status, method: Method, reader: &mut Reader<'_>) -> Result<(), Fault> {
    fn check<T: Value>(reader: &mut Reader<'_>) -> Result<(), Fault> {
        T::read(reader).map(drop)
    }
    if status == Status::Waiting {
        return reader.bytes(APPROVAL_BYTES_MAX).map(drop);
    }
    if status == Status::Corrupt && method == Method::List {
        return check::<Unread>(reader);
    }
    if status != Status::Done {
        return Err(Fault::Misplaced(1));
    }
    match method {
        Method::Open => check::<OpenedResult>(reader),
        Method::StorageKey => check::<StorageKey>(reader),
        Method::Put | Method::Make | Method::Import => check::<NewKey>(reader),
        Method::Retrieve => check::<Retrieved>(reader),
        Method::List => check::<Entries>(reader),
        Method::Show => check::<Entry>(reader),
        Method::Sign => check::<Signed>(reader),
        Method::Approvers => check::<Approvers>(reader),
        Method::Audit => check::<AuditPage>(reader),
        Method::Head => check::<HeadPage>(reader),
        Method::Sessions => check::<SessionList>(reader),
        Method::PasswordStart => check::<PasswordResponse>(reader),
        Method::Ping
        | Method::Complete
        | Method::Label
        | Method::Delete
        | Method::Approve
        | Method::Policy
        | Method::LogOut
        | Method::PasswordFinish
        | Method::RecoveryCode
        | Method::DeleteAccount => Err(Fault::Misplaced(1)),
    }
}

fn encode<T: Message>(id: RequestId, fields: Option<&T>) -> Vec<u8> {
    let room = fields.map_or(0, Message::room_of_fields) + id.room();
    let mut writer = Writer::with_room(room);
    writer.map(1 + fields.map_or(0, Message::count));
    id.write(writer.key(0));
    if let Some(fields) = fields {
        fields.write_fields(&mut writer);
    }
    writer.finish()
}

/// The hash of a recovery code, which alone leaves the client.
#[must_use]
pub fn recovery_hash(code: &Secret<16>) -> [u8; 32] {
    super::ids::sha256(&[code.expose()])
}

/// 98,304 bytes: a request of the longest kind that can wait for an approval, and what is said round it.
pub const APPROVAL_BYTES_MAX: usize = 98_304;
