//! From the listener to connections that can be served.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{sleep, timeout};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::tls::Certificates;

/// Handshakes at a time: whoever connects and keeps silent holds one of them, and
/// nobody else up.
const HANDSHAKES_MAX: usize = 256;
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// After an error that is not the connection's own, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Takes connections until `closing`, which closes the listener.
pub(super) async fn plaintext(
    listener: TcpListener,
    closing: CancellationToken,
    connections: mpsc::Sender<io::Result<TcpStream>>,
) {
    while let Some(connection) = next(&listener, &closing).await {
        if connections.send(Ok(connection)).await.is_err() {
            return;
        }
    }
}

/// As [`plaintext`], under TLS. Handshakes do not wait for each other; one that
/// fails is the peer's concern.
pub(super) async fn tls(
    listener: TcpListener,
    certificates: Arc<Certificates>,
    closing: CancellationToken,
    connections: mpsc::Sender<io::Result<TlsStream<TcpStream>>>,
) {
    let places = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    while let Some(connection) = next(&listener, &closing).await {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let (acceptor, connections) = (certificates.acceptor(), connections.clone());
        tokio::spawn(async move {
            let _place = place;
            match timeout(HANDSHAKE_TIMEOUT, acceptor.accept(connection)).await {
                Ok(Ok(connection)) => {
                    // A server that takes no more connections is stopping.
                    let _ = connections.send(Ok(connection)).await;
                }
                Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                Err(_) => tracing::debug!("a TLS handshake took too long"),
            }
        });
    }
}

/// The next connection; `None` when the listener shall close.
async fn next(listener: &TcpListener, closing: &CancellationToken) -> Option<TcpStream> {
    loop {
        let accepted = tokio::select! {
            biased;
            () = closing.cancelled() => return None,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((connection, _)) => {
                // Answers are small: they must not wait for more to send.
                if let Err(error) = connection.set_nodelay(true) {
                    tracing::debug!(%error, "TCP_NODELAY cannot be set");
                }
                return Some(connection);
            }
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
