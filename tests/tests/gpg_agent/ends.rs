//! An agent of which nobody can have anything any more ends, and the ordinary one with it.

use std::os::unix::net::UnixListener;
use std::process::Stdio;

use rustix::process::Signal;

use crate::house::{Agents, House};

/// Starts agents, has something happen, and waits for the end of both.
#[track_caller]
fn check(why: &str, happens: impl FnOnce(&House, &Agents)) -> House {
    let house = House::new();
    let agents = house.start();
    happens(&house, &agents);
    agents.ours.ends(why);
    agents.behind.ends(why);
    house
}

#[test]
fn both_end_with_the_home_folder() {
    let mut house = check("the home folder is removed", |house, _| {
        std::fs::remove_dir_all(house.home()).unwrap();
    });
    // The next one is an agent of its own.
    house.make_home();
    let agents = house.start();
    house.move_home(&house.path("moved"));
    agents.ours.ends("the home folder is moved");
    agents.behind.ends("the home folder is moved");
    // Where it is now the sockets are dead ones.
    let agents = house.start();
    assert!(agents.behind.is_running());
}

#[test]
fn a_home_folder_in_which_somebody_stands_is_gone_too() {
    check("removed under a shell", |house, _| {
        let mut shell = house.command(&["cat"]);
        shell.current_dir(house.home()).stdin(Stdio::piped());
        let mut shell = shell.spawn().unwrap();
        std::fs::remove_dir_all(house.home()).unwrap();
        drop(shell.stdin.take());
        shell.wait().unwrap();
    });
}

#[test]
fn both_end_with_the_socket() {
    check("the socket is removed", |house, _| {
        std::fs::remove_file(house.socket()).unwrap();
    });
}

#[test]
fn another_agent_at_the_socket_is_left_in_peace() {
    let mut other = None;
    let house = check("the socket is another's", |house, _| {
        let beside = house.home().join("S.other");
        other = Some(UnixListener::bind(&beside).unwrap());
        std::fs::rename(&beside, house.socket()).unwrap();
    });
    assert!(house.socket().exists());
    std::fs::remove_file(house.socket()).unwrap();
    // Two of ours: the first takes nothing of the second's away.
    let first = house.start();
    std::fs::rename(house.socket(), house.home().join("S.first")).unwrap();
    let second = house.start();
    first.ours.ends("a second is there");
    first.behind.ends("a second is there");
    assert!(house.talk(&["KEYINFO --list"]).ends_with("OK\n"));
    assert!(second.behind.is_running());
}

#[test]
fn the_ordinary_agent_ends_with_ours_however_it_ends() {
    for signal in [Signal::KILL, Signal::TERM, Signal::INT, Signal::ABORT] {
        check("ours is ended", |_, agents| agents.ours.signal(signal));
    }
}

#[test]
fn an_ordinary_agent_that_does_not_answer_is_ended_too() {
    check("the ordinary agent is stopped", |_, agents| {
        agents.behind.signal(Signal::STOP);
        agents.ours.signal(Signal::INT);
    });
}

#[test]
fn a_client_that_stays_holds_neither() {
    check("the home folder is removed, a client stays", |house, _| {
        let mut client = house.command(&["gpg-connect-agent", "--no-autostart"]);
        client.stdin(Stdio::piped()).stdout(Stdio::null());
        let mut client = client.spawn().unwrap();
        assert!(house.talk(&["NOP"]).ends_with("OK\n"));
        std::fs::remove_dir_all(house.home()).unwrap();
        drop(client.stdin.take());
        client.wait().unwrap();
    });
}

#[test]
fn the_ordinary_agent_is_started_anew_when_it_was_killed() {
    let house = House::new();
    // All of them are held: who lets one go ends it.
    let mut found = vec![house.start()];
    for time in 0..3 {
        let killed = &found[time].behind;
        killed.signal(Signal::KILL);
        killed.ends("killed");
        keystead_tests::wait_until("the ordinary agent again", || {
            house.talk(&["GETINFO version"]).starts_with("D ")
        })
        .unwrap();
        found.push(house.agents());
        assert_eq!(found[time].ours.pid, found[time + 1].ours.pid);
    }
    let second = found.last().unwrap();
    house.must(&["gpgconf", "--kill", "gpg-agent"]);
    second.ours.ends("KILLAGENT");
    second.behind.ends("KILLAGENT");
    assert!(!house.socket().exists());
}

#[test]
fn it_ends_with_the_command_beside_which_it_was_wanted() {
    let house = House::new();
    let mut beside = house.command(&["gpg-agent", "--daemon", "cat"]);
    let mut beside = beside
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    keystead_tests::wait_until("the socket", || house.socket().exists()).unwrap();
    let agents = house.agents();
    drop(beside.stdin.take());
    assert!(beside.wait().unwrap().success());
    agents.ours.ends("its command has ended");
    agents.behind.ends("its command has ended");
}
