//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, ValueEnum};
use loadtest_engine_sim::engine::{EngineConfig, Generation, Lora};
use loadtest_engine_sim::{EventsEndpoint, SimConfig, Tokenizer};

/// Simulated vLLM engines: OpenAI HTTP, metrics, KV events.
#[derive(Parser)]
pub(crate) struct Args {
    /// How many engines, unless `--listen` is given several times.
    #[arg(long, default_value_t = 1)]
    engines: u16,
    /// Where the first engine listens; the next ones take the next ports. Given
    /// several times: one engine each. Port 0 takes any.
    #[arg(long, default_value = "127.0.0.1:8000")]
    listen: Vec<SocketAddr>,
    /// The model's name; given several times: its other names.
    #[arg(long, default_value = "Qwen3-32B")]
    model: Vec<String>,
    /// An adapter, as `name=path`.
    #[arg(long)]
    lora: Vec<String>,
    /// The model's `tokenizer.json`, for the token ids that a scorer counts. Without
    /// it, every four bytes of text are a token.
    #[arg(long)]
    tokenizer: Option<PathBuf>,
    /// Which vLLM they are like: hashes, events, order of eviction.
    #[arg(long, value_enum, default_value = "v0.10")]
    like: Like,
    /// Tokens per block.
    #[arg(long, default_value_t = 64)]
    block_size: usize,
    /// Tokens that each cache has room for.
    #[arg(long, default_value_t = 307_328)]
    kv_tokens: usize,
    /// The longest prompt and reply together; by default what the cache has room
    /// for, at most 262144.
    #[arg(long)]
    max_model_len: Option<usize>,
    /// Requests that run at the same time.
    #[arg(long, default_value_t = 256)]
    max_num_seqs: usize,
    /// Tokens that one step computes.
    #[arg(long, default_value_t = 8_192)]
    max_num_batched_tokens: usize,
    /// PYTHONHASHSEED of the engines.
    #[arg(long, default_value = "42")]
    seed: String,
    /// How much faster than the calibration time passes; 0: nothing is waited for.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// `connect=tcp://host:port`, a subscriber that binds; or `bind=ip:port`, where
    /// the next engines take the next ports. Without it, no events.
    #[arg(long)]
    events: Option<String>,
    /// Where the first engine answers replays, as `ip:port`; the next ones take the
    /// next ports.
    #[arg(long)]
    replay: Option<SocketAddr>,
    /// Messages kept for replays.
    #[arg(long, default_value_t = 10_000)]
    replay_steps: usize,
    /// Tokens of a reply whose request does not limit it.
    #[arg(long, default_value_t = 128)]
    reply_tokens: usize,
    /// Replies end by themselves after so many tokens, unless `ignore_eos`.
    #[arg(long)]
    natural_tokens: Option<usize>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Like {
    #[value(name = "v0.10")]
    V0_10,
    #[value(name = "v0.32")]
    V0_32,
}

impl Args {
    /// One configuration per engine.
    pub(crate) fn engines(self) -> Result<Vec<SimConfig>> {
        ensure!(
            self.speed.is_finite() && self.speed >= 0.0,
            "--speed must be 0 or more"
        );
        let tokenizer = Arc::new(match &self.tokenizer {
            Some(path) => Tokenizer::from_file(path)?,
            None => Tokenizer::plain(),
        });
        let loras = self.loras()?;
        let listen = self.listeners()?;
        let engine = |(number, listen): (usize, SocketAddr)| {
            let step = u16::try_from(number)?;
            Ok(SimConfig {
                name: format!("engine-{number}"),
                listen,
                models: self.model.clone(),
                loras: loras.clone(),
                engine: self.engine(),
                tokenizer: Arc::clone(&tokenizer),
                speed: self.speed,
                events: self.events(step)?,
                replay: self.replay.map(|first| port(first, step)).transpose()?,
                replay_steps: self.replay_steps,
                reply_tokens: self.reply_tokens,
                natural_tokens: self.natural_tokens,
                ..SimConfig::default()
            })
        };
        listen.into_iter().enumerate().map(engine).collect()
    }

    fn engine(&self) -> EngineConfig {
        let room = self.kv_tokens.saturating_sub(self.block_size);
        let longest = room / self.block_size.max(1) * self.block_size;
        EngineConfig {
            block_size: self.block_size,
            kv_tokens: self.kv_tokens,
            max_model_len: self.max_model_len.unwrap_or_else(|| longest.min(262_144)),
            max_num_seqs: self.max_num_seqs,
            max_num_batched_tokens: self.max_num_batched_tokens,
            generation: match self.like {
                Like::V0_10 => Generation::V0_10,
                Like::V0_32 => Generation::V0_32,
            },
            hash_seed: self.seed.clone(),
            ..EngineConfig::default()
        }
    }

    fn listeners(&self) -> Result<Vec<SocketAddr>> {
        match self.listen.as_slice() {
            [first] => (0..self.engines).map(|step| port(*first, step)).collect(),
            several => Ok(several.to_vec()),
        }
    }

    fn events(&self, step: u16) -> Result<Option<EventsEndpoint>> {
        let Some(events) = &self.events else {
            return Ok(None);
        };
        Ok(Some(match events.split_once('=') {
            Some(("connect", subscriber)) => EventsEndpoint::Connect(subscriber.to_owned()),
            Some(("bind", first)) => {
                let first = first
                    .parse()
                    .with_context(|| format!("--events bind={first}"))?;
                EventsEndpoint::Bind(port(first, step)?)
            }
            _ => bail!("--events {events}: give connect=tcp://host:port or bind=ip:port"),
        }))
    }

    fn loras(&self) -> Result<Vec<Lora>> {
        let lora = |(number, text): (usize, &String)| {
            let (name, path) = text
                .split_once('=')
                .with_context(|| format!("--lora {text}: give name=path"))?;
            Ok(Lora {
                id: u32::try_from(number)? + 1,
                name: name.to_owned(),
                path: path.to_owned(),
            })
        };
        self.lora.iter().enumerate().map(lora).collect()
    }
}

/// The address `step` ports further; port 0 stays.
fn port(first: SocketAddr, step: u16) -> Result<SocketAddr> {
    let mut address = first;
    if first.port() > 0 {
        let port = first.port().checked_add(step);
        address.set_port(port.with_context(|| format!("no port {step} above {first}"))?);
    }
    Ok(address)
}
