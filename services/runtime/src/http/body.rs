//! A request's body that has to arrive in time.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::places::Place;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Fails when the whole body, or its next piece, is late. Tells the connection's
/// place when the body is there and it is the server's turn.
pub(super) struct TimedBody<B> {
    inner: Pin<Box<B>>,
    place: Arc<Place>,
    whole: Duration,
    piece: Duration,
    end: Instant,
    late: Pin<Box<Sleep>>,
}

impl<B: Body> TimedBody<B> {
    /// Its time begins now: the head is there.
    pub(super) fn new(inner: B, place: Arc<Place>, whole: Duration, piece: Duration) -> Self {
        if inner.is_end_stream() {
            place.servers_turn();
        } else {
            place.clients_turn();
        }
        let now = Instant::now();
        let end = now + whole;
        Self {
            inner: Box::pin(inner),
            place,
            whole,
            piece,
            end,
            late: Box::pin(sleep_until(end.min(now + piece))),
        }
    }

    fn too_late(&self) -> BoxError {
        let (whole, piece) = (self.whole.as_millis(), self.piece.as_millis());
        let text = format!(
            "the body did not arrive in time: {whole} ms in all, {piece} ms for its next piece"
        );
        io::Error::new(io::ErrorKind::TimedOut, text).into()
    }
}

impl<B> Body for TimedBody<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        match this.inner.as_mut().poll_frame(context) {
            Poll::Pending => match this.late.as_mut().poll(context) {
                Poll::Ready(()) => Poll::Ready(Some(Err(this.too_late()))),
                Poll::Pending => Poll::Pending,
            },
            Poll::Ready(Some(Ok(frame))) => {
                if this.inner.is_end_stream() {
                    this.place.servers_turn();
                } else if Instant::now() >= this.end {
                    return Poll::Ready(Some(Err(this.too_late())));
                } else {
                    let next = this.end.min(Instant::now() + this.piece);
                    this.late.as_mut().reset(next);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(None) => {
                this.place.servers_turn();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
