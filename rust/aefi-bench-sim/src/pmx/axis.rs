//! One axis: its way, its counters, its switches and its latched errors.

use aefi_scan_engine::Nanos;

use super::trigger::{Latch, Sync};
use crate::motion::{
    Axis, Departure, Passage, Profile, Segment, Side, Trajectory, cut_at, plan_stop,
};
use crate::settings::{Encoder, StageSettings};

/// Latched error bits of the axis status (§5).
pub(super) const PLUS_LIMIT_ERROR: u16 = 128;
pub(super) const MINUS_LIMIT_ERROR: u16 = 256;
pub(super) const ALARM_ERROR: u16 = 512;
pub(super) const TIME_OUT: u16 = 2048;

/// Length of the flag at the home input; not documented, a few steps.
const HOME_FLAG: f64 = 10.0;
/// How far a limit switch has to be left before it opens again.
const SWITCH_HYSTERESIS: f64 = 2.0;

/// What moves the axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Motion {
    /// A positional move that may get another target.
    Single { target: f64 },
    /// A jog.
    Jog,
    /// Homing, a path, or part of a joined move.
    Bound,
}

/// The counter is set to zero at a place that is passed at an instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Zeroing {
    pub(super) at: Nanos,
    pub(super) position: f64,
    pub(super) encoder_too: bool,
}

#[derive(Debug, Clone)]
pub(super) struct AxisState {
    pub(super) trajectory: Trajectory,
    /// Machine position at which the pulse counter reads zero.
    pub(super) origin: f64,
    encoder: Encoder,
    /// Count that the encoder has beyond what it derives from the position.
    encoder_offset: f64,
    pub(super) errors: u16,
    pub(super) alarm: bool,
    /// An alarm that lasts until it is cleared (a fault).
    pub(super) forced_alarm: bool,
    /// A switch that is closed although the axis is not there (a fault).
    pub(super) forced_switch: Option<Side>,
    pub(super) motion: Motion,
    pub(super) moved_at: Nanos,
    pub(super) profile: Profile,
    /// Axes that stop together with this one, as a bit mask.
    pub(super) group: u8,
    /// The planned motion runs into a switch.
    pub(super) collision: Option<Passage>,
    pub(super) zeroing: Option<Zeroing>,
    pub(super) latch: Latch,
    pub(super) sync: Sync,
    pub(super) low_switch: f64,
    pub(super) high_switch: f64,
    pub(super) home_edge: f64,
}

impl AxisState {
    pub(super) fn new(axis: Axis, settings: &StageSettings, start: Nanos) -> Self {
        let i = axis.index();
        let position = settings.start_steps[i];
        Self {
            trajectory: Trajectory::resting(start, position),
            origin: 0.0,
            encoder: settings.encoder,
            encoder_offset: 0.0,
            errors: 0,
            alarm: false,
            forced_alarm: false,
            forced_switch: None,
            motion: Motion::Bound,
            moved_at: Nanos(i64::MIN),
            profile: Profile::new(1.0, 1.0, 1.0, 1.0),
            group: 1 << i,
            collision: None,
            zeroing: None,
            latch: Latch::default(),
            sync: Sync::default(),
            low_switch: -settings.switch_margin_steps,
            high_switch: settings.travel_steps[i] + settings.switch_margin_steps,
            home_edge: settings.home_edge_steps[i],
        }
    }

    pub(super) fn is_moving(&self, at: Nanos) -> bool {
        self.trajectory.is_moving_at(at)
    }

    /// Returns the pulse counter.
    pub(super) fn counter(&self, at: Nanos) -> i64 {
        (self.trajectory.position_at(at) - self.origin).round() as i64
    }

    pub(super) fn set_counter(&mut self, at: Nanos, value: i64) {
        self.origin = self.trajectory.position_at(at) - value as f64;
    }

    /// Returns the encoder counter, not rounded, at a machine position.
    pub(super) fn encoder_at(&self, position: f64) -> f64 {
        match self.encoder {
            Encoder::Absent => self.encoder_offset,
            Encoder::Wired { pulses_per_count } => {
                position / pulses_per_count + self.encoder_offset
            }
        }
    }

    /// Returns the machine position at which the encoder reads `count`, if any.
    pub(super) fn position_of_count(&self, count: f64) -> Option<f64> {
        match self.encoder {
            Encoder::Absent => None,
            Encoder::Wired { pulses_per_count } => {
                Some((count - self.encoder_offset) * pulses_per_count)
            }
        }
    }

    pub(super) fn encoder_counter(&self, at: Nanos) -> i64 {
        self.encoder_at(self.trajectory.position_at(at)).round() as i64
    }

    pub(super) fn set_encoder(&mut self, position: f64, value: i64) {
        self.encoder_offset += value as f64 - self.encoder_at(position);
    }

    /// Returns whether the switch at `side` is closed.
    pub(super) fn switch(&self, side: Side, at: Nanos) -> bool {
        let position = self.trajectory.position_at(at);
        let closed = match side {
            Side::Plus => position >= self.high_switch,
            Side::Minus => position <= self.low_switch,
        };
        closed || self.forced_switch == Some(side)
    }

    pub(super) fn alarm_input(&self) -> bool {
        self.alarm || self.forced_alarm
    }

    pub(super) fn home_input(&self, at: Nanos) -> bool {
        let position = self.trajectory.position_at(at);
        position < self.home_edge && position > self.home_edge - HOME_FLAG
    }

    /// Returns the place at which the switch at `side` opens again.
    pub(super) fn switch_clears(&self, side: Side) -> f64 {
        match side {
            Side::Plus => self.high_switch - SWITCH_HYSTERESIS,
            Side::Minus => self.low_switch + SWITCH_HYSTERESIS,
        }
    }

    pub(super) fn departure(&self, at: Nanos) -> Departure {
        let segment = self.trajectory.segment_at(at);
        Departure {
            start: at,
            position: segment.position_at(at),
            velocity: segment.velocity_at(at),
        }
    }

    /// Follows `segments` from their start on, as far as the switches let it.
    pub(super) fn follow(&mut self, at: Nanos, mut segments: Vec<Segment>) {
        self.collision = cut_at(&mut segments, self.high_switch, Side::Plus)
            .or_else(|| cut_at(&mut segments, self.low_switch, Side::Minus));
        if let Some(hit) = self.collision {
            segments.push(Segment::rest(hit.at, hit.position));
            self.zeroing = self.zeroing.filter(|zeroing| zeroing.at <= hit.at);
        }
        self.trajectory.replace_from(at, segments);
    }

    pub(super) fn stop(&mut self, at: Nanos) {
        if self.is_moving(at) {
            let segments = plan_stop(&self.profile, self.departure(at));
            self.zeroing = None;
            self.follow(at, segments);
        }
    }

    pub(super) fn abort(&mut self, at: Nanos) {
        if self.is_moving(at) {
            let here = Segment::rest(at, self.trajectory.position_at(at));
            self.zeroing = None;
            self.collision = None;
            self.trajectory.replace_from(at, vec![here]);
        }
    }
}
