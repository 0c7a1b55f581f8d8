//! Which keys a program is shown, and in which order.
//!
//! **Invariant:** a key stands in a list once, under our own words where it is ours; what a
//! connection may not use by its constraints is not in its list; the encoded list fits a message.

use std::collections::VecDeque;

use keystead_core::IdentityParts;
use keystead_formats::ssh::agent::{Identity, MESSAGE_BYTES_MAX, Response};
use keystead_formats::ssh::destination::Destination;
use keystead_keeper::{self as keeper, Refresh};

use crate::agent::{Agent, Turn};
use crate::asked::Then;
use crate::connection::{Listing, Work};
use crate::errand::list_request;
use crate::event::Action;
use crate::evidence::Seen;
use crate::identities::{self, Login, Patterns};
use crate::ids::ConnectionId;
use crate::kept::KeptKey;
use crate::settings::UpstreamOrder;
use crate::upstream::{Errand, Ours};
use crate::words::Words;

impl Agent {
    /// Lists ours, and those of the agent that was there before.
    pub(crate) fn list(&mut self, turn: &mut Turn<'_, '_>, id: ConnectionId) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        if self.lock.is_closed() || connection.is_aborted {
            return self.answer(turn, id, &Response::Identities(Vec::new()));
        }
        // Whoever logs in, and only where there is a wallet, is offered its identities.
        if let Some(pid) = connection.pid
            && !connection.binds().is_empty()
            && !self.keepers.wallets().is_empty()
        {
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.work = Work::List;
            }
            let connection = id;
            return turn.act(Action::LookAround { connection, pid });
        }
        self.list_all(turn, id, self.ssh_identities(), Vec::new());
    }

    /// Where the process logs in is known: what is offered there is listed, and first what is not
    /// remembered is asked for.
    pub(crate) fn looked_around(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: ConnectionId,
        seen: &Seen,
        identities: Option<&str>,
    ) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if !matches!(connection.work, Work::List) {
            return;
        }
        let login = login_of(seen);
        let mut offers = VecDeque::new();
        match identities.map(|text| Patterns::parse(text, self.setup.settings.wallet_curve)) {
            Some(Ok(patterns)) => {
                offers.extend(login.iter().flat_map(|login| patterns.offers(login)));
            }
            Some(Err(error)) => {
                let why = format!("{}: {error}", identities::FILE_NAME);
                self.say(turn, id, &Words::RefusedHere { why: &why });
            }
            None => {}
        }
        let listing = Listing {
            offers,
            login,
            ..Listing::default()
        };
        self.go_on_listing(turn, id, listing);
    }

    /// The next of the identities that are offered; behind the last the list is answered.
    pub(crate) fn go_on_listing(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: ConnectionId,
        mut listing: Listing,
    ) {
        while let Some(offer) = listing.offers.pop_front() {
            // Whose wallet it is may not be clear: then the person names it.
            let Ok(whose) = self.wallet_for(&offer.identity, None, offer.keeper.as_deref()) else {
                continue;
            };
            if let Some(record) = self.recorded(&offer.identity, &whose) {
                listing.offered.push(record.key.public_key.clone());
                continue;
            }
            if listing.asked.contains(&offer.identity) {
                continue;
            }
            let identity = offer.identity.clone();
            listing.asked.push(identity.clone());
            // It is looked for once more when it is there.
            listing.offers.push_front(offer);
            let then = Then::List(id, Box::new(listing));
            return self.ask_identity(turn, &whose, (identity, false), then);
        }
        let mut identities = self.ssh_identities();
        identities.retain(|it| listing.takes(it));
        identities.sort_by_key(|it| {
            let place = listing
                .offered
                .iter()
                .position(|blob| blob == it.key.blob());
            place.unwrap_or(usize::MAX)
        });
        self.list_all(turn, id, identities, listing.offered);
    }

    fn list_all(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: ConnectionId,
        derived: Vec<KeptKey>,
        offered: Vec<Vec<u8>>,
    ) {
        let ours = Ours {
            identities: self.own_identities(turn, id, derived),
            offered,
        };
        if self.has_upstream() {
            self.send_errand(turn, id, list_request(), Errand::List(ours));
        } else {
            self.answer_list(turn, id, ours, Vec::new());
        }
        // Whoever lists next sees what has changed since.
        self.tell_keepers(turn, keeper::Event::Refresh(Refresh::ForProgram));
    }

    /// Derived keys first: they are meant for just this login.
    fn own_identities(
        &self,
        turn: &Turn<'_, '_>,
        id: ConnectionId,
        derived: Vec<KeptKey>,
    ) -> Vec<Identity> {
        let mut identities = Vec::new();
        for kept in derived.into_iter().chain(self.kept_keys()) {
            if self.hidden.contains(kept.key.blob()) {
                continue;
            }
            let comment = kept.comment().into_bytes();
            let certificates = self.certificates.offered(&kept.key, turn.now.unix_s);
            // As OpenSSH's client orders its own: a key before its certificates.
            for key in std::iter::once(&kept.key).chain(certificates) {
                identities.push(Identity {
                    key: key.blob().to_vec(),
                    comment: comment.clone(),
                });
            }
        }
        let path = self.connections.get(&id).map(|it| it.path());
        let added = self.added.seen(path.unwrap_or_default(), turn.now);
        identities.extend(added.into_iter().map(|it| Identity {
            key: it.blob.clone(),
            comment: it.limits.comment.clone(),
        }));
        identities
    }

    /// Both are there.
    pub(crate) fn answer_list(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: ConnectionId,
        ours: Ours,
        theirs: Vec<Identity>,
    ) {
        let order = self.setup.settings.upstream_order;
        let mut keys = merge(ours.identities, theirs, order);
        if let Some(last) = self.connections.get(&id).and_then(|it| it.binds().last())
            && self.habits.knows_any()
            && let Some(usual) = self.habits.key_for(last.host_key.blob())
        {
            // What the person's file offers stands before any habit.
            let offered = |it: &Identity| ours.offered.contains(&it.key);
            let from = keys.iter().rposition(offered).map_or(0, |last| last + 1);
            // Stable: all others stay as they are.
            keys.get_mut(from..)
                .unwrap_or_default()
                .sort_by_key(|it| it.key != usual);
        }
        let all = keys.len();
        keys.truncate(
            self.setup
                .settings
                .keys_max
                .unwrap_or(all)
                .min(fitting(&keys)),
        );
        if keys.len() < all {
            let why = format!("{} of {all} keys are listed (keys_max)", keys.len());
            self.say(turn, id, &Words::RefusedHere { why: &why });
        }
        self.answer(turn, id, &Response::Identities(keys));
    }
}

impl Listing {
    /// Is an identity listed: one that is offered, or one that was made for this very login? Where
    /// nobody knows where it goes, all are.
    fn takes(&self, kept: &KeptKey) -> bool {
        let Some(login) = &self.login else {
            return true;
        };
        let is_offered = self.offered.iter().any(|blob| blob == kept.key.blob());
        is_offered || kept.identity.as_ref().is_some_and(|it| is_for(it, login))
    }
}

/// Does the identity name the login's host, and no other account? trezor-agent's users give one
/// identity to many hosts, by a pattern.
fn is_for(identity: &keystead_core::Identity, login: &Login) -> bool {
    let Ok(parts) = IdentityParts::parse(identity.rest()) else {
        return false;
    };
    let same_user = match (&parts.user, &login.user) {
        (Some(own), Some(typed)) => own == typed,
        (None, _) | (_, None) => true,
    };
    same_user && parts.bare_host().eq_ignore_ascii_case(&login.host)
}

/// Where the command line of `ssh` says that it goes.
fn login_of(seen: &Seen) -> Option<Login> {
    let arguments: Vec<&str> = seen.arguments.iter().map(String::as_str).collect();
    let destination = Destination::parse(&arguments)?;
    Some(Login {
        user: destination.user,
        host: destination.host,
        port: destination.port,
    })
}

/// Ours win where both have a key: they know who is asked for it.
fn merge(ours: Vec<Identity>, theirs: Vec<Identity>, order: UpstreamOrder) -> Vec<Identity> {
    let is_ours = |key: &Identity| ours.iter().any(|it| it.key == key.key);
    let theirs: Vec<Identity> = theirs.into_iter().filter(|it| !is_ours(it)).collect();
    match order {
        UpstreamOrder::After => ours.into_iter().chain(theirs).collect(),
        UpstreamOrder::Before => theirs.into_iter().chain(ours).collect(),
    }
}

/// How many of them fit a message: a number, and two lengths a key.
fn fitting(keys: &[Identity]) -> usize {
    let mut left = MESSAGE_BYTES_MAX.saturating_sub(1 + 4);
    let fits = |key: &&Identity| {
        let len = 4 + key.key.len() + 4 + key.comment.len();
        let is_in = len <= left;
        left = left.saturating_sub(len);
        is_in
    };
    keys.iter().take_while(fits).count()
}

#[cfg(test)]
mod tests {
    use keystead_core::{Curve, Derivation};

    use super::*;

    fn identity(key: u8, comment: &str) -> Identity {
        Identity {
            key: vec![key],
            comment: comment.as_bytes().to_vec(),
        }
    }

    #[test]
    fn an_identity_is_for_the_host_that_ssh_goes_to() {
        let check = |uri: &str, user: &str, host: &str, expected: bool| {
            let (curve, derivation) = (Curve::Ed25519, Derivation::Sign);
            let identity = keystead_core::Identity::new(uri, curve, 0, derivation).unwrap();
            let login = Login {
                user: Some(user.to_owned()),
                host: host.to_owned(),
                port: None,
            };
            assert_eq!(is_for(&identity, &login), expected, "{uri} {user}@{host}");
        };
        check("ssh://alex@db1", "alex", "DB1", true);
        check("ssh://db1:2222", "alex", "db1", true);
        check("ssh://root@db1", "alex", "db1", false);
        check("ssh://alex@db1", "alex", "db2", false);
        check("ssh://alex@[::1]:2222", "alex", "::1", true);
        check("ssh://alex@[::1]", "alex", "::2", false);
    }

    #[test]
    fn a_key_stands_once_and_is_ours() {
        let ours = || vec![identity(1, "ours"), identity(2, "ours")];
        let theirs = || vec![identity(2, "theirs"), identity(3, "theirs")];
        let check = |order, expected: &[Identity]| {
            assert_eq!(merge(ours(), theirs(), order), expected);
        };
        let (one, two, three) = (
            identity(1, "ours"),
            identity(2, "ours"),
            identity(3, "theirs"),
        );
        check(
            UpstreamOrder::After,
            &[one.clone(), two.clone(), three.clone()],
        );
        check(UpstreamOrder::Before, &[three, one, two]);
    }

    #[test]
    fn a_list_fits_a_message() {
        let long = Identity {
            key: vec![0; 1_000],
            comment: vec![b'x'; 1_000],
        };
        let keys = vec![long; 200];
        let count = fitting(&keys);
        let encoded = |count: usize| Response::Identities(keys[..count].to_vec()).encode().len();
        assert!(encoded(count) <= MESSAGE_BYTES_MAX);
        assert!(encoded(count + 1) > MESSAGE_BYTES_MAX);
        assert_eq!(fitting(&[]), 0);
    }
}
