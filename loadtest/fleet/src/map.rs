//! What is known of caches: the real state and the real index, fed as in
//! production.

use std::collections::BTreeMap;
use std::time::Duration;

use indexer_state::{State, StateLimits};
use loadtest_engine_sim::engine::{CacheEvent, Link};
use proto_model::{
    BlockKey, Change, Command, ContentChain, Delta, Endpoint, EngineHash, EventsCommand, Extras,
    Holder, KeySpace, LocalHash, Medium, Message, Profile, Publisher, Rank, RouteKind,
    RouteRecorded, Source, StoredBlock, TextSpace, Timestamp,
};
use scorer_index::{IndexLimits, PrefixIndex, Scratch};

const MODEL: &str = "Qwen3-32B";

/// Blocks that one engine holds of a prompt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) confirmed: u32,
    pub(crate) speculative: u32,
    pub(crate) estimated: u32,
}

/// What the index holds when a run is over.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct IndexFigures {
    /// Distinct blocks.
    pub blocks: usize,
    /// Blocks times the endpoints that hold them.
    pub memberships: u64,
    /// Bytes of all structures, from their capacities.
    pub bytes: usize,
    /// The same over the memberships; 0 without any.
    pub bytes_per_membership: f64,
}

/// State and index, and who their holders are.
pub(crate) struct Map {
    state: State,
    index: PrefixIndex,
    scratch: Scratch,
    deltas: Vec<Delta>,
    publishers: Vec<Publisher>,
    engines: BTreeMap<Publisher, usize>,
    holders: BTreeMap<Holder, (usize, Source)>,
    sequences: Vec<u64>,
    space: KeySpace,
}

impl Map {
    pub(crate) fn new(engines: usize, block_size: u32) -> Self {
        let publishers: Vec<_> = (0..engines).map(publisher).collect();
        let engines = publishers.iter().cloned().zip(0..).collect();
        Self {
            state: State::new(StateLimits::default()),
            index: PrefixIndex::new(IndexLimits::default()),
            scratch: Scratch::new(),
            deltas: Vec::new(),
            sequences: vec![0; publishers.len()],
            publishers,
            engines,
            holders: BTreeMap::new(),
            space: KeySpace {
                profile: Profile::Content,
                model: MODEL.to_owned(),
                lora: None,
                block_size,
                extras: Extras::Published,
            },
        }
    }

    /// The keys of a prompt's whole blocks.
    pub(crate) fn token_keys(&self, prompt: &[u32]) -> Vec<BlockKey> {
        let (scope, mut chain) = (self.space.scope(), ContentChain::root());
        let blocks = prompt.chunks_exact(self.space.block_size as usize);
        let key = |block| scope.key(chain.push(LocalHash::of(block, &[])));
        blocks.map(key).collect()
    }

    /// The same of its text, where a token stands for four bytes.
    pub(crate) fn text_keys(prompt: &[u32], block_bytes: u32, max_blocks: usize) -> Vec<BlockKey> {
        let text: Vec<u8> = prompt
            .iter()
            .flat_map(|token| token.to_le_bytes())
            .collect();
        let space = TextSpace {
            model: MODEL,
            lora: None,
            salt: None,
            block_bytes,
        };
        let mut keys = Vec::new();
        space.keys(&text, max_blocks, &mut keys);
        keys
    }

    /// What an engine says, as one message.
    pub(crate) fn told(&mut self, engine: usize, now: Duration, events: &[CacheEvent]) {
        let sequence = self.sequences[engine];
        self.sequences[engine] += 1;
        let changes = events.iter().map(|event| self.change(event)).collect();
        let command = EventsCommand {
            publisher: self.publishers[engine].clone(),
            model: MODEL.to_owned(),
            spaces: vec![self.space.clone()],
            messages: vec![Message {
                sequence,
                timestamp: timestamp(now),
                stream: None,
                changes,
            }],
        };
        self.apply(&Command::Events(command));
    }

    /// A request with these keys goes to an engine.
    pub(crate) fn routed(
        &mut self,
        engine: usize,
        now: Duration,
        kind: RouteKind,
        expires: Option<Duration>,
        capacity: u32,
        keys: Vec<BlockKey>,
    ) {
        self.apply(&Command::RouteRecorded(RouteRecorded {
            publisher: self.publishers[engine].clone(),
            kind,
            recorded_at: timestamp(now),
            expires_at: expires.map(timestamp),
            capacity,
            keys,
        }));
    }

    /// Routes that are over count no more.
    pub(crate) fn expire(&mut self, now: Duration) {
        let until = timestamp(now);
        self.apply(&Command::Expire { until });
    }

    /// What each engine holds of a prompt, from its first block on.
    pub(crate) fn held(&mut self, keys: &[BlockKey]) -> Vec<Held> {
        let mut held = vec![Held::default(); self.publishers.len()];
        for found in self.index.lookup(keys, &mut self.scratch, None).iter() {
            if let Some((engine, source)) = self.holders.get(&found.holder) {
                let held = &mut held[*engine];
                match source {
                    Source::Confirmed => held.confirmed = found.blocks,
                    Source::Speculative => held.speculative = found.blocks,
                    Source::Estimated => held.estimated = found.blocks,
                }
            }
        }
        held
    }

    pub(crate) fn figures(&self) -> IndexFigures {
        let stats = self.index.stats();
        IndexFigures {
            blocks: stats.blocks,
            memberships: stats.memberships,
            bytes: stats.bytes,
            bytes_per_membership: match stats.memberships {
                0 => 0.0,
                memberships => stats.bytes as f64 / memberships as f64,
            },
        }
    }

    fn apply(&mut self, command: &Command) {
        self.deltas.clear();
        let outcome = self.state.apply(command, &mut self.deltas);
        debug_assert!(
            outcome.refused.is_none() && outcome.gap.is_none(),
            "messages come in order, within every limit: {outcome:?}"
        );
        for delta in &self.deltas {
            match delta {
                Delta::HolderBegan {
                    holder,
                    publisher,
                    source,
                } => {
                    let engine = self.engines[publisher];
                    self.holders.insert(*holder, (engine, *source));
                }
                Delta::HolderEnded { holder } => {
                    self.holders.remove(holder);
                }
                _ => {}
            }
            self.index.apply(delta);
        }
    }

    fn change(&self, event: &CacheEvent) -> Change {
        let hash = |link: &Link| EngineHash(link.published());
        match event {
            CacheEvent::Stored(stored) => {
                let size = self.space.block_size as usize;
                let blocks = stored.links.iter().zip(stored.tokens.chunks(size));
                let block = |(link, tokens): (&Link, &[u32])| StoredBlock {
                    hash: hash(link),
                    local: LocalHash::of(tokens, &[]),
                };
                Change::Stored {
                    space: 0,
                    medium: Medium::Gpu,
                    group: 0,
                    parent: stored.parent.as_ref().map(hash),
                    blocks: blocks.map(block).collect(),
                }
            }
            CacheEvent::Removed(link) => Change::Removed {
                medium: Medium::Gpu,
                group: 0,
                hashes: vec![hash(link)],
            },
            CacheEvent::Cleared => Change::Cleared { medium: None },
        }
    }
}

fn publisher(engine: usize) -> Publisher {
    let address = format!(
        "10.{}.{}.{}:8000",
        engine >> 16,
        engine >> 8 & 255,
        engine & 255
    );
    Publisher {
        endpoint: Endpoint::new("fleet", &address).expect("digits, dots and a colon"),
        rank: Rank(0),
    }
}

/// The simulation begins a year after the epoch: no time may be 0.
fn timestamp(now: Duration) -> Timestamp {
    Timestamp::from_seconds(31_536_000.0 + now.as_secs_f64())
}
