//! Many clients at once, and the ordinary agent killed under them: everybody is answered.

use std::io::Write;
use std::process::{Child, Stdio};

use rustix::process::Signal;

use crate::house::House;

/// A client that says so many commands, without waiting for anything.
fn client(house: &House, commands: &str) -> Child {
    let mut client = house
        .command(&["gpg-connect-agent", "--no-autostart"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // A pipe takes this much at once.
    client
        .stdin
        .take()
        .unwrap()
        .write_all(commands.as_bytes())
        .unwrap();
    client
}

/// How many answers it had.
fn answers(client: Child) -> usize {
    let output = client.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let is_answer = |it: &&str| it.starts_with("OK") || it.starts_with("ERR ");
    said.lines().filter(is_answer).count()
}

#[test]
fn the_ordinary_agent_is_killed_under_load() {
    let house = House::new();
    let agents = house.start();
    let commands =
        "KEYINFO --list\nHAVEKEY 0123456789012345678901234567890123456789\nNOP\n".repeat(100);
    let clients: Vec<Child> = (0..6).map(|_| client(&house, &commands)).collect();
    agents.behind.signal(Signal::KILL);
    for client in clients {
        // Those that came while it was alive had an answer to each; so had those after it.
        assert_eq!(answers(client), 300);
    }
    assert!(agents.ours.is_running());
    // The next one starts it anew.
    keystead_tests::wait_until("the ordinary agent again", || {
        house.talk(&["GETINFO version"]).starts_with("D ")
    })
    .unwrap();
    let again = house.agents();
    assert_ne!(again.behind.pid, agents.behind.pid);
}

#[test]
fn a_hundred_clients_that_stay() {
    let house = House::new();
    let agents = house.start();
    let idle: Vec<_> = (0..100)
        .map(|_| std::os::unix::net::UnixStream::connect(house.socket()).unwrap())
        .collect();
    assert!(house.talk(&["GETINFO version"]).starts_with("D "));
    agents.ours.signal(Signal::TERM);
    // It waits for who is connected; the third signal is the last.
    assert!(agents.ours.is_running());
    drop(idle);
    agents.ours.ends("everybody has left");
    agents.behind.ends("ours has ended");
}
