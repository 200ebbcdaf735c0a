//! Every error of the engine.

use std::io;

use crate::protocol::ProtocolError;
use crate::spool::SpoolError;
use crate::transport::holders::{Holder, holders};

/// Why a port could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// No such port.
    #[error("port {port} is missing")]
    Missing {
        /// The port asked for.
        port: String,
    },
    /// Somebody has the port open.
    #[error("port {port} is busy: {}", named(holders))]
    Busy {
        /// The port asked for.
        port: String,
        /// Who has it, as far as the system tells.
        holders: Vec<Holder>,
    },
    /// The system refuses the port for another reason.
    #[error("port {port} cannot be opened: {reason}")]
    Refused {
        /// The port asked for.
        port: String,
        /// The system's words.
        reason: String,
    },
}

impl EngineError {
    pub(crate) fn thread(error: &io::Error) -> Self {
        Self::Thread {
            reason: error.to_string(),
        }
    }
}

fn named(holders: &[Holder]) -> String {
    if holders.is_empty() {
        return "another program holds it".to_owned();
    }
    let names: Vec<String> = holders.iter().map(ToString::to_string).collect();
    format!("it is held by {}", names.join(", "))
}

impl OpenError {
    fn busy(port: String) -> Self {
        let holders = holders(&port);
        Self::Busy { port, holders }
    }

    /// Refuses a port that somebody has open, with a lock or without.
    ///
    /// # Errors
    ///
    /// [`Self::Busy`], with who has it.
    pub fn if_held(port: &str) -> Result<(), Self> {
        let holders = holders(port);
        if holders.is_empty() {
            return Ok(());
        }
        let port = port.to_owned();
        Err(Self::Busy { port, holders })
    }

    pub(crate) fn from_io(port: &str, cause: &io::Error) -> Self {
        let port = port.to_owned();
        match cause.kind() {
            io::ErrorKind::NotFound => Self::Missing { port },
            io::ErrorKind::ResourceBusy | io::ErrorKind::WouldBlock => Self::busy(port),
            _ => Self::Refused {
                port,
                reason: cause.to_string(),
            },
        }
    }

    pub(crate) fn from_serial(port: &str, cause: &serialport::Error) -> Self {
        let port = port.to_owned();
        match cause.kind() {
            serialport::ErrorKind::NoDevice => Self::busy(port),
            serialport::ErrorKind::Io(kind) => {
                Self::from_io(&port, &io::Error::new(kind, cause.description.clone()))
            }
            _ => Self::Refused {
                port,
                reason: cause.to_string(),
            },
        }
    }
}

/// Why a flight plan cannot be flown, whatever the bench.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The plan has no line.
    #[error("a flight plan needs at least one line, has none")]
    Empty,
    /// A line's frames do not follow the frames of the line before.
    #[error("line {line}: first frame must be {expected}, was {found}")]
    FrameOrder {
        /// The line.
        line: usize,
        /// The identifier that follows.
        expected: usize,
        /// The identifier given.
        found: usize,
    },
    /// A line's stations are not in the order they are passed.
    #[error(
        "line {line}: start {start}, window {window_start} to {window_stop} and end {end} \
         (steps) are not in the order of flight"
    )]
    Order {
        /// The line.
        line: usize,
        /// Start of the run-up.
        start: f64,
        /// Start of the window.
        window_start: f64,
        /// End of the window.
        window_stop: f64,
        /// End of the run-down.
        end: f64,
    },
    /// A number is outside its range.
    #[error("{what} must be {range}, was {found}")]
    OutOfRange {
        /// What the number means, with its unit.
        what: &'static str,
        /// The range allowed.
        range: &'static str,
        /// The number given.
        found: f64,
    },
}

/// Why a flight ended before its last frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// Somebody asked for it.
    #[error("{by} requested")]
    Requested {
        /// `stop` or `abort`.
        by: &'static str,
    },
    /// A link did not answer.
    #[error("{device} did not answer {command:?}: {attempts} attempts of {waited_ms} ms each")]
    Silent {
        /// The device at the far end.
        device: &'static str,
        /// The request that stayed without answer.
        command: String,
        /// Attempts made.
        attempts: u32,
        /// Time given to each attempt.
        waited_ms: i64,
    },
    /// A link is gone.
    #[error("link to the {device} lost: {reason}")]
    LinkLost {
        /// The device at the far end.
        device: &'static str,
        /// The system's words.
        reason: String,
    },
    /// A device answered with what its protocol does not allow.
    #[error("{device}: {error}")]
    Protocol {
        /// The device.
        device: &'static str,
        /// What was wrong.
        error: ProtocolError,
    },
    /// Another device answers than the one configured.
    #[error("{device} answers as {found:?}, but the bench file names {expected:?}")]
    Identity {
        /// The device.
        device: &'static str,
        /// The name configured.
        expected: String,
        /// The name received.
        found: String,
    },
    /// An axis reports a fault.
    #[error("axis {axis} reports {fault}")]
    Motion {
        /// The axis' letter.
        axis: char,
        /// The fault, in the manual's words.
        fault: &'static str,
    },
    /// A setting was not taken over.
    #[error("the controller answers {command} with {found}, although {asked} was set")]
    Setting {
        /// The command that reads the setting.
        command: String,
        /// The value asked for.
        asked: i64,
        /// The value found.
        found: i64,
    },
    /// An axis rests where it was not sent.
    #[error("axis {axis} rests at {found} steps, although it was sent to {target} steps")]
    Stalled {
        /// The axis' letter.
        axis: char,
        /// The target, in steps.
        target: i64,
        /// Where it rests, in steps.
        found: i64,
    },
    /// An axis reports a position that it cannot have reached.
    #[error(
        "axis {axis} reports {found} steps, but from {last} steps it can have moved {reach} steps \
         at most: the controller was switched off, or its counter was set"
    )]
    PositionJump {
        /// The axis' letter.
        axis: char,
        /// The position reported, in steps.
        found: i64,
        /// The last position believed, in steps.
        last: i64,
        /// How far it can have moved since, in steps.
        reach: i64,
    },
    /// An axis left the way from where it was to where it was sent.
    #[error(
        "axis {axis} is at {found} steps, outside its way from {from} to {target} steps: the \
         command was damaged on its way, or another program or person moves the stage"
    )]
    Astray {
        /// The axis' letter.
        axis: char,
        /// Where it is, in steps.
        found: i64,
        /// Where it was, in steps.
        from: i64,
        /// Where it was sent, in steps.
        target: i64,
    },
    /// An axis that was to rest moves.
    #[error(
        "axis {axis} is at {found} steps, although it was to rest at {rested} steps: another \
         program or person moves the stage, or a command was damaged on its way"
    )]
    OtherHand {
        /// The axis' letter.
        axis: char,
        /// Where it rested, in steps.
        rested: i64,
        /// Where it is, in steps.
        found: i64,
    },
    /// An axis came to rest on its way, and nobody here stopped it.
    #[error(
        "axis {axis} rests at {found} steps on its way from {from} to {target} steps: another \
         program or person stopped it, or the command was damaged on its way"
    )]
    CutShort {
        /// The axis' letter.
        axis: char,
        /// Where it rests, in steps.
        found: i64,
        /// Where it was, in steps.
        from: i64,
        /// Where it was sent, in steps.
        target: i64,
    },
    /// What the encoder says of an axis and what the pulse counter says disagree.
    #[error(
        "axis {axis}: position of encoder and counter disagree: the encoder reads {found} \
         counts, {expected} belong to the counter's {steps} steps"
    )]
    Encoder {
        /// The axis' letter.
        axis: char,
        /// The encoder's count.
        found: i64,
        /// The count expected.
        expected: i64,
        /// The pulse counter, in steps.
        steps: i64,
    },
    /// The stage still moves although it was stopped in every way there is.
    #[error("the stage still moves {after_ms} ms after stop, abort and drive-off")]
    Unstoppable {
        /// Time since the first stop.
        after_ms: i64,
    },
    /// What the flight records can't be kept.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The correlator did not say where to fly next.
    #[error("the engine did not find out in time which frames are left to be flown")]
    Unanswered,
    /// A thread of the engine died.
    #[error("the engine's {thread} thread panicked")]
    Panicked {
        /// The thread's name.
        thread: &'static str,
    },
}

impl Cause {
    /// Returns whether something else than this program may have moved or stopped an
    /// axis: with which ramp, if with one, is not known.
    #[must_use]
    pub fn is_foreign_motion(&self) -> bool {
        matches!(
            self,
            Self::Astray { .. }
                | Self::CutShort { .. }
                | Self::Motion { .. }
                | Self::OtherHand { .. }
                | Self::PositionJump { .. }
                | Self::Stalled { .. }
        )
    }
}

/// What the engine can fail with.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// A port could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A plan cannot be flown.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A device refused or failed.
    #[error(transparent)]
    Device(#[from] Cause),
    /// A flight's spool could not be made.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The system refused a thread.
    #[error("the system refuses a thread: {reason}")]
    Thread {
        /// The system's words.
        reason: String,
    },
}
