//! A few commands to the stage outside a flight, one after another; pure.

use crate::conversation::{DeviceLogic, Reply, Turn};
use crate::error::Cause;
use crate::protocol::Request;
use crate::protocol::pmx::{self, Command};
use crate::units::{Axis, Nanos};

use super::controller::{PATIENCE, StageConfig, link_lost, misunderstood};
use super::dialogue::Dialogue;

/// Commands that are all answered by `OK`, to the device with the right name.
#[derive(Debug)]
pub struct Errand {
    dialogue: Dialogue,
    commands: Vec<Command>,
    next: usize,
    outcome: Option<Result<(), Cause>>,
}

impl Errand {
    /// Returns the errand of forgetting latched limit and alarm errors.
    #[must_use]
    pub fn clear_errors(config: StageConfig) -> Self {
        Self {
            dialogue: Dialogue::new(config),
            commands: [Command::DeviceName]
                .into_iter()
                .chain(Axis::BOTH.map(Command::Clear))
                .collect(),
            next: 0,
            outcome: None,
        }
    }

    /// Returns how the errand ended.
    ///
    /// # Errors
    ///
    /// What the stage or its link did wrong.
    pub fn into_outcome(self) -> Result<(), Cause> {
        self.outcome.unwrap_or(Ok(()))
    }

    /// Returns whether the reply was understood; what is refused ends the errand.
    fn understand(&mut self, reply: &[u8]) -> bool {
        let command = self.dialogue.asked;
        if command == Command::DeviceName {
            if !self.dialogue.config.is_name(reply) {
                self.outcome = Some(Err(self.dialogue.config.foreign(reply)));
            }
            return true;
        }
        match command.accepted(reply) {
            Ok(()) => true,
            Err(error) if self.dialogue.judge_refusal(&error) => {
                self.outcome = Some(Err(misunderstood(error)));
                true
            }
            Err(_) => false,
        }
    }
}

impl DeviceLogic for Errand {
    type Record = ();

    const TERMINATOR: u8 = pmx::TERMINATOR;
    const REQUEST_MARK: Option<u8> = Some(pmx::REQUEST_MARK);

    fn next(&mut self, _now: Nanos, _records: &mut dyn FnMut(())) -> Turn {
        match self.commands.get(self.next) {
            Some(command) if self.outcome.is_none() => self.dialogue.ask(*command),
            _ => {
                self.outcome.get_or_insert(Ok(()));
                Turn::Over
            }
        }
    }

    fn is_urgent(&self) -> bool {
        self.outcome.is_some()
    }

    fn asked(&mut self, _sent: Nanos, _records: &mut dyn FnMut(())) {}

    fn replied(&mut self, reply: Reply<'_>, _records: &mut dyn FnMut(())) -> bool {
        let understood = self.understand(reply.text);
        if understood {
            self.dialogue.understood();
            self.next += 1;
        }
        understood
    }

    fn failed(&mut self, _now: Nanos, failures: u32, _records: &mut dyn FnMut(())) {
        if failures >= PATIENCE {
            self.outcome = Some(Err(self.dialogue.failure(failures)));
        }
        self.dialogue.failed();
    }

    fn lost(&mut self, _now: Nanos, reason: &str, _records: &mut dyn FnMut(())) {
        self.outcome = Some(Err(link_lost(reason)));
    }

    fn resync(&self) -> Request {
        self.dialogue.resync()
    }

    fn is_resync(&self, line: &[u8]) -> bool {
        self.dialogue.is_resync(line)
    }

    fn overheard(&mut self, line: &[u8]) {
        self.dialogue.overheard(line);
    }
}
