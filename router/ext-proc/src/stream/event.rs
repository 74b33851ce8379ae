//! What goes into a stream's state machine and what comes out of it.

use std::net::SocketAddr;

use bytes::Bytes;

use super::violation::Violation;
use crate::{End, Headers, Refused, Subset, Usage};

/// What happened on a stream.
pub(crate) enum Event {
    /// How the gateway is configured; comes before the first message.
    Protocol(Protocol),
    RequestHeaders(RequestHead),
    RequestBody(Chunk),
    RequestTrailers,
    ResponseHeaders(ResponseHead),
    ResponseBody(Chunk),
    ResponseTrailers,
    /// The question of [`Action::Decide`] has been answered.
    Decided(Result<Route, Refused>),
    /// The request ran into a limit that only the driver can see.
    Refused(Refused),
    /// The stream ran into a limit after its request was over.
    Overrun(Violation),
    /// The gateway has nothing more to send.
    HalfClosed,
    /// The gateway has left, or the connection has.
    Reset,
    /// This picker ends now.
    Stopped,
}

/// What the driver has to do, in this order.
#[derive(Debug)]
pub(crate) enum Action {
    /// Find an endpoint; [`Event::Decided`] is the answer. At most once.
    Decide(Question),
    /// Stop looking for one.
    Abandon,
    /// Tell the gateway.
    Send(Answer),
    /// Tell the ticket that the response has begun.
    Responded(u16, Option<SocketAddr>),
    /// Tell the ticket that a part of the body has passed.
    Progressed,
    /// Tell the ticket how it ended.
    Finished(End, Option<Usage>),
    /// Drop the ticket: nobody knows how it ended.
    Forget,
    /// End the stream with OK.
    Close,
    /// End the stream with a gRPC status.
    Fail(Violation),
}

/// What the gateway says of its configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Protocol {
    /// Envoy's `BodySendMode` of requests.
    pub(crate) request_body: i32,
    /// Envoy's `BodySendMode` of responses.
    pub(crate) response_body: i32,
}

/// A request's first message.
pub(crate) struct RequestHead {
    pub(crate) headers: Headers,
    /// The subset hint's strings; `None` where there is no hint.
    pub(crate) hint: Option<Vec<String>>,
    pub(crate) end_of_stream: bool,
}

impl RequestHead {
    /// What headers and hint take in memory, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let hint = self.hint.iter().flatten();
        let hint: usize = hint.map(|text| text.len() + size_of::<String>()).sum();
        self.headers.bytes() + hint
    }
}

/// A part of a body.
pub(crate) struct Chunk {
    pub(crate) bytes: Vec<u8>,
    pub(crate) end_of_stream: bool,
}

/// A response's first message.
pub(crate) struct ResponseHead {
    pub(crate) headers: Headers,
    /// The endpoint that the gateway says the response comes from.
    pub(crate) served: Option<SocketAddr>,
    pub(crate) end_of_stream: bool,
}

/// A request in need of an endpoint. Holds a user's text.
pub(crate) struct Question {
    pub(crate) request_id: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Headers,
    pub(crate) body: Option<Bytes>,
    pub(crate) subset: Subset,
    /// Entries of the hint that nobody can read.
    pub(crate) subset_ignored: usize,
}

impl std::fmt::Debug for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Question")
            .field("request_id", &self.request_id)
            .field("body_bytes", &self.body.as_ref().map(Bytes::len))
            .field("subset", &self.subset)
            .finish_non_exhaustive()
    }
}

/// Where a request goes: a [`Routed`](crate::Routed) without its ticket.
pub(crate) struct Route {
    pub(crate) endpoints: Vec<SocketAddr>,
    pub(crate) body: Option<Bytes>,
    pub(crate) set_headers: Vec<(&'static str, String)>,
}

/// One message to the gateway.
#[derive(PartialEq)]
pub(crate) enum Answer {
    RequestHeaders(Mutation),
    RequestBody { bytes: Bytes, end_of_stream: bool },
    RequestTrailers,
    ResponseHeaders { served: Option<SocketAddr> },
    ResponseBody { bytes: Vec<u8>, end_of_stream: bool },
    ResponseTrailers,
    Immediate(Refused),
}

impl Answer {
    /// It belongs to the request, whose parts must not wait for ever.
    pub(crate) fn of_request(&self) -> bool {
        matches!(
            self,
            Self::RequestHeaders(_)
                | Self::RequestBody { .. }
                | Self::RequestTrailers
                | Self::Immediate(_)
        )
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::RequestHeaders(mutation) => write!(f, "RequestHeaders({mutation:?})"),
            Self::RequestBody { bytes, .. } => write!(f, "RequestBody({})", bytes.len()),
            Self::RequestTrailers => f.write_str("RequestTrailers"),
            Self::ResponseHeaders { .. } => f.write_str("ResponseHeaders"),
            Self::ResponseBody { bytes, .. } => write!(f, "ResponseBody({})", bytes.len()),
            Self::ResponseTrailers => f.write_str("ResponseTrailers"),
            Self::Immediate(refused) => write!(f, "Immediate({refused:?})"),
        }
    }
}

/// What is changed of a request's headers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mutation {
    /// `ip:port`, the first choice first, separated by commas.
    pub(crate) destination: String,
    pub(crate) set: Vec<(&'static str, String)>,
    pub(crate) remove: Vec<&'static str>,
}
