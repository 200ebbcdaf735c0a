//! The readings of one frame, summed up as they come.

use crate::ledger::FrameState;
use crate::records::{EndedFrame, Estimate, Reading, VOLTAGES};
use crate::units::Nanos;

/// Running sums over a frame's readings (Welford's form: no cancellation).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    count: u32,
    strays: u32,
    late: Nanos,
    /// How late the frame's pulse was, if it came.
    pulse: Option<Nanos>,
    time: f64,
    place: [[f64; 3]; 2],
    mean: [f64; VOLTAGES],
    squares: [f64; VOLTAGES],
}

impl Tally {
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Returns how many readings were taken for the frame and met another place.
    pub(super) fn strays(&self) -> u32 {
        self.strays
    }

    pub(super) fn add_stray(&mut self) {
        self.strays += 1;
    }

    /// Returns how late the frame's pulse was, or else the latest reading.
    pub(super) fn late(&self) -> Nanos {
        self.pulse.unwrap_or(self.late)
    }

    pub(super) fn has_pulse(&self) -> bool {
        self.pulse.is_some()
    }

    pub(super) fn add_pulse(&mut self, late: Nanos) {
        self.pulse = Some(late);
    }

    pub(super) fn add(&mut self, reading: &Reading, place: &[Estimate; 2]) {
        self.count += 1;
        let share = 1.0 / f64::from(self.count);
        self.late = self.late.max(reading.late());
        self.time += (reading.middle().0 as f64 - self.time) * share;
        for (sum, now) in self.place.iter_mut().zip(place) {
            for (mean, value) in sum.iter_mut().zip([now.position, now.low, now.high]) {
                *mean += (value - *mean) * share;
            }
        }
        for (channel, code) in reading.codes[..VOLTAGES].iter().enumerate() {
            let before = f64::from(*code) - self.mean[channel];
            self.mean[channel] += before * share;
            let after = f64::from(*code) - self.mean[channel];
            self.squares[channel] += before * after;
        }
    }

    pub(super) fn ended(
        &self,
        frame: usize,
        line: usize,
        pass: u32,
        state: FrameState,
    ) -> EndedFrame {
        let nothing = self.count == 0;
        let known = |value: f64| if nothing { f64::NAN } else { value };
        EndedFrame {
            frame,
            line,
            pass,
            state,
            count: self.count,
            at: Nanos(self.time as i64),
            late: self.late(),
            place: self.place.map(|[position, low, high]| Estimate {
                position: known(position),
                low: known(low),
                high: known(high),
            }),
            mean: self.mean.map(known),
            deviation: self.squares.map(|squares| self.deviation(squares)),
        }
    }

    fn deviation(&self, squares: f64) -> f64 {
        if self.count < 2 {
            f64::NAN
        } else {
            (squares / f64::from(self.count - 1)).sqrt()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_deviation_are_those_of_the_codes() {
        let mut tally = Tally::default();
        let place = [Estimate {
            position: 10.0,
            low: 9.0,
            high: 11.0,
        }; 2];
        for (time, code) in [(100, 4), (200, 8), (300, 6)] {
            let reading = Reading {
                sent: Nanos(time),
                received: Nanos(time),
                earliest: Nanos(time),
                latest: Nanos(time),
                codes: [code; 8],
                due: Nanos(time - 7),
                aim: None,
            };
            tally.add(&reading, &place);
        }
        let frame = tally.ended(3, 1, 0, FrameState::Ok);
        assert_eq!((frame.count, frame.at), (3, Nanos(200)));
        assert_eq!(frame.late, Nanos(7));
        assert!((frame.mean[0] - 6.0).abs() < 1e-12);
        assert!((frame.deviation[5] - 2.0).abs() < 1e-12);
        assert_eq!(frame.place[0].low.to_bits(), 9.0_f64.to_bits());
    }

    #[test]
    fn a_frame_without_readings_has_no_values() {
        let frame = Tally::default().ended(0, 0, 0, FrameState::Missed);
        assert!(frame.mean[0].is_nan() && frame.place[1].high.is_nan());
    }
}
