//! The commands that set the controller up, in order, and what they read back.

use crate::flight_plan::FlightPlan;
use crate::protocol::pmx::Command;
use crate::units::Axis;

/// Identity and faults first: nothing is changed on a foreign or faulty device.
pub(super) fn preparation(
    plan: &FlightPlan,
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
        script.extend([
            Command::Enable(axis),
            Command::Trapezoid(axis),
            Command::SetHighSpeed(axis, plan.positioning_speed),
            Command::HighSpeed(axis),
            Command::SetLowSpeed(axis, plan.start_speed),
            Command::LowSpeed(axis),
            Command::SetRamp(axis, plan.ramp_ms),
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

/// What the controller must answer to a read-back during preparation.
pub(super) fn expected(plan: &FlightPlan, command: Command) -> u32 {
    match command {
        Command::LowSpeed(_) => plan.start_speed,
        Command::Ramp(_) => plan.ramp_ms,
        _ => plan.positioning_speed,
    }
}
