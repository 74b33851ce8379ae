//! What a simulated engine is from outside.

use std::net::SocketAddr;
use std::sync::Arc;

use loadtest_engines::EventsEndpoint;

use super::tokens::Tokenizer;
use crate::engine::{EngineConfig, Lora};

/// One engine with its sockets.
#[derive(Clone)]
pub struct SimConfig {
    /// What it calls itself in answers.
    pub name: String,
    /// Where its HTTP server listens; port 0 takes any.
    pub listen: SocketAddr,
    /// Its model's names; the first one stands in topics and metrics.
    pub models: Vec<String>,
    /// Its adapters.
    pub loras: Vec<Lora>,
    /// Cache, scheduler, speed.
    pub engine: EngineConfig,
    /// Its model's tokenizer.
    pub tokenizer: Arc<Tokenizer>,
    /// How much faster than the calibration time passes; 0: nothing is waited for.
    pub speed: f64,
    /// Where its events go, if it has any.
    pub events: Option<EventsEndpoint>,
    /// Where replays are asked for.
    pub replay: Option<SocketAddr>,
    /// Messages kept for replays.
    pub replay_steps: usize,
    /// The address in its topic; by default where it listens.
    pub topic_address: Option<String>,
    /// The reply's length where the request does not limit it, in tokens.
    pub reply_tokens: usize,
    /// Replies end by themselves after so many tokens, unless `ignore_eos`.
    pub natural_tokens: Option<usize>,
    /// The longest body, in bytes.
    pub body_bytes: usize,
    /// Requests whose truth is remembered.
    pub history: usize,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            name: "engine-0".to_owned(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            models: vec!["Qwen3-32B".to_owned()],
            loras: Vec::new(),
            engine: EngineConfig::default(),
            tokenizer: Arc::new(Tokenizer::plain()),
            speed: 1.0,
            events: None,
            replay: None,
            replay_steps: 10_000,
            topic_address: None,
            reply_tokens: 128,
            natural_tokens: None,
            body_bytes: 64 << 20,
            history: 100_000,
        }
    }
}
