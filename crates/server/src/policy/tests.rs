//! One row a condition, at its borders.

use keystead_channel::session::requests::{Bytes, DigestName, Hours, SshSig};
use keystead_channel::session::{List, Octets, Text};

use super::*;

const NOTHING: Policy = Policy {
    users: None,
    host_keys: None,
    namespaces: None,
    unproved_destination: None,
    hours: None,
    hourly_max: None,
    quorum: None,
};

fn login(user: &str, host_key: Option<&[u8]>) -> SignFields {
    SignFields::SshLogin(SshLogin {
        session: Octets(vec![1; 32]),
        user: Text(user.to_owned()),
        algorithm: Text("ssh-ed25519".to_owned()),
        public_key: Octets(vec![2; 51]),
        host_key: host_key.map(|blob| Octets(blob.to_vec())),
    })
}

fn sig(namespace: &str) -> SignFields {
    SignFields::SshSig(SshSig {
        namespace: Text(namespace.to_owned()),
        hash_name: Text("sha512".to_owned()),
        hash: Octets(vec![3; 64]),
    })
}

fn message() -> SignFields {
    SignFields::Message(
        Bytes {
            bytes: Octets(vec![4; 8]),
        },
        DigestName::None,
    )
}

fn hash(blob: &[u8]) -> [u8; 32] {
    digest(&SHA256, blob).as_ref().try_into().unwrap()
}

#[test]
fn conditions_are_asked_of_their_own_purpose() {
    use Condition::{HostKeys, Namespaces, UnprovedDestination as Unproved, Users};
    let (here, there) = (Some(b"here".as_slice()), Some(b"there".as_slice()));
    let users = Policy {
        users: Some(List(vec![Text("alex".into()), Text("git".into())])),
        ..NOTHING
    };
    let nobody = Policy {
        users: Some(List(vec![])),
        ..NOTHING
    };
    let hosts = Policy {
        host_keys: Some(List(vec![hash(b"here")])),
        ..NOTHING
    };
    let namespaces = Policy {
        namespaces: Some(List(vec![Text("git".into())])),
        ..NOTHING
    };
    let unproved = |it| Policy {
        unproved_destination: Some(it),
        ..NOTHING
    };
    let allowed = unproved(UnprovedDestination::Allow);
    let refused = unproved(UnprovedDestination::Refuse);
    let both = Policy {
        host_keys: hosts.host_keys.clone(),
        ..allowed.clone()
    };
    let check = |policy: Option<&Policy>, fields: &SignFields, expected| {
        assert_eq!(
            check_fields(policy, fields),
            expected,
            "{policy:?} {fields:?}"
        );
    };
    check(None, &login("alex", here), Ok(()));
    check(None, &login("alex", None), Err(Unproved));
    check(None, &sig("git"), Ok(()));
    check(Some(&NOTHING), &login("alex", None), Err(Unproved));
    check(Some(&refused), &login("alex", None), Err(Unproved));
    check(Some(&allowed), &login("alex", None), Ok(()));
    check(Some(&users), &login("alex", here), Ok(()));
    check(Some(&users), &login("git", here), Ok(()));
    check(Some(&users), &login("Alex", here), Err(Users));
    check(Some(&users), &login("alexa", here), Err(Users));
    check(Some(&users), &login("root", None), Err(Users));
    check(Some(&users), &sig("git"), Ok(()));
    check(Some(&nobody), &login("alex", here), Err(Users));
    check(Some(&hosts), &login("root", here), Ok(()));
    check(Some(&hosts), &login("root", there), Err(HostKeys));
    check(Some(&hosts), &login("root", None), Err(HostKeys));
    check(Some(&both), &login("root", None), Err(HostKeys));
    check(Some(&hosts), &sig("git"), Ok(()));
    check(Some(&namespaces), &sig("git"), Ok(()));
    check(Some(&namespaces), &sig("file"), Err(Namespaces));
    check(Some(&namespaces), &login("alex", here), Ok(()));
    for policy in [&users, &nobody, &hosts, &namespaces, &refused] {
        check(Some(policy), &message(), Ok(()));
    }
}

/// Monday, 5 January 2026, 00:00 UTC.
const MONDAY_MS: u64 = 1_767_571_200_000;

const MINUTE_MS: u64 = 60_000;

#[track_caller]
fn check_hours(hours: (u32, u32, u32), at: (u64, u64), expected: bool) {
    let (weekdays, from_minute, to_minute) = hours;
    let hours = Some(Hours {
        weekdays,
        from_minute,
        to_minute,
    });
    let policy = Policy { hours, ..NOTHING };
    let (day, minute) = at;
    let now = MONDAY_MS + (day * 1_440 + minute) * MINUTE_MS;
    let expected = if expected {
        Ok(())
    } else {
        Err(Condition::Hours)
    };
    for ms in [0, MINUTE_MS - 1] {
        assert_eq!(
            check_time(Some(&policy), now + ms, 0),
            expected,
            "{hours:?} {at:?}"
        );
    }
}

#[test]
fn hours_end_before_their_last_minute() {
    let work = (0b001_1111, 540, 1_020);
    for day in 0..5 {
        check_hours(work, (day, 539), false);
        check_hours(work, (day, 540), true);
        check_hours(work, (day, 1_019), true);
        check_hours(work, (day, 1_020), false);
    }
    for day in 5..7 {
        check_hours(work, (day, 700), false);
    }
}

#[test]
fn hours_over_midnight_belong_to_the_day_on_which_they_began() {
    let friday_night = (0b001_0000, 1_320, 120);
    check_hours(friday_night, (4, 1_319), false);
    check_hours(friday_night, (4, 1_320), true);
    check_hours(friday_night, (4, 1_439), true);
    check_hours(friday_night, (5, 0), true);
    check_hours(friday_night, (5, 119), true);
    check_hours(friday_night, (5, 120), false);
    check_hours(friday_night, (4, 0), false);
    check_hours(friday_night, (5, 1_320), false);
    // Sunday's night ends on Monday.
    let sunday_night = (0b100_0000, 1_320, 120);
    check_hours(sunday_night, (6, 1_320), true);
    check_hours(sunday_night, (0, 119), true);
    check_hours(sunday_night, (0, 120), false);
    // A whole day, from its middle to its middle, and by the clock.
    check_hours((0b000_0001, 720, 720), (0, 719), false);
    check_hours((0b000_0001, 720, 720), (0, 720), true);
    check_hours((0b000_0001, 720, 720), (1, 719), true);
    check_hours((0b000_0001, 720, 720), (1, 720), false);
    check_hours((0b000_0001, 0, 1_440), (0, 1_439), true);
    check_hours((0b000_0001, 0, 1_440), (1, 0), false);
}

#[test]
fn the_hour_is_used_up_at_its_number() {
    let check = |max, count, expected: bool| {
        let policy = Policy {
            hourly_max: Some(max),
            ..NOTHING
        };
        let expected = if expected {
            Ok(())
        } else {
            Err(Condition::HourlyMax)
        };
        assert_eq!(check_time(Some(&policy), MONDAY_MS, count), expected);
    };
    check(0, 0, false);
    check(1, 0, true);
    check(1, 1, false);
    check(100, 99, true);
    check(100, 100, false);
    check(u32::MAX, u32::MAX, false);
    assert_eq!(check_time(None, MONDAY_MS, u32::MAX), Ok(()));
    assert_eq!(hour_of(MONDAY_MS - 1) + 1, hour_of(MONDAY_MS));
    assert_eq!(hour_of(MONDAY_MS), hour_of(MONDAY_MS + 60 * MINUTE_MS - 1));
}

#[test]
fn a_policy_that_nobody_can_meet_by_mistake_is_none() {
    let known = [ApproverId([1; 16]), ApproverId([2; 16])];
    let quorum = |ids: &[u8], count| {
        let approvers = List(ids.iter().map(|id| ApproverId([*id; 16])).collect());
        let quorum = Some(Quorum { approvers, count });
        Policy { quorum, ..NOTHING }
    };
    let hours = |weekdays, from_minute, to_minute| {
        let hours = Some(Hours {
            weekdays,
            from_minute,
            to_minute,
        });
        Policy { hours, ..NOTHING }
    };
    let check = |policy: &Policy, expected: bool| {
        assert_eq!(super::check(policy, &known).is_ok(), expected, "{policy:?}");
    };
    check(&NOTHING, true);
    check(&quorum(&[1], 1), true);
    check(&quorum(&[1, 2], 2), true);
    check(&quorum(&[2, 1], 1), true);
    check(&quorum(&[1, 2], 3), false);
    check(&quorum(&[1, 2], 0), false);
    check(&quorum(&[], 0), false);
    check(&quorum(&[1, 1], 1), false);
    check(&quorum(&[1, 3], 1), false);
    check(&hours(0x7f, 0, 1_440), true);
    check(&hours(1, 1_439, 0), true);
    check(&hours(0, 0, 1_440), false);
    check(&hours(0x80, 0, 1_440), false);
    check(&hours(1, 1_440, 0), false);
    check(&hours(1, 0, 1_441), false);
}
