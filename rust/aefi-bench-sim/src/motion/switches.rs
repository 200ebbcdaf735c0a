//! Where planned motion comes to a switch or an edge.

use aefi_scan_engine::Nanos;

use super::{Departure, Segment};

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

fn arrival(segment: &Segment, end: Option<Nanos>, position: f64, side: Side) -> Option<Passage> {
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
