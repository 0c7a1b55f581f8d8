//! What approvers must agree to waits for them, and happens once.

use crate::on_both;

on_both! {
    a_signature_waits_for_its_approver,
    what_waits_has_its_room,
    an_approval_counts_once_and_for_its_request_alone,
    an_approval_that_comes_late_is_none,
    two_of_three_must_agree,
    policy_and_key_are_behind_the_same_approval,
    an_approver_who_was_removed_meanwhile_counts_no_more,
    approvers_change_with_the_approval_of_one,
    a_recovery_begins_with_the_code_and_any_approver_ends_it,
}

mod cases {
    use keystead_channel::log::Action;
    use keystead_channel::session::requests::{
        Answer, Approve, Approver, ApproverChange, Approvers, Intent, KeyType, Method, Policy,
        Quorum, RecoveryStep, Request, Signed,
    };
    use keystead_channel::session::{
        Approval, ApproverId, KeyId, List, Status, Text, approval_hash,
    };
    use keystead_core::SecretBytes;
    use keystead_server::ledger::{Act, Decided};
    use keystead_server::rows::{AccountNo, Rows};
    use keystead_server::store::{Now, Wanted};
    use keystead_vault::held::{HeldKey, Kind, ToSign};

    use crate::wants::*;
    use crate::world::{Database, Person, World, code, leaf};

    /// An authenticator's approval key.
    struct Authenticator(HeldKey);

    impl Authenticator {
        fn new(seed: u8) -> Self {
            let seed = SecretBytes::take(&mut [seed; 32]);
            Self(HeldKey::import(Kind::Ed25519, seed).unwrap())
        }

        fn key(&self) -> [u8; 32] {
            self.0.public_key().unwrap().try_into().unwrap()
        }

        fn id(&self) -> ApproverId {
            ApproverId::of(&self.key())
        }

        fn add(&self) -> Request {
            change(|it| {
                it.add = Some(Approver {
                    public_key: self.key(),
                    label: Text("kitchen".into()),
                });
            })
        }

        /// Reads the text as an authenticator does, and signs it.
        fn approve(&self, sub: u64, text: &[u8]) -> Request {
            let (approval, _) = Approval::read(text).unwrap();
            assert_eq!(approval.encode(), text);
            let signature = self.0.sign(&ToSign::Message(text)).unwrap();
            Request::Approve(Approve {
                sub,
                approver: self.id(),
                signature: signature.try_into().unwrap(),
            })
        }
    }

    fn change(set: impl FnOnce(&mut ApproverChange)) -> Request {
        let mut change = ApproverChange {
            add: None,
            remove: None,
            recovery_code: None,
            recovery: None,
        };
        set(&mut change);
        Request::Approvers(change)
    }

    fn remove(id: ApproverId) -> Request {
        change(|it| it.remove = Some(id))
    }

    fn begin_recovery() -> Request {
        change(|it| it.recovery_code = Some(code()))
    }

    fn call_off() -> Request {
        change(|it| it.recovery = Some(RecoveryStep::Cancel))
    }

    fn quorum(of: &[&Authenticator], count: u32) -> Policy {
        let approvers = List(of.iter().map(|it| it.id()).collect());
        Policy {
            quorum: Some(Quorum { approvers, count }),
            ..NO_POLICY
        }
    }

    /// The text that an answer asks to have approved.
    fn text(answer: &Answer) -> Vec<u8> {
        assert_eq!(answer.status, Status::Waiting);
        let result = answer.result.as_ref().unwrap().expose();
        minicbor::Decoder::new(result).bytes().unwrap().to_vec()
    }

    fn status_of(answer: Answer) -> Status {
        answer.status
    }

    async fn waits(anna: &mut Person, request: &Request) -> (u64, Vec<u8>) {
        let sub = anna.begin(request);
        let answer = anna.answer(sub).await;
        (sub, text(&answer))
    }

    /// Approved by `by`, in this order, and done.
    async fn approved(anna: &mut Person, request: &Request, by: &[&Authenticator]) -> Answer {
        let (sub, text) = waits(anna, request).await;
        for it in by {
            anna.done(&it.approve(sub, &text)).await;
        }
        anna.answer(sub).await
    }

    async fn add(anna: &mut Person, first: &Authenticator, others: &[&Authenticator]) {
        anna.done(&first.add()).await;
        for it in others {
            assert_eq!(
                status_of(approved(anna, &it.add(), &[first]).await),
                Status::Done
            );
        }
    }

    async fn key_of(anna: &mut Person, policy: Policy) -> KeyId {
        let mut made = make(anna, KeyType::Ed25519, SSH);
        made.policy = Some(policy);
        anna.new_key(&Request::Make(made)).await.0
    }

    pub(super) async fn a_signature_waits_for_its_approver(database: Database) {
        let world = World::new(database).await;
        let mut anna = world.person("anna").await;
        let hers = Authenticator::new(1);
        add(&mut anna, &hers, &[]).await;
        let key = key_of(&mut anna, quorum(&[&hers], 1)).await;
        let request = sshsig(key, "git");
        let (sub, text) = waits(&mut anna, &request).await;
        let (approval, asked) = Approval::read(&text).unwrap();
        assert_eq!(approval.server, world.server.server_id);
        assert_eq!((approval.user, approval.method), (anna.user, Method::Sign));
        assert!(approval.public_key.is_some() && approval.label.is_some());
        let Request::Sign(asked) = asked else {
            panic!("another request")
        };
        assert_eq!(asked.key, key);
        let leaf_of_wait = anna.last_leaf().await;
        assert_eq!(leaf_of_wait.outcome, Status::Waiting);
        // Other requests go on meanwhile.
        anna.entry(key).await;
        let approve = hers.approve(sub, &text);
        anna.done(&approve).await;
        let answer = anna.answer(sub).await;
        assert_eq!(answer.status, Status::Done);
        Signed::decode(answer.result.unwrap().expose()).unwrap();
        let leaf = leaf(&answer.receipt.unwrap());
        let Request::Approve(given) = approve else {
            panic!("another request")
        };
        let hash = approval_hash(&text, &[given.signature]);
        assert_eq!(leaf.action, Action::Method(Method::Sign));
        assert_eq!((leaf.key, leaf.detail.approval), (key.0, Some(hash)));
        assert_eq!(leaf.request_hash, approval.request_hash);
    }

    /// All sessions of the server together hold so much and no more.
    pub(super) async fn what_waits_has_its_room(database: Database) {
        let world = World::new(database).await;
        let mut anna = world.person("anna").await;
        let hers = Authenticator::new(1);
        add(&mut anna, &hers, &[]).await;
        let key = key_of(&mut anna, quorum(&[&hers], 1)).await;
        let request = sshsig(key, "git");
        let room = &world.server.approval_room;
        let whole = room.available_permits();
        let (sub, text) = waits(&mut anna, &request).await;
        let taken = text.len().div_ceil(1_024);
        assert_eq!(room.available_permits(), whole - taken);
        let others = room.try_acquire_many(u32::try_from(whole - taken).unwrap());
        anna.refused(&request, Status::Busy).await;
        drop(others.unwrap());
        let (other, _) = waits(&mut anna, &request).await;
        anna.done(&hers.approve(sub, &text)).await;
        assert_eq!(status_of(anna.answer(sub).await), Status::Done);
        assert_eq!(room.available_permits(), whole - taken);
        assert_ne!(sub, other);
    }

    pub(super) async fn an_approval_counts_once_and_for_its_request_alone(database: Database) {
        let world = World::new(database).await;
        let mut anna = world.person("anna").await;
        let mut eve = world.person("eve").await;
        let (hers, stranger) = (Authenticator::new(1), Authenticator::new(2));
        add(&mut anna, &hers, &[]).await;
        add(&mut eve, &stranger, &[]).await;
        let key = key_of(&mut anna, quorum(&[&hers], 1)).await;
        let (first, first_text) = waits(&mut anna, &sshsig(key, "git")).await;
        let (second, second_text) = waits(&mut anna, &sshsig(key, "git")).await;
        assert_ne!(first_text, second_text, "one nonce, one act");
        for wrong in [
            hers.approve(first, &second_text),
            hers.approve(second, &first_text),
            hers.approve(99, &first_text),
            stranger.approve(first, &first_text),
        ] {
            anna.refused(&wrong, Status::Approval).await;
            assert_eq!(anna.last_leaf().await.outcome, Status::Approval);
        }
        // In another session, of another person too.
        eve.refused(&hers.approve(first, &first_text), Status::Approval)
            .await;
        let right = hers.approve(first, &first_text);
        anna.done(&right).await;
        assert_eq!(status_of(anna.answer(first).await), Status::Done);
        anna.refused(&right, Status::Approval).await;
        anna.done(&hers.approve(second, &second_text)).await;
        assert_eq!(status_of(anna.answer(second).await), Status::Done);
    }

    pub(super) async fn an_approval_that_comes_late_is_none(database: Database) {
        let world = World::with(database, |settings| settings.sessions.approval_s = 1).await;
        let mut anna = world.person("anna").await;
        let hers = Authenticator::new(1);
        add(&mut anna, &hers, &[]).await;
        let key = key_of(&mut anna, quorum(&[&hers], 1)).await;
        let (sub, text) = waits(&mut anna, &sshsig(key, "git")).await;
        assert_eq!(status_of(anna.answer(sub).await), Status::Approval);
        let leaf = anna.last_leaf().await;
        assert_eq!(leaf.action, Action::Method(Method::Sign));
        assert_eq!((leaf.outcome, leaf.key), (Status::Approval, key.0));
        anna.refused(&hers.approve(sub, &text), Status::Approval)
            .await;
    }

    pub(super) async fn two_of_three_must_agree(database: Database) {
        let world = World::new(database).await;
        let mut anna = world.person("anna").await;
        let people = [1, 2, 3].map(Authenticator::new);
        let [one, two, three] = &people;
        add(&mut anna, one, &[two, three]).await;
        let key = key_of(&mut anna, quorum(&[one, two, three], 2)).await;
        let (sub, text) = waits(&mut anna, &sshsig(key, "git")).await;
        anna.done(&one.approve(sub, &text)).await;
        anna.refused(&one.approve(sub, &text), Status::Approval)
            .await;
        anna.done(&three.approve(sub, &text)).await;
        assert_eq!(status_of(anna.answer(sub).await), Status::Done);
        // With two of them gone nobody can agree any more.
        for gone in [one, two] {
            let answer = approved(&mut anna, &remove(gone.id()), &[three]).await;
            assert_eq!(answer.status, Status::Done);
        }
        anna.refused(&sshsig(key, "git"), Status::Policy).await;
        let leaf = anna.last_leaf().await;
        assert_eq!(leaf.detail.condition, Some(7));
    }

    pub(super) async fn policy_and_key_are_behind_the_same_approval(database: Database) {
        let world = World::new(database).await;
        let mut anna = world.person("anna").await;
        let (hers, other) = (Authenticator::new(1), Authenticator::new(2));
        add(&mut anna, &hers, &[&other]).await;
        let key = key_of(&mut anna, quorum(&[&hers], 1)).await;
        anna.value(&retrieve(key, Intent::Null, KeyType::Ed25519))
            .await;
        let (sub, text) = waits(&mut anna, &export(key, KeyType::Ed25519)).await;
        anna.refused(&other.approve(sub, &text), Status::Approval)
            .await;
        anna.done(&hers.approve(sub, &text)).await;
        assert_eq!(status_of(anna.answer(sub).await), Status::Done);
        // The policy changes while a request waits: what was approved is not what stands.
        let (sub, text) = waits(&mut anna, &sshsig(key, "git")).await;
        let looser = policy(key, quorum(&[&hers, &other], 1));
        let answer = approved(&mut anna, &looser, &[&hers]).await;
        assert_eq!(answer.status, Status::Done);
        anna.done(&hers.approve(sub, &text)).await;
        assert_eq!(status_of(anna.answer(sub).await), Status::Conflict);
        let answer = approved(&mut anna, &policy(key, NO_POLICY), &[&other]).await;
        assert_eq!(answer.status, Status::Done);
        anna.signature(&sshsig(key, "git")).await;
        // A secret has approvers, too.
        let mut made = make(&mut anna, KeyType::Arbitrary, &[]);
        made.policy = Some(quorum(&[&hers], 1));
        let (secret, _) = anna.new_key(&Request::Make(made)).await;
        let answer = approved(&mut anna, &export(secret, KeyType::Arbitrary), &[&hers]).await;
        assert_eq!(answer.status, Status::Done);
    }

    pub(super) async fn an_approver_who_was_removed_meanwhile_counts_no_more(database: Database) {
        let world = World::new(database).await;
        let mut anna = world.person("anna").await;
        let (stolen, other) = (Authenticator::new(1), Authenticator::new(2));
        add(&mut anna, &stolen, &[&other]).await;
        let key = key_of(&mut anna, quorum(&[&stolen], 1)).await;
        let (sub, text) = waits(&mut anna, &export(key, KeyType::Ed25519)).await;
        let answer = approved(&mut anna, &remove(stolen.id()), &[&other]).await;
        assert_eq!(answer.status, Status::Done);
        anna.ask(&stolen.approve(sub, &text)).await;
        assert_eq!(status_of(anna.answer(sub).await), Status::Conflict);
    }

    pub(super) async fn approvers_change_with_the_approval_of_one(database: Database) {
        let world = World::new(database).await;
        let mut anna = world.person("anna").await;
        let (hers, other) = (Authenticator::new(1), Authenticator::new(2));
        let list = change(|_| ());
        let listed = |bytes: &[u8]| Approvers::decode(bytes).unwrap().approvers.0;
        assert!(listed(&anna.done(&list).await).is_empty());
        assert_eq!(listed(&anna.done(&hers.add()).await).len(), 1);
        anna.refused(&hers.add(), Status::Conflict).await;
        anna.refused(&remove(other.id()), Status::NotFound).await;
        let answer = approved(&mut anna, &other.add(), &[&hers]).await;
        assert_eq!(listed(answer.result.unwrap().expose()).len(), 2);
        let leaf = leaf(&answer.receipt.unwrap());
        assert_eq!(leaf.detail.approver, Some(other.id()));
        assert!(leaf.detail.approval.is_some());
        let both = change(|it| {
            it.remove = Some(hers.id());
            it.recovery = Some(RecoveryStep::Cancel);
        });
        anna.refused(&both, Status::Malformed).await;
        anna.resume().await;
        anna.refused(&remove(hers.id()), Status::FreshLogin).await;
        anna.log_in().await;
        let answer = approved(&mut anna, &remove(hers.id()), &[&other]).await;
        assert_eq!(listed(answer.result.unwrap().expose()).len(), 1);
        anna.done(&list).await;
    }

    pub(super) async fn a_recovery_begins_with_the_code_and_any_approver_ends_it(
        database: Database,
    ) {
        let world = World::new(database).await;
        let mut anna = world.person("anna").await;
        let (hers, other) = (Authenticator::new(1), Authenticator::new(2));
        add(&mut anna, &hers, &[&other]).await;
        let key = key_of(&mut anna, quorum(&[&hers], 1)).await;
        let wrong = change(|it| {
            it.recovery_code = Some(keystead_core::Secret::fill(|bytes| bytes.fill(1)));
        });
        anna.refused(&wrong, Status::Refused).await;
        anna.refused(&call_off(), Status::NotFound).await;
        let begun = Approvers::decode(&anna.done(&begin_recovery()).await).unwrap();
        let from_ms = begun.recovery_unix_ms.unwrap();
        let leaf = anna.last_leaf().await;
        assert_eq!(leaf.detail.verb, Some(Text("recovery begun".into())));
        assert_eq!(from_ms, leaf.time_unix_ms + 72 * 3_600_000);
        anna.refused(&begin_recovery(), Status::Refused).await;
        // It is not in force yet, and an approver ends it.
        waits(&mut anna, &export(key, KeyType::Ed25519)).await;
        let answer = approved(&mut anna, &call_off(), &[&other]).await;
        assert_eq!(answer.status, Status::Done);
        began(&world, anna.user, 72 * 3_600_000 - 60_000).await;
        waits(&mut anna, &export(key, KeyType::Ed25519)).await;
        began(&world, anna.user, 10 * 24 * 3_600_000).await;
        waits(&mut anna, &export(key, KeyType::Ed25519)).await;
        // After 72 hours it stands for the approval, but signs nothing.
        began(&world, anna.user, 72 * 3_600_000).await;
        waits(&mut anna, &sshsig(key, "git")).await;
        anna.value(&export(key, KeyType::Ed25519)).await;
        let leaf = anna.last_leaf().await;
        assert_eq!(leaf.detail.verb, Some(Text("recovered".into())));
        anna.done(&policy(key, NO_POLICY)).await;
        anna.signature(&sshsig(key, "git")).await;
        anna.done(&remove(hers.id())).await;
    }

    /// As if the recovery had begun so long ago.
    async fn began(world: &World, user: keystead_channel::session::UserId, ago_ms: u64) {
        let act = Began { user, ago_ms };
        world.server.ledger.commit(act).await.unwrap();
    }

    struct Began {
        user: keystead_channel::session::UserId,
        ago_ms: u64,
    }

    impl Act for Began {
        type Answer = ();

        fn wanted(&self, wanted: &mut Wanted) {
            wanted.user(self.user);
        }

        fn decide(self, now: Now, rows: &mut Rows<'_>) -> Decided<()> {
            let no: AccountNo = rows.account_by_user(self.user).unwrap().unwrap().no;
            let account = rows.account_mut(no).unwrap().unwrap();
            account.recovery_started_ms = Some(now.ms - self.ago_ms);
            Decided {
                entries: vec![],
                answer: (),
            }
        }
    }
}
