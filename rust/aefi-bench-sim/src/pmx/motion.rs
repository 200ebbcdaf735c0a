//! Commands that move and stop axes (§3.5, §6.4, §6.6).

use aefi_scan_engine::Nanos;

use super::axis::{ALARM_ERROR, MINUS_LIMIT_ERROR, Motion, PLUS_LIMIT_ERROR, TIME_OUT};
use super::controller::{Controller, StopCommand, StopKind};
use super::refusal::{Answer, Refusal, ok};
use super::request::{Request, integer, leading_axis, single_axis, targets};
use crate::motion::{Axis, Departure, Profile, Segment, Side, plan_jog, plan_move};

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
        if !std::mem::take(&mut self.defects.deaf_to_stop) {
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
    pub(super) fn join(&mut self, members: &[Axis]) {
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
        if self.defects.in_error {
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
            if to - from == 0.0 {
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

    pub(super) fn check_idle(&self, at: Nanos, axis: Axis) -> Result<(), Refusal> {
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
            let way = to - from;
            if way != 0.0 {
                let share = way / longest;
                let segments = model.iter().map(|s| scaled(s, *from, share)).collect();
                let share = profile.scaled(share.abs());
                self.begin(at, *axis, Motion::Bound, share, segments);
            }
        }
        let members: Vec<Axis> = ways.iter().map(|(axis, ..)| *axis).collect();
        self.join(&members);
    }

    fn jog(&mut self, at: Nanos, axis: Axis, side: Side) -> Answer {
        if self.defects.in_error {
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
}

pub(super) fn resting(start: Nanos, position: f64) -> Departure {
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
