//! Everything about the simulated bench that somebody may want otherwise.
//!
//! The defaults are the real bench as far as it is known; each comes from
//! `arcus-pmx-4ex-sa.md` (§11, §13) or `mcu-acquisition.md` (§1-§6).

use aefi_scan_engine::Nanos;

/// The whole bench.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BenchSettings {
    /// The stage, its controller and the line to it.
    pub stage: StageSettings,
    /// The microcontroller, its chips and the line to it.
    pub acquisition: AcquisitionSettings,
    /// What there is to measure.
    pub field: FieldSettings,
    /// Seed of every random draw: the same seed gives the same run.
    pub seed: u64,
}

/// What a link adds between request and reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pacing {
    /// A physical line: ten bit times a byte both ways, and these delays.
    Paced {
        /// From the end of a request to the first bit of its reply.
        turnaround: Nanos,
        /// Upper bound of a uniform random addition to the turnaround.
        jitter: Nanos,
        /// Replies reach the host at multiples of this only; zero for none.
        latency_tick: Nanos,
    },
    /// Not physical: bytes take no time and replies are there at once (readings
    /// after their conversions). A rate reached so says nothing about any instrument.
    Unpaced,
}

impl Pacing {
    /// Returns a physical line with nothing but its bytes.
    #[must_use]
    pub const fn line_only() -> Self {
        Self::Paced {
            turnaround: Nanos::ZERO,
            jitter: Nanos::ZERO,
            latency_tick: Nanos::ZERO,
        }
    }
}

/// How requests to the stage controller are framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// `@` and two address digits before each command; silence to all else.
    #[default]
    Addressed,
    /// As on plain TCP: a line without `@` is taken too.
    AddressedOrBare,
}

/// What the encoder inputs of the controller are connected to.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Encoder {
    /// Nothing: the counters stay where they are set.
    #[default]
    Absent,
    /// An encoder that follows the axis.
    Wired {
        /// Motor pulses for each encoder count.
        pulses_per_count: f64,
    },
}

/// The stage, its controller and the line to it. Arrays are in order X, Y, Z, U;
/// positions are in motor steps of the machine, which are those of the counters
/// until a client redefines a counter.
#[derive(Debug, Clone, PartialEq)]
pub struct StageSettings {
    /// Last two digits of the device number `4EXnn`.
    pub device_number: u8,
    /// Code 1 to 5 of the baud rate at power-on.
    pub baud_code: u8,
    /// Reply to `VER`.
    pub firmware: String,
    /// Global `HS` at power-on, pulses/s.
    pub high_speed: i64,
    /// Global `LS` at power-on, pulses/s.
    pub low_speed: i64,
    /// Global `ACC` and `DEC` at power-on, ms.
    pub acceleration_ms: i64,
    /// Travel of each axis from 0, steps.
    pub travel_steps: [f64; 4],
    /// Distance of the limit switches from both ends of the travel, steps.
    pub switch_margin_steps: f64,
    /// Where the axes stand, and what the counters read, at the start: steps, as if
    /// homed before.
    pub start_steps: [f64; 4],
    /// Where the home inputs switch, steps.
    pub home_edge_steps: [f64; 4],
    /// Distance between index pulses, steps (one motor turn).
    pub index_spacing_steps: f64,
    /// Length of one step, micrometres.
    pub micrometres_per_step: f64,
    /// The encoder inputs.
    pub encoder: Encoder,
    /// Whether `HXFalse0` (as pylablib sends it) homes instead of being refused.
    pub lenient_homing: bool,
    /// Whether a limit error of one axis stops the others too (with `IERR=0`).
    pub limit_stops_all: bool,
    /// For how long after a move command `MST` still reads idle.
    pub status_lag: Nanos,
    /// Speed of the controller's clock, as a share of what it should be: a crystal is off
    /// by 0.05 % at most.
    pub clock_rate: f64,
    /// How requests are framed.
    pub framing: Framing,
    /// Whether the host reads its own requests too, as with an RS-485 adapter whose
    /// receiver stays on.
    pub echoes: bool,
    /// Delays of the line.
    pub pacing: Pacing,
}

impl Default for StageSettings {
    fn default() -> Self {
        Self {
            device_number: 0,
            baud_code: 1,
            firmware: "V180BL".to_owned(),
            high_speed: 800,
            low_speed: 1000,
            acceleration_ms: 300,
            travel_steps: [58_242.0, 56_320.0, 58_242.0, 58_242.0],
            // 10.9 mm: more than homing at HS 1500 overshoots (375 steps).
            switch_margin_steps: 500.0,
            start_steps: [0.0; 4],
            home_edge_steps: [0.0; 4],
            index_spacing_steps: 3200.0,
            micrometres_per_step: 21.8,
            encoder: Encoder::Absent,
            lenient_homing: true,
            limit_stops_all: false,
            status_lag: Nanos::ZERO,
            clock_rate: 1.0,
            framing: Framing::Addressed,
            echoes: false,
            pacing: Pacing::Paced {
                turnaround: Nanos::from_millis(1),
                jitter: Nanos::ZERO,
                latency_tick: Nanos::ZERO,
            },
        }
    }
}

/// When the microcontroller confirms an acquisition; the real one is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Confirmation {
    /// Together with the data.
    #[default]
    WithData,
    /// As soon as the command is read.
    AtOnce,
}

/// The form of the microcontroller's lines, which is only partly known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyForm {
    /// Whether CR precedes the LF of each line.
    pub carriage_return: bool,
    /// Whether a TAB follows the last value.
    pub trailing_tab: bool,
    /// How many values a data line has, at most eight.
    pub values: usize,
    /// Line in reply to `a` and `d`; `None` for the form `a=   14`.
    pub register_line: Option<String>,
    /// When an acquisition is confirmed.
    pub confirmation: Confirmation,
}

impl Default for ReplyForm {
    fn default() -> Self {
        Self {
            carriage_return: false,
            trailing_tab: true,
            values: 8,
            register_line: None,
            confirmation: Confirmation::WithData,
        }
    }
}

/// The microcontroller, its chips and the line to it.
#[derive(Debug, Clone, PartialEq)]
pub struct AcquisitionSettings {
    /// Line rate, Bd.
    pub baud: u32,
    /// Clock of the converter, Hz.
    pub converter_clock_hz: f64,
    /// Values of CLK1 and CLK2 when the microcontroller has started. The chip's
    /// own reset values (8, 134) until the host writes others are possible too.
    pub clock_registers: [u16; 2],
    /// Clock of the synthesizer, Hz.
    pub synthesizer_clock_hz: f64,
    /// Form of the reply lines.
    pub reply_form: ReplyForm,
    /// Delays of the line.
    pub pacing: Pacing,
    /// Phase of the latency tick; drawn from the seed if `None`.
    pub tick_phase: Option<Nanos>,
    /// Share of replies that miss a latency tick, 0 to 1 (bench: 0.04 to 0.13).
    pub lost_tick_share: f64,
    /// Whether the truth keeps every conversion (16 bytes each).
    pub keep_conversions: bool,
    /// Whether an acquisition makes the microcontroller forget the selected register:
    /// the next write goes nowhere. Not documented.
    pub forgets_selection: bool,
    /// How long the microcontroller hears nothing after its port was opened, when all its
    /// registers are as at power-on: some boards start anew then. Zero for none.
    pub boot: Nanos,
}

impl Default for AcquisitionSettings {
    fn default() -> Self {
        Self {
            baud: 1_500_000,
            converter_clock_hz: 16_384_000.0,
            clock_registers: [2, 32],
            synthesizer_clock_hz: 16_000_000.0,
            reply_form: ReplyForm::default(),
            pacing: Pacing::Paced {
                turnaround: Nanos::ZERO,
                jitter: Nanos::ZERO,
                latency_tick: Nanos::from_millis(16),
            },
            tick_phase: None,
            lost_tick_share: 0.0,
            keep_conversions: true,
            forgets_selection: false,
            boot: Nanos::ZERO,
        }
    }
}

/// What there is to measure. Places are in stage mm.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldSettings {
    /// Middle of the arrangement of spheres.
    pub centre_mm: [f64; 2],
    /// Half the side of the square whose corners carry the spheres.
    pub sphere_distance_mm: f64,
    /// Height of the spheres above the plane of the sensor.
    pub sphere_height_mm: f64,
    /// In-phase voltage at the centre with all spheres at full level.
    pub background_v: f64,
    /// Middle of the object.
    pub object_mm: [f64; 2],
    /// Depth of the object below the plane of the sensor; also its extent.
    pub object_depth_mm: f64,
    /// Share of the background that the object takes away right above it.
    pub object_contrast: f64,
    /// Quadrature share of the object's response (its losses).
    pub object_loss: f64,
    /// Share of the in-phase voltage that leaks into quadrature.
    pub quadrature_leak: f64,
    /// Rotation of the sensor about stage x, then y, then z.
    pub sensor_rotation_deg: [f64; 3],
    /// Voltages without excitation, x I, x Q, y I, y Q, z I, z Q.
    pub baseline_v: [f64; 6],
    /// Standard deviation of the noise of one reading.
    pub noise_v: f64,
    /// Amplitude of the slow drift.
    pub drift_v: f64,
    /// Period of the slow drift, s.
    pub drift_period_s: f64,
    /// Time constant of the synchronous detection, s; zero for none.
    pub lag_s: f64,
}

impl Default for FieldSettings {
    fn default() -> Self {
        // Middle of the travel: 58 242 x 56 320 steps of 21.8 um.
        let middle = [634.837_8, 613.888];
        Self {
            centre_mm: middle,
            sphere_distance_mm: 1500.0,
            sphere_height_mm: 150.0,
            background_v: 1.0,
            object_mm: [635.0, 610.0],
            object_depth_mm: 45.0,
            object_contrast: 0.035,
            object_loss: 0.2,
            quadrature_leak: 0.02,
            sensor_rotation_deg: [0.0; 3],
            // The capture of July 2025 with gain 0, at 2.442 V.
            baseline_v: [-501e-6, -733e-6, -40e-6, -1012e-6, -573e-6, 1104e-6],
            noise_v: 60e-6,
            drift_v: 50e-6,
            drift_period_s: 900.0,
            lag_s: 0.010,
        }
    }
}
