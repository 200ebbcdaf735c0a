//! When it is certain what became of a frame, and the readings that wait for it.

use crate::flight_plan::{Line, Trigger};
use crate::ledger::FrameState;
use crate::records::{PlacedReading, Product};

use super::{Correlator, Flying, ROW};

impl Correlator {
    /// Decides the frames that the axis has passed by more than it needs to come to
    /// rest: it flew them at constant speed, whoever stops it from now on. What is ok
    /// ends. What is not may be flown again after a pause.
    pub(super) fn decide(&mut self, position: f64, out: &mut dyn FnMut(Product)) {
        let Some(flying) = self.flying else {
            return;
        };
        if self.plan.trigger.gives_pulses() {
            return; // They may be told of later: the line's end decides.
        }
        let line = self.plan.lines[flying.line];
        let cruised = self.without_ramp(&line, position);
        let is_passed = |at: &usize| line.is_past(cruised, line.edge(at + 1));
        let decided = (flying.decided..line.frames).take_while(is_passed).count();
        let decided = flying.decided + decided;
        for at in flying.decided..decided {
            if self.passed_state(at) == FrameState::Ok {
                let frame = line.first_frame + at;
                self.end_frame(flying.line, frame, at, FrameState::Ok, out);
            }
        }
        self.flying = Some(Flying { decided, ..flying });
    }

    /// Returns how far an axis at `position` has certainly flown at constant speed, if it
    /// is stopped with its ramp or without.
    fn without_ramp(&self, line: &Line, position: f64) -> f64 {
        let plan = &self.plan;
        let mean = f64::from(plan.speed + plan.start_speed.min(plan.speed)) / 2.0;
        position - line.direction() * (mean * plan.ramp().as_secs_f64() + ROW)
    }

    /// Returns how far the axis came in the line; with a ramp that nothing is known of,
    /// how far at constant speed.
    pub(super) fn reached(&self, flying: &Flying, line: &Line) -> Option<f64> {
        let last = self.tracks[self.plan.fast.index()].last()?;
        Some(if flying.cut_short {
            self.without_ramp(line, last)
        } else {
            last
        })
    }

    /// A frame is kept if it is ok and the axis stands beyond it.
    pub(super) fn is_kept(&self, line: &Line, at: usize, reached: Option<f64>) -> bool {
        let ended = self.ledger.state(line.first_frame + at) == Some(FrameState::Ok);
        let passed = reached.is_some_and(|position| line.is_past(position, line.edge(at + 1)));
        ended || (passed && self.passed_state(at) == FrameState::Ok)
    }

    /// What became of a frame that was passed, by the readings in it and for it, and by
    /// its pulse.
    pub(super) fn passed_state(&self, at: usize) -> FrameState {
        let tally = &self.tallies[at];
        let (count, needed) = (tally.count(), self.plan.min_readings);
        let aims = self.plan.trigger == Trigger::Positions;
        let lacks_pulse = self.plan.trigger.gives_pulses() && !tally.has_pulse();
        if aims && count > needed {
            // One of them was another frame's.
            FrameState::Duplicate
        } else if count < needed && tally.strays() > 0 {
            FrameState::OutOfWindow
        } else if count < needed || lacks_pulse {
            FrameState::Missed
        } else if tally.late() > self.tolerance {
            FrameState::Late
        } else {
            FrameState::Ok
        }
    }

    /// Hands on readings up to the first whose frame is not decided.
    pub(super) fn hand_on(&mut self, out: &mut dyn FnMut(Product)) {
        while let Some(held) = self.held.front().copied() {
            let (is_decided, frame) = self.fate(held.frame);
            if !is_decided {
                return;
            }
            self.held.pop_front();
            out(Product::Reading(PlacedReading { frame, ..held }));
        }
    }

    /// Returns whether a reading's frame is decided, and whether it counts in it.
    fn fate(&self, frame: Option<usize>) -> (bool, Option<usize>) {
        let (Some(frame), Some(flying)) = (frame, &self.flying) else {
            return (true, frame);
        };
        if self.ledger.state(frame).is_some() {
            return (true, Some(frame));
        }
        let first = self.plan.lines[flying.line].first_frame;
        // In the last pass it ends with the line, whatever it is then.
        let is_abandoned = frame < first + flying.decided && self.pass < self.plan.extra_passes;
        (is_abandoned, None)
    }

    /// Hands on all readings: those of frames that did not end count in none.
    pub(super) fn let_go(&mut self, out: &mut dyn FnMut(Product)) {
        while let Some(held) = self.held.pop_front() {
            let has_ended = |frame: &usize| self.ledger.state(*frame).is_some();
            let frame = held.frame.filter(has_ended);
            out(Product::Reading(PlacedReading { frame, ..held }));
        }
    }
}
