//! Where an axis is meant to be: what a position reply is judged by.
//!
//! An axis rests, or is on its way from one place to another, no faster than it was
//! told to. A reply that says otherwise is asked for again: a digit may have been
//! flipped. If the second reply agrees with the first, the axis is not where it is
//! meant to be (another hand, a damaged command), or what was believed was false.

use crate::error::Cause;
use crate::estimator::SPEED_TOLERANCE;
use crate::units::{Axis, Nanos, Steps};

/// Room for quantisation, the crystal and the ramp's last step of an axis that moves,
/// in steps.
const MARGIN: f64 = 3.0;
/// A false reply that was believed is off by what its axis can move between two
/// replies, at most; true replies are so far from it.
const FALSE_BELIEF: f64 = 100.0;

/// What a position reply is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Verdict {
    /// The axis is where it is meant to be.
    Believed,
    /// It can't be there, or one reply alone says so: this is why.
    Doubted(Cause),
    /// Two replies agree that it is not where it is meant to be: this is what to say.
    Astray(Cause),
}

/// A reply: the counter, and the exchange that brought it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Seen {
    pub(super) counts: Steps,
    pub(super) sent: Nanos,
    pub(super) received: Nanos,
}

impl Seen {
    /// Returns whether an axis seen here can be at `later` so much later.
    fn agrees(&self, later: &Self, speed: f64) -> bool {
        distance(self.counts, later.counts) <= reach(speed, later.received - self.sent)
    }
}

/// What one axis was told, and where it was seen last.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Intent {
    axis: Axis,
    from: Steps,
    target: Steps,
    /// At most, in steps/s; zero at rest.
    speed: f64,
    /// The speed that its register commands, whoever gives the command.
    register: f64,
    last: Seen,
    /// The last reply that was not believed.
    rival: Option<Seen>,
}

impl Intent {
    /// Returns the intent to rest where the axis was seen; `register` is the speed of
    /// any move that is not ours, in steps/s.
    pub(super) fn to_rest(axis: Axis, seen: Seen, register: f64) -> Self {
        Self {
            axis,
            from: seen.counts,
            target: seen.counts,
            speed: 0.0,
            register,
            last: seen,
            rival: None,
        }
    }

    /// Returns the intent to rest of an axis that was seen there before this session
    /// of exchanges began: what it may have done since is not known.
    pub(super) fn to_rest_at(axis: Axis, counts: Steps) -> Self {
        let seen = Seen {
            counts,
            sent: Nanos::ZERO,
            received: Nanos::ZERO,
        };
        Self::to_rest(axis, seen, 0.0)
    }

    /// Returns the intent of a move to `target` that is commanded at `at`, from where
    /// the axis was seen last, at up to `speed` steps/s.
    pub(super) fn to_move(self, target: Steps, at: Nanos, speed: f64) -> Self {
        // A move that is sent again may have been heard the first time.
        let from = if self.target == target {
            self.from
        } else {
            self.last.counts
        };
        Self {
            from,
            target,
            speed,
            register: speed,
            last: Seen {
                sent: at,
                received: at,
                ..self.last
            },
            rival: None,
            ..self
        }
    }

    /// Returns the intent to rest where the axis was seen last.
    pub(super) fn arrived(self) -> Self {
        Self::to_rest(self.axis, self.last, self.register)
    }

    /// Returns whether the axis was seen on its way: beyond what a flipped digit or
    /// the quantisation explains.
    pub(super) fn has_moved(&self) -> bool {
        self.target != self.from && distance(self.from, self.last.counts) > MARGIN
    }

    pub(super) fn is_at_target(&self) -> bool {
        self.last.counts == self.target
    }

    /// Returns why an axis that did not begin to move is given up.
    pub(super) fn stalled(&self) -> Cause {
        Cause::Stalled {
            axis: self.axis.letter(),
            target: self.target.0,
            found: self.last.counts.0,
        }
    }

    /// Returns why the axis should not rest where it was seen last.
    pub(super) fn cut_short(&self) -> Cause {
        Cause::CutShort {
            axis: self.axis.letter(),
            found: self.last.counts.0,
            from: self.from.0,
            target: self.target.0,
        }
    }

    /// Judges a reply, and takes it over if it is believed.
    pub(super) fn judge(&mut self, seen: Seen) -> Verdict {
        let is_meant = self.is_meant(seen.counts);
        if is_meant && self.last.agrees(&seen, self.speed) {
            return self.believe(seen);
        }
        let agrees = |rival: Seen| rival.agrees(&seen, self.speed.max(self.register));
        let is_confirmed = self.rival.replace(seen).is_some_and(agrees);
        let moved = distance(self.last.counts, seen.counts);
        if is_confirmed && is_meant && self.speed > 0.0 && moved <= FALSE_BELIEF {
            return self.believe(seen);
        }
        let can_move = reach(self.register, seen.received - self.last.sent);
        if is_confirmed && !is_meant && moved <= can_move {
            self.last = seen;
            return Verdict::Astray(self.astray());
        }
        Verdict::Doubted(self.doubt(&seen))
    }

    fn believe(&mut self, seen: Seen) -> Verdict {
        self.last = seen;
        self.rival = None;
        Verdict::Believed
    }

    /// Returns whether `counts` lies on the way.
    fn is_meant(&self, counts: Steps) -> bool {
        if self.speed <= 0.0 {
            return counts == self.target;
        }
        let (low, high) = (self.from.min(self.target), self.from.max(self.target));
        let margin = MARGIN as i64;
        (low.0 - margin..=high.0 + margin).contains(&counts.0)
    }

    fn astray(&self) -> Cause {
        let (axis, found) = (self.axis.letter(), self.last.counts.0);
        if self.from == self.target {
            let rested = self.target.0;
            return Cause::OtherHand {
                axis,
                rested,
                found,
            };
        }
        Cause::Astray {
            axis,
            found,
            from: self.from.0,
            target: self.target.0,
        }
    }

    fn doubt(&self, seen: &Seen) -> Cause {
        Cause::PositionJump {
            axis: self.axis.letter(),
            found: seen.counts.0,
            last: self.last.counts.0,
            reach: reach(self.speed, seen.received - self.last.sent) as i64,
        }
    }
}

/// Returns how far an axis can move in a span, in steps.
fn reach(speed: f64, span: Nanos) -> f64 {
    let margin = if speed > 0.0 { MARGIN } else { 0.0 };
    (speed * SPEED_TOLERANCE * span.as_secs_f64() + margin).ceil()
}

fn distance(one: Steps, other: Steps) -> f64 {
    (one.0 - other.0).abs() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(counts: i64, at_ms: i64) -> Seen {
        Seen {
            counts: Steps(counts),
            sent: Nanos::from_millis(at_ms),
            received: Nanos::from_millis(at_ms),
        }
    }

    /// From 1000 to 3000 at 1500 steps/s, seen at 1000 when it was told so.
    fn moving() -> Intent {
        let rest = Intent::to_rest(Axis::Y, seen(1000, 0), 1500.0);
        rest.to_move(Steps(3000), Nanos::ZERO, 1500.0)
    }

    fn believed(intent: &mut Intent, counts: i64, at_ms: i64) -> bool {
        intent.judge(seen(counts, at_ms)) == Verdict::Believed
    }

    #[test]
    fn an_axis_is_no_further_than_its_speed_allows() {
        for counts in [1015, 997, 1018] {
            assert!(believed(&mut moving(), counts, 10), "{counts}");
        }
        for counts in [1115, 0, 1020, 996] {
            let verdict = moving().judge(seen(counts, 10));
            assert!(matches!(verdict, Verdict::Doubted(_)), "{counts}");
        }
    }

    #[test]
    fn a_resting_axis_stays() {
        let mut rest = Intent::to_rest(Axis::X, seen(42, 0), 1500.0);
        assert!(believed(&mut rest, 42, 60_000));
        assert!(!believed(&mut rest, 43, 60_001), "a flipped digit");
        assert!(believed(&mut rest, 42, 60_002));
    }

    #[test]
    fn a_resting_axis_that_moves_twice_is_in_another_hand() {
        let mut rest = Intent::to_rest(Axis::X, seen(42, 0), 1500.0);
        assert!(!believed(&mut rest, 142, 100));
        let Verdict::Astray(cause) = rest.judge(seen(146, 103)) else {
            panic!("two replies agree");
        };
        let (axis, rested, found) = ('X', 42, 146);
        assert_eq!(
            cause,
            Cause::OtherHand {
                axis,
                rested,
                found
            }
        );
    }

    #[test]
    fn an_axis_that_leaves_its_way_is_astray() {
        for (near, outside) in [(2990, [3005, 3008]), (1005, [995, 992])] {
            let mut intent = moving();
            intent.last = seen(near, 100);
            assert!(!believed(&mut intent, outside[0], 110));
            let verdict = intent.judge(seen(outside[1], 112));
            let Verdict::Astray(Cause::Astray { from, target, .. }) = verdict else {
                panic!("{outside:?}: {verdict:?}");
            };
            assert_eq!((from, target), (1000, 3000));
        }
    }

    #[test]
    fn a_false_reply_that_was_believed_is_replaced_by_two_that_agree() {
        let mut intent = moving();
        assert!(believed(&mut intent, 1018, 10), "true was 1009");
        assert!(!believed(&mut intent, 1010, 11));
        assert!(believed(&mut intent, 1012, 12));
    }

    #[test]
    fn a_reset_controller_is_never_believed() {
        let mut intent = moving();
        for at in 10..20 {
            let verdict = intent.judge(seen(0, at));
            let Verdict::Doubted(Cause::PositionJump { last, .. }) = verdict else {
                panic!("{verdict:?}");
            };
            assert_eq!(last, 1000);
        }
    }

    #[test]
    fn an_axis_at_rest_has_not_moved() {
        let mut intent = moving();
        assert!(!intent.has_moved());
        assert!(believed(&mut intent, 1010, 10));
        assert!(intent.has_moved());
        assert!(!intent.arrived().has_moved());
    }
}
