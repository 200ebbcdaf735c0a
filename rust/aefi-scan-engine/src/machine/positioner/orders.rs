//! The moves that are asked for, between those who ask and the one who serves.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::controls::Demand;
use crate::error::EngineError;
use crate::units::{Axis, Steps};

/// Where a move ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// At a counter.
    To(Steps),
    /// Where the home input ends it.
    Home {
        /// Whether it looks upwards.
        upwards: bool,
        /// The manual's mode, 0 to 4.
        mode: u8,
    },
}

impl Goal {
    /// Returns the counter at which it ends, where that is known before.
    #[must_use]
    pub fn target(self) -> Option<Steps> {
        match self {
            Self::To(target) => Some(target),
            Self::Home { .. } => None,
        }
    }
}

/// One move of one axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// Where it ends.
    pub goal: Goal,
    /// How fast it is, in steps/s.
    pub speed: u32,
}

/// How a move ended.
#[derive(Debug, Clone, PartialEq)]
pub enum MoveEnd {
    /// The axis rests at its goal.
    Arrived,
    /// A stop came before.
    Stopped,
    /// A fault did.
    Failed(EngineError),
}

#[derive(Debug, Clone, PartialEq, Default)]
enum Stand {
    #[default]
    Idle,
    Waiting(Move),
    UnderWay,
    Ended(MoveEnd),
}

impl Stand {
    fn is_open(&self) -> bool {
        matches!(self, Self::Waiting(_) | Self::UnderWay)
    }
}

#[derive(Debug, Default)]
struct Book {
    axes: [Stand; 2],
    positions: [Option<Steps>; 2],
    stop: Option<Demand>,
    is_served: bool,
    /// What ended the last service before its time.
    fault: Option<EngineError>,
}

impl Book {
    fn end_all(&mut self, end: &MoveEnd) {
        for stand in self.axes.iter_mut().filter(|stand| stand.is_open()) {
            *stand = Stand::Ended(end.clone());
        }
        self.stop = None;
    }
}

/// One order an axis, and how it ended; no order is lost between an end of the
/// service and the next.
#[derive(Debug, Default)]
pub struct MoveOrders {
    book: Mutex<Book>,
    changed: Condvar,
}

impl MoveOrders {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Orders a move; false if the axis has one that did not end yet.
    #[must_use]
    pub fn place(&self, axis: Axis, order: Move) -> bool {
        let mut book = self.book();
        let stand = &mut book.axes[axis.index()];
        if stand.is_open() {
            return false;
        }
        *stand = Stand::Waiting(order);
        true
    }

    /// Returns whether the caller has to serve the orders: nobody does.
    #[must_use]
    pub fn begin(&self) -> bool {
        let mut book = self.book();
        if !book.is_served {
            book.fault = None;
        }
        !std::mem::replace(&mut book.is_served, true)
    }

    /// Ends the service if no order waits, and returns whether it did.
    #[must_use]
    pub fn leave(&self) -> bool {
        let mut book = self.book();
        if book.axes.iter().any(Stand::is_open) {
            return false;
        }
        book.is_served = false;
        book.stop = None;
        self.changed.notify_all();
        true
    }

    /// Returns the order of an axis that waits, which is under way from now on.
    #[must_use]
    pub fn take(&self, axis: Axis) -> Option<Move> {
        let stand = &mut self.book().axes[axis.index()];
        match *stand {
            Stand::Waiting(order) => {
                *stand = Stand::UnderWay;
                Some(order)
            }
            _ => None,
        }
    }

    /// Says how the move under way of an axis ended.
    pub fn end(&self, axis: Axis, end: MoveEnd) {
        self.book().axes[axis.index()] = Stand::Ended(end);
        self.changed.notify_all();
    }

    /// Ends every move by `error`, and the service.
    pub fn fail(&self, error: &EngineError) {
        let mut book = self.book();
        book.end_all(&MoveEnd::Failed(error.clone()));
        // The link is given up: who has it next may move anything.
        book.positions = [None; 2];
        book.is_served = false;
        book.fault = Some(error.clone());
        self.changed.notify_all();
    }

    /// Returns what ended the last service before its time, if anything did.
    #[must_use]
    pub fn last_fault(&self) -> Option<EngineError> {
        self.book().fault.clone()
    }

    /// Says that the stage rests after a stop.
    pub fn stopped(&self) {
        let mut book = self.book();
        for stand in &mut book.axes {
            // What was ordered since has not been stopped.
            if *stand == Stand::UnderWay {
                *stand = Stand::Ended(MoveEnd::Stopped);
            }
        }
        book.stop = None;
        self.changed.notify_all();
    }

    /// Demands a stop of what moves; what waits does not begin.
    pub fn stop(&self, demand: Demand) {
        let mut book = self.book();
        let mut moves = false;
        for stand in &mut book.axes {
            match stand {
                Stand::Waiting(_) => *stand = Stand::Ended(MoveEnd::Stopped),
                Stand::UnderWay => moves = true,
                Stand::Idle | Stand::Ended(_) => {}
            }
        }
        if moves {
            book.stop = book.stop.max(Some(demand));
        }
        self.changed.notify_all();
    }

    /// Returns the stop that is demanded.
    #[must_use]
    pub fn stop_demanded(&self) -> Option<Demand> {
        self.book().stop
    }

    /// Waits at most `patience` for the end of an axis' last order.
    #[must_use]
    pub fn wait(&self, axis: Axis, patience: Duration) -> Option<MoveEnd> {
        let is_open = |book: &mut Book| book.axes[axis.index()].is_open();
        let waited = self
            .changed
            .wait_timeout_while(self.book(), patience, is_open);
        let (book, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match &book.axes[axis.index()] {
            Stand::Ended(end) => Some(end.clone()),
            _ => None,
        }
    }

    /// Waits until nobody serves any more, at most `patience`; returns whether so.
    #[must_use]
    pub fn wait_for_rest(&self, patience: Duration) -> bool {
        let is_served = |book: &mut Book| book.is_served;
        let waited = self
            .changed
            .wait_timeout_while(self.book(), patience, is_served);
        let (book, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !book.is_served
    }

    /// Returns whether any move is ordered or under way.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.book().axes.iter().any(Stand::is_open)
    }

    pub(super) fn set_position(&self, axis: Axis, counts: Steps) {
        self.book().positions[axis.index()] = Some(counts);
    }

    /// Returns where the axes were when they were last asked, X first.
    #[must_use]
    pub fn positions(&self) -> [Option<Steps>; 2] {
        self.book().positions
    }
}
