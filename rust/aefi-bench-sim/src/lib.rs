//! The simulated bench: stage controller, microcontroller and field, byte for byte.
//!
//! The core takes bytes and instants and gives bytes with the instants at which
//! they become readable. It has no clock, no thread and no I/O; shells have those.
//! Section numbers in comments refer to the project's hardware references.

mod acquisition_link;
pub mod bench;
#[cfg(unix)]
mod clients;
pub mod faults;
pub mod field;
mod lock_in;
pub mod mcu;
pub mod motion;
pub mod pmx;
mod random;
pub mod serve;
pub mod settings;
mod stage_link;
pub mod truth;
pub mod truth_log;
mod wire;

pub use bench::SimulatedBench;
pub use faults::FaultScript;
pub use motion::Axis;
pub use settings::{AcquisitionSettings, BenchSettings, FieldSettings, Pacing, StageSettings};
pub use truth::{Conversion, Truth};
