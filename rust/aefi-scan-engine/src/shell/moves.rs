//! Serves the moves that are ordered outside flights.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::controls::Demand;
use crate::error::{Cause, EngineError};
use crate::machine::controller::StageConfig;
use crate::machine::positioner::{AxisSetup, Move, MoveEnd, MoveOrders, Positioner};
use crate::units::{Axis, Steps};

use super::STAGE;

/// How the stage is reached: a port that is opened at need, or a bench in virtual time.
pub trait StageAccess: Send {
    /// Runs `machine` over the stage's link to its end and returns it.
    ///
    /// # Errors
    ///
    /// If the stage can't be reached.
    fn run(&mut self, machine: Positioner) -> Result<Positioner, EngineError>;

    /// Tells the stage to stand at once, whatever state this is in.
    fn abort(&mut self);

    /// Lets the stage go; others may have it.
    fn release(&mut self);
}

struct Service {
    access: Box<dyn StageAccess>,
    config: StageConfig,
    setup: [AxisSetup; 2],
    /// As the last service left it, while the stage is held.
    machine: Option<Positioner>,
}

impl Service {
    fn serve(&mut self, orders: &Arc<MoveOrders>) {
        let machine = self.machine.take().unwrap_or_else(|| {
            Positioner::new(self.config.clone(), self.setup, Arc::clone(orders))
        });
        let error = match self.access.run(machine) {
            Ok(machine) => match machine.fault().cloned() {
                None => {
                    self.machine = machine.again();
                    return;
                }
                Some(cause) => {
                    if matches!(cause, Cause::LinkLost { .. }) {
                        // A link of which only one direction works may carry it.
                        self.access.abort();
                    }
                    cause.into()
                }
            },
            Err(error) => error,
        };
        self.release();
        orders.fail(&error);
    }

    fn release(&mut self) {
        self.machine = None;
        self.access.release();
    }
}

/// The stage outside flights: moves are ordered, and end; a thread serves them while
/// there are any.
pub struct StageMoves {
    orders: Arc<MoveOrders>,
    service: Arc<Mutex<Service>>,
}

impl StageMoves {
    /// Returns a stage that nobody has spoken to.
    #[must_use]
    pub fn new(access: Box<dyn StageAccess>, config: StageConfig, setup: [AxisSetup; 2]) -> Self {
        let service = Service {
            access,
            config,
            setup,
            machine: None,
        };
        Self {
            orders: Arc::default(),
            service: Arc::new(Mutex::new(service)),
        }
    }

    /// Orders a move and returns at once; false if the axis has one that did not end.
    ///
    /// # Errors
    ///
    /// If the system refuses a thread.
    pub fn order(&self, axis: Axis, order: Move) -> Result<bool, EngineError> {
        if !self.orders.place(axis, order) {
            return Ok(false);
        }
        self.begin()?;
        Ok(true)
    }

    /// Asks where the axes are; nothing moves. Returns when that is known.
    ///
    /// # Errors
    ///
    /// If the stage can't be reached, or answers wrong.
    pub fn look(&self, patience: Duration) -> Result<[Option<Steps>; 2], EngineError> {
        self.begin()?;
        let _ = self.orders.wait_for_rest(patience);
        match self.orders.last_fault() {
            Some(error) => Err(error),
            None => Ok(self.orders.positions()),
        }
    }

    fn begin(&self) -> Result<(), EngineError> {
        if !self.orders.begin() {
            return Ok(());
        }
        let (orders, service) = (Arc::clone(&self.orders), Arc::clone(&self.service));
        let work = move || {
            let serve = AssertUnwindSafe(|| {
                let mut service = service.lock().unwrap_or_else(PoisonError::into_inner);
                service.serve(&orders);
            });
            if catch_unwind(serve).is_err() {
                // Nothing is known any more but that nobody watches.
                let mut service = service.lock().unwrap_or_else(PoisonError::into_inner);
                service.access.abort();
                service.release();
                orders.fail(&Cause::Panicked { thread: STAGE }.into());
            }
        };
        let spawned = thread::Builder::new().name("aefi-moves".into()).spawn(work);
        spawned.map(|_| ()).map_err(|error| {
            let error = EngineError::thread(&error);
            self.orders.fail(&error);
            error
        })
    }

    /// Demands a stop of whatever moves; returns at once.
    pub fn stop(&self, demand: Demand) {
        self.orders.stop(demand);
    }

    /// Waits at most `patience` for the end of an axis' last order.
    #[must_use]
    pub fn wait(&self, axis: Axis, patience: Duration) -> Option<MoveEnd> {
        self.orders.wait(axis, patience)
    }

    /// Returns where the axes were when they were last asked, X first.
    #[must_use]
    pub fn positions(&self) -> [Option<Steps>; 2] {
        self.orders.positions()
    }

    /// Waits at most `patience` until no move is ordered or under way.
    #[must_use]
    pub fn wait_for_rest(&self, patience: Duration) -> bool {
        self.orders.wait_for_rest(patience)
    }

    /// Lets the stage go, and returns whether it did: not while anything moves.
    #[must_use]
    pub fn release(&self) -> bool {
        if self.orders.is_busy() || !self.orders.wait_for_rest(Duration::from_secs(1)) {
            return false;
        }
        let mut service = self.service.lock().unwrap_or_else(PoisonError::into_inner);
        service.release();
        true
    }
}

/// Whatever moves is told to stop when nobody is left who could.
impl Drop for StageMoves {
    fn drop(&mut self) {
        self.stop(Demand::Stop);
    }
}

impl std::fmt::Debug for StageMoves {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StageMoves")
            .field("orders", &self.orders)
            .finish_non_exhaustive()
    }
}
