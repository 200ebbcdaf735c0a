//! The flight as two pure state machines, one a link: a reply, a deadline or a
//! demand goes in, a request or a record comes out. No thread, no port, no clock.

pub mod detector;
pub mod errand;
pub mod poll;
pub mod stage;
