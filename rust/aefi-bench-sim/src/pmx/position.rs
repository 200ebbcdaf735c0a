//! Counters and speed (§3.3).

use aefi_scan_engine::Nanos;

use super::controller::Controller;
use super::refusal::{Answer, Refusal, number, ok};
use super::request::Request;
use crate::motion::Axis;

impl Controller {
    pub(super) fn answer_position(&mut self, at: Nanos, request: &Request) -> Option<Answer> {
        match request.text {
            "PP" => return Some(Ok(self.listed(|axis| axis.counter(at)))),
            "PE" => return Some(Ok(self.listed(|axis| axis.encoder_counter(at)))),
            // The sign is not documented (§14.22): the magnitude.
            "PS" => {
                let speed = |v: f64| v.abs().round() as i64;
                return Some(Ok(
                    self.listed(|axis| speed(axis.trajectory.velocity_at(at)))
                ));
            }
            _ => {}
        }
        if let Some(axis) = request.axis_after("P") {
            return Some(self.pulse_counter(at, axis, request));
        }
        if let Some(axis) = request.axis_after("E") {
            return Some(self.encoder_counter(at, axis, request));
        }
        // StepNLoop is never on here, so there is no difference to report.
        request.axis_after("DX").map(|_| number(0))
    }

    fn listed(&self, value: impl Fn(&super::axis::AxisState) -> i64) -> String {
        let [x, y, z, u] = self.axes.each_ref().map(value);
        format!("{x}:{y}:{z}:{u}")
    }

    fn pulse_counter(&mut self, at: Nanos, axis: Axis, request: &Request) -> Answer {
        let state = &mut self.axes[axis.index()];
        let Some(value) = request.number()? else {
            return number(state.counter(at));
        };
        // The manual may mean the whole controller (§14.6): the bench says axis.
        if state.is_moving(at) {
            return Err(Refusal::Pulsing);
        }
        state.set_counter(at, value);
        ok()
    }

    fn encoder_counter(&mut self, at: Nanos, axis: Axis, request: &Request) -> Answer {
        let state = &mut self.axes[axis.index()];
        let Some(value) = request.number()? else {
            return number(state.encoder_counter(at));
        };
        let position = state.trajectory.position_at(at);
        state.set_encoder(position, value);
        ok()
    }
}
