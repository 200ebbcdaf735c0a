//! When the fixes of a move make room for other questions: where both axes are, and
//! what the controller says of them.

use crate::protocol::pmx::Command;
use crate::units::{Nanos, Steps};

/// Status is asked each second time beside all positions: what it tells of a moving
/// axis, its position tells before.
const STATUS_EACH: i64 = 2;
/// An axis that did not move for so long may have been stopped: then status is asked.
const STALLED: Nanos = Nanos::from_millis(100);

/// The questions beside the fixes of one flight.
#[derive(Debug)]
pub(super) struct Watch {
    period: Nanos,
    positions_due: Nanos,
    status_due: Nanos,
    seen: [Steps; 2],
    /// Since when the axes are there, or since the last status for that.
    since: Nanos,
}

impl Watch {
    /// Returns a watch that asks for all positions every `period`.
    pub(super) fn new(period: Nanos) -> Self {
        Self {
            period,
            positions_due: Nanos::ZERO,
            status_due: Nanos::ZERO,
            seen: [Steps::default(); 2],
            since: Nanos::ZERO,
        }
    }

    /// Takes notice that an axis was sent off at `now`.
    pub(super) fn begin(&mut self, now: Nanos) {
        self.since = now;
    }

    /// Returns what is due at `now`, when the axes were seen last at `positions`.
    pub(super) fn due(&mut self, now: Nanos, positions: [Steps; 2]) -> Option<Command> {
        if positions != self.seen {
            self.seen = positions;
            self.since = now;
        }
        let is_stalled = now - self.since >= STALLED;
        if is_stalled || now >= self.status_due {
            self.since = now;
            self.status_due = now + Nanos(STATUS_EACH * self.period.0);
            // Two in a row would leave too long a gap between two fixes.
            self.positions_due = self.positions_due.max(now + Nanos(self.period.0 / 2));
            return Some(Command::Status);
        }
        if now >= self.positions_due {
            self.positions_due = now + self.period;
            self.status_due = self.status_due.max(now + Nanos(self.period.0 / 2));
            return Some(Command::Positions);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is asked beside the fixes, with when: a fix each 2 ms, the axis at `way`.
    fn asked(until_ms: i64, way: impl Fn(i64) -> i64) -> Vec<(i64, Command)> {
        let mut watch = Watch::new(Nanos::from_millis(500));
        watch.begin(Nanos::ZERO);
        (0..until_ms)
            .step_by(2)
            .filter_map(|ms| {
                let positions = [Steps(way(ms)), Steps(0)];
                let due = watch.due(Nanos::from_millis(ms), positions);
                due.map(|command| (ms, command))
            })
            .collect()
    }

    #[test]
    fn positions_come_each_period_and_status_each_second_one() {
        let (status, positions) = (Command::Status, Command::Positions);
        let found = asked(1600, |ms| ms);
        assert_eq!(
            found,
            [
                (0, status),
                (250, positions),
                (750, positions),
                (1000, status),
                (1250, positions),
            ]
        );
    }

    #[test]
    fn status_is_asked_soon_for_an_axis_that_stands_still() {
        let found = asked(340, |ms| ms.min(100));
        let status = |(ms, command): &(i64, Command)| {
            let is_status = *command == Command::Status;
            is_status.then_some(*ms)
        };
        let times: Vec<i64> = found.iter().filter_map(status).collect();
        assert_eq!(times, [0, 200, 300]);
    }
}
