//! `gpg init`.

use keystead_core::Curve;
use keystead_daemon::{Clock, SystemClock};
use keystead_formats::openpgp::Form;

use crate::agent_link::block_on;
use crate::arguments::{Compat, GpgInit};
use crate::failure::{Failure, Status};
use crate::terminal::{harmless, print, say};

use super::home::Home;
use super::make::{Made, Plan, Time};
use super::place::{Naming, Place};

/// `gpg init [OPTIONS] "Name <mail>"`
pub(crate) fn init(wanted: &GpgInit) -> Result<(), Failure> {
    let home = Home::of(wanted.derived.homedir.as_deref())?;
    if wanted.undo {
        return home.undo();
    }
    let user_id = wanted.user_id.as_deref().unwrap_or_default();
    check_user_id(user_id)?;
    home.check_sockets()?;
    let plan = plan(wanted, user_id, &home)?;
    let asked = whom_it_asks(&plan)?;
    let Made {
        key,
        mapped,
        created_unix_s,
    } = block_on(plan.make(|| say(&asked)))
        .map_err(|failure| with_what_is_left(failure, &plan.place))?;
    let fingerprint = key.fingerprint();
    // In this order: a run that ends in between leaves a gpg that works as before, and the next
    // run finds the time of the key and goes on.
    home.put(&mapped)?;
    home.use_agent()?;
    home.import(key.bytes())?;
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
    let keeper = plan.place.name().unwrap_or("its keeper");
    if plan.place.is_wallet() {
        say(format_args!(
            "made at {created_unix_s} (--time): without it the same key cannot be made again"
        ));
    } else {
        say(format_args!(
            "no words bring this key back: {} alone has it",
            harmless(keeper)
        ));
    }
    say(format_args!(
        "`{}` gives gpg.conf back; `gpg --export` is for others",
        home.undoing()
    ));
    Ok(())
}

fn plan<'a>(wanted: &'a GpgInit, user_id: &'a str, home: &Home) -> Result<Plan<'a>, Failure> {
    let derived = &wanted.derived;
    let place = Place::of(derived.keeper.as_ref())?;
    let is_of_wallet = derived.index.is_some() || derived.identity.is_some();
    if !place.is_wallet() && (is_of_wallet || wanted.compat.is_some()) {
        let keeper = harmless(place.name().unwrap_or_default()).to_string();
        return Err(Failure::new(format!(
            "{keeper} stores its keys: --index, --identity and --compat are a wallet's"
        ))
        .hint("leave them out, or name a keeper with a wallet")
        .status(Status::Usage));
    }
    let curve = match derived.curve {
        Some(curve) => curve,
        None => place.usual_curve()?,
    };
    let expires_after_s = wanted.expire.map(|days| days.saturating_mul(DAY_S));
    let (form, usual_unix_s) = match wanted.compat {
        Some(Compat::Trezor) => (Form::Trezor, 0),
        None => (Form::Full { expires_after_s }, now_unix_s()),
    };
    let decrypts = match (&wanted.encryption_keeper, &place) {
        (Some(named), _) => Some(Place::of(Some(named))?),
        (None, Place::Server(server)) => {
            say(format_args!(
                "note: no subkey for encryption: the key server {} decrypts nothing; \
                 --encryption-keeper NAME has another keeper hold one",
                harmless(server)
            ));
            None
        }
        (None, place) => Some(place.clone()),
    };
    // SSH has no keys on that curve (`spec/identity.md` section 5).
    let has_ssh = curve != Curve::Secp256k1;
    let logs_in = place.is_wallet() && !wanted.no_authentication && wanted.compat.is_none();
    if !has_ssh && logs_in {
        say("note: no subkey for logins: SSH has no keys on secp256k1");
    }
    Ok(Plan {
        naming: Naming {
            user_id,
            identity: derived.identity.as_deref(),
            curve,
            index: derived.index.unwrap_or(0),
        },
        place,
        decrypts,
        time: Time {
            said_unix_s: derived.time,
            known: home.map()?,
            usual_unix_s,
        },
        form,
        signs_apart: wanted.signing_subkey,
        logs_in: has_ssh && logs_in,
    })
}

/// What a person at the keeper is in for.
fn whom_it_asks(plan: &Plan<'_>) -> Result<String, Failure> {
    // A question is about one key: the signing subkey's is another one, and the primary binds it
    // when it has signed.
    let times = if plan.signs_apart {
        "three times"
    } else {
        "once"
    };
    Ok(match &plan.place {
        place @ Place::Wallet(_) if place.is_hardware()? => {
            "the device asks for each signature".to_owned()
        }
        Place::Wallet(_) => format!("the holder is asked {times}"),
        Place::Authenticator(keeper) => format!(
            "the holder of {} is asked for each key that is made, and {times} for what binds them",
            harmless(keeper)
        ),
        Place::Server(server) => format!("the key server {} makes it", harmless(server)),
    })
}

/// What was made stays at its keeper, and is of use to nobody until it is gone on with.
fn with_what_is_left(failure: Failure, place: &Place) -> Failure {
    if failure.status == Status::Usage {
        // Nobody was asked.
        return failure;
    }
    match place {
        Place::Wallet(_) => failure,
        Place::Authenticator(keeper) | Place::Server(keeper) => {
            let keeper = harmless(keeper);
            say(format_args!(
                "note: gpg is as it was; a key that {keeper} has made already is taken up when \
                 the same command is run again"
            ));
            failure
        }
    }
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

/// What is shown of it to a holder has this limit too (`spec/pairing.md` section 5).
const USER_ID_BYTES_MAX: usize = 1_024;
