//! The stage controller's end of every conversation: how it is asked, what it is
//! called, and when it counts as lost.

use crate::conversation::Reply;
use crate::error::Cause;
use crate::protocol::pmx::Command;
use crate::protocol::{ProtocolError, Request};
use crate::records::Fix;
use crate::units::{Axis, Nanos, Steps};

const DEVICE: &str = "stage";
/// Failed exchanges in a row after which the stage counts as lost.
pub(super) const PATIENCE: u32 = 3;
/// The controller may report idle for up to 250 ms after it accepted a move
/// (Arcus reference §5); a rest away from the target is believed after this.
pub(super) const REST_BELIEVED: Nanos = Nanos::from_millis(400);
/// A move whose reply was lost may not have been heard: it is sent again.
pub(super) const RESENDS: u32 = 2;

/// What the engine must know of the stage controller and its link.
#[derive(Debug, Clone, PartialEq)]
pub struct StageConfig {
    /// The controller's device name, `DN`; its last two digits are the address.
    pub name: String,
    /// The address in each request.
    pub address: u8,
    /// Wire time of a byte; zero on a link without pacing.
    pub byte_time: Nanos,
    /// Time from request to reply beyond the wire's, at most.
    pub allowance: Nanos,
    /// A counter is latched at least this long before its reply begins: what is
    /// known of the controller's own delay; zero if nothing is.
    pub reply_delay: Nanos,
    /// Period of full position queries in flight. Status is asked half as often, and when
    /// an axis that was sent off stands still.
    pub status_period: Nanos,
    /// The controller reports a host that is silent for so many ms, and its
    /// stand-alone program, if it has one, may act on it; zero leaves its watch alone.
    pub host_watch_ms: u32,
}

impl StageConfig {
    /// Returns the fix that `reply` gives for `axis`: its counter was latched after
    /// the request had arrived and before the reply began.
    #[must_use]
    pub fn fix(&self, axis: Axis, counts: Steps, reply: &Reply<'_>) -> Fix {
        let wire = |bytes: usize| Nanos(self.byte_time.0 * bytes as i64);
        let earliest = reply.sent + wire(reply.request_len);
        let latest = (reply.received - wire(reply.text.len() + 1)).max(earliest);
        let known = latest - self.reply_delay;
        Fix {
            axis,
            sent: reply.sent,
            received: reply.received,
            earliest,
            // A reply that broke the promise of its delay is not held to it.
            latest: if known < earliest { latest } else { known },
            counts,
            flags: 0,
        }
    }

    /// Returns the framed request for `command` over this link.
    #[must_use]
    pub fn request(&self, command: Command) -> Request {
        command.request(self.address, self.allowance)
    }

    pub(super) fn is_name(&self, reply: &[u8]) -> bool {
        reply == self.name.as_bytes()
    }

    /// Returns why nothing more is sent to a device that answers `name`.
    pub(super) fn foreign(&self, name: &[u8]) -> Cause {
        Cause::Identity {
            device: DEVICE,
            expected: self.name.clone(),
            found: String::from_utf8_lossy(name).into_owned(),
        }
    }

    /// Returns what `attempts` at `command` without an answer mean.
    pub(super) fn silence(&self, command: String, attempts: u32) -> Cause {
        Cause::Silent {
            device: DEVICE,
            command,
            attempts,
            waited_ms: self.allowance.0 / 1_000_000,
        }
    }
}

/// Returns the cause that a reply in another form, or a refusal, is.
pub(super) fn misunderstood(error: ProtocolError) -> Cause {
    Cause::Protocol {
        device: DEVICE,
        error,
    }
}

/// Returns the cause that the end of the link is.
pub(super) fn link_lost(reason: &str) -> Cause {
    Cause::LinkLost {
        device: DEVICE,
        reason: reason.to_owned(),
    }
}
