//! An engine that does nothing but answer, and remembers what it was sent.
//!
//! The request header `x-echo` says how it answers:
//!
//! | `x-echo` | answer |
//! |---|---|
//! | none | chat completion in JSON, at once |
//! | `hold` | the same, when a step is allowed |
//! | `status=503` | that status |
//! | `sse=3` | three events, then `usage` cut in two, then `[DONE]`: every part when a step is allowed |
//! | `die=3` | three events likewise, then the connection is cut |
//! | `trailers` | JSON, then trailers |

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

use crate::body::full;
use crate::{Body, Failure, Feeder};

/// Requests that one engine remembers.
const REMEMBERED: usize = 1024;

/// Tokens that it says were cached, of seven.
const CACHED_TOKENS: u32 = 4;

/// An engine on a port of its own; ends when dropped, with all its connections.
#[derive(Debug)]
pub struct EchoEngine {
    address: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its method.
    pub method: Method,
    /// Its path with the query.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// Its trailers, if there were any.
    pub trailers: Option<HeaderMap>,
}

#[derive(Debug)]
struct State {
    name: String,
    remembers: bool,
    seen: Mutex<VecDeque<Seen>>,
    /// What may go on, by the request's header `x-test`.
    steps: Mutex<HashMap<String, Arc<Semaphore>>>,
    left: AtomicU64,
    served: AtomicU64,
    waiting: AtomicU32,
    kv_percent: AtomicU32,
    refuses: AtomicBool,
}

impl EchoEngine {
    /// Listens on an address; port 0 for any.
    ///
    /// # Errors
    /// If the address is taken.
    pub async fn start(name: &str, address: SocketAddr) -> Result<Self> {
        Self::listening(name, address, true).await
    }

    /// One that remembers nothing, to be quick.
    ///
    /// # Errors
    /// If the address is taken.
    pub async fn forgetful(name: &str, address: SocketAddr) -> Result<Self> {
        Self::listening(name, address, false).await
    }

    async fn listening(name: &str, address: SocketAddr, remembers: bool) -> Result<Self> {
        let listener = TcpListener::bind(address).await;
        let listener = listener.with_context(|| format!("engine on {address}"))?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            name: name.to_owned(),
            remembers,
            seen: Mutex::default(),
            steps: Mutex::default(),
            left: AtomicU64::new(0),
            served: AtomicU64::new(0),
            waiting: AtomicU32::new(0),
            kv_percent: AtomicU32::new(0),
            refuses: AtomicBool::new(false),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state)));
        Ok(Self {
            address,
            state,
            accepting,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What `x-engine` says in its answers.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.state.name
    }

    /// Lets the answer to the request whose header `x-test` has this value go on by
    /// so many parts.
    pub fn allow(&self, test: &str, steps: usize) {
        self.state.steps(test).add_permits(steps);
    }

    /// What lets that answer go on by one part each time it is called.
    pub fn stepper(&self, test: &str) -> impl Fn() + Send + Sync + 'static {
        let steps = self.state.steps(test);
        move || steps.add_permits(1)
    }

    /// What `/metrics` says from now on: waiting requests, and KV use in percent.
    pub fn set_load(&self, waiting: u32, kv_percent: u32) {
        self.state.waiting.store(waiting, Ordering::Relaxed);
        self.state.kv_percent.store(kv_percent, Ordering::Relaxed);
    }

    /// Whether everything but metrics is answered with 503 from now on.
    pub fn refuse(&self, refuses: bool) {
        self.state.refuses.store(refuses, Ordering::Relaxed);
    }

    /// Responses whose reader left before their end.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.state.left.load(Ordering::Relaxed)
    }

    /// Requests that have arrived whole, other than for metrics.
    #[must_use]
    pub fn served(&self) -> u64 {
        self.state.served.load(Ordering::Relaxed)
    }

    /// The request whose header `x-test` has this value, if it arrived here.
    #[must_use]
    pub fn seen(&self, test: &str) -> Option<Seen> {
        let seen = self.state.seen.lock();
        let seen = seen.unwrap_or_else(PoisonError::into_inner);
        let mut latest = seen.iter().rev();
        latest.find(|seen| seen.header("x-test") == test).cloned()
    }
}

impl Drop for EchoEngine {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Seen {
    /// A header's text; empty if there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.and_then(|value| value.to_str().ok()).unwrap_or("")
    }
}

/// Connections end with the task that accepts them.
async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        while connections.try_join_next().is_some() {}
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let service = service_fn(|request| answer(request, Arc::clone(&state)));
            let http = http1::Builder::new();
            let served = http.serve_connection(TokioIo::new(stream), service);
            // A peer that leaves is no failure of an engine.
            let _ = served.await;
        });
    }
}

async fn answer(request: Request<Incoming>, state: Arc<State>) -> Result<Response<Body>, Failure> {
    if request.uri().path() == "/metrics" {
        return Ok(Response::new(full(state.metrics())));
    }
    let (head, body) = request.into_parts();
    let body = body.collect().await?;
    let seen = Seen {
        method: head.method,
        path: head.uri.to_string(),
        trailers: body.trailers().cloned(),
        headers: head.headers,
        body: body.to_bytes(),
    };
    if state.refuses.load(Ordering::Relaxed) {
        let mut response = state.completion(&Value::Null);
        *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
        return Ok(response);
    }
    state.served.fetch_add(1, Ordering::Relaxed);
    let how = seen.header("x-echo").to_owned();
    let test = seen.header("x-test").to_owned();
    let model = if state.remembers {
        serde_json::from_slice::<Value>(&seen.body)
            .map_or(Value::Null, |body| body["model"].clone())
    } else {
        Value::Null
    };
    state.remember(seen);
    let (way, number) = how.split_once('=').unwrap_or((&how, "0"));
    let number: u16 = number.parse()?;
    match way {
        "hold" => {
            step(&state.steps(&test)).await;
            Ok(state.completion(&model))
        }
        "status" => {
            let mut response = state.completion(&model);
            *response.status_mut() = http::StatusCode::from_u16(number)?;
            Ok(response)
        }
        "sse" => Ok(state.events(&test, number, model, false)),
        "die" => Ok(state.events(&test, number, model, true)),
        "trailers" => Ok(state.with_trailers().await?),
        _ => Ok(state.completion(&model)),
    }
}

impl State {
    fn remember(&self, request: Seen) {
        if !self.remembers {
            return;
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() == REMEMBERED {
            seen.pop_front();
        }
        seen.push_back(request);
    }

    fn steps(&self, test: &str) -> Arc<Semaphore> {
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        let steps = steps.entry(test.to_owned());
        Arc::clone(steps.or_insert_with(|| Arc::new(Semaphore::new(0))))
    }

    fn metrics(&self) -> String {
        let waiting = self.waiting.load(Ordering::Relaxed);
        let kv = f64::from(self.kv_percent.load(Ordering::Relaxed)) / 100.0;
        format!(
            "vllm:num_requests_waiting{{model_name=\"m\"}} {waiting}\n\
             vllm:num_requests_running{{model_name=\"m\"}} 0\n\
             vllm:kv_cache_usage_perc{{model_name=\"m\"}} {kv}\n"
        )
    }

    fn completion(&self, model: &Value) -> Response<Body> {
        let answer = json!({
            "object": "chat.completion", "model": model, "engine": self.name,
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}}],
            "usage": usage(),
        });
        self.response("application/json", full(answer.to_string()))
    }

    async fn with_trailers(&self) -> Result<Response<Body>> {
        let (feeder, body) = Feeder::body();
        feeder.send("{}").await?;
        let trailers = [("x-engine-trailer", "last")];
        let trailers = trailers.map(|(name, value)| {
            let name = http::HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        });
        feeder.trailers(HeaderMap::from_iter(trailers)).await?;
        let mut response = self.response("application/json", body);
        let announced = HeaderValue::from_static("x-engine-trailer");
        response.headers_mut().insert("trailer", announced);
        Ok(response)
    }

    fn events(self: Arc<Self>, test: &str, count: u16, model: Value, dies: bool) -> Response<Body> {
        let (feeder, body) = Feeder::body();
        let steps = self.steps(test);
        let response = self.response("text/event-stream", body);
        tokio::spawn(async move {
            if stream(&feeder, &steps, count, &model, dies).await.is_err() {
                self.left.fetch_add(1, Ordering::Relaxed);
            } else if dies {
                feeder.abort().await;
            }
        });
        response
    }

    fn response(&self, kind: &'static str, body: Body) -> Response<Body> {
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert("content-type", HeaderValue::from_static(kind));
        if let Ok(name) = HeaderValue::from_str(&self.name) {
            headers.insert("x-engine", name);
        }
        headers.append("set-cookie", HeaderValue::from_static("a=1"));
        headers.append("set-cookie", HeaderValue::from_static("b=2"));
        response
    }
}

fn usage() -> Value {
    json!({
        "prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": CACHED_TOKENS},
    })
}

async fn stream(
    feeder: &Feeder,
    steps: &Semaphore,
    count: u16,
    model: &Value,
    dies: bool,
) -> Result<()> {
    for index in 0..count {
        let event = json!({"model": model, "index": index, "choices": []});
        part(feeder, steps, format!("data: {event}\n\n")).await?;
    }
    if dies {
        return Ok(());
    }
    let last = json!({"model": model, "choices": [], "usage": usage()});
    let last = format!("data: {last}\n\n");
    let (first, second) = last.split_at(last.len() / 2);
    part(feeder, steps, first.to_owned()).await?;
    part(feeder, steps, second.to_owned()).await?;
    part(feeder, steps, "data: [DONE]\n\n".to_owned()).await
}

/// A part is sent when a step is allowed; a reader that leaves is noticed
/// meanwhile.
async fn part(feeder: &Feeder, steps: &Semaphore, part: String) -> Result<()> {
    tokio::select! {
        () = step(steps) => feeder.send(part).await,
        () = feeder.left() => anyhow::bail!("the reader has left"),
    }
}

async fn step(steps: &Semaphore) {
    if let Ok(permit) = steps.acquire().await {
        permit.forget();
    }
}
