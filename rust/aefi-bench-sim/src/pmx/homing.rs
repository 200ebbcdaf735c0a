//! Homing `Ha±m`, modes 0 to 4 (§6.5), planned as a whole when it begins.

use aefi_scan_engine::Nanos;

use super::axis::{Motion, Zeroing};
use super::controller::Controller;
use super::refusal::{Answer, Refusal, ok};
use crate::motion::{
    Axis, Departure, Profile, Segment, Side, cut_at, plan_constant, plan_jog, plan_stop,
};

/// The way of a homing axis, and where its counter becomes zero.
struct Plan {
    segments: Vec<Segment>,
    zeroing: Option<Zeroing>,
}

/// What the sequences need to know.
struct Course {
    profile: Profile,
    from: Departure,
    side: Side,
    edge: f64,
    index_spacing: f64,
}

impl Controller {
    pub(super) fn answer_home(&mut self, at: Nanos, axis: Axis, rest: &str) -> Option<Answer> {
        let strict = strict_arguments(rest);
        let lenient = || lenient_arguments(rest).filter(|_| self.settings.lenient_homing);
        let (side, mode) = strict.or_else(lenient)?;
        Some(self.home(at, axis, side, mode))
    }

    fn home(&mut self, at: Nanos, axis: Axis, side: Side, mode: u8) -> Answer {
        if self.defects.in_error {
            return Err(Refusal::Errored);
        }
        // An axis on the switch it homes to may begin in mode 1 only.
        if mode == 1 && self.axes[axis.index()].switch(side, at) {
            self.check_ready(at, axis, opposite(side))?;
        } else {
            self.check_ready(at, axis, side)?;
        }
        let profile = self.profile(Some(axis));
        let state = &self.axes[axis.index()];
        let course = Course {
            profile,
            from: state.departure(at),
            side,
            edge: state.home_edge,
            index_spacing: self.settings.index_spacing_steps,
        };
        let plan = match mode {
            1 => {
                let switch = match side {
                    Side::Plus => state.high_switch,
                    Side::Minus => state.low_switch,
                };
                course.to_limit(switch, state.switch_clears(side))
            }
            2 => course.to_edge_then_index(),
            3 => course.to_index(),
            4 => course.to_edge_and_back(),
            _ => course.over_edge(),
        };
        self.axes[axis.index()].zeroing = plan.zeroing;
        let segments = plan.segments;
        if mode == 1 {
            self.begin_through_switch(at, axis, profile, segments);
        } else {
            self.begin(at, axis, Motion::Bound, profile, segments);
        }
        ok()
    }

    /// Mode 1 uses the switch on purpose: no error, no cut.
    fn begin_through_switch(
        &mut self,
        at: Nanos,
        axis: Axis,
        profile: Profile,
        segments: Vec<Segment>,
    ) {
        let resting = vec![Segment::rest(at, segments[0].position)];
        self.begin(at, axis, Motion::Bound, profile, resting);
        self.axes[axis.index()]
            .trajectory
            .replace_from(at, segments);
    }
}

fn opposite(side: Side) -> Side {
    match side {
        Side::Plus => Side::Minus,
        Side::Minus => Side::Plus,
    }
}

/// `-0` to `+4`.
fn strict_arguments(rest: &str) -> Option<(Side, u8)> {
    let side = match rest.as_bytes() {
        [b'+', _] => Side::Plus,
        [b'-', _] => Side::Minus,
        _ => return None,
    };
    let mode = rest[1..].parse().ok().filter(|mode| *mode <= 4)?;
    Some((side, mode))
}

/// What pylablib sends, `False0`: not `+` means minus, the first digit is the
/// mode, 0 without one (§9.4).
fn lenient_arguments(rest: &str) -> Option<(Side, u8)> {
    let first = rest.chars().next()?;
    let side = if first == '+' {
        Side::Plus
    } else {
        Side::Minus
    };
    let digit = rest.chars().find_map(|c| c.to_digit(10)).unwrap_or(0);
    (digit <= 4).then_some((side, digit as u8))
}

impl Course {
    fn search(&self) -> Vec<Segment> {
        plan_jog(&self.profile, self.from, self.side.sign())
    }

    /// Runs to the home edge if it lies ahead; without it nothing ends the run
    /// but a switch.
    fn to_edge(&self) -> Result<(Vec<Segment>, Departure), Plan> {
        let mut segments = self.search();
        let ahead = (self.edge - self.from.position) * self.side.sign() >= 0.0;
        let passage = ahead
            .then(|| cut_at(&mut segments, self.edge, self.side))
            .flatten();
        match passage {
            Some(passage) => Ok((segments, passage.departure())),
            None => Err(Plan {
                segments,
                zeroing: None,
            }),
        }
    }

    /// Mode 0: the counter is zero at the edge, the axis rests beyond it.
    fn over_edge(&self) -> Plan {
        let (mut segments, edge) = match self.to_edge() {
            Ok(found) => found,
            Err(plan) => return plan,
        };
        segments.extend(plan_stop(&self.profile, edge));
        zero_at(segments, edge.start, self.edge, false)
    }

    /// Mode 1: dead stop on the switch, back at LS until it opens.
    fn to_limit(&self, switch: f64, clear: f64) -> Plan {
        let mut segments = self.search();
        let hit = cut_at(&mut segments, switch, self.side).expect("a jog gets everywhere");
        segments.extend(self.slowly(hit.at, hit.position, clear));
        zero_at_end(segments, false)
    }

    /// Mode 2: edge, ramp to LS, first index pulse.
    fn to_edge_then_index(&self) -> Plan {
        let (mut segments, edge) = match self.to_edge() {
            Ok(found) => found,
            Err(plan) => return plan,
        };
        segments.extend(plan_stop(&self.profile, edge));
        let slow = segments.pop().expect("a stop ends with a rest");
        segments.extend(self.slowly(slow.start, slow.position, self.index_after(slow.position)));
        zero_at_end(segments, false)
    }

    /// Mode 3: at LS to the first index pulse.
    fn to_index(&self) -> Plan {
        let here = self.from.position;
        let segments = self.slowly(self.from.start, here, self.index_after(here));
        zero_at_end(segments, false)
    }

    /// Mode 4: edge, ramp to LS, back until the home input clears.
    fn to_edge_and_back(&self) -> Plan {
        let (mut segments, edge) = match self.to_edge() {
            Ok(found) => found,
            Err(plan) => return plan,
        };
        segments.extend(plan_stop(&self.profile, edge));
        let turn = segments.pop().expect("a stop ends with a rest");
        segments.extend(self.slowly(turn.start, turn.position, self.edge));
        zero_at_end(segments, true)
    }

    fn slowly(&self, start: Nanos, position: f64, target: f64) -> Vec<Segment> {
        let from = Departure {
            start,
            position,
            velocity: 0.0,
        };
        plan_constant(from, target, self.profile.low())
    }

    /// Returns the place of the next index pulse in the direction of travel.
    fn index_after(&self, position: f64) -> f64 {
        let turns = position / self.index_spacing;
        let next = match self.side {
            Side::Plus => turns.floor() + 1.0,
            Side::Minus => turns.ceil() - 1.0,
        };
        next * self.index_spacing
    }
}

fn zero_at(segments: Vec<Segment>, at: Nanos, position: f64, encoder_too: bool) -> Plan {
    Plan {
        segments,
        zeroing: Some(Zeroing {
            at,
            position,
            encoder_too,
        }),
    }
}

fn zero_at_end(segments: Vec<Segment>, encoder_too: bool) -> Plan {
    let last = *segments.last().expect("a plan ends with a rest");
    zero_at(segments, last.start, last.position, encoder_too)
}
