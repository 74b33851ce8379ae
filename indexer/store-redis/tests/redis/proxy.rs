//! A way to Redis that can swallow what Redis answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub(crate) struct Proxy {
    address: String,
    deaf: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn to(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener
            .local_addr()
            .expect("it has an address")
            .to_string();
        let deaf = Arc::new(AtomicBool::new(false));
        let swallow = Arc::clone(&deaf);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&target).await;
                let server = server.expect("Redis is there");
                tokio::spawn(carry(client, server, Arc::clone(&swallow)));
            }
        });
        Self {
            address,
            deaf,
            task,
        }
    }

    pub(crate) fn address(&self) -> String {
        self.address.clone()
    }

    /// From now on what Redis answers does not arrive.
    pub(crate) fn swallow_answers(&self) {
        self.deaf.store(true, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(client: TcpStream, server: TcpStream, deaf: Arc<AtomicBool>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let there = async move {
        let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
    };
    let back = async move {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(count @ 1..) = from_server.read(&mut buffer).await {
            if deaf.load(Ordering::SeqCst) {
                continue;
            }
            if to_client.write_all(&buffer[..count]).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        () = there => {}
        () = back => {}
    }
}
