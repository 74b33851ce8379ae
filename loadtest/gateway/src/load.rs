//! A closed loop: as many connections as asked for, each with one request under
//! way all the time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{HeaderValue, Method, Request};
use tokio::task::JoinSet;

use crate::body::full;
use crate::{Body, Client};

/// What is sent: number `n` of connection `c`.
pub type MakeBody = Arc<dyn Fn(usize, u64) -> Bytes + Send + Sync>;

/// A closed loop's shape.
#[derive(Clone)]
pub struct Load {
    /// Where to.
    pub address: SocketAddr,
    /// The host that chooses Envoy's virtual host.
    pub host: String,
    /// The path.
    pub path: String,
    /// Connections.
    pub connections: usize,
    /// How long.
    pub time: Duration,
    /// The bodies.
    pub body: MakeBody,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Microseconds of every answered request, in order.
    latencies: Vec<u32>,
    /// How long the loop ran.
    pub time: Duration,
    /// Answers by status; 0 stands for a broken connection.
    pub statuses: BTreeMap<u16, u64>,
}

impl Load {
    /// Runs it.
    ///
    /// # Errors
    /// If nobody listens.
    pub async fn run(&self) -> Result<Outcome> {
        let over = Arc::new(AtomicBool::new(false));
        let mut loops = JoinSet::new();
        for connection in 0..self.connections {
            let client = Client::connect(self.address).await?;
            let (load, over) = (self.clone(), Arc::clone(&over));
            loops.spawn(async move { load.one(connection, client, &over).await });
        }
        let began = Instant::now();
        tokio::time::sleep(self.time).await;
        over.store(true, Ordering::Relaxed);
        let mut whole = Outcome::default();
        while let Some(outcome) = loops.join_next().await {
            whole.add(outcome??);
        }
        whole.time = began.elapsed();
        whole.latencies.sort_unstable();
        Ok(whole)
    }

    async fn one(
        &self,
        connection: usize,
        mut client: Client,
        over: &AtomicBool,
    ) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let mut number = 0;
        while !over.load(Ordering::Relaxed) {
            let request = self.request((self.body)(connection, number))?;
            number += 1;
            let began = Instant::now();
            match client.ask(request).await {
                Ok(answer) => outcome.took(began.elapsed(), answer.status.as_u16()),
                Err(_) => {
                    outcome.took(began.elapsed(), 0);
                    client = Client::connect(self.address).await?;
                }
            }
        }
        Ok(outcome)
    }

    fn request(&self, body: Bytes) -> Result<Request<Body>> {
        let uri = format!("http://{}{}", self.host, self.path);
        let request = Request::builder().method(Method::POST).uri(uri);
        let json = HeaderValue::from_static("application/json");
        let request = request.header("content-type", json).body(full(body));
        request.context("a request that cannot be written")
    }
}

impl Outcome {
    fn took(&mut self, time: Duration, status: u16) {
        let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        self.latencies.push(micros);
        *self.statuses.entry(status).or_default() += 1;
    }

    fn add(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
    }

    /// Requests that were answered, or broke.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.latencies.len()
    }

    /// Requests per second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.requests() as f64 / self.time.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// The latency that this share of requests stays below, in milliseconds.
    #[must_use]
    pub fn quantile(&self, share: f64) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        let index = (last as f64 * share).round() as usize;
        let micros = self.latencies.get(index).copied().unwrap_or(0);
        f64::from(micros) / 1000.0
    }

    /// Answers other than 200.
    #[must_use]
    pub fn failed(&self) -> u64 {
        let failed = self.statuses.iter().filter(|(status, _)| **status != 200);
        failed.map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EchoEngine;

    #[tokio::test]
    async fn every_connection_goes_on_until_the_end() {
        let engine = EchoEngine::forgetful("e", "127.0.0.1:0".parse().unwrap());
        let engine = engine.await.unwrap();
        let load = Load {
            address: engine.address(),
            host: "engine".to_owned(),
            path: "/v1/completions".to_owned(),
            connections: 3,
            time: Duration::from_millis(300),
            body: Arc::new(|connection, number| Bytes::from(format!("{connection} {number}"))),
        };
        let outcome = load.run().await.unwrap();
        assert!(outcome.requests() >= 3);
        assert_eq!(outcome.failed(), 0);
        assert_eq!(engine.served(), outcome.requests() as u64);
        assert!(outcome.quantile(0.5) <= outcome.quantile(1.0));
        assert!(outcome.rate() > 0.0);
    }
}
