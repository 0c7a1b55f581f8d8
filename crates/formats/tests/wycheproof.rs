//! Signatures of Wycheproof, judged as a client judges those that a server made.

#![cfg(test)]

use keystead_formats::ssh::signature::{self, RsaHash};
use keystead_formats::ssh::wire::Writer;
use keystead_formats::ssh::{Curve, PublicKey};
use wycheproof::{TestResult, ecdsa, eddsa, rsa_pkcs1_verify};

/// Those that a standard allows either way are not asked about.
fn check(result: TestResult, is_good: bool, what: &str) -> usize {
    match result {
        TestResult::Valid => assert!(is_good, "{what}"),
        TestResult::Invalid => assert!(!is_good, "{what}"),
        TestResult::Acceptable => return 0,
    }
    1
}

#[test]
fn ed25519() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let mut judged = 0;
    for group in set.test_groups {
        let public: [u8; 32] = group.key.pk.as_slice().try_into().unwrap();
        let public = PublicKey::ed25519(&public);
        for test in group.tests {
            let blob = match <[u8; 64]>::try_from(test.sig.as_slice()) {
                Ok(raw) => signature::ed25519(&raw),
                Err(_) => Writer::new()
                    .string(b"ssh-ed25519")
                    .string(&test.sig)
                    .into_bytes(),
            };
            let is_good = public.verify(&test.msg, &blob).is_ok();
            judged += check(test.result, is_good, &test.comment);
        }
    }
    assert!(judged > 100, "{judged}");
}

#[test]
fn p256() {
    let name = ecdsa::TestName::EcdsaSecp256r1Sha256P1363;
    let mut judged = 0;
    for group in ecdsa::TestSet::load(name).unwrap().test_groups {
        let public = PublicKey::ecdsa(Curve::P256, &group.key.key).unwrap();
        for test in group.tests {
            // Another length is no pair of numbers, and a client stops before this.
            if test.sig.len() != 64 {
                assert_eq!(test.result, TestResult::Invalid);
                continue;
            }
            let (r, s) = test.sig.split_at(32);
            let blob = signature::ecdsa(Curve::P256, r, s);
            let is_good = public.verify(&test.msg, &blob).is_ok();
            judged += check(test.result, is_good, &test.comment);
        }
    }
    assert!(judged > 100, "{judged}");
}

#[test]
fn rsa() {
    use rsa_pkcs1_verify::TestName;
    for (name, hash) in [
        (TestName::Rsa3072Sha256, RsaHash::Sha256),
        (TestName::Rsa3072Sha512, RsaHash::Sha512),
        (TestName::Rsa4096Sha256, RsaHash::Sha256),
        (TestName::Rsa8192Sha512, RsaHash::Sha512),
    ] {
        let mut judged = 0;
        for group in rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
            let blob = Writer::new()
                .string(b"ssh-rsa")
                .positive_mpint(&group.key.e)
                .positive_mpint(&group.key.n)
                .into_bytes();
            let public = PublicKey::from_blob(&blob).unwrap();
            for test in group.tests {
                let blob = signature::rsa(hash, &test.sig);
                let is_good = public.verify(&test.msg, &blob).is_ok();
                judged += check(test.result, is_good, &test.comment);
            }
        }
        assert!(judged > 100, "{judged}");
    }
}
