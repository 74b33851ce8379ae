//! A connection that its client cannot hold open for nothing.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::{Connected, TcpConnectInfo};

/// Bytes of the preface that every HTTP/2 client begins with.
const PREFACE: usize = 24;

/// When connections have to end. A transport that shuts down waits for the
/// preface of those who never sent one, and for the answers of those who do not
/// answer; these are the bounds.
#[derive(Debug, Clone)]
pub(super) struct Bounds {
    /// How long the preface may take.
    pub(super) preface: Duration,
    /// Ends connections that have sent no preface.
    pub(super) stop: CancellationToken,
    /// Ends all connections.
    pub(super) close: CancellationToken,
}

/// A TCP connection that fails when its bounds say so.
pub(super) struct Guarded {
    tcp: TcpStream,
    /// Bytes of the preface that are not there yet.
    missing: usize,
    close: CancellationToken,
    end: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Guarded {
    pub(super) fn new(tcp: TcpStream, bounds: &Bounds) -> Self {
        let Bounds {
            preface,
            stop,
            close,
        } = bounds.clone();
        let end = async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(preface) => {}
            }
        };
        Self {
            tcp,
            missing: PREFACE,
            close,
            end: Box::pin(end),
        }
    }

    /// Pending, or an error if the connection has to end.
    fn unless_ended<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        match self.end.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                // A future that has ended must not be asked again.
                self.end = Box::pin(poll_fn(|_| Poll::Ready(())));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }

    fn read(&mut self, bytes: usize) {
        if self.missing > 0 {
            self.missing = self.missing.saturating_sub(bytes);
            if self.missing == 0 {
                self.end = Box::pin(self.close.clone().cancelled_owned());
            }
        }
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.tcp).poll_read(context, buffer) {
            Poll::Pending => self.unless_ended(context),
            ready => {
                self.read(buffer.filled().len() - before);
                ready
            }
        }
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.tcp).poll_write(context, bytes) {
            Poll::Pending => self.unless_ended(context),
            ready => ready,
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.tcp).poll_write_vectored(context, bytes) {
            Poll::Pending => self.unless_ended(context),
            ready => ready,
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}

impl Connected for Guarded {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.tcp.connect_info()
    }
}
