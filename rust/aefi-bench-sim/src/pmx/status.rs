//! `MST`: what each axis does, the path buffer, the move mode (§5).

use aefi_scan_engine::Nanos;

use super::axis::AxisState;
use super::controller::Controller;
use super::path::PATH_SLOTS;
use crate::motion::Side;

impl Controller {
    pub(super) fn master_status(&self, at: Nanos) -> String {
        let [x, y, z, u] = self.axes.each_ref().map(|axis| self.axis_status(axis, at));
        let waiting = self.path.waiting(at);
        format!(
            "{x}:{y}:{z}:{u}:{}:{}:{}:{}:{}",
            u8::from(self.path.is_on),
            self.path.index_of_current(at),
            self.path.index_of_last(),
            PATH_SLOTS - waiting,
            u8::from(self.incremental),
        )
    }

    fn axis_status(&self, axis: &AxisState, at: Nanos) -> u16 {
        let lag = self.settings.status_lag;
        let lagging = lag > Nanos::ZERO && at - axis.moved_at < lag;
        let motion = if lagging { 0 } else { motion_bits(axis, at) };
        motion | input_bits(axis, at) | axis.errors
    }
}

/// Exactly one of bits 0 to 2 in motion, none at rest.
fn motion_bits(axis: &AxisState, at: Nanos) -> u16 {
    let segment = axis.trajectory.segment_at(at);
    let gain = segment.acceleration * segment.velocity;
    match (segment.is_moving(), gain) {
        (false, _) => 0,
        (true, gain) if gain > 0.0 => 1,
        (true, gain) if gain < 0.0 => 2,
        (true, _) => 4,
    }
}

fn input_bits(axis: &AxisState, at: Nanos) -> u16 {
    let bits = [
        (axis.alarm_input(), 8),
        (axis.switch(Side::Plus, at), 16),
        (axis.switch(Side::Minus, at), 32),
        (axis.home_input(at), 64),
    ];
    bits.iter().filter(|(on, _)| *on).map(|(_, bit)| bit).sum()
}
