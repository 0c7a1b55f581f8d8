use super::*;
use crate::words::examples::{git, hop, login, signify};
use crate::words::{Content, NotProved};

const LAPTOP: PairingId = PairingId([1; 8]);
const KEY: KeyId = KeyId([7; 32]);

fn commit(change: impl FnOnce(&mut Sign)) -> Asked {
    git(GitForm::Commit, |it| {
        it.origin = Origin {
            program: Some("/usr/bin/ssh-keygen".into()),
            parents: vec!["/usr/bin/git".into()],
            ..Origin::default()
        };
        change(it);
    })
}

fn intent(id: u8) -> Option<Intent> {
    Some(Intent {
        id: [id; 16],
        what: "git rebase".into(),
        count: None,
    })
}

/// Whether both are one question.
fn check(a: (&Asked, Option<Intent>), b: (&Asked, Option<Intent>), expected: bool) {
    let group =
        |(asked, intent): &(&Asked, Option<Intent>)| Group::of(LAPTOP, KEY, asked, intent.as_ref());
    let is_one = group(&a).is_some() && group(&a) == group(&b);
    assert_eq!(is_one, expected, "{a:?} and {b:?}");
}

#[test]
fn logins_of_one_account_at_one_host_by_one_way() {
    let one = login(|_| ());
    check((&one, None), (&one, None), true);
    let others: [fn(&mut Login); 7] = [
        |it| it.bound = Bound::ToSession,
        |it| it.user = "root".into(),
        |it| it.destination = Destination::Proved(hop("SHA256:two")),
        |it| it.way = vec![hop("SHA256:bastion")],
        |it| it.origin.is_background = true,
        |it| {
            it.destination = Destination::Proved(Hop {
                called: Called::Nameless,
                ..hop("SHA256:one")
            });
        },
        |it| it.destination = Destination::NotProved(NotProved::NoBind),
    ];
    for other in others {
        check((&one, None), (&login(other), None), false);
    }
    // Nobody knows where two unproved ones go.
    let unproved = login(|it| it.destination = Destination::NotProved(NotProved::NoBind));
    check((&unproved, None), (&unproved, None), false);
    check((&unproved, intent(1)), (&unproved, intent(1)), true);
}

#[test]
fn an_act_joins_hosts_but_not_classes() {
    let one = login(|_| ());
    let two = login(|it| it.destination = Destination::Proved(hop("SHA256:two")));
    check((&one, intent(1)), (&two, intent(1)), true);
    check((&one, intent(1)), (&two, intent(2)), false);
    check((&one, intent(1)), (&one, None), false);
    let others: [fn(&mut Login); 4] = [
        |it| it.user = "root".into(),
        |it| it.destination = Destination::NotProved(NotProved::NoBind),
        |it| it.way = vec![hop("SHA256:bastion")],
        |it| it.origin.is_background = true,
    ];
    for other in others {
        check((&one, intent(1)), (&login(other), intent(1)), false);
    }
    check((&one, intent(1)), (&commit(|_| ()), intent(1)), false);
}

#[test]
fn commits_of_one_program_that_can_be_read() {
    let one = commit(|_| ());
    check((&one, None), (&one, None), true);
    check((&one, intent(1)), (&one, intent(1)), true);
    let others: [fn(&mut Sign); 4] = [
        |it| it.origin.parents = vec!["/usr/bin/cron".into()],
        |it| it.content = Content::NotProved,
        |it| it.way = vec![hop("SHA256:bastion")],
        |it| it.origin.is_background = true,
    ];
    for other in others {
        check((&one, None), (&commit(other), None), false);
    }
    let tag = commit(|it| {
        it.content = Content::Git {
            form: GitForm::Tag,
            rows: vec![],
            message: String::new(),
            below: vec![],
        };
    });
    check((&one, intent(1)), (&tag, intent(1)), false);
    let hash = commit(|it| it.content = Content::NotProved);
    check((&hash, None), (&hash, None), false);
    check((&hash, intent(1)), (&hash, intent(1)), true);
}

#[test]
fn two_pairings_or_keys_are_never_one_question() {
    let one = login(|_| ());
    let own = Group::of(LAPTOP, KEY, &one, None);
    assert_ne!(own, Group::of(PairingId([2; 8]), KEY, &one, None));
    assert_ne!(own, Group::of(LAPTOP, KeyId([8; 32]), &one, None));
    assert_eq!(
        Group::of(LAPTOP, KEY, &Asked::Hosts(1), intent(1).as_ref()),
        None
    );
}

/// Each has a file and a comment of its own, and a list in words shows neither whole.
#[test]
fn a_file_is_signed_by_a_look_of_its_own() {
    let one = signify(|_| ());
    check((&one, intent(1)), (&one, intent(1)), false);
}
