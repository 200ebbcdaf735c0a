//! Speeds and ramps, and what they make of a distance.

/// Speeds and accelerations that rule a motion; all in steps and seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Profile {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) acceleration: f64,
    pub(super) deceleration: f64,
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
    pub(super) fn ramp(from: f64, to: f64, rate: f64) -> f64 {
        (to * to - from * from).abs() / (2.0 * rate)
    }

    /// Returns cruise speed and deceleration of a move over `distance` that begins
    /// at `speed` (App. A.2: a short move is a symmetric triangle).
    pub(super) fn summit(&self, speed: f64, distance: f64) -> (f64, f64) {
        let up = Self::ramp(speed, self.high, self.acceleration);
        let down = Self::ramp(self.high, self.low, self.deceleration);
        let from_rest = speed <= self.low;
        if from_rest && up.max(down) > distance / 2.0 {
            let square = self.low * self.low + self.acceleration * distance;
            // The manual's rule alone would exceed HS with very unlike ramps.
            return (square.sqrt().min(self.high), self.acceleration);
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
