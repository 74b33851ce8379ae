//! A network that can be cut: every node is reached through a proxy, which knows
//! who calls by the address that the call comes from.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Who does not hear whom.
#[derive(Clone)]
pub(crate) struct Net {
    cut: watch::Sender<Arc<HashSet<(u64, u64)>>>,
}

impl Net {
    pub(crate) fn new() -> Self {
        Self {
            cut: watch::Sender::new(Arc::default()),
        }
    }

    /// Nodes on one side do not hear those on the other.
    pub(crate) fn split(&self, one: &[u64], other: &[u64]) {
        let pairs = one.iter().flat_map(|a| other.iter().map(move |b| (*a, *b)));
        let cut = pairs.flat_map(|(a, b)| [(a, b), (b, a)]).collect();
        self.cut.send_replace(Arc::new(cut));
    }

    /// All hear all again.
    pub(crate) fn heal(&self) {
        self.cut.send_replace(Arc::default());
    }

    /// Where calls of this node come from.
    pub(crate) fn address_of(node: u64) -> IpAddr {
        Ipv4Addr::new(127, 0, 0, 10 + u8::try_from(node).expect("few nodes")).into()
    }

    /// Lets calls through from `outside` to the node that listens at `inside`.
    pub(crate) async fn carry(self, to: u64, outside: TcpListener, inside: std::net::SocketAddr) {
        while let Ok((caller, from)) = outside.accept().await {
            let from = match from.ip() {
                IpAddr::V4(ip) if ip.octets()[3] > 10 => u64::from(ip.octets()[3] - 10),
                // Readers and operators are on every node's side.
                _ => 0,
            };
            let cut = self.cut.subscribe();
            tokio::spawn(async move {
                let Ok(called) = TcpStream::connect(inside).await else {
                    return;
                };
                let (there, back) = (caller.into_split(), called.into_split());
                let pair = (from, to);
                tokio::select! {
                    () = copy(there.0, back.1, cut.clone(), pair) => {}
                    () = copy(back.0, there.1, cut, pair) => {}
                }
            });
        }
    }
}

/// Copies until either end is closed. Where the line is cut nothing moves, and
/// when it is whole again the connection ends.
async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut cut: watch::Receiver<Arc<HashSet<(u64, u64)>>>,
    pair: (u64, u64),
) {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let is_cut = cut.borrow_and_update().contains(&pair);
        if is_cut {
            let _ = cut.wait_for(|cut| !cut.contains(&pair)).await;
            return;
        }
        tokio::select! {
            _ = cut.changed() => {}
            read = from.read(&mut buffer) => match read {
                Ok(length) if length > 0 => {
                    if to.write_all(&buffer[..length]).await.is_err() {
                        return;
                    }
                }
                _ => return,
            },
        }
    }
}
