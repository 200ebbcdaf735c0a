//! `Flight` as Python sees it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

use aefi_scan_engine as engine;
use engine::clock::MonotonicClock;
use engine::conversation::LinkHealth;
use engine::health::Summary;
use engine::realtime::SettingReport;
use engine::ring::Loss;
use engine::shell::{self, FlightSetup};
use engine::spool::SpoolTarget;
use engine::{Demand, EngineError, FlightState, FrameState, Nanos};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::bench_sim::SimulatedBench;
use crate::links::{DetectorLink, StageLink};
use crate::plan::FlightPlan;
use crate::{columns, errors};

#[pyclass(frozen, get_all)]
pub struct Realtime {
    timer_slack: bool,
    fifo_priority: Option<u8>,
    lock_memory: bool,
    low_latency: bool,
    spin_us: i64,
}

#[pymethods]
impl Realtime {
    #[new]
    #[pyo3(signature = (*, timer_slack, fifo_priority, lock_memory, low_latency, spin_us))]
    fn new(
        timer_slack: bool,
        fifo_priority: Option<u8>,
        lock_memory: bool,
        low_latency: bool,
        spin_us: i64,
    ) -> Self {
        Self {
            timer_slack,
            fifo_priority,
            lock_memory,
            low_latency,
            spin_us,
        }
    }
}

impl Realtime {
    fn settings(&self) -> engine::realtime::Realtime {
        engine::realtime::Realtime {
            timer_slack: self.timer_slack,
            fifo_priority: self.fifo_priority,
            lock_memory: self.lock_memory,
            low_latency: self.low_latency,
            spin: Nanos::from_micros(self.spin_us),
        }
    }
}

fn setup(
    plan: &FlightPlan,
    stage: &StageLink,
    detector: &DetectorLink,
    realtime: Option<&Realtime>,
    spool: Option<PathBuf>,
    note: &str,
) -> FlightSetup {
    FlightSetup {
        plan: plan.inner.clone(),
        stage: stage.config(),
        detector: detector.config(),
        spool: spool.map(|path| SpoolTarget {
            path,
            note: note.to_owned(),
        }),
        realtime: realtime.map(Realtime::settings).unwrap_or_default(),
    }
}

pub fn state_name(state: FlightState) -> &'static str {
    match state {
        FlightState::Preparing => "preparing",
        FlightState::Flying => "flying",
        FlightState::Pausing => "pausing",
        FlightState::Paused => "paused",
        FlightState::Completed => "completed",
        FlightState::Stopped => "stopped",
        FlightState::Aborted => "aborted",
        FlightState::Failed => "failed",
    }
}

#[pyclass(frozen, get_all)]
pub struct FlightEnd {
    state: &'static str,
    cause: String,
    error: Option<Py<PyAny>>,
    stops: (u32, u32, u32),
    position_suspect: bool,
    totals: Vec<u64>,
    began_ns: i64,
    ended_ns: i64,
    excitation_off: bool,
    timeouts: u64,
    misunderstood: u64,
    stray_bytes: u64,
    echoed_bytes: u64,
    times_ns: BTreeMap<String, i64>,
    lost: Vec<(u64, u64, u64)>,
    latch: Option<(f64, f64)>,
    spool_error: Option<String>,
    spool_records: u64,
    realtime: Vec<(String, String, String, bool)>,
}

pub fn link_times(link: &str, health: &LinkHealth) -> impl Iterator<Item = (String, i64)> {
    let busy = (format!("{link}_busy"), health.busy.0);
    quantiles(format!("{link}_round_trip"), &health.round_trip)
        .into_iter()
        .chain(quantiles(format!("{link}_period"), &health.period))
        .chain(quantiles(format!("{link}_own"), &health.own))
        .chain([busy])
}

/// How many were lost, the first and the last of them in the order of production.
fn span(loss: Loss) -> (u64, u64, u64) {
    (loss.count, loss.first, loss.last)
}

fn quantiles(what: impl std::fmt::Display, found: &Summary) -> [(String, i64); 4] {
    [
        ("p50", found.p50),
        ("p99", found.p99),
        ("p999", found.p999),
        ("max", found.max),
    ]
    .map(|(quantile, span)| (format!("{what}_{quantile}"), span.0))
}

/// Name, what was asked, what became of it, and whether somebody asked in vain.
fn setting(report: &SettingReport) -> (String, String, String, bool) {
    (
        report.name.clone(),
        report.asked.clone(),
        report.outcome.to_string(),
        report.is_in_vain(),
    )
}

impl FlightEnd {
    fn new(py: Python<'_>, end: &shell::FlightEnd) -> Self {
        let cause = end.outcome.cause.clone();
        let links = [end.stage_link, end.detector_link];
        Self {
            state: state_name(end.outcome.state),
            cause: cause.as_ref().map(ToString::to_string).unwrap_or_default(),
            error: cause.map(|cause| {
                errors::to_python(py, &EngineError::from(cause))
                    .into_value(py)
                    .into_any()
            }),
            stops: (end.stops.stops, end.stops.aborts, end.stops.drives_off),
            position_suspect: end.is_position_suspect(),
            totals: end.totals.to_vec(),
            began_ns: end.began.0,
            ended_ns: end.ended.0,
            excitation_off: end.excitation_off,
            timeouts: links.iter().map(|link| link.timeouts).sum(),
            misunderstood: links.iter().map(|link| link.misunderstood).sum(),
            stray_bytes: links.iter().map(|link| link.stray_bytes).sum(),
            echoed_bytes: links.iter().map(|link| link.echoed_bytes).sum(),
            times_ns: link_times("stage", &end.stage_link)
                .chain(link_times("detector", &end.detector_link))
                .chain(quantiles("reading_late", &end.lateness))
                .collect(),
            lost: end.unseen.map(span).to_vec(),
            latch: end.latch.map(|found| (found.value, found.error)),
            spool_error: end.spool.error.as_ref().map(ToString::to_string),
            spool_records: end.spool.records,
            realtime: end.realtime.iter().map(setting).collect(),
        }
    }
}

#[pyclass(frozen)]
pub struct Flight {
    /// Nothing only while it is dropped.
    inner: Mutex<Option<shell::Flight>>,
    #[pyo3(get)]
    spool: Option<PathBuf>,
}

impl Flight {
    fn new(flight: shell::Flight, setup: FlightSetup) -> Self {
        Self {
            inner: Mutex::new(Some(flight)),
            spool: setup.spool.map(|spool| spool.path),
        }
    }

    pub fn with<R>(&self, py: Python<'_>, work: impl FnOnce(&mut shell::Flight) -> R + Send) -> R
    where
        R: Send,
    {
        py.detach(|| {
            let mut flight = self
                .inner
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            work(
                flight
                    .as_mut()
                    .expect("a flight is there until it is dropped"),
            )
        })
    }
}

/// The end of a flight waits for the stage to rest, and others may run meanwhile.
impl Drop for Flight {
    fn drop(&mut self) {
        let flight = self.inner.get_mut();
        let mut flight = flight
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .take();
        // Without an interpreter there is nobody to be kept waiting.
        let _ = Python::try_attach(|py| py.detach(|| drop(flight.take())));
    }
}

#[pymethods]
impl Flight {
    #[staticmethod]
    #[pyo3(signature = (plan, stage, detector, *, realtime=None, spool=None,
                        spool_note=""))]
    fn start(
        py: Python<'_>,
        plan: &FlightPlan,
        stage: &StageLink,
        detector: &DetectorLink,
        realtime: Option<&Realtime>,
        spool: Option<PathBuf>,
        spool_note: &str,
    ) -> PyResult<Self> {
        let setup = setup(plan, stage, detector, realtime, spool, spool_note);
        let started = py.detach(|| {
            let (stage, detector) = (stage.open()?, detector.open()?);
            shell::threads::start(&setup, stage, detector, MonotonicClock)
        });
        started
            .map(|flight| Self::new(flight, setup))
            .map_err(|error| errors::to_python(py, &error))
    }

    #[staticmethod]
    #[allow(clippy::too_many_arguments)] // They are keywords in Python.
    #[pyo3(signature = (plan, stage, detector, bench, *, realtime=None, spool=None,
                        spool_note=""))]
    fn start_virtual(
        py: Python<'_>,
        plan: &FlightPlan,
        stage: &StageLink,
        detector: &DetectorLink,
        bench: &SimulatedBench,
        realtime: Option<&Realtime>,
        spool: Option<PathBuf>,
        spool_note: &str,
    ) -> PyResult<Self> {
        let (inner, now) = bench
            .lend()
            .ok_or_else(|| errors::named(py, "PortBusyError", "the bench is in flight"))?;
        let setup = setup(plan, stage, detector, realtime, spool, spool_note);
        let taker = bench.taker();
        py.detach(|| shell::virtual_time::start(&setup, inner, now, taker))
            .map(|flight| Self::new(flight, setup))
            .map_err(|error| errors::to_python(py, &error))
    }

    fn pause(&self, py: Python<'_>) {
        self.with(py, |flight| flight.demand(Demand::Pause));
    }

    fn resume(&self, py: Python<'_>) -> bool {
        self.with(py, |flight| flight.resume())
    }

    fn stop(&self, py: Python<'_>) {
        self.with(py, |flight| flight.demand(Demand::Stop));
    }

    fn abort(&self, py: Python<'_>) {
        self.with(py, |flight| flight.demand(Demand::Abort));
    }

    #[getter]
    fn state(&self, py: Python<'_>) -> &'static str {
        state_name(self.with(py, |flight| flight.state()))
    }

    #[getter]
    fn done(&self, py: Python<'_>) -> (usize, usize) {
        self.with(py, |flight| flight.done())
    }

    #[getter]
    fn positions(&self, py: Python<'_>) -> (f64, f64) {
        let [x, y] = self.with(py, |flight| flight.positions());
        (x.unwrap_or(f64::NAN), y.unwrap_or(f64::NAN))
    }

    #[getter]
    fn began_ns(&self, py: Python<'_>) -> i64 {
        self.with(py, |flight| flight.began()).0
    }

    #[getter]
    fn now_ns(&self, py: Python<'_>) -> i64 {
        self.with(py, |flight| flight.now()).0
    }

    fn end(&self, py: Python<'_>) -> Option<FlightEnd> {
        let end = self.with(py, |flight| flight.end().cloned());
        end.map(|end| FlightEnd::new(py, &end))
    }

    /// Takes all products that wait; a line is never handed out before its frames.
    fn drain<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (zero, lines, frames, readings, fixes) = self.with(py, |flight| {
            let zero = flight.began();
            let products = flight.products();
            let lines = columns::drain(&mut products.lines);
            let frames = columns::drain(&mut products.frames);
            let readings = columns::drain(&mut products.readings);
            (
                zero,
                lines,
                frames,
                readings,
                columns::drain(&mut products.fixes),
            )
        });
        let tables = PyDict::new(py);
        tables.set_item("fixes", columns::fixes(py, &fixes, zero)?)?;
        tables.set_item("readings", columns::readings(py, &readings, zero)?)?;
        tables.set_item("frames", columns::frames(py, &frames, zero)?)?;
        tables.set_item("lines", columns::lines(py, &lines, zero)?)?;
        Ok(tables)
    }

    /// Records that found no room, by kind: how many, the first and the last of them.
    fn lost(&self, py: Python<'_>) -> BTreeMap<&'static str, (u64, u64, u64)> {
        let losses = self.with(py, |flight| {
            let products = flight.products();
            [
                ("fixes", products.fixes.loss()),
                ("readings", products.readings.loss()),
                ("frames", products.frames.loss()),
                ("lines", products.lines.loss()),
            ]
        });
        losses.map(|(kind, loss)| (kind, span(loss))).into()
    }

    #[classattr]
    fn frame_states() -> Vec<&'static str> {
        FrameState::ALL
            .iter()
            .map(|state| match state {
                FrameState::Ok => "ok",
                FrameState::Late => "late",
                FrameState::Missed => "missed",
                FrameState::Duplicate => "duplicate",
                FrameState::OutOfWindow => "out-of-window",
                FrameState::Aborted => "aborted",
                FrameState::NotReached => "not-reached",
            })
            .collect()
    }
}
