//! Digital and analog inputs and outputs, and the driver enables (§3.2, §3.6).

use aefi_scan_engine::Nanos;

use super::controller::{Controller, OutputEdge};
use super::refusal::{Answer, Refusal, number, ok};
use super::request::Request;
use crate::motion::Axis;

/// Levels at the connectors.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pins {
    pub(super) inputs: u8,
    pub(super) outputs: u8,
    pub(super) enables: u8,
    pub(super) analog_mv: [i64; 8],
}

/// Digital input that latches each axis: X DI4, Y DI6, Z DI5, U DI8.
const LATCH_INPUTS: [usize; 4] = [4, 6, 5, 8];

impl Controller {
    /// Switches digital input 1 to 8; a rising edge may latch an axis.
    pub fn set_input(&mut self, at: Nanos, input: usize, on: bool) {
        let mask = 1u8 << (input - 1).min(7);
        let rises = on && self.pins.inputs & mask == 0;
        self.pins.inputs = with_bits(self.pins.inputs, mask, on);
        for axis in Axis::ALL {
            if rises && LATCH_INPUTS[axis.index()] == input {
                self.axes[axis.index()].catch(at);
            }
        }
    }

    /// Sets the level at analog input 1 to 8, in mV.
    pub fn set_analog_input(&mut self, input: usize, millivolts: i64) {
        self.pins.analog_mv[(input - 1).min(7)] = millivolts.clamp(0, 5000);
    }

    /// Returns the digital outputs, DO1 in bit 0.
    #[must_use]
    pub fn outputs(&self, at: Nanos) -> u8 {
        let synced = |outputs: u8, axis: Axis| {
            let state = &self.axes[axis.index()];
            if state.sync.is_on() {
                with_bits(outputs, 1 << axis.index(), state.sync_output(at))
            } else {
                outputs
            }
        };
        Axis::ALL.into_iter().fold(self.pins.outputs, synced)
    }

    pub(super) fn answer_pins(&mut self, at: Nanos, request: &Request) -> Option<Answer> {
        if let Some(index) = request.index_after("AI") {
            let level = self.pins.analog_mv.get(index.wrapping_sub(1));
            return Some(level.copied().ok_or(Refusal::Index).and_then(number));
        }
        let (prefix, count) = [("DI", 8), ("DO", 8), ("EO", 4)]
            .into_iter()
            .find(|(prefix, _)| request.name.starts_with(prefix))?;
        let mask = if request.name.len() == prefix.len() {
            (1u16 << count) - 1
        } else {
            let index = request.index_after(prefix)?;
            if !(1..=count).contains(&index) {
                return Some(Err(Refusal::Index));
            }
            1 << (index - 1)
        };
        let mask = u8::try_from(mask).expect("eight bits at most");
        Some(self.access(at, prefix, mask, request))
    }

    fn access(&mut self, at: Nanos, prefix: &str, mask: u8, request: &Request) -> Answer {
        let current = match prefix {
            "DI" => self.pins.inputs,
            "DO" => self.outputs(at),
            _ => self.pins.enables,
        };
        let shift = mask.trailing_zeros();
        let Some(value) = request.number()? else {
            return number(i64::from((current & mask) >> shift));
        };
        let bits = u8::try_from(value).map_err(|_| Refusal::NotUnderstood)?;
        if prefix == "DI" || bits > mask >> shift {
            return Err(Refusal::NotUnderstood);
        }
        let pins = if prefix == "DO" {
            &mut self.pins.outputs
        } else {
            &mut self.pins.enables
        };
        let before = std::mem::replace(pins, (*pins & !mask) | (bits << shift));
        if prefix == "DO" {
            self.note_edges(at, before);
        }
        ok()
    }

    fn note_edges(&mut self, at: Nanos, before: u8) {
        let now = self.pins.outputs;
        let edges = (1..=8).filter_map(|output| {
            let mask = 1 << (output - 1);
            let on = now & mask != 0;
            ((before ^ now) & mask != 0).then_some(OutputEdge { at, output, on })
        });
        self.switched.extend(edges);
    }
}

fn with_bits(bits: u8, mask: u8, on: bool) -> u8 {
    if on { bits | mask } else { bits & !mask }
}
