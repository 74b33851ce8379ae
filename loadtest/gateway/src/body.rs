//! Request and response bodies: whole, or fed part by part.

use std::convert::Infallible;

use anyhow::{Result, anyhow};
use bytes::Bytes;
use http::HeaderMap;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Frame;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Why a body broke off.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Any body.
pub type Body = BoxBody<Bytes, Failure>;

/// Parts on their way to a body's reader.
const PARTS: usize = 16;

/// A body that ends at once.
pub(crate) fn empty() -> Body {
    Empty::new().map_err(never).boxed()
}

/// A body in one piece.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(never).boxed()
}

fn never(never: Infallible) -> Failure {
    match never {}
}

/// The sending end of a body that is made as it goes. Dropping it ends the body.
#[derive(Debug)]
pub struct Feeder(mpsc::Sender<Result<Frame<Bytes>, Failure>>);

impl Feeder {
    /// A body, and what feeds it.
    #[must_use]
    pub fn body() -> (Self, Body) {
        let (sender, receiver) = mpsc::channel(PARTS);
        let body = StreamBody::new(ReceiverStream::new(receiver));
        (Self(sender), BodyExt::boxed(body))
    }

    /// Sends a part; waits while too many are on their way.
    ///
    /// # Errors
    /// If nobody reads any more.
    pub async fn send(&self, bytes: impl Into<Bytes>) -> Result<()> {
        self.frame(Ok(Frame::data(bytes.into()))).await
    }

    /// Sends the trailers, and so ends the body.
    ///
    /// # Errors
    /// If nobody reads any more.
    pub async fn trailers(self, trailers: HeaderMap) -> Result<()> {
        self.frame(Ok(Frame::trailers(trailers))).await
    }

    /// Breaks the body off: its connection is cut.
    pub async fn abort(self) {
        let _ = self.frame(Err("broken off on purpose".into())).await;
    }

    /// Whether somebody still reads.
    #[must_use]
    pub fn is_read(&self) -> bool {
        !self.0.is_closed()
    }

    /// Returns when nobody reads any more.
    pub async fn left(&self) {
        self.0.closed().await;
    }

    async fn frame(&self, frame: Result<Frame<Bytes>, Failure>) -> Result<()> {
        let sent = self.0.send(frame).await;
        sent.map_err(|_| anyhow!("the reader of this body is gone"))
    }
}
