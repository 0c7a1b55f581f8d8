//! Hardware wallets as the agent sees them: commands in, words and entries out.
//!
//! **Invariant:** what was done with a device is in the log, and a device that is added is on
//! disk before the command hears of it, or the command hears that it is not.

use keystead_core::SecretBytes;
use keystead_keeper::AskId;

use crate::agent::{Agent, Turn};
use crate::ask::Asker;
use crate::event::Action;
use crate::hardware::control::Command;
use crate::hardware::{self, HardwareWallets, Step, Told};
use crate::ids::ClientId;
use crate::key_control;
use crate::log::Entry;
use crate::words::Words;

impl Agent {
    /// Lets the hardware wallets decide something, and does what they want done.
    pub(crate) fn tell_hardware(
        &mut self,
        turn: &mut Turn<'_, '_>,
        decide: impl FnOnce(&mut HardwareWallets, &mut Step),
    ) {
        let mut step = Step::new(turn.now);
        decide(&mut self.keepers.hardware, &mut step);
        self.take_hardwares(turn, step.told);
    }

    /// A command came, with what follows its line.
    pub(crate) fn hardware_command(
        &mut self,
        turn: &mut Turn<'_, '_>,
        client: ClientId,
        command: Command,
        behind: Option<SecretBytes>,
    ) {
        let names = self.keepers.pairings().into_iter().map(|it| it.name);
        let names: Vec<_> = names.collect();
        self.tell_hardware(turn, |hardware, step| {
            let is_taken = |name: &_| names.contains(name);
            hardware.command(step, client, (command, behind), is_taken);
        });
    }

    pub(crate) fn take_hardwares(&mut self, turn: &mut Turn<'_, '_>, told: Vec<Told>) {
        for told in told {
            self.take_hardware(turn, told);
        }
    }

    pub(crate) fn take_hardware(&mut self, turn: &mut Turn<'_, '_>, told: Told) {
        match told {
            Told::Do(act) => turn.act(Action::Device(act)),
            Told::Progress { ask, progress } => self.progress(turn, ask, progress),
            Told::Say { ask, text } => self.say_of_wallet(turn, ask, &text),
            Told::Reply { client, reply } => turn.act(Action::DeviceReply { client, reply }),
            Told::Changed => {
                let records = self.keepers.hardware.records();
                if let Err(error) = hardware::write(records, turn.io.disk) {
                    let file = hardware::FILE_NAME;
                    self.notice(format!("{file} cannot be written: {error}"));
                }
            }
            Told::Log { kind, keeper, end } => {
                let (decision, reason) = match end {
                    Ok(reason) => ("approve", reason),
                    Err(why) => ("failed", Some(why)),
                };
                let entry = Entry {
                    keeper: Some(keeper),
                    reason,
                    ..turn.entry(kind, decision)
                };
                self.record(turn, &entry);
            }
        }
    }

    /// What is to be done on the device, to the person who waits for it.
    fn say_of_wallet(&self, turn: &mut Turn<'_, '_>, ask: AskId, text: &str) {
        let Some(open) = self.asks.get(&ask) else {
            return;
        };
        let words = Words::OnDevice { text };
        if let Some(connection) = open.asker.connection() {
            return self.say(turn, connection, &words);
        }
        if let Asker::KeyUse { asked, .. } = &open.asker
            && let Some(pid) = asked.pid
        {
            let line = words.to_string();
            turn.act(Action::Say {
                pid,
                line,
                is_asking: true,
            });
        }
        if let Some(client) = open.asker.client() {
            let text = text.to_owned();
            turn.key_reply(client, key_control::Reply::Notice { text }, None);
        }
    }
}
