//! A small HTTP server that answers `/metrics` as it is told to.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

/// How a request is answered.
#[derive(Clone)]
pub(super) enum Answer {
    /// 200 with this text.
    Text(String),
    /// These bytes, then the end of the connection.
    Raw(Vec<u8>),
    /// A head, then these bytes again and again.
    Endless(Vec<u8>),
    /// Nothing at all.
    Silence,
}

/// Ends with its last handle.
pub(super) struct Engine {
    pub(super) address: SocketAddr,
    state: Arc<State>,
    _serving: AbortOnDropHandle<()>,
}

struct State {
    answer: Mutex<Answer>,
    requests: AtomicUsize,
    connections: AtomicUsize,
    /// Connections that are open.
    open: AtomicUsize,
}

impl Engine {
    pub(super) async fn new(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            answer: Mutex::new(answer),
            requests: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
        });
        let serving = tokio::spawn(serve(listener, Arc::clone(&state)));
        Self {
            address,
            state,
            _serving: AbortOnDropHandle::new(serving),
        }
    }

    pub(super) fn answers(&self, answer: Answer) {
        *self.state.answer.lock().unwrap() = answer;
    }

    pub(super) fn requests(&self) -> usize {
        self.state.requests.load(Ordering::SeqCst)
    }

    pub(super) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    pub(super) fn open(&self) -> usize {
        self.state.open.load(Ordering::SeqCst)
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        state.connections.fetch_add(1, Ordering::SeqCst);
        state.open.fetch_add(1, Ordering::SeqCst);
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let _ = converse(stream, &state).await;
            state.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

async fn converse(mut stream: TcpStream, state: &State) -> std::io::Result<()> {
    while read_request(&mut stream).await? {
        state.requests.fetch_add(1, Ordering::SeqCst);
        let answer = state.answer.lock().unwrap().clone();
        match answer {
            Answer::Text(text) => {
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", text.len());
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(text.as_bytes()).await?;
            }
            Answer::Raw(bytes) => return stream.write_all(&bytes).await,
            Answer::Endless(bytes) => {
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
                loop {
                    stream.write_all(&bytes).await?;
                }
            }
            // Until the other side has left.
            Answer::Silence => while stream.read(&mut [0; 64]).await? > 0 {},
        }
    }
    Ok(())
}

/// Whether there was one more.
async fn read_request(stream: &mut TcpStream) -> std::io::Result<bool> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).await? == 0 {
            return Ok(false);
        }
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"GET /metrics HTTP/1.1\r\n"), "{head:?}");
    Ok(true)
}

/// Waits until something holds.
pub(super) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..12_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("two minutes have passed without this: {what}");
}

/// What a vLLM engine of today says.
pub(super) fn vllm(waiting: u32, running: u32, kv_usage: f64) -> String {
    format!(
        "# HELP vllm:num_requests_running Number of requests in model execution batches.\n\
         # TYPE vllm:num_requests_running gauge\n\
         vllm:num_requests_running{{engine=\"0\",model_name=\"m\"}} {running}.0\n\
         # TYPE vllm:num_requests_waiting gauge\n\
         vllm:num_requests_waiting{{engine=\"0\",model_name=\"m\"}} {waiting}.0\n\
         # TYPE vllm:kv_cache_usage_perc gauge\n\
         vllm:kv_cache_usage_perc{{engine=\"0\",model_name=\"m\"}} {kv_usage}\n\
         vllm:cache_config_info{{block_size=\"64\",cache_dtype=\"auto\",engine=\"0\",\
         num_gpu_blocks=\"4802\",num_gpu_blocks_override=\"None\"}} 1.0\n"
    )
}
