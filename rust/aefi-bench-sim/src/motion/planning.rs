//! From a command to segments: moves, stops, jogs.

use aefi_scan_engine::Nanos;

use super::{Profile, Segment};

/// Where a planned piece of motion begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Departure {
    /// When.
    pub start: Nanos,
    /// Where, steps.
    pub position: f64,
    /// How fast already, steps/s with sign; zero from rest.
    pub velocity: f64,
}

/// Plans a move to `target`, which turns back if it can't stop before it.
#[must_use]
pub fn plan_move(profile: &Profile, from: Departure, target: f64) -> Vec<Segment> {
    let way = target - from.position;
    if way == 0.0 && from.velocity == 0.0 {
        return vec![Segment::rest(from.start, target)];
    }
    let sign = if from.velocity == 0.0 {
        way.signum()
    } else {
        from.velocity.signum()
    };
    let speed = from.velocity.abs().max(profile.low);
    let distance = way * sign;
    if distance < Profile::ramp(speed, profile.low, profile.deceleration) {
        return turn_back(profile, from, target);
    }
    let (top, deceleration) = profile.summit(speed, distance);
    let up = Profile::ramp(speed, top, profile.acceleration);
    let down = Profile::ramp(top, profile.low, deceleration);
    let mut plotter = Plotter::new(from, sign);
    plotter.ramp(speed, top, profile.acceleration);
    plotter.cruise(top, (distance - up - down).max(0.0));
    plotter.ramp(top, profile.low, deceleration);
    plotter.rest_at(target)
}

fn turn_back(profile: &Profile, from: Departure, target: f64) -> Vec<Segment> {
    let mut segments = plan_stop(profile, from);
    let last = segments.pop().expect("a stop ends with a rest");
    let again = Departure {
        start: last.start,
        position: last.position,
        velocity: 0.0,
    };
    segments.extend(plan_move(profile, again, target));
    segments
}

/// Plans a ramp to the start speed and a dead stop from it.
#[must_use]
pub fn plan_stop(profile: &Profile, from: Departure) -> Vec<Segment> {
    let speed = from.velocity.abs();
    let mut plotter = Plotter::new(from, from.velocity.signum());
    if speed > profile.low {
        plotter.ramp(speed, profile.low, profile.deceleration);
    }
    plotter.rest_here()
}

/// Plans motion without end in the direction of `sign`.
#[must_use]
pub fn plan_jog(profile: &Profile, from: Departure, sign: f64) -> Vec<Segment> {
    let speed = from.velocity.abs().max(profile.low);
    let mut plotter = Plotter::new(from, sign);
    plotter.ramp(speed, profile.high, profile.acceleration);
    plotter.push(profile.high, 0.0);
    plotter.segments
}

/// Plans motion at constant `speed` to `target`, without ramps.
#[must_use]
pub fn plan_constant(from: Departure, target: f64, speed: f64) -> Vec<Segment> {
    let sign = (target - from.position).signum();
    let mut plotter = Plotter::new(from, sign);
    plotter.cruise(speed, (target - from.position).abs());
    plotter.rest_at(target)
}

/// Strings phases together, exact in seconds and rounded to ns only for `start`.
struct Plotter {
    from: Departure,
    sign: f64,
    elapsed_s: f64,
    travelled: f64,
    segments: Vec<Segment>,
}

impl Plotter {
    fn new(from: Departure, sign: f64) -> Self {
        Self {
            from,
            sign,
            elapsed_s: 0.0,
            travelled: 0.0,
            segments: Vec::with_capacity(4),
        }
    }

    fn now(&self) -> Nanos {
        self.from.start + Nanos::from_secs_f64(self.elapsed_s)
    }

    fn position(&self) -> f64 {
        self.from.position + self.sign * self.travelled
    }

    fn push(&mut self, speed: f64, acceleration: f64) {
        self.segments.push(Segment {
            start: self.now(),
            position: self.position(),
            velocity: speed * self.sign,
            acceleration: acceleration * self.sign,
        });
    }

    fn ramp(&mut self, from: f64, to: f64, rate: f64) {
        let duration_s = (to - from).abs() / rate;
        if duration_s > 0.0 {
            self.push(from, rate.copysign(to - from));
            self.elapsed_s += duration_s;
            self.travelled += Profile::ramp(from, to, rate);
        }
    }

    fn cruise(&mut self, speed: f64, distance: f64) {
        if distance > 0.0 {
            self.push(speed, 0.0);
            self.elapsed_s += distance / speed;
            self.travelled += distance;
        }
    }

    fn rest_at(mut self, position: f64) -> Vec<Segment> {
        self.segments.push(Segment::rest(self.now(), position));
        self.segments
    }

    fn rest_here(self) -> Vec<Segment> {
        let position = self.position();
        self.rest_at(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::motion::{Side, cut_at};

    fn duration_s(low: f64, high: f64, ramp_s: f64, distance: f64) -> f64 {
        let profile = Profile::new(low, high, ramp_s, ramp_s);
        let segments = plan_move(&profile, rest(0.0), distance);
        segments.last().expect("a move ends").start.as_secs_f64()
    }

    fn rest(position: f64) -> Departure {
        Departure {
            start: Nanos::ZERO,
            position,
            velocity: 0.0,
        }
    }

    #[test]
    fn moves_last_as_long_as_the_model_of_the_bench_says() {
        let pulses = [115.0, 459.0, 1147.0, 2294.0, 4587.0];
        let modes = [
            (800.0, 0.3, [0.144, 0.574, 1.434, 2.868, 5.734]),
            (1500.0, 0.3, [0.110, 0.394, 0.865, 1.629, 3.158]),
            (3000.0, 0.5, [0.104, 0.342, 0.682, 1.098, 1.862]),
        ];
        for (high, ramp_s, expected) in modes {
            for (distance, expected_s) in pulses.into_iter().zip(expected) {
                let found_s = duration_s(1000.0, high, ramp_s, distance);
                assert!(
                    (found_s - expected_s).abs() <= 0.001,
                    "HS {high}, {distance} pulses: expected {expected_s} s, was {found_s} s"
                );
            }
        }
    }

    #[test]
    fn a_retarget_behind_the_axis_stops_and_turns_back() {
        let profile = Profile::new(100.0, 1000.0, 0.5, 0.5);
        let from = Departure {
            velocity: 1000.0,
            ..rest(5000.0)
        };
        let segments = plan_move(&profile, from, 4000.0);
        assert!(segments[0].acceleration < 0.0);
        assert_eq!(segments.last().map(|s| s.position), Some(4000.0));
        assert!(segments.iter().any(|s| s.velocity < 0.0));
    }

    #[test]
    fn a_cut_move_ends_exactly_at_the_place() {
        let profile = Profile::new(100.0, 1000.0, 0.5, 0.5);
        let mut segments = plan_jog(&profile, rest(0.0), -1.0);
        let passage = cut_at(&mut segments, -700.0, Side::Minus).expect("jogs there");
        assert!((passage.position - -700.0).abs() < 1e-12);
        let last = segments.last().expect("has a segment");
        assert!((last.position_at(passage.at) - -700.0).abs() < 1e-5);
    }
}
