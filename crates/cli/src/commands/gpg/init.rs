//! `gpg init`.

use keystead_core::{Curve, Derivation, Protocol};
use keystead_daemon::{Clock, SystemClock};
use keystead_formats::openpgp::Form;

use crate::agent_link::block_on;
use crate::arguments::{Compat, GpgDerived, GpgInit};
use crate::commands::identity::settings;
use crate::failure::{Failure, Status};
use crate::terminal::{harmless, print, say};

use super::home::Home;
use super::make::{Made, Plan};

/// `gpg init [OPTIONS] "Name <mail>"`
pub(crate) fn init(wanted: &GpgInit) -> Result<(), Failure> {
    let home = Home::of(wanted.derived.homedir.as_deref())?;
    if wanted.undo {
        return home.undo();
    }
    let user_id = wanted.user_id.as_deref().unwrap_or_default();
    check_user_id(user_id)?;
    let plan = plan(wanted, user_id, &home)?;
    let asked = if plan.signs_apart { "twice" } else { "once" };
    say(format_args!("the holder is asked {asked}"));
    let Made { key, mapped } = block_on(plan.make())?;
    let fingerprint = key.fingerprint();
    // In this order: a run that ends in between leaves a gpg that works as before, and the next
    // run finds the time of the key and goes on.
    home.put(&mapped)?;
    home.use_agent()?;
    home.gpg_done(&["--import"], key.bytes())?;
    let trust = format!("{fingerprint}:{ULTIMATE}:\n");
    if let Err(failure) = home.gpg_done(&["--import-ownertrust"], trust.as_bytes()) {
        // With `trust-model always` gpg keeps no trust.
        let why = harmless(&failure.message);
        say(format_args!(
            "note: gpg was not told that the key is one's own: {why}"
        ));
    }
    say(format_args!("gpg has the key of {}:", harmless(user_id)));
    print(fingerprint)?;
    say(format_args!(
        "made at {} (--time): without it the same key cannot be made again",
        plan.created_unix_s
    ));
    say("`keystead gpg init --undo` gives gpg.conf back; `gpg --export` is for others");
    Ok(())
}

fn plan(wanted: &GpgInit, user_id: &str, home: &Home) -> Result<Plan, Failure> {
    let GpgDerived {
        curve,
        index,
        identity,
        keeper,
        time,
        ..
    } = &wanted.derived;
    let curve = match curve {
        Some(curve) => *curve,
        None => settings()?.wallet_curve,
    };
    let text = identity.clone().unwrap_or_else(|| user_id.to_owned());
    let index = index.unwrap_or(0);
    let expires_after_s = wanted.expire.map(|days| days.saturating_mul(DAY_S));
    let (form, default_time) = match wanted.compat {
        Some(Compat::Trezor) => (Form::Trezor, 0),
        None => (Form::Full { expires_after_s }, now_unix_s()),
    };
    // One that was begun is gone on with.
    let uri = Protocol::Gpg.uri_of(&text);
    let map = home.map()?;
    let begun = map.keys().iter().find(|key| {
        key.identity.as_ref().is_some_and(|it| {
            it.uri() == uri
                && it.index() == index
                && it.curve() == curve
                && it.derivation() == Derivation::Sign
        })
    });
    let created_unix_s = time.or(begun.map(|it| it.created_unix_s));
    // SSH has no keys on that curve (`spec/identity.md` section 5).
    let has_ssh = curve != Curve::Secp256k1;
    if !has_ssh && !wanted.no_authentication && wanted.compat.is_none() {
        say("note: no subkey for logins: SSH has no keys on secp256k1");
    }
    Ok(Plan {
        user_id: user_id.to_owned(),
        text,
        curve,
        index,
        keeper: keeper.as_ref().map(ToString::to_string),
        created_unix_s: created_unix_s.unwrap_or(default_time),
        form,
        signs_apart: wanted.signing_subkey,
        logs_in: has_ssh && !wanted.no_authentication && wanted.compat.is_none(),
    })
}

fn check_user_id(user_id: &str) -> Result<(), Failure> {
    let fits = !user_id.trim().is_empty()
        && user_id.len() <= USER_ID_BYTES_MAX
        && !user_id.chars().any(char::is_control);
    if fits {
        return Ok(());
    }
    Err(Failure::new("that is no user id")
        .hint("write it as \"Name <mail>\"")
        .status(Status::Usage))
}

pub(super) fn now_unix_s() -> u32 {
    u32::try_from(SystemClock.now().unix_s).unwrap_or(u32::MAX)
}

/// The trust of one's own keys in gpg's list (GnuPG, `doc/DETAILS`).
const ULTIMATE: u8 = 6;

const DAY_S: u32 = 86_400;

/// What is shown of it to a holder has this limit too (`spec/pairing.md` section 3).
const USER_ID_BYTES_MAX: usize = 1_024;
