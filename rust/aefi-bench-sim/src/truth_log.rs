//! The truth as JSON lines, written while it happens.
//!
//! ```text
//! {"axis":"x","t0_ns":5,"t1_ns":null,"p0":0.0,"v":1000.0,"a":1666.6}
//! {"conversion":[5,1000005]}
//! {"command":"STOP","axis":null,"t_ns":9}
//! {"output":5,"t_ns":9}
//! {"drive":[0.5,0.0,0.5,0.0],"t_ns":9}
//! {"until_ns":10}
//! ```
//!
//! A segment is written when it has begun, with `t1_ns` null, and again when it
//! has ended: for the same axis and `t0_ns` the later line holds. Position at t is
//! p0 + v·s + a·s²/2 with s = (t - t0)/10⁹, in machine steps. A digital output came on
//! at its `t_ns`. A drive is what the spheres S3 and S4, then S1 and S2, get from its
//! `t_ns` on, each as real and imaginary part, 1 at full level. All that happened until
//! `until_ns` stands before it.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use aefi_scan_engine::Nanos;

use crate::SimulatedBench;
use crate::motion::{Axis, Segment};
use crate::pmx::{StopCommand, StopKind};

/// Writes what has happened since the last time.
#[derive(Debug)]
pub struct TruthLog {
    file: BufWriter<File>,
    /// For each axis the number of segments that have ended and are written.
    ended: [usize; 4],
    /// For each axis whether the segment after those is written as open.
    open: [bool; 4],
    conversions: usize,
    stops: usize,
    sync_edges: usize,
    output_edges: usize,
    drives: usize,
}

impl TruthLog {
    /// Creates the file, or empties it.
    ///
    /// # Errors
    ///
    /// What the system says about the file.
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: BufWriter::new(File::create(path)?),
            ended: [0; 4],
            open: [false; 4],
            conversions: 0,
            stops: 0,
            sync_edges: 0,
            output_edges: 0,
            drives: 0,
        })
    }

    /// Writes and flushes everything that happened until `now`.
    ///
    /// # Errors
    ///
    /// What the system says about the file.
    pub fn write(&mut self, bench: &SimulatedBench, now: Nanos) -> io::Result<()> {
        for axis in Axis::ALL {
            self.write_axis(axis, bench.trajectory(axis).segments(), now)?;
        }
        for conversion in &bench.conversions()[self.conversions..] {
            let (start, end) = (conversion.start.0, conversion.end.0);
            writeln!(self.file, "{{\"conversion\":[{start},{end}]}}")?;
        }
        self.conversions = bench.conversions().len();
        let stops = bench.controller().stops();
        for stop in &stops[self.stops..] {
            write_stop(&mut self.file, stop)?;
        }
        self.stops = stops.len();
        let syncs = bench.controller().sync_edges();
        for edge in &syncs[self.sync_edges..] {
            write_output(&mut self.file, edge.axis.index() + 1, edge.at)?;
        }
        self.sync_edges = syncs.len();
        let outputs = bench.controller().output_edges();
        for edge in outputs[self.output_edges..].iter().filter(|edge| edge.on) {
            write_output(&mut self.file, edge.output, edge.at)?;
        }
        self.output_edges = outputs.len();
        for (at, drive) in &bench.drives()[self.drives..] {
            let ([a, b], [c, d]) = (drive.first, drive.second);
            let at = at.0;
            writeln!(
                self.file,
                "{{\"drive\":[{a:?},{b:?},{c:?},{d:?}],\"t_ns\":{at}}}"
            )?;
        }
        self.drives = bench.drives().len();
        writeln!(self.file, "{{\"until_ns\":{}}}", now.0)?;
        self.file.flush()
    }

    fn write_axis(&mut self, axis: Axis, segments: &[Segment], now: Nanos) -> io::Result<()> {
        let i = axis.index();
        while let Some(segment) = segments.get(self.ended[i]) {
            let next = segments.get(self.ended[i] + 1).map(|next| next.start);
            let end = next.filter(|end| *end <= now);
            if segment.start > now || (end.is_none() && self.open[i]) {
                break;
            }
            write_segment(&mut self.file, axis, segment, end)?;
            self.open[i] = end.is_none();
            if end.is_some() {
                self.ended[i] += 1;
            }
        }
        Ok(())
    }
}

fn write_segment(
    file: &mut impl Write,
    axis: Axis,
    segment: &Segment,
    end: Option<Nanos>,
) -> io::Result<()> {
    let letter = axis.letter().to_ascii_lowercase();
    let end = end.map_or("null".to_owned(), |end| end.0.to_string());
    let Segment {
        start,
        position,
        velocity,
        acceleration,
    } = segment;
    writeln!(
        file,
        "{{\"axis\":\"{letter}\",\"t0_ns\":{},\"t1_ns\":{end},\"p0\":{position:?},\
         \"v\":{velocity:?},\"a\":{acceleration:?}}}",
        start.0
    )
}

fn write_output(file: &mut impl Write, output: usize, at: Nanos) -> io::Result<()> {
    writeln!(file, "{{\"output\":{output},\"t_ns\":{}}}", at.0)
}

fn write_stop(file: &mut impl Write, stop: &StopCommand) -> io::Result<()> {
    let name = match stop.kind {
        StopKind::Stop => "STOP",
        StopKind::Abort => "ABORT",
    };
    let axis = stop.axis.map_or("null".to_owned(), |axis| {
        format!("\"{}\"", axis.letter().to_ascii_lowercase())
    });
    writeln!(
        file,
        "{{\"command\":\"{name}\",\"axis\":{axis},\"t_ns\":{}}}",
        stop.at.0
    )
}
