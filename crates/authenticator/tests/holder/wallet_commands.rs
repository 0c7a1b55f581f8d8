//! What the holder does about wallets at the authenticator's own machine: records, searches, wrong
//! words.

use keystead_authenticator::control::{Command, IdentityLine, Reply, WalletDeed};
use keystead_authenticator::holder::{Decide, Event};
use keystead_authenticator::question::{Answer, Term};
use keystead_core::{Curve, Derivation, Evidence, Identity, Outcome, SecretBytes, SignForm};
use keystead_daemon::Disk;

use crate::wallet::{
    FINGERPRINT, WORDS, add_wallet, key_of, own_wallet, sign, ssh, to_sign, with_wallet,
};
use crate::world::{CALLER, World};

#[test]
fn identities_used_are_listed_again_after_a_restart() {
    let (mut world, mut laptop) = with_wallet(Decide::Approve);
    for uri in ["ssh://db1", "ssh://db2", "ssh://db1"] {
        key_of(&mut world, &mut laptop, &ssh(uri));
    }
    world.restart();
    let Some(Reply::Wallets(shown)) = world.command(Command::Wallet {
        deed: WalletDeed::Show,
    }) else {
        panic!("no wallets")
    };
    let [wallet] = shown.wallets.as_slice() else {
        panic!("{shown:?}")
    };
    assert_eq!(wallet.fingerprint, FINGERPRINT);
    let uris = |all: &[IdentityLine]| -> Vec<String> {
        all.iter().map(|it| it.identity.clone()).collect()
    };
    assert_eq!(
        uris(wallet.identities.as_deref().unwrap()),
        ["ssh://db1", "ssh://db2"]
    );

    // On another machine: the words alone, then the record, which its own wallet alone opens.
    let record = world.disk.read(&format!("wallet-{FINGERPRINT}.record"));
    let record = record.unwrap().unwrap();
    let import = |world: &mut World| {
        world.event(Event::Command {
            caller: CALLER,
            command: Command::Wallet {
                deed: WalletDeed::Import {
                    record_bytes: record.len(),
                },
            },
            passphrase: Some(SecretBytes::take(&mut record.clone())),
        });
        world.replies.pop().unwrap()
    };
    let mut restored = World::new(Decide::Ask);
    add_wallet(&mut restored, "other");
    assert!(matches!(import(&mut restored), Reply::Failed { .. }));
    add_wallet(&mut restored, "");
    assert!(matches!(import(&mut restored), Reply::Done { .. }));
    let Some(Reply::Wallets(shown)) = restored.command(Command::Wallet {
        deed: WalletDeed::Show,
    }) else {
        panic!("no wallets")
    };
    assert_eq!(
        uris(shown.wallets[1].identities.as_deref().unwrap()),
        ["ssh://db1", "ssh://db2"]
    );
}

#[test]
fn without_a_record_identities_are_found_by_host() {
    let mut world = World::new(Decide::Ask);
    add_wallet(&mut world, "");
    let used = Identity::new("ssh://alex@db1", Curve::Nist256p1, 2, Derivation::Sign).unwrap();
    let blob = own_wallet("").public_key(&used).unwrap().to_blob();
    let id = keystead_formats::ssh::key::key_id(&blob);
    let find = |index_max, keys: Vec<String>| Command::Wallet {
        deed: WalletDeed::Find {
            uris: vec!["ssh://db1".into(), "ssh://alex@db1".into()],
            index_max,
            keys,
        },
    };
    let Some(Reply::Identities { identities }) = world.command(find(3, vec![id.to_string()]))
    else {
        panic!("nothing found")
    };
    let [found] = identities.as_slice() else {
        panic!("{identities:?}")
    };
    assert_eq!(
        (found.identity.as_str(), found.index),
        ("ssh://alex@db1", 2)
    );
    let Some(Reply::Wallets(shown)) = world.command(Command::Wallet {
        deed: WalletDeed::Show,
    }) else {
        panic!("no wallets")
    };
    assert_eq!(shown.wallets[0].identities.as_ref().unwrap().len(), 1);
    let Some(Reply::Identities { identities }) = world.command(find(0, Vec::new())) else {
        panic!("nothing derived")
    };
    assert_eq!(identities.len(), 4, "two texts on two curves");
    assert!(matches!(
        world.command(find(9_999, Vec::new())),
        Some(Reply::Failed { .. })
    ));
}

/// As with a key that is removed: what comes again comes without what was granted before.
#[test]
fn a_wallet_that_comes_again_comes_without_grants() {
    let (mut world, mut laptop) = with_wallet(Decide::Ask);
    let release = Identity::new("signify://release", Curve::Ed25519, 0, Derivation::Sign).unwrap();
    let key = key_of(&mut world, &mut laptop, &release);
    let mut ask = |world: &mut World| {
        let content = to_sign().encode();
        let body = sign(
            key.id,
            Some(&release),
            SignForm::Minisign,
            content,
            Evidence::default(),
        );
        let asked = laptop.ask(world, body);
        world
            .questions
            .is_empty()
            .then(|| laptop.outcome(world, &asked))
    };
    assert_eq!(ask(&mut world), None);
    world.decide(Answer::Grant(Term {
        lasts_s: 3_600,
        count_max: 9,
    }));
    assert_eq!(ask(&mut world), Some(Some(Outcome::Approve)));
    let gone = world.command(Command::Wallet {
        deed: WalletDeed::Remove {
            fingerprint: FINGERPRINT.into(),
        },
    });
    assert!(matches!(gone, Some(Reply::Done { .. })));
    add_wallet(&mut world, "");
    assert_eq!(ask(&mut world), None);
}

/// Words that are wrong make nothing, and say which one.
#[test]
fn wrong_words_make_no_wallet() {
    let mut world = World::new(Decide::Ask);
    let wrong = WORDS.replacen("all", "alt", 1);
    let mut secret = wrong.as_bytes().to_vec();
    world.event(Event::Command {
        caller: CALLER,
        command: Command::Wallet {
            deed: WalletDeed::Add {
                words_bytes: wrong.len(),
                words_passphrase_bytes: 0,
            },
        },
        passphrase: Some(SecretBytes::take(&mut secret)),
    });
    let Some(Reply::Failed { message, .. }) = world.replies.pop() else {
        panic!("a wallet of wrong words")
    };
    assert_eq!(message, "word 1 is not in the English list");
    add_wallet(&mut world, "");
    assert!(matches!(add_wallet(&mut world, ""), Reply::Failed { .. }));
    let gone = world.command(Command::Wallet {
        deed: WalletDeed::Remove {
            fingerprint: FINGERPRINT.into(),
        },
    });
    assert!(matches!(gone, Some(Reply::Done { .. })));
    world.restart();
    assert_eq!(world.holder.keys().wallets().count(), 0);
}

#[test]
fn a_wallet_whose_record_stays_is_gone_all_the_same() {
    let mut world = World::new(Decide::Ask);
    add_wallet(&mut world, "");
    world.disk.faults.fail_remove = true;
    let gone = world.command(Command::Wallet {
        deed: WalletDeed::Remove {
            fingerprint: FINGERPRINT.into(),
        },
    });
    let Some(Reply::Failed { message, .. }) = gone else {
        panic!("{gone:?}")
    };
    assert!(
        message.contains("is gone from here, its record"),
        "{message}"
    );
    assert_eq!(world.holder.keys().wallets().count(), 0);
}
