//! The buffered path, circles and arcs (§3.5, §6.8).

use std::collections::VecDeque;
use std::f64::consts::TAU;

use aefi_scan_engine::Nanos;

use super::axis::Motion;
use super::controller::Controller;
use super::motion::resting;
use super::refusal::{Answer, Refusal, ok};
use super::request::integer;
use crate::motion::{Axis, Profile, plan_constant};

/// Slots of the path buffer.
pub(super) const PATH_SLOTS: usize = 36;

/// Chords that stand for a full circle.
const CHORDS: f64 = 180.0;

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

    pub(super) fn clear(&mut self) {
        self.ends.clear();
        self.accepted = 0;
    }
}

impl Controller {
    pub(super) fn switch_path(&mut self, on: bool) -> Answer {
        self.path.is_on = on;
        self.path.clear();
        ok()
    }

    pub(super) fn answer_path(&mut self, at: Nanos, text: &str) -> Option<Answer> {
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
        let deltas: Vec<f64> = places
            .iter()
            .zip(&from)
            .map(|(to, from)| to - from)
            .collect();
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
        let [x, y] = [Axis::X, Axis::Y]
            .map(|axis| self.axes[axis.index()].counter(at) as f64 - centre[axis.index()] as f64);
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

/// Returns exactly `N` numbers separated by colons.
fn numbers<const N: usize>(text: &str) -> Option<[i64; N]> {
    let found: Option<Vec<i64>> = text.split(':').map(integer).collect();
    found?.try_into().ok()
}
