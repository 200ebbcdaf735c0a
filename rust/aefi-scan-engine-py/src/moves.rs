//! The stage outside flights as Python sees it.

use std::time::Duration;

use aefi_scan_engine as engine;
use engine::clock::MonotonicClock;
use engine::machine::positioner::{AxisSetup, Goal, Move, MoveEnd, Positioner};
use engine::protocol::pmx::Command;
use engine::shell::moves::{StageAccess, StageMoves as EngineMoves};
use engine::shell::{threads, virtual_time};
use engine::transport::Transport;
use engine::transport::serial::SerialTransport;
use engine::{Demand, EngineError, Link, Nanos, OpenError, Steps};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::bench_sim::SimulatedBench;
use crate::errors;
use crate::links::StageLink;
use crate::plan::axis;

/// A look at the axes takes tens of milliseconds; a silent stage is given up before.
const LOOK_PATIENCE: Duration = Duration::from_secs(5);

/// Returns how long to wait; for ever if that is infinite.
fn patience(timeout_s: f64) -> PyResult<Duration> {
    if timeout_s == f64::INFINITY {
        return Ok(Duration::MAX);
    }
    Duration::try_from_secs_f64(timeout_s).map_err(|_| {
        let words = format!("timeout_s must be 0 s or more, was {timeout_s} s");
        PyValueError::new_err(words)
    })
}

/// The port is opened at need and kept until it is released.
struct PortAccess {
    link: StageLink,
    port: Option<SerialTransport>,
}

impl StageAccess for PortAccess {
    fn run(&mut self, machine: Positioner) -> Result<Positioner, EngineError> {
        if self.port.is_none() {
            self.port = Some(self.link.open()?);
        }
        let port = self.port.as_mut().expect("opened just now");
        let (machine, _) = threads::run_to_end(
            machine,
            self.link.byte_time(),
            port,
            MonotonicClock,
            Nanos::ZERO,
        );
        Ok(machine)
    }

    fn abort(&mut self) {
        let request = self.link.config().request(Command::Abort);
        if let Some(port) = &mut self.port {
            // A link that takes no bytes leaves the target as the last stop.
            let _ = port.write_all(request.bytes());
        }
    }

    fn release(&mut self) {
        self.port = None;
    }
}

struct VirtualAccess {
    link: StageLink,
    bench: SimulatedBench,
}

impl StageAccess for VirtualAccess {
    fn run(&mut self, machine: Positioner) -> Result<Positioner, EngineError> {
        let (mut bench, now) = self.bench.lend_patiently().ok_or_else(busy)?;
        let byte_time = self.link.byte_time();
        let (machine, after) =
            virtual_time::run_to_end(machine, Link::Stage, byte_time, &mut bench, now);
        self.bench.taker()(bench, after);
        Ok(machine)
    }

    fn abort(&mut self) {}

    fn release(&mut self) {}
}

pub fn busy() -> EngineError {
    let port = "of the simulated bench".to_owned();
    let holders = Vec::new();
    OpenError::Busy { port, holders }.into()
}

#[pyclass(frozen)]
pub struct StageMoves {
    inner: EngineMoves,
}

#[pymethods]
impl StageMoves {
    /// Speeds in steps/s and ramps in ms are those of x and y.
    #[new]
    #[pyo3(signature = (link, *, speeds, start_speeds, ramps_ms, bench=None))]
    fn new(
        link: &StageLink,
        speeds: [u32; 2],
        start_speeds: [u32; 2],
        ramps_ms: [u32; 2],
        bench: Option<&SimulatedBench>,
    ) -> Self {
        let setup = [0, 1].map(|axis| AxisSetup {
            high_speed: speeds[axis],
            start_speed: start_speeds[axis],
            ramp_ms: ramps_ms[axis],
        });
        let access: Box<dyn StageAccess> = match bench {
            None => Box::new(PortAccess {
                link: link.clone(),
                port: None,
            }),
            Some(bench) => Box::new(VirtualAccess {
                link: link.clone(),
                bench: bench.clone(),
            }),
        };
        Self {
            inner: EngineMoves::new(access, link.config(), setup),
        }
    }

    /// Orders a move to a counter; false if the axis has one that did not end.
    fn move_to(&self, py: Python<'_>, axis_name: &str, target: i64, speed: u32) -> PyResult<bool> {
        let goal = Goal::To(Steps(target));
        self.order(py, axis_name, Move { goal, speed })
    }

    /// Orders the way to the home input.
    fn home(
        &self,
        py: Python<'_>,
        axis_name: &str,
        upwards: bool,
        mode: u8,
        speed: u32,
    ) -> PyResult<bool> {
        let goal = Goal::Home { upwards, mode };
        self.order(py, axis_name, Move { goal, speed })
    }

    /// Waits for the end of an axis' last move: its name, and the error of a failure.
    fn wait(
        &self,
        py: Python<'_>,
        axis_name: &str,
        timeout_s: f64,
    ) -> PyResult<Option<(&'static str, Option<PyErr>)>> {
        let (axis, patience) = (axis(axis_name)?, patience(timeout_s)?);
        let end = py.detach(|| self.inner.wait(axis, patience));
        Ok(end.map(|end| match end {
            MoveEnd::Arrived => ("arrived", None),
            MoveEnd::Stopped => ("stopped", None),
            MoveEnd::Failed(error) => ("failed", Some(errors::to_python(py, &error))),
        }))
    }

    /// Asks where the axes are, in steps; nothing moves.
    fn look(&self, py: Python<'_>) -> PyResult<(Option<i64>, Option<i64>)> {
        let looked = py.detach(|| self.inner.look(LOOK_PATIENCE));
        let [x, y] = looked.map_err(|error| errors::to_python(py, &error))?;
        Ok((x.map(|steps| steps.0), y.map(|steps| steps.0)))
    }

    #[getter]
    fn positions(&self) -> (Option<i64>, Option<i64>) {
        let [x, y] = self.inner.positions();
        (x.map(|steps| steps.0), y.map(|steps| steps.0))
    }

    fn stop(&self) {
        self.inner.stop(Demand::Stop);
    }

    fn abort(&self) {
        self.inner.stop(Demand::Abort);
    }

    /// Waits until no move is ordered or under way.
    fn wait_for_rest(&self, py: Python<'_>, timeout_s: f64) -> PyResult<bool> {
        let patience = patience(timeout_s)?;
        Ok(py.detach(|| self.inner.wait_for_rest(patience)))
    }

    /// Lets the stage go; false if it moves.
    fn release(&self, py: Python<'_>) -> bool {
        py.detach(|| self.inner.release())
    }
}

impl StageMoves {
    fn order(&self, py: Python<'_>, axis_name: &str, order: Move) -> PyResult<bool> {
        let axis = axis(axis_name)?;
        py.detach(|| self.inner.order(axis, order))
            .map_err(|error| errors::to_python(py, &error))
    }
}
