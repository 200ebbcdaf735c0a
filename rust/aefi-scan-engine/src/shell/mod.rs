//! What drives the pure parts of a flight, and what its owner holds of it.

pub mod moves;
pub mod signal_stop;
pub mod threads;
pub mod virtual_time;

use std::sync::Arc;
use std::thread::{JoinHandle, Thread};

use crate::clock::Clock;
use crate::controls::{Controls, Demand};
use crate::conversation::LinkHealth;
use crate::error::Cause;
use crate::estimator::LatchFraction;
use crate::flight_plan::FlightPlan;
use crate::health::Summary;
use crate::machine::controller::StageConfig;
use crate::machine::detector::DetectorConfig;
use crate::outcome::{FlightState, Outcome, StopsSent};
use crate::realtime::{Realtime, SettingReport};
use crate::records::{EndedFrame, EndedLine, Fix, PlacedReading, Product};
use crate::ring::{Consumer, Loss, Producer, ring};
use crate::spool::{RecordedEnd, SpoolError, SpoolOutcome, SpoolTarget, SpoolWriter};
use crate::units::{Axis, Nanos};

/// Everything a flight is started with but its links.
#[derive(Debug, Clone)]
pub struct FlightSetup {
    /// What is flown.
    pub plan: Arc<FlightPlan>,
    /// The stage controller.
    pub stage: StageConfig,
    /// The microcontroller.
    pub detector: DetectorConfig,
    /// Where what is recorded is kept while flying, if anywhere.
    pub spool: Option<SpoolTarget>,
    /// What the system is asked for; nothing in virtual time.
    pub realtime: Realtime,
}

/// Names of the threads that a panic can end, as a cause has them.
const STAGE: &str = "stage";
const DETECTOR: &str = "detector";
const CORRELATOR: &str = "correlator";

/// Fixes and readings held for a consumer that sleeps: 26 seconds at 10 k/s.
const SAMPLES: usize = 262_144;

#[derive(Debug)]
struct ProductsIn {
    fixes: Producer<Fix>,
    readings: Producer<PlacedReading>,
    frames: Producer<EndedFrame>,
    lines: Producer<EndedLine>,
    spool: Option<SpoolWriter>,
}

/// The consumer's ends of a flight's rings.
#[derive(Debug)]
pub struct Products {
    /// Position replies.
    pub fixes: Consumer<Fix>,
    /// Placed readings.
    pub readings: Consumer<PlacedReading>,
    /// Ended frames.
    pub frames: Consumer<EndedFrame>,
    /// Ended lines.
    pub lines: Consumer<EndedLine>,
}

/// Returns where the products of a flight that begins now go, and whence they come.
fn products(setup: &FlightSetup, began: Nanos) -> Result<(ProductsIn, Products), SpoolError> {
    let plan = &setup.plan;
    let spool = setup.spool.as_ref();
    let spool = spool.map(|target| SpoolWriter::create(target, began));
    let (fixes_in, fixes) = ring(SAMPLES);
    let (readings_in, readings) = ring(SAMPLES);
    // A frame ends once, a line once a pass: these two can never overflow.
    let (frames_in, frames) = ring(plan.frames());
    let passes = plan.extra_passes as usize + 1;
    let (lines_in, lines) = ring(plan.lines.len() * passes);
    Ok((
        ProductsIn {
            fixes: fixes_in,
            readings: readings_in,
            frames: frames_in,
            lines: lines_in,
            spool: spool.transpose()?,
        },
        Products {
            fixes,
            readings,
            frames,
            lines,
        },
    ))
}

impl ProductsIn {
    fn push(&mut self, product: Product) {
        if let Some(spool) = &mut self.spool {
            spool.take(&product);
        }
        match product {
            Product::Fix(fix) => self.fixes.push(fix),
            Product::Reading(reading) => self.readings.push(reading),
            Product::Frame(frame) => self.frames.push(frame),
            Product::Line(line) => self.lines.push(line),
        }
    }

    /// Flushes the spool if it is time to; if it can't be, the flight has to end.
    fn tick(&mut self, clock: &impl Clock, controls: &Controls) {
        let spool = self.spool.as_mut();
        if let Some(Err(error)) = spool.map(|spool| spool.tick(clock.now())) {
            controls.agreement.set_spool_fault(error.into());
        }
    }

    /// Closes the spool of a flight that is over. What was flown to its end but can't
    /// be kept is no completed flight.
    fn close_spool(&mut self, end: &mut FlightEnd) {
        let Some(spool) = self.spool.take() else {
            return;
        };
        end.spool = spool.finish(&end.recorded());
        if let (FlightState::Completed, Some(error)) = (end.outcome.state, &end.spool.error) {
            end.outcome = Outcome {
                state: FlightState::Failed,
                cause: Some(error.clone().into()),
            };
        }
    }

    fn is_abandoned(&self) -> bool {
        self.lines.is_abandoned()
    }

    /// Whether the consumer is so far behind that virtual time should wait.
    fn is_crowded(&self) -> bool {
        self.fixes.room().min(self.readings.room()) < SAMPLES / 4
    }
}

/// What is left of a flight when its last thread has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct FlightEnd {
    /// How it ended.
    pub outcome: Outcome,
    /// The stops that were sent to the stage.
    pub stops: StopsSent,
    /// Frames by state, by code; the sum is the number planned.
    pub totals: [u64; 7],
    /// When it began.
    pub began: Nanos,
    /// When it ended.
    pub ended: Nanos,
    /// Whether the excitation is known to be off.
    pub excitation_off: bool,
    /// Anomalies of the stage's link.
    pub stage_link: LinkHealth,
    /// Anomalies of the detector's link.
    pub detector_link: LinkHealth,
    /// How late readings were that were due at an instant.
    pub lateness: Summary,
    /// Where in its turnaround the controller latched its counters, if that is known.
    pub latch: Option<LatchFraction>,
    /// Records that the correlator never saw: stage, detector.
    pub unseen: [Loss; 2],
    /// What became of the spool; nothing if there was none.
    pub spool: SpoolOutcome,
    /// What became of each setting of the system.
    pub realtime: Vec<SettingReport>,
}

impl FlightEnd {
    /// Returns whether steps may have been lost, so that the axes must be referenced:
    /// something stopped them without a ramp, or nobody knows where they are.
    #[must_use]
    pub fn is_position_suspect(&self) -> bool {
        let cut_short = self.stops.aborts + self.stops.drives_off > 0;
        let by_cause = |cause: &Cause| {
            let is_lost = matches!(
                cause,
                Cause::Unstoppable { .. } | Cause::Panicked { thread: STAGE }
            );
            is_lost || cause.is_foreign_motion()
        };
        cut_short || self.outcome.cause.as_ref().is_some_and(by_cause)
    }

    fn recorded(&self) -> RecordedEnd {
        let cause = self.outcome.cause.as_ref();
        RecordedEnd {
            state: self.outcome.state,
            totals: self.totals,
            ended: self.ended,
            excitation_off: self.excitation_off,
            cause: cause.map(ToString::to_string).unwrap_or_default(),
        }
    }
}

/// A flight under way; dropping it stops the motion.
#[derive(Debug)]
pub struct Flight {
    controls: Arc<Controls>,
    products: Products,
    began: Nanos,
    frames: usize,
    sleepers: Vec<Thread>,
    runner: Option<JoinHandle<FlightEnd>>,
    end: Option<FlightEnd>,
    /// The process whose threads fly: a child that was forked has none of them.
    owner: u32,
}

impl Flight {
    /// Demands something of the flight; a weaker demand than one in force changes
    /// nothing. Returns at once.
    pub fn demand(&self, demand: Demand) {
        self.controls.demands.demand(demand);
        self.wake();
    }

    /// Takes a pause back and returns whether there was one.
    #[must_use]
    pub fn resume(&self) -> bool {
        let resumed = self.controls.demands.resume();
        self.wake();
        resumed
    }

    fn wake(&self) {
        self.sleepers.iter().for_each(Thread::unpark);
    }

    /// Returns where the flight stands.
    #[must_use]
    pub fn state(&self) -> FlightState {
        self.controls.display.state()
    }

    /// Returns lines flown and frames in a final state.
    #[must_use]
    pub fn done(&self) -> (usize, usize) {
        self.controls.display.done()
    }

    /// Returns where both axes are by now, X first, in steps; for a display.
    #[must_use]
    pub fn positions(&self) -> [Option<f64>; 2] {
        Axis::BOTH.map(|axis| self.controls.display.position(axis))
    }

    /// Returns when the flight began, by its own clock.
    #[must_use]
    pub fn began(&self) -> Nanos {
        self.began
    }

    /// Returns the present by the flight's own clock.
    #[must_use]
    pub fn now(&self) -> Nanos {
        self.controls.display.now()
    }

    /// Returns the consumer's ends of the rings.
    pub fn products(&mut self) -> &mut Products {
        &mut self.products
    }

    /// Returns the flight's end if all its threads have ended.
    ///
    /// Whatever was produced before is in the rings when this returns.
    pub fn end(&mut self) -> Option<&FlightEnd> {
        if self.runner.as_ref().is_some_and(JoinHandle::is_finished) {
            self.join();
        }
        self.end.as_ref()
    }

    fn join(&mut self) {
        if let Some(runner) = self.runner.take() {
            self.end = Some(runner.join().unwrap_or_else(|_| self.lost_runner()));
        }
    }

    fn lost_runner(&self) -> FlightEnd {
        FlightEnd {
            outcome: Outcome {
                state: FlightState::Failed,
                cause: Some(Cause::Panicked { thread: CORRELATOR }),
            },
            stops: StopsSent::default(),
            totals: crate::ledger::Ledger::new(self.frames).totals(),
            began: self.began,
            ended: self.controls.display.now(),
            excitation_off: false,
            stage_link: LinkHealth::default(),
            detector_link: LinkHealth::default(),
            lateness: Summary::default(),
            latch: None,
            unseen: [Loss::default(); 2],
            spool: SpoolOutcome::default(),
            realtime: Vec::new(),
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if std::process::id() != self.owner {
            std::mem::forget(self.runner.take());
            return;
        }
        self.demand(Demand::Stop);
        self.join();
    }
}
