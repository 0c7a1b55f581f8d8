//! The bodies of responses, by the kind of their request (`spec/pairing.md` section 5.1).

use aws_lc_rs::digest::{SHA256, digest};
use keystead_core::{
    AckResponse, Host, KeyEntry, KeyId, Kind, MeResponse, Name, Purpose, ResponseBody,
    TransportAddress, WalletFingerprint, labelled_hash,
};
use keystead_sodium::memory::wipe;

use super::identity::{read_plaintext, write_plaintext};
use super::key_server::{read_approval, read_local_key, write_approval, write_local_key};
use super::parts::{read_name, read_purposes, write_purposes};
use super::{
    ALGORITHM_BYTES_MAX, BLOB_BYTES_MAX, Fault, HOST_NAME_BYTES_MAX, HOSTS_MAX, KEYS_MAX,
    PURPOSES_MAX, Reader, TRANSPORTS_MAX, URL_BYTES_MAX, Writer,
};

/// The bytes of a response's body, which its receipt names by [`body_hash`]; wipe them after use.
#[must_use]
pub fn encode_body(body: &ResponseBody) -> Vec<u8> {
    let mut writer = Writer::new();
    match body {
        ResponseBody::Ack(AckResponse {
            pairing: Some((nonce_s, name)),
        }) => {
            writer.map(2).key(1).bytes(nonce_s);
            writer.key(2).text(name.as_str());
        }
        ResponseBody::Me(me) => write_me(&mut writer, me),
        ResponseBody::Signature(signature) => {
            writer.map(1).key(1).bytes(signature);
        }
        ResponseBody::Plaintext(plaintext) => write_plaintext(&mut writer, plaintext),
        ResponseBody::Hosts(hosts) => {
            writer.map(1).key(1).list_of(hosts, write_host);
        }
        ResponseBody::Key(key) => {
            writer.map(1).key(1);
            write_key(&mut writer, key);
        }
        ResponseBody::Keys(keys) => {
            writer.map(1).key(1).list_of(keys, write_key);
        }
        ResponseBody::ServerApproval(approval) => write_approval(&mut writer, approval),
        ResponseBody::ApprovalKey(public_key) => {
            writer.map(1).key(1).bytes(public_key);
        }
        ResponseBody::LocalKey(key) => write_local_key(&mut writer, key),
        // `ResponseBody` grows in core only together with `read_body`, which
        // refuses an empty map for a kind whose answer has content.
        ResponseBody::Ack(AckResponse { pairing: None }) | ResponseBody::Empty | _ => {
            writer.map(0);
        }
    }
    writer.finish()
}

/// `H("keystead-body-1", body bytes, or nothing)`, for receipts.
#[must_use]
pub fn body_hash(body: Option<&ResponseBody>) -> [u8; 32] {
    let mut bytes = body.map(encode_body).unwrap_or_default();
    let hash = labelled_hash(BODY_LABEL, &bytes);
    wipe(&mut bytes);
    hash
}

pub(super) fn read_ack(reader: &mut Reader<'_>) -> Result<ResponseBody, Fault> {
    let mut fields = reader.fields()?;
    let mut ack = AckResponse::default();
    if fields.optional(reader, 1)? {
        let nonce_s = reader.array()?;
        fields.required(reader, 2)?;
        ack.pairing = Some((nonce_s, read_name(reader)?));
    }
    fields.end(reader)?;
    Ok(ResponseBody::Ack(ack))
}

pub(super) fn read_body(reader: &mut Reader<'_>, kind: Kind) -> Result<ResponseBody, Fault> {
    let mut fields = reader.fields()?;
    let body = match kind {
        Kind::Me => {
            fields.required(reader, 1)?;
            let name = read_name(reader)?;
            fields.required(reader, 2)?;
            let keys = read_keys(reader, 0)?;
            fields.required(reader, 3)?;
            let transports = reader.list_of(0, TRANSPORTS_MAX, read_transport)?;
            let transports = transports.into_iter().flatten().collect();
            let push_url = match fields.optional(reader, 4)? {
                true => Some(reader.text(URL_BYTES_MAX)?.to_owned()),
                false => None,
            };
            fields.required(reader, 5)?;
            let receipt_key = reader.array()?;
            let wallets = match fields.optional(reader, 6)? {
                true => reader.list_of(1, MeResponse::WALLETS_MAX, |reader| {
                    reader.array().map(WalletFingerprint)
                })?,
                false => Vec::new(),
            };
            ResponseBody::Me(MeResponse {
                name,
                keys,
                transports,
                push_url,
                receipt_key,
                wallets,
            })
        }
        Kind::Sign => {
            fields.required(reader, 1)?;
            ResponseBody::Signature(reader.bytes(BLOB_BYTES_MAX)?.to_vec())
        }
        Kind::Decrypt => ResponseBody::Plaintext(read_plaintext(reader, &mut fields)?),
        Kind::Hosts => {
            fields.required(reader, 1)?;
            ResponseBody::Hosts(reader.list_of(0, HOSTS_MAX, read_host)?)
        }
        Kind::Unpair | Kind::Confirm | Kind::Cancel | Kind::Remove | Kind::Lock => {
            ResponseBody::Empty
        }
        Kind::PublicKey | Kind::MakeKey => {
            fields.required(reader, 1)?;
            // Who asks for a key has a use for it.
            ResponseBody::Key(read_key(reader)?.ok_or(Fault::Range(0))?)
        }
        Kind::Import => {
            fields.required(reader, 1)?;
            match read_keys(reader, 1)? {
                keys if keys.is_empty() => return Err(Fault::Range(0)),
                keys => ResponseBody::Keys(keys),
            }
        }
        Kind::ApproveServer => ResponseBody::ServerApproval(read_approval(reader, &mut fields)?),
        Kind::MakeApprovalKey => {
            fields.required(reader, 1)?;
            ResponseBody::ApprovalKey(reader.array()?)
        }
        Kind::OpenLocal => ResponseBody::LocalKey(read_local_key(reader, &mut fields)?),
        // Core's list of kinds and this one grow together.
        _ => return Err(Fault::Kind(u64::from(kind.number()))),
    };
    fields.end(reader)?;
    Ok(body)
}

fn write_me(writer: &mut Writer, me: &MeResponse) {
    let optional = [me.push_url.is_some(), !me.wallets.is_empty()];
    writer.map(4 + optional.iter().filter(|there| **there).count());
    writer.key(1).text(me.name.as_str());
    writer.key(2).list_of(&me.keys, write_key);
    writer.key(3).list_of(&me.transports, write_transport);
    if let Some(url) = &me.push_url {
        writer.key(4).text(url);
    }
    writer.key(5).bytes(&me.receipt_key);
    if !me.wallets.is_empty() {
        writer.key(6).list_of(&me.wallets, |writer, wallet| {
            writer.bytes(wallet.as_bytes());
        });
    }
}

fn write_key(writer: &mut Writer, key: &KeyEntry) {
    writer.map(5).key(1).bytes(key.id.as_bytes());
    writer.key(2).text(&key.algorithm);
    writer.key(3).bytes(&key.public_key);
    writer.key(4).text(key.name.as_str());
    write_purposes(writer.key(5), &key.purposes);
}

/// The keys among them that this version has a use for.
fn read_keys(reader: &mut Reader<'_>, min: usize) -> Result<Vec<KeyEntry>, Fault> {
    let keys = reader.list_of(min, KEYS_MAX, read_key)?;
    Ok(keys.into_iter().flatten().collect())
}

/// None for a key that serves only purposes of later versions.
fn read_key(reader: &mut Reader<'_>) -> Result<Option<KeyEntry>, Fault> {
    let mut fields = reader.fields()?;
    fields.required(reader, 1)?;
    let id = KeyId(reader.array()?);
    fields.required(reader, 2)?;
    let algorithm = reader.text(ALGORITHM_BYTES_MAX)?.to_owned();
    fields.required(reader, 3)?;
    let public_key = reader.bytes(BLOB_BYTES_MAX)?.to_vec();
    if digest(&SHA256, &public_key).as_ref() != id.as_bytes() {
        return Err(Fault::KeyId);
    }
    fields.required(reader, 4)?;
    let name: Name = read_name(reader)?;
    fields.required(reader, 5)?;
    // Those of later versions are left out.
    let purposes: Vec<Purpose> = read_purposes(reader, PURPOSES_MAX)?
        .into_iter()
        .flatten()
        .collect();
    fields.end(reader)?;
    Ok((!purposes.is_empty()).then_some(KeyEntry {
        id,
        algorithm,
        public_key,
        name,
        purposes,
    }))
}

fn write_transport(writer: &mut Writer, transport: &TransportAddress) {
    let (number, text) = match transport {
        TransportAddress::Relay(url) => (TRANSPORT_RELAY, url.as_str()),
        TransportAddress::Local(address) => (TRANSPORT_LOCAL, address.as_str()),
        TransportAddress::Unix(path) => (TRANSPORT_UNIX, path.as_str()),
        // Refused by every receiver; core grows together with this match.
        _ => (u64::MAX, ""),
    };
    writer.list(2).unsigned(number).text(text);
}

/// None for a way of a later version.
fn read_transport(reader: &mut Reader<'_>) -> Result<Option<TransportAddress>, Fault> {
    reader.tuple(2)?;
    let number = reader.unsigned()?;
    let text = reader.text(URL_BYTES_MAX)?.to_owned();
    Ok(match number {
        TRANSPORT_RELAY => Some(TransportAddress::Relay(text)),
        TRANSPORT_LOCAL => Some(TransportAddress::Local(text)),
        TRANSPORT_UNIX => Some(TransportAddress::Unix(text)),
        _ => None,
    })
}

fn write_host(writer: &mut Writer, host: &Host) {
    writer.list(4).text(&host.user).text(&host.host);
    writer.bytes(&host.host_key).unsigned(host.unix_s);
}

fn read_host(reader: &mut Reader<'_>) -> Result<Host, Fault> {
    reader.tuple(4)?;
    Ok(Host {
        user: reader.text(HOST_NAME_BYTES_MAX)?.to_owned(),
        host: reader.text(HOST_NAME_BYTES_MAX)?.to_owned(),
        host_key: reader.array()?,
        unix_s: reader.unsigned()?,
    })
}

/// Section 6, `body_hash`.
pub(super) const BODY_LABEL: &str = "keystead-body-1";

/// Section 5.1, `transport`.
const TRANSPORT_RELAY: u64 = 0;
const TRANSPORT_LOCAL: u64 = 1;
const TRANSPORT_UNIX: u64 = 2;
