//! A TCP proxy in front of a node: its address is the one that others know the
//! node by, so that everything said to the node goes through here.

use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::links::{Links, Quality, Who};

/// Bytes read at once.
const CHUNK: usize = 32 << 10;

/// Chunks on their way in one direction.
const IN_FLIGHT: usize = 64;

/// A listening proxy; ends when dropped.
pub(crate) struct Proxy {
    /// The port that it listens on, on 127.0.0.1.
    pub(crate) port: u16,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Passes connections to `port` on to `target`, both on 127.0.0.1.
    pub(crate) async fn start(port: u16, target: u16, to: Who, links: Links) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await;
        let listener = listener.with_context(|| format!("proxy port {port}"))?;
        let accepting = tokio::spawn(async move {
            while let Ok((client, peer)) = listener.accept().await {
                let links = links.clone();
                tokio::spawn(async move {
                    let from = links.identify(peer.port(), port);
                    serve(client, target, links.follow(from, to)).await;
                });
            }
        });
        Ok(Self { port, accepting })
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Passes bytes both ways until either side ends or the link is cut.
async fn serve(client: TcpStream, target: u16, mut quality: watch::Receiver<Quality>) {
    if delay_of(&mut quality).await.is_none() || *quality.borrow() == Quality::Cut {
        return;
    }
    let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    let mut cut = quality.clone();
    tokio::select! {
        () = pass(client_read, server_write, quality.clone()) => {}
        () = pass(server_read, client_write, quality) => {}
        _ = cut.wait_for(|quality| *quality == Quality::Cut) => {}
    }
}

/// Passes bytes one way, each as late as the link says.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut quality: watch::Receiver<Quality>,
) {
    let (sender, mut receiver) = mpsc::channel::<(Instant, Bytes)>(IN_FLIGHT);
    let read = async move {
        let mut buffer = vec![0; CHUNK];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            let chunk = Bytes::copy_from_slice(&buffer[..length]);
            if sender.send((Instant::now(), chunk)).await.is_err() {
                break;
            }
        }
    };
    let write = async move {
        while let Some((arrived, chunk)) = receiver.recv().await {
            let Some(delay) = delay_of(&mut quality).await else {
                break;
            };
            tokio::time::sleep_until(arrived + delay).await;
            if to.write_all(&chunk).await.is_err() {
                break;
            }
        }
    };
    // What was read before the end still arrives.
    tokio::join!(read, write);
}

/// Waits while the link is held; `None` if the network is gone.
async fn delay_of(quality: &mut watch::Receiver<Quality>) -> Option<Duration> {
    let passing = quality.wait_for(|quality| *quality != Quality::Held);
    match *passing.await.ok()? {
        Quality::Delayed(delay) => Some(delay),
        _ => Some(Duration::ZERO),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use loadtest_engines::free_ports;
    use tokio::time::timeout;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// A connection through a proxy to an echo.
    async fn through(links: &Links) -> (Proxy, TcpStream) {
        let [port, target] = free_ports().await.unwrap();
        let echo = TcpListener::bind(("127.0.0.1", target)).await.unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = echo.accept().await {
                let (mut read, mut write) = stream.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut read, &mut write).await });
            }
        });
        let proxy = Proxy::start(port, target, Who::Node(1), links.clone());
        let proxy = proxy.await.unwrap();
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        (proxy, stream)
    }

    async fn say(stream: &mut TcpStream) {
        stream.write_all(b"hello").await.unwrap();
    }

    async fn hear(stream: &mut TcpStream) {
        let mut heard = [0; 5];
        let read = stream.read_exact(&mut heard);
        timeout(LONG, read).await.unwrap().unwrap();
        assert_eq!(&heard, b"hello");
    }

    #[tokio::test]
    async fn what_was_said_on_a_held_link_arrives_when_it_is_healed() {
        let links = Links::new();
        let (_proxy, mut stream) = through(&links).await;
        say(&mut stream).await;
        hear(&mut stream).await;
        links.set(Who::Suite, Who::Node(1), Quality::Held);
        say(&mut stream).await;
        let mut byte = [0];
        let nothing = timeout(Duration::from_millis(200), stream.peek(&mut byte)).await;
        assert!(nothing.is_err(), "{nothing:?}");
        links.heal();
        hear(&mut stream).await;
    }

    #[tokio::test]
    async fn a_cut_link_ends_its_connections() {
        let links = Links::new();
        let (_proxy, mut stream) = through(&links).await;
        say(&mut stream).await;
        hear(&mut stream).await;
        links.set(Who::Suite, Who::Node(1), Quality::Cut);
        let end = timeout(LONG, stream.read(&mut [0])).await.unwrap();
        assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    }

    #[tokio::test]
    async fn other_links_are_not_touched() {
        let links = Links::new();
        let (_proxy, mut stream) = through(&links).await;
        links.set(Who::Node(2), Who::Node(1), Quality::Cut);
        links.set(Who::Suite, Who::Node(2), Quality::Held);
        say(&mut stream).await;
        hear(&mut stream).await;
    }
}
