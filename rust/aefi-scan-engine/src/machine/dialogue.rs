//! What all who talk to the stage controller share: what was asked, what is believed
//! of both axes, and why the last reply was not.

use crate::conversation::{Reply, Turn};
use crate::error::Cause;
use crate::protocol::pmx::Command;
use crate::protocol::{ProtocolError, Request};
use crate::units::{Axis, Nanos, Steps};

use super::controller::{StageConfig, misunderstood};
use super::intent::{Intent, Seen, Verdict};

/// The host's end of a talk with the stage controller.
#[derive(Debug)]
pub(super) struct Dialogue {
    pub(super) config: StageConfig,
    /// The command under way.
    pub(super) asked: Command,
    /// Why the last reply was not believed or not understood.
    doubt: Option<Cause>,
    /// Where both axes were seen last, X first.
    positions: [Option<Steps>; 2],
    /// What position replies are judged by; nothing where they can't be.
    intents: [Option<Intent>; 2],
}

impl Dialogue {
    /// Returns a dialogue before its first request.
    pub(super) fn new(config: StageConfig) -> Self {
        Self {
            config,
            asked: Command::DeviceName,
            doubt: None,
            positions: [None; 2],
            intents: [None; 2],
        }
    }

    pub(super) fn ask(&mut self, command: Command) -> Turn {
        self.asked = command;
        Turn::Ask(self.config.request(command))
    }

    pub(super) fn resync(&self) -> Request {
        self.config.request(Command::DeviceName)
    }

    pub(super) fn is_resync(&self, line: &[u8]) -> bool {
        self.config.is_name(line)
    }

    /// A late reply is `OK`, a refusal or made of numbers; a name is another device's.
    pub(super) fn overheard(&mut self, line: &[u8]) {
        let is_late = line == b"OK"
            || line.starts_with(b"?")
            || line.iter().all(|byte| b"-:0123456789".contains(byte));
        if !is_late {
            self.doubt = Some(self.config.foreign(line));
        }
    }

    /// Takes notice that the last reply was understood and believed.
    pub(super) fn understood(&mut self) {
        self.doubt = None;
    }

    /// Takes notice that the last exchange failed; the resynchronising one follows.
    pub(super) fn failed(&mut self) {
        self.asked = Command::DeviceName;
    }

    pub(super) fn is_in_doubt(&self) -> bool {
        self.doubt.is_some()
    }

    pub(super) fn take_doubt(&mut self) -> Option<Cause> {
        self.doubt.take()
    }

    /// Returns why the last exchanges failed.
    pub(super) fn failure(&self, failures: u32) -> Cause {
        let silence = || self.config.silence(self.asked.to_string(), failures);
        self.doubt.clone().unwrap_or_else(silence)
    }

    /// Returns whether the controller refuses what was asked, on purpose: a query it
    /// can't refuse, and what it echoes otherwise than it was asked was damaged on its
    /// way. Else `error` is what the exchanges failed for, if they go on failing.
    pub(super) fn judge_refusal(&mut self, error: &ProtocolError) -> bool {
        let is_final = match error {
            ProtocolError::Refused { reply, .. } => self.asked.is_refused_by(reply),
            ProtocolError::Unexpected { .. } => false,
        };
        if !is_final && matches!(error, ProtocolError::Refused { .. }) {
            self.doubt = Some(misunderstood(error.clone()));
        }
        is_final
    }

    /// Returns the cause that a refusal of what was asked is.
    pub(super) fn refusal(&self, error: ProtocolError) -> Cause {
        match (self.asked, &error) {
            (Command::MoveTo(axis, _), ProtocolError::Refused { reply, .. })
                if reply == "?PULSING" =>
            {
                unordered_motion(axis)
            }
            _ => misunderstood(error),
        }
    }

    /// Returns the cause that a setting is which reads back as `found`.
    pub(super) fn not_taken_over(&self, asked: u32, found: i64) -> Cause {
        Cause::Setting {
            command: self.asked.to_string(),
            asked: i64::from(asked),
            found,
        }
    }

    // -- the axes ---------------------------------------------------------------

    /// Returns where an axis was seen last.
    pub(super) fn position(&self, axis: Axis) -> Option<Steps> {
        self.positions[axis.index()]
    }

    /// Returns what an axis is judged by.
    pub(super) fn intent(&self, axis: Axis) -> Option<&Intent> {
        self.intents[axis.index()].as_ref()
    }

    /// Takes notice that an axis is sent to `target`, at up to `speed` steps/s.
    pub(super) fn moves(&mut self, axis: Axis, target: Steps, at: Nanos, speed: f64) {
        let position = self.positions[axis.index()];
        let intent = &mut self.intents[axis.index()];
        let resting = || position.map(|position| Intent::to_rest_at(axis, position));
        let now = intent.or_else(resting);
        *intent = now.map(|intent| intent.to_move(target, at, speed));
    }

    /// Takes notice that nothing can be said of an axis' counter.
    pub(super) fn forget(&mut self, axis: Axis) {
        self.intents[axis.index()] = None;
    }

    /// Takes notice that an axis arrived where it was seen last.
    pub(super) fn arrived(&mut self, axis: Axis) {
        match &mut self.intents[axis.index()] {
            Some(intent) => *intent = intent.arrived(),
            None => self.still_rests(axis),
        }
    }

    /// Takes notice that an axis rests where `reply` found it; any move that is not
    /// ours has `register` steps/s.
    pub(super) fn rests(&mut self, axis: Axis, counts: Steps, reply: &Reply<'_>, register: f64) {
        self.positions[axis.index()] = Some(counts);
        let intent = Intent::to_rest(axis, seen(counts, reply), register);
        self.intents[axis.index()] = Some(intent);
    }

    /// Takes notice that an axis still rests where it was when it was let go.
    pub(super) fn still_rests(&mut self, axis: Axis) {
        let position = self.positions[axis.index()];
        self.intents[axis.index()] = position.map(|at| Intent::to_rest_at(axis, at));
    }

    /// Takes an axis' position without judging it.
    pub(super) fn see(&mut self, axis: Axis, counts: Steps) {
        self.positions[axis.index()] = Some(counts);
    }

    /// Judges the positions of one reply. If one of them is not believed, none is.
    pub(super) fn judge(&mut self, found: &[(Axis, Steps)], reply: &Reply<'_>) -> Verdict {
        let mut verdict = Verdict::Believed;
        for (axis, counts) in found {
            let Some(intent) = &mut self.intents[axis.index()] else {
                continue;
            };
            match (intent.judge(seen(*counts, reply)), &verdict) {
                (Verdict::Believed, _) | (Verdict::Doubted(_), Verdict::Astray(_)) => {}
                (worse, _) => verdict = worse,
            }
        }
        match &verdict {
            Verdict::Doubted(cause) => self.doubt = Some(cause.clone()),
            Verdict::Believed | Verdict::Astray(_) => {
                for (axis, counts) in found {
                    self.positions[axis.index()] = Some(*counts);
                }
            }
        }
        verdict
    }
}

/// Returns the cause that the motion of an axis is before this program sent it off.
pub(super) fn unordered_motion(axis: Axis) -> Cause {
    Cause::Motion {
        axis: axis.letter(),
        fault: "motion that nobody here ordered",
    }
}

fn seen(counts: Steps, reply: &Reply<'_>) -> Seen {
    Seen {
        counts,
        sent: reply.sent,
        received: reply.received,
    }
}
