//! A lock that an approver lifts (frame 20, key 5; `spec/session.md` section 5.2).

#![expect(
    clippy::too_many_lines,
    reason = "one table: what lifts a lock, and what does not"
)]

use std::sync::Arc;

use keystead_channel::session::requests::{Approver, ApproverChange, Request};
use keystead_channel::session::{
    AccountName, ApproverId, Extras, ServerId, Status, Text, Unlock, UnlockText,
};
use keystead_core::Secret;
use keystead_daemon::{Clock, SystemClock};
use keystead_server::server::Server;
use keystead_vault::LogKey;

use crate::common::{Person, Place, ask, open};
use crate::guesses::{lock, strict};

crate::on_both! {
    a_lock_is_lifted_by_an_approver_once,
}

/// An approver's key, and what it signs.
struct Key(LogKey);

impl Key {
    fn of(byte: u8) -> Self {
        Self(LogKey::from_seed(Secret::fill(|seed| seed.fill(byte))).unwrap())
    }

    fn public(&self) -> [u8; 32] {
        *self.0.public()
    }

    /// For `server`, `name` and the time, which `Unlock` carries.
    fn lifts(&self, server: &ServerId, name: &str, unix_s: u64) -> Unlock {
        let text = UnlockText {
            server: *server,
            account: AccountName::parse(name).unwrap(),
            unix_s,
        };
        Unlock {
            approver: ApproverId::of(&self.public()),
            unix_s,
            signature: self.0.sign(&text.encode()).unwrap(),
        }
    }
}

async fn add_approver(server: &Arc<Server>, person: &Person, key: &Key) {
    let (mut wire, logged_in) = person.log_in(server).await.unwrap();
    let mut session = logged_in.session;
    let change = Request::Approvers(ApproverChange {
        add: Some(Approver {
            public_key: key.public(),
            label: Text("phone".to_owned()),
        }),
        remove: None,
        recovery_code: None,
        recovery: None,
    });
    let answer = ask(&mut wire, &mut session, &change).await;
    assert_eq!(answer.status, Status::Done);
}

/// What a login with the right password and this comes to.
async fn tried(person: &Person, server: &Arc<Server>, unlock: Unlock) -> Result<(), Status> {
    let extras = Extras {
        unlock: Some(unlock),
        ..Extras::default()
    };
    let logged_in = person.log_in_with(server, extras, open()).await;
    logged_in.map(drop).map_err(|it| it.code)
}

async fn a_lock_is_lifted_by_an_approver_once(place: Place) {
    let server = place.server(strict()).await;
    let id = server.server_id;
    let (alex, kim) = (Person::new("alex", "secret"), Person::new("kim", "secret"));
    let (own, foreign) = (Key::of(1), Key::of(2));
    for (person, key) in [(&alex, &own), (&kim, &foreign)] {
        person.register(&server).await.unwrap();
        add_approver(&server, person, key).await;
    }
    lock(&server, "alex").await;
    let now_s = SystemClock.now().unix_s;
    let right = || own.lifts(&id, "alex", now_s);
    let bent = |bend: fn(&mut Unlock)| {
        let mut unlock = right();
        bend(&mut unlock);
        unlock
    };
    for (what, unlock) in [
        ("a wrong signature", bent(|it| it.signature[63] ^= 1)),
        ("another time than was signed", bent(|it| it.unix_s += 1)),
        ("no approver", Key::of(3).lifts(&id, "alex", now_s)),
        (
            "somebody else's approver",
            foreign.lifts(&id, "alex", now_s),
        ),
        (
            "another's signature under this id",
            Unlock {
                approver: ApproverId::of(&own.public()),
                ..foreign.lifts(&id, "alex", now_s)
            },
        ),
        (
            "another server's",
            own.lifts(&ServerId([9; 16]), "alex", now_s),
        ),
        ("another name's", own.lifts(&id, "kim", now_s)),
        ("an old time", own.lifts(&id, "alex", now_s - 330)),
        ("a time to come", own.lifts(&id, "alex", now_s + 600)),
    ] {
        assert_eq!(
            tried(&alex, &server, unlock).await,
            Err(Status::Refused),
            "{what}"
        );
    }
    tried(&alex, &server, right()).await.unwrap();
    lock(&server, "alex").await;
    assert_eq!(
        tried(&alex, &server, right()).await,
        Err(Status::Refused),
        "used twice"
    );
    let earlier = own.lifts(&id, "alex", now_s - 1);
    assert_eq!(
        tried(&alex, &server, earlier).await,
        Err(Status::Refused),
        "before the last"
    );
    let later = own.lifts(&id, "alex", now_s + 1);
    let wrong = Person::new("alex", "wrong");
    assert_eq!(
        tried(&wrong, &server, later).await,
        Err(Status::Refused),
        "no password"
    );
    // The lock was lifted all the same, and the guess counted.
    alex.log_in(&server)
        .await
        .map(drop)
        .map_err(|it| it.code)
        .unwrap();
}
