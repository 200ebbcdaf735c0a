//! The file of a flight under way.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};

use crate::records::Product;
use crate::units::Nanos;

use super::format::{put_end, put_header, put_product, whole_frames};
use super::{Header, RecordedEnd, SpoolError, SpoolOutcome, SpoolTarget};

/// How often the disk gets what was recorded: half of the second that may be lost, so
/// that a slow flush does not make it more.
pub const FLUSH_PERIOD: Nanos = Nanos::from_millis(500);
/// A buffer that is fuller is flushed before.
const BUFFER: usize = 1 << 20;

/// What a spool needs of a file.
pub trait SpoolFile {
    /// Appends bytes and returns how many.
    ///
    /// # Errors
    ///
    /// The system's.
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Returns when all that was appended is on the disk.
    ///
    /// # Errors
    ///
    /// The system's.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file.
    ///
    /// # Errors
    ///
    /// The system's.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}

impl SpoolFile for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write(bytes)
    }
    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

/// Appends a flight's products to a file, until the first error.
///
/// After an error nothing more is written, and nothing that a failed sync left behind
/// is counted on: the file is good up to its last whole frame.
#[derive(Debug)]
pub struct SpoolWriter<F = File> {
    file: F,
    path: String,
    buffer: Vec<u8>,
    next_flush: Nanos,
    /// Whole frames handed to the system, of which the disk may know nothing.
    written: u64,
    records: u64,
    outcome: SpoolOutcome,
}

impl SpoolWriter {
    /// Makes the file of a flight that begins at `began`, which is now; its header is
    /// on the disk when this returns.
    ///
    /// # Errors
    ///
    /// If there is such a file, or it can't be written.
    pub fn create(target: &SpoolTarget, began: Nanos) -> Result<Self, SpoolError> {
        let path = target.path.display().to_string();
        let file = File::create_new(&target.path).map_err(|error| SpoolError {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        // Tells readers that somebody writes; where files have no locks it says nothing.
        let _ = file.try_lock();
        let header = Header::now(began, target.note.clone());
        let spool = Self::begin(file, path, &header).inspect_err(|_| {
            // Without its header the file is of no use; the error is told anyway.
            let _ = fs::remove_file(&target.path);
        });
        // That there is a file must outlive the power too. Some systems open no folder:
        // they keep its entries by themselves.
        if let Some(Ok(folder)) = target.path.parent().map(File::open) {
            let _ = folder.sync_all();
        }
        spool
    }
}

impl<F: SpoolFile> SpoolWriter<F> {
    /// Writes the header to an empty file.
    ///
    /// # Errors
    ///
    /// If it can't be written.
    pub fn begin(file: F, path: String, header: &Header) -> Result<Self, SpoolError> {
        let mut spool = Self {
            file,
            path,
            buffer: Vec::with_capacity(BUFFER),
            next_flush: Nanos(i64::MIN),
            written: 0,
            records: 0,
            outcome: SpoolOutcome::default(),
        };
        put_header(header, &mut spool.buffer);
        let (length, appended) = append(&mut spool.file, &spool.buffer);
        appended
            .and_then(|()| spool.file.sync())
            .map_err(|error| spool.fail(&error))?;
        spool.buffer.clear();
        spool.written = length as u64;
        spool.outcome.bytes = spool.written;
        Ok(spool)
    }

    /// Takes a product; it waits in memory for the next flush.
    pub fn take(&mut self, product: &Product) {
        if self.outcome.error.is_none() {
            put_product(product, &mut self.buffer);
        }
    }

    /// Flushes if it is time to, by a clock of real time.
    ///
    /// # Errors
    ///
    /// If the file can't be written; told once.
    pub fn tick(&mut self, now: Nanos) -> Result<(), SpoolError> {
        if now < self.next_flush && self.buffer.len() < BUFFER {
            return Ok(());
        }
        self.next_flush = now + FLUSH_PERIOD;
        self.flush()
    }

    /// Writes the flight's end and returns what became of the spool.
    pub fn finish(mut self, end: &RecordedEnd) -> SpoolOutcome {
        if self.outcome.error.is_none() {
            put_end(end, &mut self.buffer);
            // The outcome has the error.
            let _ = self.flush();
        }
        self.outcome
    }

    /// Returns what became of the spool so far.
    #[must_use]
    pub fn outcome(&self) -> &SpoolOutcome {
        &self.outcome
    }

    fn flush(&mut self) -> Result<(), SpoolError> {
        if self.buffer.is_empty() || self.outcome.error.is_some() {
            return Ok(());
        }
        let (length, appended) = append(&mut self.file, &self.buffer);
        let (whole, records) = whole_frames(&self.buffer[..length]);
        self.buffer.clear();
        self.written += whole as u64;
        self.records += records;
        if appended.is_err() {
            // A tail that stays is no whole frame: who reads leaves it out.
            let _ = self.file.truncate(self.written);
        }
        let synced = self.file.sync();
        if synced.is_ok() {
            self.outcome.bytes = self.written;
            self.outcome.records = self.records;
        }
        appended.and(synced).map_err(|error| self.fail(&error))
    }

    fn fail(&mut self, error: &io::Error) -> SpoolError {
        let error = SpoolError {
            path: self.path.clone(),
            reason: error.to_string(),
        };
        self.outcome.error = Some(error.clone());
        error
    }
}

/// Appends `bytes`; returns how many it were, and what kept the rest out.
fn append(file: &mut impl SpoolFile, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut done = 0;
    while done < bytes.len() {
        match file.append(&bytes[done..]) {
            Ok(0) => return (done, Err(ErrorKind::WriteZero.into())),
            Ok(count) => done += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return (done, Err(error)),
        }
    }
    (done, Ok(()))
}
