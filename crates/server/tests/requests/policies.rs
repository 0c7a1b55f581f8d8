//! A policy holds for every signature, and its refusal is logged with its number.

use crate::on_both;

on_both! {
    each_condition_refuses_with_its_number,
    an_hour_is_used_up_once,
    the_log_says_which_policy_stands,
    a_policy_is_replaced_whole,
}

mod cases {
    use aws_lc_rs::digest::{SHA256, digest};
    use keystead_channel::log::Detail;
    use keystead_channel::session::requests::{
        DigestName, Hours, KeyPurpose, KeyType, Policy, Quorum, Request, UnprovedDestination,
    };
    use keystead_channel::session::{ApproverId, List, Status, Text};

    use crate::wants::*;
    use crate::world::{Database, Person, World};

    /// No weekday but one that is neither today nor yesterday.
    fn closed() -> Hours {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        let today = (now.as_secs() / 86_400 + 3) % 7;
        Hours {
            weekdays: 1 << ((today + 3) % 7),
            from_minute: 0,
            to_minute: 1_440,
        }
    }

    async fn refused_by(anna: &mut Person, request: &Request, condition: u32) {
        anna.refused(request, Status::Policy).await;
        let leaf = anna.last_leaf().await;
        assert_eq!(leaf.outcome, Status::Policy);
        assert_eq!(leaf.detail.condition, Some(condition));
        assert!(leaf.detail.purpose.is_some());
    }

    pub(super) async fn each_condition_refuses_with_its_number(database: Database) {
        let world = World::new(database).await;
        let mut anna = world.person("anna").await;
        let host = digest(&SHA256, b"host").as_ref().try_into().unwrap();
        let users = Some(List(vec![Text("alex".into())]));
        let policies = [
            (Policy { users, ..NO_POLICY }, 1),
            (
                Policy {
                    host_keys: Some(List(vec![host])),
                    ..NO_POLICY
                },
                2,
            ),
            (
                Policy {
                    namespaces: Some(List(vec![Text("git".into())])),
                    ..NO_POLICY
                },
                3,
            ),
            (
                Policy {
                    unproved_destination: Some(UnprovedDestination::Refuse),
                    ..NO_POLICY
                },
                4,
            ),
            (
                Policy {
                    hours: Some(closed()),
                    ..NO_POLICY
                },
                5,
            ),
            (
                Policy {
                    hourly_max: Some(0),
                    ..NO_POLICY
                },
                6,
            ),
        ];
        for (policy, condition) in policies {
            let mut made = make(&mut anna, KeyType::Ed25519, SSH);
            made.policy = Some(policy.clone());
            let (key, public) = anna.new_key(&Request::Make(made)).await;
            assert_eq!(anna.entry(key).await.policy, Some(policy));
            let good = login(key, &public, "alex", Some(b"host"));
            let bad = match condition {
                1 => login(key, &public, "root", Some(b"host")),
                2 => login(key, &public, "alex", Some(b"elsewhere")),
                3 => sshsig(key, "file"),
                4 => login(key, &public, "alex", None),
                _ => login(key, &public, "alex", Some(b"host")),
            };
            refused_by(&mut anna, &bad, condition).await;
            if condition <= 4 {
                anna.signature(&good).await;
                anna.signature(&sshsig(key, "git")).await;
            }
        }
        // Without a policy a destination that is not proved is refused, too.
        let made = make(&mut anna, KeyType::Ed25519, SSH);
        let (key, public) = anna.new_key(&Request::Make(made)).await;
        refused_by(&mut anna, &login(key, &public, "alex", None), 4).await;
    }

    pub(super) async fn an_hour_is_used_up_once(database: Database) {
        let world = World::new(database).await;
        let mut anna = world.person("anna").await;
        let mut made = make(&mut anna, KeyType::Ed25519, &[KeyPurpose::Message]);
        made.policy = Some(Policy {
            hourly_max: Some(3),
            ..NO_POLICY
        });
        let (key, _) = anna.new_key(&Request::Make(made)).await;
        // Twelve at the same time, of whom some fall into one batch.
        let subs: Vec<u64> = (0..12_u8)
            .map(|it| anna.begin(&message(key, &[it], DigestName::None)))
            .collect();
        let mut signed = 0;
        for sub in subs {
            let answer = anna.answer(sub).await;
            if answer.status == Status::Done {
                signed += 1;
            } else {
                assert_eq!(answer.status, Status::Policy);
            }
        }
        // On the border of an hour three more may be signed.
        assert!(signed == 3 || signed == 6, "{signed}");
        refused_by(&mut anna, &message(key, b"more", DigestName::None), 6).await;
        // Its owner still has it, and changes the policy.
        let more = Policy {
            hourly_max: Some(1_000),
            ..NO_POLICY
        };
        anna.done(&policy(key, more)).await;
        anna.signature(&message(key, b"more", DigestName::None))
            .await;
    }

    pub(super) async fn the_log_says_which_policy_stands(database: Database) {
        let world = World::new(database).await;
        let mut anna = world.person("anna").await;
        let hourly = |hourly_max| Policy {
            hourly_max: Some(hourly_max),
            ..NO_POLICY
        };
        // A map of one: key 6, 3.
        let three = digest(&SHA256, &[0xa1, 6, 3]).as_ref().try_into().ok();
        let said = async |anna: &mut Person| anna.last_leaf().await.detail.policy;
        let mut made = make(&mut anna, KeyType::Ed25519, SSH);
        let (key, _) = anna.new_key(&Request::Make(made)).await;
        assert_eq!(said(&mut anna).await, None);
        anna.done(&policy(key, hourly(3))).await;
        assert_eq!(said(&mut anna).await, three);
        anna.done(&policy(key, NO_POLICY)).await;
        let empty = Detail::policy_hash(&NO_POLICY);
        assert_eq!(said(&mut anna).await, Some(empty));
        made = make(&mut anna, KeyType::Ed25519, SSH);
        made.policy = Some(hourly(3));
        anna.new_key(&Request::Make(made)).await;
        assert_eq!(said(&mut anna).await, three);
        let mut taken = import(&mut anna, KeyType::Ed25519, &[7; 32], SSH);
        taken.policy = Some(hourly(3));
        anna.new_key(&Request::Import(taken)).await;
        assert_eq!(said(&mut anna).await, three);
        // What does not stand is not said.
        let nobody = Policy {
            quorum: Some(Quorum {
                approvers: List(vec![ApproverId([1; 16])]),
                count: 1,
            }),
            ..NO_POLICY
        };
        anna.refused(&policy(key, nobody), Status::Malformed).await;
        assert_eq!(said(&mut anna).await, None);
    }

    pub(super) async fn a_policy_is_replaced_whole(database: Database) {
        let world = World::new(database).await;
        let mut anna = world.person("anna").await;
        let made = make(&mut anna, KeyType::Ed25519, SSH);
        let (key, public) = anna.new_key(&Request::Make(made)).await;
        let allowed = Policy {
            unproved_destination: Some(UnprovedDestination::Allow),
            ..NO_POLICY
        };
        anna.done(&policy(key, allowed.clone())).await;
        assert_eq!(anna.entry(key).await.policy, Some(allowed));
        anna.signature(&login(key, &public, "alex", None)).await;
        anna.done(&policy(key, NO_POLICY)).await;
        refused_by(&mut anna, &login(key, &public, "alex", None), 4).await;
        // One that cannot be.
        let nobody = Policy {
            quorum: Some(Quorum {
                approvers: List(vec![ApproverId([1; 16])]),
                count: 1,
            }),
            ..NO_POLICY
        };
        anna.refused(&policy(key, nobody.clone()), Status::Malformed)
            .await;
        let mut made = make(&mut anna, KeyType::Ed25519, SSH);
        made.policy = Some(nobody);
        anna.refused(&Request::Make(made), Status::Malformed).await;
    }
}
