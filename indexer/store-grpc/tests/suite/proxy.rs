//! The network between a client and a node, to be broken at will.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What happens to connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// They pass.
    Pass,
    /// They are closed at once; open ones too.
    Cut,
    /// They are taken, and nothing more is heard; open ones freeze.
    Silent,
}

pub(crate) struct Proxy {
    pub(crate) address: String,
    mode: watch::Sender<Mode>,
    connections: Arc<AtomicUsize>,
    running: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.running.abort();
        self.mode.send_replace(Mode::Cut);
    }
}

impl Proxy {
    pub(crate) async fn to(target: SocketAddr, mode: Mode) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let (mode, modes) = watch::channel(mode);
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        let running = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.expect("accepts");
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(carry(client, target, modes.clone()));
            }
        });
        Self {
            address,
            mode,
            connections,
            running,
        }
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Connections taken so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn carry(mut client: TcpStream, target: SocketAddr, mut modes: watch::Receiver<Mode>) {
    if *modes.borrow_and_update() == Mode::Pass {
        let mut server = TcpStream::connect(target).await.expect("the node listens");
        tokio::select! {
            _ = copy_bidirectional(&mut client, &mut server) => return,
            _ = modes.wait_for(|mode| *mode != Mode::Pass) => {}
        }
        // Frozen: both ends stay open, and nothing is carried.
        let _ = modes.wait_for(|mode| *mode == Mode::Cut).await;
        drop(server);
        return;
    }
    let _ = modes.wait_for(|mode| *mode != Mode::Silent).await;
}
