//! One request and its response: events in, actions out, no I/O and no clock.
//!
//! ```text
//!  request   Awaited ──▶ Gathering ──▶ Deciding ──▶ Over (sent on, or refused)
//!  response  Awaited ──▶ Passing ──▶ Ended
//! ```
//! The two halves are nearly independent: a gateway answers some requests itself,
//! and shows that response whatever has become of the request.

mod event;
mod request;
mod response;
mod sse;
mod subset;
mod usage;
mod violation;

use bytes::Bytes;

pub(crate) use event::{
    Action, Answer, Chunk, Event, Mutation, Protocol, Question, RequestHead, ResponseHead, Route,
};
pub(crate) use response::served_address;
pub(crate) use violation::Violation;

use crate::{End, Refused, RefusedKind};
use request::Request;
use response::Response;

/// Envoy's `BodySendMode`.
const MODE_NONE: i32 = 0;
const MODE_FULL_DUPLEX_STREAMED: i32 = 4;

/// What all streams have in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) body_bytes_max: usize,
    pub(crate) destinations_max: usize,
    /// Obey the conformance tests' header.
    pub(crate) test_selection: bool,
}

/// Whom a stream is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waits {
    /// The client, to send the rest of its request.
    Request,
    /// The decision.
    Decision,
    /// The engine.
    Response,
}

/// The state machine of one stream.
pub(crate) struct Stream {
    rules: Rules,
    /// Becomes the request's id if the request has none.
    spare_id: u128,
    request: Request,
    response: Response,
    /// Somebody keeps books of this request.
    ticketed: bool,
    /// The gateway sends nothing more.
    half_closed: bool,
    /// The gateway does not show response bodies.
    headers_only: bool,
    closed: bool,
}

impl Stream {
    pub(crate) fn new(rules: Rules, spare_id: u128) -> Self {
        Self {
            rules,
            spare_id,
            request: Request::Awaited,
            response: Response::Awaited,
            ticketed: false,
            half_closed: false,
            headers_only: false,
            closed: false,
        }
    }

    pub(crate) fn waits_for(&self) -> Waits {
        match self.request {
            Request::Awaited | Request::Gathering(_) => Waits::Request,
            Request::Deciding(_) => Waits::Decision,
            Request::Over => Waits::Response,
        }
    }

    /// What follows from an event. Nothing does once the stream has ended.
    pub(crate) fn on(&mut self, event: Event) -> Vec<Action> {
        let mut out = Vec::new();
        if self.closed {
            return out;
        }
        match event {
            Event::Protocol(protocol) => self.configured(protocol, &mut out),
            Event::RequestHeaders(head) => self.request_headers(head, &mut out),
            Event::RequestBody(chunk) => self.request_body(chunk, &mut out),
            Event::RequestTrailers => self.request_trailers(&mut out),
            Event::ResponseHeaders(head) => self.response_headers(&head, &mut out),
            Event::ResponseBody(chunk) => self.response_body(chunk, &mut out),
            Event::ResponseTrailers => self.response_trailers(&mut out),
            Event::Decided(Ok(route)) => self.routed(route, &mut out),
            Event::Decided(Err(refused)) | Event::Refused(refused) => {
                self.refuse(refused, &mut out);
            }
            Event::Overrun(violation) => self.fail(violation, &mut out),
            Event::HalfClosed => self.half_closed(&mut out),
            Event::Reset => self.reset(&mut out),
            Event::Stopped => self.stopped(&mut out),
        }
        out
    }

    fn configured(&mut self, protocol: Protocol, out: &mut Vec<Action>) {
        let accepted = [MODE_NONE, MODE_FULL_DUPLEX_STREAMED];
        if protocol.request_body != MODE_FULL_DUPLEX_STREAMED {
            self.fail(Violation::RequestBodyMode(protocol.request_body), out);
        } else if !accepted.contains(&protocol.response_body) {
            self.fail(Violation::ResponseBodyMode(protocol.response_body), out);
        } else {
            self.headers_only = protocol.response_body == MODE_NONE;
        }
    }

    /// An orderly end. What the gateway still wants to hear is sent first.
    fn half_closed(&mut self, out: &mut Vec<Action>) {
        self.half_closed = true;
        if !matches!(self.request, Request::Deciding(_)) {
            self.leave(out);
        }
    }

    /// Ends a stream whose gateway has said its last word.
    fn leave(&mut self, out: &mut Vec<Action>) {
        let end = match self.response {
            Response::Awaited => None,
            Response::Passing(_) if self.headers_only => Some(End::Complete),
            Response::Passing(_) => Some(End::Cancelled),
        };
        match end {
            Some(end) => self.finish(end, out),
            None if self.ticketed => out.push(Action::Forget),
            None => {}
        }
        self.close(out);
    }

    /// The gateway is gone. One that shows no bodies may have been done, and shown
    /// as much as it ever shows.
    fn reset(&mut self, out: &mut Vec<Action>) {
        if matches!(self.request, Request::Deciding(_)) {
            out.push(Action::Abandon);
        }
        if self.headers_only {
            return self.leave(out);
        }
        self.finish(End::Cancelled, out);
        self.close(out);
    }

    /// A request that is still here gets an answer; a response can only be cut.
    fn stopped(&mut self, out: &mut Vec<Action>) {
        if matches!(self.request, Request::Over) {
            self.finish(End::Cancelled, out);
            self.fail(Violation::Stopped, out);
        } else {
            let refused = Refused {
                kind: RefusedKind::Unavailable,
                message: "this endpoint picker is stopping: send the request again".to_owned(),
                retry_after: Some(std::time::Duration::from_secs(1)),
            };
            self.refuse(refused, out);
        }
    }

    /// Answers in place of an engine, if it is not too late for that.
    fn refuse(&mut self, refused: Refused, out: &mut Vec<Action>) {
        match std::mem::replace(&mut self.request, Request::Over) {
            Request::Over => return,
            Request::Deciding(_) => out.push(Action::Abandon),
            Request::Awaited | Request::Gathering(_) => {}
        }
        out.push(Action::Send(Answer::Immediate(refused)));
        self.close(out);
    }

    /// Closes the books, if there are any: before the answer that makes the
    /// gateway leave.
    fn finish(&mut self, end: End, out: &mut Vec<Action>) {
        let usage = self.response.usage();
        if std::mem::take(&mut self.ticketed) {
            out.push(Action::Finished(end, usage));
        }
    }

    fn fail(&mut self, violation: Violation, out: &mut Vec<Action>) {
        if matches!(self.request, Request::Deciding(_)) {
            out.push(Action::Abandon);
        }
        self.finish(End::Cancelled, out);
        self.closed = true;
        self.request = Request::Over;
        out.push(Action::Fail(violation));
    }

    fn close(&mut self, out: &mut Vec<Action>) {
        self.closed = true;
        self.request = Request::Over;
        out.push(Action::Close);
    }
}

/// Cuts a body into messages that every data plane takes. At least one, so that
/// an empty body is answered too; `end_of_stream` stands on the last.
fn body_answers(mut body: Bytes, end_of_stream: bool, out: &mut Vec<Action>) {
    /// Some data planes take no more than 64 KiB in one message.
    const CHUNK_BYTES: usize = 62_000;
    loop {
        let part = body.split_to(body.len().min(CHUNK_BYTES));
        let last = body.is_empty();
        out.push(Action::Send(Answer::RequestBody {
            bytes: part,
            end_of_stream: last && end_of_stream,
        }));
        if last {
            return;
        }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
