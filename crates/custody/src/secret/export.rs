//! `secret export`: a secret in a form that other programs take.
//!
//! **Invariant:** the server logs the export before the secret is here; the form is known to fit
//! before it is asked for, as far as the type is known.

use keystead_channel::session::requests::Intent;
use keystead_core::SecretBytes;
use keystead_daemon::SystemRng;
use keystead_vault::client::{self, Portable, Value};
use keystead_vault::held::Kind;

use super::catalogue::unknown;
use super::kind_of;
use super::make::{copy, of_encoding};
use super::retrieve::{from_server, locate};
use crate::arguments::{Export, Form};
use crate::failure::Failure;
use crate::local::LocalStore;
use crate::names::{Known, Names};
use crate::output::Place;
use crate::prompt::Given;

/// Exports one.
pub(crate) fn run(wanted: &Export) -> Result<(), Failure> {
    let mut given = Given::read(wanted.at.answers, None)?;
    let names = Names::open()?;
    let (server, known) = locate(&names, wanted.at.server.as_deref(), &wanted.secret)?;
    if let (Some(known), Some(kind)) = (&known, wanted.kind.map(kind_of)) {
        check_kind(known, kind)?;
    }
    let place = Place::open(&wanted.output)?;
    let (known, value) = match (server, known) {
        (None, Some(known)) => {
            let store = LocalStore::open()?;
            let local = store.unlock(&mut given)?;
            let value = store.read(&local, &known)?;
            (known, Some(value))
        }
        (Some(server), known) => from_server(
            server,
            &names,
            known,
            &wanted.secret,
            Intent::Export,
            &mut given,
        )?,
        (None, None) => return Err(unknown(&wanted.secret)),
    };
    let value = value.ok_or_else(|| unknown(&wanted.secret))?;
    if let Some(kind) = wanted.kind.map(kind_of) {
        check_kind(&known, kind)?;
    }
    place.put(&written(&known, &value, wanted.form)?)
}

fn written(known: &Known, value: &Value, form: Form) -> Result<SecretBytes, Failure> {
    let form = match (form, value.kind()) {
        (Form::Standard, Kind::Arbitrary) | (Form::Raw, _) => return Ok(copy(value.bytes())),
        (Form::Portable, _) => {
            return Ok(Portable::write(value.bytes(), &associated(known)));
        }
        (Form::Standard | Form::Pkcs8, _) => client::Form::Pkcs8,
        (Form::Openssh, _) => client::Form::OpenSsh,
        (Form::Pem, _) => client::Form::Traditional,
    };
    let written = value.write(form, &known.name, &mut SystemRng);
    written.map_err(|error| of_encoding(&error))
}

/// What it was sealed with: user_id ‖ key_id ‖ c; of a secret that the server made or was given
/// alone, c says so.
fn associated(known: &Known) -> Vec<u8> {
    let user = known.home.map_or([0; 32], |home| home.user.0);
    let context = known.context.as_deref().unwrap_or("server-held");
    [user.as_slice(), &known.key.0, context.as_bytes()].concat()
}

fn check_kind(known: &Known, wanted: Kind) -> Result<(), Failure> {
    match known.kind == wanted {
        true => Ok(()),
        false => Err(Failure::usage(format!(
            "it is of type {}, not {wanted}",
            known.kind
        ))),
    }
}
