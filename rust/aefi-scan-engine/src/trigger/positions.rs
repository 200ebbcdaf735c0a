//! Readings, or pulses, at predicted positions, with a lead.

use std::sync::Arc;

use crate::estimator::LiveTrack;
use crate::flight_plan::{FlightPlan, Line};
use crate::records::{Reading, StageRecord};
use crate::units::Nanos;

use super::{Due, Shot, TriggerSource};

/// Below this share of the line's speed nothing is predicted: a ramp, or rest.
const CRUISING: f64 = 0.5;
/// A new lead weighs one part in this many.
const LEAD_MEMORY: i64 = 8;

/// The line in flight and the next place to read at.
#[derive(Debug, Clone, Copy)]
struct Target {
    line: Line,
    /// Counts the places of the line's readings, from 0.
    next: usize,
}

/// Takes a reading at each of the places spaced evenly in a frame.
#[derive(Debug)]
pub struct PositionTrigger {
    plan: Arc<FlightPlan>,
    shots_a_frame: usize,
    glance: Nanos,
    track: Option<LiveTrack>,
    target: Option<Target>,
    /// From a request to the middle of its integration.
    lead: Nanos,
    /// Whether the lead was measured once.
    is_measured: bool,
}

impl PositionTrigger {
    /// Returns the source of so many shots a frame for `plan`, which expects this `lead`
    /// until it has measured, and trusts a prediction for a `glance`.
    #[must_use]
    pub fn new(plan: Arc<FlightPlan>, shots_a_frame: usize, lead: Nanos, glance: Nanos) -> Self {
        Self {
            plan,
            shots_a_frame,
            glance,
            track: None,
            target: None,
            lead,
            is_measured: false,
        }
    }

    /// Where the reading number `next` of the line belongs, and the frame's far edge.
    fn place(&self, target: &Target) -> (f64, f64) {
        let (line, shots) = (&target.line, self.shots_a_frame);
        let frame = target.next / shots;
        let (near, far) = (line.edge(frame), line.edge(frame + 1));
        let share = ((target.next % shots) as f64 + 0.5) / shots as f64;
        (near + (far - near) * share, far)
    }

    /// When the request must leave for its integration to be centred on `position`.
    fn request_time(&self, track: &LiveTrack, now: Nanos, position: f64) -> Nanos {
        let way = position - track.position(now);
        now + Nanos((way / track.speed()) as i64) - self.lead
    }

    fn is_cruising(&self, track: &LiveTrack, line: &Line) -> bool {
        let expected = f64::from(self.plan.speed) * 1e-9;
        track.speed() * line.direction() > CRUISING * expected
    }
}

impl TriggerSource for PositionTrigger {
    fn observe(&mut self, record: &StageRecord) {
        match record {
            StageRecord::Fix(fix) if fix.axis == self.plan.fast && fix.flags == 0 => {
                if let Some(track) = &mut self.track {
                    track.take_fix(fix);
                } else {
                    let position = fix.counts.0 as f64;
                    self.track = Some(LiveTrack::resting(fix.middle(), position));
                }
            }
            // It came to rest in between, whatever was seen of the way there.
            StageRecord::Motion { axis, at, from, .. } if *axis == self.plan.fast => {
                self.track = Some(LiveTrack::resting(*at, from.0 as f64));
            }
            StageRecord::LineBegan { line, place, .. } => {
                self.target = Some(Target {
                    line: self.plan.lines[*line],
                    next: place * self.shots_a_frame,
                });
            }
            StageRecord::StopSent { .. }
            | StageRecord::LineEnded { .. }
            | StageRecord::LineBroken { .. } => self.target = None,
            _ => {}
        }
    }

    fn observe_reading(&mut self, reading: &Reading) {
        let lead = reading.middle() - reading.sent;
        let weight = if self.is_measured { LEAD_MEMORY } else { 1 };
        self.is_measured = true;
        self.lead = self.lead + Nanos((lead - self.lead).0 / weight);
    }

    fn due(&mut self, now: Nanos) -> Due {
        let wait = Due::NotBefore(now + self.glance);
        let (Some(track), Some(mut target)) = (self.track, self.target) else {
            return wait;
        };
        if !self.is_cruising(&track, &target.line) {
            return wait;
        }
        let shots = self.shots_a_frame;
        while target.next < target.line.frames * shots {
            let (position, far) = self.place(&target);
            let due = self.request_time(&track, now, position);
            if now < due {
                self.target = Some(target);
                return Due::NotBefore(due.min(now + self.glance));
            }
            let frame = target.line.first_frame + target.next / shots;
            target.next += 1;
            // Too late for its frame: the next one is nearer.
            if now < self.request_time(&track, now, far) {
                self.target = Some(target);
                return Due::Now(Shot {
                    due,
                    aim: Some(frame),
                });
            }
        }
        self.target = Some(target);
        wait
    }
}
