//! The stage controller at the end of its half-duplex line.

use std::collections::VecDeque;

use aefi_scan_engine::Nanos;

use crate::faults::{Fault, LinkFaults};
use crate::motion::Axis;
use crate::pmx::Controller;
use crate::wire::{Delivery, Line, take_readable};

/// Ends a request.
const END: u8 = b'\r';

#[derive(Debug, Clone)]
pub(crate) struct StageLink {
    pub(crate) controller: Controller,
    pub(crate) faults: LinkFaults,
    pub(crate) collisions: u64,
    line: Line,
    outbox: VecDeque<Delivery>,
    /// What comes a second time.
    copies: VecDeque<Delivery>,
    /// What the host wrote, on its way back to it.
    echo: Option<VecDeque<Delivery>>,
    replied_until: Nanos,
}

impl StageLink {
    pub(crate) fn new(
        controller: Controller,
        line: Line,
        faults: LinkFaults,
        echoes: bool,
    ) -> Self {
        Self {
            echo: echoes.then(VecDeque::new),
            controller,
            faults,
            collisions: 0,
            line,
            outbox: VecDeque::new(),
            copies: VecDeque::new(),
            replied_until: Nanos(i64::MIN),
        }
    }

    pub(crate) fn write(&mut self, now: Nanos, bytes: &[u8]) {
        let bytes = &self.faults.damaged(now, bytes, END);
        let (start, end) = self.line.send(now, bytes.len());
        self.collide(start, end);
        if let Some(echo) = &mut self.echo {
            echo.push_back(self.line.deliver(start, 0, bytes.to_vec()));
        }
        for (index, byte) in bytes.iter().enumerate() {
            let at = self.line.arrival(start, index);
            self.suffer(at);
            if self.is_dead() {
                continue;
            }
            if let Some(reply) = self.controller.receive(at, *byte) {
                self.schedule(at, end, reply);
            }
        }
    }

    fn is_dead(&self) -> bool {
        self.faults.is_silent || self.faults.is_hung_up
    }

    /// Two wires, one direction at a time: who talks into a reply loses it.
    fn collide(&mut self, start: Nanos, end: Nanos) {
        if self.line.is_physical() {
            let before = self.outbox.len();
            self.outbox
                .retain(|reply| reply.starts >= end || reply.ends <= start);
            self.collisions += (before - self.outbox.len()) as u64;
        }
    }

    fn schedule(&mut self, at: Nanos, request_end: Nanos, reply: Vec<u8>) {
        self.faults.count_command();
        self.suffer(at);
        let faults = self.faults.of_reply(at);
        let reply = faults.apply(reply);
        if reply.is_empty() || self.is_dead() || self.faults.loses_replies {
            return;
        }
        let earliest = at + self.line.draw_turnaround() + faults.delay;
        let starts = earliest.max(self.replied_until);
        let copy = faults.again.map(|later| (later, reply.clone()));
        let delivery = self.line.deliver(starts, 0, reply);
        self.replied_until = delivery.ends;
        self.outbox.push_back(delivery);
        if let Some((later, reply)) = copy {
            // It comes whatever else is on the line, and in the order of time.
            let copy = self.line.deliver(self.replied_until + later, 0, reply);
            self.copies.push_back(copy);
        }
        if starts < request_end {
            self.collide(starts, request_end);
        }
    }

    /// Lets the faults that are due until `at` strike.
    pub(crate) fn suffer(&mut self, at: Nanos) {
        while let Some((when, fault)) = self.faults.strike(at) {
            self.strike(when, fault);
        }
    }

    fn strike(&mut self, at: Nanos, fault: Fault) {
        let axis = self.controller.moving_axis(at);
        match fault {
            Fault::Limit => self.controller.force_limit(at, axis),
            Fault::Alarm => self.controller.force_alarm(at, axis),
            Fault::Errored => self.controller.enter_error_state(),
            Fault::PowerCycle => self.power_cycle(at),
            Fault::WrongIdentity => self.controller.pretend_other_identity(),
            Fault::IgnoreStop => self.controller.ignore_next_stop(),
            Fault::HangUp => {
                self.outbox.clear();
                self.copies.clear();
            }
            Fault::HandJog(steps) => self.jog(at, steps),
            Fault::HandStop => drop(self.controller.execute(at, "STOP")),
            Fault::HandAbort => drop(self.controller.execute(at, "ABORT")),
            _ => {}
        }
    }

    /// Sends the axis that rests so many steps further, as another client does.
    fn jog(&mut self, at: Nanos, steps: i64) {
        let axis = match self.controller.moving_axis(at) {
            Axis::X => Axis::Y,
            _ => Axis::X,
        };
        let letter = axis.letter();
        let position = self.controller.execute(at, &format!("P{letter}"));
        let target = position.parse::<i64>().unwrap_or(0) + steps;
        self.controller.execute(at, &format!("{letter}{target}"));
    }

    pub(crate) fn power_cycle(&mut self, at: Nanos) {
        self.controller.power_cycle(at);
        self.line.set_baud(self.controller.baud());
        self.outbox.retain(|reply| reply.ends <= at);
    }

    pub(crate) fn next_arrival(&self) -> Option<Nanos> {
        let echo = self.echo.as_ref().and_then(VecDeque::front);
        let fronts = [echo, self.outbox.front(), self.copies.front()];
        fronts
            .into_iter()
            .flatten()
            .map(|reply| reply.readable)
            .min()
    }

    pub(crate) fn read(&mut self, now: Nanos, into: &mut Vec<u8>) {
        if let Some(echo) = &mut self.echo {
            take_readable(echo, now, into);
        }
        take_readable(&mut self.outbox, now, into);
        take_readable(&mut self.copies, now, into);
    }
}
