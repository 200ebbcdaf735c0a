//! The whole bench in virtual time.

use aefi_scan_engine::{Link, Nanos, VirtualBench};

use crate::acquisition_link::{AcquisitionLink, Ways};
use crate::faults::{FaultScript, LinkFaults};
use crate::mcu::{Chips, Drive};
use crate::motion::{Axis, Trajectory};
use crate::pmx::Controller;
use crate::random::Random;
use crate::settings::BenchSettings;
use crate::stage_link::StageLink;
use crate::truth::{Conversion, Truth};
use crate::wire::Line;

/// Streams of random numbers, so that one link's draws don't move another's.
const STAGE_LINE: u64 = 1;
const ACQUISITION_LINE: u64 = 2;
const NOISE: u64 = 3;

/// Stage, acquisition and field on one time.
///
/// A command is carried out at the instant its last byte arrives, and its reply is
/// planned then. A reading's field is planned along the way that is known, and
/// planned again if a stage command changes the way before its end; then the
/// announced arrival may move by the wire time of a digit.
#[derive(Debug, Clone)]
pub struct SimulatedBench {
    settings: BenchSettings,
    stage: StageLink,
    acquisition: AcquisitionLink,
}

impl SimulatedBench {
    /// Returns a bench that is switched on at instant zero.
    #[must_use]
    pub fn new(settings: BenchSettings) -> Self {
        Self::starting_at(settings, &FaultScript::default(), Nanos::ZERO)
    }

    /// Returns a bench that is switched on at `start` and suffers `faults`.
    #[must_use]
    pub fn starting_at(settings: BenchSettings, faults: &FaultScript, start: Nanos) -> Self {
        let random = |stream| Random::new(settings.seed, stream);
        let controller = Controller::new(&settings.stage, start);
        let stage_line = Line::new(settings.stage.pacing, controller.baud(), random(STAGE_LINE));
        let chosen = &settings.acquisition;
        let line = Line::new(chosen.pacing, chosen.baud, random(ACQUISITION_LINE))
            .with_ticks(chosen.tick_phase, chosen.lost_tick_share);
        let of = |link| LinkFaults::new(faults, link, start);
        let stage = StageLink::new(
            controller,
            stage_line,
            of(Link::Stage),
            settings.stage.echoes,
        );
        let acquisition = AcquisitionLink::new(
            chosen,
            &settings.field,
            line,
            of(Link::Acquisition),
            random(NOISE),
            start,
        );
        Self {
            settings,
            stage,
            acquisition,
        }
    }

    /// Returns the settings it was made with.
    #[must_use]
    pub fn settings(&self) -> &BenchSettings {
        &self.settings
    }

    /// Returns the stage controller.
    #[must_use]
    pub fn controller(&self) -> &Controller {
        &self.stage.controller
    }

    /// Returns the stage controller, to reach its inputs; commands go over the link.
    pub fn controller_mut(&mut self) -> &mut Controller {
        &mut self.stage.controller
    }

    /// Returns the chips behind the microcontroller.
    #[must_use]
    pub fn chips(&self) -> &Chips {
        &self.acquisition.chips
    }

    /// Returns how many replies of the stage were lost because the host talked.
    #[must_use]
    pub fn collisions(&self) -> u64 {
        self.stage.collisions
    }

    /// Switches the stage controller off and on.
    pub fn power_cycle_stage(&mut self, at: Nanos) {
        self.stage.power_cycle(at);
        self.plan_acquisition_again();
    }

    /// A client has opened the microcontroller's port.
    pub fn open_acquisition(&mut self, now: Nanos) {
        self.settle(now);
        self.acquisition.boot(now);
    }

    /// Lets everything happen that is due until `now`.
    pub fn settle(&mut self, now: Nanos) {
        let before = self.stage.controller.motion_changes();
        self.stage.suffer(now);
        self.stage.controller.settle(now);
        self.acquisition.suffer(now);
        self.follow_stage(before);
    }

    /// Returns a copy of what really happened so far.
    #[must_use]
    pub fn truth(&self) -> Truth {
        Truth {
            ways: Axis::ALL.map(|axis| self.trajectory(axis).clone()),
            conversions: self.acquisition.conversions.clone(),
            stops: self.stage.controller.stops().to_vec(),
            sync_edges: self.stage.controller.sync_edges().to_vec(),
            output_edges: self.stage.controller.output_edges().to_vec(),
        }
    }

    /// Returns the way of an axis without copying it.
    #[must_use]
    pub fn trajectory(&self, axis: Axis) -> &Trajectory {
        self.stage.controller.trajectory(axis)
    }

    /// Returns the integrations so far without copying them.
    #[must_use]
    pub fn conversions(&self) -> &[Conversion] {
        &self.acquisition.conversions
    }

    /// Returns how the spheres were driven so far, each change with its instant.
    #[must_use]
    pub fn drives(&self) -> &[(Nanos, Drive)] {
        &self.acquisition.drives
    }

    fn follow_stage(&mut self, changes_before: u64) {
        if self.stage.controller.motion_changes() != changes_before {
            self.plan_acquisition_again();
        }
    }

    fn plan_acquisition_again(&mut self) {
        let (acquisition, ways) = self.parts();
        acquisition.plan_again(ways);
    }

    fn parts(&mut self) -> (&mut AcquisitionLink, Ways<'_>) {
        let axes = [Axis::X, Axis::Y].map(|axis| self.stage.controller.trajectory(axis));
        let ways = Ways {
            axes,
            mm_per_step: self.settings.stage.micrometres_per_step * 1e-3,
        };
        (&mut self.acquisition, ways)
    }

    fn write_stage(&mut self, now: Nanos, bytes: &[u8]) {
        let before = self.stage.controller.motion_changes();
        self.stage.write(now, bytes);
        self.follow_stage(before);
    }
}

impl VirtualBench for SimulatedBench {
    fn write(&mut self, link: Link, now: Nanos, bytes: &[u8]) {
        self.settle(now);
        match link {
            Link::Stage => self.write_stage(now, bytes),
            Link::Acquisition => {
                let (acquisition, ways) = self.parts();
                acquisition.write(now, bytes, ways);
            }
        }
    }

    fn next_arrival(&self, link: Link) -> Option<Nanos> {
        match link {
            Link::Stage => self.stage.next_arrival(),
            Link::Acquisition => self.acquisition.next_arrival(),
        }
    }

    fn read(&mut self, link: Link, now: Nanos, into: &mut Vec<u8>) {
        self.settle(now);
        match link {
            Link::Stage => self.stage.read(now, into),
            Link::Acquisition => self.acquisition.read(now, into),
        }
    }

    fn is_gone(&self, link: Link) -> bool {
        match link {
            Link::Stage => self.stage.faults.is_hung_up,
            Link::Acquisition => self.acquisition.faults.is_hung_up,
        }
    }
}
