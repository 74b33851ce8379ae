//! What an ingestor can be told. Plain values; the binary maps its file to them.

mod validate;

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use proto_model::engine::HashRules;
use proto_model::{Lora, Profile};

use crate::TcpAddress;

pub use validate::ConfigError;

/// Everything that an ingestor needs to know.
#[derive(Debug, Clone)]
pub struct IngestConfig {
    /// Sockets that wait for engines to connect.
    pub bind: Vec<BindConfig>,
    /// Engines to connect to.
    pub connect: Vec<ConnectConfig>,
    /// The cluster of endpoints whose configuration names none.
    pub cluster: String,
    /// What is known about models; a model that is not listed gets
    /// [`ModelConfig::default`].
    pub models: Vec<ModelConfig>,
    /// How messages are gathered into batches.
    pub batching: BatchingConfig,
    /// Limits on queues and on what peers may do.
    pub bounds: Bounds,
    /// How long to wait before trying again.
    pub backoff: Backoff,
    /// How replays are asked for.
    pub replay: ReplayConfig,
}

/// A SUB socket that engines connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindConfig {
    /// Where rank 0 connects, for example `tcp://*:5557`; port 0 lets the
    /// system choose.
    pub address: TcpAddress,
    /// How many ports to bind, one per data-parallel rank from `address` up.
    pub ranks: NonZeroU32,
    /// Who publishes under an empty topic. Without it such messages are
    /// refused and counted.
    pub identity: Option<Identity>,
    /// Only topics that begin with this are asked for; empty means all.
    pub topic_prefix: String,
    /// The replay socket's port of rank 0 on the engine's own address (the
    /// topic's); rank r is asked on this port + r.
    pub replay_port: Option<u16>,
    /// Refuse messages whose topic names another IP address than the one they
    /// come from. Off by default, since address translation breaks it.
    pub require_source_address: bool,
}

/// An engine that the ingestor connects to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectConfig {
    /// The engine's PUB socket of rank 0.
    pub address: TcpAddress,
    /// The engine's replay ROUTER of rank 0.
    pub replay: Option<TcpAddress>,
    /// Who this is, whatever the topic says. Without it the topic must name the
    /// endpoint, and history can be asked for only after a first message.
    pub identity: Option<Identity>,
    /// How many ranks publish, on ports counted up from both addresses.
    pub ranks: NonZeroU32,
    /// Only topics that begin with this are asked for; empty means all.
    pub topic_prefix: String,
}

/// Who publishes on a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The cluster; `None` for [`IngestConfig::cluster`].
    pub cluster: Option<String>,
    /// `ip` or `ip:port`, as requests are routed to it.
    pub address: String,
    /// The model that it serves.
    pub model: String,
}

/// What is known about one base model.
#[derive(Debug, Clone)]
pub struct ModelConfig {
    /// Its name as requests use it.
    pub name: String,
    /// Other names under which engines announce it.
    pub aliases: Vec<String>,
    /// How its block keys come about.
    pub profile: Profile,
    /// Tokens per block, if the engines' setting is known: another size is
    /// reported as a finding.
    pub block_size: Option<u32>,
    /// How its engines hash blocks, if known: then every block whose parent is
    /// known is checked.
    pub hash: Option<HashRules>,
    /// LoRA adapters, for checking their hashes: vLLM 0.31 and later hash the
    /// path, which events never carry.
    pub adapters: Vec<Lora>,
    /// What `AllBlocksCleared` without a medium clears.
    pub engine: EngineKind,
}

/// Whose customs a model's engines follow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EngineKind {
    /// `AllBlocksCleared` without a medium empties the GPU's pool only.
    #[default]
    Vllm,
    /// `AllBlocksCleared` without a medium empties every medium.
    Sglang,
}

/// How messages are gathered into batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchingConfig {
    /// Most messages in one batch.
    pub messages: NonZeroUsize,
    /// Estimated bytes of one batch, reached but not exceeded by more than one
    /// message. Keep it below what the store takes.
    pub bytes: NonZeroUsize,
    /// Longest wait for more messages, while another append may begin.
    pub delay: Duration,
    /// Appends under way at a time, each with other publishers than the others.
    pub appends: NonZeroUsize,
}

/// Limits on queues and on what peers may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Messages between the sockets and the sequencers. When full, sockets are
    /// not read.
    pub queue_messages: NonZeroUsize,
    /// Payload bytes of these messages. Messages above 64 KiB that are still
    /// being received, and those that replays bring, may take as much each.
    pub queue_bytes: NonZeroUsize,
    /// Estimated bytes of messages that wait to be appended. When reached,
    /// nothing is taken from the queue.
    pub pending_bytes: NonZeroUsize,
    /// Live messages held back per publisher while a replay runs; the newest
    /// beyond are dropped and fetched by another replay.
    pub held_messages: NonZeroUsize,
    /// Estimated bytes held back for all publishers together.
    pub held_bytes: NonZeroUsize,
    /// Bytes of one message on the wire; a peer that announces more is cut off.
    pub message_bytes: NonZeroUsize,
    /// Connections of one bound socket.
    pub connections: NonZeroUsize,
    /// Publishers known at a time; messages of others are refused.
    pub publishers: NonZeroUsize,
    /// Digests kept per publisher to check hashes of later blocks.
    pub digests: NonZeroUsize,
    /// Findings kept at a time.
    pub findings: NonZeroUsize,
}

/// Capped exponential waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backoff {
    /// The first wait; each further one doubles.
    pub initial: Duration,
    /// The longest wait.
    pub max: Duration,
}

/// How replays are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayConfig {
    /// Replays that run at the same time, one per host; 16 times as many
    /// connections may be open or being opened for them.
    pub parallel: NonZeroUsize,
    /// Tries before the missing messages are given up as lost.
    pub attempts: NonZeroU32,
    /// Longest time to connect, and longest silence of the replay socket, before
    /// a try counts as failed. A try whose messages come more slowly than 100 or
    /// 1 MiB a second is waited for no longer than this in all; any, ten times.
    pub timeout: Duration,
}

/// Time allowed for TCP connection and ZMTP handshake.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

impl Default for IngestConfig {
    fn default() -> Self {
        Self {
            bind: Vec::new(),
            connect: Vec::new(),
            cluster: "default".to_owned(),
            models: Vec::new(),
            batching: BatchingConfig::default(),
            bounds: Bounds::default(),
            backoff: Backoff::default(),
            replay: ReplayConfig::default(),
        }
    }
}

impl BindConfig {
    /// A socket for one rank, every topic, no replay.
    #[must_use]
    pub fn new(address: TcpAddress) -> Self {
        Self {
            address,
            ranks: NonZeroU32::MIN,
            identity: None,
            topic_prefix: String::new(),
            replay_port: None,
            require_source_address: false,
        }
    }
}

impl ConnectConfig {
    /// One rank, every topic, no replay.
    #[must_use]
    pub fn new(address: TcpAddress) -> Self {
        Self {
            address,
            replay: None,
            identity: None,
            ranks: NonZeroU32::MIN,
            topic_prefix: String::new(),
        }
    }
}

impl ModelConfig {
    /// Defaults under this name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            aliases: Vec::new(),
            profile: Profile::Content,
            block_size: None,
            hash: None,
            adapters: Vec::new(),
            engine: EngineKind::Vllm,
        }
    }
}

const fn size(value: usize) -> NonZeroUsize {
    NonZeroUsize::MIN.saturating_add(value - 1)
}

impl Default for BatchingConfig {
    /// 1,024 messages or 1 MiB or 2 ms; four at a time.
    fn default() -> Self {
        Self {
            messages: size(1024),
            bytes: size(1 << 20),
            delay: Duration::from_millis(2),
            appends: size(4),
        }
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            queue_messages: size(8192),
            queue_bytes: size(64 << 20),
            pending_bytes: size(32 << 20),
            held_messages: size(4096),
            held_bytes: size(64 << 20),
            message_bytes: size(16 << 20),
            connections: size(4096),
            publishers: size(16_384),
            digests: size(8192),
            findings: size(1024),
        }
    }
}

impl Default for Backoff {
    /// From 100 ms to 5 s.
    fn default() -> Self {
        Self {
            initial: Duration::from_millis(100),
            max: Duration::from_secs(5),
        }
    }
}

impl Backoff {
    /// The wait before try `attempt`, counted from 1 for the first repetition.
    #[must_use]
    pub fn delay(&self, attempt: u32) -> Duration {
        let factor = 1_u32
            .checked_shl(attempt.saturating_sub(1))
            .unwrap_or(u32::MAX);
        self.initial.saturating_mul(factor.max(1)).min(self.max)
    }
}

impl Default for ReplayConfig {
    /// 16 at once, four tries, 5 s of silence.
    fn default() -> Self {
        Self {
            parallel: size(16),
            attempts: NonZeroU32::MIN.saturating_add(3),
            timeout: Duration::from_secs(5),
        }
    }
}
