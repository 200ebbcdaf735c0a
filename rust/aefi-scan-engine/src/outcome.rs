//! Where a flight stands, and how it ended.

use crate::error::Cause;
use crate::protocol::pmx::Command;

/// Where a flight stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlightState {
    /// The devices are being set up.
    Preparing,
    /// Lines are being flown.
    Flying,
    /// The stage is coming to rest for a pause.
    Pausing,
    /// The stage rests and the ledger is kept.
    Paused,
    /// All lines were flown.
    Completed,
    /// Ended by a ramped stop on request.
    Stopped,
    /// Ended by an abort on request.
    Aborted,
    /// Ended by a fault.
    Failed,
}

impl FlightState {
    /// All states; the place in this list is the state's code.
    /// All states; the place in this list is the state's code.
    pub const ALL: [Self; 8] = [
        Self::Preparing,
        Self::Flying,
        Self::Pausing,
        Self::Paused,
        Self::Completed,
        Self::Stopped,
        Self::Aborted,
        Self::Failed,
    ];
}

/// How a flight ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// One of the four final states.
    pub state: FlightState,
    /// Why it ended before its last line.
    pub cause: Option<Cause>,
}

/// How often each kind of stop was sent to the stage, weakest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StopsSent {
    /// Ramped stops.
    pub stops: u32,
    /// Stops without a ramp.
    pub aborts: u32,
    /// Orders to switch the drives off.
    pub drives_off: u32,
}

impl StopsSent {
    pub(crate) fn count(&mut self, command: Command) {
        match command {
            Command::Stop => self.stops += 1,
            Command::Abort => self.aborts += 1,
            Command::DisableAll => self.drives_off += 1,
            _ => {}
        }
    }
}
