//! Kinds 13 to 15 of `spec/pairing.md` section 5.1: what a key server makes a workstation ask.
//!
//! **Invariant**: the server's text is opaque here; who approves it reads it whole.

use keystead_core::{
    ApproveServerRequest, LocalKey, MakeApprovalKeyRequest, OpenLocalRequest, Secret,
    ServerApproval,
};

use super::parts::read_name;
use super::{APPROVAL_TEXT_BYTES_MAX, Fault, Fields, Reader, Writer};

pub(super) fn write_approve_server(writer: &mut Writer, asked: &ApproveServerRequest) {
    writer.map(1).key(1).bytes(&asked.text);
}

pub(super) fn read_approve_server(
    reader: &mut Reader<'_>,
    fields: &mut Fields,
) -> Result<ApproveServerRequest, Fault> {
    fields.required(reader, 1)?;
    let text = reader.bytes(APPROVAL_TEXT_BYTES_MAX)?.to_vec();
    Ok(ApproveServerRequest { text })
}

pub(super) fn write_make_approval_key(writer: &mut Writer, asked: &MakeApprovalKeyRequest) {
    writer.map(2).key(1).bytes(&asked.server_id);
    writer.key(2).text(asked.server.as_str());
}

pub(super) fn read_make_approval_key(
    reader: &mut Reader<'_>,
    fields: &mut Fields,
) -> Result<MakeApprovalKeyRequest, Fault> {
    fields.required(reader, 1)?;
    let server_id = reader.array()?;
    fields.required(reader, 2)?;
    let server = read_name(reader)?;
    Ok(MakeApprovalKeyRequest { server_id, server })
}

pub(super) fn write_open_local(writer: &mut Writer, asked: &OpenLocalRequest) {
    writer.map(2).key(1).bytes(&asked.salt);
    writer.key(2).text(asked.what.as_str());
}

pub(super) fn read_open_local(
    reader: &mut Reader<'_>,
    fields: &mut Fields,
) -> Result<OpenLocalRequest, Fault> {
    fields.required(reader, 1)?;
    let salt = reader.array()?;
    fields.required(reader, 2)?;
    let what = read_name(reader)?;
    Ok(OpenLocalRequest { salt, what })
}

pub(super) fn write_approval(writer: &mut Writer, approval: &ServerApproval) {
    writer.map(2).key(1).bytes(&approval.approver);
    writer.key(2).bytes(&approval.signature);
}

pub(super) fn read_approval(
    reader: &mut Reader<'_>,
    fields: &mut Fields,
) -> Result<ServerApproval, Fault> {
    fields.required(reader, 1)?;
    let approver = reader.array()?;
    fields.required(reader, 2)?;
    let signature = reader.array()?;
    Ok(ServerApproval {
        approver,
        signature,
    })
}

pub(super) fn write_local_key(writer: &mut Writer, key: &LocalKey) {
    writer.map(1).key(1).bytes(key.secret().expose());
}

pub(super) fn read_local_key(
    reader: &mut Reader<'_>,
    fields: &mut Fields,
) -> Result<LocalKey, Fault> {
    fields.required(reader, 1)?;
    Ok(LocalKey::new(Secret::take(&mut reader.array()?)))
}
