//! What stands before the relay: it looks at the WebSocket frames that go to the
//! programs (RFC 6455; `spec/pairing.md` section 2).

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keystead_tests::{About, Result};

/// What is done with the items.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Lie {
    Honest,
    /// Each comes three times.
    Repeat,
    /// Each comes again behind the next one, to whoever reads.
    Replay,
    /// Each goes to everybody else too, as if it were for them.
    Reflect,
    /// Each second one comes before the one ahead of it.
    Reorder,
    /// The one with this number never comes.
    Drop(usize),
}

struct State {
    lie: Lie,
    /// Items since the lie began.
    count: usize,
    held: Option<(usize, Vec<u8>)>,
    earlier: Option<(usize, Vec<u8>)>,
    /// The programs' sockets, and the mailbox that each reads.
    programs: Vec<(TcpStream, Option<[u8; 16]>)>,
}

#[derive(Clone)]
pub(crate) struct Liar(Arc<Mutex<State>>);

impl Liar {
    /// Stands before the relay; gives its own address.
    pub(crate) fn start(relay: &str) -> Result<(Self, String)> {
        let listener = TcpListener::bind("127.0.0.1:0").about("a port")?;
        let address = listener.local_addr().about("a port")?.to_string();
        let liar = Self(Arc::new(Mutex::new(State {
            lie: Lie::Honest,
            count: 0,
            held: None,
            earlier: None,
            programs: Vec::new(),
        })));
        let (it, relay) = (liar.clone(), relay.to_owned());
        std::thread::spawn(move || {
            for program in listener.incoming().flatten() {
                let relay = TcpStream::connect(&relay).unwrap();
                let (from, to) = (program.try_clone().unwrap(), relay.try_clone().unwrap());
                std::thread::spawn(move || copy(from, to));
                let it = it.clone();
                std::thread::spawn(move || it.serve(&relay, program));
            }
        });
        Ok((liar, address))
    }

    pub(crate) fn tell(&self, lie: Lie) {
        let mut state = self.0.lock().unwrap();
        let held = state.held.take();
        state.pass(held);
        state.lie = lie;
        state.count = 0;
        state.earlier = None;
    }

    /// How many items there were to lie about.
    pub(crate) fn items(&self) -> usize {
        self.0.lock().unwrap().count
    }

    /// What waits for one behind it comes by itself in the end.
    pub(crate) fn release(&self) -> std::thread::JoinHandle<()> {
        let it = self.clone();
        std::thread::spawn(move || {
            while it.0.lock().unwrap().lie == Lie::Reorder {
                std::thread::sleep(HELD);
                let mut state = it.0.lock().unwrap();
                let held = state.held.take();
                state.pass(held);
            }
        })
    }

    /// From the relay to a program.
    fn serve(&self, mut relay: &TcpStream, mut program: TcpStream) {
        let Some(head) = read_head(relay) else { return };
        if program.write_all(&head).is_err() {
            return;
        }
        if !head.starts_with(b"HTTP/1.1 101") {
            return copy(relay.try_clone().unwrap(), program);
        }
        let at = {
            let mut state = self.0.lock().unwrap();
            state.programs.push((program, None));
            state.programs.len() - 1
        };
        while let Some(frame) = read_frame(&mut relay) {
            self.0.lock().unwrap().take(at, frame);
        }
        let state = self.0.lock().unwrap();
        let _ = state.programs[at].0.shutdown(std::net::Shutdown::Both);
    }
}

impl State {
    fn take(&mut self, to: usize, frame: Vec<u8>) {
        let Some(mailbox) = mailbox_of(&frame) else {
            return self.pass(Some((to, frame)));
        };
        self.programs[to].1 = Some(mailbox);
        self.count += 1;
        match self.lie {
            Lie::Honest => self.pass(Some((to, frame))),
            Lie::Repeat => (0..3).for_each(|_| self.pass(Some((to, frame.clone())))),
            Lie::Replay => {
                self.pass(Some((to, frame.clone())));
                let earlier = self.earlier.replace((to, frame));
                self.pass(earlier);
            }
            Lie::Reflect => {
                for (other, mailbox) in self.others(to) {
                    let mut lied = frame.clone();
                    let at = lied.len() - payload_of(&frame).len() + 1;
                    lied[at..at + 16].copy_from_slice(&mailbox);
                    self.pass(Some((other, lied)));
                }
                self.pass(Some((to, frame)));
            }
            Lie::Reorder => match self.held.take() {
                None => self.held = Some((to, frame)),
                held => {
                    self.pass(Some((to, frame)));
                    self.pass(held);
                }
            },
            Lie::Drop(number) if self.count == number => {}
            Lie::Drop(_) => self.pass(Some((to, frame))),
        }
    }

    fn others(&self, to: usize) -> Vec<(usize, [u8; 16])> {
        let all = self.programs.iter().enumerate();
        let others = all.filter(|(at, _)| *at != to);
        others
            .filter_map(|(at, (_, mailbox))| Some((at, (*mailbox)?)))
            .collect()
    }

    fn pass(&mut self, frame: Option<(usize, Vec<u8>)>) {
        if let Some((to, frame)) = frame {
            // A program that is gone reads nothing.
            let _ = self.programs[to].0.write_all(&frame);
        }
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(std::net::Shutdown::Both);
}

fn read_head(mut from: &TcpStream) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        from.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    Some(head)
}

/// One frame with its head; a server's are not masked (RFC 6455 section 5.1).
fn read_frame(from: &mut &TcpStream) -> Option<Vec<u8>> {
    let mut frame = vec![0; 2];
    from.read_exact(&mut frame).ok()?;
    let more = match frame[1] {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let mut long = vec![0; more];
    from.read_exact(&mut long).ok()?;
    let length = match more {
        0 => u64::from(frame[1]),
        _ => long
            .iter()
            .fold(0, |sum, byte| (sum << 8) | u64::from(*byte)),
    };
    frame.extend(long);
    from.take(length).read_to_end(&mut frame).ok()?;
    Some(frame)
}

fn payload_of(frame: &[u8]) -> &[u8] {
    match frame[1] {
        126 => &frame[4..],
        127 => &frame[10..],
        _ => &frame[2..],
    }
}

/// Of an item's frame: `0x81 ‖ mailbox ‖ cursor ‖ item` in a binary message.
fn mailbox_of(frame: &[u8]) -> Option<[u8; 16]> {
    let rest = payload_of(frame).strip_prefix(&[0x81])?;
    (frame[0] & 15 == 2).then(|| rest.first_chunk().copied())?
}

/// So long an item waits for the next one at most.
const HELD: Duration = Duration::from_millis(300);
