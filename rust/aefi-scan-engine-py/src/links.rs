//! Both links of a bench, and what is asked of the stage's alone, as Python sees them.

use std::collections::BTreeMap;

use aefi_scan_engine as engine;
use engine::clock::MonotonicClock;
use engine::conversation::LinkHealth;
use engine::machine::errand::Errand;
use engine::machine::poll::Polling;
use engine::shell;
use engine::transport::serial::{Opening, SerialSettings, SerialTransport};
use engine::{EngineError, Link, Nanos, OpenError};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::bench_sim::SimulatedBench;
use crate::errors;
use crate::flight::link_times;

/// Nobody measures a link for longer.
const LONGEST_POLL_S: f64 = 3600.0;

/// Eight data bits, a start and a stop bit.
fn byte_time(baud: u32, paced: bool) -> Nanos {
    Nanos(if paced {
        10_000_000_000 / i64::from(baud.max(1))
    } else {
        0
    })
}

/// Refuses a port that a program has open.
#[pyfunction]
pub fn require_free(py: Python<'_>, port: &str) -> PyResult<()> {
    py.detach(|| OpenError::if_held(port))
        .map_err(|error| errors::to_python(py, &error.into()))
}

#[pyclass(frozen, get_all, from_py_object)]
#[derive(Clone, Default)]
pub struct PortOpening {
    dtr: Option<bool>,
    rts: Option<bool>,
    delay_ms: i64,
}

#[pymethods]
impl PortOpening {
    #[new]
    #[pyo3(signature = (*, dtr=None, rts=None, delay_ms=0))]
    fn new(dtr: Option<bool>, rts: Option<bool>, delay_ms: i64) -> Self {
        Self { dtr, rts, delay_ms }
    }
}

impl PortOpening {
    fn engine(&self) -> Opening {
        Opening {
            dtr: self.dtr,
            rts: self.rts,
            delay: Nanos::from_millis(self.delay_ms),
        }
    }
}

#[pyclass(frozen, get_all)]
#[derive(Clone)]
pub struct StageLink {
    port: String,
    baud: u32,
    paced: bool,
    name: String,
    address: u8,
    reply_allowance_ms: i64,
    reply_delay_us: i64,
    status_period_ms: i64,
    host_watch_ms: u32,
    opening: PortOpening,
}

#[pymethods]
impl StageLink {
    #[new]
    #[pyo3(signature = (*, port, baud, paced, name, address, reply_allowance_ms,
                        reply_delay_us, status_period_ms, host_watch_ms,
                        opening=PortOpening::default()))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        port: String,
        baud: u32,
        paced: bool,
        name: String,
        address: u8,
        reply_allowance_ms: i64,
        reply_delay_us: i64,
        status_period_ms: i64,
        host_watch_ms: u32,
        opening: PortOpening,
    ) -> Self {
        Self {
            port,
            baud,
            paced,
            name,
            address,
            reply_allowance_ms,
            reply_delay_us,
            status_period_ms,
            host_watch_ms,
            opening,
        }
    }

    /// Lets the stage forget latched limit and alarm errors.
    fn clear_errors(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| {
            let errand = Errand::clear_errors(self.config());
            let byte_time = self.byte_time();
            let (errand, _) = shell::threads::run_to_end(
                errand,
                byte_time,
                self.open()?,
                MonotonicClock,
                Nanos::ZERO,
            );
            Ok(errand.into_outcome()?)
        })
        .map_err(|error: EngineError| errors::to_python(py, &error))
    }

    /// Asks for the position of x, back to back, for a while.
    #[pyo3(signature = (duration_s, spin_us=0))]
    fn poll(
        &self,
        py: Python<'_>,
        duration_s: f64,
        spin_us: i64,
    ) -> PyResult<BTreeMap<String, i64>> {
        let polling = self.polling(duration_s)?;
        let asked = py.detach(|| {
            let port = self.open()?;
            Ok(shell::threads::run_to_end(
                polling,
                self.byte_time(),
                port,
                MonotonicClock,
                Nanos::from_micros(spin_us),
            ))
        });
        let (polling, health) =
            asked.map_err(|error: EngineError| errors::to_python(py, &error))?;
        Ok(polled(&polling, &health))
    }

    /// As `poll`, on a simulated bench in virtual time.
    fn poll_virtual(
        &self,
        py: Python<'_>,
        bench: &SimulatedBench,
        duration_s: f64,
    ) -> PyResult<BTreeMap<String, i64>> {
        let polling = self.polling(duration_s)?;
        let (mut inner, now) = bench
            .lend()
            .ok_or_else(|| errors::named(py, "PortBusyError", "the bench is in flight"))?;
        let byte_time = self.byte_time();
        let link = Link::Stage;
        let talk = py.detach(|| {
            let (talk, after) =
                shell::virtual_time::converse_to_end(polling, link, byte_time, &mut inner, now);
            bench.taker()(inner, after);
            talk
        });
        let (polling, health) = talk.into_parts();
        Ok(polled(&polling, &health))
    }

    /// As `clear_errors`, on a simulated bench in virtual time.
    fn clear_errors_virtual(&self, py: Python<'_>, bench: &SimulatedBench) -> PyResult<()> {
        let (mut inner, now) = bench
            .lend()
            .ok_or_else(|| errors::named(py, "PortBusyError", "the bench is in flight"))?;
        let errand = Errand::clear_errors(self.config());
        let byte_time = self.byte_time();
        let errand = py.detach(|| {
            let (errand, after) =
                shell::virtual_time::run_to_end(errand, Link::Stage, byte_time, &mut inner, now);
            bench.taker()(inner, after);
            errand
        });
        errand
            .into_outcome()
            .map_err(|cause| errors::to_python(py, &EngineError::from(cause)))
    }
}

fn polled(polling: &Polling, health: &LinkHealth) -> BTreeMap<String, i64> {
    let counts = [
        ("fixes", polling.fixes() as i64),
        ("elapsed", polling.elapsed().0),
        ("timeouts", health.timeouts as i64),
    ];
    let named = counts.map(|(name, count)| (format!("stage_{name}"), count));
    link_times("stage", health).chain(named).collect()
}

impl StageLink {
    fn polling(&self, duration_s: f64) -> PyResult<Polling> {
        if !(0.0..=LONGEST_POLL_S).contains(&duration_s) {
            return Err(PyValueError::new_err(format!(
                "duration_s must be 0 to {LONGEST_POLL_S} s, was {duration_s} s"
            )));
        }
        let span = Nanos::from_secs_f64(duration_s);
        Ok(Polling::new(self.config(), engine::Axis::X, span))
    }

    pub fn byte_time(&self) -> Nanos {
        byte_time(self.baud, self.paced)
    }

    pub fn config(&self) -> engine::StageConfig {
        engine::StageConfig {
            name: self.name.clone(),
            address: self.address,
            byte_time: self.byte_time(),
            allowance: Nanos::from_millis(self.reply_allowance_ms),
            reply_delay: Nanos::from_micros(self.reply_delay_us),
            status_period: Nanos::from_millis(self.status_period_ms),
            host_watch_ms: self.host_watch_ms,
        }
    }

    pub fn open(&self) -> Result<SerialTransport, EngineError> {
        Ok(SerialTransport::open(&SerialSettings {
            port: self.port.clone(),
            baud: self.baud,
            opening: self.opening.engine(),
        })?)
    }
}

#[pyclass(frozen, get_all)]
#[derive(Clone)]
pub struct DetectorLink {
    port: String,
    baud: u32,
    paced: bool,
    reply_allowance_ms: i64,
    conversion_ns: i64,
    opening: PortOpening,
}

#[pymethods]
impl DetectorLink {
    #[new]
    #[pyo3(signature = (*, port, baud, paced, reply_allowance_ms, conversion_ns,
                        opening=PortOpening::default()))]
    fn new(
        port: String,
        baud: u32,
        paced: bool,
        reply_allowance_ms: i64,
        conversion_ns: i64,
        opening: PortOpening,
    ) -> Self {
        Self {
            port,
            baud,
            paced,
            reply_allowance_ms,
            conversion_ns,
            opening,
        }
    }
}

impl DetectorLink {
    pub fn byte_time(&self) -> Nanos {
        byte_time(self.baud, self.paced)
    }

    pub fn config(&self) -> engine::DetectorConfig {
        engine::DetectorConfig {
            byte_time: self.byte_time(),
            allowance: Nanos::from_millis(self.reply_allowance_ms),
            conversion: Nanos(self.conversion_ns),
        }
    }

    pub fn open(&self) -> Result<SerialTransport, EngineError> {
        Ok(SerialTransport::open(&SerialSettings {
            port: self.port.clone(),
            baud: self.baud,
            opening: self.opening.engine(),
        })?)
    }
}
