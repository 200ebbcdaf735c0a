//! What a spool holds, as Python sees it.

use std::fs::{File, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use aefi_scan_engine as engine;
use engine::records::Product;
use engine::spool::{Contents, FormatError, Record, decode};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::columns;
use crate::flight::state_name;

/// Reads a spool; tells whether its writer holds it.
fn read(path: &Path) -> io::Result<(bool, Result<Contents, FormatError>)> {
    let mut file = File::open(path)?;
    let growing = matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok((growing, decode(&bytes)))
}

#[pyfunction]
pub fn read_spool(py: Python<'_>, path: PathBuf) -> PyResult<Bound<'_, PyDict>> {
    let (growing, decoded) = py.detach(|| read(&path))?;
    let refused = |error| PyValueError::new_err(format!("{} is no spool: {error}", path.display()));
    let contents = decoded.map_err(refused)?;
    let (mut fixes, mut readings) = (Vec::new(), Vec::new());
    let (mut frames, mut lines, mut end) = (Vec::new(), Vec::new(), None);
    for record in contents.records {
        match record {
            Record::Product(Product::Fix(fix)) => fixes.push(fix),
            Record::Product(Product::Reading(reading)) => readings.push(reading),
            Record::Product(Product::Frame(frame)) => frames.push(frame),
            Record::Product(Product::Line(line)) => lines.push(line),
            Record::End(last) => end = Some(last),
        }
    }
    let header = contents.header;
    let spool = PyDict::new(py);
    spool.set_item("fixes", columns::fixes(py, &fixes, header.began)?)?;
    spool.set_item("readings", columns::readings(py, &readings, header.began)?)?;
    spool.set_item("frames", columns::frames(py, &frames, header.began)?)?;
    spool.set_item("lines", columns::lines(py, &lines, header.began)?)?;
    spool.set_item("note", header.note)?;
    spool.set_item("began_ns", header.began.0)?;
    let began_utc = header.anchor_utc + (header.began - header.anchor);
    spool.set_item("began_utc_ns", began_utc.0)?;
    spool.set_item("torn_bytes", contents.torn)?;
    spool.set_item("is_growing", growing)?;
    spool.set_item("state", end.as_ref().map(|end| state_name(end.state)))?;
    spool.set_item("cause", end.map(|end| end.cause))?;
    Ok(spool)
}
