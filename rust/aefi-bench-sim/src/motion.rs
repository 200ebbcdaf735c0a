//! Axes in continuous time: where an axis is, was and will be.
//!
//! A motion is a list of segments of constant acceleration, planned when its
//! command arrives, so that the position at any instant is one formula away and
//! nothing depends on how often somebody looks. Model: `arcus-pmx-4ex-sa.md` §6.

use aefi_scan_engine::Nanos;

/// The axes of the controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Axis {
    /// First axis.
    X,
    /// Second axis.
    Y,
    /// Third axis, unused on the bench.
    Z,
    /// Fourth axis, unused on the bench.
    U,
}

impl Axis {
    /// All axes, in the order of the controller's replies.
    pub const ALL: [Self; 4] = [Self::X, Self::Y, Self::Z, Self::U];

    /// Returns 0 for X to 3 for U.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Returns the letter of the axis in upper case.
    #[must_use]
    pub const fn letter(self) -> char {
        ['X', 'Y', 'Z', 'U'][self as usize]
    }

    /// Returns the axis of an upper-case letter.
    #[must_use]
    pub fn from_letter(letter: char) -> Option<Self> {
        Self::ALL.into_iter().find(|axis| axis.letter() == letter)
    }
}

/// A piece of constant acceleration; it lasts until the next one starts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Segment {
    /// When it starts.
    pub start: Nanos,
    /// Position at its start, steps.
    pub position: f64,
    /// Velocity at its start, steps/s.
    pub velocity: f64,
    /// Acceleration, steps/s².
    pub acceleration: f64,
}

impl Segment {
    /// Returns rest at `position` from `start` on.
    #[must_use]
    pub const fn rest(start: Nanos, position: f64) -> Self {
        Self {
            start,
            position,
            velocity: 0.0,
            acceleration: 0.0,
        }
    }

    /// Returns the position at `at`, in steps.
    #[must_use]
    pub fn position_at(&self, at: Nanos) -> f64 {
        let t = (at - self.start).as_secs_f64();
        self.position + (self.velocity + 0.5 * self.acceleration * t) * t
    }

    /// Returns the velocity at `at`, in steps/s.
    #[must_use]
    pub fn velocity_at(&self, at: Nanos) -> f64 {
        self.velocity + self.acceleration * (at - self.start).as_secs_f64()
    }

    /// Returns whether the axis pulses in this segment.
    #[must_use]
    pub fn is_moving(&self) -> bool {
        self.velocity != 0.0 || self.acceleration != 0.0
    }

    /// Returns the seconds after which it comes to `position`, which lies ahead.
    fn seconds_to(&self, position: f64) -> f64 {
        let sign = self.velocity.signum();
        let distance = (position - self.position) * sign;
        let speed = self.velocity.abs();
        let square = speed * speed + 2.0 * self.acceleration * sign * distance;
        // This form of the root has no cancellation and no division by a = 0.
        2.0 * distance / (speed + square.max(0.0).sqrt())
    }
}

/// The way of one axis through time, from the first instant to for ever.
#[derive(Debug, Clone, PartialEq)]
pub struct Trajectory {
    segments: Vec<Segment>,
}

impl Trajectory {
    /// Returns an axis that rests at `position` since ever.
    #[must_use]
    pub fn resting(start: Nanos, position: f64) -> Self {
        Self {
            segments: vec![Segment::rest(start, position)],
        }
    }

    /// Returns the segments in order of time; the last one never ends.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Returns the segment in force at `at`.
    #[must_use]
    pub fn segment_at(&self, at: Nanos) -> &Segment {
        let after = self.segments.partition_point(|segment| segment.start <= at);
        &self.segments[after.saturating_sub(1)]
    }

    /// Returns the position at `at`, in steps.
    #[must_use]
    pub fn position_at(&self, at: Nanos) -> f64 {
        self.segment_at(at).position_at(at)
    }

    /// Returns the velocity at `at`, in steps/s.
    #[must_use]
    pub fn velocity_at(&self, at: Nanos) -> f64 {
        self.segment_at(at).velocity_at(at)
    }

    /// Returns whether the axis pulses at `at`.
    #[must_use]
    pub fn is_moving_at(&self, at: Nanos) -> bool {
        self.segment_at(at).is_moving()
    }

    /// Returns whether the axis rests in the whole of [from, to].
    #[must_use]
    pub fn rests_between(&self, from: Nanos, to: Nanos) -> bool {
        let first = self.segment_at(from);
        !first.is_moving() && self.segment_at(to).start == first.start
    }

    /// Returns the first instant in [from, to] at which the axis is at `position`.
    #[must_use]
    pub fn first_at(&self, position: f64, from: Nanos, to: Nanos) -> Option<Nanos> {
        let first = self
            .segments
            .partition_point(|s| s.start <= from)
            .saturating_sub(1);
        let starts = self.segments[first..].iter().map(|s| s.start.max(from));
        let ends = self.segments[first..].iter().skip(1).map(|s| s.start);
        starts
            .zip(ends.chain([Nanos::NEVER]))
            .zip(&self.segments[first..])
            .take_while(|((start, _), _)| *start <= to)
            .find_map(|((start, end), s)| passage(s, position, start, end.min(to)))
    }

    /// Returns the last instant of motion that is planned, if it ends.
    #[must_use]
    pub fn end(&self) -> Option<Nanos> {
        self.segments
            .last()
            .filter(|segment| !segment.is_moving())
            .map(|segment| segment.start)
    }

    /// Forgets what was planned from `at` on and goes on with `segments`.
    pub(crate) fn replace_from(&mut self, at: Nanos, segments: Vec<Segment>) {
        let kept = self.segments.partition_point(|segment| segment.start < at);
        self.segments.truncate(kept);
        self.segments.extend(segments);
    }
}

fn passage(segment: &Segment, position: f64, start: Nanos, end: Nanos) -> Option<Nanos> {
    let (low, high) = (segment.position_at(start), segment.position_at(end));
    if (low - position) * (high - position) > 0.0 {
        return None;
    }
    let at = if segment.is_moving() {
        segment.start + Nanos::from_secs_f64(segment.seconds_to(position))
    } else {
        start
    };
    Some(at.max(start).min(end))
}

/// Speeds and accelerations that rule a motion; all in steps and seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Profile {
    low: f64,
    high: f64,
    acceleration: f64,
    deceleration: f64,
}

impl Profile {
    /// Returns the profile of `LS`, `HS` and the two ramp times.
    ///
    /// With `LS` at or above `HS` there is no ramp and the axis runs at `HS`
    /// (not documented; the bench's measured durations fit it, §6.3).
    #[must_use]
    pub fn new(low: f64, high: f64, acceleration_s: f64, deceleration_s: f64) -> Self {
        let low = low.min(high);
        let rate = |ramp_s: f64| {
            if low < high {
                (high - low) / ramp_s
            } else {
                f64::INFINITY
            }
        };
        Self {
            low,
            high,
            acceleration: rate(acceleration_s),
            deceleration: rate(deceleration_s),
        }
    }

    /// Returns the same ramps with another cruise speed.
    #[must_use]
    pub fn with_speed(self, high: f64) -> Self {
        Self {
            high,
            low: self.low.min(high),
            ..self
        }
    }

    /// Returns the profile of an axis that has a share of the way.
    #[must_use]
    pub fn scaled(self, share: f64) -> Self {
        Self {
            low: self.low * share,
            high: self.high * share,
            acceleration: self.acceleration * share,
            deceleration: self.deceleration * share,
        }
    }

    /// Returns the speed of start and stop, steps/s.
    #[must_use]
    pub const fn low(&self) -> f64 {
        self.low
    }

    /// Distance that the change from speed `from` to `to` takes at `rate`.
    fn ramp(from: f64, to: f64, rate: f64) -> f64 {
        (to * to - from * from).abs() / (2.0 * rate)
    }

    /// Returns cruise speed and deceleration of a move over `distance` that begins
    /// at `speed` (App. A.2: a short move is a symmetric triangle).
    fn summit(&self, speed: f64, distance: f64) -> (f64, f64) {
        let up = Self::ramp(speed, self.high, self.acceleration);
        let down = Self::ramp(self.high, self.low, self.deceleration);
        let from_rest = speed <= self.low;
        if from_rest && up.max(down) > distance / 2.0 {
            let square = self.low * self.low + self.acceleration * distance;
            return (square.sqrt(), self.acceleration);
        }
        if up + down <= distance {
            return (self.high, self.deceleration);
        }
        (self.retarget_summit(speed, distance), self.deceleration)
    }

    fn retarget_summit(&self, speed: f64, distance: f64) -> f64 {
        if speed >= self.high {
            return speed;
        }
        let (a, d) = (self.acceleration, self.deceleration);
        let energy = distance + speed * speed / (2.0 * a) + self.low * self.low / (2.0 * d);
        (energy / (0.5 / a + 0.5 / d)).sqrt().max(speed)
    }
}

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
    if target == from.position && from.velocity == 0.0 {
        return vec![Segment::rest(from.start, target)];
    }
    let forward = (target - from.position).signum();
    let sign = if from.velocity == 0.0 {
        forward
    } else {
        from.velocity.signum()
    };
    let speed = from.velocity.abs().max(profile.low);
    let distance = (target - from.position) * sign;
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

/// An end of the travel, or the direction towards it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Towards larger positions.
    Plus,
    /// Towards smaller positions.
    Minus,
}

impl Side {
    /// Returns +1 or -1.
    #[must_use]
    pub const fn sign(self) -> f64 {
        match self {
            Self::Plus => 1.0,
            Self::Minus => -1.0,
        }
    }

    pub(crate) fn of(velocity: f64) -> Self {
        if velocity < 0.0 {
            Self::Minus
        } else {
            Self::Plus
        }
    }
}

/// A planned motion comes to a place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Passage {
    /// When.
    pub at: Nanos,
    /// Where, steps.
    pub position: f64,
    /// How fast, steps/s with sign.
    pub velocity: f64,
}

impl Passage {
    pub(crate) fn departure(&self) -> Departure {
        Departure {
            start: self.at,
            position: self.position,
            velocity: self.velocity,
        }
    }
}

/// Ends planned motion where it first comes to `position` moving to `side`.
///
/// The segments then stop short of that passage, without a rest.
pub(crate) fn cut_at(segments: &mut Vec<Segment>, position: f64, side: Side) -> Option<Passage> {
    let found = (0..segments.len()).find_map(|i| {
        let end = segments.get(i + 1).map(|next| next.start);
        arrival(&segments[i], end, position, side).map(|passage| (i, passage))
    });
    let (i, passage) = found?;
    segments.truncate(i + 1);
    Some(passage)
}

fn arrival(
    segment: &Segment,
    end: Option<Nanos>,
    position: f64,
    side: Side,
) -> Option<Passage> {
    let sign = side.sign();
    if !segment.is_moving() || segment.velocity * sign < 0.0 {
        return None;
    }
    if end.is_some_and(|end| (segment.position_at(end) - position) * sign < 0.0) {
        return None;
    }
    let ahead = ((position - segment.position) * sign).max(0.0);
    let place = segment.position + ahead * sign;
    let at = segment.start + Nanos::from_secs_f64(segment.seconds_to(place));
    Some(Passage {
        at,
        position: place,
        velocity: segment.velocity_at(at),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
