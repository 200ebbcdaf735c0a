//! What really happened: for tests and reports, never for the engine.

use aefi_scan_engine::Nanos;

use crate::motion::{Axis, Segment, Trajectory};
use crate::pmx::{OutputEdge, StopCommand, SyncEdge};

/// The true span over which one reading was integrated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conversion {
    /// Its first instant.
    pub start: Nanos,
    /// Its last instant.
    pub end: Nanos,
}

/// A copy of what really happened so far.
#[derive(Debug, Clone, PartialEq)]
pub struct Truth {
    pub(crate) ways: [Trajectory; 4],
    pub(crate) conversions: Vec<Conversion>,
    pub(crate) stops: Vec<StopCommand>,
    pub(crate) sync_edges: Vec<SyncEdge>,
    pub(crate) output_edges: Vec<OutputEdge>,
}

impl Truth {
    /// Returns where `axis` was at `at`, in machine steps: those of the pulse
    /// counter, unless a client has redefined that since.
    #[must_use]
    pub fn position(&self, axis: Axis, at: Nanos) -> f64 {
        self.ways[axis.index()].position_at(at)
    }

    /// Returns the velocity of `axis` at `at`, in steps/s.
    #[must_use]
    pub fn velocity(&self, axis: Axis, at: Nanos) -> f64 {
        self.ways[axis.index()].velocity_at(at)
    }

    /// Returns the segments of the way of `axis`; those that lie ahead are plans.
    #[must_use]
    pub fn segments(&self, axis: Axis) -> &[Segment] {
        self.ways[axis.index()].segments()
    }

    /// Returns the integration of every reading, in order.
    #[must_use]
    pub fn conversions(&self) -> &[Conversion] {
        &self.conversions
    }

    /// Returns every synchronisation output that came on.
    #[must_use]
    pub fn sync_edges(&self) -> &[SyncEdge] {
        &self.sync_edges
    }

    /// Returns every switching of a digital output by a command.
    #[must_use]
    pub fn output_edges(&self) -> &[OutputEdge] {
        &self.output_edges
    }

    /// Returns every `STOP` and `ABORT` that the controller received.
    #[must_use]
    pub fn stops(&self) -> &[StopCommand] {
        &self.stops
    }
}
