//! A way as a list of segments, and the formulas of one.

use aefi_scan_engine::Nanos;

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
    pub(super) fn seconds_to(&self, position: f64) -> f64 {
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
