//! Records to named numpy columns, one array a field.

use aefi_scan_engine::Nanos;
use aefi_scan_engine::records::{EndedFrame, EndedLine, Estimate, Fix, PlacedReading};
use aefi_scan_engine::ring::Consumer;
use numpy::{Element, PyArray1};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Takes all that waits in `ring`.
pub fn drain<T>(ring: &mut Consumer<T>) -> Vec<T> {
    let waiting = ring.waiting();
    std::iter::from_fn(|| ring.pop()).take(waiting).collect()
}

/// A table under construction.
struct Table<'py, 'a, T> {
    rows: &'a [T],
    columns: Bound<'py, PyDict>,
}

impl<'py, 'a, T> Table<'py, 'a, T> {
    fn new(py: Python<'py>, rows: &'a [T]) -> Self {
        Self {
            rows,
            columns: PyDict::new(py),
        }
    }

    fn column<V: Element>(self, name: &str, value: impl Fn(&T) -> V) -> PyResult<Self> {
        let values = self.rows.iter().map(value);
        let array = PyArray1::from_iter(self.columns.py(), values);
        self.columns.set_item(name, array)?;
        Ok(self)
    }

    fn place(self, place: impl Fn(&T) -> [Estimate; 2]) -> PyResult<Self> {
        let mut table = self;
        for (axis, name) in ["x", "y"].into_iter().enumerate() {
            table = table
                .column(name, |row| place(row)[axis].position)?
                .column(&format!("{name}_lo"), |row| place(row)[axis].low)?
                .column(&format!("{name}_hi"), |row| place(row)[axis].high)?;
        }
        Ok(table)
    }
}

pub fn fixes<'py>(py: Python<'py>, rows: &[Fix], zero: Nanos) -> PyResult<Bound<'py, PyDict>> {
    Ok(Table::new(py, rows)
        .column("t_sent", |fix| (fix.sent - zero).0)?
        .column("t_received", |fix| (fix.received - zero).0)?
        .column("axis", |fix| fix.axis.index() as i64)?
        .column("counts", |fix| fix.counts.0)?
        .column("flags", |fix| i64::from(fix.flags))?
        .columns)
}

pub fn readings<'py>(
    py: Python<'py>,
    rows: &[PlacedReading],
    zero: Nanos,
) -> PyResult<Bound<'py, PyDict>> {
    let mut table = Table::new(py, rows)
        .column("t_start", |row| (row.reading.sent - zero).0)?
        .column("t_end", |row| (row.reading.received - zero).0)?
        .place(|row| row.place)?
        .column("frame", |row| row.frame.map_or(-1, |frame| frame as i64))?
        .column("flags", |row| i64::from(row.flags))?;
    for channel in 0..8 {
        table = table.column(&format!("code_{}", channel + 1), |row| {
            row.reading.codes[channel]
        })?;
    }
    Ok(table.columns)
}

pub fn frames<'py>(
    py: Python<'py>,
    rows: &[EndedFrame],
    zero: Nanos,
) -> PyResult<Bound<'py, PyDict>> {
    let mut table = Table::new(py, rows)
        .column("frame", |row| row.frame as i64)?
        .column("line", |row| row.line as i64)?
        .column("pass", |row| i64::from(row.pass))?
        .column("state", |row| i64::from(row.state.code()))?
        .column("count", |row| i64::from(row.count))?
        .column("t", |row| (row.at - zero).0)?
        .column("late", |row| row.late.0)?
        .place(|row| row.place)?;
    for channel in 0..6 {
        table = table
            .column(&format!("mean_{}", channel + 1), |row| row.mean[channel])?
            .column(&format!("std_{}", channel + 1), |row| {
                row.deviation[channel]
            })?;
    }
    Ok(table.columns)
}

pub fn lines<'py>(
    py: Python<'py>,
    rows: &[EndedLine],
    zero: Nanos,
) -> PyResult<Bound<'py, PyDict>> {
    Ok(Table::new(py, rows)
        .column("line", |row| row.line as i64)?
        .column("pass", |row| i64::from(row.pass))?
        .column("turnaround_from", |row| (row.turnaround_from - zero).0)?
        .column("began", |row| (row.began - zero).0)?
        .column("entered", |row| since(zero, row.entered))?
        .column("left", |row| since(zero, row.left))?
        .column("ended", |row| (row.ended - zero).0)?
        .column("n_ok", |row| i64::from(row.ok))?
        .column("n_not_ok", |row| i64::from(row.not_ok))?
        .column("n_readings", |row| i64::from(row.readings))?
        .column("n_fixes", |row| i64::from(row.fixes))?
        .column("n_exchanges", |row| i64::from(row.exchanges))?
        .column("link", |row| row.link.0)?
        .column("period_p50", |row| row.period[0].0)?
        .column("period_p99", |row| row.period[1].0)?
        .column("period_max", |row| row.period[2].0)?
        .columns)
}

/// Nanoseconds from `zero` to an instant that may not be known: NaN then.
fn since(zero: Nanos, at: Option<Nanos>) -> f64 {
    at.map_or(f64::NAN, |at| (at - zero).0 as f64)
}
