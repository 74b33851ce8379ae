//! From the listener to connections that can be served.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::places::{Placed, Places};
use super::tls::Certificates;

/// Handshakes at a time; one more ends the oldest. So whoever connects and keeps
/// silent holds nobody up.
const HANDSHAKES_MAX: usize = 1_024;
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(3);

/// After an error that is not the connection's own, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Takes connections until `closing`, which closes the listener.
pub(super) async fn plaintext(
    listener: TcpListener,
    places: Places,
    closing: CancellationToken,
    connections: mpsc::Sender<io::Result<Placed<TcpStream>>>,
) {
    while let Some(accepted) = next(&listener, &closing).await {
        let Some(connection) = accepted.and_then(|connection| places.place(connection)) else {
            continue;
        };
        if connections.send(Ok(connection)).await.is_err() {
            return;
        }
    }
}

/// As [`plaintext`], under TLS. Handshakes do not wait for each other; one that
/// fails is the peer's concern.
pub(super) async fn tls(
    listener: TcpListener,
    places: Places,
    certificates: Arc<Certificates>,
    closing: CancellationToken,
    connections: mpsc::Sender<io::Result<Placed<TlsStream<TcpStream>>>>,
) {
    let mut unfinished = Unfinished::default();
    while let Some(accepted) = next(&listener, &closing).await {
        let Some(connection) = accepted else {
            // Perhaps the process has no files left, and silent peers have them.
            unfinished.end_oldest();
            continue;
        };
        let Some(place) = places.take() else {
            continue;
        };
        let (acceptor, connections) = (certificates.acceptor(), connections.clone());
        unfinished.begin(async move {
            match timeout(HANDSHAKE_TIMEOUT, acceptor.accept(connection)).await {
                Ok(Ok(connection)) => {
                    // A server that takes no more connections is stopping.
                    let _ = connections.send(Ok(place.with(connection))).await;
                }
                Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                Err(_) => tracing::debug!("a TLS handshake took too long"),
            }
        });
    }
}

/// Handshakes under way, the oldest first.
#[derive(Default)]
struct Unfinished(VecDeque<AbortHandle>);

impl Unfinished {
    fn begin(&mut self, handshake: impl Future<Output = ()> + Send + 'static) {
        if self.0.len() >= HANDSHAKES_MAX {
            self.0.retain(|handshake| !handshake.is_finished());
        }
        if self.0.len() >= HANDSHAKES_MAX {
            self.end_oldest();
        }
        self.0.push_back(tokio::spawn(handshake).abort_handle());
    }

    fn end_oldest(&mut self) {
        while let Some(oldest) = self.0.pop_front() {
            if !oldest.is_finished() {
                oldest.abort();
                return;
            }
        }
    }
}

/// The next connection, or `Some(None)` where none could be taken; `None` when the
/// listener shall close.
async fn next(listener: &TcpListener, closing: &CancellationToken) -> Option<Option<TcpStream>> {
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
            Some(Some(connection))
        }
        Err(error) => {
            tracing::warn!(%error, "a connection cannot be accepted");
            sleep(ACCEPT_PAUSE).await;
            Some(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;

    use super::*;

    /// A handshake with a silent peer; it lives for as long as the return value
    /// can be upgraded.
    fn silent(unfinished: &mut Unfinished) -> Weak<()> {
        let alive = Arc::new(());
        let weak = Arc::downgrade(&alive);
        unfinished.begin(async move {
            let _alive = alive;
            std::future::pending::<()>().await;
        });
        weak
    }

    #[tokio::test]
    async fn one_handshake_too_many_ends_the_oldest_that_is_unfinished() {
        let mut unfinished = Unfinished::default();
        unfinished.begin(async {});
        let oldest = silent(&mut unfinished);
        let others: Vec<_> = (2..HANDSHAKES_MAX)
            .map(|_| silent(&mut unfinished))
            .collect();
        while !unfinished.0[0].is_finished() {
            tokio::task::yield_now().await;
        }
        // In the place of the one that is finished; then in nobody's.
        let first = silent(&mut unfinished);
        tokio::task::yield_now().await;
        assert!(oldest.upgrade().is_some());
        let second = silent(&mut unfinished);
        while oldest.upgrade().is_some() {
            tokio::task::yield_now().await;
        }
        assert_eq!(unfinished.0.len(), HANDSHAKES_MAX);
        let living = others.iter().chain([&first, &second]);
        assert!(living.into_iter().all(|one| one.upgrade().is_some()));
    }
}
