//! The side of the library: `keystead-authenticator local --token`.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use keystead_channel::wire;
use keystead_core::{
    ImportRequest, KeyEntry, KeyForm, Outcome, Request, RequestBody, Response, ResponseBody,
};

use super::TokenKey;
use super::library::Library;
use crate::local::frames::Frames;
use crate::local::identity::PURPOSES;

/// Answers until the socket ends, one request at a time.
pub(crate) fn serve(reading: UnixStream, mut writing: UnixStream) -> io::Result<()> {
    let mut frames = Frames::new();
    let mut library: Option<Library> = None;
    loop {
        while let Some(frame) = frames.next()? {
            let request = wire::decode_request(frame).map_err(io::Error::other)?;
            let hash = wire::request_hash(frame);
            let (id, body) = (request.id, answer(&mut library, &request));
            let response = wire::encode_response(&Response {
                id,
                unix_s: 0,
                request_hash: hash,
                outcome: match body {
                    Some(_) => Outcome::Approve,
                    None => Outcome::Refuse,
                },
                body,
                receipt: None,
            });
            let len = u32::try_from(response.len()).map_err(io::Error::other)?;
            writing.write_all(&len.to_be_bytes())?;
            writing.write_all(&response)?;
        }
        if frames.fill(&reading)? == 0 {
            return Ok(());
        }
    }
}

fn answer(library: &mut Option<Library>, request: &Request) -> Option<ResponseBody> {
    if let RequestBody::Import(import) = &request.body {
        return match import.form {
            KeyForm::Token => open(library, import),
            KeyForm::Agent | KeyForm::File | _ => None,
        };
    }
    let RequestBody::Sign(sign) = &request.body else {
        return None;
    };
    let signed = library.as_ref()?.sign(&sign.key, &sign.content, sign.flags);
    if let Err(error) = &signed {
        tracing::warn!("no signature: {error}");
    }
    signed.ok().map(ResponseBody::Signature)
}

fn open(library: &mut Option<Library>, import: &ImportRequest) -> Option<ResponseBody> {
    if library.is_none() {
        let path = PathBuf::from(std::str::from_utf8(import.key.expose()).ok()?);
        match Library::load(&path) {
            Ok(loaded) => *library = Some(loaded),
            Err(error) => tracing::warn!("{} cannot be loaded: {error}", path.display()),
        }
    }
    match library.as_mut()?.open(import.passphrase.as_ref()) {
        Ok(keys) => {
            let keys: Vec<KeyEntry> = keys.iter().map(entry).collect();
            (!keys.is_empty()).then_some(ResponseBody::Keys(keys))
        }
        Err(error) => {
            tracing::warn!("the tokens cannot be listed: {error}");
            None
        }
    }
}

fn entry(key: &TokenKey) -> KeyEntry {
    KeyEntry {
        id: key.public.id(),
        algorithm: key.public.type_name().to_owned(),
        public_key: key.public.blob().to_vec(),
        name: key.name.clone(),
        purposes: PURPOSES.to_vec(),
    }
}
