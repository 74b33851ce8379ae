//! Bound sockets: engines connect to them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::SocketContext;
use crate::TcpAddress;
use crate::source::Source;

/// Wait after a failed accept (no file descriptors left, usually).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Opens the listening socket.
pub(crate) async fn bind(address: &TcpAddress) -> io::Result<TcpListener> {
    let (host, port) = address.to_socket();
    TcpListener::bind((host.as_str(), port)).await
}

/// Accepts until the ingestor stops. Whatever a peer does ends its own
/// connection and nothing else.
pub(crate) async fn serve(
    context: Arc<SocketContext>,
    listener: TcpListener,
    source: Arc<Source>,
    topic_prefix: Arc<str>,
    limit: usize,
    tasks: TaskTracker,
) {
    let slots = Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS)));
    loop {
        let accepted = context.stop.run_until_cancelled(listener.accept()).await;
        let Some(accepted) = accepted else { return };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                context.metrics.connection_errors.add("accept", 1);
                tracing::warn!(error = &error as &dyn std::error::Error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            context.metrics.connection_errors.add("too_many", 1);
            continue;
        };
        let context = Arc::clone(&context);
        let (source, topic_prefix) = (Arc::clone(&source), Arc::clone(&topic_prefix));
        tasks.spawn(async move {
            serve_one(&context, stream, &source, &topic_prefix, peer).await;
            drop(slot);
        });
    }
}

async fn serve_one(
    context: &SocketContext,
    stream: TcpStream,
    source: &Source,
    topic_prefix: &str,
    peer: SocketAddr,
) {
    let opened = context
        .stop
        .run_until_cancelled(context.open(stream, topic_prefix))
        .await;
    match opened {
        None => {}
        Some(Ok(connection)) => context.receive_all(connection, source, peer).await,
        Some(Err(error)) => context.refuse(&error, peer),
    }
}
