//! A steady load whose every answer is kept, to be judged.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use http::{HeaderValue, Request};
use tokio::task::JoinSet;

use crate::{Body, Client};

/// Answers that are kept until they are taken.
const KEPT: usize = 1 << 20;

/// What one request met with.
#[derive(Debug, Clone)]
pub struct Observed {
    /// When it was sent.
    pub began: Instant,
    /// Until its answer's last byte.
    pub took: Duration,
    /// The answer's status; 0: none, or a broken one.
    pub status: u16,
    /// Who served, by the header `x-engine`; empty where no engine did.
    pub engine: String,
    /// The subset that was hinted at; `None`: the whole pool.
    pub hint: Option<String>,
    /// What broke, where something did.
    pub error: Option<String>,
}

/// Makes request number `n`, and says what subset it hints at.
pub type MakeRequest = Arc<dyn Fn(usize) -> (Request<Body>, Option<String>) + Send + Sync>;

/// Connections that ask all the time; they end when this is dropped.
#[derive(Debug)]
pub struct Steady {
    observed: Arc<Mutex<Vec<Observed>>>,
    over: Arc<AtomicBool>,
    loops: JoinSet<()>,
}

impl Steady {
    /// Starts so many connections, each with a pause between its requests.
    #[must_use]
    pub fn start(
        address: SocketAddr,
        connections: usize,
        pause: Duration,
        make: &MakeRequest,
    ) -> Self {
        let observed = Arc::new(Mutex::new(Vec::new()));
        let over = Arc::new(AtomicBool::new(false));
        let number = Arc::new(AtomicUsize::new(0));
        let mut loops = JoinSet::new();
        for _ in 0..connections {
            let (observed, over) = (Arc::clone(&observed), Arc::clone(&over));
            let (number, make) = (Arc::clone(&number), Arc::clone(make));
            loops.spawn(async move {
                let mut client = None;
                while !over.load(Ordering::Relaxed) {
                    let (request, hint) = make(number.fetch_add(1, Ordering::Relaxed));
                    let seen = observe(address, &mut client, request, hint).await;
                    keep(&observed, seen);
                    tokio::time::sleep(pause).await;
                }
            });
        }
        Self {
            observed,
            over,
            loops,
        }
    }

    /// What has been answered since the last time.
    #[must_use]
    pub fn take(&self) -> Vec<Observed> {
        let mut observed = self.observed.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *observed)
    }

    /// Ends it when every request under way has been answered; the last answers.
    pub async fn end(mut self) -> Vec<Observed> {
        self.over.store(true, Ordering::Relaxed);
        while self.loops.join_next().await.is_some() {}
        self.take()
    }
}

fn keep(observed: &Mutex<Vec<Observed>>, seen: Observed) {
    let mut observed = observed.lock().unwrap_or_else(PoisonError::into_inner);
    if observed.len() < KEPT {
        observed.push(seen);
    }
}

async fn observe(
    address: SocketAddr,
    client: &mut Option<Client>,
    request: Request<Body>,
    hint: Option<String>,
) -> Observed {
    let began = Instant::now();
    let answer = asked(address, client, request).await;
    let mut seen = Observed {
        began,
        took: began.elapsed(),
        status: 0,
        engine: String::new(),
        hint,
        error: None,
    };
    match answer {
        Ok(answer) => {
            seen.status = answer.status.as_u16();
            answer.header("x-engine").clone_into(&mut seen.engine);
            // Envoy ends a connection after some of its own answers.
            if answer.headers.get("connection") == Some(&HeaderValue::from_static("close")) {
                *client = None;
            }
        }
        Err(error) => {
            seen.error = Some(format!("{error:#}"));
            *client = None;
        }
    }
    seen
}

async fn asked(
    address: SocketAddr,
    client: &mut Option<Client>,
    request: Request<Body>,
) -> Result<crate::Answer> {
    let client = match client {
        Some(client) => client,
        None => client.insert(Client::connect(address).await?),
    };
    client.ask(request).await
}
