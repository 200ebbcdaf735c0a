//! Python binding of the scan engine and the simulated bench: converts and delegates.
#![allow(missing_docs, missing_debug_implementations)]
// Python hands over owned values; a reference would only move the copy.
#![allow(clippy::needless_pass_by_value)]

mod bench_sim;
mod columns;
mod errors;
mod flight;
mod links;
mod measure;
mod moves;
mod plan;
mod sampler;
mod signal_stop;
mod spool;

use pyo3::prelude::*;

#[pymodule]
mod _native {
    #[pymodule_export]
    use crate::bench_sim::{BenchServer, SimulatedBench};
    #[pymodule_export]
    use crate::flight::{Flight, FlightEnd, Realtime};
    #[pymodule_export]
    use crate::links::{DetectorLink, PortOpening, StageLink, require_free};
    #[pymodule_export]
    use crate::measure::sample_path;
    #[pymodule_export]
    use crate::moves::StageMoves;
    #[pymodule_export]
    use crate::plan::FlightPlan;
    #[pymodule_export]
    use crate::sampler::Sampler;
    #[pymodule_export]
    use crate::signal_stop::{SignalLine, SignalStop};
    #[pymodule_export]
    use crate::spool::read_spool;
}
