use std::process::Command;
use std::time::Duration;

use super::*;

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

const WAIT: Duration = Duration::from_secs(5);

#[test]
fn a_hardened_process_is_not_dumpable_and_leaves_no_core() {
    harden().unwrap();
    let dumpable = rustix::process::dumpable_behavior().unwrap();
    assert_eq!(dumpable, DumpableBehavior::NotDumpable);
    let core = rustix::process::getrlimit(Resource::Core);
    assert_eq!((core.current, core.maximum), (Some(0), Some(0)));
}

#[test]
fn one_process_a_folder_and_the_lock_dies_with_its_holder() {
    let base = tempfile::tempdir().unwrap();
    let lock = Lock::take(base.path()).unwrap();
    let held = Lock::take(base.path()).unwrap_err();
    let LockError::Held { pid, .. } = &held else {
        panic!("{held:?}")
    };
    assert_eq!(*pid, Some(std::process::id()));
    let said = format!("is in use by process {}", std::process::id());
    assert!(held.to_string().ends_with(&said), "{held}");
    drop(lock);
    Lock::take(base.path()).unwrap();
}

#[test]
fn a_program_is_started_when_it_says_ready() {
    let base = tempfile::tempdir().unwrap();
    let trace = base.path().join("trace");
    let line = start(shell("echo ready here; exec sleep 0.1"), &trace, WAIT).unwrap();
    assert_eq!(line, "ready here");
}

#[test]
fn a_program_that_ends_is_quoted_and_one_that_is_silent_is_stopped() {
    let base = tempfile::tempdir().unwrap();
    let trace = base.path().join("trace");
    std::fs::write(&trace, "of an earlier run\n").unwrap();
    let ended = start(shell("echo first >&2; echo why >&2; exit 1"), &trace, WAIT).unwrap_err();
    assert_eq!(ended.to_string(), "sh did not start: why");
    let other = start(shell("echo hello"), &trace, WAIT).unwrap_err();
    assert_eq!(other.to_string(), "sh did not start");
    let short = Duration::from_millis(100);
    let silent = start(shell("exec sleep 60"), &trace, short).unwrap_err();
    assert!(matches!(silent, StartError::Silent { .. }), "{silent:?}");
    let missing = start(Command::new("/nowhere/at/all"), &trace, WAIT).unwrap_err();
    assert_eq!(missing.to_string(), "/nowhere/at/all cannot be run");
}

#[tokio::test]
async fn termination_signals_are_named() {
    let mut termination = Termination::catch().unwrap();
    let signals = [
        (rustix::process::Signal::TERM, "SIGTERM"),
        (rustix::process::Signal::INT, "SIGINT"),
        (rustix::process::Signal::HUP, "SIGHUP"),
    ];
    // Where nohup(1) runs the tests, too, nothing comes of the last one.
    let count = signals.len() - usize::from(crate::hang_up::is_ignored());
    for (signal, name) in signals.into_iter().take(count) {
        rustix::process::kill_process(rustix::process::getpid(), signal).unwrap();
        assert_eq!(termination.wait().await, name);
    }
}
