//! What stops flights on signals while the interpreter is held.

use aefi_scan_engine as engine;
use engine::shell::signal_stop;
use engine::signals::SignalRules;
use pyo3::prelude::*;

use crate::flight::Flight;

#[pyclass(frozen)]
#[derive(Default)]
pub struct SignalStop {
    inner: signal_stop::SignalStop,
}

#[pymethods]
impl SignalStop {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    fn watch(&self, py: Python<'_>, flight: &Flight) {
        flight.with(py, |flight| self.inner.watch(flight));
    }

    #[getter]
    fn is_holding(&self) -> bool {
        self.inner.is_holding()
    }

    #[pyo3(signature = (*, at_once, on_second))]
    fn listen(&self, at_once: Vec<u8>, on_second: Vec<u8>) -> PyResult<SignalLine> {
        let rules = SignalRules { at_once, on_second };
        let inner = self.inner.listen(rules)?;
        Ok(SignalLine { inner })
    }
}

#[pyclass(frozen)]
pub struct SignalLine {
    inner: signal_stop::SignalLine,
}

#[pymethods]
impl SignalLine {
    #[getter]
    fn descriptor(&self) -> i32 {
        self.inner.descriptor()
    }

    fn hear(&self, py: Python<'_>) -> Option<u8> {
        py.detach(|| self.inner.hear())
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.inner.close());
    }
}
