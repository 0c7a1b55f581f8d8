//! One program a target: cargo tells each which it is.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let body = keystead_fuzz_targets::body(env!("CARGO_BIN_NAME"));
    body.expect("Cargo.toml and TARGETS have the same names")(bytes);
});
