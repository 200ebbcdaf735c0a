//! Commands that move (§3.5) and the speeds that rule them (§6.1, §6.2).

use std::collections::VecDeque;
use std::f64::consts::TAU;

use aefi_scan_engine::Nanos;

use super::axis::{ALARM_ERROR, MINUS_LIMIT_ERROR, Motion, PLUS_LIMIT_ERROR, TIME_OUT};
use super::controller::{Controller, StopCommand, StopKind};
use super::refusal::{Answer, Refusal, ok};
use super::request::{Request, integer, leading_axis, single_axis, targets};
use crate::motion::{
    Axis, Departure, Profile, Segment, Side, plan_constant, plan_jog, plan_move,
};

/// Slots of the path buffer.
pub(super) const PATH_SLOTS: usize = 36;

/// Chords that stand for a full circle.
const CHORDS: f64 = 180.0;

/// Upper end of each speed window, its least LS, least ACC in ms, and δ (§6.2).
const WINDOWS: [(f64, f64, f64, f64); 7] = [
    (65e3, 1.0, 2.0, 50.0),
    (130e3, 2.0, 1.0, 100.0),
    (325e3, 5.0, 1.0, 200.0),
    (650e3, 10.0, 1.0, 800.0),
    (1.3e6, 20.0, 1.0, 1500.0),
    (3.2e6, 50.0, 1.0, 3800.0),
    (6e6, 100.0, 1.0, 7500.0),
];

/// The path buffer: for each segment the instant at which it ends.
#[derive(Debug, Clone, Default)]
pub(super) struct Path {
    pub(super) is_on: bool,
    ends: VecDeque<Nanos>,
    accepted: usize,
}

impl Path {
    pub(super) fn waiting(&self, at: Nanos) -> usize {
        self.ends.iter().filter(|end| **end > at).count()
    }

    pub(super) fn index_of_last(&self) -> usize {
        self.accepted.saturating_sub(1) % PATH_SLOTS
    }

    pub(super) fn index_of_current(&self, at: Nanos) -> usize {
        let behind = self.waiting(at).max(1);
        self.accepted.saturating_sub(behind) % PATH_SLOTS
    }

    fn clear(&mut self) {
        self.ends.clear();
        self.accepted = 0;
    }
}

impl Controller {
    pub(super) fn answer_motion(&mut self, at: Nanos, request: &Request) -> Option<Answer> {
        let text = request.text;
        match text {
            "ABS" | "INC" => {
                self.incremental = text == "INC";
                return Some(ok());
            }
            "BO" => return Some(self.switch_path(true)),
            "BF" => return Some(self.switch_path(false)),
            _ => {}
        }
        if let Some(stop) = self.answer_stop(at, text) {
            return Some(stop);
        }
        if let Some(targets) = targets(text) {
            return Some(self.move_axes(at, &targets));
        }
        self.answer_single_axis(at, text)
            .or_else(|| self.answer_path(at, text))
    }

    fn answer_single_axis(&mut self, at: Nanos, text: &str) -> Option<Answer> {
        let letter = text.chars().next()?;
        if let Some(axis) = text.strip_prefix("CLR").and_then(single_axis) {
            return Some(self.clear(axis));
        }
        if let Some(rest) = text.strip_prefix("SSPD") {
            let (axis, speed) = rest.split_once('=')?;
            return Some(self.change_speed(at, single_axis(axis)?, integer(speed)?));
        }
        let (axis, rest) = leading_axis(text.get(1..)?)?;
        match (letter, rest) {
            ('J', "+") => Some(self.jog(at, axis, Side::Plus)),
            ('J', "-") => Some(self.jog(at, axis, Side::Minus)),
            ('H', _) => self.answer_home(at, axis, rest),
            ('T', _) => Some(self.retarget(at, axis, integer(rest)?)),
            _ => None,
        }
    }

    fn answer_stop(&mut self, at: Nanos, text: &str) -> Option<Answer> {
        let (kind, rest) = [("STOP", StopKind::Stop), ("ABORT", StopKind::Abort)]
            .into_iter()
            .find_map(|(name, kind)| Some((kind, text.strip_prefix(name)?)))?;
        let axis = match rest {
            "" => None,
            _ => Some(single_axis(rest)?),
        };
        self.stops.push(StopCommand { at, kind, axis });
        if !std::mem::take(&mut self.deaf_to_stop) {
            self.stop_axes(at, kind, axis);
        }
        Some(ok())
    }

    fn stop_axes(&mut self, at: Nanos, kind: StopKind, axis: Option<Axis>) {
        let group = axis.map_or(0b1111, |axis| self.axes[axis.index()].group);
        for axis in Axis::ALL {
            if group & (1 << axis.index()) != 0 {
                self.halt(at, axis, kind);
            }
        }
        self.path.clear();
        if kind == StopKind::Abort {
            self.path.is_on = false;
        }
    }

    pub(super) fn halt(&mut self, at: Nanos, axis: Axis, kind: StopKind) {
        let state = &mut self.axes[axis.index()];
        self.changes += u64::from(state.is_moving(at));
        match kind {
            StopKind::Stop => state.stop(at),
            StopKind::Abort => state.abort(at),
        }
    }

    fn clear(&mut self, axis: Axis) -> Answer {
        let state = &mut self.axes[axis.index()];
        state.errors &= !(PLUS_LIMIT_ERROR | MINUS_LIMIT_ERROR | ALARM_ERROR | TIME_OUT);
        state.forced_switch = None;
        state.forced_alarm = false;
        ok()
    }

    /// Returns the profile of an axis; global values alone without one.
    pub(super) fn profile(&self, axis: Option<Axis>) -> Profile {
        let value = |name: &str| {
            let own = axis.map_or(0, |axis| self.registers.of_axis(name, axis));
            let value = if own == 0 {
                self.registers.get(name)
            } else {
                own
            };
            value as f64
        };
        let deceleration = if self.registers.get("EDEC") == 1 {
            "DEC"
        } else {
            "ACC"
        };
        let high = value("HS");
        let window = WINDOWS.iter().find(|window| high <= window.0);
        let (_, least_low, least_ms, delta) = *window.unwrap_or(&WINDOWS[6]);
        let low = value("LS").max(least_low);
        let most_ms = ((high - low) / delta * 1000.0).max(least_ms);
        let ramp_s = |name| value(name).clamp(least_ms, most_ms) * 1e-3;
        Profile::new(low, high, ramp_s("ACC"), ramp_s(deceleration))
    }

    /// Refuses motion of an axis that pulses, has an error, or would run into a
    /// closed switch (with `IERR=0` the last is not recorded; taken alike).
    pub(super) fn check_ready(&mut self, at: Nanos, axis: Axis, side: Side) -> Result<(), Refusal> {
        let state = &mut self.axes[axis.index()];
        if state.is_moving(at) {
            return Err(Refusal::Pulsing);
        }
        if state.alarm_input() || state.errors & ALARM_ERROR != 0 {
            return Err(Refusal::Alarm);
        }
        let limit = PLUS_LIMIT_ERROR | MINUS_LIMIT_ERROR;
        if state.errors & limit != 0 || state.switch(side, at) {
            return Err(Refusal::Limit);
        }
        // Leaving a switch opens it.
        state.forced_switch = None;
        Ok(())
    }

    pub(super) fn begin(
        &mut self,
        at: Nanos,
        axis: Axis,
        motion: Motion,
        profile: Profile,
        segments: Vec<Segment>,
    ) {
        let state = &mut self.axes[axis.index()];
        state.motion = motion;
        state.moved_at = at;
        state.profile = profile;
        state.follow(at, segments);
        self.changes += 1;
        self.join(&[axis]);
    }

    /// Makes `members` stop together, and nothing else with them.
    fn join(&mut self, members: &[Axis]) {
        let group: u8 = members.iter().map(|axis| 1 << axis.index()).sum();
        for axis in Axis::ALL {
            let state = &mut self.axes[axis.index()];
            state.group = if group & (1 << axis.index()) == 0 {
                state.group & !group
            } else {
                group
            };
        }
    }

    /// Returns the machine position of a target given in counts.
    fn place(&self, at: Nanos, axis: Axis, count: i64) -> f64 {
        let state = &self.axes[axis.index()];
        if self.incremental {
            state.trajectory.position_at(at) + count as f64
        } else {
            state.origin + count as f64
        }
    }

    fn move_axes(&mut self, at: Nanos, targets: &[(Axis, i64)]) -> Answer {
        if self.in_error {
            return Err(Refusal::Errored);
        }
        let ways: Vec<(Axis, f64, f64)> = targets
            .iter()
            .map(|(axis, count)| {
                let from = self.axes[axis.index()].trajectory.position_at(at);
                (*axis, from, self.place(at, *axis, *count))
            })
            .collect();
        for (axis, from, to) in &ways {
            if from == to {
                self.check_idle(at, *axis)?;
            } else {
                self.check_ready(at, *axis, Side::of(to - from))?;
            }
        }
        match ways[..] {
            [(axis, from, target)] => self.move_single(at, axis, from, target),
            _ => self.move_joined(at, &ways),
        }
        ok()
    }

    fn check_idle(&self, at: Nanos, axis: Axis) -> Result<(), Refusal> {
        if self.axes[axis.index()].is_moving(at) {
            return Err(Refusal::Pulsing);
        }
        Ok(())
    }

    fn move_single(&mut self, at: Nanos, axis: Axis, from: f64, target: f64) {
        let profile = self.profile(Some(axis));
        let segments = plan_move(&profile, resting(at, from), target);
        self.begin(at, axis, Motion::Single { target }, profile, segments);
    }

    /// All axes on one clock: the longest way has the global profile and the
    /// others its share (the speed law is not documented, §14.14).
    fn move_joined(&mut self, at: Nanos, ways: &[(Axis, f64, f64)]) {
        let profile = self.profile(None);
        let longest = ways.iter().map(|(_, from, to)| (to - from).abs());
        let longest = longest.fold(0.0, f64::max);
        let model = plan_move(&profile, resting(at, 0.0), longest);
        for (axis, from, to) in ways {
            if from != to {
                let share = (to - from) / longest;
                let segments = model.iter().map(|s| scaled(s, *from, share)).collect();
                let share = profile.scaled(share.abs());
                self.begin(at, *axis, Motion::Bound, share, segments);
            }
        }
        let members: Vec<Axis> = ways.iter().map(|(axis, ..)| *axis).collect();
        self.join(&members);
    }

    fn jog(&mut self, at: Nanos, axis: Axis, side: Side) -> Answer {
        if self.in_error {
            return Err(Refusal::Errored);
        }
        self.check_ready(at, axis, side)?;
        let profile = self.profile(Some(axis));
        let from = self.axes[axis.index()].departure(at);
        let segments = plan_jog(&profile, from, side.sign());
        self.begin(at, axis, Motion::Jog, profile, segments);
        ok()
    }

    /// `TX`: only of a positional move in progress; else it is not understood.
    fn retarget(&mut self, at: Nanos, axis: Axis, count: i64) -> Answer {
        let target = self.place(at, axis, count);
        let state = &self.axes[axis.index()];
        if !state.is_moving(at) || !matches!(state.motion, Motion::Single { .. }) {
            return Err(Refusal::NotUnderstood);
        }
        let (profile, from) = (state.profile, state.departure(at));
        let segments = plan_move(&profile, from, target);
        self.begin(at, axis, Motion::Single { target }, profile, segments);
        ok()
    }

    fn change_speed(&mut self, at: Nanos, axis: Axis, speed: i64) -> Answer {
        if self.registers.of_axis("SSPDM", axis) == 0 || speed < 1 {
            return Err(Refusal::SpeedWindow);
        }
        let state = &self.axes[axis.index()];
        if !state.is_moving(at) {
            return ok();
        }
        let profile = state.profile.with_speed(speed as f64);
        let (motion, from) = (state.motion, state.departure(at));
        let segments = match motion {
            Motion::Single { target } => plan_move(&profile, from, target),
            Motion::Jog => plan_jog(&profile, from, from.velocity.signum()),
            Motion::Bound => return Err(Refusal::Pulsing),
        };
        self.begin(at, axis, motion, profile, segments);
        ok()
    }

    fn switch_path(&mut self, on: bool) -> Answer {
        self.path.is_on = on;
        self.path.clear();
        ok()
    }

    fn answer_path(&mut self, at: Nanos, text: &str) -> Option<Answer> {
        if let Some(list) = text.strip_prefix('I') {
            let [x, y, z, speed] = numbers(list)?;
            return Some(self.add_segment(at, [x, y, z], speed));
        }
        let sign = match text.get(..4)? {
            "CIRP" | "ARCP" => 1.0,
            "CIRN" | "ARCN" => -1.0,
            _ => return None,
        };
        let (centre, end) = if text.starts_with("CIR") {
            (numbers(&text[4..])?, None)
        } else {
            let [x, y, end] = numbers(&text[4..])?;
            ([x, y], Some(end))
        };
        Some(self.circle(at, centre, end, sign))
    }

    fn add_segment(&mut self, at: Nanos, target: [i64; 3], speed: i64) -> Answer {
        if !self.path.is_on || speed < 1 {
            return Err(Refusal::NotUnderstood);
        }
        if self.path.waiting(at) >= PATH_SLOTS {
            return Err(Refusal::BufferFull);
        }
        let start = self.path.ends.back().map_or(at, |end| (*end).max(at));
        let places = [Axis::X, Axis::Y, Axis::Z]
            .map(|axis| self.axes[axis.index()].origin + target[axis.index()] as f64);
        let end = self.run_straight(start, &places, speed as f64);
        self.path.ends.retain(|end| *end > at);
        self.path.ends.push_back(end);
        self.path.accepted += 1;
        ok()
    }

    /// Moves the first axes to `places` in a straight line at vector speed
    /// `speed` from `start` on; returns when that ends.
    fn run_straight(&mut self, start: Nanos, places: &[f64], speed: f64) -> Nanos {
        let from: Vec<f64> = (0..places.len())
            .map(|i| self.axes[i].trajectory.position_at(start))
            .collect();
        let deltas: Vec<f64> = places.iter().zip(&from).map(|(to, from)| to - from).collect();
        let length = deltas.iter().map(|d| d * d).sum::<f64>().sqrt();
        let ended = self.axes.iter().any(|axis| axis.collision.is_some());
        if length == 0.0 || ended {
            return start;
        }
        for axis in Axis::ALL.into_iter().take(places.len()) {
            let i = axis.index();
            if deltas[i] != 0.0 {
                let own_speed = speed * deltas[i].abs() / length;
                let segments = plan_constant(resting(start, from[i]), places[i], own_speed);
                let profile = Profile::new(own_speed, own_speed, 1.0, 1.0);
                self.begin(start, axis, Motion::Bound, profile, segments);
            }
        }
        self.join(&Axis::ALL[..places.len()]);
        start + Nanos::from_secs_f64(length / speed)
    }

    /// Circle or arc about `centre`, drawn as chords at `HS`. Angles count
    /// clockwise from the -X side, as the manual's figure has them (§14.21).
    fn circle(&mut self, at: Nanos, centre: [i64; 2], end: Option<i64>, sign: f64) -> Answer {
        if self.incremental {
            return Err(Refusal::Incremental);
        }
        self.check_idle(at, Axis::X)?;
        self.check_idle(at, Axis::Y)?;
        let [x, y] = [Axis::X, Axis::Y].map(|axis| {
            self.axes[axis.index()].counter(at) as f64 - centre[axis.index()] as f64
        });
        let (radius, from) = (x.hypot(y), y.atan2(-x));
        let turn = end.map_or(TAU, |end| {
            let ahead = (end as f64 / 360_000.0 * TAU - from) * sign;
            ahead.rem_euclid(TAU)
        });
        if radius > 0.0 {
            self.draw_chords(at, centre, radius, from, turn * sign);
        }
        ok()
    }

    fn draw_chords(&mut self, at: Nanos, centre: [i64; 2], radius: f64, from: f64, turn: f64) {
        let chords = (turn.abs() / TAU * CHORDS).ceil().max(1.0) as u32;
        let speed = self.registers.get("HS") as f64;
        let origin = [0, 1].map(|i| self.axes[i].origin + centre[i] as f64);
        let mut start = at;
        for k in 1..=chords {
            let angle = from + turn * f64::from(k) / f64::from(chords);
            let places = [
                origin[0] - radius * angle.cos(),
                origin[1] + radius * angle.sin(),
            ];
            start = self.run_straight(start, &places, speed);
        }
    }
}

fn resting(start: Nanos, position: f64) -> Departure {
    Departure {
        start,
        position,
        velocity: 0.0,
    }
}

fn scaled(segment: &Segment, from: f64, share: f64) -> Segment {
    Segment {
        start: segment.start,
        position: from + segment.position * share,
        velocity: segment.velocity * share,
        acceleration: segment.acceleration * share,
    }
}

/// Returns exactly `N` numbers separated by colons.
fn numbers<const N: usize>(text: &str) -> Option<[i64; N]> {
    let found: Option<Vec<i64>> = text.split(':').map(integer).collect();
    found?.try_into().ok()
}
