//! Leaves: golden bytes, every prefix, what is refused.

use keystead_channel::log::{Action, DETAIL_BYTES_MAX, Detail, Leaf, LeafFault, LogId};
use keystead_channel::session::requests::{Method, SignPurpose};
use keystead_channel::session::{BindingKind, Status, UserId};
use proptest::prelude::*;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sign() -> Leaf {
    let detail = Detail {
        purpose: Some(SignPurpose::SshLogin),
        approval: Some([0x55; 32]),
        ..Detail::NONE
    };
    Leaf {
        log: LogId::of(&UserId([7; 32])),
        user_seq: 3,
        before: [0x11; 32],
        time_unix_ms: 1_795_000_000_123,
        action: Action::Method(Method::Sign).number(),
        outcome: Status::Done.number(),
        actor: [0x22; 8],
        key: [0x33; 16],
        request_hash: [0x44; 32],
        detail: detail.encode(),
    }
}

/// Written by hand from `spec/audit.md` section 2; the log's id is
/// `printf 'keystead/1 log'; head -c 32 of 07 | sha256sum`.
const SIGN: &str = concat!(
    "01",
    "1c0ddf8c18928ed89791a10141b47bfc",
    "0000000000000003",
    "1111111111111111111111111111111111111111111111111111111111111111",
    "000001a1ee565e7b",
    "000c",
    "0000",
    "2222222222222222",
    "33333333333333333333333333333333",
    "4444444444444444444444444444444444444444444444444444444444444444",
    "0026",
    "a200010258205555555555555555555555555555555555555555555555555555555555555555",
);

#[test]
fn a_leaf_has_the_bytes_of_the_specification() {
    assert_eq!(hex(&sign().encode()), SIGN);
}

#[test]
fn a_leaf_reads_back_and_every_proper_prefix_is_truncated() {
    let bytes = sign().encode();
    assert_eq!(Leaf::decode(&bytes), Ok(sign()));
    for len in 0..bytes.len() {
        assert_eq!(
            Leaf::decode(&bytes[..len]),
            Err(LeafFault::Truncated),
            "{len}"
        );
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(Leaf::decode(&longer), Err(LeafFault::LeftOver));
}

#[test]
fn another_version_and_a_detail_too_long_are_refused() {
    let mut bytes = sign().encode();
    bytes[0] = 2;
    assert_eq!(Leaf::decode(&bytes), Err(LeafFault::Version(2)));
    let long = Leaf {
        detail: vec![0; DETAIL_BYTES_MAX + 1],
        ..sign()
    };
    let refused = Err(LeafFault::Detail(DETAIL_BYTES_MAX + 1));
    assert_eq!(Leaf::decode(&long.encode()), refused);
    let longest = Leaf {
        detail: vec![0; DETAIL_BYTES_MAX],
        ..sign()
    };
    assert_eq!(Leaf::decode(&longest.encode()), Ok(longest));
}

#[test]
fn every_bit_of_a_leaf_is_in_its_hash() {
    let bytes = sign().encode();
    let hash = sign().hash();
    for at in 0..bytes.len() * 8 {
        let mut other = bytes.clone();
        other[at / 8] ^= 1 << (at % 8);
        let is_same = Leaf::decode(&other).is_ok_and(|leaf| leaf.hash() == hash);
        assert!(!is_same, "bit {at}");
    }
}

#[test]
fn details_are_what_was_said() {
    assert_eq!(Detail::NONE, Detail::default());
    assert_eq!(Detail::NONE.encode(), [0xa0]);
    assert_eq!(
        sign().detail().unwrap().purpose,
        Some(SignPurpose::SshLogin)
    );
    let login = Detail {
        binding: Some(BindingKind::Unbound),
        ..Detail::NONE
    };
    assert_eq!(hex(&login.encode()), "a10100");
    let policy = Detail {
        policy: Some([0x66; 32]),
        ..Detail::NONE
    };
    let golden = format!("a1145820{}", "66".repeat(32));
    assert_eq!(hex(&policy.encode()), golden);
    assert_eq!(Detail::decode(&policy.encode()), Ok(policy));
}

proptest! {
    #[test]
    fn what_is_read_is_written_back(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let bytes = [&[1], bytes.as_slice()].concat();
        if let Ok(leaf) = Leaf::decode(&bytes) {
            prop_assert_eq!(leaf.encode(), bytes);
        }
    }
}
