//! The Arcus Performax PMX-4EX-SA on RS-485 (manual rev 3.11, §5.2.3, §6, §8).
//!
//! A request is `@`, the two digits of the address, the command and CR; a reply is
//! text and CR. A reply that starts with `?` refuses the command.

use std::fmt::{self, Write as _};

use super::{ProtocolError, Request, integer, integers};
use crate::units::{Axis, Nanos, Steps};

/// Ends a reply.
pub const TERMINATOR: u8 = b'\r';

/// Begins each request, and no reply.
pub const REQUEST_MARK: u8 = b'@';

/// What the controller can be asked, as far as a map needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// `DN`: the device's name.
    DeviceName,
    /// `MST`: the status of all axes.
    Status,
    /// `PX`, `PY`: the pulse counter of one axis.
    Position(Axis),
    /// `PP`: the pulse counters of all axes.
    Positions,
    /// `ABS`: targets are absolute.
    Absolute,
    /// `EO1=1`: the axis' driver is on.
    Enable(Axis),
    /// `EO=0`: all drivers are off.
    DisableAll,
    /// `IERR=0`: a limit or alarm stops the axis and is remembered.
    LimitErrors,
    /// `EDEC=0`: one ramp time serves acceleration and deceleration.
    SharedRamp,
    /// `SCVX=0`: trapezoids, no S-curves.
    Trapezoid(Axis),
    /// `HSX=n`: high speed of the axis, in steps/s.
    SetHighSpeed(Axis, u32),
    /// `HSX`: its read-back.
    HighSpeed(Axis),
    /// `LSX=n`: start speed of the axis, in steps/s.
    SetLowSpeed(Axis, u32),
    /// `LSX`: its read-back.
    LowSpeed(Axis),
    /// `ACCX=n`: ramp time of the axis, in ms.
    SetRamp(Axis, u32),
    /// `ACCX`: its read-back.
    Ramp(Axis),
    /// `Xn`: an absolute move of one axis.
    MoveTo(Axis, Steps),
    /// `HX-0`: to the home input, upwards or downwards, in one of the modes 0 to 4; the
    /// pulse counter is zero at its edge.
    Home {
        /// The axis.
        axis: Axis,
        /// Whether it looks upwards.
        upwards: bool,
        /// The manual's mode, 0 to 4.
        mode: u8,
    },
    /// `STOP`: all axes come to rest with their ramps.
    Stop,
    /// `ABORT`: all axes stand at once.
    Abort,
    /// `TOC=n`: the controller's own watch on the line reports a host that is silent
    /// for n ms; zero ends it.
    WatchHost(u32),
    /// `CLRX`: latched limit and alarm errors of the axis are forgotten.
    Clear(Axis),
    /// `EX`: the encoder counter of one axis.
    Encoder(Axis),
    /// `SYNXP=n`: the encoder count that the axis' synchronisation output waits for.
    SetSyncCount(Axis, i64),
    /// `SYNXC=1`: it comes on when the count is met.
    SyncOnEqual(Axis),
    /// `SYNXT=n`: for n ms.
    SetSyncWidth(Axis, u32),
    /// `SYNXO`: it waits from now on.
    SyncOn(Axis),
    /// `SYNXF`: it waits no more.
    SyncOff(Axis),
    /// `SYNXS`: 0 it does not wait, 1 it waits, 2 it came on.
    SyncStatus(Axis),
    /// `DO5=1`: a digital output, 1 to 8, on or off.
    SetOutput(u8, bool),
    /// `LTX=1`: the axis' latch waits for an edge at its input, or no more.
    SetLatch(Axis, bool),
    /// `LTXS`: 0 it does not wait, 1 it waits, 2 it caught an edge.
    LatchStatus(Axis),
    /// `LTXP`: the pulse counter at that edge.
    LatchedPosition(Axis),
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::DeviceName => f.write_str("DN"),
            Self::Status => f.write_str("MST"),
            Self::Position(axis) => write!(f, "P{}", axis.letter()),
            Self::Positions => f.write_str("PP"),
            Self::Absolute => f.write_str("ABS"),
            Self::Enable(axis) => write!(f, "EO{}=1", axis.index() + 1),
            Self::DisableAll => f.write_str("EO=0"),
            Self::LimitErrors => f.write_str("IERR=0"),
            Self::SharedRamp => f.write_str("EDEC=0"),
            Self::Trapezoid(axis) => write!(f, "SCV{}=0", axis.letter()),
            Self::SetHighSpeed(axis, n) => write!(f, "HS{}={n}", axis.letter()),
            Self::HighSpeed(axis) => write!(f, "HS{}", axis.letter()),
            Self::SetLowSpeed(axis, n) => write!(f, "LS{}={n}", axis.letter()),
            Self::LowSpeed(axis) => write!(f, "LS{}", axis.letter()),
            Self::SetRamp(axis, n) => write!(f, "ACC{}={n}", axis.letter()),
            Self::Ramp(axis) => write!(f, "ACC{}", axis.letter()),
            Self::MoveTo(axis, target) => write!(f, "{}{}", axis.letter(), target.0),
            Self::Home {
                axis,
                upwards,
                mode,
            } => {
                let sign = if upwards { '+' } else { '-' };
                write!(f, "H{}{sign}{mode}", axis.letter())
            }
            Self::Stop => f.write_str("STOP"),
            Self::Abort => f.write_str("ABORT"),
            Self::WatchHost(ms) => write!(f, "TOC={ms}"),
            Self::Clear(axis) => write!(f, "CLR{}", axis.letter()),
            Self::Encoder(axis) => write!(f, "E{}", axis.letter()),
            Self::SetSyncCount(axis, n) => write!(f, "SYN{}P={n}", axis.letter()),
            Self::SyncOnEqual(axis) => write!(f, "SYN{}C=1", axis.letter()),
            Self::SetSyncWidth(axis, n) => write!(f, "SYN{}T={n}", axis.letter()),
            Self::SyncOn(axis) => write!(f, "SYN{}O", axis.letter()),
            Self::SyncOff(axis) => write!(f, "SYN{}F", axis.letter()),
            Self::SyncStatus(axis) => write!(f, "SYN{}S", axis.letter()),
            Self::SetOutput(output, on) => write!(f, "DO{output}={}", u8::from(on)),
            Self::SetLatch(axis, on) => write!(f, "LT{}={}", axis.letter(), u8::from(on)),
            Self::LatchStatus(axis) => write!(f, "LT{}S", axis.letter()),
            Self::LatchedPosition(axis) => write!(f, "LT{}P", axis.letter()),
        }
    }
}

impl Command {
    /// Returns the framed request to the device with this two-digit `address`.
    ///
    /// # Panics
    ///
    /// Never: the longest command is shorter than a request can be.
    #[must_use]
    pub fn request(self, address: u8, allowance: Nanos) -> Request {
        let mut request = Request::new(1, allowance);
        write!(request, "@{address:02}{self}\r").expect("no command is that long");
        request
    }

    /// Returns whether it only asks: the controller can't refuse that.
    #[must_use]
    pub const fn is_query(self) -> bool {
        matches!(
            self,
            Self::DeviceName
                | Self::Status
                | Self::Position(_)
                | Self::Positions
                | Self::HighSpeed(_)
                | Self::LowSpeed(_)
                | Self::Ramp(_)
                | Self::Encoder(_)
                | Self::SyncStatus(_)
                | Self::LatchStatus(_)
                | Self::LatchedPosition(_)
        )
    }

    /// Returns whether `reply`, which begins with `?`, refuses this very command: by a
    /// reason, or by the command itself (Arcus reference §4). What is nearly the command
    /// is the echo of one that was damaged on its way.
    #[must_use]
    pub fn is_refused_by(self, reply: &str) -> bool {
        let (command, words) = (self.to_string(), reply.trim_start_matches('?'));
        !self.is_query() && (words == command || !is_damaged_copy(words, &command))
    }

    /// Checks that `reply` accepts the command.
    ///
    /// # Errors
    ///
    /// If the reply is anything but `OK`; the manual has `SYNXP=n` answered by its
    /// number, too.
    pub fn accepted(self, reply: &[u8]) -> Result<(), ProtocolError> {
        match self {
            _ if reply == b"OK" => Ok(()),
            Self::SetSyncCount(_, count) if integer(reply) == Some(count) => Ok(()),
            _ => Err(self.error("OK", reply)),
        }
    }

    /// Returns the integer in `reply`.
    ///
    /// # Errors
    ///
    /// If the reply is no integer.
    pub fn integer(self, reply: &[u8]) -> Result<i64, ProtocolError> {
        integer(reply).ok_or_else(|| self.error("an integer", reply))
    }

    /// Returns the four counters in the reply to `PP`.
    ///
    /// # Errors
    ///
    /// If the reply is not four integers separated by colons.
    pub fn positions(self, reply: &[u8]) -> Result<[Steps; 4], ProtocolError> {
        let mut values = [0; 4];
        match integers(reply, b':', &mut values) {
            Some(4) => Ok(values.map(Steps)),
            _ => Err(self.error("four positions", reply)),
        }
    }

    /// Returns the status of the four axes in the reply to `MST`.
    ///
    /// # Errors
    ///
    /// If the reply is not nine integers separated by colons.
    pub fn status(self, reply: &[u8]) -> Result<[AxisStatus; 4], ProtocolError> {
        let mut values = [0; 9];
        match integers(reply, b':', &mut values) {
            Some(9) if values[..4].iter().all(|bits| u32::try_from(*bits).is_ok()) => {
                Ok([0, 1, 2, 3].map(|axis| AxisStatus(values[axis] as u32)))
            }
            _ => Err(self.error("nine status fields", reply)),
        }
    }

    /// Returns the error for a reply of another form than `expected`.
    #[must_use]
    pub fn error(self, expected: &'static str, reply: &[u8]) -> ProtocolError {
        let command = self.to_string();
        let text = String::from_utf8_lossy(reply).into_owned();
        if reply.first() == Some(&b'?') {
            return ProtocolError::Refused {
                command,
                reply: text,
            };
        }
        ProtocolError::Unexpected {
            command,
            expected,
            reply: text,
        }
    }
}

/// Returns whether `words` may be what came of `command`: a part of it, or as long and
/// half of it the same.
fn is_damaged_copy(words: &str, command: &str) -> bool {
    if words.len() != command.len() {
        return words.contains(command) || command.contains(words);
    }
    let same = words.bytes().zip(command.bytes()).filter(|(a, b)| a == b);
    2 * same.count() >= command.len()
}

/// The status bits of one axis (manual §6.14).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AxisStatus(pub u32);

impl AxisStatus {
    /// Returns whether the axis accelerates, cruises or decelerates.
    #[must_use]
    pub const fn is_moving(self) -> bool {
        self.0 & 0b111 != 0
    }

    /// Returns the fault that the axis reports, by its name in the manual.
    #[must_use]
    pub const fn fault(self) -> Option<&'static str> {
        match self.0 {
            bits if bits & 512 != 0 => Some("alarm error"),
            bits if bits & 128 != 0 => Some("plus limit error"),
            bits if bits & 256 != 0 => Some("minus limit error"),
            bits if bits & 8 != 0 => Some("alarm"),
            bits if bits & 2048 != 0 => Some("communication time-out"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(command: Command) -> String {
        let request = command.request(0, Nanos::ZERO);
        String::from_utf8(request.bytes().to_vec()).expect("ASCII")
    }

    #[test]
    fn requests_are_those_of_the_reference_vectors() {
        assert_eq!(
            Command::Position(Axis::X).request(0, Nanos::ZERO).bytes(),
            [0x40, 0x30, 0x30, 0x50, 0x58, 0x0D]
        );
        assert_eq!(wire(Command::MoveTo(Axis::Y, Steps(-1235))), "@00Y-1235\r");
        assert_eq!(wire(Command::SetHighSpeed(Axis::X, 1500)), "@00HSX=1500\r");
        let home = Command::Home {
            axis: Axis::X,
            upwards: false,
            mode: 0,
        };
        assert_eq!(wire(home), "@00HX-0\r");
        assert_eq!(wire(Command::Enable(Axis::Y)), "@00EO2=1\r");
        assert_eq!(wire(Command::Trapezoid(Axis::X)), "@00SCVX=0\r");
        assert_eq!(Command::Status.request(7, Nanos::ZERO).bytes(), b"@07MST\r");
        assert_eq!(
            wire(Command::SetSyncCount(Axis::X, 12000)),
            "@00SYNXP=12000\r"
        );
        assert_eq!(wire(Command::SetOutput(5, true)), "@00DO5=1\r");
        assert_eq!(wire(Command::SetLatch(Axis::Y, true)), "@00LTY=1\r");
    }

    #[test]
    fn replies_of_the_reference_vectors_are_understood() {
        assert_eq!(
            Command::Positions.positions(b"27522:0:0:0"),
            Ok([Steps(27522), Steps(0), Steps(0), Steps(0)])
        );
        let status = Command::Status
            .status(b"4:0:0:0:0:0:0:36:0")
            .expect("nine fields");
        assert!(status[0].is_moving() && !status[1].is_moving());
        let limit = Command::Status
            .status(b"288:0:0:0:0:0:0:36:0")
            .expect("nine fields");
        assert_eq!(limit[0].fault(), Some("minus limit error"));
    }

    #[test]
    fn a_refusal_carries_command_and_words() {
        let error = Command::MoveTo(Axis::X, Steps(100)).accepted(b"?PULSING");
        assert_eq!(
            error.expect_err("refused").to_string(),
            "X100: refused with \"?PULSING\""
        );
    }

    #[test]
    fn only_a_command_is_refused_and_only_by_a_reason_or_itself() {
        let command = Command::MoveTo(Axis::Y, Steps(29_122));
        for reply in ["?PULSING", "?Y29122", "?LIMIT", "?ALARM", "?a new reason"] {
            assert!(command.is_refused_by(reply), "{reply}");
        }
        for reply in ["?", "?Y2!122", "?Y2", "?Y29122Y29122", "?Q29122"] {
            assert!(!command.is_refused_by(reply), "{reply}");
        }
        assert!(!Command::Position(Axis::Y).is_refused_by("?PQ"));
        assert!(!Command::Position(Axis::Y).is_refused_by("?PY"));
    }

    #[test]
    fn a_count_to_compare_is_taken_over_by_ok_or_by_the_number_itself() {
        let command = Command::SetSyncCount(Axis::Y, -12000);
        assert_eq!(command.accepted(b"OK"), Ok(()));
        assert_eq!(command.accepted(b"-12000"), Ok(()));
        assert!(command.accepted(b"12000").is_err());
    }

    #[test]
    fn a_cut_or_foreign_reply_is_no_number() {
        for reply in [&b"OK"[..], b"", b"?", b"12:3", b"4EX00", b"1 2"] {
            assert!(Command::Position(Axis::X).integer(reply).is_err());
        }
        assert!(Command::Positions.positions(b"1:2:3").is_err());
        assert!(Command::Positions.positions(b"1:2:3:4:5").is_err());
        assert!(Command::Status.status(b"0:0:0:0:0:0:0:36").is_err());
    }
}
