//! A TCP proxy that counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Stands before a port of 127.0.0.1. Ends when dropped.
pub(crate) struct CountingProxy {
    pub(crate) port: u16,
    /// Bytes from the server to its clients.
    down: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl CountingProxy {
    pub(crate) async fn before(target: u16) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let down = Arc::new(AtomicU64::new(0));
        let task = tokio::spawn(serve(listener, target, Arc::clone(&down)));
        Ok(Self { port, down, task })
    }

    pub(crate) fn down_bytes(&self) -> u64 {
        self.down.load(Ordering::Relaxed)
    }
}

impl Drop for CountingProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, target: u16, down: Arc<AtomicU64>) {
    while let Ok((client, _)) = listener.accept().await {
        let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await else {
            continue;
        };
        // Delays of their own would be measured with the rest.
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let (client, server) = (client.into_split(), server.into_split());
        tokio::spawn(carry(client.0, server.1, Arc::default()));
        tokio::spawn(carry(server.0, client.1, Arc::clone(&down)));
    }
}

async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    count: Arc<AtomicU64>,
) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if to.write_all(&buffer[..read]).await.is_err() {
            break;
        }
        count.fetch_add(read as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_the_server_says_is_counted() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = server.local_addr().unwrap().port();
        let answering = tokio::spawn(async move {
            let (mut stream, _) = server.accept().await.unwrap();
            let mut question = [0; 3];
            stream.read_exact(&mut question).await.unwrap();
            stream.write_all(&[7; 100_000]).await.unwrap();
        });
        let proxy = CountingProxy::before(port).await.unwrap();
        let mut client = TcpStream::connect(("127.0.0.1", proxy.port)).await.unwrap();
        client.write_all(b"how").await.unwrap();
        let mut answer = vec![0; 100_000];
        client.read_exact(&mut answer).await.unwrap();
        answering.await.unwrap();
        assert_eq!((proxy.down_bytes(), answer[0]), (100_000, 7));
    }
}
