//! Drives one stream: hears what happens, does what the state machine says.

use std::ops::ControlFlow;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use envoy_types::pb::envoy::service::ext_proc::v3::{ProcessingRequest, ProcessingResponse};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::{Code, Status};

use super::limits::{Held, Place, Shared};
use super::messages::{Messages, Unread};
use super::refusals::{broken, full, late, nowhere, unread};
use crate::stream::{Action, Answer, Event, Question, Route, Stream, Violation, Waits};
use crate::{Asked, End, Refused, Routed, Ticket, wire};

pub(super) type Answers = mpsc::Sender<Waiting>;

/// An answer that the gateway has not taken yet, and what it holds until then.
pub(super) struct Waiting {
    answer: Result<ProcessingResponse, Status>,
    held: Option<Held>,
}

impl Waiting {
    pub(super) fn new(answer: Result<ProcessingResponse, Status>) -> Self {
        Self { answer, held: None }
    }

    pub(super) fn taken(self) -> Result<ProcessingResponse, Status> {
        drop(self.held);
        self.answer
    }
}

/// A decision that comes this much after its deadline still counts: it knows
/// better where to go than we do.
const DECISION_GRACE: Duration = Duration::from_millis(250);

pub(super) struct Driver {
    shared: Arc<Shared>,
    place: Place,
    answers: Answers,
    stream: Stream,
    ticket: Option<Box<dyn Ticket>>,
    decision: Option<BoxFuture<'static, Result<Routed, Refused>>>,
    /// Of the part of a response that is on its way back.
    passing: Option<Held>,
    arrived: Instant,
    heard: Instant,
    decide_by: Instant,
    /// The gateway may have more to say.
    listening: bool,
}

enum Heard {
    Message(Box<ProcessingRequest>),
    Decided(Result<Routed, Refused>),
    Late,
    Other(Event),
}

impl Driver {
    pub(super) fn new(shared: Arc<Shared>, place: Place, answers: Answers) -> Self {
        let stream = Stream::new(shared.settings.rules(), rand::random());
        let now = Instant::now();
        Self {
            shared,
            place,
            answers,
            stream,
            ticket: None,
            decision: None,
            passing: None,
            arrived: now,
            heard: now,
            decide_by: now,
            listening: true,
        }
    }

    /// Until the stream has ended, one way or another.
    pub(super) async fn run(mut self, incoming: &mut Messages) {
        let mut stop = Box::pin(self.shared.stop.clone().cancelled_owned());
        loop {
            let heard = self.hear(incoming, &mut stop).await;
            if self.handle(heard).await.is_break() {
                return;
            }
            if self.stream.waits_for() == Waits::Response {
                self.place.release();
            }
        }
    }

    async fn hear(
        &mut self,
        incoming: &mut Messages,
        stop: &mut std::pin::Pin<Box<WaitForCancellationFutureOwned>>,
    ) -> Heard {
        let until = self.until();
        tokio::select! {
            biased;
            () = stop => Heard::Other(Event::Stopped),
            decided = settled(&mut self.decision) => {
                self.decision = None;
                Heard::Decided(decided)
            }
            message = incoming.next(), if self.listening => self.heard(message),
            () = self.answers.closed() => Heard::Other(Event::Reset),
            () = sleep_until(until.unwrap_or(self.heard).into()), if until.is_some() => Heard::Late,
        }
    }

    fn heard(&mut self, message: Result<Option<ProcessingRequest>, Unread>) -> Heard {
        match message {
            Ok(Some(message)) => Heard::Message(Box::new(message)),
            Ok(None) => {
                self.listening = false;
                Heard::Other(Event::HalfClosed)
            }
            Err(reason) => {
                self.listening = false;
                let request_over = self.stream.waits_for() == Waits::Response;
                Heard::Other(unread(reason, request_over))
            }
        }
    }

    /// How long whoever is waited for has. Responses may take as long as they like.
    fn until(&self) -> Option<Instant> {
        let settings = &self.shared.settings;
        match self.stream.waits_for() {
            Waits::Request => {
                let idle = self.heard + settings.body_idle_timeout;
                Some(idle.min(self.arrived + settings.body_timeout))
            }
            Waits::Decision => Some(self.decide_by + DECISION_GRACE),
            Waits::Response => None,
        }
    }

    async fn handle(&mut self, heard: Heard) -> ControlFlow<()> {
        let event = match heard {
            Heard::Message(message) => return self.message(*message).await,
            Heard::Decided(decided) => self.decided(decided),
            Heard::Late => self.late(),
            Heard::Other(event) => event,
        };
        self.apply(event).await
    }

    async fn message(&mut self, message: ProcessingRequest) -> ControlFlow<()> {
        let wire::Message { protocol, event } = wire::read(message);
        if let Some(protocol) = protocol {
            self.apply(Event::Protocol(protocol)).await?;
        }
        let Some(event) = event else {
            return ControlFlow::Continue(());
        };
        if self.stream.waits_for() == Waits::Request {
            self.heard = Instant::now();
        }
        let event = self.counted(event);
        self.apply(event).await
    }

    /// The event, if there is room for what it brings; else what follows from that.
    fn counted(&mut self, event: Event) -> Event {
        let gathering = self.stream.waits_for() == Waits::Request;
        match &event {
            Event::RequestHeaders(head) if gathering => {
                let most = self.shared.settings.headers_bytes_max;
                if head.headers.bytes() > most {
                    return unread(Unread::Headers(most), false);
                }
                if !self.place.hold(head.bytes()) {
                    return Event::Refused(full());
                }
            }
            Event::RequestBody(chunk) if gathering && !self.place.hold(chunk.bytes.len()) => {
                return Event::Refused(full());
            }
            Event::ResponseBody(chunk) => {
                let mut held = Held::new(&self.shared);
                if !held.hold_small(chunk.bytes.len()) {
                    return unread(Unread::Crowded, true);
                }
                self.passing = Some(held);
            }
            _ => {}
        }
        event
    }

    fn decided(&mut self, decided: Result<Routed, Refused>) -> Event {
        let routed = match decided {
            Ok(routed) if routed.endpoints.is_empty() => return Event::Decided(Err(nowhere())),
            Ok(routed) => routed,
            Err(refused) => return Event::Decided(Err(refused)),
        };
        self.shared.stats.routed.inc();
        self.ticket = Some(routed.ticket);
        Event::Decided(Ok(Route {
            endpoints: routed.endpoints,
            body: routed.body,
            set_headers: routed.set_headers,
        }))
    }

    fn late(&self) -> Event {
        let deciding = self.stream.waits_for() == Waits::Decision;
        if deciding {
            self.shared.stats.decisions_late.inc();
        }
        Event::Refused(late(deciding))
    }

    async fn apply(&mut self, event: Event) -> ControlFlow<()> {
        for action in self.stream.on(event) {
            match action {
                Action::Decide(question) => self.ask(question),
                Action::Abandon => {
                    if self.decision.take().is_some() {
                        self.shared.stats.abandoned.inc();
                    }
                }
                Action::Send(answer) => {
                    if self.send(answer).await.is_break() {
                        return self.gone();
                    }
                }
                Action::Responded(status, served) => self.with_ticket(|ticket| {
                    ticket.responded(status, served);
                }),
                Action::Progressed => self.with_ticket(|ticket| ticket.progressed()),
                told @ (Action::Finished(..) | Action::Forget) => self.settle(&told),
                Action::Close => return ControlFlow::Break(()),
                Action::Fail(violation) => {
                    self.fail(violation).await;
                    return ControlFlow::Break(());
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// The gateway reads no more answers.
    fn gone(&mut self) -> ControlFlow<()> {
        for action in self.stream.on(Event::Reset) {
            self.settle(&action);
        }
        ControlFlow::Break(())
    }

    fn with_ticket(&mut self, tell: impl FnOnce(&mut dyn Ticket)) {
        if let Some(ticket) = &mut self.ticket {
            tell(ticket.as_mut());
        }
    }

    fn settle(&mut self, action: &Action) {
        let stats = &self.shared.stats;
        match action {
            Action::Finished(end, usage) => {
                match end {
                    End::Complete => stats.completed.inc(),
                    End::Cancelled => stats.cancelled.inc(),
                }
                stats.usages.add(u64::from(usage.is_some()));
                if let Some(ticket) = self.ticket.take() {
                    ticket.finished(*end, *usage);
                }
            }
            Action::Forget => {
                stats.unseen.inc();
                self.ticket = None;
            }
            _ => {}
        }
    }

    fn ask(&mut self, question: Question) {
        let stats = &self.shared.stats;
        let ignored = u64::try_from(question.subset_ignored).unwrap_or(u64::MAX);
        stats.subset_entries_ignored.add(ignored);
        self.decide_by = Instant::now() + self.shared.settings.decision_timeout;
        let asked = Asked {
            request_id: question.request_id,
            method: question.method,
            path: question.path,
            headers: question.headers,
            body: question.body,
            subset: question.subset,
            arrived: self.arrived,
            deadline: self.decide_by,
        };
        let shared = Arc::clone(&self.shared);
        self.decision = Some(Box::pin(async move {
            let decision = AssertUnwindSafe(async { shared.decide.decide(asked).await });
            decision.catch_unwind().await.unwrap_or_else(|_| {
                shared.stats.panics.inc();
                Err(broken())
            })
        }));
    }

    /// Waits for a gateway that does not read: for parts of a request only so
    /// long, for parts of a response as long as the client takes.
    async fn send(&mut self, answer: Answer) -> ControlFlow<()> {
        if let Answer::Immediate(refused) = &answer {
            self.shared.stats.refused(refused.kind).inc();
        }
        let bounded = answer.of_request();
        let held = match &answer {
            Answer::ResponseBody { .. } => self.passing.take(),
            _ => None,
        };
        let waiting = Waiting {
            answer: Ok(wire::write(answer)),
            held,
        };
        let sent = match self.answers.try_send(waiting) {
            Ok(()) => true,
            Err(TrySendError::Closed(_)) => false,
            Err(TrySendError::Full(message)) => {
                let sending = self.answers.send(message);
                let idle = self.shared.settings.body_idle_timeout;
                tokio::select! {
                    sent = sending => sent.is_ok(),
                    () = tokio::time::sleep(idle), if bounded => false,
                    () = self.shared.stop.cancelled() => false,
                }
            }
        };
        if sent {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    }

    async fn fail(&mut self, violation: Violation) {
        let code = match violation {
            Violation::RequestBodyMode(_) | Violation::ResponseBodyMode(_) => {
                Code::FailedPrecondition
            }
            Violation::NoHeaders | Violation::HeadersTwice => Code::InvalidArgument,
            Violation::TooLong => Code::ResourceExhausted,
            Violation::Stopped | Violation::Crowded => Code::Unavailable,
        };
        if code != Code::Unavailable {
            self.shared.stats.violations.inc();
            if self.shared.first_violation() {
                tracing::error!(reason = %violation, "the gateway is not set up for this picker");
            }
        }
        let status = Status::new(code, violation.to_string());
        // A gateway that does not read learns it from the end of the stream.
        let _ = timeout(DECISION_GRACE, self.answers.send(Waiting::new(Err(status)))).await;
    }
}

/// The decision, once there is one.
async fn settled(
    decision: &mut Option<BoxFuture<'static, Result<Routed, Refused>>>,
) -> Result<Routed, Refused> {
    match decision {
        Some(decision) => decision.await,
        None => std::future::pending().await,
    }
}
