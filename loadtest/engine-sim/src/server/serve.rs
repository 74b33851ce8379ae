//! Accepts connections, and cuts them when the engine dies.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::shared::Shared;

/// Serves until it is dropped; all its connections end with it.
pub(crate) async fn serve(listener: TcpListener, router: Router, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // Fails where descriptors run out: others may end meanwhile.
                if let Ok((stream, _)) = accepted {
                    let life = shared.life.subscribe();
                    connections.spawn(connection(stream, router.clone(), life));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Until its client ends it, or the engine's life does. Connections of operators
/// outlive the engine, or they would not learn how a restart went.
async fn connection(stream: TcpStream, router: Router, mut life: watch::Receiver<u64>) {
    let _ = stream.set_nodelay(true);
    let operator = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&operator);
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request: Request<Incoming>| {
        if request.uri().path().starts_with("/debug/") {
            seen.store(true, Ordering::Relaxed);
        }
        router.call(request)
    });
    let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    loop {
        tokio::select! {
            // A connection that its client ends badly is no concern of the engine.
            _ = &mut serving => return,
            changed = life.changed() => {
                if changed.is_err() || !operator.load(Ordering::Relaxed) {
                    return;
                }
            }
        }
    }
}
