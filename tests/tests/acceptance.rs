//! One test a script: `scripts/NAME.script` says what it is about.

use keystead_tests::{Result, play};

/// A test for each script; those of the second list need root.
macro_rules! scripts {
    ($($name:ident)* ; root: $($root:ident)*) => {
        $(#[test] fn $name() -> Result<()> { play(stringify!($name)) })*
        $(#[test] #[ignore = "needs root"] fn $root() -> Result<()> { play(stringify!($root)) })*
    };
}

scripts! {
    added_keys
    agent_restart
    approve
    authenticator_restart
    bad_sockets
    certificate
    changed_host_key
    clock_off
    control_master
    copies
    doctor
    forwarded
    git_commit
    git_setup
    git_setup_refused
    hang_up
    hashed_known_hosts
    host_certificate
    key_import
    no_answer_then_local_key
    other_clients
    pair_asks_both
    pair_directly
    pair_no
    policy
    proxy_jump
    refuse_then_local_key
    relay_restart
    rsa_host_key
    run_command
    runner
    second_agent
    ssh_publish
    ssh_setup
    twenty_logins
    two_authenticators
    two_hellos
    unbound
    unpair_here
    unpair_there
    wrong_passphrase
    readme
    ; root:
    full_disk
    other_user
}
