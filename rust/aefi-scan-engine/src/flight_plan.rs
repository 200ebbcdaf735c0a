//! What is flown: lines and frames in steps, checked once before anything moves.

use crate::error::PlanError;
use crate::protocol::mcu::Averaging;
use crate::units::{Axis, Nanos, Steps};

/// One traverse of the fast axis: run-up, window, run-down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// Where the slow axis rests.
    pub slow: Steps,
    /// Where the fast axis rests before the run-up.
    pub start: Steps,
    /// The first frame's outer edge, in steps.
    pub window_start: f64,
    /// The last frame's outer edge, in steps.
    pub window_stop: f64,
    /// Where the fast axis comes to rest; no command of the line reaches further.
    pub end: Steps,
    /// Identifier of the first frame passed.
    pub first_frame: usize,
    /// Frames in the window, in the order they are passed.
    pub frames: usize,
    /// Whether the excitation is off while it is flown.
    pub muted: bool,
}

impl Line {
    /// Returns 1 if the line ascends, -1 if it descends.
    #[must_use]
    pub fn direction(&self) -> f64 {
        (self.window_stop - self.window_start).signum()
    }

    /// Returns the identifiers of its frames.
    #[must_use]
    pub fn frame_ids(&self) -> std::ops::Range<usize> {
        self.first_frame..self.first_frame + self.frames
    }

    /// Returns the width of a frame, in steps.
    #[must_use]
    pub fn pitch(&self) -> f64 {
        (self.edge(1) - self.edge(0)).abs()
    }

    /// Returns the edge at which the frame with this place in the line begins.
    #[must_use]
    pub fn edge(&self, place: usize) -> f64 {
        let pitch = (self.window_stop - self.window_start) / self.frames as f64;
        self.window_start + pitch * place as f64
    }

    /// Returns the place of the frame that `position` lies in, if it lies in one.
    #[must_use]
    pub fn place(&self, position: f64) -> Option<usize> {
        let width = self.window_stop - self.window_start;
        let share = (position - self.window_start) / width;
        let place = (share * self.frames as f64).floor();
        (0.0..self.frames as f64)
            .contains(&place)
            .then_some(place as usize)
    }

    /// Returns the centre of the frame with this place in the line.
    #[must_use]
    pub fn centre(&self, place: usize) -> f64 {
        f64::midpoint(self.edge(place), self.edge(place + 1))
    }

    /// Returns whether `position` lies behind `edge` in the line's direction.
    #[must_use]
    pub fn is_past(&self, position: f64, edge: f64) -> bool {
        (position - edge) * self.direction() >= 0.0
    }

    /// Returns where a run-up starts that reaches the frame at `place` at speed.
    #[must_use]
    pub fn run_up(&self, place: usize) -> Steps {
        let shift = (self.edge(place) - self.window_start).round() as i64;
        Steps(self.start.0 + shift)
    }

    fn stations_are_in_order(&self) -> bool {
        let stations = [
            self.start.0 as f64,
            self.window_start,
            self.window_stop,
            self.end.0 as f64,
        ];
        let direction = self.direction();
        stations
            .windows(2)
            .all(|pair| (pair[1] - pair[0]) * direction >= 0.0)
            && (self.window_stop - self.window_start).abs() > 0.0
    }
}

/// A register of the microcontroller's chips and the value it is to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegisterWrite {
    /// The register's decimal address.
    pub address: u16,
    /// The value, unsigned.
    pub value: u16,
}

/// Which source a flight uses. The last three are by wire, for another detector:
/// beside it ours takes one reading after the other.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Trigger {
    /// One reading after the other, as fast as they come.
    #[default]
    FreeRunning,
    /// One reading a period, counted from the first.
    Periodic(Nanos),
    /// As many readings a frame as it needs to be ok, at predicted positions spaced
    /// evenly in it.
    Positions,
    /// One pulse a frame, of the controller's position compare on the fast axis'
    /// encoder, at the frame's centre.
    SyncOutput {
        /// Steps for each count of the encoder.
        pulses_per_count: f64,
    },
    /// One pulse a frame, of an output that the host sets at the predicted centre.
    DigitalOutput {
        /// The output, 5 to 8.
        output: u8,
    },
    /// None: a foreign edge latches the fast axis' position.
    Latch,
}

/// Lines in the order of flight and how they are flown.
#[derive(Debug, Clone, PartialEq)]
pub struct FlightPlan {
    /// The axis that moves in the windows.
    pub fast: Axis,
    /// Speed in the windows, in steps/s.
    pub speed: u32,
    /// Speed between lines, in steps/s.
    pub positioning_speed: u32,
    /// Start and stop speed of every ramp, in steps/s.
    pub start_speed: u32,
    /// Duration of a ramp, in ms.
    pub ramp_ms: u32,
    /// The lines, in the order of flight.
    pub lines: Vec<Line>,
    /// Conversions averaged into a reading.
    pub averaging: Averaging,
    /// Readings a frame needs to be ok.
    pub min_readings: u32,
    /// What a reading shows is so much older than its integration: the lag of the
    /// lock-in and of whatever else lies before the converter.
    pub lag: Nanos,
    /// When readings are taken.
    pub trigger: Trigger,
    /// Extra passes over frames that are not ok, at most.
    pub extra_passes: u32,
    /// Registers written before the first line: the excitation.
    pub excitation: Vec<RegisterWrite>,
    /// Registers written when the flight is over: the excitation off.
    pub excitation_off: Vec<RegisterWrite>,
}

/// The longest lag that is believed.
const LONGEST_LAG: Nanos = Nanos::from_millis(10_000);
/// The controller's range of speeds, in steps/s (manual §8.1).
const SPEEDS: std::ops::RangeInclusive<u32> = 1..=6_000_000;

impl FlightPlan {
    /// Returns the plan if it can be flown by any bench at all.
    ///
    /// # Errors
    ///
    /// If there is no line, frames are not numbered in order, a line's stations are
    /// not in the order of flight, or a number is outside the controller's range.
    pub fn checked(self) -> Result<Self, PlanError> {
        if self.lines.is_empty() {
            return Err(PlanError::Empty);
        }
        self.check_numbers()?;
        let mut expected = 0;
        for (index, line) in self.lines.iter().enumerate() {
            check_line(index, line, expected)?;
            expected += line.frames;
        }
        Ok(self)
    }

    fn check_numbers(&self) -> Result<(), PlanError> {
        for (what, speed) in [
            ("speed in steps/s", self.speed),
            ("positioning speed in steps/s", self.positioning_speed),
            ("start speed in steps/s", self.start_speed),
        ] {
            if !SPEEDS.contains(&speed) {
                return Err(PlanError::OutOfRange {
                    what,
                    range: "1 to 6000000",
                    found: f64::from(speed),
                });
            }
        }
        if !(Nanos::ZERO..=LONGEST_LAG).contains(&self.lag) {
            return Err(PlanError::OutOfRange {
                what: "lag of the readings in s",
                range: "0 to 10",
                found: self.lag.as_secs_f64(),
            });
        }
        if let Trigger::Periodic(period) = self.trigger
            && period <= Nanos::ZERO
        {
            return Err(PlanError::OutOfRange {
                what: "period of readings in s",
                range: "above 0",
                found: period.as_secs_f64(),
            });
        }
        if let Trigger::SyncOutput { pulses_per_count } = self.trigger
            && !(1e-3..=1e4).contains(&pulses_per_count)
        {
            return Err(PlanError::OutOfRange {
                what: "steps for each encoder count",
                range: "0.001 to 10000",
                found: pulses_per_count,
            });
        }
        if let Trigger::DigitalOutput { output } = self.trigger
            && !(5..=8).contains(&output)
        {
            return Err(PlanError::OutOfRange {
                what: "digital output",
                range: "5 to 8",
                found: f64::from(output),
            });
        }
        if self.min_readings == 0 {
            return Err(PlanError::OutOfRange {
                what: "readings a frame needs",
                range: "at least 1",
                found: 0.0,
            });
        }
        Ok(())
    }

    /// Returns the number of frames planned.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.lines.iter().map(|line| line.frames).sum()
    }

    /// Returns the axis that moves between lines only.
    #[must_use]
    pub fn slow(&self) -> Axis {
        self.fast.other()
    }

    /// Returns the writes that give a muted excitation its levels back.
    #[must_use]
    pub fn levels(&self) -> Vec<RegisterWrite> {
        let off = &self.excitation_off;
        let is_level =
            |write: &&RegisterWrite| off.iter().any(|each| each.address == write.address);
        self.excitation.iter().filter(is_level).copied().collect()
    }

    /// Returns the duration of a ramp.
    #[must_use]
    pub fn ramp(&self) -> Nanos {
        Nanos::from_millis(i64::from(self.ramp_ms))
    }

    /// Returns the line in which `frame` lies and its place there; the line behind
    /// the last one if the plan has no such frame.
    #[must_use]
    pub fn locate(&self, frame: usize) -> (usize, usize) {
        let line = self
            .lines
            .partition_point(|line| line.first_frame + line.frames <= frame);
        let first = self.lines.get(line).map_or(frame, |line| line.first_frame);
        (line, frame - first)
    }
}

fn check_line(index: usize, line: &Line, expected: usize) -> Result<(), PlanError> {
    if line.first_frame != expected || line.frames == 0 {
        return Err(PlanError::FrameOrder {
            line: index,
            expected,
            found: line.first_frame,
        });
    }
    if !line.stations_are_in_order() {
        return Err(PlanError::Order {
            line: index,
            start: line.start.0 as f64,
            window_start: line.window_start,
            window_stop: line.window_stop,
            end: line.end.0 as f64,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descending() -> Line {
        Line {
            slow: Steps(0),
            start: Steps(1000),
            window_start: 800.0,
            window_stop: 400.0,
            end: Steps(200),
            first_frame: 0,
            frames: 4,
            muted: false,
        }
    }

    #[test]
    fn a_position_lies_in_the_frame_between_two_edges() {
        let line = descending();
        assert_eq!(line.place(800.0), Some(0));
        assert_eq!(line.place(700.0), Some(1));
        assert_eq!(line.place(400.1), Some(3));
        assert_eq!(line.place(400.0), None);
        assert_eq!(line.place(801.0), None);
    }

    #[test]
    fn a_fresh_run_up_is_as_long_as_the_first() {
        let line = descending();
        assert_eq!(line.run_up(0), Steps(1000));
        assert_eq!(line.run_up(2), Steps(800));
    }

    #[test]
    fn stations_out_of_order_are_refused() {
        let mut line = descending();
        line.end = Steps(500);
        assert!(matches!(
            check_line(0, &line, 0),
            Err(PlanError::Order { line: 0, .. })
        ));
        line = descending();
        line.window_stop = line.window_start;
        let refused = check_line(0, &line, 0);
        assert!(matches!(refused, Err(PlanError::Order { .. })), "no window");
    }
}
