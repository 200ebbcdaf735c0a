//! The one match from the engine's errors to Python's classes.

use aefi_scan_engine::{Cause, EngineError, OpenError};
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;

/// Returns the Python class that stands for `error`.
fn class(error: &EngineError) -> &'static str {
    match error {
        EngineError::Open(OpenError::Busy { .. }) => "PortBusyError",
        EngineError::Plan(_) => "InvalidScanSpecError",
        EngineError::Device(cause) => match cause {
            Cause::Requested { .. } => "ScanAbortedError",
            Cause::Silent { .. } => "DeviceTimeoutError",
            Cause::Protocol { .. } | Cause::Setting { .. } => "DeviceProtocolError",
            cause if cause.is_foreign_motion() => "MotionFaultError",
            Cause::Encoder { .. } | Cause::Unstoppable { .. } => "MotionFaultError",
            Cause::LinkLost { .. } | Cause::Identity { .. } => "DeviceUnavailableError",
            Cause::Spool(_) => "DataLossError",
            _ => "ScanPortError",
        },
        EngineError::Spool(_) => "StorageError",
        // A missing or refused port, and what a later engine may add.
        _ => "DeviceUnavailableError",
    }
}

/// Returns the Python exception for `error`.
pub fn to_python(py: Python<'_>, error: &EngineError) -> PyErr {
    match error {
        EngineError::Thread { .. } => PyOSError::new_err(error.to_string()),
        _ => named(py, class(error), &error.to_string()),
    }
}

/// Returns an exception of the class called `name` in `aefi_bluesky.domain.errors`.
pub fn named(py: Python<'_>, name: &str, message: &str) -> PyErr {
    let class = py
        .import("aefi_bluesky.domain.errors")
        .and_then(|module| module.getattr(name))
        .and_then(|class| class.call1((message,)));
    match class {
        Ok(error) => PyErr::from_value(error),
        Err(error) => error,
    }
}
