use keystead_core::{Intent, Name, Outcome};
use keystead_daemon::MemoryDisk;

use super::*;
use crate::words::examples::{git, hop, login};
use crate::words::{
    Asked, Bound, Called, Content, Destination, GitForm, Hop, Login, MakeKey, NotProved,
};

const LAPTOP: PairingId = PairingId([1; 8]);
const KEY: KeyId = KeyId([7; 32]);
const NOW: Now = Now {
    mono_ms: 1_000_000,
    unix_s: 1_700_000_000,
};
const TERM: Term = Term {
    lasts_s: 3_600,
    count_max: 3,
};

fn intent(id: u8) -> Intent {
    Intent {
        id: [id; 16],
        what: "git rebase".into(),
        count: Some(14),
    }
}

fn words() -> Words {
    Words {
        workstation: "laptop".into(),
        key: Some("main".into()),
        what: "alex@db1".into(),
    }
}

/// As the holder makes it from a request of the laptop for `KEY`.
fn wanted(asked: &Asked, key_use: KeyUse) -> Wanted {
    Wanted {
        pairing: LAPTOP,
        key: KEY,
        is_background: asked.origin().is_some_and(|it| it.is_background),
        scope: Scope::of(asked, key_use),
        act: Scope::of_act(asked, key_use, &intent(1)),
    }
}

fn granted(asked: &Asked) -> (Grants, u64) {
    let mut grants = Grants::default();
    let wanted = wanted(asked, KeyUse::Free);
    let scope = wanted.scope.clone().unwrap();
    let id = grants
        .grant(
            (&wanted, scope),
            TERM,
            words(),
            NOW,
            &mut MemoryDisk::default(),
        )
        .unwrap();
    (grants, id)
}

fn later(seconds: u64) -> Now {
    Now {
        mono_ms: NOW.mono_ms + seconds * 1_000,
        unix_s: NOW.unix_s + seconds,
    }
}

/// Whether the grant made from `granted_for` covers `asked`.
fn check(granted_for: &Asked, asked: &Asked, expected: bool) {
    let (grants, _) = granted(granted_for);
    let found = grants.find(&wanted(asked, KeyUse::Free), NOW);
    assert_eq!(found.is_some(), expected, "{granted_for:?} for {asked:?}");
}

#[test]
fn a_login_is_covered_by_the_same_and_by_nothing_else() {
    let own = login(|_| ());
    check(&own, &own, true);
    // Its name is for people: the key is what is granted.
    check(
        &own,
        &login(|it| {
            it.destination = Destination::Proved(Hop {
                called: Called::Nameless,
                ..hop("SHA256:one")
            })
        }),
        true,
    );
    type Change = fn(&mut Login);
    let others: [(&str, Change); 8] = [
        ("bound to its session alone", |it| {
            it.bound = Bound::ToSession
        }),
        ("user", |it| it.user = "root".into()),
        ("user by case", |it| it.user = "Alex".into()),
        ("host key", |it| {
            it.destination = Destination::Proved(hop("SHA256:two"))
        }),
        ("not proved", |it| {
            it.destination = Destination::NotProved(NotProved::NoBind)
        }),
        ("forwarded", |it| {
            it.destination = Destination::NotProved(NotProved::Forwarded);
            it.way = vec![hop("SHA256:one")];
        }),
        ("behind a hop", |it| it.way = vec![hop("SHA256:bastion")]),
        ("background", |it| it.origin.is_background = true),
    ];
    for (what, other) in others {
        let other = login(other);
        assert_ne!(own, other, "{what}");
        check(&own, &other, false);
    }
    for other in [git(GitForm::Commit, |_| ()), git(GitForm::Tag, |_| ())] {
        check(&own, &other, false);
    }
}

#[test]
fn a_forwarded_path_is_covered_whole_or_not_at_all() {
    let path = |hops: &[&str]| {
        let way: Vec<Hop> = hops.iter().map(|it| hop(it)).collect();
        login(|it| it.way = way)
    };
    let named = path(&["SHA256:a", "SHA256:b"]);
    check(&named, &named, true);
    for other in [
        path(&[]),
        path(&["SHA256:a"]),
        path(&["SHA256:b"]),
        path(&["SHA256:b", "SHA256:a"]),
        path(&["SHA256:a", "SHA256:b", "SHA256:c"]),
        path(&["SHA256:a", "SHA256:c"]),
    ] {
        check(&named, &other, false);
    }
    let forwarded = |hops: &[&str]| {
        let way: Vec<Hop> = hops.iter().map(|it| hop(it)).collect();
        git(GitForm::Commit, |it| it.way = way)
    };
    check(&forwarded(&["SHA256:a"]), &forwarded(&["SHA256:a"]), true);
    check(&forwarded(&["SHA256:a"]), &forwarded(&[]), false);
    check(&forwarded(&[]), &forwarded(&["SHA256:a"]), false);
}

#[test]
fn commits_and_tags_are_two_kinds_and_only_proved_ones_count() {
    let commit = git(GitForm::Commit, |_| ());
    check(&commit, &commit, true);
    check(&commit, &git(GitForm::Tag, |_| ()), false);
    let contents = [
        Content::NotProved,
        Content::Differs,
        Content::Unreadable { bytes: 9 },
    ];
    for content in contents {
        check(
            &commit,
            &git(GitForm::Commit, |it| it.content = content),
            false,
        );
    }
    check(
        &commit,
        &git(GitForm::Commit, |it| it.origin.is_background = true),
        false,
    );
    check(&commit, &login(|_| ()), false);
}

#[test]
fn a_background_grant_is_for_the_background_alone() {
    let background = login(|it| it.origin.is_background = true);
    check(&background, &background, true);
    check(&background, &login(|_| ()), false);
}

#[test]
fn what_may_never_be_granted() {
    let never = [
        login(|it| it.destination = Destination::NotProved(NotProved::NoBind)),
        login(|it| it.destination = Destination::NotProved(NotProved::Forwarded)),
        git(GitForm::Commit, |it| it.content = Content::NotProved),
        git(GitForm::Commit, |it| it.namespace = "file".into())
            .purpose()
            .map_or(Asked::Hosts(0), |_| Asked::Hosts(0)),
        Asked::Hosts(3),
        Asked::MakeKey(MakeKey {
            name: Name::new("b").unwrap(),
            algorithm: "ed25519",
            purposes: Vec::new(),
        }),
    ];
    for asked in &never {
        assert_eq!(Scope::of(asked, KeyUse::Free), None, "{asked:?}");
        assert_eq!(Scope::of_act(asked, KeyUse::Free, &intent(1)), None);
    }
    // Whatever it is: a presence key, and one that was brought with `confirm`.
    for asked in [login(|_| ()), git(GitForm::Commit, |_| ())] {
        assert_eq!(Scope::of(&asked, KeyUse::AskEachTime), None);
        assert_eq!(Scope::of_act(&asked, KeyUse::AskEachTime, &intent(1)), None);
        let (grants, _) = granted(&asked);
        assert_eq!(grants.find(&wanted(&asked, KeyUse::AskEachTime), NOW), None);
    }
    // And no grant is made for what a request has not.
    let mut grants = Grants::default();
    let wanted = wanted(&never[0], KeyUse::Free);
    let scope = Scope::Git {
        form: GitForm::Commit,
        path: vec![],
    };
    let made = grants.grant(
        (&wanted, scope),
        TERM,
        words(),
        NOW,
        &mut MemoryDisk::default(),
    );
    assert!(matches!(made, Err(GrantError::NotGrantable)));
}

#[test]
fn a_grant_is_of_one_pairing_and_one_key() {
    let asked = login(|_| ());
    let (grants, _) = granted(&asked);
    let own = wanted(&asked, KeyUse::Free);
    assert!(grants.find(&own, NOW).is_some());
    let pairing = PairingId([2; 8]);
    assert_eq!(
        grants.find(
            &Wanted {
                pairing,
                ..own.clone()
            },
            NOW
        ),
        None
    );
    let key = KeyId([8; 32]);
    assert_eq!(grants.find(&Wanted { key, ..own }, NOW), None);
}

#[test]
fn it_ends_by_either_clock_by_its_count_and_when_time_goes_back() {
    let asked = login(|_| ());
    let own = wanted(&asked, KeyUse::Free);
    let (grants, id) = granted(&asked);
    let is_live = |grants: &Grants, now: Now| grants.find(&own, now).is_some();
    assert!(is_live(&grants, later(3_599)));
    assert!(!is_live(&grants, later(3_600)));
    // One clock alone is enough.
    assert!(!is_live(
        &grants,
        Now {
            unix_s: NOW.unix_s,
            ..later(3_600)
        }
    ));
    assert!(!is_live(
        &grants,
        Now {
            mono_ms: NOW.mono_ms,
            ..later(3_600)
        }
    ));
    // The calendar was set back, a little and much.
    assert!(is_live(
        &grants,
        Now {
            unix_s: NOW.unix_s - 120,
            ..NOW
        }
    ));
    assert!(!is_live(
        &grants,
        Now {
            unix_s: NOW.unix_s - 121,
            ..NOW
        }
    ));
    let (mut grants, _) = (grants, ());
    for used in 1..=3 {
        assert!(is_live(&grants, NOW), "{used}");
        grants.note_use(id, used, NOW);
    }
    assert!(!is_live(&grants, NOW));
    assert_eq!(grants.end(NOW, &mut MemoryDisk::default()).len(), 1);
    assert!(grants.grants().is_empty());
}

#[test]
fn an_act_covers_its_count_and_is_remembered_to_its_end() {
    let commit = git(GitForm::Commit, |_| ());
    let own = wanted(&commit, KeyUse::Free);
    let act = own.act.clone().unwrap();
    let term = Term {
        lasts_s: 600,
        count_max: 13,
    };
    let mut disk = MemoryDisk::default();
    let mut grants = Grants::default();
    let id = grants
        .grant((&own, act), term, words(), NOW, &mut disk)
        .unwrap();
    for used in 1..=13 {
        assert_eq!(grants.find(&own, NOW).unwrap().id, id);
        assert!(!grants.is_act_over(&own, NOW));
        grants.note_use(id, used, NOW);
    }
    assert_eq!(grants.find(&own, NOW), None);
    assert!(grants.is_act_over(&own, NOW));
    assert!(grants.end(later(599), &mut disk).is_empty());
    assert!(!grants.is_act_over(&own, later(600)));
    assert_eq!(grants.end(later(600), &mut disk).len(), 1);
    // Another act, a tag, another path: nothing of it.
    let other_act = Wanted {
        act: Scope::of_act(&commit, KeyUse::Free, &intent(2)),
        ..own.clone()
    };
    assert!(!grants.is_act_over(&other_act, NOW));
    // A login is never a part of an act that is approved whole: the next host is another one.
    assert_eq!(
        Scope::of_act(&login(|_| ()), KeyUse::Free, &intent(1)),
        None
    );
    // And a restart asks again.
    let mut grants = Grants::default();
    let act = own.act.clone().unwrap();
    grants
        .grant((&own, act), term, words(), NOW, &mut disk)
        .unwrap();
    let read = Grants::load(NOW, &disk).unwrap();
    assert_eq!(read.find(&own, NOW), None);
    assert!(read.next_id() > 1);
}

#[test]
fn a_restart_knows_grants_by_the_file_and_uses_by_the_log() {
    let asked = login(|_| ());
    let own = wanted(&asked, KeyUse::Free);
    let mut disk = MemoryDisk::default();
    let mut grants = Grants::default();
    let scope = own.scope.clone().unwrap();
    let id = grants
        .grant((&own, scope), TERM, words(), NOW, &mut disk)
        .unwrap();
    let mut read = Grants::load(later(10), &disk).unwrap();
    assert_eq!(read.find(&own, later(10)).unwrap().left(), 3);
    let entry = |grant, used| Entry {
        grant: Some(grant),
        grant_used: Some(used),
        ..Entry::own(NOW.unix_s + 5, "sign", Outcome::Approve)
    };
    read.recall(&entry(id, 2));
    read.recall(&entry(id, 1));
    assert_eq!(read.find(&own, later(10)).unwrap().left(), 1);
    // A number that the log knows is not given again.
    read.recall(&entry(40, 1));
    assert_eq!(read.next_id(), 41);
    // The time went on while nothing ran; the steady clock began anew.
    let booted = |seconds| Now {
        mono_ms: 5,
        ..later(seconds)
    };
    assert!(
        Grants::load(booted(3_599), &disk)
            .unwrap()
            .find(&own, booted(3_599))
            .is_some()
    );
    assert!(
        Grants::load(booted(3_600), &disk)
            .unwrap()
            .find(&own, booted(3_600))
            .is_none()
    );
    // What is written is what was: every prefix is named as damage.
    let whole = disk.read(GRANTS_FILE).unwrap().unwrap();
    for len in 0..whole.len() - 1 {
        disk.plant(GRANTS_FILE, &whole[..len]);
        let error = Grants::load(NOW, &disk).unwrap_err().to_string();
        assert!(
            error.starts_with("the state file grants.json is damaged: "),
            "{error}"
        );
    }
}

#[test]
fn what_cannot_be_written_is_not_granted_and_not_revoked() {
    let asked = login(|_| ());
    let own = wanted(&asked, KeyUse::Free);
    let scope = own.scope.clone().unwrap();
    let mut disk = MemoryDisk::default();
    disk.faults.full_above_bytes = Some(10);
    let mut grants = Grants::default();
    let made = grants.grant((&own, scope), TERM, words(), NOW, &mut disk);
    assert!(matches!(made, Err(GrantError::Disk(_))));
    assert_eq!(grants.find(&own, NOW), None);
    let blocked = Blocked::of(&asked);
    let made = grants.block(LAPTOP, blocked.clone(), words(), NOW, &mut disk);
    assert!(matches!(made, Err(GrantError::Disk(_))));
    assert_eq!(grants.block_of(&LAPTOP, &blocked), None);
    let (mut grants, id) = granted(&asked);
    assert!(grants.revoke(|it, _| it == id, &mut disk).is_err());
    assert!(grants.find(&own, NOW).is_some());
    disk.faults.full_above_bytes = None;
    assert_eq!(grants.revoke(|it, _| it == id, &mut disk).unwrap(), 1);
    assert_eq!(grants.find(&own, NOW), None);
    assert_eq!(grants.revoke(|it, _| it == id, &mut disk).unwrap(), 0);
}

#[test]
fn the_same_again_takes_the_place_of_the_first() {
    let asked = login(|_| ());
    let own = wanted(&asked, KeyUse::Free);
    let (mut grants, first) = granted(&asked);
    grants.note_use(first, 3, NOW);
    let scope = own.scope.clone().unwrap();
    let second = grants
        .grant(
            (&own, scope),
            TERM,
            words(),
            NOW,
            &mut MemoryDisk::default(),
        )
        .unwrap();
    assert!(second > first);
    assert_eq!(grants.grants().len(), 1);
    assert_eq!(grants.find(&own, NOW).unwrap().left(), 3);
}

#[test]
fn terms_have_limits() {
    let asked = login(|_| ());
    let own = wanted(&asked, KeyUse::Free);
    let mut grants = Grants::default();
    let term = Term {
        lasts_s: u64::MAX,
        count_max: u32::MAX,
    };
    let scope = own.scope.clone().unwrap();
    grants
        .grant(
            (&own, scope),
            term,
            words(),
            NOW,
            &mut MemoryDisk::default(),
        )
        .unwrap();
    let grant = grants.find(&own, NOW).unwrap();
    assert_eq!(grant.ends_unix_s, NOW.unix_s + LASTS_S_MAX);
    assert_eq!(grant.count_max, COUNT_MAX);
}

#[test]
fn a_block_covers_every_way_to_ask_for_the_same() {
    let mut disk = MemoryDisk::default();
    let mut grants = Grants::default();
    let asked = login(|_| ());
    let id = grants
        .block(LAPTOP, Blocked::of(&asked), words(), NOW, &mut disk)
        .unwrap();
    let is_blocked = |grants: &Grants, pairing: PairingId, asked: &Asked| {
        grants.block_of(&pairing, &Blocked::of(asked)).is_some()
    };
    assert!(is_blocked(&grants, LAPTOP, &asked));
    assert!(is_blocked(
        &grants,
        LAPTOP,
        &login(|it| it.origin.is_background = true)
    ));
    assert!(is_blocked(
        &grants,
        LAPTOP,
        &login(|it| it.way = vec![hop("SHA256:a")])
    ));
    assert!(!is_blocked(
        &grants,
        LAPTOP,
        &login(|it| it.user = "root".into())
    ));
    assert!(!is_blocked(&grants, PairingId([2; 8]), &asked));
    let read = Grants::load(NOW, &disk).unwrap();
    assert_eq!(read.blocks(), grants.blocks());
    // Once is enough.
    assert_eq!(
        grants
            .block(LAPTOP, Blocked::of(&asked), words(), NOW, &mut disk)
            .unwrap(),
        id
    );
    assert_eq!(
        grants
            .revoke(|_, pairing| *pairing == LAPTOP, &mut disk)
            .unwrap(),
        1
    );
    assert!(!is_blocked(&grants, LAPTOP, &asked));
}
