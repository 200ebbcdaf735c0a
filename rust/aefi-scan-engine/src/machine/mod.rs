//! The flight as two pure state machines, one a link: a reply, a deadline or a
//! demand goes in, a request or a record comes out. No thread, no port, no clock.

pub mod controller;
pub mod detector;
mod dialogue;
pub mod errand;
mod halt;
mod intent;
pub mod poll;
pub mod positioner;
mod preparation;
mod register_script;
pub mod sampling;
pub mod stage;
