//! The simulated bench as Python sees it: in virtual time, or served on ptys.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use aefi_bench_sim as sim;
use aefi_scan_engine::Nanos;
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use sim::serve::{ServeOptions, Server};
use sim::settings::Encoder;
use sim::truth_log::TruthLog;
use sim::{BenchSettings, FaultScript, Pacing};

/// How often a serving call looks for signals.
const SLICE: Duration = Duration::from_millis(50);
/// Moves and readings outside flights take milliseconds in virtual time.
const PATIENCE: Duration = Duration::from_secs(5);

#[pyclass(frozen)]
#[derive(Clone)]
pub struct SimulatedBench {
    settings: BenchSettings,
    held: Arc<Mutex<Option<(sim::SimulatedBench, Nanos)>>>,
}

fn faults(script: &str) -> PyResult<FaultScript> {
    script
        .parse()
        .map_err(|error: sim::faults::FaultScriptError| PyValueError::new_err(error.to_string()))
}

#[pymethods]
impl SimulatedBench {
    #[new]
    #[pyo3(signature = (*, seed=0, baud_code=1, paced=true, stage_turnaround_us=1000,
                        stage_jitter_us=0, stage_tick_us=0, stage_echoes=false,
                        acquisition_baud=1_500_000, tick_us=16000, boot_ms=0,
                        start_steps=(0.0, 0.0), lag_s=0.010, noise_v=60e-6, has_object=true,
                        keep_conversions=true, encoder_pulses_per_count=0.0, script=""))]
    #[allow(clippy::too_many_arguments, clippy::fn_params_excessive_bools)] // Keywords.
    fn new(
        seed: u64,
        baud_code: u8,
        paced: bool,
        stage_turnaround_us: i64,
        stage_jitter_us: i64,
        stage_tick_us: i64,
        stage_echoes: bool,
        acquisition_baud: u32,
        tick_us: i64,
        boot_ms: i64,
        start_steps: (f64, f64),
        lag_s: f64,
        noise_v: f64,
        has_object: bool,
        keep_conversions: bool,
        encoder_pulses_per_count: f64,
        script: &str,
    ) -> PyResult<Self> {
        let pacing = |turnaround_us, jitter_us, tick_us| {
            if paced {
                Pacing::Paced {
                    turnaround: Nanos::from_micros(turnaround_us),
                    jitter: Nanos::from_micros(jitter_us),
                    latency_tick: Nanos::from_micros(tick_us),
                }
            } else {
                Pacing::Unpaced
            }
        };
        let mut settings = BenchSettings {
            seed,
            ..BenchSettings::default()
        };
        settings.stage.baud_code = baud_code;
        settings.stage.pacing = pacing(stage_turnaround_us, stage_jitter_us, stage_tick_us);
        settings.stage.start_steps[..2].copy_from_slice(&[start_steps.0, start_steps.1]);
        if encoder_pulses_per_count > 0.0 {
            settings.stage.encoder = Encoder::Wired {
                pulses_per_count: encoder_pulses_per_count,
            };
        }
        settings.stage.echoes = stage_echoes;
        settings.acquisition.baud = acquisition_baud;
        settings.acquisition.boot = Nanos::from_millis(boot_ms);
        settings.acquisition.pacing = pacing(0, 0, tick_us);
        settings.acquisition.keep_conversions = keep_conversions;
        settings.field.lag_s = lag_s;
        settings.field.noise_v = noise_v;
        if !has_object {
            settings.field.object_contrast = 0.0;
        }
        let bench =
            sim::SimulatedBench::starting_at(settings.clone(), &faults(script)?, Nanos::ZERO);
        Ok(Self {
            settings,
            held: Arc::new(Mutex::new(Some((bench, Nanos::ZERO)))),
        })
    }

    /// Writes what really happened so far, as JSON lines.
    fn write_truth(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        // An axis is told of its end shortly before its mover gives the bench back.
        py.detach(|| patiently(|| self.write_truth_now(&path)))
            .ok_or_else(|| PyOSError::new_err("the bench is in flight"))??;
        Ok(())
    }
}

/// Asks until there is an answer; none if that takes long.
fn patiently<T>(ask: impl Fn() -> Option<T>) -> Option<T> {
    for _ in 0..PATIENCE.as_millis() {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        thread::sleep(Duration::from_millis(1));
    }
    ask()
}

impl SimulatedBench {
    pub fn lend(&self) -> Option<(sim::SimulatedBench, Nanos)> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.take()
    }

    /// Lends the bench as soon as whoever has it gives it back; none if that takes long.
    pub fn lend_patiently(&self) -> Option<(sim::SimulatedBench, Nanos)> {
        patiently(|| self.lend())
    }

    /// Writes the truth while nobody has the bench; none if somebody has.
    fn write_truth_now(&self, path: &Path) -> Option<io::Result<()>> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let (bench, now) = held.as_ref()?;
        Some(TruthLog::create(path).and_then(|mut log| log.write(bench, *now)))
    }

    pub fn taker(&self) -> impl FnOnce(sim::SimulatedBench, Nanos) + Send + 'static {
        let held = Arc::clone(&self.held);
        move |bench, now| {
            *held.lock().unwrap_or_else(PoisonError::into_inner) = Some((bench, now));
        }
    }
}

#[pyclass(frozen)]
pub struct BenchServer {
    inner: Mutex<Option<Server>>,
    stage_path: PathBuf,
    acquisition_path: PathBuf,
}

#[pymethods]
impl BenchServer {
    /// Opens two ptys for a bench with the settings of `bench`.
    #[new]
    #[pyo3(signature = (bench, *, truth=None, links=None, script=""))]
    fn new(
        bench: &SimulatedBench,
        truth: Option<PathBuf>,
        links: Option<PathBuf>,
        script: &str,
    ) -> PyResult<Self> {
        let options = ServeOptions {
            truth,
            link_folder: links,
            faults: faults(script)?,
        };
        let server = Server::open(bench.settings.clone(), options)?;
        Ok(Self {
            stage_path: server.stage_path().to_owned(),
            acquisition_path: server.acquisition_path().to_owned(),
            inner: Mutex::new(Some(server)),
        })
    }

    #[getter]
    fn stage_path(&self) -> &Path {
        &self.stage_path
    }

    #[getter]
    fn acquisition_path(&self) -> &Path {
        &self.acquisition_path
    }

    /// Serves until a signal handler raises, once.
    fn run(&self, py: Python<'_>) -> PyResult<()> {
        let taken = self
            .inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let mut server = taken.ok_or_else(|| PyOSError::new_err("the bench was served already"))?;
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let worker = thread::spawn(move || server.run(&flag));
        let raised = loop {
            py.detach(|| thread::sleep(SLICE));
            if let Err(raised) = py.check_signals() {
                break Some(raised);
            }
            if worker.is_finished() {
                break None;
            }
        };
        stop.store(true, Ordering::Relaxed);
        let joined = py.detach(|| worker.join());
        match (joined, raised) {
            (_, Some(raised)) => Err(raised),
            (Ok(end), None) => Ok(end?),
            (Err(_), None) => Err(PyOSError::new_err("the simulated bench panicked")),
        }
    }
}
