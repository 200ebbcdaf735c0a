//! What every flight owes, whatever happened to it, judged by the simulator's truth.

use std::collections::BTreeSet;

use aefi_bench_sim::mcu::Drive;
use aefi_bench_sim::{Axis, SimulatedBench};
use aefi_scan_engine::records::{Estimate, Fix, PlacedReading};
use aefi_scan_engine::shell::FlightEnd;
use aefi_scan_engine::shell::virtual_time::VirtualFlight;
use aefi_scan_engine::{Axis as EngineAxis, Cause, FlightPlan, FlightState, FrameState, Nanos};

use super::{Log, fly, true_places};

const AXES: [Axis; 2] = [Axis::X, Axis::Y];
/// Rounding of the simulator's positions, in steps.
const ROUNDING: f64 = 1e-6;
/// A counter shows the nearest whole step.
const HALF_STEP: f64 = 0.5;

/// A flight that is over.
pub struct Flown {
    /// What was done to it, for the message of a failed test.
    pub what: String,
    pub plan: FlightPlan,
    pub log: Log,
    pub end: FlightEnd,
    pub bench: SimulatedBench,
    /// How far a counter that was believed may be from the truth, in steps.
    pub false_by: f64,
}

impl Flown {
    /// Flies to the end; `before` is called before each event with its number.
    pub fn new(
        what: String,
        plan: FlightPlan,
        mut flight: VirtualFlight<SimulatedBench>,
        before: impl FnMut(u64, &VirtualFlight<SimulatedBench>),
    ) -> Self {
        let (log, end) = fly(&mut flight, before);
        Self {
            what,
            plan,
            log,
            end,
            bench: flight.into_bench(),
            false_by: 0.0,
        }
    }

    pub fn is_completed(&self) -> bool {
        self.end.outcome.state == FlightState::Completed
    }

    pub fn cause(&self) -> Option<&Cause> {
        self.end.outcome.cause.as_ref()
    }

    /// What was measured is true and accounted for, and the end has a name.
    pub fn check(&self) {
        self.check_ledger();
        self.check_fixes();
        self.check_places();
        self.check_ok_frames();
        self.check_excitation();
        assert_eq!(self.is_completed(), self.cause().is_none(), "{self}");
    }

    /// Each planned frame has one state, and each state was handed out once.
    fn check_ledger(&self) {
        let mut totals = [0_u64; 7];
        let mut seen = BTreeSet::new();
        for frame in &self.log.frames {
            totals[usize::from(frame.state.code())] += 1;
            assert!(seen.insert(frame.frame), "{self}: {frame:?} ended twice");
        }
        assert_eq!(totals[usize::from(FrameState::NotReached.code())], 0);
        totals[usize::from(FrameState::NotReached.code())] =
            (self.plan.frames() - seen.len()) as u64;
        assert_eq!(self.end.totals, totals, "{self}");
    }

    /// Each counter that was believed was that of the axis at some instant of its span.
    fn check_fixes(&self) {
        let doubts = Fix::IMPOSSIBLE | Fix::OUTLIER;
        let is_believed = |fix: &&Fix| fix.flags & doubts == 0;
        for fix in self.log.fixes.iter().filter(is_believed) {
            let way = self.bench.trajectory(AXES[fix.axis.index()]);
            let (a, b) = (way.position_at(fix.earliest), way.position_at(fix.latest));
            let counts = fix.counts.0 as f64;
            let speed = way.velocity_at(fix.middle()).abs();
            let is_cruise = (speed / f64::from(self.plan.speed) - 1.0).abs() < 1e-3;
            let false_by = if is_cruise {
                self.false_by
            } else {
                10.0 * self.false_by
            };
            let room = false_by.max(HALF_STEP) + ROUNDING;
            assert!(
                a.min(b) - room <= counts && counts <= a.max(b) + room,
                "{self}: {fix:?}, truth {a} to {b}"
            );
        }
    }

    /// Each frame that is ok has the readings that have its number, flown at constant
    /// speed, in its row and in the frame.
    fn check_ok_frames(&self) {
        let truth = true_places(&self.log, &self.bench);
        let fast = AXES[self.plan.fast.index()];
        let way = self.bench.trajectory(fast);
        for frame in self
            .log
            .frames
            .iter()
            .filter(|frame| frame.state == FrameState::Ok)
        {
            let line = &self.plan.lines[frame.line];
            let numbered: Vec<_> = (self.log.readings.iter().zip(&truth))
                .filter(|(placed, _)| placed.frame == Some(frame.frame))
                .collect();
            assert_eq!(numbered.len(), frame.count as usize, "{self}: {frame:?}");
            let mean_code = numbered
                .iter()
                .map(|(placed, _)| f64::from(placed.reading.codes[0]))
                .sum::<f64>()
                / numbered.len() as f64;
            assert!(
                (mean_code - frame.mean[0]).abs() < 1e-6,
                "{self}: {frame:?}"
            );
            let at = frame.frame - line.first_frame;
            let edges = [line.edge(at), line.edge(at + 1)];
            let (low, high) = (edges[0].min(edges[1]), edges[0].max(edges[1]));
            for (placed, truth) in numbered {
                assert_eq!(placed.flags & PlacedReading::WIDE, 0, "{self}: {placed:?}");
                let place = placed.place[self.plan.fast.index()];
                let room = place.high - place.low + ROUNDING;
                let (along, across) = (
                    truth[self.plan.fast.index()],
                    truth[self.plan.slow().index()],
                );
                assert!(
                    low - room <= along && along <= high + room,
                    "{self}: {frame:?}, {placed:?}, truth {along}"
                );
                assert!(
                    (across - line.slow.0 as f64).abs() <= 4.0,
                    "{self}: {frame:?}, {placed:?}, row {across}"
                );
                let speed = way.velocity_at(placed.reading.middle()).abs();
                let asked = f64::from(self.plan.speed);
                assert!(
                    self.runs_up(line) > 0.0 || (speed / asked - 1.0).abs() < 2e-3,
                    "{self}: {frame:?}, {placed:?}, {speed} steps/s"
                );
            }
        }
    }

    /// Returns how many steps of its run-up a line lacks to be at speed in its window.
    fn runs_up(&self, line: &aefi_scan_engine::Line) -> f64 {
        let plan = &self.plan;
        let mean = f64::from(plan.speed + plan.start_speed.min(plan.speed)) / 2.0;
        let ramp = mean * plan.ramp().as_secs_f64();
        ramp - (line.window_start - line.start.0 as f64).abs()
    }

    /// Each interval holds the truth: of the readings, and of the frames' means.
    fn check_places(&self) {
        let truth = true_places(&self.log, &self.bench);
        let known_from = self.known_from();
        let lines_end = (self.log.lines.iter().map(|line| line.ended))
            .max()
            .unwrap_or(Nanos::NEVER);
        for (placed, truth) in self.log.readings.iter().zip(&truth) {
            for (place, truth) in placed.place.iter().zip(truth) {
                // Behind the last line nobody may know where the stage is.
                let may_be_unknown = !self.is_completed()
                    || placed.reading.earliest < known_from
                    || placed.reading.latest > lines_end;
                assert!(may_be_unknown || !place.low.is_nan(), "{self}: {placed:?}");
                // Between two looks at a resting axis nobody else moves it, or no reading
                // counts in a frame.
                let may_be_moved = self.is_moved_by_others() && placed.frame.is_none();
                assert!(
                    may_be_moved || holds(place, *truth),
                    "{self}: {placed:?}, truth {truth}"
                );
            }
        }
        for frame in &self.log.frames {
            let readings = self.log.readings.iter().zip(&truth).rev();
            let counted = readings
                .filter(|(placed, _)| placed.frame == Some(frame.frame))
                .take(frame.count as usize);
            let sums = counted.fold([0.0; 2], |sum, (_, at)| [sum[0] + at[0], sum[1] + at[1]]);
            for (place, sum) in frame.place.iter().zip(sums) {
                let mean = sum / f64::from(frame.count);
                assert!(
                    frame.count == 0 || holds(place, mean),
                    "{self}: {frame:?}, truth {mean}"
                );
            }
        }
    }

    fn is_moved_by_others(&self) -> bool {
        self.cause().is_some_and(Cause::is_foreign_motion)
    }

    /// When both axes had been seen.
    fn known_from(&self) -> Nanos {
        let first = |axis| {
            let mut fixes = self.log.fixes.iter().filter(|fix| fix.axis == axis);
            fixes.next().map_or(Nanos::NEVER, |fix| fix.latest)
        };
        first(EngineAxis::X).max(first(EngineAxis::Y))
    }

    /// What is said to be off is off.
    fn check_excitation(&self) {
        if self.end.excitation_off {
            let drive = self.bench.chips().synthesizer.drive();
            assert_eq!(drive, Drive::default(), "{self}");
        }
    }

    /// Every planned frame is ok.
    pub fn check_whole(&self) {
        assert!(self.is_completed(), "{self}");
        assert_eq!(self.end.totals[0], self.plan.frames() as u64, "{self}");
        let first_pass = self.log.lines.iter().filter(|line| line.pass == 0);
        assert_eq!(first_pass.count(), self.plan.lines.len(), "{self}");
        assert!(self.end.excitation_off, "{self}");
    }

    /// The flight was over by `latest`.
    pub fn check_end_by(&self, latest: Nanos) {
        assert!(self.end.ended <= latest, "{self}: later than {latest:?}");
    }

    /// Both axes rest when the flight is over.
    pub fn check_rest(&self) {
        self.check_rest_by(self.end.ended);
    }

    /// Both axes rest at `time`, whatever the host knows of it.
    pub fn check_rest_by(&self, time: Nanos) {
        for axis in AXES {
            let way = self.bench.trajectory(axis);
            assert!(!way.is_moving_at(time), "{self}: {axis:?} moves");
            assert!(way.end().is_some_and(|end| end <= time), "{self}");
        }
    }

    /// No axis has current.
    pub fn check_drives_off(&self) {
        let mut controller = self.bench.controller().clone();
        assert_eq!(controller.execute(self.end.ended, "EO"), "0", "{self}");
    }

    /// No axis was ever further than `beyond` steps outside of what the plan commits:
    /// where it stood at first and the stations of the lines.
    pub fn check_committed(&self, beyond: f64) {
        let lines = &self.plan.lines;
        let slow: Vec<f64> = lines.iter().map(|line| line.slow.0 as f64).collect();
        let fast: Vec<f64> = lines
            .iter()
            .flat_map(|line| [line.start.0 as f64, line.end.0 as f64])
            .collect();
        for axis in AXES {
            let stations = if axis.index() == self.plan.fast.index() {
                &fast
            } else {
                &slow
            };
            let segments = self.bench.trajectory(axis).segments();
            let first = segments[0].position;
            let low = stations.iter().copied().fold(first, f64::min) - beyond - ROUNDING;
            let high = stations.iter().copied().fold(first, f64::max) + beyond + ROUNDING;
            for segment in segments {
                let at = segment.position;
                assert!(
                    low <= at && at <= high,
                    "{self}: {axis:?} at {at}, committed {low} to {high}"
                );
            }
        }
    }
}

impl std::fmt::Display for Flown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { what, end, .. } = self;
        write!(
            f,
            "{what}: {:?} {:?} at {:?}, frames {:?}, stage {} requests, detector {}",
            end.outcome.state,
            end.outcome.cause,
            end.ended,
            end.totals,
            end.stage_link.requests,
            end.detector_link.requests
        )
    }
}

/// Whether the truth lies in an interval; one that is not known holds everything.
fn holds(place: &Estimate, truth: f64) -> bool {
    place.low.is_nan() || (place.low <= truth && truth <= place.high)
}
