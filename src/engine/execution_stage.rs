//! Knows orders on the wire: records the intent, writes and signs the bytes, lets them go, follows
//! what becomes of them.

use super::link::{Accept, Crossing, Halt, push_or_halt};
use super::probe::Probe;
use crate::base::Event;
use crate::base::counters::{Counter, Counters};
use crate::base::event::Kind;
use crate::base::hop::{Hop, Stamp};
use crate::base::ids::Seq;
use crate::base::settings::{InstrumentSettings, ORDER_WINDOW_MS};
use crate::base::time::Nanos;
use crate::execution::{Execution, RequestText, Signer};
use crate::journal::Recorder;
use crate::risk::Approved;
use rtrb::Producer;
use std::sync::Arc;

/// What reaches execution: inputs it follows its orders by, and orders risk has approved. The
/// approval itself crosses the ring, so nothing else can be sent.
#[derive(Debug)]
pub enum ToExecution {
    /// A numbered input.
    Input(Event),
    /// An approved order or cancel.
    Approved(Approved),
}

/// Where requests go when they leave, and where what execution itself finds out comes back in.
pub struct Outlet {
    ring: Option<Producer<Crossing<Event>>>,
    texts: Option<Producer<RequestText>>,
}

impl Outlet {
    /// The ring back to the feed: a paper venue beside it takes the orders; refusals and timeouts
    /// enter the river there.
    pub const fn ring(producer: Producer<Crossing<Event>>) -> Self {
        Self { ring: Some(producer), texts: None }
    }

    /// The same with the signed texts: each is on `texts` before its order or cancel is on the
    /// ring, so whoever takes the one finds the other. For a venue that is asked by them.
    pub fn with_texts(mut self, texts: Producer<RequestText>) -> Self {
        self.texts = Some(texts);
        self
    }

    /// Nowhere: replay, where everything that came back is already in lane 0.
    pub const fn none() -> Self {
        Self { ring: None, texts: None }
    }

    fn let_go<P: Probe>(&mut self, event: Event, origin: Stamp, probe: &mut P) -> Result<(), Halt> {
        let Some(producer) = &mut self.ring else { return Ok(()) };
        let crossing = Crossing { message: event, origin, sent: probe.stamp() };
        push_or_halt("execution_feed", producer, crossing)
    }

    fn let_text_go(&mut self, query: &[u8]) -> Result<(), Halt> {
        let Some(producer) = &mut self.texts else { return Ok(()) };
        push_or_halt("execution_feed_texts", producer, RequestText::new(query))
    }
}

/// How long a request may go unanswered before its outcome counts as unknown.
const PATIENCE: Nanos = Nanos::from_secs(5);

/// The fourth stage; see the head of this file.
pub struct ExecutionStage {
    execution: Execution,
    recorder: Recorder,
    outlet: Outlet,
    counters: Arc<Counters>,
}

impl ExecutionStage {
    /// `recorder` writes lane 3.
    pub fn new(
        instruments: &[InstrumentSettings],
        signer: &Signer,
        recorder: Recorder,
        outlet: Outlet,
        counters: Arc<Counters>,
    ) -> Self {
        let execution = Execution::new(instruments, ORDER_WINDOW_MS, signer);
        Self { execution, recorder, outlet, counters }
    }

    /// The orders on the wire.
    pub const fn execution(&self) -> &Execution {
        &self.execution
    }

    /// The recorder, at the end of a session.
    pub fn into_recorder(self) -> Recorder {
        self.recorder
    }

    fn record(&mut self, event: &Event) -> Result<(), Halt> {
        let _ = self.recorder.append(event).map_err(|fault| Halt::Journal { lane: 3, fault })?;
        Ok(())
    }

    fn on_input<P: Probe>(
        &mut self,
        event: &Event,
        origin: Stamp,
        probe: &mut P,
    ) -> Result<(), Halt> {
        match event.kind() {
            Some(Kind::OrderFilled) => self.counters.add(Counter::Fills, 1),
            Some(Kind::OrderRejected) => self.counters.add(Counter::Rejected, 1),
            Some(Kind::OrderUnknown) => self.counters.add(Counter::Unknown, 1),
            Some(Kind::Timer) => {
                if let Some(unknown) = self.execution.overdue(event.now(), PATIENCE) {
                    self.outlet.let_go(unknown, origin, probe)?;
                }
                return Ok(());
            }
            _ => {}
        }
        if let Some(state) = self.execution.on_report(event) {
            self.record(&state)?;
        }
        Ok(())
    }

    /// Intent to the journal, then bytes, then out: in this order and no other.
    fn send<P: Probe>(
        &mut self,
        approved: Approved,
        origin: Stamp,
        probe: &mut P,
    ) -> Result<(), Halt> {
        let start = probe.stamp();
        let seq = approved.event().seq;
        let intent = Execution::intent(&approved);
        let journaled =
            self.recorder.append(&intent).map_err(|fault| Halt::Journal { lane: 3, fault })?;
        match self.execution.send(approved, &journaled) {
            Ok(outgoing) => {
                let cancel = outgoing.kind.is_cancel();
                let counter = if cancel { Counter::Cancels } else { Counter::Orders };
                let (order, sent, state) = (outgoing.order, outgoing.sent, outgoing.state);
                self.outlet.let_text_go(outgoing.query())?;
                let done = probe.stamp();
                self.outlet.let_go(order, origin, probe)?;
                probe.record(Hop::EncodeSend, seq, start, done);
                probe.record(Hop::TickToOrder, seq, origin, done);
                self.counters.add(counter, 1);
                self.record(&sent)?;
                if let Some(state) = state {
                    self.record(&state)?;
                }
                Ok(())
            }
            Err(refused) => self.outlet.let_go(refused.report, origin, probe),
        }
    }
}

impl Accept for ExecutionStage {
    type Message = ToExecution;

    #[inline]
    fn seq(message: &ToExecution) -> Seq {
        match message {
            ToExecution::Input(event) => event.seq,
            ToExecution::Approved(approved) => approved.event().seq,
        }
    }

    #[inline]
    fn accept<P: Probe>(
        &mut self,
        message: ToExecution,
        origin: Stamp,
        probe: &mut P,
    ) -> Result<(), Halt> {
        match message {
            ToExecution::Input(event) => self.on_input(&event, origin, probe),
            ToExecution::Approved(approved) => self.send(approved, origin, probe),
        }
    }
}
