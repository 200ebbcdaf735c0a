//! High-speed latch and synchronisation output (§3.7, §7).

use aefi_scan_engine::Nanos;

use super::axis::AxisState;
use super::controller::Controller;
use super::refusal::{Answer, Refusal, number, ok};
use super::request::{Request, leading_axis};
use crate::motion::Axis;

/// The latch of one axis.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Latch {
    armed: bool,
    caught: Option<(i64, i64)>,
}

impl Latch {
    fn status(&self) -> i64 {
        match (self.armed, self.caught) {
            (_, Some(_)) => 2,
            (true, None) => 1,
            (false, None) => 0,
        }
    }
}

/// The synchronisation output of one axis.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sync {
    on_since: Option<Nanos>,
    fired: Option<Nanos>,
    position: i64,
    condition: i64,
    width_ms: i64,
}

impl Default for Sync {
    fn default() -> Self {
        Self {
            on_since: None,
            fired: None,
            position: 0,
            condition: 1,
            width_ms: 0,
        }
    }
}

impl Sync {
    pub(super) fn is_on(&self) -> bool {
        self.on_since.is_some()
    }

    fn holds(&self, count: f64) -> bool {
        let (count, position) = (count.round() as i64, self.position);
        match self.condition {
            2 => count < position,
            3 => count > position,
            _ => count == position,
        }
    }

    fn status(&self) -> i64 {
        match (self.on_since, self.fired) {
            (None, _) => 0,
            (Some(_), None) => 1,
            (Some(_), Some(_)) => 2,
        }
    }
}

impl AxisState {
    /// Finds the instant at which the condition came true, on the trajectory
    /// itself: not when somebody asks. Returns it once.
    pub(super) fn settle_sync(&mut self, at: Nanos) -> Option<Nanos> {
        let waiting = self.sync.fired.is_none();
        let since = self.sync.on_since.filter(|_| waiting)?;
        let count = |t| self.encoder_at(self.trajectory.position_at(t));
        let fired = if self.sync.holds(count(since)) {
            Some(since)
        } else {
            self.sync_passage(since, at)
                .or_else(|| self.sync.holds(count(at)).then_some(at))
        };
        self.sync.fired = fired;
        // What was looked at once need not be looked at again.
        self.sync.on_since = Some(if fired.is_some() { since } else { at });
        fired
    }

    fn sync_passage(&self, since: Nanos, at: Nanos) -> Option<Nanos> {
        // The rounded counter changes half a count away from the whole number.
        let edge = match self.sync.condition {
            2 => -0.5,
            3 => 0.5,
            _ => 0.0,
        };
        let position = self.position_of_count(self.sync.position as f64 + edge)?;
        self.trajectory.first_at(position, since, at)
    }

    /// Returns the level of the synchronisation output.
    pub(super) fn sync_output(&self, at: Nanos) -> bool {
        let count = self.encoder_at(self.trajectory.position_at(at));
        let Some(fired) = self.sync.fired else {
            return false;
        };
        if self.sync.condition == 1 && self.sync.width_ms > 0 {
            return at < fired + Nanos::from_millis(self.sync.width_ms);
        }
        self.sync.holds(count)
    }

    /// An edge at the latch input.
    pub(super) fn catch(&mut self, at: Nanos) {
        if self.latch.armed && self.latch.caught.is_none() {
            self.latch.caught = Some((self.counter(at), self.encoder_counter(at)));
        }
    }
}

impl Controller {
    pub(super) fn answer_trigger(&mut self, at: Nanos, request: &Request) -> Option<Answer> {
        if let Some(rest) = request.name.strip_prefix("LT") {
            let (axis, what) = leading_axis(rest)?;
            return self.answer_latch(axis, what, request);
        }
        let (axis, what) = leading_axis(request.name.strip_prefix("SYN")?)?;
        Some(self.answer_sync(at, axis, what, request))
    }

    fn answer_latch(&mut self, axis: Axis, what: &str, request: &Request) -> Option<Answer> {
        let latch = &mut self.axes[axis.index()].latch;
        let (pulses, counts) = latch.caught.unwrap_or_default();
        match (what, request.value()) {
            ("S", None) => Some(number(latch.status())),
            ("P", None) => Some(number(pulses)),
            ("E", None) => Some(number(counts)),
            ("", Some(value @ ("0" | "1"))) => {
                *latch = Latch {
                    armed: value == "1",
                    caught: None,
                };
                Some(ok())
            }
            _ => None,
        }
    }

    fn answer_sync(&mut self, at: Nanos, axis: Axis, what: &str, request: &Request) -> Answer {
        let sync = &mut self.axes[axis.index()].sync;
        match (what, request.number()?) {
            ("O", None) => (sync.on_since, sync.fired) = (Some(at), None),
            ("F", None) => (sync.on_since, sync.fired) = (None, None),
            ("S", None) => return number(sync.status()),
            ("P", None) => return number(sync.position),
            ("C", None) => return number(sync.condition),
            ("T", None) => return number(sync.width_ms),
            ("P", Some(position)) => sync.position = position,
            ("C", Some(condition @ 1..=3)) => sync.condition = condition,
            ("T", Some(width_ms @ 0..=10)) => sync.width_ms = width_ms,
            _ => return Err(Refusal::NotUnderstood),
        }
        ok()
    }
}
