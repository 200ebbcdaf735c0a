//! One position query after the other, for a while: what a link gives; pure.

use crate::conversation::{DeviceLogic, Reply, Turn};
use crate::protocol::Request;
use crate::protocol::pmx::{self, Command};
use crate::records::Fix;
use crate::units::{Axis, Nanos, Steps};

use super::controller::{PATIENCE, StageConfig};
use super::dialogue::Dialogue;

/// Asks for one axis, back to back, and for nothing else: nothing moves.
#[derive(Debug)]
pub struct Polling {
    dialogue: Dialogue,
    axis: Axis,
    span: Nanos,
    began: Option<Nanos>,
    first: Option<Nanos>,
    last: Nanos,
    fixes: u64,
    is_lost: bool,
}

impl Polling {
    /// Returns the polling of `axis` for `span`, counted from its first request.
    #[must_use]
    pub fn new(config: StageConfig, axis: Axis, span: Nanos) -> Self {
        Self {
            dialogue: Dialogue::new(config),
            axis,
            span,
            began: None,
            first: None,
            last: Nanos::ZERO,
            fixes: 0,
            is_lost: false,
        }
    }

    /// Returns how many positions were understood.
    #[must_use]
    pub fn fixes(&self) -> u64 {
        self.fixes
    }

    /// Returns the time from the first reply to the last: that of one exchange less
    /// than there were fixes, whatever the first one had to wait for.
    #[must_use]
    pub fn elapsed(&self) -> Nanos {
        self.last - self.first.unwrap_or(self.last)
    }

    fn query(&self) -> Command {
        Command::Position(self.axis)
    }
}

impl DeviceLogic for Polling {
    type Record = Fix;

    const TERMINATOR: u8 = pmx::TERMINATOR;
    const REQUEST_MARK: Option<u8> = Some(pmx::REQUEST_MARK);

    fn next(&mut self, now: Nanos, _records: &mut dyn FnMut(Fix)) -> Turn {
        let began = *self.began.get_or_insert(now);
        if self.is_lost || now - began >= self.span {
            return Turn::Over;
        }
        self.dialogue.ask(self.query())
    }

    fn is_urgent(&self) -> bool {
        self.is_lost
    }

    fn asked(&mut self, _sent: Nanos, _records: &mut dyn FnMut(Fix)) {}

    fn replied(&mut self, reply: Reply<'_>, records: &mut dyn FnMut(Fix)) -> bool {
        let Ok(counts) = self.query().integer(reply.text) else {
            return false;
        };
        self.fixes += 1;
        self.first.get_or_insert(reply.received);
        self.last = reply.received;
        records(self.dialogue.config.fix(self.axis, Steps(counts), &reply));
        true
    }

    fn failed(&mut self, _now: Nanos, failures: u32, _records: &mut dyn FnMut(Fix)) {
        self.is_lost |= failures >= PATIENCE;
    }

    fn lost(&mut self, _now: Nanos, _reason: &str, _records: &mut dyn FnMut(Fix)) {
        self.is_lost = true;
    }

    fn resync(&self) -> Request {
        self.dialogue.resync()
    }

    fn is_resync(&self, line: &[u8]) -> bool {
        self.dialogue.is_resync(line)
    }
}
