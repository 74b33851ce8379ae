//! Signals to cancellation.

use std::io;

use thiserror::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit code of a process that was told to end twice.
pub const FORCED_EXIT_CODE: i32 = 130;

/// The system did not let this process handle a signal.
#[derive(Debug, Error)]
#[error("cannot listen for {name}")]
pub struct SignalError {
    /// The signal.
    pub name: &'static str,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

/// From now on the first SIGTERM or SIGINT cancels `token`, and the next one
/// ends the process with [`FORCED_EXIT_CODE`]. Call it once, inside a tokio
/// runtime, before any role starts.
///
/// # Errors
/// If the system refuses a handler.
pub fn cancel_on_signal(token: CancellationToken) -> Result<(), SignalError> {
    let mut terminate = listen("SIGTERM", SignalKind::terminate())?;
    let mut interrupt = listen("SIGINT", SignalKind::interrupt())?;
    tokio::spawn(async move {
        let first = either(&mut terminate, &mut interrupt).await;
        tracing::info!(signal = first, "draining; once more to end at once");
        token.cancel();
        let second = either(&mut terminate, &mut interrupt).await;
        tracing::warn!(signal = second, "ending without drain");
        std::process::exit(FORCED_EXIT_CODE);
    });
    Ok(())
}

fn listen(name: &'static str, kind: SignalKind) -> Result<Signal, SignalError> {
    signal(kind).map_err(|source| SignalError { name, source })
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}
