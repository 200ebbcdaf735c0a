//! Which speeds and ramps rule a motion (§6.1, §6.2).

use super::controller::Controller;
use crate::motion::{Axis, Profile};

/// Upper end of each speed window, its least LS, least ACC in ms, and δ (§6.2).
const WINDOWS: [(f64, f64, f64, f64); 7] = [
    (65e3, 1.0, 2.0, 50.0),
    (130e3, 2.0, 1.0, 100.0),
    (325e3, 5.0, 1.0, 200.0),
    (650e3, 10.0, 1.0, 800.0),
    (1.3e6, 20.0, 1.0, 1500.0),
    (3.2e6, 50.0, 1.0, 3800.0),
    (6e6, 100.0, 1.0, 7500.0),
];

impl Controller {
    /// Returns the profile of an axis; global values alone without one.
    pub(super) fn profile(&self, axis: Option<Axis>) -> Profile {
        let value = |name: &str| {
            let own = axis.map_or(0, |axis| self.registers.of_axis(name, axis));
            let value = if own == 0 {
                self.registers.get(name)
            } else {
                own
            };
            value as f64
        };
        let deceleration = if self.registers.get("EDEC") == 1 {
            "DEC"
        } else {
            "ACC"
        };
        let high = value("HS");
        let window = WINDOWS.iter().find(|window| high <= window.0);
        let (_, least_low, least_ms, delta) = *window.unwrap_or(&WINDOWS[6]);
        let low = value("LS").max(least_low);
        let most_ms = ((high - low) / delta * 1000.0).max(least_ms);
        let ramp_s = |name| value(name).clamp(least_ms, most_ms) * 1e-3;
        let rate = self.settings.clock_rate;
        let (up, down) = (ramp_s("ACC"), ramp_s(deceleration));
        Profile::new(low * rate, high * rate, up / rate, down / rate)
    }
}
