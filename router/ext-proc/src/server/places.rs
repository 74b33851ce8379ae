//! How many connections there can be.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::transport::server::Connected;

/// The places for connections of one port.
#[derive(Clone)]
pub(super) struct Places(Arc<Semaphore>);

impl Places {
    pub(super) fn new(most: usize) -> Self {
        Self(Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))))
    }

    /// `None` if all are taken.
    pub(super) fn take(&self) -> Option<Place> {
        let place = Arc::clone(&self.0).try_acquire_owned();
        if place.is_err() {
            tracing::debug!("a connection was closed: there are as many as there may be");
        }
        place.ok().map(Place)
    }

    /// The connection in a place, or nothing: it is closed then.
    pub(super) fn place<C>(&self, connection: C) -> Option<Placed<C>> {
        self.take().map(|place| place.with(connection))
    }
}

/// One of [`Places`], until it is dropped.
pub(super) struct Place(OwnedSemaphorePermit);

impl Place {
    pub(super) fn with<C>(self, connection: C) -> Placed<C> {
        Placed {
            connection,
            _place: self.0,
        }
    }
}

/// A connection that has a place for as long as it lives.
pub(super) struct Placed<C> {
    connection: C,
    _place: OwnedSemaphorePermit,
}

impl<C: Connected> Connected for Placed<C> {
    type ConnectInfo = C::ConnectInfo;

    fn connect_info(&self) -> C::ConnectInfo {
        self.connection.connect_info()
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Placed<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_read(cx, into)
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Placed<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }
}
