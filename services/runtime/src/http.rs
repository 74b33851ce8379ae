//! Serves an axum router with limits: how many connections, how long a
//! request's head and body may take, how large its head may be.

mod body;
mod places;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use body::TimedBody;
use places::{Place, Places};

/// What one listener grants to its clients.
#[derive(Clone, Copy, Debug)]
pub struct HttpLimits {
    /// Connections at once. One more takes the place of the connection that
    /// has waited for its client for longest.
    pub max_connections: usize,
    /// How long the head of a request may take, and a connection may idle.
    pub head_timeout: Duration,
    /// How long the whole body of a request may take.
    pub body_timeout: Duration,
    /// How long the next piece of a body may take.
    pub piece_timeout: Duration,
    /// How long, after the stop, a connection may wait for its client: for the
    /// rest of a request, or for the answer to be taken.
    pub stop_timeout: Duration,
    /// The largest head of a request, in bytes. At least 8 KiB.
    pub max_head_bytes: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            max_connections: 1024,
            head_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            piece_timeout: Duration::from_secs(10),
            stop_timeout: Duration::from_secs(3),
            max_head_bytes: 64 * 1024,
        }
    }
}

/// hyper refuses to work with less.
const MIN_HEAD_BYTES: usize = 8 * 1024;
/// How long to wait when the system has no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers on `listener` until `stop`, then lets the requests under way
/// finish. Bound the end by a drain period ([`crate::drain`]).
///
/// # Errors
/// None at present: a failing accept is retried. The type leaves room for a
/// listener that is lost for good.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: HttpLimits,
    stop: CancellationToken,
) -> io::Result<()> {
    let places = Places::new(limits.max_connections);
    let connections = TaskTracker::new();
    while let Some((place, stream)) = accept(&listener, &places, &stop).await {
        connections.spawn(answer(stream, place, router.clone(), limits, stop.clone()));
    }
    drop(listener);
    connections.close();
    connections.wait().await;
    Ok(())
}

/// The next connection, with its place; `None` at the end.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Places>,
    stop: &CancellationToken,
) -> Option<(Place, TcpStream)> {
    let next = async {
        loop {
            match listener.accept().await {
                Ok((stream, _peer)) => return (places.take().await, stream),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    stop.run_until_cancelled(next).await
}

async fn answer(
    stream: TcpStream,
    place: Place,
    router: Router,
    limits: HttpLimits,
    stop: CancellationToken,
) {
    let peer: Option<SocketAddr> = stream.peer_addr().ok();
    // An answer is written at once; nothing is gained by waiting for more.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(?peer, %error, "the connection may be slow");
    }
    let place = Arc::new(place);
    let routes = TowerToHyperService::new(router);
    let service = service_fn(|request: Request<Incoming>| {
        let place = Arc::clone(&place);
        let (whole, piece) = (limits.body_timeout, limits.piece_timeout);
        let timed = |body| Body::new(TimedBody::new(body, Arc::clone(&place), whole, piece));
        let answered = routes.call(request.map(timed));
        async move {
            let answered = answered.await;
            place.clients_turn();
            answered
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_buf_size(limits.max_head_bytes.max(MIN_HEAD_BYTES))
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = place.given_up() => return,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection => ended,
                () = place.given_up() => return,
                () = left_waiting(&place, limits.stop_timeout) => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(?peer, %error, "connection ended");
    }
}

/// Ends when one turn of the client has taken all of `patience`.
async fn left_waiting(place: &Place, patience: Duration) {
    loop {
        let before = place.turn();
        tokio::time::sleep(patience).await;
        if before.is_some() && place.turn() == before {
            return;
        }
    }
}
