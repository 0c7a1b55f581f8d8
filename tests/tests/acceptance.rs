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
    abort_and_key_files
    accepted_host_key
    added_keys
    age
    age_refused
    age_several
    agent_nohup
    agent_restart
    agent_stopped
    approve
    approvers
    authenticator_restart
    bad_sockets
    certificate
    changed_host_key
    clock_off
    constrained_twin
    control_master
    copies
    delete_account
    doctor
    doctor_front_ends
    echo_back
    expired
    forwarded
    git_commit
    git_setup
    git_setup_refused
    git_tag
    gpg
    gpg_at_once
    gpg_commit
    gpg_broken_off
    gpg_compat
    gpg_curves
    gpg_custody
    gpg_granted
    gpg_refused
    gpg_stored
    gpg_server
    granted
    hang_up
    hashed_known_hosts
    holder_keys
    host_certificate
    interrupted
    key_import
    key_purposes
    key_server
    key_server_postgres
    key_types
    keys_seen
    man_pages
    no_answer_then_local_key
    no_runtime_folder
    other_clients
    pair_asks_both
    pair_directly
    pair_no
    password
    pending_unpaired_here
    pending_unpaired_there
    policy
    proxy_jump
    python_client
    readme
    rebase
    recovery
    redirected
    refuse_aborts
    refuse_then_local_key
    relay_restart
    restored
    rsa_host_key
    run_command
    runner
    second_agent
    secret_authenticator
    secret_copies
    secret_forms
    secret_typed
    secrets
    server_away
    signify
    ssh_add_verbs
    ssh_publish
    ssh_setup
    trezor
    trezor_agent
    trezor_gpg
    trezor_passphrase
    trezor_persons
    twenty_logins
    twenty_logins_one_act
    two_accounts
    two_authenticators
    two_hellos
    unbound
    unlock
    unpair_here
    unpair_there
    wallet
    wallet_another
    wallet_found
    wallet_ssh
    wallet_ssh_refused
    wrong_passphrase
    ; root:
    abort_and_default_file
    full_disk
    gpg_full_disk
    other_user
}
