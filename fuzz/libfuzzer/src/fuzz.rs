//! One program for all targets, so that one is linked: the environment says
//! which it is (`KEYSTEAD_FUZZ`, a name of `TARGETS`).

#![no_main]

use std::sync::LazyLock;

static BODY: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("KEYSTEAD_FUZZ").expect("KEYSTEAD_FUZZ names the target");
    keystead_fuzz_targets::body(&name).expect("KEYSTEAD_FUZZ is a name of TARGETS")
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| BODY(bytes));
