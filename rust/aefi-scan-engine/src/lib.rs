//! Flies a stage over an object and keeps the truth about every frame.
//!
//! The logic is pure: [`conversation`] pairs requests and replies on a link,
//! [`machine`] knows what the stage and the detector do next, [`trigger`] when a reading
//! is due, [`correlator`] gives
//! readings their place and keeps the ledger, [`spool`] is what of it survives the
//! host. Two thin shells drive it: threads on
//! real ports, and an event queue in virtual time ([`shell`]).

pub mod clock;
pub mod controls;
pub mod conversation;
pub mod correlator;
pub mod error;
pub mod estimator;
pub mod flight_plan;
pub mod health;
pub mod ledger;
pub mod machine;
pub mod outcome;
pub mod protocol;
pub mod realtime;
pub mod records;
pub mod ring;
pub mod shell;
pub mod signals;
pub mod spool;
mod sync;
pub mod transport;
pub mod trigger;
pub mod units;
pub mod virtual_bench;

pub use controls::Demand;
pub use error::{Cause, EngineError, OpenError, PlanError};
pub use flight_plan::{FlightPlan, Line, RegisterWrite, Trigger};
pub use ledger::FrameState;
pub use machine::controller::StageConfig;
pub use machine::detector::DetectorConfig;
pub use outcome::{FlightState, Outcome};
pub use shell::{Flight, Products};
pub use units::{Axis, Nanos, Steps};
pub use virtual_bench::{Link, VirtualBench};
