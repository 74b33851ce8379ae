//! A TCP proxy whose link can be made slow, or silent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

/// Bytes read at once.
const CHUNK: usize = 64 << 10;

/// Chunks on their way in one direction.
const IN_FLIGHT: usize = 64;

/// A proxy in front of one address; ends when dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    delay: Arc<AtomicU64>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// If there is none.
    pub async fn start(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let delay = Arc::new(AtomicU64::new(0));
        let link = Arc::clone(&delay);
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                while connections.try_join_next().is_some() {}
                connections.spawn(serve(client, target, Arc::clone(&link)));
            }
        });
        Ok(Self {
            address,
            delay,
            accepting,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How late bytes arrive from now on, each way.
    pub fn set_delay(&self, delay: Duration) {
        let millis = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.delay.store(millis, Ordering::Relaxed);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(client: TcpStream, target: SocketAddr, delay: Arc<AtomicU64>) {
    let Ok(server) = TcpStream::connect(target).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    tokio::select! {
        () = pass(client_read, server_write, &delay) => {}
        () = pass(server_read, client_write, &delay) => {}
    }
}

/// Passes bytes one way, each as late as the link says when it is read.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: &AtomicU64) {
    let (sender, mut receiver) = mpsc::channel::<(Instant, Bytes)>(IN_FLIGHT);
    let read = async move {
        let mut buffer = vec![0; CHUNK];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            let delay = Duration::from_millis(delay.load(Ordering::Relaxed));
            let chunk = Bytes::copy_from_slice(&buffer[..length]);
            if sender.send((Instant::now() + delay, chunk)).await.is_err() {
                break;
            }
        }
    };
    let write = async move {
        while let Some((due, chunk)) = receiver.recv().await {
            tokio::time::sleep_until(due).await;
            if to.write_all(&chunk).await.is_err() {
                break;
            }
        }
    };
    tokio::join!(read, write);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Client, EchoEngine, get};

    #[tokio::test]
    async fn a_slow_link_delays_and_passes_everything() {
        let engine = EchoEngine::start("e", "127.0.0.1:0".parse().unwrap());
        let engine = engine.await.unwrap();
        let proxy = Proxy::start(engine.address()).await.unwrap();
        let quick = Client::once(proxy.address(), get("e", "/a")).await.unwrap();
        assert_eq!(quick.status, 200);
        proxy.set_delay(Duration::from_millis(60));
        let began = Instant::now();
        let slow = Client::once(proxy.address(), get("e", "/b")).await.unwrap();
        assert_eq!(slow.status, 200);
        assert!(began.elapsed() >= Duration::from_millis(120));
    }
}
