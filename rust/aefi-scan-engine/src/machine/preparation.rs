//! The commands that set the controller up, in order, and what they read back.

use crate::flight_plan::FlightPlan;
use crate::protocol::pmx::Command;
use crate::units::Axis;

/// The speeds and the ramp of one axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AxisSetup {
    /// Speed of the first move, in steps/s.
    pub high_speed: u32,
    /// Speed at which each ramp begins and ends, in steps/s.
    pub start_speed: u32,
    /// Duration of a ramp, in ms.
    pub ramp_ms: u32,
}

impl AxisSetup {
    /// Returns what both axes have at the beginning of a flight.
    pub(super) fn of_plan(plan: &FlightPlan) -> [Self; 2] {
        [Self {
            high_speed: plan.positioning_speed,
            start_speed: plan.start_speed,
            ramp_ms: plan.ramp_ms,
        }; 2]
    }
}

/// Identity and faults first: nothing is changed on a foreign or faulty device.
pub(super) fn preparation(
    setup: &[AxisSetup; 2],
    host_watch_ms: u32,
    wires: Vec<Command>,
) -> Vec<Command> {
    let mut script = vec![
        Command::DeviceName,
        Command::Status,
        // Read again at the end: a controller that was switched off in between, and
        // so has forgotten its settings, is found by its counters.
        Command::Positions,
        Command::Absolute,
        Command::LimitErrors,
        Command::SharedRamp,
    ];
    for axis in Axis::BOTH {
        let of_axis = setup[axis.index()];
        script.extend([
            Command::Enable(axis),
            Command::Trapezoid(axis),
            Command::SetHighSpeed(axis, of_axis.high_speed),
            Command::HighSpeed(axis),
            Command::SetLowSpeed(axis, of_axis.start_speed),
            Command::LowSpeed(axis),
            Command::SetRamp(axis, of_axis.ramp_ms),
            Command::Ramp(axis),
        ]);
    }
    if host_watch_ms > 0 {
        script.push(Command::WatchHost(host_watch_ms));
    }
    script.push(Command::Positions);
    // Behind the positions that an encoder is compared with.
    script.extend(wires);
    script
}

/// Returns what the controller must answer to a read-back during preparation.
pub(super) fn expected(setup: &[AxisSetup; 2], command: Command) -> u32 {
    match command {
        Command::LowSpeed(axis) => setup[axis.index()].start_speed,
        Command::Ramp(axis) => setup[axis.index()].ramp_ms,
        Command::HighSpeed(axis) => setup[axis.index()].high_speed,
        _ => 0,
    }
}
