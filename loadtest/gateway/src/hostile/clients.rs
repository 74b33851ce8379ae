//! Clients that do not behave.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use http::HeaderValue;
use http_body_util::BodyExt;
use loadtest_gateway::{Client, Feeder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{BOUND, Statuses};
use crate::world::{CHAT, World, raw, said, stepper, text};

/// Requests at a time, of those that come by the thousand.
const AT_ONCE: usize = 64;

pub(crate) struct Clients<'a> {
    world: &'a World,
    address: SocketAddr,
}

impl<'a> Clients<'a> {
    pub(crate) fn new(world: &'a World) -> Self {
        let address = world.gateway.envoy.inference();
        Self { world, address }
    }

    /// Announces a body and sends a byte of it now and then, for some seconds.
    pub(crate) async fn slow(&self, count: usize) -> Result<Statuses> {
        let mut sending = JoinSet::new();
        let address = self.address;
        for _ in 0..count {
            sending.spawn(async move {
                let mut stream = TcpStream::connect(address).await?;
                stream.write_all(head(1_000_000).as_bytes()).await?;
                for _ in 0..50 {
                    stream.write_all(b"{").await?;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                anyhow::Ok(())
            });
        }
        while let Some(sent) = sending.join_next().await {
            sent??;
        }
        Ok(Statuses::from([(0, count)]))
    }

    /// Leaves after some bytes of the request, or right after all of it.
    pub(crate) async fn aborted(&self, count: usize) -> Result<Statuses> {
        let body = said(&text(2_000, 7)).to_string();
        let whole = Arc::new(head(body.len()) + &body);
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        let mut sending = JoinSet::new();
        for number in 0..count {
            let (whole, address) = (Arc::clone(&whole), self.address);
            let turns = Arc::clone(&turns);
            sending.spawn(async move {
                let _turn = turns.acquire().await?;
                let mut stream = TcpStream::connect(address).await?;
                // From the middle of the headers to the last byte.
                let length = 20 + (whole.len() - 20) * (number % 11) / 10;
                stream.write_all(&whole.as_bytes()[..length]).await?;
                if number % 2 == 0 {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                anyhow::Ok(())
            });
        }
        while let Some(sent) = sending.join_next().await {
            sent??;
        }
        Ok(Statuses::from([(0, count)]))
    }

    /// Sends everything, closes its sending side, and waits.
    pub(crate) async fn half_closed(&self, count: usize) -> Result<Statuses> {
        let body = said("half closed").to_string();
        let whole = head(body.len()) + &body;
        let mut statuses = Statuses::new();
        for _ in 0..count {
            let mut stream = TcpStream::connect(self.address).await?;
            stream.write_all(whole.as_bytes()).await?;
            stream.shutdown().await?;
            let mut heard = Vec::new();
            let read = timeout(BOUND, stream.read_to_end(&mut heard)).await;
            // A reset is an end too.
            let _ = read.context("a half-closed connection hangs")?;
            let status = heard
                .get(9..12)
                .and_then(|code| std::str::from_utf8(code).ok());
            let status = status.and_then(|code| code.parse().ok()).unwrap_or(0);
            *statuses.entry(status).or_default() += 1;
        }
        Ok(statuses)
    }

    /// The engine sends two events and cuts its connection.
    pub(crate) async fn dying(&self, count: usize) -> Result<Statuses> {
        let mut statuses = Statuses::new();
        for number in 0..count {
            let test = format!("dying-{number}");
            let mut request = raw(said("die").to_string());
            request.headers_mut().insert("x-test", test.parse()?);
            let die = HeaderValue::from_static("die=2");
            request.headers_mut().insert("x-echo", die);
            let mut client = Client::connect(self.address).await?;
            let mut response = client.send(request).await?;
            let step = stepper(self.world, &response, &test)?;
            step();
            let first = timeout(BOUND, response.frame()).await;
            first
                .context("the first event hangs")?
                .context("an event")??;
            step();
            let end = async {
                while let Some(frame) = response.frame().await {
                    frame?;
                }
                Ok::<_, hyper::Error>(())
            };
            let end = timeout(BOUND, end).await;
            let end = end.context("a dead engine's answer hangs")?;
            let status = end.map_or(0, |()| response.status().as_u16());
            *statuses.entry(status).or_default() += 1;
        }
        Ok(statuses)
    }

    /// A body in chunks of one byte.
    pub(crate) async fn tiny_chunks(&self, count: usize) -> Result<Statuses> {
        let mut statuses = Statuses::new();
        for _ in 0..count {
            let (feeder, body) = Feeder::body();
            let request = raw("").map(|_| body);
            let bytes = said(&text(2_000, 3)).to_string();
            let feeding = tokio::spawn(async move {
                for byte in bytes.bytes() {
                    feeder.send(vec![byte]).await?;
                }
                anyhow::Ok(())
            });
            let answer = Client::once(self.address, request).await?;
            feeding.await??;
            *statuses.entry(answer.status.as_u16()).or_default() += 1;
        }
        Ok(statuses)
    }
}

fn head(length: usize) -> String {
    format!(
        "POST {CHAT} HTTP/1.1\r\nhost: gateway.test\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n"
    )
}
