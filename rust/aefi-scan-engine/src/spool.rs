//! What a flight recorded, on disk while it flies, whatever becomes of Python.
//!
//! An append-only file. The correlator's thread fills a buffer, and hands it to the
//! disk (write and fdatasync) every [`FLUSH_PERIOD`]; no link's thread ever waits for
//! it. After the host's death the file ends with a frame cut short at worst: length
//! and checksum tell, and [`decode`] says how many bytes it left out.
//!
//! # Format
//!
//! All numbers are little-endian, all times in ns of the flight's clock, positions in
//! steps. A file is the magic `AEFISPL\n`, the version (u32, 2), then frames:
//!
//! | field | type | |
//! |---|---|---|
//! | length | u32 | of the payload, in bytes |
//! | kind | u8 | see below |
//! | payload | | |
//! | checksum | u32 | CRC-32 (IEEE) of kind and payload |
//!
//! | kind | payload |
//! |---|---|
//! | 0 header, first and once | anchor: i64 monotonic, i64 UTC since 1970; i64 flight began; note: UTF-8 to the end |
//! | 1 fix | u8 axis (0 x), i64 sent, received, earliest, latest, counts; u8 flags |
//! | 2 reading | i64 sent, received, earliest, latest; 8 × i32 codes; i64 due; i64 aim (-1 for none); place; i64 frame (-1 for none); u8 flags |
//! | 3 frame ended | u64 frame, line; u32 pass; u8 state; u32 count; i64 at, late; place; 6 × f64 mean, 6 × f64 deviation |
//! | 4 line ended | u64 line; u32 pass; i64 turnaround from, began, entered, left, ended; u32 ok, not ok, readings, fixes, exchanges; i64 link; 3 × i64 period |
//! | 5 flight ended, last | u8 state; 7 × u64 frames by state; i64 ended; u8 excitation off; cause: UTF-8 to the end |
//!
//! Place is, for x and then y, 3 × f64: position, low, high. Entered and left are
//! `i64::MIN` where they are not known.

mod format;
mod writer;

use std::path::PathBuf;

use crate::units::Nanos;

pub use format::{Contents, FormatError, Header, Record, RecordedEnd, decode, decode_each};
pub use writer::{FLUSH_PERIOD, SpoolFile, SpoolWriter};

/// Where a flight's spool goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolTarget {
    /// The file; there must be none.
    pub path: PathBuf,
    /// What its reader needs to know of the flight: kept as it is.
    pub note: String,
}

/// Why a spool ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("spool {path} cannot be written: {reason}")]
pub struct SpoolError {
    /// The file.
    pub path: String,
    /// The system's words.
    pub reason: String,
}

/// What became of a spool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpoolOutcome {
    /// Bytes that the disk acknowledged.
    pub bytes: u64,
    /// Records in them, the flight's end included.
    pub records: u64,
    /// What ended it before its time.
    pub error: Option<SpoolError>,
}

impl Header {
    /// Returns the header of a flight that begins at `began`, which is now.
    #[must_use]
    pub fn now(began: Nanos, note: String) -> Self {
        let utc = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self {
            anchor: began,
            anchor_utc: Nanos(utc.map_or(0, |since| since.as_nanos() as i64)),
            began,
            note,
        }
    }
}
