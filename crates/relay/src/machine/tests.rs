use std::net::IpAddr;

use keystead_daemon::{Io, MemoryDisk, Now, SystemRng};

use super::*;

/// A relay with its disk and its time.
struct Bench {
    relay: Relay,
    disk: MemoryDisk,
    now: Now,
    calls: u64,
}

const DAY_S: u64 = 86_400;

impl Bench {
    fn new() -> Self {
        Self::with(Limits::default(), MemoryDisk::new())
    }

    fn with(limits: Limits, mut disk: MemoryDisk) -> Self {
        let now = Now {
            mono_ms: 1_000,
            unix_s: 1_700_000_000,
        };
        let relay = Relay::load(now, limits, &mut io(&mut disk)).unwrap();
        Self {
            relay,
            disk,
            now,
            calls: 0,
        }
    }

    fn step(&mut self, event: Event) -> Vec<Action> {
        self.relay.step(self.now, event, &mut io(&mut self.disk))
    }

    fn pass(&mut self, ms: u64) -> Vec<Action> {
        self.now.mono_ms += ms;
        self.now.unix_s += ms / 1_000;
        self.step(Event::Tick)
    }

    /// Asks; what the step said, and the call's number.
    fn ask(&mut self, mailbox: MailboxId, request: Request) -> (CallId, Vec<Action>) {
        self.calls += 1;
        let call = CallId(self.calls);
        let source = Source::Local;
        let event = Event::Call {
            call,
            source,
            mailbox,
            request,
        };
        (call, self.step(event))
    }

    /// Asks, and expects the answer at once: its status.
    fn status(&mut self, mailbox: MailboxId, request: Request) -> u16 {
        let (call, actions) = self.ask(mailbox, request);
        let answers = answers(&actions);
        let mine: Vec<_> = answers.iter().filter(|(of, _)| *of == call).collect();
        let [(_, answer)] = mine.as_slice() else {
            panic!("{answers:?}")
        };
        status(answer)
    }

    fn post(&mut self, key: u8, item: &[u8]) -> u16 {
        self.status(id(key), post(key, item))
    }

    /// Reads without waiting: cursors and items.
    fn read(&mut self, key: u8, after: u64) -> Vec<(u64, Vec<u8>)> {
        let (_, actions) = self.ask(id(key), read(key, after, 0));
        let answers = answers(&actions);
        let [(_, answer)] = answers.as_slice() else {
            panic!("{answers:?}")
        };
        self.fetch(answer)
    }

    fn fetch(&self, answer: &Answer) -> Vec<(u64, Vec<u8>)> {
        let Answer::Items(mut records) = *answer else {
            assert_eq!(*answer, Answer::Done);
            return Vec::new();
        };
        let mut items = Vec::new();
        while let Some(record) = self.relay.record(self.now, records) {
            records.after = record.cursor;
            items.push((record.cursor, record.item.to_vec()));
        }
        items
    }

    fn open(&mut self, socket: u64) -> SocketId {
        let socket = SocketId(socket);
        let source = Source::Local;
        self.step(Event::Open { socket, source });
        socket
    }

    /// Sends a message and takes all frames that come, as a fast reader does.
    fn exchange(&mut self, socket: SocketId, message: Vec<u8>) -> Vec<Vec<u8>> {
        let actions = self.step(Event::Message { socket, message });
        self.drain(socket, actions)
    }

    fn drain(&mut self, socket: SocketId, mut actions: Vec<Action>) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        while let Some(frame) = sent(&actions, socket) {
            frames.push(frame);
            actions = self.step(Event::Sent { socket });
        }
        frames
    }
}

fn io(disk: &mut MemoryDisk) -> Io<'_> {
    // The relay draws nothing; it must have something to draw from.
    let rng = Box::leak(Box::new(SystemRng));
    Io { rng, disk }
}

fn read_token(key: u8) -> ReadToken {
    ReadToken::new([key; 32])
}

fn id(key: u8) -> MailboxId {
    read_token(key).write_token().mailbox()
}

fn post(key: u8, item: &[u8]) -> Request {
    let token = read_token(key).write_token();
    let item = item.to_vec();
    Request::Post { token, item }
}

fn read(key: u8, after: u64, wait_s: u32) -> Request {
    let token = read_token(key);
    Request::Read {
        token,
        after,
        wait_s,
    }
}

fn delete(key: u8) -> Request {
    let token = read_token(key);
    Request::Delete { token }
}

fn answers(actions: &[Action]) -> Vec<(CallId, Answer)> {
    let answer = |action: &Action| match action {
        Action::Answer { call, answer } => Some((*call, answer.clone())),
        Action::Admit | Action::TurnAway(_) | Action::Send { .. } => None,
    };
    actions.iter().filter_map(answer).collect()
}

/// The one frame for a WebSocket; two at once would break the invariant.
fn sent(actions: &[Action], to: SocketId) -> Option<Vec<u8>> {
    let frame = |action: &Action| match action {
        Action::Send { socket, frame } if *socket == to => Some(frame.clone()),
        Action::Send { .. } | Action::Admit | Action::TurnAway(_) | Action::Answer { .. } => None,
    };
    let mut frames: Vec<_> = actions.iter().filter_map(frame).collect();
    assert!(frames.len() <= 1);
    frames.pop()
}

fn status(answer: &Answer) -> u16 {
    match answer {
        Answer::Done => 204,
        Answer::Items(_) => 200,
        Answer::Refuse(refusal) => refusal.status(),
    }
}

/// opcode ‖ id ‖ the rest.
fn ws(opcode: u8, key: u8, rest: &[&[u8]]) -> Vec<u8> {
    let mut message = vec![opcode];
    message.extend_from_slice(id(key).as_bytes());
    message.extend_from_slice(&rest.concat());
    message
}

fn ws_subscribe(key: u8, after: u64) -> Vec<u8> {
    ws(1, key, &[&[key; 32], &after.to_be_bytes()])
}

fn ws_post(key: u8, item: &[u8]) -> Vec<u8> {
    let token = read_token(key).write_token();
    ws(2, key, &[token.as_bytes(), item])
}

fn ws_delete(key: u8) -> Vec<u8> {
    ws(3, key, &[&[key; 32]])
}

fn ws_item(key: u8, cursor: u64, item: &[u8]) -> Vec<u8> {
    ws(0x81, key, &[&cursor.to_be_bytes(), item])
}

fn ws_done(key: u8) -> Vec<u8> {
    ws(0x82, key, &[])
}

fn ws_refused(key: u8, status: u16) -> Vec<u8> {
    ws(0x8f, key, &[&status.to_be_bytes()])
}

#[test]
fn items_are_read_in_order_until_acknowledged() {
    let mut bench = Bench::new();
    assert_eq!(bench.post(1, b"a"), 204);
    assert_eq!(bench.post(1, b"b"), 204);
    let both = [(1, b"a".to_vec()), (2, b"b".to_vec())];
    assert_eq!(bench.read(1, 0), both);
    assert_eq!(bench.read(1, 0), both, "reading does not take out");
    assert_eq!(bench.read(1, 1), both[1..]);
    assert_eq!(bench.read(1, 0), both[1..], "acknowledged items are gone");
    assert_eq!(bench.read(1, 2), []);
    assert_eq!(bench.post(1, b"c"), 204);
    assert_eq!(bench.read(1, 2), [(3, b"c".to_vec())]);
    assert_eq!(bench.read(2, 0), [], "another mailbox");
}

#[test]
fn a_cursor_above_the_last_counts_as_0() {
    let mut bench = Bench::new();
    bench.post(1, b"a");
    assert_eq!(bench.read(1, 2), [(1, b"a".to_vec())]);
    assert_eq!(bench.read(1, u64::MAX), [(1, b"a".to_vec())]);
    assert_eq!(bench.read(1, 1), []);
}

#[test]
fn an_empty_mailbox_goes_on_counting_when_it_is_used_again() {
    let mut bench = Bench::new();
    bench.post(1, b"a");
    assert_eq!(bench.read(1, 1), []);
    assert_eq!(bench.relay.mailboxes(), 0);
    bench.pass(DAY_S * 1_000);
    bench.post(1, b"b");
    // Counted from 1 again, this reader would lose the item unseen.
    assert_eq!(bench.read(1, 1), [(2, b"b".to_vec())]);
}

#[test]
fn every_call_has_its_status() {
    let long = vec![7; ITEM_BYTES_MAX];
    let too_long = vec![7; ITEM_BYTES_MAX + 1];
    let mut bench = Bench::new();
    assert_eq!(bench.status(id(1), post(1, &long)), 204);
    let table = [
        (id(2), post(1, b"x"), 401),
        (id(2), read(1, 0, 0), 401),
        (id(2), delete(1), 401),
        (id(1), post(1, b""), 400),
        (id(1), post(1, &too_long), 413),
        (id(1), read(1, 0, WAIT_S_MAX + 1), 400),
        (id(1), read(1, 0, WAIT_S_MAX), 200),
        (id(3), read(3, 0, 0), 204),
        (id(3), delete(3), 204),
        (id(3), delete(3), 410),
        (id(3), post(3, b"x"), 410),
        (id(3), read(3, 0, 0), 410),
        (id(3), read(4, 0, 0), 401),
        (id(1), delete(1), 204),
        (id(1), read(1, 0, 0), 410),
    ];
    for (number, (mailbox, request, expected)) in table.into_iter().enumerate() {
        assert_eq!(bench.status(mailbox, request), expected, "row {number}");
    }
}

#[test]
fn a_mailbox_holds_256_items_and_4_mib() {
    let mut bench = Bench::new();
    for _ in 0..ITEMS_MAX {
        assert_eq!(bench.post(1, b"x"), 204);
    }
    assert_eq!(bench.post(1, b"x"), 429);
    assert_eq!(bench.read(1, 1).len(), ITEMS_MAX - 1);
    assert_eq!(bench.post(1, b"x"), 204);
    let long = vec![7; ITEM_BYTES_MAX];
    let fit = BYTES_MAX / ITEM_BYTES_MAX;
    for _ in 0..fit {
        assert_eq!(bench.post(2, &long), 204);
    }
    assert_eq!(bench.post(2, &long), 429);
    let rest = vec![7; BYTES_MAX - fit * ITEM_BYTES_MAX];
    assert_eq!(bench.post(2, &rest), 204);
    assert_eq!(bench.post(2, b"x"), 429);
    let (_, actions) = bench.ask(id(2), post(2, b"x"));
    let [(_, Answer::Refuse(full))] = answers(&actions)[..] else {
        panic!()
    };
    assert_eq!(full.retry_after_s(), Some(FULL_MAILBOX_S));
}

#[test]
fn items_die_after_ten_minutes() {
    let mut bench = Bench::new();
    bench.post(1, b"a");
    bench.pass(1_000);
    bench.post(1, b"b");
    bench.pass(ITEM_LIFE_MS - 1_001);
    assert_eq!(bench.read(1, 0).len(), 2);
    bench.pass(1);
    assert_eq!(bench.read(1, 0), [(2, b"b".to_vec())]);
    bench.pass(1_000);
    assert_eq!(bench.read(1, 0), []);
    bench.pass(SWEEP_MS);
    assert_eq!(bench.relay.mailboxes(), 0);
}

#[test]
fn a_waiting_reader_gets_the_next_item_or_nothing_in_time() {
    let mut bench = Bench::new();
    let (first, actions) = bench.ask(id(1), read(1, 0, 25));
    assert!(answers(&actions).is_empty());
    let (second, _) = bench.ask(id(1), read(1, 0, 10));
    assert_eq!(bench.relay.next_wake_ms(), 1_000 + SWEEP_MS);
    assert!(answers(&bench.pass(9_999)).is_empty());
    assert_eq!(answers(&bench.pass(1)), [(second, Answer::Done)]);
    let (third, _) = bench.ask(id(1), read(1, 0, 25));
    let (_, actions) = bench.ask(id(1), post(1, b"a"));
    let woken = answers(&actions);
    for call in [first, third] {
        let (_, answer) = woken.iter().find(|(of, _)| *of == call).unwrap();
        assert_eq!(bench.fetch(answer), [(1, b"a".to_vec())]);
    }
    assert!(answers(&bench.pass(60_000)).is_empty(), "answered once");
}

#[test]
fn who_hung_up_is_not_answered_and_leaves_nothing() {
    let mut bench = Bench::new();
    let (call, _) = bench.ask(id(1), read(1, 0, 25));
    assert_eq!(bench.relay.mailboxes(), 1);
    bench.step(Event::HangUp { call });
    assert_eq!(bench.relay.mailboxes(), 0);
    let (_, actions) = bench.ask(id(1), post(1, b"a"));
    assert_eq!(answers(&actions).len(), 1, "the writer alone");
    assert!(answers(&bench.pass(30_000)).is_empty());
}

#[test]
fn sixteen_may_wait_and_no_more() {
    let mut bench = Bench::new();
    for _ in 0..READERS_MAX {
        let (_, actions) = bench.ask(id(1), read(1, 0, 25));
        assert!(answers(&actions).is_empty());
    }
    assert_eq!(bench.status(id(1), read(1, 0, 25)), 429);
    assert_eq!(bench.status(id(1), read(1, 0, 0)), 204);
}

#[test]
fn a_deletion_ends_all_readers_and_lasts_over_a_restart() {
    let mut bench = Bench::new();
    let (call, _) = bench.ask(id(1), read(1, 0, 25));
    let socket = bench.open(1);
    assert!(bench.exchange(socket, ws_subscribe(1, 0)).is_empty());
    let (_, actions) = bench.ask(id(1), delete(1));
    let gone = Answer::Refuse(Refusal::Deleted);
    assert!(answers(&actions).contains(&(call, gone)));
    assert_eq!(bench.drain(socket, actions), [ws_refused(1, 410)]);
    bench.disk.crash();
    let mut again = Bench::with(Limits::default(), bench.disk);
    assert_eq!(again.post(1, b"x"), 410);
    again.pass(3 * DAY_S * 1_000);
    assert_eq!(again.post(1, b"x"), 204);
}

#[test]
fn a_deletion_that_cannot_be_written_changes_nothing() {
    let mut bench = Bench::new();
    bench.post(1, b"a");
    bench.disk.faults.fail_sync = true;
    assert_eq!(bench.status(id(1), delete(1)), 503);
    assert_eq!(bench.read(1, 0).len(), 1);
    bench.disk.faults.fail_sync = false;
    assert_eq!(bench.status(id(1), delete(1)), 204);
}

#[test]
fn a_socket_answers_in_order_and_carries_items() {
    let mut bench = Bench::new();
    let socket = bench.open(1);
    assert_eq!(bench.exchange(socket, ws_post(1, b"a")), [ws_done(1)]);
    let came = bench.exchange(socket, ws_subscribe(1, 0));
    assert_eq!(came, [ws_item(1, 1, b"a")]);
    let came = bench.exchange(socket, ws_post(1, b"b"));
    assert_eq!(came.len(), 2);
    assert!(came.contains(&ws_done(1)) && came.contains(&ws_item(1, 2, b"b")));
    // An acknowledgement: nothing is sent again, the first item is gone.
    assert!(bench.exchange(socket, ws_subscribe(1, 1)).is_empty());
    assert_eq!(bench.read(1, 0), [(2, b"b".to_vec())]);
    assert_eq!(bench.exchange(socket, ws_delete(1)), [ws_done(1)]);
    assert_eq!(
        bench.exchange(socket, ws_post(1, b"c")),
        [ws_refused(1, 410)]
    );
}

#[test]
fn every_message_that_is_none_is_refused_with_its_mailbox() {
    let mut bench = Bench::new();
    let socket = bench.open(1);
    let unnamed = [&[0x8f_u8][..], &[0; 16], &400_u16.to_be_bytes()].concat();
    for len in 0..17 {
        let message = ws_subscribe(1, 0)[..len].to_vec();
        assert_eq!(bench.exchange(socket, message).concat(), unnamed, "{len}");
    }
    let whole = ws_subscribe(1, 0);
    for len in 17..whole.len() {
        let came = bench.exchange(socket, whole[..len].to_vec());
        assert_eq!(came, [ws_refused(1, 400)], "{len}");
    }
    let mut longer = whole.clone();
    longer.push(0);
    let mut other = whole;
    other[0] = 4;
    let mut delete_longer = ws_delete(1);
    delete_longer.push(0);
    for message in [longer, other, delete_longer, ws_post(1, b"")] {
        assert_eq!(bench.exchange(socket, message), [ws_refused(1, 400)]);
    }
    let mut forged = ws_post(1, b"x");
    forged[17] ^= 1;
    assert_eq!(bench.exchange(socket, forged), [ws_refused(1, 401)]);
    let too_long = ws_post(1, &vec![7; ITEM_BYTES_MAX + 1]);
    assert_eq!(bench.exchange(socket, too_long), [ws_refused(1, 413)]);
    assert_eq!(bench.exchange(socket, ws_post(1, b"x")), [ws_done(1)]);
}

#[test]
fn a_socket_that_does_not_take_its_frame_gets_no_other() {
    let mut bench = Bench::new();
    let socket = bench.open(1);
    bench.exchange(socket, ws_subscribe(1, 0));
    let (_, actions) = bench.ask(id(1), post(1, b"a"));
    assert_eq!(sent(&actions, socket), Some(ws_item(1, 1, b"a")));
    for _ in 0..100 {
        let (_, actions) = bench.ask(id(1), post(1, b"b"));
        assert_eq!(sent(&actions, socket), None);
    }
    let actions = bench.step(Event::Sent { socket });
    assert_eq!(bench.drain(socket, actions).len(), 100);
}

#[test]
fn subscriptions_of_one_socket_take_turns() {
    let mut bench = Bench::new();
    for item in [b"a", b"b", b"c"] {
        bench.post(1, item);
        bench.post(2, item);
    }
    let socket = bench.open(1);
    let first = bench.step(Event::Message {
        socket,
        message: ws_subscribe(1, 0),
    });
    bench.step(Event::Message {
        socket,
        message: ws_subscribe(2, 0),
    });
    let came = bench.drain(socket, first);
    let mailboxes: Vec<_> = came.iter().map(|frame| frame[1..17].to_vec()).collect();
    let (one, two) = (id(1).as_bytes().to_vec(), id(2).as_bytes().to_vec());
    let turns = [&one, &one, &two, &one, &two, &two].map(Clone::clone);
    assert_eq!(mailboxes, turns);
}

#[test]
fn a_socket_that_closes_leaves_nothing() {
    let mut bench = Bench::new();
    let socket = bench.open(1);
    for key in 1..=9 {
        bench.exchange(socket, ws_subscribe(key, 0));
    }
    assert_eq!(bench.relay.mailboxes(), 9);
    bench.step(Event::Close { socket });
    assert_eq!(bench.relay.mailboxes(), 0);
    let (_, actions) = bench.ask(id(1), post(1, b"x"));
    assert_eq!(sent(&actions, socket), None);
}

#[test]
fn a_stopping_relay_answers_who_waits() {
    let mut bench = Bench::new();
    let (first, _) = bench.ask(id(1), read(1, 0, 25));
    let (second, _) = bench.ask(id(2), read(2, 0, 25));
    let done = answers(&bench.step(Event::Stop));
    assert_eq!(done.len(), 2);
    assert!(done.contains(&(first, Answer::Done)) && done.contains(&(second, Answer::Done)));
}

#[test]
fn a_source_that_takes_too_much_does_not_hurt_others() {
    let mut limits = Limits::default();
    limits.source.mailboxes = 2;
    limits.source.bytes = 1_000;
    limits.source.calls_per_s = 2;
    limits.source.deletions_per_hour = 1;
    let mut bench = Bench::with(limits, MemoryDisk::new());
    let mut from = |last: u8, key: u8, request: Request| {
        bench.calls += 1;
        let call = CallId(bench.calls);
        let event = Event::Call {
            call,
            source: Source::of(IpAddr::from([192, 0, 2, last])),
            mailbox: id(key),
            request,
        };
        bench.now.mono_ms += 250;
        status(&answers(&bench.step(event))[0].1)
    };
    assert_eq!(from(1, 1, post(1, b"x")), 204);
    assert_eq!(from(1, 2, post(2, b"x")), 204);
    assert_eq!(from(1, 3, post(3, b"x")), 429, "a third mailbox");
    assert_eq!(from(1, 1, post(1, &[7; 700])), 429, "too many bytes");
    assert_eq!(from(2, 3, post(3, &[7; 700])), 204, "another source");
    assert_eq!(from(1, 1, delete(1)), 204);
    assert_eq!(
        from(1, 2, delete(2)),
        429,
        "a second deletion within the hour"
    );
    assert_eq!(from(1, 3, post(3, b"x")), 204, "the deleted one made room");
    let mut refused = 0;
    for _ in 0..100 {
        refused += u32::from(from(1, 3, read(3, 0, 0)) == 429);
    }
    // Four calls a second come, two leave, twenty may wait.
    assert!((20..60).contains(&refused), "{refused}");
    assert_eq!(from(2, 3, read(3, 0, 0)), 200);
}

#[test]
fn what_was_used_is_given_back_whatever_way_items_leave() {
    let mut limits = Limits::default();
    limits.all.bytes = 1_000;
    limits.all.mailboxes = 1;
    let mut bench = Bench::with(limits, MemoryDisk::new());
    let full = [7; 872];
    for _ in 0..3 {
        assert_eq!(bench.post(1, &full), 204);
        assert_eq!(bench.post(1, b"x"), 429);
        assert_eq!(bench.post(2, b"x"), 429);
        let last = bench.read(1, 0)[0].0;
        assert_eq!(bench.read(1, last), []);
    }
    assert_eq!(bench.post(1, &full), 204);
    bench.pass(ITEM_LIFE_MS + SWEEP_MS);
    assert_eq!(bench.post(2, &full), 204);
    assert_eq!(bench.status(id(2), delete(2)), 204);
    assert_eq!(bench.post(3, &full), 204);
}

#[test]
fn connections_are_admitted_up_to_the_limit() {
    let mut limits = Limits::default();
    limits.source.connections = 1;
    let mut bench = Bench::with(limits, MemoryDisk::new());
    let source = Source::of(IpAddr::from([192, 0, 2, 1]));
    let admitted = |actions: &[Action]| matches!(actions, [Action::Admit]);
    assert!(admitted(&bench.step(Event::Connect { source })));
    let refused = bench.step(Event::Connect { source });
    assert!(matches!(refused.as_slice(), [Action::TurnAway(_)]));
    bench.step(Event::Disconnect { source });
    assert!(admitted(&bench.step(Event::Connect { source })));
}
