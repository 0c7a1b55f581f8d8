//! Devices, cables and persons by chance: whatever they do, and in whatever order, each request
//! ends once, and nothing is left over.

use std::collections::BTreeMap;

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};

use super::*;

/// A machine, its cable, and who waits.
struct World {
    machine: Machine,
    rng: ChaCha20Rng,
    now_ms: u64,
    cable: Cable,
    /// Asks that wait, each with whether it was taken back.
    waiting: BTreeMap<AskId, bool>,
    questions: Vec<QuestionId>,
    last: u64,
}

#[derive(PartialEq, Eq)]
enum Cable {
    Closed,
    Opening,
    Up,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let setup = Setup {
            name: Name::new("trezor").unwrap(),
            wallet: None,
            is_passphrase_on_device: rng.next_u32() % 8 == 0,
        };
        Self {
            machine: Machine::new(setup),
            rng,
            now_ms: 1_000,
            cable: Cable::Closed,
            waiting: BTreeMap::new(),
            questions: Vec::new(),
            last: 0,
        }
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.rng.next_u32()).unwrap() % end
    }

    fn step(&mut self, event: Event) {
        let now = Now {
            unix_s: 1_700_000_000,
            mono_ms: self.now_ms,
        };
        for action in self.machine.step(now, event) {
            self.check(action);
        }
    }

    /// What the machine may do as things are.
    fn check(&mut self, action: Action) {
        match action {
            Action::OpenLink => {
                assert!(self.cable == Cable::Closed, "opened twice");
                self.cable = Cable::Opening;
            }
            Action::Send(_) => assert!(self.cable == Cable::Up, "sent on no cable"),
            Action::CloseLink => {
                assert!(self.cable != Cable::Closed, "closed twice");
                self.cable = Cable::Closed;
            }
            Action::Progress {
                ask,
                progress: Progress::Done(_),
            }
            | Action::Finished { ask, .. } => {
                let was_taken_back = self.waiting.remove(&ask);
                assert_eq!(was_taken_back, Some(false), "ended twice, or taken back");
            }
            Action::Progress { ask, .. } | Action::Say { ask, .. } => {
                assert!(self.waiting.contains_key(&ask), "told to nobody");
            }
            Action::Ask { question, .. } => self.questions.push(question),
            Action::QuestionOver(over) => self.questions.retain(|it| *it != over),
        }
    }

    fn anything(&mut self) {
        match self.below(20) {
            0 | 1 => self.ask(),
            2 => self.withdraw(),
            3 | 4 => self.answer(),
            5 => self.wait(),
            6 if self.cable != Cable::Closed => {
                self.cable = Cable::Closed;
                let fault = match self.below(3) {
                    0 => LinkFault::Away("why".to_owned()),
                    1 => LinkFault::Busy,
                    _ => LinkFault::Forbidden("why".to_owned()),
                };
                self.step(Event::Link(LinkEvent::Down(fault)));
            }
            _ => self.device(),
        }
    }

    fn ask(&mut self) {
        self.last += 1;
        let ask = AskId(self.last);
        self.waiting.insert(ask, false);
        let wait_s = [1, 60, 300][self.below(3)];
        let event = match self.below(6) {
            0 => Event::Lock { ask },
            1 | 2 => Event::Open { ask, wait_s },
            _ => Event::Ask {
                ask,
                body: wanted(),
                wait_s,
            },
        };
        self.step(event);
    }

    fn withdraw(&mut self) {
        let ask = AskId(1 + self.rng.next_u64() % (self.last + 1));
        if let Some(is_taken_back) = self.waiting.get_mut(&ask) {
            *is_taken_back = true;
        }
        self.step(Event::Withdraw { ask });
        self.waiting.remove(&ask);
    }

    fn answer(&mut self) {
        // One that is over may be answered all the same.
        let question = match self.questions.pop() {
            Some(question) => question,
            None => QuestionId(self.rng.next_u64() % 8),
        };
        let answer = match self.below(6) {
            0 => Typed::Cancel,
            1 => Typed::OnDevice,
            2 => Typed::Text(SecretBytes::take(&mut b"none\xff".to_vec())),
            _ => Typed::Text(SecretBytes::take(&mut b"1357".to_vec())),
        };
        self.step(Event::Answer { question, answer });
    }

    fn wait(&mut self) {
        let Some(wake_ms) = self.machine.next_wake_ms() else {
            return;
        };
        let early = self.below(2) == 0 && wake_ms > self.now_ms;
        self.now_ms = wake_ms.max(self.now_ms) - u64::from(early);
        self.step(Event::Tick);
    }

    fn device(&mut self) {
        match self.cable {
            Cable::Closed => {}
            Cable::Opening => {
                self.cable = Cable::Up;
                self.step(Event::Link(LinkEvent::Up));
            }
            Cable::Up => {
                // What an honest device says comes more often, or nothing would get far.
                let says = match self.below(3) {
                    0 => ALL_SAYS[self.below(ALL_SAYS.len())],
                    _ => [Says::Features, Says::Key, Says::Signature, Says::Passphrase]
                        [self.below(4)],
                };
                let reports = message(says).map(|it| it.reports());
                let reports = reports.map(|it| it.iter().map(<[u8]>::to_vec).collect());
                let reports: Vec<Vec<u8>> = reports.unwrap_or_else(|| vec![vec![b'!'; 64]]);
                for mut report in reports {
                    if self.cable == Cable::Up {
                        let report = SecretReport(SecretBytes::take(&mut report));
                        self.step(Event::Link(LinkEvent::Report(report)));
                    }
                }
            }
        }
    }
}

#[test]
fn whatever_happens_each_request_ends_once() {
    for seed in 0..3_000 {
        let mut world = World::new(seed);
        for _ in 0..60 {
            world.anything();
        }
        let mut wakes = 0;
        while let Some(wake_ms) = world.machine.next_wake_ms() {
            assert!(wake_ms <= world.now_ms + PASSPHRASE_LIFE_MS, "seed {seed}");
            world.now_ms = wake_ms.max(world.now_ms);
            world.step(Event::Tick);
            wakes += 1;
            assert!(wakes < 200, "seed {seed} never ends");
        }
        assert!(world.waiting.is_empty(), "seed {seed}: {:?}", world.waiting);
        assert!(world.questions.is_empty(), "seed {seed}");
        assert!(world.cable == Cable::Closed, "seed {seed}");
        assert!(world.machine.passphrase.is_none(), "seed {seed}");
        assert!(world.machine.running.is_none(), "seed {seed}");
    }
}
