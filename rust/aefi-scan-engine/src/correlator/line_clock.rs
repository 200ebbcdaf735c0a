//! When a line began, met its window, left it and ended, and its polling periods.

use crate::flight_plan::Line;
use crate::health::Histogram;
use crate::records::Fix;
use crate::units::Nanos;

/// The times of one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LineTimes {
    pub(super) turnaround_from: Nanos,
    pub(super) began: Nanos,
    pub(super) entered: Option<Nanos>,
    pub(super) left: Option<Nanos>,
    pub(super) ended: Nanos,
    pub(super) fixes: u32,
    pub(super) exchanges: u32,
    pub(super) link: Nanos,
    pub(super) period: [Nanos; 3],
}

/// Times the line in flight by the fixes of its axis.
#[derive(Debug)]
pub(super) struct LineClock {
    line: Option<Line>,
    /// The place of the first frame flown in it.
    place: usize,
    turnaround_from: Nanos,
    began: Nanos,
    entered: Option<Nanos>,
    left: Option<Nanos>,
    stopped: bool,
    fixes: u32,
    last: Option<(Nanos, f64)>,
    last_sent: Option<Nanos>,
    period: Histogram,
}

impl LineClock {
    /// Returns a clock without a line; the first turnaround begins `now`.
    pub(super) fn new(now: Nanos) -> Self {
        Self {
            line: None,
            place: 0,
            turnaround_from: now,
            began: now,
            entered: None,
            left: None,
            stopped: false,
            fixes: 0,
            last: None,
            last_sent: None,
            period: Histogram::default(),
        }
    }

    pub(super) fn begin(&mut self, line: Line, place: usize, at: Nanos) {
        *self = Self {
            line: Some(line),
            place,
            began: at,
            ..Self::new(self.turnaround_from)
        };
    }

    /// Takes notice that the axis was stopped.
    pub(super) fn stop(&mut self) {
        self.stopped = true;
    }

    /// Returns whether the line's axis is at constant speed where `fix` saw it.
    pub(super) fn is_at_speed(&self, fix: &Fix) -> bool {
        let at = fix.counts.0 as f64;
        self.line.is_some_and(|line| {
            let entered = line.is_past(at, line.edge(self.place));
            entered && !line.is_past(at, line.window_stop) && !self.stopped
        })
    }

    /// Takes a fix of the line's axis.
    pub(super) fn take_fix(&mut self, fix: &Fix) {
        let Some(line) = self.line else {
            return;
        };
        if let Some(sent) = self.last_sent.replace(fix.sent) {
            self.period.record(fix.sent - sent);
        }
        self.fixes += 1;
        let now = (fix.middle(), fix.counts.0 as f64);
        if let Some(before) = self.last.replace(now) {
            let crossing = |edge: f64| {
                let crossed = !line.is_past(before.1, edge) && line.is_past(now.1, edge);
                crossed.then(|| cross(before, now, edge))
            };
            self.entered = self.entered.or_else(|| crossing(line.edge(self.place)));
            self.left = self.left.or_else(|| crossing(line.window_stop));
        }
    }

    /// Ends the line in flight, if there is one, and returns its times.
    pub(super) fn end(&mut self, at: Nanos, exchanges: u32, link: Nanos) -> LineTimes {
        self.line = None;
        LineTimes {
            turnaround_from: std::mem::replace(&mut self.turnaround_from, at),
            began: self.began,
            entered: self.entered,
            left: self.left,
            ended: at,
            fixes: self.fixes,
            exchanges,
            link,
            period: [
                self.period.quantile(0.5),
                self.period.quantile(0.99),
                self.period.max(),
            ],
        }
    }
}

fn cross(before: (Nanos, f64), after: (Nanos, f64), edge: f64) -> Nanos {
    let share = (edge - before.1) / (after.1 - before.1);
    before.0 + Nanos(((after.0 - before.0).0 as f64 * share) as i64)
}
