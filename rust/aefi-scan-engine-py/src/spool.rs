//! What a spool holds, as Python sees it.

use std::fs::{File, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use aefi_scan_engine as engine;
use engine::records::{EndedFrame, EndedLine, Fix, PlacedReading, Product};
use engine::spool::{FormatError, Header, Record, RecordedEnd, decode_each};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::columns;
use crate::flight::state_name;

/// The records of a spool by their kind.
#[derive(Default)]
struct Found {
    fixes: Vec<Fix>,
    readings: Vec<PlacedReading>,
    frames: Vec<EndedFrame>,
    lines: Vec<EndedLine>,
    end: Option<RecordedEnd>,
}

impl Found {
    fn take(&mut self, record: Record) {
        match record {
            Record::Product(Product::Fix(fix)) => self.fixes.push(fix),
            Record::Product(Product::Reading(reading)) => self.readings.push(reading),
            Record::Product(Product::Frame(frame)) => self.frames.push(frame),
            Record::Product(Product::Line(line)) => self.lines.push(line),
            Record::End(last) => self.end = Some(last),
        }
    }
}

/// The beginning of a spool, and how many bytes at its end are no record.
type Frame = Result<(Header, u64), FormatError>;

/// Reads a spool; tells whether its writer holds it.
fn read(path: &Path) -> io::Result<(bool, Found, Frame)> {
    let mut file = File::open(path)?;
    let growing = matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let mut found = Found::default();
    let frame = decode_each(&bytes, &mut |record| found.take(record));
    Ok((growing, found, frame))
}

#[pyfunction]
pub fn read_spool(py: Python<'_>, path: PathBuf) -> PyResult<Bound<'_, PyDict>> {
    let (growing, found, frame) = py.detach(|| read(&path))?;
    let refused = |error| PyValueError::new_err(format!("{} is no spool: {error}", path.display()));
    let (header, torn) = frame.map_err(refused)?;
    let spool = PyDict::new(py);
    spool.set_item("fixes", columns::fixes(py, &found.fixes, header.began)?)?;
    spool.set_item(
        "readings",
        columns::readings(py, &found.readings, header.began)?,
    )?;
    spool.set_item("frames", columns::frames(py, &found.frames, header.began)?)?;
    spool.set_item("lines", columns::lines(py, &found.lines, header.began)?)?;
    spool.set_item("note", header.note)?;
    spool.set_item("began_ns", header.began.0)?;
    let began_utc = header.anchor_utc + (header.began - header.anchor);
    spool.set_item("began_utc_ns", began_utc.0)?;
    spool.set_item("torn_bytes", torn)?;
    spool.set_item("is_growing", growing)?;
    spool.set_item("state", found.end.as_ref().map(|end| state_name(end.state)))?;
    spool.set_item("cause", found.end.map(|end| end.cause))?;
    Ok(spool)
}
