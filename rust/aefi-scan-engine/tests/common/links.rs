//! A flight's links without a shell: who drives them decides where records go.

use std::sync::Arc;

use aefi_bench_sim::SimulatedBench;
use aefi_scan_engine::controls::Controls;
use aefi_scan_engine::conversation::{Conversation, DeviceLogic, Next};
use aefi_scan_engine::machine::detector::{DetectorMachine, MotionNews};
use aefi_scan_engine::machine::stage::StageMachine;
use aefi_scan_engine::protocol::Request;
use aefi_scan_engine::shell::FlightSetup;
use aefi_scan_engine::{Link, Nanos, VirtualBench};

/// The time a host takes from a reply to its next request.
const HOST_TIME: Nanos = Nanos::from_micros(20);

pub struct Talk<L: DeviceLogic> {
    link: Link,
    pub conversation: Conversation<L>,
    turn: Nanos,
}

/// Returns both links of a flight, and where the detector hears of the motion.
pub fn links(
    setup: &FlightSetup,
    controls: &Arc<Controls>,
) -> (Talk<StageMachine>, Talk<DetectorMachine>, MotionNews) {
    let stage = StageMachine::new(
        Arc::clone(&setup.plan),
        setup.stage.clone(),
        Arc::clone(controls),
    );
    let (detector, news) = DetectorMachine::new(
        Arc::clone(&setup.plan),
        setup.detector,
        Arc::clone(controls),
    );
    (
        Talk::new(Link::Stage, stage, setup.stage.byte_time),
        Talk::new(Link::Acquisition, detector, setup.detector.byte_time),
        news,
    )
}

impl<L: DeviceLogic> Talk<L> {
    pub fn new(link: Link, logic: L, byte_time: Nanos) -> Self {
        Self {
            link,
            conversation: Conversation::new(logic, byte_time),
            turn: Nanos::ZERO,
        }
    }

    /// Returns when something happens here next, `NEVER` if nothing does any more.
    pub fn next(&self, bench: &SimulatedBench) -> Nanos {
        bench
            .next_arrival(self.link)
            .unwrap_or(Nanos::NEVER)
            .min(self.turn)
    }

    /// One event of this link at `now`; the engine's own part runs inside `around`.
    pub fn step(
        &mut self,
        now: Nanos,
        bench: &mut SimulatedBench,
        records: &mut dyn FnMut(L::Record),
        around: &dyn Fn(&mut dyn FnMut()),
    ) {
        if bench.next_arrival(self.link).is_some_and(|at| at <= now) {
            let mut bytes = Vec::new();
            bench.read(self.link, now, &mut bytes);
            around(&mut || self.conversation.received(now, &bytes, records));
            self.turn = now + HOST_TIME;
            return;
        }
        let (mut next, mut written) = (Next::Over, None);
        around(&mut || {
            let write = |_, request: &Request| {
                written = Some(*request);
                Ok(())
            };
            next = self.conversation.drive(|| now, write, records);
        });
        if let Some(request) = written {
            bench.write(self.link, now, request.bytes());
        }
        self.turn = match next {
            Next::Wrote(at) => at + HOST_TIME,
            Next::Wait(until) => until.max(now + Nanos(1)),
            Next::Over => Nanos::NEVER,
        };
    }
}
