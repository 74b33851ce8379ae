//! Serves Envoy: one task per stream around the pure state machine.
//!
//! ```text
//!  listener ─▶ accept (TLS) ─▶ tonic ─▶ service ─▶ driver, one per stream
//!                                                   │    ▲
//!                                        events ────┘    └──── actions
//!                                             state machine
//! ```

mod accept;
mod driver;
mod error;
mod health;
mod limits;
mod messages;
mod places;
mod refusals;
mod service;
mod settings;
mod stats;
mod tls;

use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::Router;

pub use error::{ServeError, SettingsError, TlsError};
pub use settings::{Settings, TlsSource};
pub use stats::{Gauge, StreamStats};

use crate::Decide;
use health::Health;
use limits::Shared;
use places::Places;
use service::Processor;
use tls::Certificates;

/// After the drain timeout, connections have so long to say goodbye.
const FAREWELL: std::time::Duration = std::time::Duration::from_secs(2);

/// Where gateways and probes come in.
#[derive(Debug)]
pub struct Listeners {
    /// For ext_proc, under the TLS of [`Settings::tls`].
    pub ext_proc: TcpListener,
    /// For gRPC health checks, always plaintext.
    pub health: Option<TcpListener>,
}

/// Who lives how long.
#[derive(Debug, Clone)]
pub struct Lifecycle {
    /// Whether requests can be routed: what readiness probes see. When the sender
    /// is gone, its last word stays.
    pub readiness: watch::Receiver<bool>,
    /// Ends the server in an orderly way.
    pub shutdown: CancellationToken,
}

/// Serves until the shutdown is over.
///
/// From [`Lifecycle::shutdown`] on, health says `NOT_SERVING`; for
/// [`Settings::drain_delay`] everything else goes on, so that gateways notice;
/// then no connection and no stream is taken any more, and open streams have what
/// is left of [`Settings::drain_timeout`] to end. What is still open then is cut:
/// requests with an immediate 503, responses with `UNAVAILABLE`.
///
/// # Errors
/// [`ServeError`] if a setting or a certificate cannot be used, or a listener
/// fails.
pub async fn serve(
    listeners: Listeners,
    decide: Arc<dyn Decide>,
    settings: Settings,
    stats: Arc<StreamStats>,
    life: Lifecycle,
) -> Result<(), ServeError> {
    settings.validate()?;
    let certificates = Certificates::load(&settings).await?;
    let Lifecycle {
        readiness,
        shutdown,
    } = life;
    let (closing, stop) = (CancellationToken::new(), CancellationToken::new());
    let health = Health::new().await;
    let shared = Arc::new(Shared::new(decide, settings.clone(), stats, stop.clone()));
    let router = ext_proc_router(shared, &settings, &health);
    let places = Places::new(settings.connections_max);
    let incoming = incoming(
        listeners.ext_proc,
        router,
        places,
        certificates.clone(),
        &closing,
    );
    tokio::select! {
        result = incoming => result,
        result = serve_health(listeners.health, Places::new(settings.connections_max), &health) => result,
        () = health.follow(readiness, shutdown.clone()) => Ok(()),
        () = reload(certificates, &settings) => Ok(()),
        () = drain(&shutdown, &settings, &closing, &stop) => Ok(()),
    }
}

/// Ends when nobody can be waited for any longer.
async fn drain(
    shutdown: &CancellationToken,
    settings: &Settings,
    closing: &CancellationToken,
    stop: &CancellationToken,
) {
    shutdown.cancelled().await;
    tracing::info!(delay = ?settings.drain_delay, timeout = ?settings.drain_timeout, "draining");
    sleep(settings.drain_delay).await;
    closing.cancel();
    sleep(settings.drain_timeout.saturating_sub(settings.drain_delay)).await;
    stop.cancel();
    sleep(FAREWELL).await;
}

/// Windows let a body of several megabytes come without waiting for updates. A
/// stream that is not read holds its own window only, and the connection's is so
/// much larger that others go on.
fn ext_proc_router(shared: Arc<Shared>, settings: &Settings, health: &Health) -> Router {
    const STREAM_WINDOW_BYTES: u32 = 256 << 10;
    const CONNECTION_WINDOW_BYTES: u32 = 1 << 28;
    let health = settings.health_on_ext_proc.then(|| health.service());
    Server::builder()
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keepalive_interval(Some(settings.keepalive_interval))
        .http2_keepalive_timeout(Some(settings.keepalive_timeout))
        // Gateways reset every stream as soon as they have their last answer, and
        // a burst of clients that leave resets many at once. Neither is abuse, and
        // these counters end the whole connection, with every request on it.
        .http2_max_local_error_reset_streams(None)
        .http2_max_pending_accept_reset_streams(Some(settings.streams_max))
        .add_service(Processor::new(shared).server())
        .add_optional_service(health)
}

fn incoming(
    listener: TcpListener,
    router: Router,
    places: Places,
    certificates: Option<Arc<Certificates>>,
    closing: &CancellationToken,
) -> BoxFuture<'static, Result<(), ServeError>> {
    /// Connections that wait for the server to take them.
    const CONNECTIONS_WAITING: usize = 64;
    let signal = closing.clone().cancelled_owned();
    let closing = closing.clone();
    if let Some(certificates) = certificates {
        let (connections, waiting) = mpsc::channel(CONNECTIONS_WAITING);
        let accept = accept::tls(listener, places, certificates, closing, connections);
        let serve = router.serve_with_incoming_shutdown(ReceiverStream::new(waiting), signal);
        Box::pin(async move { tokio::join!(accept, serve).1.map_err(ServeError::ExtProc) })
    } else {
        let (connections, waiting) = mpsc::channel(CONNECTIONS_WAITING);
        let accept = accept::plaintext(listener, places, closing, connections);
        let serve = router.serve_with_incoming_shutdown(ReceiverStream::new(waiting), signal);
        Box::pin(async move { tokio::join!(accept, serve).1.map_err(ServeError::ExtProc) })
    }
}

/// Goes on while the rest drains, to say `NOT_SERVING`.
async fn serve_health(
    listener: Option<TcpListener>,
    places: Places,
    health: &Health,
) -> Result<(), ServeError> {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    let (connections, waiting) = mpsc::channel(16);
    let accept = accept::plaintext(listener, places, CancellationToken::new(), connections);
    let server = Server::builder().add_service(health.service());
    let serve = server.serve_with_incoming(ReceiverStream::new(waiting));
    tokio::join!(accept, serve).1.map_err(ServeError::Health)
}

async fn reload(certificates: Option<Arc<Certificates>>, settings: &Settings) {
    match certificates {
        Some(certificates) => certificates.watch(settings.cert_reload_interval).await,
        None => std::future::pending().await,
    }
}
