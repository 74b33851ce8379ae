//! One stream's messages, put together here and not by the gRPC library: its buffer
//! keeps the size of the largest message for as long as the stream lives, and
//! nobody could count it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use envoy_types::pb::envoy::service::ext_proc::v3::ProcessingRequest;
use prost::Message;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{Body as _, Service, http};
use tonic::server::NamedService;

use super::limits::{Held, Shared};
use super::settings::Settings;
use crate::wire;

/// Compression flag and length, before every message (gRPC over HTTP/2).
const PREFIX_BYTES: usize = 5;

/// Buffers begin with so much at most, and double.
const BUFFER_BYTES: usize = 16 << 10;

/// What of the first message is neither headers nor metadata.
const FIRST_REST_BYTES: usize = 4 << 10;

/// Why no further message can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    /// The gateway has left, or what it sends is not gRPC.
    Left,
    /// A message is longer than this many bytes.
    Message(usize),
    /// Headers, or trailers, are longer than this many bytes.
    Headers(usize),
    /// Metadata and attributes are longer than this many bytes.
    Metadata(usize),
    /// All bytes that may be held are.
    Crowded,
}

/// Reads the messages of one stream. What is being put together is counted.
pub(super) struct Messages {
    body: Body,
    limits: Limits,
    /// Came, and has not been looked at.
    part: Bytes,
    prefix: Vec<u8>,
    /// Of the message that is coming; `None` until its prefix is whole.
    length: Option<usize>,
    message: Vec<u8>,
    held: Held,
    /// No message has come yet.
    first: bool,
}

struct Limits {
    message: usize,
    headers: usize,
    metadata: usize,
}

impl Limits {
    fn of(settings: &Settings) -> Self {
        Self {
            message: settings.message_bytes_max,
            headers: settings.headers_bytes_max,
            metadata: settings.metadata_bytes_max,
        }
    }

    /// The first message carries no body: one that is too long need not be read to
    /// its end.
    fn check_length(&self, length: usize, first: bool) -> Result<(), Unread> {
        let most = self.headers.saturating_add(self.metadata);
        if first && length > most.saturating_add(FIRST_REST_BYTES) {
            return Err(Unread::Headers(self.headers));
        }
        if length > self.message {
            return Err(Unread::Message(self.message));
        }
        Ok(())
    }

    /// Before anything is decoded: a message of many empty entries takes many times
    /// its length.
    fn check_parts(&self, message: &[u8]) -> Result<(), Unread> {
        let sizes = wire::sizes(message).map_err(|_| Unread::Left)?;
        if sizes.headers > self.headers {
            return Err(Unread::Headers(self.headers));
        }
        if sizes.metadata > self.metadata {
            return Err(Unread::Metadata(self.metadata));
        }
        Ok(())
    }
}

impl Messages {
    pub(super) fn new(body: Body, shared: &Arc<Shared>) -> Self {
        Self {
            body,
            limits: Limits::of(&shared.settings),
            part: Bytes::new(),
            prefix: Vec::with_capacity(PREFIX_BYTES),
            length: None,
            message: Vec::new(),
            held: Held::new(shared),
            first: true,
        }
    }

    /// The next message; `None` where the gateway has nothing more to send. Loses
    /// nothing when it is dropped half way.
    pub(super) async fn next(&mut self) -> Result<Option<ProcessingRequest>, Unread> {
        loop {
            if let Some(message) = self.taken()? {
                return Ok(Some(message));
            }
            match next_part(&mut self.body).await {
                Some(Ok(part)) => self.part = part,
                Some(Err(_)) => return Err(Unread::Left),
                None if self.prefix.is_empty() => return Ok(None),
                None => return Err(Unread::Left),
            }
        }
    }

    /// Reads to the end of the stream and keeps nothing.
    pub(super) async fn drain(mut self) {
        while let Some(Ok(_)) = next_part(&mut self.body).await {}
    }

    /// Gives up what is being put together.
    pub(super) fn forget(&mut self) {
        self.message = Vec::new();
        self.held.release();
    }

    /// The message that what has come completes.
    fn taken(&mut self) -> Result<Option<ProcessingRequest>, Unread> {
        let Some(length) = self.announced()? else {
            return Ok(None);
        };
        let more = self.part.len().min(length - self.message.len());
        self.reserve(more, length)?;
        self.message.extend_from_slice(&self.part.split_to(more));
        if self.message.len() < length {
            return Ok(None);
        }
        self.limits.check_parts(&self.message)?;
        let message = ProcessingRequest::decode(self.message.as_slice());
        self.forget();
        self.prefix.clear();
        self.length = None;
        self.first = false;
        message.map(Some).map_err(|_| Unread::Left)
    }

    /// The length of the message that is coming.
    fn announced(&mut self) -> Result<Option<usize>, Unread> {
        if self.length.is_some() {
            return Ok(self.length);
        }
        let more = self.part.len().min(PREFIX_BYTES - self.prefix.len());
        self.prefix.extend_from_slice(&self.part.split_to(more));
        let &[flag, a, b, c, d] = self.prefix.as_slice() else {
            return Ok(None);
        };
        if flag != 0 {
            return Err(Unread::Left);
        }
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        self.limits.check_length(length, self.first)?;
        self.length = Some(length);
        Ok(self.length)
    }

    /// Room for `more` bytes of a message of `length`, counted before it is taken.
    fn reserve(&mut self, more: usize, length: usize) -> Result<(), Unread> {
        let (had, need) = (self.message.capacity(), self.message.len() + more);
        if need <= had {
            return Ok(());
        }
        let grown = need
            .max(had.saturating_mul(2))
            .max(BUFFER_BYTES)
            .min(length);
        if !self.held.hold_small(grown - had) {
            return Err(Unread::Crowded);
        }
        self.message.reserve_exact(grown - self.message.len());
        Ok(())
    }
}

async fn next_part(body: &mut Body) -> Option<Result<Bytes, Status>> {
    loop {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await?;
        match frame.map(|frame| frame.into_data().ok()) {
            Ok(Some(part)) => return Some(Ok(part)),
            // Trailers of the stream say nothing.
            Ok(None) => {}
            Err(status) => return Some(Err(status)),
        }
    }
}

/// A stream's body as it came, on its way past the gRPC library.
#[derive(Clone)]
pub(super) struct Raw(Arc<Mutex<Option<Body>>>);

impl Raw {
    /// The body; the second time `None`.
    pub(super) fn take(&self) -> Option<Body> {
        let mut body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        body.take()
    }
}

/// Leaves bodies in their request's extensions, as [`Raw`].
#[derive(Clone)]
pub(super) struct Unwrapped<S>(pub(super) S);

impl<S: NamedService> NamedService for Unwrapped<S> {
    const NAME: &'static str = S::NAME;
}

impl<S: Service<http::Request<Body>>> Service<http::Request<Body>> for Unwrapped<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> S::Future {
        let (mut parts, body) = request.into_parts();
        let raw = Raw(Arc::new(Mutex::new(Some(body))));
        parts.extensions.insert(raw);
        self.0.call(http::Request::from_parts(parts, Body::empty()))
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use envoy_types::pb::envoy::service::ext_proc::v3::HttpBody;
    use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request;
    use http_body_util::Full;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{Asked, Decide, Refused, Routed, StreamStats};

    struct Nobody;

    #[async_trait]
    impl Decide for Nobody {
        async fn decide(&self, _: Asked) -> Result<Routed, Refused> {
            std::future::pending().await
        }
    }

    fn shared(buffered_bytes_max: usize) -> Arc<Shared> {
        let settings = Settings {
            buffered_bytes_max,
            ..Settings::default()
        };
        let stats = Arc::new(StreamStats::default());
        let stop = CancellationToken::new();
        Arc::new(Shared::new(Arc::new(Nobody), settings, stats, stop))
    }

    fn framed(announced: usize, bytes: &[u8]) -> Vec<u8> {
        let length = u32::try_from(announced).unwrap().to_be_bytes();
        [&[0][..], &length, bytes].concat()
    }

    fn body_message(bytes: usize) -> ProcessingRequest {
        ProcessingRequest {
            request: Some(Request::RequestBody(HttpBody {
                body: vec![b'x'; bytes],
                ..HttpBody::default()
            })),
            ..ProcessingRequest::default()
        }
    }

    fn messages(bytes: Vec<u8>, shared: &Arc<Shared>) -> Messages {
        Messages::new(Body::new(Full::new(Bytes::from(bytes))), shared)
    }

    #[tokio::test]
    async fn messages_that_come_together_are_read_one_by_one_and_nothing_stays() {
        let shared = shared(1 << 20);
        let sent = [3, 0, 300_000].map(body_message);
        let encoded = sent.each_ref().map(Message::encode_to_vec);
        let bytes = encoded.each_ref().map(|one| framed(one.len(), one));
        let mut messages = messages(bytes.concat(), &shared);
        for one in sent {
            assert_eq!(messages.next().await, Ok(Some(one)));
            assert_eq!(shared.stats.bytes_buffered.get(), 0);
            assert_eq!(messages.message.capacity(), 0);
        }
        assert_eq!(messages.next().await, Ok(None));
    }

    #[tokio::test]
    async fn a_message_that_never_ends_is_counted_and_given_back() {
        let shared = shared(1 << 20);
        let mut cut = messages(framed(400_000, &[b'x'; 100_000]), &shared);
        assert_eq!(cut.next().await, Err(Unread::Left));
        let counted = shared.stats.bytes_buffered.get();
        assert!((100_000..=200_000).contains(&counted), "{counted}");
        drop(cut);
        assert_eq!(shared.stats.bytes_buffered.get(), 0);
    }

    #[tokio::test]
    async fn when_all_is_full_only_short_messages_have_room() {
        let shared = shared(10_000);
        let mut long = messages(framed(100_000, &[b'x'; 90_000]), &shared);
        assert_eq!(long.next().await, Err(Unread::Crowded));
        let short = body_message(50_000);
        let encoded = short.encode_to_vec();
        let mut other = messages(framed(encoded.len(), &encoded), &shared);
        assert_eq!(other.next().await, Ok(Some(short)));
    }

    #[tokio::test]
    async fn what_is_announced_too_long_is_not_waited_for() {
        let shared = shared(1 << 30);
        let most = shared.settings.headers_bytes_max;
        for length in [2 * most, 60 * most] {
            let mut head = messages(framed(length, b""), &shared);
            assert_eq!(head.next().await, Err(Unread::Headers(most)));
        }
        let most = shared.settings.message_bytes_max;
        let empty = framed(0, b"");
        let mut later = messages([empty, framed(most + 1, b"")].concat(), &shared);
        assert_eq!(later.next().await, Ok(Some(ProcessingRequest::default())));
        assert_eq!(later.next().await, Err(Unread::Message(most)));
    }

    #[tokio::test]
    async fn what_is_no_grpc_is_an_end() {
        let shared = shared(1 << 20);
        for bytes in [
            vec![0],
            vec![1, 0, 0, 0, 0],
            framed(3, b"x"),
            framed(1, b"\xff"),
        ] {
            let mut broken = messages(bytes, &shared);
            assert_eq!(broken.next().await, Err(Unread::Left));
        }
    }
}
