//! `FlightPlan` as Python sees it.

use std::sync::Arc;

use aefi_scan_engine as engine;
use engine::protocol::mcu::Averaging;
use engine::{Axis, EngineError, Line, Nanos, RegisterWrite, Steps, Trigger};
use numpy::{PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

#[pyclass(frozen)]
pub struct FlightPlan {
    pub inner: Arc<engine::FlightPlan>,
}

pub fn axis(name: &str) -> PyResult<Axis> {
    match name {
        "x" => Ok(Axis::X),
        "y" => Ok(Axis::Y),
        _ => Err(PyValueError::new_err(format!(
            "axis must be 'x' or 'y', was '{name}'"
        ))),
    }
}

/// More frames than that are no line of any bench.
const MOST_FRAMES: usize = 1_000_000;

/// Its number is a period in ns, steps for each encoder count, or an output; a number
/// that is none of these is refused with the plan.
fn source(name: &str, number: f64) -> PyResult<Trigger> {
    match name {
        "free-running" => Ok(Trigger::FreeRunning),
        "periodic" => Ok(Trigger::Periodic(Nanos(number as i64))),
        "positions" => Ok(Trigger::Positions),
        "sync-output" => Ok(Trigger::SyncOutput {
            pulses_per_count: number,
        }),
        "digital-output" => Ok(Trigger::DigitalOutput {
            output: number as u8,
        }),
        "latch" => Ok(Trigger::Latch),
        _ => Err(PyValueError::new_err(format!(
            "trigger must be 'free-running', 'periodic', 'positions', 'sync-output', \
             'digital-output' or 'latch', was '{name}'"
        ))),
    }
}

pub fn registers(writes: Vec<(u16, u16)>) -> Vec<RegisterWrite> {
    writes
        .into_iter()
        .map(|(address, value)| RegisterWrite { address, value })
        .collect()
}

/// Stations: slow, start, end, frames and whether the excitation is off, of each line;
/// windows: both edges.
fn lines(
    stations: &PyReadonlyArray2<'_, i64>,
    windows: &PyReadonlyArray2<'_, f64>,
) -> PyResult<Vec<Line>> {
    let (stations, windows) = (stations.as_array(), windows.as_array());
    if stations.nrows() != windows.nrows() {
        return Err(PyValueError::new_err(format!(
            "each line needs its stations and its window, there were {} rows of stations \
             and {} of windows",
            stations.nrows(),
            windows.nrows()
        )));
    }
    let mut first_frame = 0;
    let both = stations.rows().into_iter().zip(windows.rows());
    both.enumerate()
        .map(|(number, (station, window))| {
            let frames = usize::try_from(station[3]).ok();
            let frames = frames.filter(|frames| (1..=MOST_FRAMES).contains(frames));
            let line = Line {
                slow: Steps(station[0]),
                start: Steps(station[1]),
                window_start: window[0],
                window_stop: window[1],
                end: Steps(station[2]),
                first_frame,
                frames: frames.ok_or_else(|| {
                    PyValueError::new_err(format!(
                        "line {number}: frames must be 1 to {MOST_FRAMES}, was {}",
                        station[3]
                    ))
                })?,
                muted: station[4] != 0,
            };
            first_frame += line.frames;
            Ok(line)
        })
        .collect()
}

#[pymethods]
impl FlightPlan {
    #[new]
    #[pyo3(signature = (*, fast_axis, speed, positioning_speed, start_speed, ramp_ms,
                        stations, windows, averaging, min_readings, extra_passes, lag_ns, trigger,
                        excitation, excitation_off))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        fast_axis: &str,
        speed: u32,
        positioning_speed: u32,
        start_speed: u32,
        ramp_ms: u32,
        stations: PyReadonlyArray2<'_, i64>,
        windows: PyReadonlyArray2<'_, f64>,
        averaging: u8,
        min_readings: u32,
        extra_passes: u32,
        lag_ns: i64,
        trigger: (String, f64),
        excitation: Vec<(u16, u16)>,
        excitation_off: Vec<(u16, u16)>,
    ) -> PyResult<Self> {
        for (name, found, expected) in [
            ("stations", stations.shape()[1], 5),
            ("windows", windows.shape()[1], 2),
        ] {
            if found != expected {
                return Err(PyValueError::new_err(format!(
                    "{name} must have {expected} columns, had {found}"
                )));
            }
        }
        let averaging = Averaging::new(averaging).ok_or_else(|| {
            PyValueError::new_err(format!("averaging must be 1 to 127, was {averaging}"))
        })?;
        let plan = engine::FlightPlan {
            fast: axis(fast_axis)?,
            speed,
            positioning_speed,
            start_speed,
            ramp_ms,
            lines: lines(&stations, &windows)?,
            averaging,
            min_readings,
            extra_passes,
            lag: Nanos(lag_ns),
            trigger: source(&trigger.0, trigger.1)?,
            excitation: registers(excitation),
            excitation_off: registers(excitation_off),
        };
        let checked = plan
            .checked()
            .map_err(|error| crate::errors::to_python(py, &EngineError::from(error)))?;
        Ok(Self {
            inner: Arc::new(checked),
        })
    }

    #[getter]
    fn frames(&self) -> usize {
        self.inner.frames()
    }
}
