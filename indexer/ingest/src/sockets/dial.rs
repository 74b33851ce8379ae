//! Sockets that connect to an engine, again and again.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;

use super::SocketContext;
use crate::TcpAddress;
use crate::config::{Backoff, HANDSHAKE_TIMEOUT};
use crate::source::Source;
use crate::zmtp::{Connection, ZmtpError};

/// Opens a TCP connection, within the time of a handshake.
async fn connect(address: &TcpAddress) -> io::Result<TcpStream> {
    let (host, port) = address.to_socket();
    let connecting = TcpStream::connect((host.as_str(), port));
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, connecting).await {
        Ok(result) => result,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Keeps a connection to `address` until the ingestor stops.
pub(crate) async fn keep_connected(
    context: Arc<SocketContext>,
    address: TcpAddress,
    source: Arc<Source>,
    topic_prefix: String,
    backoff: Backoff,
) {
    let mut failures = 0_u32;
    while !context.stop.is_cancelled() {
        let opening = open(&context, &address, &topic_prefix);
        match context.stop.run_until_cancelled(opening).await {
            None => return,
            Some(Ok((connection, peer))) => {
                failures = 1;
                context.receive_all(connection, &source, peer).await;
            }
            Some(Err(error)) => {
                failures = failures.saturating_add(1);
                context.metrics.connection_errors.add(error.label(), 1);
                if failures == 1 {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(%address, error, "cannot connect; trying again");
                }
            }
        }
        let pause = tokio::time::sleep(backoff.delay(failures));
        context.stop.run_until_cancelled(pause).await;
    }
}

async fn open(
    context: &SocketContext,
    address: &TcpAddress,
    topic_prefix: &str,
) -> Result<(Connection, SocketAddr), ZmtpError> {
    let stream = connect(address).await?;
    let peer = stream.peer_addr()?;
    Ok((context.open(stream, topic_prefix).await?, peer))
}
