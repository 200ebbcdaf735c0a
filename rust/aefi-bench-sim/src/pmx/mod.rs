//! The stage controller PMX-4EX-SA: bytes in, bytes out, four axes inside.
//!
//! Sections (§) are those of `arcus-pmx-4ex-sa.md`. Where the reference leaves a
//! question open, the answer chosen stands as a comment at its place.

mod axis;
mod controller;
mod framing;
mod homing;
mod io;
mod motion;
mod path;
mod position;
mod refusal;
mod registers;
mod request;
mod speeds;
mod status;
mod trigger;

pub use controller::{Controller, OutputEdge, StopCommand, StopKind, SyncEdge};
