//! The acquisition outside flights as Python sees it.

use std::sync::{Mutex, PoisonError};

use aefi_scan_engine as engine;
use engine::clock::MonotonicClock;
use engine::machine::sampling::Sampling;
use engine::protocol::mcu::Averaging;
use engine::records::Reading;
use engine::shell::{threads, virtual_time};
use engine::transport::serial::SerialTransport;
use engine::{EngineError, Link, Nanos};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::bench_sim::SimulatedBench;
use crate::errors;
use crate::links::DetectorLink;
use crate::moves::busy;
use crate::plan::registers;

/// The port is opened at need and kept until it is released.
#[pyclass(frozen)]
pub struct Sampler {
    link: DetectorLink,
    bench: Option<SimulatedBench>,
    port: Mutex<Option<SerialTransport>>,
}

/// Start and end of the exchange in ns of the bench's clock, and the codes.
type Sample = (i64, i64, [i32; 8]);

#[pymethods]
impl Sampler {
    #[new]
    #[pyo3(signature = (link, *, bench=None))]
    fn new(link: &DetectorLink, bench: Option<&SimulatedBench>) -> Self {
        Self {
            link: link.clone(),
            bench: bench.cloned(),
            port: Mutex::new(None),
        }
    }

    /// Writes registers, then takes readings, one after the other.
    #[pyo3(signature = (*, writes, averaging=1, readings=0))]
    fn run(
        &self,
        py: Python<'_>,
        writes: Vec<(u16, u16)>,
        averaging: u8,
        readings: usize,
    ) -> PyResult<Vec<Sample>> {
        let averaging = Averaging::new(averaging).ok_or_else(|| {
            PyValueError::new_err(format!("averaging must be 1 to 127, was {averaging}"))
        })?;
        let writes = registers(writes);
        let sampling = Sampling::new(self.link.config(), writes, averaging, readings);
        let taken = py.detach(|| self.take(sampling));
        let taken = taken.map_err(|error| errors::to_python(py, &error))?;
        let plain = |each: Reading| (each.sent.0, each.received.0, each.codes);
        Ok(taken.into_iter().map(plain).collect())
    }

    /// Writes the registers that take the excitation away, whatever the link does.
    #[pyo3(signature = (writes))]
    fn switch_off(&self, py: Python<'_>, writes: Vec<(u16, u16)>) -> PyResult<()> {
        let sampling = Sampling::switching_off(self.link.config(), registers(writes));
        let taken = py.detach(|| self.take(sampling));
        taken
            .map(|_| ())
            .map_err(|error| errors::to_python(py, &error))
    }

    /// Lets the acquisition go; others may have it.
    fn release(&self, py: Python<'_>) {
        py.detach(|| *self.port.lock().unwrap_or_else(PoisonError::into_inner) = None);
    }
}

impl Sampler {
    fn take(&self, sampling: Sampling) -> Result<Vec<Reading>, EngineError> {
        // One at a time, on ptys and in virtual time alike.
        let mut port = self.port.lock().unwrap_or_else(PoisonError::into_inner);
        let byte_time = self.link.byte_time();
        let sampled = if let Some(bench) = &self.bench {
            let (mut inner, now) = bench.lend_patiently().ok_or_else(busy)?;
            let link = Link::Acquisition;
            let (sampling, after) =
                virtual_time::run_to_end(sampling, link, byte_time, &mut inner, now);
            bench.taker()(inner, after);
            sampling
        } else {
            if port.is_none() {
                *port = Some(self.link.open()?);
            }
            let open = port.as_mut().expect("opened just now");
            threads::run_to_end(sampling, byte_time, open, MonotonicClock, Nanos::ZERO).0
        };
        let readings = sampled.into_readings();
        if readings.is_err() {
            *port = None;
        }
        Ok(readings?)
    }
}
