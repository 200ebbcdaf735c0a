//! What the link threads report to the correlator, and what it reports on.

use crate::ledger::FrameState;
use crate::protocol::mcu::CODES;
use crate::units::{Axis, Nanos, Steps};

/// One position reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fix {
    /// The axis whose counter was read.
    pub axis: Axis,
    /// The instant before the request was written.
    pub sent: Nanos,
    /// The instant after the reply was complete.
    pub received: Nanos,
    /// The counter was latched inside [`earliest`, `latest`]: the wire time of
    /// request and reply is taken off.
    ///
    /// [`earliest`]: Self::earliest
    /// [`latest`]: Self::latest
    pub earliest: Nanos,
    /// The other end of that span.
    pub latest: Nanos,
    /// The counter.
    pub counts: Steps,
    /// What is to be said against it: a sum of the flags below, zero for nothing.
    pub flags: u8,
}

impl Fix {
    /// Returns the middle of what is known of the latch's instant.
    #[must_use]
    pub fn middle(&self) -> Nanos {
        Nanos(i64::midpoint(self.earliest.0, self.latest.0))
    }

    /// Its latch is known much less well than is usual on this link: it bounds the
    /// position, but nothing is interpolated from it.
    pub const WIDE: u8 = 1;
    /// The axis can't be there: kept, and not used.
    pub const IMPOSSIBLE: u8 = 2;
    /// Latched by a foreign edge, at some time between the arming and the reply that
    /// told of it: kept, and not used.
    pub const LATCHED: u8 = 4;
    /// Those around it contradict it: kept, and not used.
    pub const OUTLIER: u8 = 8;
}

/// One detector reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The instant before the request was written.
    pub sent: Nanos,
    /// The instant after the reply was complete.
    pub received: Nanos,
    /// The middle of the integration lies inside [`earliest`, `latest`].
    ///
    /// [`earliest`]: Self::earliest
    /// [`latest`]: Self::latest
    pub earliest: Nanos,
    /// The other end of that span.
    pub latest: Nanos,
    /// The raw codes of all channels.
    pub codes: [i32; CODES],
    /// When its request was due; `sent` where nothing asked for an instant.
    pub due: Nanos,
    /// The frame it was taken for, where the trigger source aims at one.
    pub aim: Option<usize>,
}

impl Reading {
    /// Returns how long after its due time the request left.
    #[must_use]
    pub fn late(&self) -> Nanos {
        (self.sent - self.due).max(Nanos::ZERO)
    }

    /// Returns the middle of what is known of its instant.
    #[must_use]
    pub fn middle(&self) -> Nanos {
        Nanos(i64::midpoint(self.earliest.0, self.latest.0))
    }
}

/// What the stage's thread reports, in the order of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StageRecord {
    /// A position reply.
    Fix(Fix),
    /// A move of one axis, recorded before the command is written: from here on
    /// the axis may move at up to `speed`; until here it rested at `from`.
    Motion {
        /// The axis.
        axis: Axis,
        /// The instant before the command was written.
        at: Nanos,
        /// Where the axis rested.
        from: Steps,
        /// Its speed limit, in steps/s.
        speed: f64,
    },
    /// A stop was written: frames see no constant speed any more.
    StopSent {
        /// The instant before the command was written.
        at: Nanos,
    },
    /// The fast axis was sent through a line.
    LineBegan {
        /// The line.
        line: usize,
        /// The place of the first frame flown in it.
        place: usize,
        /// The instant before the command was written.
        at: Nanos,
    },
    /// The pulse of a frame came. One that did not come is not told of.
    Pulse {
        /// The frame.
        frame: usize,
        /// The instant at which this was known.
        at: Nanos,
        /// How long after its due time it was asked for; zero where the controller
        /// itself compares.
        late: Nanos,
    },
    /// The fast axis rests at the line's end.
    LineEnded {
        /// The instant at which this was known.
        at: Nanos,
        /// Exchanges on the stage's link since the line began.
        exchanges: u32,
        /// Time that the link took for exchanges since the line before ended.
        busy: Nanos,
    },
    /// The line was left before its end.
    LineBroken {
        /// The instant at which this was known.
        at: Nanos,
        /// Counts the breaks of a flight, from 1.
        epoch: u32,
        /// Exchanges on the stage's link since the line began.
        exchanges: u32,
        /// Time that the link took for exchanges since the line before ended.
        busy: Nanos,
        /// Whether it came to rest with a ramp, or without, that was not ordered here.
        cut_short: bool,
    },
    /// All lines were flown; what is left open is asked for.
    LinesFlown {
        /// The instant at which this was known.
        at: Nanos,
        /// Counts the breaks of a flight, from 1.
        epoch: u32,
    },
    /// The stage's part is over.
    Over {
        /// Where both axes rest from now on, X first, if that is known.
        rest: Option<[Steps; 2]>,
    },
}

impl StageRecord {
    /// Returns whether both axes rest when it is recorded.
    #[must_use]
    pub fn finds_rest(&self) -> bool {
        matches!(
            self,
            Self::LineBegan { .. }
                | Self::LineEnded { .. }
                | Self::LineBroken { .. }
                | Self::Over { rest: Some(_) }
        )
    }

    /// Returns whether others make up for it: a fix fewer only widens what is known,
    /// but without one of the others a flight may not go on.
    #[must_use]
    pub fn is_replaceable(&self) -> bool {
        matches!(self, Self::Fix(_))
    }
}

/// What the detector's thread reports, in the order of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DetectorRecord {
    /// A detector reply.
    Reading(Reading),
    /// No reading older than this will come.
    Horizon(Nanos),
}

/// An estimated position, in steps, with the interval that holds the truth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The estimate.
    pub position: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
}

impl Estimate {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self {
        position: f64::NAN,
        low: f64::NAN,
        high: f64::NAN,
    };
}

/// A reading with its place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlacedReading {
    /// The reading as it came.
    pub reading: Reading,
    /// Position of both axes, X first.
    pub place: [Estimate; 2],
    /// The frame it was counted in, if any.
    pub frame: Option<usize>,
    /// What is to be said against it: a sum of the flags below, zero for nothing.
    pub flags: u8,
}

impl PlacedReading {
    /// Its place is not known.
    pub const UNPLACED: u8 = 1;
    /// The interval of its place is wider than a frame.
    pub const WIDE: u8 = 2;
    /// A voltage stands at an end of the converter's range.
    pub const RAIL: u8 = 4;
}

/// The number of voltages in a reading: channels 1 to 6.
pub const VOLTAGES: usize = 6;

/// A frame in its final state.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EndedFrame {
    /// The frame.
    pub frame: usize,
    /// Its line.
    pub line: usize,
    /// The pass in which it ended, from 0.
    pub pass: u32,
    /// Its one final state.
    pub state: FrameState,
    /// Readings in it.
    pub count: u32,
    /// Mean time of its readings.
    pub at: Nanos,
    /// How late the request of its latest reading left, or that of its pulse where it
    /// needs one.
    pub late: Nanos,
    /// Mean position of its readings, X first; the interval holds the mean truth.
    pub place: [Estimate; 2],
    /// Mean code of each voltage.
    pub mean: [f64; VOLTAGES],
    /// Standard deviation of each voltage's codes over the readings (n - 1), NaN
    /// below two.
    pub deviation: [f64; VOLTAGES],
}

/// A line that was flown to its end or given up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EndedLine {
    /// The line.
    pub line: usize,
    /// The pass, from 0.
    pub pass: u32,
    /// Where the line before ended, or the flight began.
    pub turnaround_from: Nanos,
    /// The fast axis was sent off.
    pub began: Nanos,
    /// The first frame that was flown was entered, if that was seen.
    pub entered: Option<Nanos>,
    /// The window was left, if that was seen.
    pub left: Option<Nanos>,
    /// The fast axis rested.
    pub ended: Nanos,
    /// Frames ok.
    pub ok: u32,
    /// Frames in any other state.
    pub not_ok: u32,
    /// Readings counted in frames.
    pub readings: u32,
    /// Fixes of the fast axis.
    pub fixes: u32,
    /// Exchanges on the stage's link.
    pub exchanges: u32,
    /// Time that the stage's link took for exchanges since the line before ended;
    /// what is left of the line's time, the host took.
    pub link: Nanos,
    /// Period between requests for the fast axis: median, 99th percentile, maximum.
    pub period: [Nanos; 3],
}

/// What the correlator hands out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Product {
    /// A position reply, as it came.
    Fix(Fix),
    /// A reading with its place.
    Reading(PlacedReading),
    /// A frame in its final state.
    Frame(EndedFrame),
    /// A line; all its frames were handed out before.
    Line(EndedLine),
}
