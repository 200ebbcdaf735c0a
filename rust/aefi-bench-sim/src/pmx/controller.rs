//! The controller as a whole: a byte at an instant in, perhaps a reply out.

use aefi_scan_engine::Nanos;

use super::axis::{ALARM_ERROR, AxisState, MINUS_LIMIT_ERROR, PLUS_LIMIT_ERROR, TIME_OUT, Zeroing};
use super::framing::Framer;
use super::io::Pins;
use super::path::Path;
use super::refusal::{Answer, Refusal, number, ok};
use super::registers::{Identity, Registers};
use super::request::Request;
use crate::motion::{Axis, Passage, Side, Trajectory};
use crate::settings::StageSettings;

/// How motion is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopKind {
    /// With a ramp.
    Stop,
    /// At once.
    Abort,
}

/// A `STOP` or `ABORT` that the controller received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopCommand {
    /// When its last byte arrived.
    pub at: Nanos,
    /// Which of the two.
    pub kind: StopKind,
    /// Its axis; `None` for all.
    pub axis: Option<Axis>,
}

/// A synchronisation output came on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncEdge {
    /// When, on the true way and not when somebody asked.
    pub at: Nanos,
    /// The axis whose encoder met its condition: X is DO1 to U on DO4.
    pub axis: Axis,
}

/// A digital output was switched by a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputEdge {
    /// When.
    pub at: Nanos,
    /// The output, 1 to 8.
    pub output: usize,
    /// Its level from then on.
    pub on: bool,
}

/// What a fault script has broken.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Defects {
    pub(super) in_error: bool,
    pub(super) deaf_to_stop: bool,
    wrong_identity: bool,
}

/// The stage controller with its axes.
#[derive(Debug, Clone)]
pub struct Controller {
    pub(super) settings: StageSettings,
    pub(super) axes: [AxisState; 4],
    pub(super) registers: Registers,
    pub(super) identity: Identity,
    pub(super) pins: Pins,
    pub(super) path: Path,
    pub(super) incremental: bool,
    pub(super) defects: Defects,
    pub(super) stops: Vec<StopCommand>,
    pub(super) changes: u64,
    edges: Vec<SyncEdge>,
    pub(super) switched: Vec<OutputEdge>,
    framer: Framer,
    baud_code: u8,
    timer_end: Nanos,
    last_command: Nanos,
}

impl Controller {
    /// Returns a controller that was switched on at `start`.
    #[must_use]
    pub fn new(settings: &StageSettings, start: Nanos) -> Self {
        let identity = Identity::new(settings.device_number, settings.baud_code);
        Self {
            axes: Axis::ALL.map(|axis| AxisState::new(axis, settings, start)),
            registers: Registers::new(settings),
            pins: Pins::default(),
            path: Path::default(),
            incremental: false,
            defects: Defects::default(),
            stops: Vec::new(),
            changes: 0,
            edges: Vec::new(),
            switched: Vec::new(),
            framer: Framer::new(settings.framing, identity.device_number),
            baud_code: identity.baud_code,
            identity,
            timer_end: Nanos::ZERO,
            last_command: start,
            settings: settings.clone(),
        }
    }

    /// Takes a byte that arrived at `at`; returns the reply with its CR when the
    /// byte ends a command for this device.
    pub fn receive(&mut self, at: Nanos, byte: u8) -> Option<Vec<u8>> {
        let command = self.framer.push(byte)?;
        let reply = self.execute(at, &command);
        // A refusal has the bytes of its command: each was taken for one character.
        let bytes = reply.chars().map(|char| char as u8);
        Some(bytes.chain([b'\r']).collect())
    }

    /// Carries out a command without frame; returns the reply without CR.
    pub fn execute(&mut self, at: Nanos, command: &str) -> String {
        self.settle(at);
        self.last_command = at;
        let request = Request::new(command);
        self.answer(at, &request)
            .unwrap_or(Err(Refusal::NotUnderstood))
            .unwrap_or_else(|refusal| refusal.reply(command))
    }

    fn answer(&mut self, at: Nanos, request: &Request) -> Option<Answer> {
        self.answer_position(at, request)
            .or_else(|| self.answer_system(at, request))
            .or_else(|| self.answer_motion(at, request))
            .or_else(|| self.refuse_while_pulsing(at, request))
            .or_else(|| self.registers.answer(request))
            .or_else(|| self.answer_pins(at, request))
            .or_else(|| self.answer_trigger(at, request))
            .or_else(|| answer_programs(request))
    }

    fn answer_system(&mut self, at: Nanos, request: &Request) -> Option<Answer> {
        match request.text {
            "MST" => return Some(Ok(self.master_status(at))),
            "VER" if self.defects.wrong_identity => return Some(Ok("V999XX".to_owned())),
            "VER" => return Some(Ok(self.settings.firmware.clone())),
            "DN" if self.defects.wrong_identity => return Some(Ok("2ED07".to_owned())),
            "STORE" => return Some(self.store()),
            _ => {}
        }
        if request.name == "TR" {
            return Some(self.answer_timer(at, request));
        }
        self.identity.answer(request)
    }

    fn store(&mut self) -> Answer {
        self.registers.store();
        self.identity.store();
        ok()
    }

    fn answer_timer(&mut self, at: Nanos, request: &Request) -> Answer {
        let left_ms = ((self.timer_end - at).0.max(0) + 999_999) / 1_000_000;
        match request.number()? {
            None => number(left_ms),
            Some(_) if left_ms > 0 => Err(Refusal::TimerRunning),
            Some(ms) => {
                self.timer_end = at + Nanos::from_millis(ms.max(0));
                ok()
            }
        }
    }

    /// `SSPDMa=` is for idle axes only.
    fn refuse_while_pulsing(&self, at: Nanos, request: &Request) -> Option<Answer> {
        let axis = request.axis_after("SSPDM")?;
        let moving = request.value().is_some() && self.axes[axis.index()].is_moving(at);
        moving.then_some(Err(Refusal::Pulsing))
    }

    /// Lets everything happen that was due until `at`, in order.
    pub fn settle(&mut self, at: Nanos) {
        while let Some((axis, hit)) = self.next_collision(at) {
            self.collide(axis, hit);
        }
        for (axis, state) in Axis::ALL.into_iter().zip(&mut self.axes) {
            if let Some(zeroing) = state.zeroing.take_if(|zeroing| zeroing.at <= at) {
                apply(state, zeroing);
            }
            let edge = state.settle_sync(at).map(|at| SyncEdge { at, axis });
            self.edges.extend(edge);
        }
        self.watch_communication(at);
    }

    fn next_collision(&self, at: Nanos) -> Option<(Axis, Passage)> {
        let hits = Axis::ALL
            .into_iter()
            .filter_map(|axis| Some((axis, self.axes[axis.index()].collision?)));
        hits.filter(|(_, hit)| hit.at <= at)
            .min_by_key(|(_, hit)| hit.at)
    }

    fn collide(&mut self, axis: Axis, hit: Passage) {
        let state = &mut self.axes[axis.index()];
        state.collision = None;
        self.path.is_on = false;
        let bit = match Side::of(hit.velocity) {
            Side::Plus => PLUS_LIMIT_ERROR,
            Side::Minus => MINUS_LIMIT_ERROR,
        };
        self.fail(hit.at, axis, bit);
    }

    /// Latches an error, unless `IERR` says that there are none (§6.4).
    fn fail(&mut self, at: Nanos, axis: Axis, bit: u16) {
        if self.registers.get("IERR") == 1 {
            return;
        }
        self.axes[axis.index()].errors |= bit;
        for other in Axis::ALL {
            let joined = self.axes[axis.index()].group & (1 << other.index()) != 0;
            if other != axis && (joined || self.settings.limit_stops_all) {
                self.halt(at, other, StopKind::Abort);
            }
        }
    }

    /// What counts as traffic and how the bit clears is open (§14.20): any
    /// command re-arms, `CLRX` clears.
    fn watch_communication(&mut self, at: Nanos) {
        let limit_ms = self.registers.get("TOC");
        if limit_ms > 0 && at - self.last_command > Nanos::from_millis(limit_ms) {
            self.axes[Axis::X.index()].errors |= TIME_OUT;
        }
    }

    /// Closes a limit switch ahead of an axis, or its plus one at rest.
    pub fn force_limit(&mut self, at: Nanos, axis: Axis) {
        self.settle(at);
        let state = &mut self.axes[axis.index()];
        let velocity = state.trajectory.velocity_at(at);
        let (side, moving) = (Side::of(velocity), state.is_moving(at));
        state.forced_switch = Some(side);
        if moving {
            self.halt(at, axis, StopKind::Abort);
            let bit = if side == Side::Plus {
                PLUS_LIMIT_ERROR
            } else {
                MINUS_LIMIT_ERROR
            };
            self.fail(at, axis, bit);
        }
    }

    /// Switches the alarm input of an axis.
    pub fn set_alarm(&mut self, at: Nanos, axis: Axis, on: bool) {
        self.settle(at);
        self.axes[axis.index()].alarm = on;
        if on {
            self.fail_by_alarm(at, axis);
        }
    }

    /// Raises an alarm that lasts until the axis is cleared.
    pub fn force_alarm(&mut self, at: Nanos, axis: Axis) {
        self.settle(at);
        self.axes[axis.index()].forced_alarm = true;
        self.fail_by_alarm(at, axis);
    }

    fn fail_by_alarm(&mut self, at: Nanos, axis: Axis) {
        if self.axes[axis.index()].is_moving(at) {
            self.halt(at, axis, StopKind::Abort);
            self.fail(at, axis, ALARM_ERROR);
        }
    }

    /// Returns the first axis that pulses at `at`, X if none does.
    #[must_use]
    pub fn moving_axis(&self, at: Nanos) -> Axis {
        let mut axes = Axis::ALL.into_iter();
        axes.find(|axis| self.axes[axis.index()].is_moving(at))
            .unwrap_or(Axis::X)
    }

    /// Makes every move answer `?ERRORED` until power is cycled.
    pub fn enter_error_state(&mut self) {
        self.defects.in_error = true;
    }

    /// Makes the next `STOP` or `ABORT` be answered but not carried out.
    pub fn ignore_next_stop(&mut self) {
        self.defects.deaf_to_stop = true;
    }

    /// Makes `DN` and `VER` those of another device.
    pub fn pretend_other_identity(&mut self) {
        self.defects.wrong_identity = true;
    }

    /// Switches the controller off and on: what is not in flash is forgotten,
    /// the counters read zero where the axes stand.
    pub fn power_cycle(&mut self, at: Nanos) {
        self.settle(at);
        for axis in Axis::ALL {
            self.halt(at, axis, StopKind::Abort);
        }
        let mut fresh = Self::new(&self.settings, at);
        fresh.registers = self.registers.power_cycled(&self.settings);
        fresh.identity = self.identity.power_cycled();
        fresh.framer = Framer::new(self.settings.framing, fresh.identity.device_number);
        fresh.baud_code = fresh.identity.baud_code;
        fresh.pins.enables = fresh.registers.get("EOBOOT") as u8;
        fresh.pins.outputs = fresh.registers.get("DOBOOT") as u8;
        fresh.stops = std::mem::take(&mut self.stops);
        fresh.edges = std::mem::take(&mut self.edges);
        fresh.switched = std::mem::take(&mut self.switched);
        fresh.changes = self.changes + 1;
        for (new, old) in fresh.axes.iter_mut().zip(&self.axes) {
            new.trajectory.clone_from(&old.trajectory);
            new.set_counter(at, 0);
        }
        *self = fresh;
    }

    /// Returns the line rate in force, Bd.
    #[must_use]
    pub fn baud(&self) -> u32 {
        match self.baud_code {
            2 => 19_200,
            3 => 38_400,
            4 => 57_600,
            5 => 115_200,
            _ => 9_600,
        }
    }

    /// Returns the way of an axis, in machine steps.
    #[must_use]
    pub fn trajectory(&self, axis: Axis) -> &Trajectory {
        &self.axes[axis.index()].trajectory
    }

    /// Returns every `STOP` and `ABORT` received so far.
    #[must_use]
    pub fn stops(&self) -> &[StopCommand] {
        &self.stops
    }

    /// Returns every synchronisation output that came on so far.
    #[must_use]
    pub fn sync_edges(&self) -> &[SyncEdge] {
        &self.edges
    }

    /// Returns every switching of a digital output by a command so far.
    #[must_use]
    pub fn output_edges(&self) -> &[OutputEdge] {
        &self.switched
    }

    /// Returns a number that changes whenever a trajectory does.
    #[must_use]
    pub fn motion_changes(&self) -> u64 {
        self.changes
    }
}

fn apply(axis: &mut AxisState, zeroing: Zeroing) {
    axis.origin = zeroing.position;
    if zeroing.encoder_too {
        axis.set_encoder(zeroing.position, 0);
    }
}

/// Standalone programs and `StepNLoop` states: there are none (§3.7).
fn answer_programs(request: &Request) -> Option<Answer> {
    if request.axis_after("SLS").is_some() {
        return Some(number(0));
    }
    let programs = [("SASTAT", 4), ("SPC", 4), ("SR", 4), ("GS", 32)];
    let (prefix, count) = programs
        .into_iter()
        .find(|(prefix, _)| request.name.starts_with(prefix))?;
    match (prefix, request.index_after(prefix)?, request.value()) {
        (_, index, _) if index >= count => Some(Err(Refusal::Index)),
        ("GS", _, None) => Some(Err(Refusal::NoSubroutine)),
        ("SR", _, Some("0" | "1" | "2" | "3")) => Some(ok()),
        ("SASTAT" | "SPC", _, None) => Some(number(0)),
        _ => None,
    }
}
