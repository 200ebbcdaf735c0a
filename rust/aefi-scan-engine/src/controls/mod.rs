//! What passes between the threads of a flight and its owner, by atomics only.

mod agreement;
mod demands;
mod display;

pub(crate) use agreement::Agreement;
pub use demands::{Demand, Demands};
pub use display::Display;

/// Shared by a flight's threads and its owner.
///
/// Each cell stands alone and is a hint or a request, so Relaxed is enough but
/// where a comment says otherwise; records travel through the rings.
#[derive(Debug, Default)]
pub struct Controls {
    /// What the owner asks for.
    pub demands: Demands,
    /// What the owner is shown.
    pub display: Display,
    /// What the threads agree on.
    pub(crate) agreement: Agreement,
}
