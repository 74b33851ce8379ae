//! The seam between Envoy's protocol and whoever picks the endpoint.
//!
//! ```text
//!  Envoy ⇄ stream ──Asked──▶ Decide ──Routed | Refused──▶ stream ⇄ Envoy
//!                    Ticket ◀── status, served endpoint, usage, end
//! ```

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;

use crate::Headers;

/// Picks an endpoint for one request.
#[async_trait]
pub trait Decide: Send + Sync + 'static {
    /// Answers before [`Asked::deadline`], with or without scores.
    ///
    /// The future is dropped when nobody waits any more: the client has left, the
    /// gateway has answered itself, or the deadline is well over. Books that it has
    /// opened by then must close on drop. A panic costs only its own request.
    async fn decide(&self, asked: Asked) -> Result<Routed, Refused>;
}

/// A request, as far as a decision needs it. Holds a user's text: never log it.
pub struct Asked {
    /// `x-request-id`, or one that was made up.
    pub request_id: String,
    /// `:method`.
    pub method: String,
    /// `:path` without the query.
    pub path: String,
    /// Every header, pseudo headers too.
    pub headers: Headers,
    /// The whole body; `None` where the request has none.
    pub body: Option<Bytes>,
    /// The endpoints that may be picked.
    pub subset: Subset,
    /// When the request's headers came.
    pub arrived: Instant,
    /// When the answer must be there.
    pub deadline: Instant,
}

/// The endpoints that the gateway allows for one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subset {
    /// No hint: the whole pool.
    Whole,
    /// Only these; empty means none.
    Only(Vec<SubsetEntry>),
}

/// One entry of a subset hint: `ip`, or `ip:port`. Without a port it stands for
/// every port of the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubsetEntry {
    /// The address.
    pub ip: std::net::IpAddr,
    /// The port, if only one is meant.
    pub port: Option<u16>,
}

/// Where a request goes.
pub struct Routed {
    /// First choice, then what to fall back to. Never empty.
    pub endpoints: Vec<SocketAddr>,
    /// What to send instead of the body that came.
    pub body: Option<Bytes>,
    /// Headers for the engine, overwritten if the client sent them.
    pub set_headers: Vec<(&'static str, String)>,
    /// Is told how it ends.
    pub ticket: Box<dyn Ticket>,
}

/// Keeps the books of one routed request. Dropping it without
/// [`finished`](Ticket::finished) means that nobody knows how it ended.
pub trait Ticket: Send {
    /// The response has begun. `served` is the endpoint that the gateway says it
    /// comes from; it may not be the first choice.
    fn responded(&mut self, status: u16, served: Option<SocketAddr>);

    /// Part of the response's body has passed: the first time, a token was made.
    fn progressed(&mut self);

    /// It is over.
    fn finished(self: Box<Self>, end: End, usage: Option<Usage>);
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The response has passed to its last byte.
    Complete,
    /// The client or the engine left before that.
    Cancelled,
}

/// What the engine says it did, from the response's `usage`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Of those, tokens that were not computed again; `None`: not said.
    pub cached_tokens: Option<u64>,
    /// Tokens made.
    pub completion_tokens: u64,
}

/// Why a request goes nowhere. Becomes an immediate response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// What happened.
    pub kind: RefusedKind,
    /// For the client: what was seen and how to mend it. No prompt text.
    pub message: String,
    /// When it makes sense to try again.
    pub retry_after: Option<Duration>,
}

/// What a refusal means; the status follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedKind {
    /// The request can never be routed as it is: 400.
    BadRequest,
    /// The body is longer than is allowed: 413.
    TooLarge,
    /// Everything is busy and the request may be shed: 429.
    Saturated,
    /// No endpoint is ready, or none that the subset allows: 503.
    NoEndpoint,
    /// This picker is stopping: 503.
    Unavailable,
    /// It took longer than the request's deadline: 503.
    Deadline,
    /// A mistake of ours: 500.
    Internal,
    /// Headers, metadata or attributes are longer than is allowed: 431.
    HeadersTooLarge,
    /// This picker holds as many streams or bytes as it may: 503.
    Crowded,
}
