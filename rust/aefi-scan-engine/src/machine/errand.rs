//! A few commands to the stage outside a flight, one after another; pure.

use crate::conversation::{DeviceLogic, Reply, Turn};
use crate::error::Cause;
use crate::protocol::Request;
use crate::protocol::pmx::{self, Command};
use crate::units::{Axis, Nanos};

use super::controller::{PATIENCE, StageConfig, link_lost, misunderstood};

/// Commands that are all answered by `OK`, to the device with the right name.
#[derive(Debug)]
pub struct Errand {
    config: StageConfig,
    commands: Vec<Command>,
    next: usize,
    outcome: Option<Result<(), Cause>>,
}

impl Errand {
    /// Returns the errand of forgetting latched limit and alarm errors.
    #[must_use]
    pub fn clear_errors(config: StageConfig) -> Self {
        Self {
            config,
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

    fn check(&self, command: Command, reply: &[u8]) -> Result<(), Cause> {
        if command != Command::DeviceName {
            return command.accepted(reply).map_err(misunderstood);
        }
        if self.config.is_name(reply) {
            return Ok(());
        }
        Err(self.config.foreign(reply))
    }
}

impl DeviceLogic for Errand {
    type Record = ();

    const TERMINATOR: u8 = pmx::TERMINATOR;

    fn next(&mut self, _now: Nanos, _records: &mut dyn FnMut(())) -> Turn {
        match self.commands.get(self.next) {
            Some(command) if self.outcome.is_none() => Turn::Ask(self.config.request(*command)),
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
        match self.check(self.commands[self.next], reply.text) {
            Ok(()) => self.next += 1,
            Err(cause) => self.outcome = Some(Err(cause)),
        }
        true
    }

    fn failed(&mut self, _now: Nanos, failures: u32, _records: &mut dyn FnMut(())) {
        if failures >= PATIENCE {
            let command = self.commands.get(self.next);
            let command = command.map(ToString::to_string).unwrap_or_default();
            self.outcome = Some(Err(self.config.silence(command, failures)));
        }
    }

    fn lost(&mut self, _now: Nanos, reason: &str, _records: &mut dyn FnMut(())) {
        self.outcome = Some(Err(link_lost(reason)));
    }

    fn resync(&self) -> Request {
        self.config.request(Command::DeviceName)
    }

    fn is_resync(&self, line: &[u8]) -> bool {
        self.config.is_name(line)
    }
}
